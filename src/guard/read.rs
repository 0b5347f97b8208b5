//! Reads: dry runs, `status`, `list`, names. They obey the tenant's throttle like every call, and
//! what they see of Graph's health is kept for all who share the store.

use std::time::Duration;

use super::{
    Conflicts, Core, Guard, Request,
    attempt::{Attempt, no, view},
    end::{self, End},
    record::{RECORD_AGAIN_AFTER, RECORD_TRIES},
    share::Waited,
};
use crate::{
    decide::{self, Refusal, Unsent},
    model::{
        Actor, Answer, Job, JobKey, JobRef, Moment, Observation, OutcomeKind, Policy, Reason,
        Reply, ServicePrincipal, ServicePrincipalId, TenantRecord, Tick,
    },
    ports::{Change, Commit, GraphError, SpLookup, StoreError, TenantWrite, Told, Versioned},
};

/// Longest time that a list or a look-up may take, repeats included.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(30);

/// What `status` tells of one job.
#[derive(Debug, Clone)]
pub struct StatusReport {
    /// What the read said; `None` when it failed, and `start` says why.
    pub observation: Option<Observation>,
    /// What `start` would answer now.
    pub start: Answer,
    /// Whether the read itself failed.
    pub read_failed: bool,
}

/// Why a list or a look-up has no result, in the words of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// The outcome a start would have: deferred or failed.
    pub outcome: OutcomeKind,
    /// Why, for scripts.
    pub reason: Option<Reason>,
    /// Why, for people.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

impl From<End> for ReadError {
    fn from(end: End) -> Self {
        Self {
            outcome: end.outcome,
            reason: end.reason,
            message: end::one_line(end.message),
            remedy: end.remedy.map(end::one_line),
            retry_after: end.retry_after,
        }
    }
}

/// What a rehearsal showed.
pub(super) struct Rehearsed {
    pub(super) end: End,
    pub(super) observation: Option<Observation>,
    pub(super) read_failed: bool,
}

impl Guard {
    /// Reads one job once, and tells what `start` would answer now. Changes nothing.
    pub async fn status(&self, job: JobRef, policy: Policy, actor: Actor) -> StatusReport {
        let request = Request {
            job,
            policy,
            actor,
            accept: Vec::new(),
            reason: None,
            dry_run: true,
            lease_wait: Duration::ZERO,
            wait: None,
        };
        let mut attempt = Attempt::new(std::sync::Arc::clone(&self.core), request);
        let Rehearsed { end, observation, read_failed } = attempt.rehearse(true).await;
        StatusReport { observation, start: attempt.answer(end), read_failed }
    }

    /// Whether Graph said to wait, and for how long still: nothing of this tenant may be asked before.
    pub async fn told_to_wait(&self) -> Option<Duration> {
        match self.core.not_throttled().await {
            Err(GraphError::Throttled { retry_after, .. }) => retry_after,
            Ok(_) | Err(_) => None,
        }
    }

    /// Has everyone who shares the store wait, as an answer of Graph to somebody else's call said.
    pub async fn obey(&self, status: u16, wait: Duration) {
        self.core.note_throttle(status, wait).await;
    }

    /// Lists a service principal's jobs.
    ///
    /// # Errors
    /// [`ReadError`], also while the tenant is told to wait.
    pub async fn jobs(
        &self,
        service_principal: &ServicePrincipalId,
    ) -> Result<Vec<Job>, ReadError> {
        let (before, deadline) = self.core.ready_to_look_up().await?;
        let told = self.core.parts.graph.jobs(service_principal, deadline).await;
        Ok(self.core.noted(&before, told).await?)
    }

    /// Finds service principals by application id or display name.
    ///
    /// # Errors
    /// [`ReadError`], also while the tenant is told to wait.
    pub async fn find(&self, lookup: &SpLookup) -> Result<Vec<ServicePrincipal>, ReadError> {
        let (before, deadline) = self.core.ready_to_look_up().await?;
        let told = self.core.parts.graph.find(lookup, deadline).await;
        Ok(self.core.noted(&before, told).await?)
    }
}

impl Attempt {
    /// What a start would answer now, changing nothing. Without `always_read`, a deferral known
    /// from the store costs no request, as it does for a start.
    pub(super) async fn rehearse(&mut self, always_read: bool) -> Rehearsed {
        let policy = self.request.policy.clone();
        let cleared = match self.load().await {
            Ok(snapshot) => match decide::look_back(&policy, view(&snapshot), None) {
                Ok(()) => Ok(snapshot),
                Err(refusal) => Err(End::from(refusal)),
            },
            Err(end) => Err(end),
        };
        if let Err(end) = &cleared {
            let throttled = end.reason == Some(Reason::Throttled);
            // A store outage delays starts, never `status`.
            if !always_read || throttled {
                let end = end.clone();
                return Rehearsed { end, observation: None, read_failed: throttled };
            }
        }
        let observation = match self.read_for_rehearsal(always_read).await {
            Ok(observation) => observation,
            Err(end) => return Rehearsed { end, observation: None, read_failed: true },
        };
        self.observation = Some(observation.clone());
        let end = match cleared {
            Err(end) => end,
            Ok(snapshot) => {
                let accept = &self.ask.accept;
                match decide::rehearse(&policy, view(&snapshot), accept, &observation) {
                    Ok(()) => End::new(
                        OutcomeKind::WouldStart,
                        format!("would start: the job reads {}", observation.summary()),
                    ),
                    Err(decision) => no(decision, &end::state_in_words(&observation.code)),
                }
            }
        };
        Rehearsed { end, observation: Some(observation), read_failed: false }
    }

    /// One read. A start, dry or not, has waited for its turn already; a `status` has not.
    async fn read_for_rehearsal(&mut self, wait_for_turn: bool) -> Result<Observation, End> {
        let parts = self.core.parts.clone();
        if wait_for_turn {
            let turn = self.core.pace.read();
            self.or_stopped(turn).await?.map_err(End::rate_limited)?;
        }
        let paced_until = parts.clock.tick().after(parts.pace.patience);
        let read = self.core.gated_job(&self.ask.key, LOOK_UP_WITHIN, paced_until);
        let told = self.or_stopped(read).await??;
        self.count_reads(told.cost);
        let job = told.result?;
        Ok(Observation::of(&job, told.read_at, told.began))
    }
}

impl Core {
    /// Reads a job within so long, once the tenant may be asked.
    ///
    /// # Errors
    /// The throttle, or that there is no turn before `paced_until`; what the read itself said is
    /// inside.
    pub(super) async fn gated_job(
        &self,
        key: &JobKey,
        within: Duration,
        paced_until: Tick,
    ) -> Result<Told<Job>, End> {
        let before = self.admitted(paced_until).await?;
        let told = self.parts.graph.job(key, self.parts.clock.tick().after(within)).await;
        self.settle_requests(1, told.cost.requests);
        self.note_read(&before, told.throttle, told.result.as_ref().err()).await;
        Ok(told)
    }

    async fn ready_to_look_up(&self) -> Result<(TenantRecord, Tick), End> {
        self.pace.read().await.map_err(End::rate_limited)?;
        let before = self.admitted(self.parts.clock.tick().after(self.parts.pace.patience)).await?;
        Ok((before, self.parts.clock.tick().after(LOOK_UP_WITHIN)))
    }

    async fn noted<T>(&self, before: &TenantRecord, told: Told<T>) -> Result<T, End> {
        self.settle_requests(1, told.cost.requests);
        self.note_read(before, told.throttle, told.result.as_ref().err()).await;
        Ok(told.result?)
    }

    /// Waits until the tenant may be asked once more: not throttled, and at its turn.
    async fn admitted(&self, paced_until: Tick) -> Result<TenantRecord, End> {
        let Some((tenant, as_of)) = self.not_throttled().await? else {
            return Ok(TenantRecord::default());
        };
        let record = tenant.record.clone();
        match self.turn(&self.draw(1), Some((tenant, as_of)), paced_until).await? {
            Waited::No => Ok(record),
            // Graph may have said to wait meanwhile.
            Waited::Yes => {
                let now = self.not_throttled().await?;
                Ok(now.map(|(tenant, _)| tenant.record).unwrap_or_default())
            }
        }
    }

    /// Whether the tenant may be asked at all. Without a store nothing is known of a throttle, and
    /// reads go on: an outage of the store delays starts, never `status`.
    async fn not_throttled(&self) -> Result<Option<(Versioned<TenantRecord>, Moment)>, GraphError> {
        let (tenant, as_of) = match self.parts.store.load_tenant(&self.parts.tenant).await {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::debug!(error = %end::chain(&error), "reading without the store");
                return Ok(None);
            }
        };
        let throttle = tenant.record.throttle.as_ref();
        match throttle
            .and_then(|throttle| Some((throttle.status, throttle.term.remaining(&as_of)?)))
        {
            None => Ok(Some((tenant, as_of))),
            Some((status, left)) => Err(GraphError::Throttled {
                reply: Reply { status, code: None, message: None, request_id: None },
                retry_after: Some(left),
            }),
        }
    }

    /// Keeps what a read showed of Graph's health. `before` is the tenant's record as read before
    /// it: where all was well and still is, the store is not asked again.
    pub(super) async fn note_read(
        &self,
        before: &TenantRecord,
        throttle: Option<(u16, Duration)>,
        error: Option<&GraphError>,
    ) {
        let ill = match error {
            Some(GraphError::Unavailable { .. } | GraphError::Timeout { .. }) => Some(true),
            // Graph's own no is an answer like any other: it is there and well.
            None
            | Some(
                GraphError::Unauthorized(_) | GraphError::Forbidden(_) | GraphError::NotFound(_),
            ) => Some(false),
            // No request, a word to wait, or something that is perhaps not Graph.
            Some(
                GraphError::NoToken(_)
                | GraphError::Throttled { .. }
                | GraphError::BadResponse { .. },
            ) => None,
        };
        let told_at_the_end = match error {
            Some(GraphError::Throttled { reply, retry_after: Some(wait) }) => {
                Some((reply.status, *wait))
            }
            Some(_) | None => None,
        };
        if let Some((status, wait)) =
            throttle.into_iter().chain(told_at_the_end).max_by_key(|(_, wait)| *wait)
        {
            self.note_throttle(status, wait).await;
        }
        match ill {
            Some(true) => {
                self.note(1, |record, as_of| Some(decide::read_failed(record.clone(), as_of)))
                    .await;
            }
            Some(false) if decide::read_worked(before).is_some() => {
                self.note(1, |record, _| decide::read_worked(record)).await;
            }
            Some(false) | None => {}
        }
    }

    /// Keeps that Graph said to wait, for all who share the store. Where it is lost, the next of them
    /// asks at once, so it is tried as often as an outcome is.
    pub(super) async fn note_throttle(&self, status: u16, wait: Duration) {
        let rewrite = |record: &_, as_of: &_| decide::throttled(record, as_of, status, wait);
        self.note(RECORD_TRIES, rewrite).await;
    }

    /// Keeps that a start could not even be sent.
    pub(super) async fn note_unsent(&self, unsent: Unsent<'_>) {
        match unsent {
            Unsent::NotReached(_) => {
                self.note(1, |record, as_of| Some(decide::read_failed(record.clone(), as_of)))
                    .await;
            }
            // Graph is there and well, or nobody asked it.
            Unsent::HeldBack { .. } | Unsent::TooLate => {}
        }
    }

    /// Rewrites the tenant's record, if there is anything to rewrite. Best effort, in so many tries:
    /// where the store stays away, no start goes out anyway.
    async fn note(
        &self,
        tries: u32,
        rewrite: impl Fn(&TenantRecord, &Moment) -> Option<TenantRecord> + Send + Sync,
    ) {
        let mut failed = 0_u32;
        while let Err(error) = self.try_note(&rewrite).await {
            failed = failed.saturating_add(1);
            let error = end::chain(&error);
            tracing::warn!(error, failed, "what Graph's answer says of it could not be recorded");
            if failed >= tries {
                return;
            }
            self.parts.clock.sleep(RECORD_AGAIN_AFTER).await;
        }
    }

    async fn try_note(
        &self,
        rewrite: &(impl Fn(&TenantRecord, &Moment) -> Option<TenantRecord> + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut conflicts = Conflicts::default();
        loop {
            let (tenant, as_of) = self.parts.store.load_tenant(&self.parts.tenant).await?;
            let Some(record) = rewrite(&tenant.record, &as_of) else {
                return Ok(());
            };
            let write =
                TenantWrite { key: self.parts.tenant.clone(), expected: tenant.version, record };
            match self.parts.store.commit(Change { job: None, tenant: Some(write) }).await? {
                Commit::Done(_) => return Ok(()),
                Commit::Conflict => conflicts.one_more(&*self.parts.store)?,
            }
        }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        no(refusal.into(), "")
    }
}
