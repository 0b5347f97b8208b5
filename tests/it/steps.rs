//! Something happens at the n-th call that a guard makes of the world: a failpoint at each step of the
//! protocol, without any of them in the product. Between two calls a guard has no effect on anybody,
//! so these are all the steps there are.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use startguard::{
    decide::{Permit, StartReply},
    guard::Parts,
    model::{
        BootTime, HistoryQuery, Job, JobKey, JournalEntry, Moment, ServicePrincipal,
        ServicePrincipalId, TenantKey, TenantRecord, Tick, Timestamp, Verification,
    },
    ports::{
        Change, Clock, Commit, Cost, Graph, GraphError, Pruned, Snapshot, SpLookup, Store,
        StoreError, StoreReport, Told, Versioned,
    },
};
use tokio::sync::Notify;

/// On which side of the call's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Before, Self::After];
}

/// What happens there.
pub(crate) enum Happening {
    /// The call fails; after its effect, its answer is lost.
    Error,
    /// The process dies: neither this call nor any later one ever comes back.
    Crash,
    /// Something else does, and the call goes on.
    Other(Box<dyn Fn() + Send + Sync>),
}

impl fmt::Debug for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Crash => "crash",
            Self::Other(_) => "other",
        })
    }
}

/// A place among the calls, and what happens there.
#[derive(Debug)]
pub(crate) struct Failpoint {
    nth: usize,
    side: Side,
    happening: Happening,
    /// The names of the calls so far.
    calls: Mutex<Vec<&'static str>>,
    dead: AtomicBool,
    died: Notify,
}

impl Failpoint {
    /// At the call of this number, from 1.
    pub(crate) fn new(nth: usize, side: Side, happening: Happening) -> Arc<Self> {
        let (calls, died) = (Mutex::default(), Notify::new());
        Arc::new(Self { nth, side, happening, calls, dead: AtomicBool::new(false), died })
    }

    /// These parts, with the failpoint in all calls of store, Graph and sleep.
    pub(crate) fn within(self: &Arc<Self>, parts: Parts) -> Parts {
        let point = || Arc::clone(self);
        Parts {
            store: Arc::new(Steps { inner: parts.store, point: point() }),
            graph: Arc::new(Steps { inner: parts.graph, point: point() }),
            clock: Arc::new(Steps { inner: parts.clock, point: point() }),
            ..parts
        }
    }

    /// Whether there was such a call.
    pub(crate) fn was_reached(&self) -> bool {
        self.calls().len() >= self.nth
    }

    /// The name of the call.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.calls().get(self.nth.wrapping_sub(1)).copied()
    }

    /// Returns once the process is dead.
    pub(crate) async fn death(&self) {
        let died = self.died.notified();
        if !self.dead.load(Ordering::SeqCst) {
            died.await;
        }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call with what happens around it. Where it fails: the answer that was lost, if it came
    /// so far.
    async fn around<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = T> + Send,
    ) -> Result<T, Option<T>> {
        let number = {
            let mut calls = self.calls();
            calls.push(name);
            calls.len()
        };
        if self.dead.load(Ordering::SeqCst) || !self.lives_on(number, Side::Before) {
            return std::future::pending().await;
        }
        if self.fails(number, Side::Before) {
            return Err(None);
        }
        let answer = call.await;
        if !self.lives_on(number, Side::After) {
            return std::future::pending().await;
        }
        if self.fails(number, Side::After) { Err(Some(answer)) } else { Ok(answer) }
    }

    fn is_here(&self, number: usize, side: Side) -> bool {
        number == self.nth && side == self.side
    }

    fn fails(&self, number: usize, side: Side) -> bool {
        self.is_here(number, side) && matches!(self.happening, Happening::Error)
    }

    fn lives_on(&self, number: usize, side: Side) -> bool {
        if self.is_here(number, side) {
            match &self.happening {
                Happening::Error => {}
                Happening::Other(happens) => happens(),
                Happening::Crash => {
                    self.dead.store(true, Ordering::SeqCst);
                    self.died.notify_waiters();
                    self.died.notify_one();
                    return false;
                }
            }
        }
        true
    }
}

/// A port with the failpoint in its calls.
#[derive(Debug)]
struct Steps<P: ?Sized> {
    point: Arc<Failpoint>,
    inner: Arc<P>,
}

fn away() -> StoreError {
    StoreError {
        store: "memory:".to_owned(),
        problem: "is away".to_owned(),
        remedy: "bring it back".to_owned(),
        source: None,
    }
}

fn unreachable() -> GraphError {
    GraphError::Unavailable { problem: "the connection was closed".to_owned() }
}

#[async_trait]
impl Store for Steps<dyn Store> {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        self.point
            .around("load", self.inner.load(job, tenant))
            .await
            .unwrap_or_else(|_| Err(away()))
    }
    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        let call = self.inner.load_tenant(tenant);
        self.point.around("load of the tenant", call).await.unwrap_or_else(|_| Err(away()))
    }
    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        self.point.around("commit", self.inner.commit(change)).await.unwrap_or_else(|_| Err(away()))
    }
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.point
            .around("history", self.inner.history(query))
            .await
            .unwrap_or_else(|_| Err(away()))
    }
    async fn verify(&self) -> Result<Verification, StoreError> {
        self.inner.verify().await
    }
    async fn report(&self) -> Result<StoreReport, StoreError> {
        self.inner.report().await
    }
    async fn prune(&self, keep: Duration, most: u32) -> Result<Pruned, StoreError> {
        let call = self.inner.prune(keep, most);
        self.point.around("prune", call).await.unwrap_or_else(|_| Err(away()))
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl Steps<dyn Graph> {
    /// A read; where it fails, it cost a request all the same.
    async fn read<T: Send>(
        &self,
        name: &'static str,
        call: impl Future<Output = Told<T>> + Send,
    ) -> Told<T> {
        match self.point.around(name, call).await {
            Ok(told) => told,
            // Nothing came back; of what such a call tells, nobody looks at the times.
            Err(_) => Told {
                result: Err(unreachable()),
                cost: Cost { requests: 1, request_ids: Vec::new() },
                began: Tick(Duration::ZERO),
                read_at: Timestamp::UNIX_EPOCH,
                throttle: None,
            },
        }
    }
}

#[async_trait]
impl Graph for Steps<dyn Graph> {
    async fn authorize(&self) -> Result<(), GraphError> {
        let call = self.inner.authorize();
        self.point.around("authorize", call).await.unwrap_or_else(|_| Err(unreachable()))
    }
    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        self.read("read", self.inner.job(key, deadline)).await
    }
    async fn jobs(&self, sp: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>> {
        self.read("list", self.inner.jobs(sp, deadline)).await
    }
    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        self.read("find", self.inner.find(lookup, deadline)).await
    }
    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        let problem = "the connection was closed".to_owned();
        match self.point.around("POST", self.inner.start(permit)).await {
            Ok(told) => told,
            Err(None) => (StartReply::NotSent { problem }, Cost::default()),
            // Where nothing went out there was no answer to lose.
            Err(Some((reply, cost))) if cost.requests == 0 => (reply, cost),
            Err(Some((_, cost))) => (StartReply::Unclear { problem }, cost),
        }
    }
}

#[async_trait]
impl Clock for Steps<dyn Clock> {
    fn wall(&self) -> Timestamp {
        self.inner.wall()
    }
    fn tick(&self) -> Tick {
        self.inner.tick()
    }
    fn boot(&self) -> Option<BootTime> {
        self.inner.boot()
    }
    async fn sleep(&self, span: Duration) {
        // A sleep that fails ends at once.
        self.point.around("sleep", self.inner.sleep(span)).await.ok();
    }
}
