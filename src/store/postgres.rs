//! A ledger in PostgreSQL that any number of hosts share (`postgres://`).
//!
//! # Guarantees
//! A commit is answered once it is on the server's disk, and on its synchronous standbys, if it has
//! any, whatever `synchronous_commit` says. Time is the server's alone. All that a transaction needs
//! is said inside it, so a pooler may give each of them another session. A commit whose answer was
//! lost is looked up as long as the deadline allows (see [`doubt`]). Tables that are damaged or newer
//! are refused and never begun anew.
//!
//! # Assumptions
//! `fsync` is on. A failover promotes a standby that has every commit that was answered, which is
//! what `synchronous_standby_names` is for; [`PostgresStore::report`] warns where it is missing.
//!
//! # Caveats
//! Deadlines are real time, by tokio's timer. Rows are never locked outside of one transaction, and
//! no advisory lock but the one of a migration is taken, which ends with its transaction.

mod address;
mod contents;
mod doubt;
mod fault;
mod journal;
mod load;
mod lookup;
mod name;
mod password;
mod patience;
mod pool;
mod prune;
mod report;
mod schema;
mod session;
mod sql;
mod tls;
mod transaction;
mod tries;
mod write;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;

use self::{
    address::Address, doubt::Doubts, fault::Trouble, load::Loaded, patience::Patience, pool::Pool,
    session::Session, sql::Sql, write::Written,
};
use super::{fault::Fault, text};
use crate::{
    decide::Receipt,
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{
        Change, Clock, Commit, Contents, Filled, Pruned, Snapshot, Store, StoreError, StoreReport,
        Versioned,
    },
};

pub use password::Password;

/// Longest time that a scan of the whole journal may take: the same as for a ledger file.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);

/// A ledger in a PostgreSQL database.
///
/// Making one touches nothing. The first call connects; the first commit makes the tables, if the
/// role may and they are not there. Two of them in one process share no
/// connections: share one instead.
pub struct PostgresStore {
    pool: Pool,
    sql: Sql,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    doubts: Doubts,
    /// Whether the tables were seen: should they be gone later, that is no new beginning.
    seen: AtomicBool,
    /// Stands for the server's clock in tests.
    server_clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("url", &self.pool.address.shown)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// How long a caller waits for one call, unless told otherwise. A commit takes milliseconds, and
    /// a second where its answer was lost and is looked up; a server that restarts in order is back
    /// in less than this, and a permit to start is worth nothing after it.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    /// The store at a `postgres://` URL; every call but a scan answers within `deadline` (usually
    /// [`PostgresStore::DEADLINE`]). `trust` sets up TLS by the machine's certificates; it is asked
    /// when the first connection is made that needs it. `clock` times pauses and is compared with
    /// the server's in the report: nothing that is decided depends on it.
    ///
    /// # Errors
    /// When the URL says something that cannot be meant: a configuration error, named without
    /// repeating values that could be secret.
    pub fn new<T>(
        url: &str,
        password: Password,
        trust: T,
        clock: Arc<dyn Clock>,
        deadline: Duration,
    ) -> Result<Self, StoreError>
    where
        T: Fn() -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        let address = Address::parse(url).map_err(|fault| fault.at("at postgres://"))?;
        let sql = Sql::new(&address.schema);
        let kept = if address.prepare { sql.kept() } else { Vec::new() };
        let trust = Box::new(trust);
        let pool = Pool::new(address, password, trust, Arc::clone(&clock), deadline, kept);
        Ok(Self {
            pool,
            sql,
            clock,
            deadline,
            doubts: Doubts::default(),
            seen: AtomicBool::new(false),
            server_clock: None,
        })
    }

    /// The same store, taking the server's time from `clock`: for the facts of the contract that
    /// set the clock. The server's own cannot be set.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_server_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.server_clock = Some(clock);
        self
    }

    /// Makes the tables, or brings them up to date. Needs a role that may create them; hosts may do
    /// it at once.
    ///
    /// # Errors
    /// When they cannot be made, or are newer than this program.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let patience = self.patience(self.deadline);
        self.within(self.deadline, self.make(&patience)).await
    }

    fn server_time(&self) -> Result<Option<i64>, Fault> {
        self.server_clock.as_ref().map(|clock| text::nanoseconds(clock.wall())).transpose()
    }

    fn patience(&self, span: Duration) -> Patience<'_> {
        Patience::new(&*self.clock, span)
    }

    /// Waits for work, up to a deadline.
    async fn within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(deadline, work)
            .await
            .unwrap_or_else(|_| {
                Err(Fault::new(
                    format!("gave no answer within {} ms", deadline.as_millis()),
                    "see whether the server runs, what keeps it busy (pg_stat_activity), and what \
                     is on the way; what was being written may or may not be there",
                ))
            })
            .map_err(|fault| fault.at(&self.pool.address.shown))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        let patience = self.patience(self.deadline);
        let sql = &self.sql;
        let work = async {
            let now = self.server_time()?;
            let read = |session: Arc<Session>| async move {
                load::load(&session, sql, job, tenant, now).await
            };
            if let Some(found) = self.read_tables(&patience, read).await? {
                return Ok(found);
            }
            Ok(Snapshot {
                job: Versioned::default(),
                tenant: Versioned::default(),
                as_of: self.now(&patience, now).await?,
                latest_entry: None,
            })
        };
        self.within(self.deadline, work).await
    }

    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        let patience = self.patience(self.deadline);
        let sql = &self.sql;
        let work = async {
            let now = self.server_time()?;
            let read = |session: Arc<Session>| async move {
                load::load_tenant(&session, sql, tenant, now).await
            };
            if let Some(found) = self.read_tables(&patience, read).await? {
                return Ok(found);
            }
            Ok((Versioned::default(), self.now(&patience, now).await?))
        };
        self.within(self.deadline, work).await
    }

    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        let attempt = change.attempt();
        let patience = self.patience(self.deadline);
        let written = self.within(self.deadline, self.write(&change, &patience)).await?;
        Ok(match written {
            Written::Yes => Commit::Done(Receipt::issue(attempt)),
            Written::Conflict => Commit::Conflict,
        })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let patience = self.patience(SCAN_DEADLINE);
        let (sql, time) = (&self.sql, &patience);
        let read = |session: Arc<Session>| async move {
            journal::history(&session, sql, query, time).await.map(Loaded::Found)
        };
        let work = async { Ok(self.read_tables(&patience, read).await?.unwrap_or_default()) };
        self.within(SCAN_DEADLINE, work).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        let patience = self.patience(SCAN_DEADLINE);
        let (sql, time) = (&self.sql, &patience);
        let read =
            |session: Arc<Session>| async move { journal::verify(&session, sql, time).await };
        let work = async { Ok(self.read_tables(&patience, read).await?.unwrap_or_default()) };
        self.within(SCAN_DEADLINE, work).await
    }

    async fn report(&self) -> Result<StoreReport, StoreError> {
        let patience = self.patience(self.deadline);
        let (sql, address, clock) = (&self.sql, &self.pool.address, &*self.clock);
        let work = async {
            let now = self.server_time()?;
            let read = |session: Arc<Session>| async move {
                report::report(&session, sql, address, clock, now).await
            };
            self.read(&patience, read).await.map_err(Trouble::fault)
        };
        self.within(self.deadline, work).await
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        let patience = self.patience(SCAN_DEADLINE);
        let (sql, name, time) = (&self.sql, &self.pool.address.schema, &patience);
        let work = async {
            let now = self.server_time()?;
            let read = |session: Arc<Session>| async move {
                contents::contents(&session, name, sql, time, now).await
            };
            if let Some(found) = self.read_tables(&patience, read).await? {
                return Ok(found);
            }
            let (jobs, tenants, journal) = (Vec::new(), Vec::new(), Vec::new());
            Ok(Contents { as_of: self.now(&patience, now).await?, jobs, tenants, journal })
        };
        self.within(SCAN_DEADLINE, work).await
    }

    async fn fill(&self, contents: &Contents) -> Result<Filled, StoreError> {
        let patience = self.patience(SCAN_DEADLINE);
        let name = &self.pool.address.schema;
        let work = async {
            self.make(&patience).await?;
            let lent = self.pool.lend(&patience).await?;
            let filled = contents::fill(&lent.session(), name, &patience, contents)
                .await
                .map_err(Trouble::fault)?;
            lent.keep();
            Ok(filled)
        };
        self.within(SCAN_DEADLINE, work).await
    }

    async fn prune(&self, keep: Duration, most: u32) -> Result<Pruned, StoreError> {
        let patience = self.patience(self.deadline);
        let (sql, time) = (&self.sql, &patience);
        let work = async {
            let now = self.server_time()?;
            let look =
                |session: Arc<Session>| async move { prune::look(&session, sql, keep, now).await };
            let Some(Some(due)) = self.read_tables(&patience, look).await? else {
                return Ok(Pruned::default());
            };
            let lent = self.pool.lend(&patience).await?;
            let pruned = prune::prune(&lent.session(), sql, due, most, time)
                .await
                .map_err(Trouble::fault)?;
            lent.keep();
            Ok(pruned)
        };
        self.within(self.deadline, work).await
    }

    fn many_hosts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.pool.address.shown.clone()
    }
}
