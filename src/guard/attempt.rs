//! One guarded start, step by step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Conflicts, Core, Request,
    end::{self, End},
    pace::REQUESTS_PER_START,
};
use crate::{
    decide::{self, Ask, Decision, Intent, Refusal, View},
    model::{
        Answer, AttemptId, EntryKind, FencingToken, GraphCost, Observation, ObservedFacts,
        OutcomeKind, Policy, Reason, TenantRecord, Tick,
    },
    ports::{Commit, Cost, Snapshot, TenantWrite},
};

/// How often a caller that waits for another holder looks again, before jitter: soon enough that
/// waiting feels immediate, seldom enough that a crowd of waiters does not load the store.
const LOOK_FOR_LEASE_EVERY: Duration = Duration::from_millis(100);

/// Longest time that reading one job may take, repeats included: what a person waits for an answer
/// before they suspect the tool. The lease sets a tighter bound where it is shorter.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) core: Arc<Core>,
    pub(super) request: Request,
    pub(super) ask: Ask,
    began: Tick,
    pub(super) cost: GraphCost,
    pub(super) token: Option<FencingToken>,
    pub(super) observation: Option<Observation>,
    /// Set in the line before the POST.
    sent: Arc<AtomicBool>,
    /// A read after the POST has shown the job running: there is nothing left to wait for.
    pub(super) arrived: bool,
    wait_ran_out: bool,
    /// Requests granted to the start itself by the pace that all share, and how many it sent.
    granted: u32,
    pub(super) sent_of_grant: u32,
}

impl Attempt {
    pub(super) fn new(core: Arc<Core>, request: Request) -> Self {
        let parts = &core.parts;
        let attempt = AttemptId(parts.entropy.uuid(parts.clock.wall()));
        let ask = Ask {
            key: request.job.key.clone(),
            attempt,
            actor: request.actor.clone(),
            holder: format!("{} ({})", request.actor, parts.process),
            accept: request.accept.clone(),
        };
        Self {
            began: parts.clock.tick(),
            core,
            request,
            ask,
            cost: GraphCost::default(),
            token: None,
            observation: None,
            sent: Arc::default(),
            arrived: false,
            wait_ran_out: false,
            granted: 0,
            sent_of_grant: 0,
        }
    }

    /// The answer should the attempt's task be lost. Before the POST nothing was started; after it
    /// nobody here knows.
    pub(super) fn lost(&self) -> impl FnOnce() -> Answer + Send + use<> {
        let remedy = "`startguard history JOB` shows how far it got; report this as a defect";
        let unsent = self.answer(End::failed(
            Reason::Timeout,
            "the attempt was lost inside startguard before a start went out",
            remedy,
        ));
        let mut unknown = self.answer(End {
            remedy: Some(remedy.to_owned()),
            ..End::new(
                OutcomeKind::InDoubt,
                "in doubt: the attempt was lost inside startguard while a start was under way",
            )
        });
        unknown.graph.starts = 1;
        let sent = Arc::clone(&self.sent);
        move || if sent.load(Ordering::SeqCst) { unknown } else { unsent }
    }

    /// Notes that a POST may be on its way from here on.
    pub(super) fn about_to_send(&self) {
        self.sent.store(true, Ordering::SeqCst);
    }

    pub(super) async fn run(mut self) -> Answer {
        let end = match self.walk().await {
            Ok(end) | Err(end) => end,
        };
        self.core.settle_requests(self.granted, self.sent_of_grant);
        let end = self.wait(end).await;
        let answer = self.answer(end);
        tracing::info!(
            job = %answer.job.key, attempt = %answer.attempt_id, outcome = %answer.outcome,
            reason = answer.reason.map(Reason::as_str), reads = answer.graph.reads,
            starts = answer.graph.starts, "answered"
        );
        answer
    }

    /// The steps, in order. An early end is an `Err`, so that `?` reads as "or stop here".
    async fn walk(&mut self) -> Result<End, End> {
        self.pace().await?;
        if self.request.dry_run {
            return Ok(self.rehearse(false).await.end);
        }
        let (mark, token, tenant) = self.take_lease().await?;
        let observation = self.observe(mark, &tenant).await?;
        let (intent_mark, intent, receipt) = match self.intend(token, &observation).await? {
            Intended::Yes(mark, intent, receipt) => (mark, intent, receipt),
            Intended::No(end) => return Ok(end),
        };
        let unsent = match (self.not_stopped(), intent.permit(receipt, intent_mark)) {
            (Ok(()), Some(permit)) => return Ok(self.start(permit, &observation).await),
            (Err(interrupted), _) => interrupted,
            (Ok(()), None) => End::failed(
                Reason::StoreUnavailable,
                "the store acknowledged another attempt's intent",
                "ask again; report it if it happens twice",
            ),
        };
        self.give_back(&unsent).await;
        Err(unsent)
    }

    /// Step 2. A storm ends here.
    async fn pace(&self) -> Result<(), End> {
        self.core.pace.attempt(&self.ask.key).map_err(End::rate_limited)?;
        self.or_stopped(self.core.pace.start()).await?.map_err(End::rate_limited)
    }

    /// Steps 3 and 4. Returns the monotonic time before which the lease cannot have begun, its
    /// token, and the tenant's record as it was.
    async fn take_lease(&mut self) -> Result<(Tick, FencingToken, TenantRecord), End> {
        let parts = self.core.parts.clone();
        let patience = parts.clock.tick().after(self.request.lease_wait);
        let paced_until = parts.clock.tick().after(parts.pace.patience);
        let mut authorized = false;
        let mut conflicts = Conflicts::default();
        loop {
            self.not_stopped()?;
            let mark = parts.clock.tick();
            let snapshot = self.load().await?;
            let grant = match decide::acquire(&self.request.policy, view(&snapshot), &self.ask) {
                Ok(grant) => grant,
                // What the holder is about to write (its intent may be given back) is worth waiting
                // for; an operator's hold or a throttle is not up to the holder.
                Err(Refusal::Defer(deferral))
                    if up_to_the_holder(deferral.reason)
                        && decide::holder(view(&snapshot), Some(self.ask.attempt)).is_some()
                        && parts.clock.tick() < patience =>
                {
                    self.wait_for_holder(patience).await;
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            };
            if !authorized {
                // Before the lease, so that a slow token endpoint keeps nobody else waiting, and
                // after the look back, so that a deferral costs no request. Time has passed: look
                // again.
                self.or_stopped(parts.graph.authorize()).await??;
                authorized = true;
                continue;
            }
            let mut tenant = grant.tenant;
            // Charged with the lease, so that it costs no commit of its own.
            let needed = REQUESTS_PER_START.saturating_sub(self.granted);
            let draw = self.core.draw(needed);
            let before = tenant.as_ref().unwrap_or(&snapshot.tenant.record);
            let Ok(granted) = self.core.at_once(before, &snapshot.as_of, &draw) else {
                // Waited for without the lease: nobody else has to wait for this job meanwhile.
                let turn = self.core.turn(&draw, None, paced_until);
                self.or_stopped(turn).await??;
                self.granted = REQUESTS_PER_START;
                continue;
            };
            tenant = granted.as_ref().map(|granted| granted.record.clone()).or(tenant);
            let mut change = self.job_change(&snapshot, grant.record, Vec::new());
            change.tenant = tenant.map(|record| self.tenant_write(&snapshot, record));
            match parts.store.commit(change).await {
                Ok(Commit::Done(_)) => {
                    if let Some(granted) = granted {
                        self.core.granted(&draw, &granted);
                    }
                    self.granted = REQUESTS_PER_START;
                    self.token = Some(grant.token);
                    return Ok((mark, grant.token, snapshot.tenant.record));
                }
                Ok(Commit::Conflict) => {
                    self.core.put_back(&draw);
                    conflicts.one_more(&*parts.store)?;
                    self.core.step_aside(&conflicts).await;
                }
                Err(error) => {
                    // Perhaps it was taken all the same, and nobody should have to wait for it.
                    self.close(None, Vec::new()).await;
                    return Err(error.into());
                }
            }
        }
    }

    async fn wait_for_holder(&self, patience: Tick) {
        let parts = &self.core.parts;
        // Jitter of up to as much again, so that waiters do not look in step.
        let spread = u64::try_from(LOOK_FOR_LEASE_EVERY.as_millis()).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(parts.entropy.number() % spread.max(1));
        let left = parts.clock.tick().until(patience);
        let nap = LOOK_FOR_LEASE_EVERY.saturating_add(jitter).min(left);
        tokio::select! {
            () = parts.clock.sleep(nap) => {}
            () = parts.stop.cancelled() => {}
        }
    }

    /// Step 5.
    async fn observe(&mut self, mark: Tick, before: &TenantRecord) -> Result<Observation, End> {
        let parts = self.core.parts.clone();
        let alone = mark.after(self.request.policy.lease.saturating_sub(Policy::MARGIN));
        let deadline = parts.clock.tick().after(READ_WITHIN).min(alone);
        let read = self.or_stopped(parts.graph.job(&self.ask.key, deadline)).await;
        let told = match read {
            Ok(told) => told,
            Err(interrupted) => {
                self.close(None, Vec::new()).await;
                return Err(interrupted);
            }
        };
        self.sent_of_grant = self.sent_of_grant.saturating_add(told.cost.requests);
        self.count_reads(told.cost);
        self.core.note_read(before, told.throttle, told.result.as_ref().err()).await;
        match told.result {
            Ok(job) => {
                let observation = Observation::of(&job, told.read_at, told.began);
                self.observation = Some(observation.clone());
                Ok(observation)
            }
            Err(error) => {
                let end = End::from(error);
                let entry = self.entry(EntryKind::Decision, Some(&end));
                self.close(None, vec![entry]).await;
                Err(end)
            }
        }
    }

    /// Steps 6 and 7: decide, and make the intent durable.
    async fn intend(
        &mut self,
        token: FencingToken,
        observation: &Observation,
    ) -> Result<Intended, End> {
        let parts = self.core.parts.clone();
        let mut conflicts = Conflicts::default();
        loop {
            if let Err(interrupted) = self.not_stopped() {
                self.close(None, Vec::new()).await;
                return Err(interrupted);
            }
            let mark = parts.clock.tick();
            let mut snapshot = match self.load().await {
                Ok(snapshot) => snapshot,
                Err(end) => {
                    self.close(None, Vec::new()).await;
                    return Err(end);
                }
            };
            let settled = self.look_again(&mut snapshot, observation);
            let decision = decide::start(
                &self.request.policy,
                view(&snapshot),
                &self.ask,
                token,
                observation,
                parts.clock.tick(),
            );
            let intent = match decision {
                Decision::Start(intent) => intent,
                other @ (Decision::Deny(_)
                | Decision::Defer(_)
                | Decision::Nothing
                | Decision::ClockBehind(_)
                | Decision::TooLate(_)) => {
                    let end = no(other, &end::state_in_words(&observation.code));
                    let decided = self.entry(EntryKind::Decision, Some(&end));
                    self.renounce(snapshot, settled, decided, observation).await;
                    return Ok(Intended::No(end));
                }
            };
            let (job, tenant) = intent.records();
            let intended = self.entry(EntryKind::Intent, None);
            let entries = settled.into_iter().chain([intended]).collect();
            let mut change = self.job_change(&snapshot, job.clone(), entries);
            change.tenant = Some(self.tenant_write(&snapshot, tenant.clone()));
            let unwritten = match parts.store.commit(change).await {
                Ok(Commit::Done(receipt)) => return Ok(Intended::Yes(mark, intent, receipt)),
                Ok(Commit::Conflict) => {
                    self.core.step_aside(&conflicts).await;
                    conflicts.one_more(&*parts.store)
                }
                // Perhaps it was written all the same. Nothing was sent, and nobody but this
                // attempt can know that: give it back if the store is there to take it.
                Err(error) => Err(error),
            };
            if let Err(error) = unwritten {
                let end = End::from(error);
                self.give_back(&end).await;
                return Err(end);
            }
        }
    }

    fn tenant_write(&self, snapshot: &Snapshot, record: TenantRecord) -> TenantWrite {
        TenantWrite {
            key: self.core.parts.tenant.clone(),
            expected: snapshot.tenant.version,
            record,
        }
    }

    pub(super) async fn load(&self) -> Result<Snapshot, End> {
        let parts = &self.core.parts;
        Ok(parts.store.load(&self.ask.key, &parts.tenant).await?)
    }

    pub(super) fn count_reads(&mut self, cost: Cost) {
        self.cost.reads = self.cost.reads.saturating_add(cost.requests);
        self.cost.request_ids.extend(cost.request_ids);
    }

    pub(super) fn wait_ran_out(&mut self) {
        self.wait_ran_out = true;
    }

    pub(super) fn not_stopped(&self) -> Result<(), End> {
        if self.core.parts.stop.is_cancelled() { Err(End::interrupted()) } else { Ok(()) }
    }

    /// Runs a step that may be left at any point, unless the program is told to stop.
    pub(super) async fn or_stopped<T>(&self, step: impl Future<Output = T>) -> Result<T, End> {
        tokio::select! {
            biased;
            () = self.core.parts.stop.cancelled() => Err(End::interrupted()),
            done = step => Ok(done),
        }
    }

    pub(super) fn answer(&self, end: End) -> Answer {
        let elapsed = self.began.until(self.core.parts.clock.tick());
        Answer {
            job: self.request.job.clone(),
            outcome: end.outcome,
            reason: end.reason,
            message: end::one_line(end.message),
            remedy: end.remedy.map(end::one_line),
            consent: end.consent,
            observed: self.observation.as_ref().map(ObservedFacts::from),
            retry_after_seconds: end.retry_after.map(seconds_rounded_up),
            attempt_id: self.ask.attempt,
            fencing_token: self.token,
            coalesced: false,
            graph: self.cost.clone(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            wait_ran_out: self.wait_ran_out,
        }
    }
}

/// Whether the intent was written.
enum Intended {
    /// Yes: the mark taken before the records were read, the intent and the store's receipt.
    Yes(Tick, Box<Intent>, decide::Receipt),
    /// There was none to write.
    No(End),
}

/// Whether the end of another holder's attempt may change this reason.
fn up_to_the_holder(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::LeaseHeld | Reason::Cooldown | Reason::BudgetExhausted | Reason::InDoubt
    )
}

/// Both records of a snapshot, for the decisions.
pub(super) fn view(snapshot: &Snapshot) -> View<'_> {
    View {
        job: &snapshot.job.record,
        tenant: &snapshot.tenant.record,
        as_of: &snapshot.as_of,
        latest_entry: snapshot.latest_entry,
    }
}

/// The end of a decision that is not a start.
pub(super) fn no(decision: Decision, state: &str) -> End {
    End::of_decision(decision, state).unwrap_or_else(End::interrupted)
}

/// Whole seconds, rounded up: asking again after them is never too early.
fn seconds_rounded_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}
