//! The store port: one compare-and-swap value per job and per tenant, and the journal.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{
    decide::Receipt,
    model::{
        AttemptId, HistoryQuery, JobKey, JobRecord, JournalEntry, Moment, NewEntry, TenantKey,
        TenantRecord, Timestamp, Verification,
    },
    ports::{Contents, Filled, Pruned},
};

/// Compare-and-swap counter of a stored value; 0 for a value that is not stored yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A value and the version under which it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value; the default where nothing is stored.
    pub record: T,
    /// Its version.
    pub version: Version,
}

/// Both values of one ask, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The job's.
    pub job: Versioned<JobRecord>,
    /// The tenant's.
    pub tenant: Versioned<TenantRecord>,
    /// The **store's** clock at the read.
    pub as_of: Moment,
    /// When the newest entry of the whole journal was written, by the same clock. A clock that
    /// stands before it ran backwards, and whatever is written meanwhile, it stays behind (see
    /// [`JobWrite::entries`]).
    pub latest_entry: Option<Timestamp>,
}

/// A new value for a job, and the entry that goes with it.
#[derive(Debug, Clone)]
pub struct JobWrite {
    /// The job.
    pub key: JobKey,
    /// The version that was read.
    pub expected: Version,
    /// The new value.
    pub record: JobRecord,
    /// Entries of this job's, appended in order in the same transaction, and dated by the store's
    /// clock, but never before the newest entry of the whole journal. Only a reset is dated by the
    /// clock as it is.
    pub entries: Vec<NewEntry>,
}

/// A new value for a tenant.
#[derive(Debug, Clone)]
pub struct TenantWrite {
    /// The tenant.
    pub key: TenantKey,
    /// The version that was read.
    pub expected: Version,
    /// The new value.
    pub record: TenantRecord,
}

/// What to write, all of it or nothing, in one durable transaction.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The job's part.
    pub job: Option<JobWrite>,
    /// The tenant's part.
    pub tenant: Option<TenantWrite>,
}

impl Change {
    /// The attempt that the change's last entry belongs to: what the receipt is issued for.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptId> {
        self.job.as_ref().and_then(|job| job.entries.last()).and_then(|entry| entry.attempt)
    }
}

/// How a commit ended.
#[derive(Debug)]
#[must_use]
pub enum Commit {
    /// Durable. The versions are now one more than expected. The receipt names the attempt of the
    /// change's entry; a permit can be made of no other.
    Done(Receipt),
    /// Someone else committed first; nothing was written. Read again.
    Conflict,
}

/// Why the store has no answer. Never a reason to go on without it.
#[derive(Debug, thiserror::Error)]
#[error("the store {store} {problem}")]
pub struct StoreError {
    /// Which store, as a URL without secrets.
    pub store: String,
    /// What failed, continuing the sentence "the store X …" (`could not be opened`).
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
    /// The adapter's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a store says of itself to `doctor`: name and value, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Facts, such as schema version, journal mode, number of jobs.
    pub facts: Vec<(String, String)>,
    /// What should be changed.
    pub findings: Vec<Finding>,
}

/// Something about a store that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the guard's word does not hold as long as it stays so (starts may be forgotten, or
    /// none can be made), as opposed to something that a person should know.
    pub grave: bool,
    /// What is found.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// Something that a person should know.
    #[must_use]
    pub fn notice(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grave: false, problem: problem.into(), remedy: remedy.into() }
    }

    /// Something with which the guard's word does not hold.
    #[must_use]
    pub fn grave(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grave: true, ..Self::notice(problem, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem, self.remedy)
    }
}

/// A durable store shared by every process and host that guards the same jobs.
///
/// # Guarantees
/// [`Commit::Done`] is answered only once the change is on stable storage, except that one which takes
/// or releases a lease and says nothing in the journal may be lost together with the machine that all
/// its holders run on. Two commits that expect
/// the same version of a value never both succeed. A change is written whole or not at all.
///
/// # Errors
/// Every method fails with [`StoreError`] when the store cannot be reached, is damaged, or has a
/// schema newer than this program. An error of [`Store::commit`] leaves open whether it was
/// written: the caller must treat it as not granted, and the next reader sees which it was.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Reads both values at one moment of the store's clock. Writes nothing.
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError>;

    /// Reads the tenant's value alone, with the store's clock.
    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError>;

    /// Writes a change if every expected version still holds.
    async fn commit(&self, change: Change) -> Result<Commit, StoreError>;

    /// Reads the journal, newest first.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError>;

    /// Checks every chain of the journal.
    async fn verify(&self) -> Result<Verification, StoreError>;

    /// What the store says of itself, for `doctor`.
    async fn report(&self) -> Result<StoreReport, StoreError>;

    /// Reads everything at one moment, to move it elsewhere. Writes nothing.
    async fn contents(&self) -> Result<Contents, StoreError> {
        Err(cannot_move(self.describe(), "cannot be read whole"))
    }

    /// Writes everything, whole or not at all, where nothing is stored yet.
    async fn fill(&self, _contents: &Contents) -> Result<Filled, StoreError> {
        Err(cannot_move(self.describe(), "cannot be filled"))
    }

    /// Removes entries of the journal that were written more than `keep` ago, oldest first and at
    /// most `most` of them, in one durable transaction, and leaves a checkpoint for each of their
    /// jobs, from which the rest still verifies. The newest entry of all stays. Looks at no more than
    /// it may remove; where nothing is due, or another process is at it, it writes nothing. No entry
    /// goes whose chain does not hold there.
    async fn prune(&self, _keep: Duration, _most: u32) -> Result<Pruned, StoreError> {
        Ok(Pruned::default())
    }

    /// Whether hosts of several machines may share it. Then the tenant's record keeps the pace of
    /// requests for all of them; else each process keeps it for itself.
    fn many_hosts(&self) -> bool {
        false
    }

    /// The store's URL, without secrets.
    fn describe(&self) -> String;
}

fn cannot_move(store: String, problem: &str) -> StoreError {
    let remedy = "move between sqlite: and postgres: stores".to_owned();
    StoreError { store, problem: problem.to_owned(), remedy, source: None }
}
