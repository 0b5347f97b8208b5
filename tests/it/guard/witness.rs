//! A Graph that looks, at each POST, whether it should have been made.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use startguard::{
    decide::{Intent, Permit, StartReply},
    guard::Parts,
    model::{
        AttemptId, EntryKind, HistoryQuery, Job, JobKey, ServicePrincipal, ServicePrincipalId,
        StatusCode, Tick,
    },
    ports::{Cost, Graph, GraphError, SpLookup, Told},
};

use super::world::{COOLDOWN, policy};

/// What went out, and what was wrong with it.
#[derive(Debug, Default)]
pub(super) struct Testimony {
    /// POSTs, oldest first.
    pub(super) posts: Vec<(AttemptId, Tick)>,
    /// What broke a promise, in words.
    pub(super) wrongs: Vec<String>,
    /// When the last read began that said Paused or Quarantine.
    read: Option<Tick>,
}

/// Sits before Graph itself, behind whatever fails on the way to it. Reads the store as it is.
#[derive(Debug)]
pub(super) struct Witness {
    parts: Parts,
    testimony: Mutex<Testimony>,
}

impl Witness {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, testimony: Mutex::default() })
    }

    /// These parts, with all calls of Graph seen by the witness.
    pub(super) fn before(self: &Arc<Self>, parts: Parts) -> Parts {
        Parts { graph: Arc::clone(self) as Arc<dyn Graph>, ..parts }
    }

    pub(super) fn testimony(&self) -> MutexGuard<'_, Testimony> {
        self.testimony.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A POST of this attempt went out just now.
    async fn saw(&self, key: &JobKey, attempt: AttemptId) {
        let Parts { store, clock, tenant, .. } = &self.parts;
        let now = clock.tick();
        let snapshot = store.load(key, tenant).await.expect("the store itself is there");
        let record = snapshot.job.record;
        let query = HistoryQuery { job: Some(key.clone()), ..HistoryQuery::default() };
        let journal = store.history(&query).await.expect("a journal");
        let intended = journal.iter().any(|entry| {
            entry.facts.kind == EntryKind::Intent && entry.facts.attempt_id == Some(attempt)
        });
        let counted = record.starts.iter().any(|mark| mark.attempt == attempt);
        let lease = record.lease.filter(|lease| lease.attempt == attempt);
        let left = lease.and_then(|lease| lease.term.remaining(&snapshot.as_of));
        let mut testimony = self.testimony();
        let age = testimony.read.map(|read| read.until(now));
        let last = testimony.posts.last().copied();
        // Counted from the intents, which the POSTs follow within so much.
        let apart = COOLDOWN.saturating_sub(Intent::SEND_WITHIN);
        let checks = [
            ("S1: the last read is too old", age.is_none_or(|age| age > policy().status_max_age)),
            (
                "S2: the lease ends too soon",
                left.is_none_or(|left| left < policy().request_timeout),
            ),
            ("S3: there is no intent in the journal", !intended),
            ("S3: it is not counted", !counted),
            ("S4: a second POST of one attempt", last.is_some_and(|(by, _)| by == attempt)),
            ("S5: inside the cool-down", last.is_some_and(|(_, at)| at.until(now) < apart)),
        ];
        let wrongs = checks.into_iter().filter(|(_, wrong)| *wrong);
        testimony.wrongs.extend(wrongs.map(|(what, _)| what.to_owned()));
        testimony.posts.push((attempt, now));
    }
}

#[async_trait]
impl Graph for Witness {
    async fn authorize(&self) -> Result<(), GraphError> {
        self.parts.graph.authorize().await
    }
    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        let told = self.parts.graph.job(key, deadline).await;
        let stopped = |job: &Job| matches!(job.code, StatusCode::Paused | StatusCode::Quarantine);
        self.testimony().read =
            told.result.as_ref().ok().filter(|job| stopped(job)).map(|_| told.began);
        told
    }
    async fn jobs(&self, sp: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>> {
        self.parts.graph.jobs(sp, deadline).await
    }
    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        self.parts.graph.find(lookup, deadline).await
    }
    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        let (key, attempt) = (permit.key().clone(), permit.attempt());
        let (reply, cost) = self.parts.graph.start(permit).await;
        if cost.requests > 0 {
            self.saw(&key, attempt).await;
        }
        (reply, cost)
    }
}

/// Longer than anything that a start may wait for and still go out, and than a lease.
pub(super) const A_LEASE_AND_MORE: Duration = Duration::from_secs(61);
