//! The store, as one process reaches it: away, slow, or losing its answers, before the commit or
//! after it, or committing only after its caller was told that it failed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use startguard::{
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{Change, Commit, Snapshot, Store, StoreError, StoreReport, Versioned},
    store::MemoryStore,
};

use super::{fleet::Fleet, process::Process};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How long after its caller was told that it failed a commit may still be made.
pub(super) const LATE_COMMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) fleet: Arc<Fleet>,
    pub(super) process: Arc<Process>,
    pub(super) store: MemoryStore,
}

impl Wire {
    fn ill(&self) -> bool {
        let weather = self.fleet.weather();
        !weather.calm && weather.store_ill > self.fleet.time.now()
    }

    fn lost(&self, problem: &str) -> StoreError {
        StoreError {
            store: self.store.describe(),
            problem: problem.to_owned(),
            remedy: "ask again".to_owned(),
            source: None,
        }
    }

    /// The way to the store.
    async fn go(&self) -> Result<(), StoreError> {
        self.process.live().await;
        if self.fleet.weather().store_away > self.fleet.time.now() {
            self.fleet.time.sleep(SECOND).await;
            self.process.live().await;
            return Err(self.lost("is away"));
        }
        let most = if self.ill() { 8 * SECOND } else { 20 * MILLISECOND };
        self.fleet.time.sleep(self.fleet.dice.span(MILLISECOND, most)).await;
        if self.ill() && self.fleet.dice.one_in(12) {
            return Err(self.lost("did not answer"));
        }
        // A request that was sent goes on without its sender.
        Ok(())
    }

    /// The way back.
    async fn back<T>(&self, result: T) -> Result<T, StoreError> {
        let lost = self.ill() && self.fleet.dice.one_in(12);
        self.process.live().await;
        if lost { Err(self.lost("lost its answer")) } else { Ok(result) }
    }
}

#[async_trait]
impl Store for Wire {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        self.go().await?;
        let loaded = self.store.load(job, tenant).await?;
        self.back(loaded).await
    }

    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        self.go().await?;
        let loaded = self.store.load_tenant(tenant).await?;
        self.back(loaded).await
    }

    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        self.go().await?;
        if self.ill() && self.fleet.dice.one_in(20) {
            // It is committed, if its versions still hold, after the caller has given up on it.
            let (store, fleet) = (self.store.clone(), Arc::clone(&self.fleet));
            tokio::spawn(async move {
                fleet.time.sleep(fleet.dice.span(MILLISECOND, LATE_COMMIT)).await;
                drop(store.commit(change).await);
            });
            return Err(self.lost("closed the connection"));
        }
        let committed = self.store.commit(change).await?;
        self.back(committed).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.go().await?;
        let entries = self.store.history(query).await?;
        self.back(entries).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.store.verify().await
    }

    async fn report(&self) -> Result<StoreReport, StoreError> {
        self.store.report().await
    }

    fn many_hosts(&self) -> bool {
        !self.fleet.clock.machine
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}
