//! A store whose calls can go wrong, one by one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    decide::Receipt,
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{Change, Clock, Commit, Pruned, Snapshot, Store, StoreError, StoreReport, Versioned},
};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// It does not reach the store.
    Away,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It takes so long.
    Slow(Duration),
    /// It does not reach the store, and a commit is told that somebody else was first.
    Conflict,
    /// A commit is done, and acknowledged with a receipt that is for no attempt.
    WrongReceipt,
}

/// Another store, with faults. Its calls (loads and commits) are numbered from 1.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u32,
    commits: u32,
    at: BTreeMap<u32, StoreFault>,
    from_now_on: Option<StoreFault>,
    history_away: bool,
    one_host: bool,
}

impl FaultyStore {
    /// `inner`, without faults yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, state: Mutex::default() }
    }

    /// The call of this number goes wrong.
    pub fn fault_at(&self, call: u32, fault: StoreFault) {
        self.state().at.insert(call, fault);
    }

    /// From now on every call goes wrong; `None`: none does.
    pub fn fault_from_now_on(&self, fault: Option<StoreFault>) {
        self.state().from_now_on = fault;
    }

    /// The next look into the journal, which has no number, does not reach the store.
    pub fn next_history_is_away(&self) {
        self.state().history_away = true;
    }

    /// From now on the store says that it serves the processes of one host only.
    pub fn serve_one_host(&self) {
        self.state().one_host = true;
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.state().calls
    }

    /// Commits so far, whichever way they ended.
    #[must_use]
    pub fn commits(&self) -> u32 {
        self.state().commits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and lets it fail before it reaches the store.
    async fn begin(&self) -> Result<Option<StoreFault>, StoreError> {
        let fault = {
            let mut state = self.state();
            state.calls = state.calls.saturating_add(1);
            let call = state.calls;
            state.from_now_on.or_else(|| state.at.remove(&call))
        };
        match fault {
            Some(StoreFault::Away) => Err(self.lost()),
            Some(StoreFault::Slow(span)) => {
                self.clock.sleep(span).await;
                Ok(None)
            }
            Some(StoreFault::AnswerLost | StoreFault::Conflict | StoreFault::WrongReceipt)
            | None => Ok(fault),
        }
    }

    fn end<T>(&self, fault: Option<StoreFault>, result: T) -> Result<T, StoreError> {
        match fault {
            Some(StoreFault::AnswerLost) => Err(self.lost()),
            Some(
                StoreFault::Away
                | StoreFault::Slow(_)
                | StoreFault::Conflict
                | StoreFault::WrongReceipt,
            )
            | None => Ok(result),
        }
    }

    fn lost(&self) -> StoreError {
        StoreError {
            store: self.inner.describe(),
            problem: "is away".to_owned(),
            remedy: "bring it back".to_owned(),
            source: None,
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        let fault = self.begin().await?;
        let result = self.inner.load(job, tenant).await?;
        self.end(fault, result)
    }

    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        let fault = self.begin().await?;
        let result = self.inner.load_tenant(tenant).await?;
        self.end(fault, result)
    }

    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        {
            let mut state = self.state();
            state.commits = state.commits.saturating_add(1);
        }
        let fault = self.begin().await?;
        if fault == Some(StoreFault::Conflict) {
            return Ok(Commit::Conflict);
        }
        let result = match self.inner.commit(change).await? {
            Commit::Done(_) if fault == Some(StoreFault::WrongReceipt) => {
                Commit::Done(Receipt::issue(None))
            }
            result @ (Commit::Done(_) | Commit::Conflict) => result,
        };
        self.end(fault, result)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        if std::mem::take(&mut self.state().history_away) {
            return Err(self.lost());
        }
        self.inner.history(query).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.inner.verify().await
    }

    async fn report(&self) -> Result<StoreReport, StoreError> {
        self.inner.report().await
    }

    async fn prune(&self, keep: Duration, most: u32) -> Result<Pruned, StoreError> {
        self.inner.prune(keep, most).await
    }

    fn many_hosts(&self) -> bool {
        !self.state().one_host && self.inner.many_hosts()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
