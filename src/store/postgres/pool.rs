//! Connections: few, made when they are needed, given back only when they are well.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::ExposeSecret as _;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio_postgres::{Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, Protection, Target},
    fault::{explain, is_passing},
    password::{self, Password},
    patience::Patience,
    session::Session,
    sql::Kept,
    tls,
};
use crate::{model::Tick, ports::Clock, store::fault::Fault};

/// Most connections of one store at once. A commit takes milliseconds, so four do hundreds a
/// second; and PostgreSQL's usual 100 connections are then enough for two dozen such processes.
const MOST: usize = 4;

/// A connection that rested longer than this is not used again: routers and firewalls forget quiet
/// connections after minutes (Azure's load balancers after four), and a new one costs milliseconds.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Pause before a server that is starting up, or that has no connection to spare, is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Where the set-up of TLS comes from, where the URL names no certificates of its own.
pub(super) type Trust = dyn Fn() -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>>
    + Send
    + Sync;

/// The connections of one store.
pub(super) struct Pool {
    pub(super) address: Address,
    password: Password,
    trust: Box<Trust>,
    clock: Arc<dyn Clock>,
    /// Longest time that getting a connection may take, for scans too, which may themselves take
    /// longer than other calls.
    deadline: Duration,
    /// Statements to keep prepared on every connection.
    kept: Vec<Kept>,
    tls: OnceCell<MakeRustlsConnect>,
    slots: Semaphore,
    idle: Mutex<Vec<Rested>>,
    /// The server that answered last: it is asked first.
    answered: AtomicUsize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("address", &self.address.shown).finish_non_exhaustive()
    }
}

/// A connection that nobody uses, and since when.
#[derive(Debug)]
struct Rested {
    session: Arc<Session>,
    since: Tick,
}

/// A connection on loan. Dropped without [`Lent::keep`], it is cut: what is under way on it, an
/// open transaction above all, ends with it.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    session: Arc<Session>,
    /// Whether it did work before, and may turn out to be gone.
    pub(super) reused: bool,
    kept: bool,
    _slot: SemaphorePermit<'a>,
}

impl Lent<'_> {
    /// The connection. A handle that outlives the loan finds it cut, or in others' hands.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// Gives the connection back for others to use.
    pub(super) fn keep(mut self) {
        self.kept = true;
        let session = Arc::clone(&self.session);
        let since = self.pool.clock.tick();
        self.pool.idle().push(Rested { session, since });
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.session.cut();
        }
    }
}

impl Pool {
    pub(super) fn new(
        address: Address,
        password: Password,
        trust: Box<Trust>,
        clock: Arc<dyn Clock>,
        deadline: Duration,
        kept: Vec<Kept>,
    ) -> Self {
        Self {
            kept,
            address,
            password,
            trust,
            clock,
            deadline,
            tls: OnceCell::new(),
            slots: Semaphore::new(MOST),
            idle: Mutex::default(),
            answered: AtomicUsize::new(0),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Rested>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: one that rests, or a new one.
    pub(super) async fn lend(&self, patience: &Patience<'_>) -> Result<Lent<'_>, Fault> {
        let slot = self
            .slots
            .acquire()
            .await
            .map_err(|error| Fault::new("is being closed", "ask again").because(error))?;
        let rested = self.rested();
        let reused = rested.is_some();
        let session = match rested {
            Some(session) => session,
            None => {
                let span = patience.left().min(self.deadline);
                Arc::new(self.connect(&Patience::new(&*self.clock, span)).await?)
            }
        };
        Ok(Lent { pool: self, session, reused, kept: false, _slot: slot })
    }

    /// The connection that was used last, if one is still good. Older ones are let go, so that a
    /// crowd's connections do not outlive the crowd.
    fn rested(&self) -> Option<Arc<Session>> {
        let now = self.clock.tick();
        let mut idle = self.idle();
        idle.retain(|rested| {
            !rested.session.client.is_closed() && rested.since.until(now) < LONGEST_REST
        });
        idle.pop().map(|rested| rested.session)
    }

    /// Lets go of the connections that nobody uses.
    pub(super) fn let_go(&self) {
        self.idle().clear();
    }

    async fn connect(&self, patience: &Patience<'_>) -> Result<Session, Fault> {
        loop {
            match self.connect_once(patience).await {
                Ok(session) => return Ok(session),
                Err(Failed { passing: true, .. }) if patience.left() > AGAIN_AFTER => {
                    self.clock.sleep(AGAIN_AFTER).await;
                }
                Err(Failed { fault, .. }) => return Err(fault),
            }
        }
    }

    /// Tries every server once, the one that answered last first.
    async fn connect_once(&self, patience: &Patience<'_>) -> Result<Session, Failed> {
        let targets = &self.address.targets;
        let first = self.answered.load(Ordering::Relaxed);
        let order: Vec<_> = (0..targets.len())
            .map(|place| place.saturating_add(first).checked_rem(targets.len()).unwrap_or(0))
            .collect();
        // Each gets an equal share, so that one that does not answer leaves time for the next, and
        // for the work itself.
        let shares = u32::try_from(targets.len()).unwrap_or(u32::MAX).saturating_add(1);
        let share = patience.left().checked_div(shares).unwrap_or_default();
        let mut failed: Option<Failed> = None;
        for place in order {
            let Some(target) = targets.get(place) else { continue };
            match self.connect_to(target, share).await {
                Ok(session) => {
                    self.answered.store(place, Ordering::Relaxed);
                    return Ok(session);
                }
                // The first one's failure is told, unless a later one's may pass.
                Err(later) => {
                    let keep = failed.as_ref().is_some_and(|first| first.passing || !later.passing);
                    if !keep {
                        failed = Some(later);
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| Fault::new("has no host", "name one in the URL").into()))
    }

    async fn connect_to(&self, target: &Target, within: Duration) -> Result<Session, Failed> {
        let mut settings = self.address.settings_for(target);
        let timeout = settings.get_connect_timeout().copied().unwrap_or(within).min(within);
        // What was sent and is not acknowledged for so long will not be: the peer is gone.
        settings.connect_timeout(timeout).tcp_user_timeout(within);
        self.log_in(&mut settings, target)?;
        let connecting = async {
            let mut session = self.open(&settings).await?;
            if !self.kept.is_empty() {
                session.keep(&self.kept).await;
            }
            Ok(session)
        };
        match tokio::time::timeout(within, connecting).await {
            Ok(done) => done,
            Err(_) => Err(Fault::new(
                format!("took the connection at {} and then said nothing", target.name()),
                "see whether the server is stopped or overloaded, and what is on the way",
            )
            .into()),
        }
    }

    async fn open(&self, settings: &Config) -> Result<Session, Failed> {
        match self.address.protection {
            Protection::None => {
                let (client, connection) = settings.connect(NoTls).await?;
                Ok(Session::begin(client, connection))
            }
            Protection::Tls { .. } => {
                let tls = self.tls.get_or_try_init(|| async { self.set_up_tls() }).await?;
                let (client, connection) = settings.connect(tls.clone()).await?;
                Ok(Session::begin(client, connection))
            }
        }
    }

    fn set_up_tls(&self) -> Result<MakeRustlsConnect, Fault> {
        let config = match &self.address.protection {
            Protection::Tls { roots: Some(roots), named } => tls::trusting(roots, *named)?,
            Protection::None | Protection::Tls { roots: None, .. } => {
                (self.trust)().map_err(|error| {
                    Fault::new(
                        "cannot be asked: TLS cannot be set up",
                        "install the system's CA certificates, or name a file in `sslrootcert`",
                    )
                    .because(error)
                })?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn log_in(&self, settings: &mut Config, target: &Target) -> Result<(), Fault> {
        let file = match (&self.address.password_file, &self.password) {
            // What was given by hand stands over any file.
            (_, Password::Given(password)) => {
                settings.password(password.expose_secret());
                return Ok(());
            }
            (Some(file), Password::None | Password::File(_)) => file,
            (None, Password::File(file)) => file,
            (None, Password::None) => return Ok(()),
        };
        let user = settings.get_user().unwrap_or_default();
        let database = settings.get_dbname().unwrap_or(user);
        if let Some(password) = password::from_file(file, target, database, user)? {
            settings.password(password.expose_secret());
        }
        Ok(())
    }
}

/// Why there is no connection.
struct Failed {
    fault: Fault,
    /// Whether the same server may well answer in a moment.
    passing: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, passing: false }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { fault: explain(&error), passing: is_passing(&error) }
    }
}
