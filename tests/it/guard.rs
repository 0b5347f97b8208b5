//! The whole guard over a scripted Graph, a memory store and a manual clock.

#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

mod costs;
mod doubt;
mod failpoints;
mod faults;
mod health;
mod operator;
mod pace;
mod sharing;
mod stopping;
mod time;
mod waiting;
mod witness;
mod world;

use startguard::{
    decide::StartReply,
    guard::Request,
    model::{EntryKind, HistoryQuery, JobRef, OutcomeKind, Reason, ScheduleState, StatusCode},
    ports::{GraphError, Store as _},
    testing::{ScriptedGraph, StartStep},
};

use world::{
    COOLDOWN, World, actor, another_job, deferred, failed, job, key, key_of, paused, policy, reply,
    request, running, told,
};

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
async fn the_tenants_budget_holds_over_jobs_and_processes() {
    let world = World::new();
    let mut outcomes = Vec::new();
    for n in 0..11 {
        let other = JobRef { key: key_of(&format!("job{n}")), name: None };
        world.graph.set(&other.key, paused());
        let answer = world.another().start(Request { job: other, ..request() }).await;
        outcomes.push(told(&answer));
    }
    assert_eq!(outcomes.pop(), Some(deferred(Reason::TenantBudgetExhausted)));
    assert!(outcomes.iter().all(|told| told.0 == OutcomeKind::Started), "{outcomes:?}");
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

#[tokio::test]
async fn every_answer_costs_what_it_must() {
    let world = World::new();
    let status = world.guard.status(job(), policy(), actor()).await;
    assert_eq!((status.start.graph.reads, world.graph.reads()), (1, 1), "status: one read");
    assert_eq!(told(&status.start), (OutcomeKind::WouldStart, None));
    world.graph.set(&key(), running());
    let running_already = world.start().await;
    assert_eq!(told(&running_already), (OutcomeKind::AlreadyRunning, None));
    assert_eq!((running_already.graph.reads, running_already.graph.starts), (1, 0));
    world.graph.set(&key(), paused());
    let started = world.start().await;
    assert_eq!((started.graph.reads, started.graph.starts), (1, 1));
    assert_eq!(started.graph.request_ids.len(), 2);
    for dry_run in [false, true] {
        let deferred = world.another().start(Request { dry_run, ..request() }).await;
        assert_eq!((deferred.graph.reads, deferred.graph.starts), (0, 0), "dry: {dry_run}");
    }
    assert_eq!((world.graph.reads(), world.posts()), (3, 1));
}

#[tokio::test]
async fn status_takes_its_turn_at_the_pace_of_requests() {
    let world = World::new();
    // More than the burst that the guard's pace allows, one after the other: none is refused, and
    // time passes.
    let before = startguard::ports::Clock::tick(&*world.clock);
    for _ in 0..1_200 {
        let status = world.guard.status(another_job(), policy(), actor()).await;
        assert_ne!(told(&status.start), deferred(Reason::RateLimited));
    }
    let passed = before.until(startguard::ports::Clock::tick(&*world.clock));
    assert!(passed >= std::time::Duration::from_millis(150), "{passed:?}");
}
