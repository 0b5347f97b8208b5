//! A ledger file that the processes of one machine share (`sqlite:`).
//!
//! # Guarantees
//! WAL with `synchronous=FULL`: a commit is answered once it is on the disk, a process may be killed
//! at any instruction, and a file that is damaged, foreign or newer is refused and never begun anew.
//! Writers queue (see [`turn`]), so none starves; readers never wait for writers.
//!
//! # Caveats
//! The file belongs on a local disk: file locks of network file systems are not to be trusted. It has
//! one name: hard links and a mount of the file itself are refused (see [`names`]).
//! Deadlines are real time, by tokio's timer: a runtime whose time is paused skips them at once, so
//! tests on paused time use [`crate::store::MemoryStore`].

mod connect;
mod contents;
mod desk;
mod fault;
mod file;
#[cfg(feature = "testing")]
pub(super) mod fuzz;
mod journal;
mod ledger;
mod names;
mod prune;
mod report;
mod schema;
mod turn;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::{
    desk::Desk,
    worker::{Gone, Worker},
};
use super::fault::Fault;
use crate::{
    decide::Receipt,
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{
        Change, Clock, Commit, Contents, Filled, Pruned, Snapshot, Store, StoreError, StoreReport,
        Versioned,
    },
};

/// Longest time that a scan of the whole journal may take. It reads a million entries in seconds;
/// ten minutes is for a slow disk, and whoever asked may leave earlier.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);

/// A ledger file, shared by every process of this machine that names the same path.
///
/// Making one touches nothing. The file is opened by the first call and created, with its folder,
/// by the first commit; until then it reads as empty.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    url: String,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    lanes: [Mutex<Option<Worker>>; 3],
}

/// Which thread does a piece of work. Each is started by its first work and has a connection of its
/// own, so that no one-shot command pays for more than one, and no read waits behind a writer that
/// waits for its turn.
#[derive(Debug, Clone, Copy)]
enum Lane {
    /// Commits, and loads while there is no commit to wait for.
    Write,
    /// Loads while a commit is under way.
    Read,
    /// Scans of the journal, which may take long.
    Scan,
}

impl SqliteStore {
    /// How long a caller waits for one call, unless told otherwise. The longest wait for a turn
    /// among eight processes that write without pause stays under 200 ms, and a commit takes about
    /// a millisecond even on slow disks; who waits longer than this waits for a process that was
    /// stopped or a disk that is gone, and an operator wants to hear so.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    /// The store in the ledger file at `path`, telling the time by `clock`; every call but a scan
    /// answers within `deadline` (usually [`SqliteStore::DEADLINE`]).
    #[must_use]
    pub fn new(path: &Path, clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        // Made absolute so that a later change of directory cannot split the ledger in two, and so
        // that SQLite never takes the name for a URI.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let url = format!("sqlite:{}", path.display());
        Self { path, url, clock, deadline, lanes: Default::default() }
    }

    /// The lane's worker, locked for a moment.
    fn slot(&self, lane: Lane) -> MutexGuard<'_, Option<Worker>> {
        let [write, read, scan] = &self.lanes;
        let slot = match lane {
            Lane::Write => write,
            Lane::Read => read,
            Lane::Scan => scan,
        };
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A load uses the writer's connection where it need not wait for anyone.
    fn load_lane(&self) -> Lane {
        let idle = self.slot(Lane::Write).as_ref().is_none_or(Worker::is_idle);
        if idle { Lane::Write } else { Lane::Read }
    }

    /// Has `work` done on a lane's thread and waits for the result, up to `deadline`.
    ///
    /// Work whose caller has left (its time was up, or the call was dropped) is skipped if it has
    /// not begun, so that a commit that timed out was most likely not made.
    async fn ask<T, W>(&self, lane: Lane, deadline: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Desk, Gone<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(move |desk: &mut Desk| {
            if !reply.is_closed() {
                let result = work(desk, &|| reply.is_closed());
                // Nobody waits any more if this fails.
                drop(reply.send(result));
            }
        });
        self.hand_over(lane, task).map_err(|fault| fault.at(&self.url))?;
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Fault::new(
                "lost the thread that works on it",
                "report this as a defect; the next call starts another",
            )),
            Err(_) => Err(Fault::new(
                format!("gave no answer within {} ms", deadline.as_millis()),
                format!(
                    "see which process holds it (`fuser -v '{0}' '{0}-turn' '{0}-next'`; one that \
                     is stopped must go on or be killed) and whether the disk answers",
                    self.path.display()
                ),
            )),
        }
        .map_err(|fault| fault.at(&self.url))
    }

    fn hand_over(&self, lane: Lane, task: worker::Task) -> Result<(), Fault> {
        let mut slot = self.slot(lane);
        let task = match slot.as_ref() {
            None => task,
            Some(worker) => match worker.give(task) {
                Ok(()) => return Ok(()),
                // Its thread is gone; start another.
                Err(task) => task,
            },
        };
        let desk = Desk::new(self.path.clone(), Arc::clone(&self.clock), self.deadline);
        let worker = Worker::start(desk).map_err(|error| {
            Fault::new("could not get a thread to work on it", "raise the limit of processes")
                .because(error)
        })?;
        let given = worker.give(task);
        *slot = Some(worker);
        given.map_err(|_| Fault::new("lost the thread that works on it", "try again"))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        let (job, tenant) = (job.clone(), tenant.clone());
        self.ask(self.load_lane(), self.deadline, move |desk, _| desk.load(&job, &tenant)).await
    }

    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        let tenant = tenant.clone();
        self.ask(self.load_lane(), self.deadline, move |desk, _| desk.load_tenant(&tenant)).await
    }

    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        let attempt = change.attempt();
        let written = self
            .ask(Lane::Write, self.deadline, move |desk, gone| desk.commit(change, gone))
            .await?;
        Ok(if written { Commit::Done(Receipt::issue(attempt)) } else { Commit::Conflict })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let query = query.clone();
        self.ask(Lane::Scan, SCAN_DEADLINE, move |desk, gone| desk.history(&query, gone)).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.ask(Lane::Scan, SCAN_DEADLINE, Desk::verify).await
    }

    async fn report(&self) -> Result<StoreReport, StoreError> {
        // As a start would: a ledger that can be read and not written is not well.
        self.ask(Lane::Write, self.deadline, |desk, gone| desk.try_to_write(gone)).await?;
        self.ask(Lane::Scan, SCAN_DEADLINE, |desk, _| desk.report()).await
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        self.ask(Lane::Scan, SCAN_DEADLINE, |desk, _| desk.contents()).await
    }

    async fn fill(&self, contents: &Contents) -> Result<Filled, StoreError> {
        let contents = contents.clone();
        self.ask(Lane::Scan, SCAN_DEADLINE, move |desk, gone| desk.fill(&contents, gone)).await
    }

    async fn prune(&self, keep: Duration, most: u32) -> Result<Pruned, StoreError> {
        // On the writer's thread: one that starts a job is not kept waiting by one that prunes.
        self.ask(Lane::Write, self.deadline, move |desk, gone| desk.prune(keep, most, gone)).await
    }

    fn describe(&self) -> String {
        self.url.clone()
    }
}
