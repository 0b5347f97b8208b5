//! A world in memory: a scripted Graph, a store whose calls can go wrong, and a manual clock.

use std::{
    num::NonZeroU32,
    sync::{Arc, Once},
    time::Duration,
};

use startguard::{
    guard::{Guard, PaceSettings, Parts, Request},
    model::{
        Actor, Answer, HistoryQuery, Job, JobId, JobKey, JobRecord, JobRef, OutcomeKind, Policy,
        Reason, Reply, ScheduleState, ServicePrincipalId, StatusCode, TenantKey, Timestamp,
    },
    ports::{GraphError, Store as _},
    store::MemoryStore,
    testing::{CountingEntropy, FaultyStore, ManualClock, ScriptedGraph, StoreFault},
};
use tokio_util::sync::CancellationToken;

pub(super) const COOLDOWN: Duration = Duration::from_secs(600);

/// Everything that processes on one machine share, and one process.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) graph: Arc<ScriptedGraph>,
    pub(super) store: Arc<FaultyStore>,
    pub(super) stop: CancellationToken,
    pub(super) guard: Guard,
    entropy: Arc<CountingEntropy>,
}

pub(super) fn key() -> JobKey {
    key_of("BoxOutDelta.1")
}

pub(super) fn key_of(job: &str) -> JobKey {
    JobKey {
        service_principal_id: ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b")
            .expect("a GUID"),
        job_id: JobId::parse(job).expect("a job id"),
    }
}

pub(super) fn job() -> JobRef {
    JobRef { key: key(), name: Some("box".to_owned()) }
}

pub(super) fn another_job() -> JobRef {
    JobRef { key: key_of("other"), name: None }
}

pub(super) fn actor() -> Actor {
    Actor("alice@ops1".to_owned())
}

pub(super) fn policy() -> Policy {
    let n = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Policy {
        cooldown: COOLDOWN,
        max_starts: n(3),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: n(10),
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        needs_consent: vec!["TooManyDeletes".to_owned()],
        auto_reasons: Vec::new(),
    }
}

pub(super) fn request() -> Request {
    Request {
        job: job(),
        policy: policy(),
        actor: actor(),
        accept: Vec::new(),
        reason: Some("repaired".to_owned()),
        dry_run: false,
        lease_wait: Duration::ZERO,
        wait: None,
    }
}

pub(super) fn waiting(seconds: u64) -> Request {
    Request { wait: Some(Duration::from_secs(seconds)), ..request() }
}

pub(super) fn paused() -> Job {
    ScriptedGraph::job(StatusCode::Paused, ScheduleState::Disabled)
}

pub(super) fn running() -> Job {
    ScriptedGraph::job(StatusCode::Active, ScheduleState::Active)
}

impl World {
    /// A paused job, and nothing ever done to it.
    pub(super) fn new() -> Self {
        log_everything();
        let noon = "2026-11-23T12:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Arc::new(ManualClock::new(noon));
        let graph = Arc::new(ScriptedGraph::new(clock.clone()));
        graph.set(&key(), paused());
        let memory = Arc::new(MemoryStore::new(clock.clone()));
        let store = Arc::new(FaultyStore::new(memory, clock.clone()));
        let (entropy, stop) = (Arc::default(), CancellationToken::new());
        let guard = process(&clock, &graph, &store, &entropy, &stop, plenty());
        Self { clock, graph, store, stop, guard, entropy }
    }

    /// Another process: a guard of its own over the same store and Graph.
    pub(super) fn another(&self) -> Guard {
        self.paced(plenty())
    }

    /// Another process, with a pace.
    pub(super) fn paced(&self, pace: PaceSettings) -> Guard {
        let stop = CancellationToken::new();
        process(&self.clock, &self.graph, &self.store, &self.entropy, &stop, pace)
    }

    /// What another process is made of.
    pub(super) fn parts(&self) -> Parts {
        let stop = CancellationToken::new();
        parts(&self.clock, &self.graph, &self.store, &self.entropy, &stop, plenty())
    }

    /// Another process, with a pace, which is told to stop with this one.
    pub(super) fn stoppable(&self, pace: PaceSettings) -> Guard {
        process(&self.clock, &self.graph, &self.store, &self.entropy, &self.stop, pace)
    }

    pub(super) async fn start(&self) -> Answer {
        self.guard.start(request()).await
    }

    /// An ask under way in a task of its own.
    pub(super) fn spawn(&self, request: Request) -> tokio::task::JoinHandle<Answer> {
        let guard = self.guard.clone();
        tokio::spawn(async move { guard.start(request).await })
    }

    /// The next reads do not reach Graph.
    pub(super) fn next_reads_fail(&self, times: usize) {
        for _ in 0..times {
            let problem = "connection refused".to_owned();
            self.graph.next_read_fails(GraphError::Unavailable { problem });
        }
    }

    /// A start that works, and after whose POST every call of the store goes like this.
    pub(super) async fn start_before(&self, fault: StoreFault) -> Answer {
        self.graph.close_gate();
        let start = self.spawn(request());
        until(|| self.graph.reads() == 1).await;
        self.graph.open_and_close_gate();
        until(|| self.posts() == 1).await;
        self.store.fault_from_now_on(Some(fault));
        self.graph.open_gate();
        let answer = start.await.expect("an answer");
        self.store.fault_from_now_on(None);
        answer
    }

    pub(super) fn posts(&self) -> usize {
        self.graph.posts(&key()).len()
    }

    pub(super) async fn record(&self) -> JobRecord {
        let tenant = TenantKey::new(None, "https://graph.microsoft.com");
        self.store.load(&key(), &tenant).await.expect("a record").job.record
    }

    /// The journal, oldest first, in words.
    pub(super) async fn journal(&self) -> Vec<String> {
        let query = HistoryQuery { job: Some(key()), ..HistoryQuery::default() };
        let entries = self.guard.store().history(&query).await.expect("a journal");
        let words = |e: &startguard::model::JournalEntry| match e.facts.outcome {
            None => e.facts.kind.to_string(),
            Some(outcome) => match e.facts.reason {
                None => format!("{} {outcome}", e.facts.kind),
                Some(reason) => format!("{} {outcome} {reason}", e.facts.kind),
            },
        };
        entries.iter().rev().map(words).collect()
    }
}

/// Makes every word of the log, and throws it away: what is told there is code like any other.
fn log_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::sink)
            .finish();
        // Another test of this process may have set one already.
        drop(tracing::subscriber::set_global_default(log));
    });
}

/// A pace that binds nobody.
fn plenty() -> PaceSettings {
    let plenty = NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN);
    PaceSettings { requests_per_second: plenty, burst: plenty, patience: Duration::from_secs(10) }
}

fn process(
    clock: &Arc<ManualClock>,
    graph: &Arc<ScriptedGraph>,
    store: &Arc<FaultyStore>,
    entropy: &Arc<CountingEntropy>,
    stop: &CancellationToken,
    pace: PaceSettings,
) -> Guard {
    Guard::new(parts(clock, graph, store, entropy, stop, pace))
}

fn parts(
    clock: &Arc<ManualClock>,
    graph: &Arc<ScriptedGraph>,
    store: &Arc<FaultyStore>,
    entropy: &Arc<CountingEntropy>,
    stop: &CancellationToken,
    pace: PaceSettings,
) -> Parts {
    Parts {
        store: store.clone(),
        graph: graph.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        tenant: TenantKey::new(None, "https://graph.microsoft.com"),
        pace,
        process: "pid 1".to_owned(),
        stop: stop.clone(),
    }
}

/// Lets others run until `level` holds.
pub(super) async fn until(level: impl Fn() -> bool) {
    while !level() {
        tokio::task::yield_now().await;
    }
}

pub(super) fn told(answer: &Answer) -> (OutcomeKind, Option<Reason>) {
    (answer.outcome, answer.reason)
}

pub(super) fn deferred(reason: Reason) -> (OutcomeKind, Option<Reason>) {
    (OutcomeKind::Deferred, Some(reason))
}

pub(super) fn failed(reason: Reason) -> (OutcomeKind, Option<Reason>) {
    (OutcomeKind::Failed, Some(reason))
}

pub(super) fn reply(status: u16) -> Reply {
    Reply { status, code: None, message: None, request_id: None }
}
