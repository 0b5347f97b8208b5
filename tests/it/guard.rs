//! The whole guard over a scripted Graph, a memory store and a manual clock.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use startguard::{
    decide::StartReply,
    guard::{Guard, Operated, PaceSettings, Parts, Request},
    model::{
        Actor, Answer, EntryKind, HistoryQuery, JobId, JobKey, JobRef, OutcomeKind, Policy, Reason,
        Reply, ScheduleState, ServicePrincipalId, StatusCode, TenantKey, Timestamp,
    },
    ports::{Clock as _, GraphError, Store},
    store::MemoryStore,
    testing::{CountingEntropy, ManualClock, ScriptedGraph, StartStep},
};
use tokio_util::sync::CancellationToken;

const COOLDOWN: Duration = Duration::from_secs(600);

struct World {
    clock: Arc<ManualClock>,
    graph: Arc<ScriptedGraph>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    guard: Guard,
}

fn key() -> JobKey {
    JobKey {
        service_principal_id: ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b")
            .expect("a GUID"),
        job_id: JobId::parse("BoxOutDelta.1").expect("a job id"),
    }
}

fn job() -> JobRef {
    JobRef { key: key(), name: Some("box".to_owned()) }
}

fn actor() -> Actor {
    Actor("alice@ops1".to_owned())
}

fn policy() -> Policy {
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

fn request() -> Request {
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

fn paused() -> startguard::model::Job {
    ScriptedGraph::job(StatusCode::Paused, ScheduleState::Disabled)
}

impl World {
    fn new() -> Self {
        let noon = "2026-11-23T12:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Arc::new(ManualClock::new(noon));
        let graph = Arc::new(ScriptedGraph::new(clock.clone()));
        graph.set(&key(), paused());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
        let stop = CancellationToken::new();
        let guard = Self::process(&clock, &graph, &store, &stop);
        Self { clock, graph, store, stop, guard }
    }

    /// Another process: a guard of its own over the same store and Graph.
    fn process(
        clock: &Arc<ManualClock>,
        graph: &Arc<ScriptedGraph>,
        store: &Arc<dyn Store>,
        stop: &CancellationToken,
    ) -> Guard {
        Guard::new(Parts {
            store: Arc::clone(store),
            graph: graph.clone(),
            clock: clock.clone(),
            entropy: Arc::new(CountingEntropy::default()),
            tenant: TenantKey::new(None, "https://graph.microsoft.com"),
            pace: PaceSettings {
                requests_per_second: NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN),
                burst: NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN),
            },
            process: "pid 1".to_owned(),
            stop: stop.clone(),
        })
    }

    fn another(&self) -> Guard {
        Self::process(&self.clock, &self.graph, &self.store, &self.stop)
    }

    async fn start(&self) -> Answer {
        self.guard.start(request()).await
    }

    fn posts(&self) -> usize {
        self.graph.posts(&key()).len()
    }

    /// The journal, oldest first, in words.
    async fn journal(&self) -> Vec<String> {
        let query = HistoryQuery { job: Some(key()), ..HistoryQuery::default() };
        let entries = self.store.history(&query).await.expect("a journal");
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

fn told(answer: &Answer) -> (OutcomeKind, Option<Reason>) {
    (answer.outcome, answer.reason)
}

fn deferred(reason: Reason) -> (OutcomeKind, Option<Reason>) {
    (OutcomeKind::Deferred, Some(reason))
}

fn failed(reason: Reason) -> (OutcomeKind, Option<Reason>) {
    (OutcomeKind::Failed, Some(reason))
}

fn reply(status: u16) -> Reply {
    Reply { status, code: None, message: None, request_id: None }
}

#[tokio::test]
async fn a_start_costs_one_read_and_one_post() {
    let world = World::new();
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::Started, None), "{answer:?}");
    assert_eq!((answer.graph.reads, answer.graph.starts), (1, 1));
    assert_eq!(answer.fencing_token.map(|token| token.0), Some(1));
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
    assert_eq!(world.graph.violations(), 0);
}

#[tokio::test]
async fn a_second_start_is_deferred_without_a_request() {
    let world = World::new();
    world.start().await;
    world.graph.set(&key(), paused());
    let again = world.another().start(request()).await;
    assert_eq!(told(&again), deferred(Reason::Cooldown));
    assert_eq!(again.retry_after_seconds, Some(600));
    assert_eq!((again.graph.reads, again.graph.starts), (0, 0));
    assert_eq!((world.graph.reads(), world.posts()), (1, 1));
    world.clock.advance(COOLDOWN);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_denial_by_state_costs_one_read_and_no_post() {
    let table = [
        ("NotRun", "Disabled", (OutcomeKind::Denied, Some(Reason::NotRun))),
        ("NotRun", "Active", (OutcomeKind::AlreadyRunning, None)),
        ("NotConfigured", "Disabled", (OutcomeKind::Denied, Some(Reason::NotConfigured))),
        ("Active", "Active", (OutcomeKind::AlreadyRunning, None)),
        ("Waiting", "Active", (OutcomeKind::Denied, Some(Reason::UnknownState))),
        ("", "Active", (OutcomeKind::Denied, Some(Reason::UnknownState))),
    ];
    for (code, schedule, expected) in table {
        let world = World::new();
        let code = StatusCode::parse(Some(code));
        world
            .graph
            .set(&key(), ScriptedGraph::job(code.clone(), ScheduleState::parse(Some(schedule))));
        let answer = world.start().await;
        assert_eq!(told(&answer), expected, "{code} {schedule}");
        assert_eq!((world.graph.reads(), world.posts()), (1, 0), "{code} {schedule}");
        assert_eq!(world.journal().await.len(), 1);
        let again = world.start().await;
        assert_eq!(told(&again), expected, "the lease was released");
    }
}

#[tokio::test]
async fn consent_is_asked_for_by_name_and_taken_by_name() {
    let world = World::new();
    world.graph.set(&key(), ScriptedGraph::quarantined("TooManyDeletes"));
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::Denied, Some(Reason::NeedsConsent)));
    assert_eq!(answer.consent.as_deref(), Some(&["TooManyDeletes".to_owned()][..]));
    let accept = vec!["TooManyDeletes".to_owned()];
    let answer = world.guard.start(Request { accept, ..request() }).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn two_hundred_callers_of_one_process_share_one_attempt() {
    let world = World::new();
    world.graph.close_gate();
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let guard = world.guard.clone();
            tokio::spawn(async move { guard.start(request()).await })
        })
        .collect();
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    world.graph.open_gate();
    let mut coalesced = 0;
    for caller in callers {
        let answer = caller.await.expect("an answer");
        assert_eq!(answer.outcome, OutcomeKind::Started);
        coalesced += u32::from(answer.coalesced);
    }
    assert_eq!(coalesced, 199);
    assert_eq!((world.graph.reads(), world.posts()), (1, 1));
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_nothing() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let leader = tokio::spawn(async move { guard.start(request()).await });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    let guard = world.guard.clone();
    let follower = tokio::spawn(async move { guard.start(request()).await });
    tokio::task::yield_now().await;
    world.graph.open_gate();
    let answer = follower.await.expect("an answer");
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(answer.coalesced);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn another_process_sees_who_is_at_it() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let first = tokio::spawn(async move { guard.start(request()).await });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    let second = world.another().start(request()).await;
    assert_eq!(told(&second), deferred(Reason::LeaseHeld));
    assert!(second.message.contains("alice@ops1 (pid 1)"), "{}", second.message);
    world.graph.open_gate();
    assert_eq!(first.await.expect("an answer").outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_lost_answer_that_worked_is_found_by_a_read() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: true });
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::Started, None), "{answer:?}");
    assert_eq!((answer.graph.reads, answer.graph.starts), (2, 1));
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_lost_answer_without_effect_stays_in_doubt_and_is_never_repeated() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    assert_eq!(world.posts(), 1);
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
    // Inside the cool-down a later ask looks, and does not start.
    let again = world.another().start(request()).await;
    assert_eq!(told(&again), deferred(Reason::InDoubt));
    assert_eq!((again.graph.reads, again.graph.starts), (1, 0));
    // A crowd costs no further reads.
    let third = world.another().start(request()).await;
    assert_eq!(told(&third), deferred(Reason::InDoubt));
    assert_eq!(third.graph.reads, 0);
    world.clock.advance(COOLDOWN);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 2);
}

#[tokio::test]
async fn a_doubt_that_worked_after_all_is_settled_by_the_next_ask() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    world.start().await;
    world.graph.set(&key(), ScriptedGraph::job(StatusCode::Active, ScheduleState::Active));
    let next = world.another().start(request()).await;
    assert_eq!(told(&next), (OutcomeKind::AlreadyRunning, None));
    let journal = world.journal().await;
    assert_eq!(
        journal,
        ["intent", "outcome inDoubt", "settled started", "decision alreadyRunning"]
    );
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown), "settled, and counted");
}

#[tokio::test]
async fn a_process_held_up_past_its_lease_does_not_post() {
    let world = World::new();
    world.graph.next_start(StartStep::HeldUp(Duration::from_secs(61)));
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!(world.posts(), 0);
    assert_eq!(world.journal().await, ["intent", "outcome failed timeout"]);
    // Proof that nothing was sent gives the intent back: no cool-down.
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_slow_read_never_leads_to_a_start_on_stale_news() {
    let world = World::new();
    world.graph.next_read_takes(Duration::from_secs(6));
    assert_eq!(told(&world.start().await), failed(Reason::Timeout));
    world.graph.next_read_takes(Duration::from_secs(70));
    assert_eq!(told(&world.start().await), failed(Reason::Timeout));
    assert_eq!(world.posts(), 0);
}

#[tokio::test]
async fn a_refused_start_is_counted_and_not_repeated() {
    for (status, reason) in [
        (400, Reason::BadResponse),
        (401, Reason::Authentication),
        (403, Reason::Forbidden),
        (404, Reason::NotFound),
        (409, Reason::BadResponse),
    ] {
        let world = World::new();
        let rejected = StartReply::Rejected(reply(status));
        world.graph.next_start(StartStep::Answers(rejected));
        let answer = world.start().await;
        assert_eq!(told(&answer), failed(reason), "{status}");
        assert_eq!(told(&world.start().await), deferred(Reason::Cooldown), "{status}");
        assert_eq!(world.posts(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_throttled_start_makes_the_whole_tenant_wait() {
    let world = World::new();
    let wait = Some(Duration::from_secs(900));
    world.graph.next_start(StartStep::Answers(StartReply::Throttled {
        reply: reply(429),
        retry_after: wait,
    }));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!(answer.retry_after_seconds, Some(900));
    let other = JobRef {
        key: JobKey { job_id: JobId::parse("other").expect("a job id"), ..key() },
        name: None,
    };
    world.graph.set(&other.key, paused());
    let reads = world.graph.reads();
    let answer = world.another().start(Request { job: other.clone(), ..request() }).await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    let status = world.another().status(other.clone(), policy(), actor()).await;
    assert!(status.read_failed);
    assert_eq!(told(&status.start), deferred(Reason::Throttled));
    assert!(world.guard.jobs(&other.key.service_principal_id).await.is_err());
    assert_eq!(world.graph.reads(), reads, "told to wait, nobody asks");
    world.clock.advance(Duration::from_secs(900));
    let answer = world.another().start(Request { job: other, ..request() }).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_retry_after_met_by_a_read_is_kept_for_everyone() {
    let world = World::new();
    world.graph.next_read_throttles(429, Duration::from_secs(120));
    world.graph.next_read_fails(GraphError::Throttled {
        reply: reply(429),
        retry_after: Some(Duration::from_secs(120)),
    });
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!(answer.retry_after_seconds, Some(120));
    let again = world.another().start(request()).await;
    assert_eq!(told(&again), deferred(Reason::Throttled));
    assert_eq!(world.graph.reads(), 1);
}

#[tokio::test]
async fn five_failures_in_a_row_give_graph_a_rest_and_a_read_probes() {
    let world = World::new();
    let down = || GraphError::Unavailable { problem: "connection refused".to_owned() };
    for _ in 0..5 {
        world.graph.next_read_fails(down());
        let answer = world.another().start(request()).await;
        assert_eq!(told(&answer), failed(Reason::GraphUnavailable));
    }
    let answer = world.another().start(request()).await;
    assert_eq!(told(&answer), deferred(Reason::BreakerOpen));
    assert_eq!((world.graph.reads(), world.posts()), (5, 0));
    world.clock.advance(Duration::from_secs(30));
    let probe = world.another().start(request()).await;
    assert_eq!(probe.outcome, OutcomeKind::Started, "the read was the probe");
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn an_unsent_start_is_given_back() {
    let world = World::new();
    let problem = "connection refused".to_owned();
    world.graph.next_start(StartStep::Answers(StartReply::NotSent { problem }));
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::GraphUnavailable));
    assert_eq!(answer.graph.starts, 0);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_dry_run_changes_and_spends_nothing() {
    let world = World::new();
    for _ in 0..2 {
        let answer = world.guard.start(Request { dry_run: true, ..request() }).await;
        assert_eq!(told(&answer), (OutcomeKind::WouldStart, None));
        assert_eq!(answer.fencing_token, None);
    }
    assert_eq!(world.posts(), 0);
    assert!(world.journal().await.is_empty());
    world.start().await;
    let reads = world.graph.reads();
    let answer = world.guard.start(Request { dry_run: true, ..request() }).await;
    assert_eq!(told(&answer), deferred(Reason::Cooldown));
    assert_eq!(world.graph.reads(), reads);
}

#[tokio::test]
async fn a_hold_stops_every_start_until_it_is_lifted() {
    let world = World::new();
    let held = world.guard.hold(&job(), &actor(), "bulk load", None).await.expect("held");
    assert_eq!(held, Operated::Held(None));
    let answer = world.another().start(request()).await;
    assert_eq!(told(&answer), deferred(Reason::OnHold));
    assert_eq!(answer.retry_after_seconds, None);
    assert_eq!(world.graph.reads(), 0);
    assert_eq!(world.guard.release(&job(), &actor()).await.expect("done"), Operated::Released);
    assert_eq!(world.guard.release(&job(), &actor()).await.expect("done"), Operated::NotHeld);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    assert_eq!(world.journal().await, ["hold", "release", "intent", "outcome started"]);
}

#[tokio::test]
async fn a_hold_placed_while_the_job_is_read_stops_the_start() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let start = tokio::spawn(async move { guard.start(request()).await });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    world.another().hold(&job(), &actor(), "stop", None).await.expect("held");
    world.graph.open_gate();
    assert_eq!(told(&start.await.expect("an answer")), deferred(Reason::OnHold));
    assert_eq!(world.posts(), 0);
}

#[tokio::test]
async fn a_reset_gives_the_budget_back_and_not_the_cooldown() {
    let world = World::new();
    for n in 0..3 {
        world.graph.set(&key(), paused());
        assert_eq!(world.start().await.outcome, OutcomeKind::Started, "{n}");
        world.clock.advance(COOLDOWN);
    }
    world.graph.set(&key(), paused());
    assert_eq!(told(&world.start().await), deferred(Reason::BudgetExhausted));
    let reset = world.guard.reset(&job(), &actor(), "target repaired").await.expect("done");
    assert_eq!(reset, Operated::Reset(3));
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    world.guard.reset(&job(), &actor(), "again").await.expect("done");
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown));
}

#[tokio::test]
async fn the_tenants_budget_holds_over_jobs_and_processes() {
    let world = World::new();
    let mut outcomes = Vec::new();
    for n in 0..11 {
        let job_id = JobId::parse(&format!("job{n}")).expect("a job id");
        let other = JobRef { key: JobKey { job_id, ..key() }, name: None };
        world.graph.set(&other.key, paused());
        let answer = world.another().start(Request { job: other, ..request() }).await;
        outcomes.push(told(&answer));
    }
    assert_eq!(outcomes.pop(), Some(deferred(Reason::TenantBudgetExhausted)));
    assert!(outcomes.iter().all(|told| told.0 == OutcomeKind::Started), "{outcomes:?}");
}

#[tokio::test]
async fn a_clock_set_back_keeps_starts_off() {
    let world = World::new();
    world.start().await;
    world.graph.set(&key(), paused());
    let yesterday = world.clock.wall().saturating_sub(Duration::from_secs(86_400));
    world.clock.set_wall(yesterday.unwrap_or(Timestamp::MIN));
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::StoreUnavailable));
    assert!(answer.message.contains("clock"), "{}", answer.message);
    assert_eq!((world.graph.reads(), world.posts()), (1, 1));
}

#[tokio::test]
async fn a_clock_set_forward_does_not_end_the_cooldown() {
    let world = World::new();
    world.start().await;
    world.graph.set(&key(), paused());
    let later = world.clock.wall().saturating_add(Duration::from_secs(30 * 86_400));
    world.clock.set_wall(later.unwrap_or(Timestamp::MAX));
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown));
}

#[tokio::test]
async fn told_to_stop_an_attempt_ends_before_the_intent_and_frees_its_lease() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let start = tokio::spawn(async move { guard.start(request()).await });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!(world.posts(), 0);
    world.graph.open_gate();
    let fresh = World::process(&world.clock, &world.graph, &world.store, &CancellationToken::new());
    assert_eq!(fresh.start(request()).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn told_to_stop_a_post_in_flight_is_given_its_answer() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let start = tokio::spawn(async move { guard.start(request()).await });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    // Let the read through and stop at the POST.
    world.graph.open_gate();
    world.graph.close_gate();
    while world.posts() == 0 {
        tokio::task::yield_now().await;
    }
    world.stop.cancel();
    world.graph.open_gate();
    assert_eq!(start.await.expect("an answer").outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_crash_after_the_intent_counts_and_the_next_ask_looks() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    // A crash: the whole process goes, its runtime with it.
    let crash = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let world_graph = guard.clone();
        runtime.block_on(async move {
            let start = tokio::spawn(async move { world_graph.start(request()).await });
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            drop(start);
        });
    });
    while world.graph.reads() == 0 {
        tokio::task::yield_now().await;
    }
    crash.join().expect("crashed as planned");
    world.graph.open_gate();
    assert_eq!(world.posts(), 0);
    // Crashed while reading: the lease alone is left, and frees itself.
    let busy = world.another().start(request()).await;
    assert_eq!(told(&busy), deferred(Reason::LeaseHeld));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
}

#[tokio::test]
async fn a_loop_in_one_process_is_paced_before_it_costs_anything() {
    let world = World::new();
    world.graph.set(&key(), ScriptedGraph::job(StatusCode::Active, ScheduleState::Active));
    let mut limited = 0;
    for _ in 0..20 {
        let answer = world.start().await;
        if told(&answer) == deferred(Reason::RateLimited) {
            assert_eq!(answer.retry_after_seconds, Some(1));
            limited += 1;
        }
    }
    assert_eq!((limited, world.graph.reads()), (15, 5));
}

#[tokio::test]
async fn waiting_stays_until_the_job_has_left_paused() {
    let world = World::new();
    let wait = Some(Duration::from_secs(60));
    let answer = world.guard.start(Request { wait, ..request() }).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(answer.message.ends_with("now Active"), "{}", answer.message);
    assert!(!answer.wait_ran_out);
    assert_eq!(answer.graph.reads, 2);
}

#[tokio::test]
async fn waiting_that_runs_out_says_so_and_keeps_the_outcome() {
    let world = World::new();
    world.graph.next_start(StartStep::Answers(StartReply::Accepted));
    let wait = Some(Duration::from_secs(20));
    let answer = world.guard.start(Request { wait, ..request() }).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(answer.wait_ran_out);
}

#[tokio::test]
async fn what_was_observed_is_in_the_journal_before_the_start_wipes_it() {
    let world = World::new();
    world.graph.set(&key(), ScriptedGraph::quarantined("EncounteredQuarantineException"));
    world.start().await;
    let entries = world.store.history(&HistoryQuery::default()).await.expect("a journal");
    let intent = entries.iter().find(|entry| entry.facts.kind == EntryKind::Intent);
    let observed = intent.and_then(|entry| entry.facts.observed.as_ref());
    let quarantine = observed.and_then(|observed| observed.quarantine.as_ref());
    assert_eq!(quarantine.and_then(|q| q.series_count), Some(3));
    assert_eq!(intent.and_then(|entry| entry.facts.note.as_deref()), Some("repaired"));
}

#[tokio::test]
async fn no_token_means_no_lease_and_no_request() {
    let world = World::new();
    world.graph.next_authorize_fails(GraphError::Unauthorized(reply(401)));
    assert_eq!(told(&world.start().await), failed(Reason::Authentication));
    assert_eq!((world.graph.reads(), world.posts()), (0, 0));
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}
