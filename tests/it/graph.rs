//! The Graph adapter over real sockets: against the emulator where it can play the fault, against
//! hand-written servers where it cannot. What went over the wire is counted at the server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper fails its test"
)]

mod http2;
mod pages;
mod payloads;
mod proxy;
mod reads;
mod server;
mod starts;
mod throttle;
mod tokens;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use startguard::{
    clock::SystemClock,
    decide::{self, Ask, Decision, Permit, View},
    emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind, Timing},
    entropy::SystemEntropy,
    graph::{GraphSettings, HttpGraph},
    model::{
        Actor, AttemptId, EntryKind, JobId, JobKey, JobRef, NewEntry, Observation, Policy,
        ScheduleState, ServicePrincipalId, StatusCode, TenantKey, Tick,
    },
    ports::{
        Change, Clock, Commit, Entropy as _, Graph as _, Identity, IdentityError, JobWrite,
        Store as _, TenantWrite, Token,
    },
    store::MemoryStore,
    tls,
};

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";
const JOB: &str = "BoxOutDelta.e4bbf44533ea4eabb17027f3a92e92aa";
/// What every token begins with; it must show up nowhere but in `Authorization`.
const CANARY: &str = "canary-token-";

fn key() -> JobKey {
    JobKey {
        service_principal_id: ServicePrincipalId::parse(SP).expect("a GUID"),
        job_id: JobId::parse(JOB).expect("a job id"),
    }
}

/// An identity that gives `canary-token-N`, where N counts refreshes.
#[derive(Debug, Default)]
struct Tokens {
    asked: AtomicUsize,
    refreshed: AtomicUsize,
    fixed: bool,
}

impl Tokens {
    fn refreshed(&self) -> usize {
        self.refreshed.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Identity for Tokens {
    async fn token(&self, at_least: Duration) -> Result<Token, IdentityError> {
        assert!(at_least > Duration::from_secs(60), "a token must outlive the POST");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let secret = format!("{CANARY}{}", self.refreshed());
        Ok(Token { secret: secret.into(), expires_at: None })
    }

    async fn refresh(&self) -> bool {
        self.refreshed.fetch_add(1, Ordering::SeqCst);
        !self.fixed
    }

    fn describe(&self) -> String {
        "test tokens".to_owned()
    }
}

fn settings(origin: &str) -> GraphSettings {
    GraphSettings {
        origin: origin.to_owned(),
        request_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        read_retries: 2,
    }
}

/// A client for a plain loopback origin.
fn graph(settings: GraphSettings) -> HttpGraph {
    graph_of(settings, Arc::new(Tokens::default()), Arc::new(SystemClock))
}

fn graph_of(settings: GraphSettings, tokens: Arc<Tokens>, clock: Arc<dyn Clock>) -> HttpGraph {
    let tls = tls::trusting_nobody().expect("a TLS set-up");
    HttpGraph::new(settings, tls, tokens, clock, Arc::new(SystemEntropy)).expect("a client")
}

/// Soon enough for a test, far enough for a slow machine.
fn soon() -> Tick {
    SystemClock.tick().after(Duration::from_secs(20))
}

/// An emulator with one paused job, and a fault on one operation.
async fn emulator(rules: impl IntoIterator<Item = FaultRule>) -> Emulator {
    let timing = Timing { start_delay: Duration::ZERO, ..Timing::default() };
    let mut builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing);
    for rule in rules {
        builder = builder.fault(rule);
    }
    builder.start().await.expect("an emulator")
}

fn fault(operation: OperationKind, effect: Effect) -> [FaultRule; 1] {
    [FaultRule::on(operation, effect)]
}

/// A permit, come by as the guard comes by one: lease, decision, durable intent.
async fn permit(clock: Arc<dyn Clock>, request_timeout: Duration) -> Permit {
    let n = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let policy = Policy {
        cooldown: Duration::from_secs(600),
        max_starts: n(3),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: n(10),
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout,
        needs_consent: Vec::new(),
        auto_reasons: Vec::new(),
    };
    let attempt = AttemptId(SystemEntropy.uuid(clock.wall()));
    let ask = Ask {
        key: key(),
        attempt,
        actor: Actor("test".to_owned()),
        holder: "test".to_owned(),
        accept: Vec::new(),
    };
    let tenant = TenantKey::new(None, "test");
    let store = MemoryStore::new(Arc::clone(&clock));
    let mark = clock.tick();
    let mut snapshot = store.load(&ask.key, &tenant).await.expect("a store");
    let granted = {
        let view = View {
            job: &snapshot.job.record,
            tenant: &snapshot.tenant.record,
            as_of: &snapshot.as_of,
            latest_entry: None,
        };
        decide::acquire(&policy, view, &ask).expect("a lease")
    };
    snapshot.job.record = granted.record;
    let observation = Observation {
        code: StatusCode::Paused,
        schedule: ScheduleState::Disabled,
        quarantine: None,
        escrows_pruned: false,
        read_at: clock.wall(),
        began: mark,
    };
    let view = View {
        job: &snapshot.job.record,
        tenant: &snapshot.tenant.record,
        as_of: &snapshot.as_of,
        latest_entry: None,
    };
    let decision = decide::start(&policy, view, &ask, granted.token, &observation, clock.tick());
    let Decision::Start(intent) = decision else { panic!("no start: {decision:?}") };
    let (record, tenant_record) = intent.records();
    let entry = NewEntry {
        attempt: Some(attempt),
        job: JobRef { key: key(), name: None },
        kind: EntryKind::Intent,
        actor: Actor("test".to_owned()),
        observed: None,
        outcome: None,
        reason: None,
        note: None,
        token: Some(granted.token),
        request_ids: Vec::new(),
    };
    let change = Change {
        job: Some(JobWrite {
            key: key(),
            expected: snapshot.job.version,
            record: record.clone(),
            entries: vec![entry],
        }),
        tenant: Some(TenantWrite {
            key: tenant,
            expected: snapshot.tenant.version,
            record: tenant_record.clone(),
        }),
    };
    let Commit::Done(receipt) = store.commit(change).await.expect("a commit") else {
        panic!("a conflict in a store of one's own")
    };
    intent.permit(receipt, mark).expect("a permit")
}

/// Authorizes and starts, as the guard does.
async fn start(graph: &HttpGraph) -> (decide::StartReply, startguard::ports::Cost) {
    graph.authorize().await.expect("a token");
    graph.start(permit(Arc::new(SystemClock), Duration::from_secs(5)).await).await
}

/// Nothing that is shown may carry the token.
fn assert_no_token(shown: &impl std::fmt::Debug) {
    let shown = format!("{shown:?}");
    assert!(!shown.contains(CANARY), "{shown}");
}
