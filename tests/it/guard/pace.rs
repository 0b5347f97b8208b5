//! The pace of requests holds over all processes that share the store.

use std::{num::NonZeroU32, time::Duration};

use startguard::{
    guard::{Guard, PaceSettings, Request},
    model::{JobRef, OutcomeKind, Reason, TenantKey},
    ports::{Clock as _, GraphError, SpLookup, Store as _},
    testing::StoreFault,
};

use super::world::{
    World, actor, another_job, deferred, failed, job, key_of, paused, policy, reply, request,
    running, told, until,
};

pub(super) fn pace(requests_per_second: u32, burst: u32, patience: u64) -> PaceSettings {
    let n = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    PaceSettings {
        requests_per_second: n(requests_per_second),
        burst: n(burst),
        patience: Duration::from_secs(patience),
    }
}

async fn look(guard: &Guard) {
    let report = guard.status(job(), policy(), actor()).await;
    assert!(!report.read_failed, "{report:?}");
}

/// Requests that the tenant's record has granted and that time has not yet brought.
async fn backlog(world: &World) -> Duration {
    let tenant = TenantKey::new(None, "https://graph.microsoft.com");
    let (tenant, as_of) = world.store.load_tenant(&tenant).await.expect("a record");
    tenant.record.pace.and_then(|pace| pace.remaining(&as_of)).unwrap_or_default()
}

#[tokio::test]
async fn two_processes_together_ask_no_faster_than_one_may() {
    let world = World::new();
    let (a, b) = (world.paced(pace(5, 10, 60)), world.paced(pace(5, 10, 60)));
    assert_eq!(a.start(request()).await.outcome, OutcomeKind::Started);
    world.clock.advance(Duration::from_secs(60));
    let began = world.clock.tick();
    for _ in 0..30 {
        look(&a).await;
        look(&b).await;
    }
    let took = began.until(world.clock.tick());
    // Sixty reads, of which ten go out at once.
    assert!(took >= Duration::from_secs(10), "{took:?}");
    assert!(took <= Duration::from_secs(15), "{took:?}");
}

#[tokio::test]
async fn a_start_is_charged_for_its_two_requests_with_its_lease() {
    let world = World::new();
    let guard = world.paced(pace(5, 10, 0));
    assert_eq!(guard.start(request()).await.outcome, OutcomeKind::Started);
    assert_eq!((world.store.calls(), world.store.commits()), (7, 3));
    assert_eq!(backlog(&world).await, Duration::from_millis(400));
}

#[tokio::test]
async fn a_start_that_would_wait_too_long_costs_no_request_and_takes_no_lease() {
    let world = World::new();
    let other = Request { job: another_job(), ..request() };
    world.graph.set(&other.job.key, paused());
    assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
    let (reads, late) = (world.graph.reads(), world.paced(pace(1, 2, 0)));
    let answer = late.start(other.clone()).await;
    assert_eq!(told(&answer), deferred(Reason::RateLimited), "{answer:?}");
    assert_eq!(answer.retry_after_seconds, Some(2));
    assert_eq!((world.graph.reads(), answer.graph.starts), (reads, 0));
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(late.start(other).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_start_that_waits_for_its_turn_takes_its_lease_after_it() {
    let world = World::new();
    let other = Request { job: another_job(), ..request() };
    world.graph.set(&other.job.key, paused());
    assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
    let (began, commits) = (world.clock.tick(), world.store.commits());
    assert_eq!(world.paced(pace(1, 2, 10)).start(other).await.outcome, OutcomeKind::Started);
    assert!(began.until(world.clock.tick()) >= Duration::from_secs(2));
    assert_eq!(world.store.commits() - commits, 4, "its turn, and a start's three");
}

#[tokio::test]
async fn what_a_start_did_not_send_serves_the_next_read() {
    let world = World::new();
    world.graph.set(&job().key, running());
    let guard = world.paced(pace(5, 10, 0));
    assert_eq!(guard.start(request()).await.outcome, OutcomeKind::AlreadyRunning);
    let commits = world.store.commits();
    look(&guard).await;
    assert_eq!(world.store.commits(), commits, "the POST that was not sent");
    look(&guard).await;
    assert_eq!(world.store.commits(), commits + 1);
}

#[tokio::test]
async fn reads_in_quick_succession_are_not_a_commit_each() {
    let world = World::new();
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    let (guard, commits) = (world.paced(pace(50, 100, 10)), world.store.commits());
    for _ in 0..60 {
        look(&guard).await;
    }
    let commits = world.store.commits() - commits;
    assert!(commits <= 6, "{commits}: 1, 2, 4, 8, 16, 32");
    assert!(backlog(&world).await >= Duration::from_millis(60 * 20), "all of them are counted");
}

#[tokio::test]
async fn with_the_store_away_reads_go_on_at_the_pace_of_their_process() {
    let world = World::new();
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    let guard = world.paced(pace(5, 10, 60));
    world.store.fault_from_now_on(Some(StoreFault::Away));
    let began = world.clock.tick();
    for _ in 0..30 {
        look(&guard).await;
    }
    let took = began.until(world.clock.tick());
    assert!((4_000..4_500).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn those_who_only_look_share_the_pace_from_the_first_read_on() {
    let world = World::new();
    let (a, b) = (world.paced(pace(1, 2, 60)), world.paced(pace(1, 2, 60)));
    let began = world.clock.tick();
    for _ in 0..5 {
        look(&a).await;
        look(&b).await;
    }
    let took = began.until(world.clock.tick());
    assert!(took >= Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_wait_for_the_job_is_paced_too() {
    let world = World::new();
    let lists = world.paced(pace(1, 2, 60));
    let waiting = Request { wait: Some(Duration::from_secs(60)), ..request() };
    world.graph.next_start(startguard::testing::StartStep::Lost { effect: false });
    let (began, answer) = (world.clock.tick(), lists.start(waiting).await);
    assert_eq!(answer.outcome, OutcomeKind::InDoubt, "{answer:?}");
    let took = began.until(world.clock.tick()).as_secs();
    let asked = u64::from(answer.graph.reads + answer.graph.starts);
    assert!(asked > 8, "{answer:?}");
    assert!(asked <= 2 + took, "{asked} in {took} s");
}

#[tokio::test]
async fn starts_of_one_tenant_at_once_all_get_through() {
    const JOBS: u32 = 16;
    let world = World::new();
    let starts: Vec<_> = (0..JOBS)
        .map(|number| {
            let key = key_of(&format!("job-{number}"));
            world.graph.set(&key, paused());
            let mut request = Request { job: JobRef { key, name: None }, ..request() };
            request.policy.tenant_starts_per_minute =
                NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN);
            let guard = world.paced(pace(1_000, 1_000, 10));
            tokio::spawn(async move { guard.start(request).await })
        })
        .collect();
    for start in starts {
        assert_eq!(start.await.expect("an answer").outcome, OutcomeKind::Started);
    }
    // Their two requests each, none forgotten and none charged twice.
    assert_eq!(backlog(&world).await, Duration::from_millis(u64::from(2 * JOBS)));
}

#[tokio::test]
async fn a_process_that_asks_too_often_is_told_when_to_ask_again() {
    let world = World::new();
    let guard = world.paced(pace(1, 2, 0));
    assert_eq!(guard.start(request()).await.outcome, OutcomeKind::Started);
    let (calls, reads) = (world.store.calls(), world.graph.reads());
    let answer = guard.start(Request { job: another_job(), ..request() }).await;
    assert_eq!(told(&answer), deferred(Reason::RateLimited));
    assert_eq!(answer.message, "deferred: this process asks too often");
    assert_eq!(answer.retry_after_seconds, Some(2));
    let service_principal = another_job().key.service_principal_id;
    let listed = guard.jobs(&service_principal).await.map(|_| ()).expect_err("too often");
    assert_eq!((listed.outcome, listed.reason), deferred(Reason::RateLimited));
    assert_eq!(listed.retry_after, Some(Duration::from_secs(1)));
    assert_eq!((world.store.calls(), world.graph.reads()), (calls, reads), "it cost nothing");
    let status = guard.status(another_job(), policy(), actor()).await;
    assert!(status.read_failed);
    assert_eq!(told(&status.start), deferred(Reason::RateLimited));
    assert_eq!(world.graph.reads(), reads);
}

#[tokio::test]
async fn reads_beyond_the_pace_of_all_are_deferred() {
    let world = World::new();
    assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
    let (reads, other) = (world.graph.reads(), world.paced(pace(1, 2, 0)));
    let status = other.status(another_job(), policy(), actor()).await;
    assert!(status.read_failed);
    assert_eq!(told(&status.start), deferred(Reason::RateLimited), "{status:?}");
    assert!(status.start.message.contains("all who share the store"), "{status:?}");
    let listed = other.jobs(&another_job().key.service_principal_id).await.map(|_| ());
    assert_eq!(listed.expect_err("at the pace").reason, Some(Reason::RateLimited));
    assert_eq!(world.graph.reads(), reads);
}

#[tokio::test]
async fn who_has_waited_for_a_turn_obeys_what_graph_said_meanwhile() {
    let world = World::new();
    assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
    let (commits, late) = (world.store.commits(), world.paced(pace(1, 2, 10)));
    let find = tokio::spawn(async move {
        late.find(&SpLookup::DisplayName("Box".to_owned())).await.map(|found| found.len())
    });
    until(|| world.store.commits() > commits).await;
    world.guard.obey(429, Duration::from_secs(60)).await;
    let error = find.await.expect("a result").expect_err("told to wait");
    assert_eq!((error.outcome, error.reason), deferred(Reason::Throttled));
}

#[tokio::test]
async fn a_look_up_that_fails_says_why() {
    let world = World::new();
    let lookup = SpLookup::DisplayName("Box".to_owned());
    let service_principal = job().key.service_principal_id;
    world.graph.next_look_up_fails(GraphError::Forbidden(reply(403)));
    let listed = world.guard.jobs(&service_principal).await.map(|jobs| jobs.len());
    world.graph.next_look_up_fails(GraphError::Forbidden(reply(403)));
    let found = world.guard.find(&lookup).await.map(|found| found.len());
    for error in [listed.expect_err("forbidden"), found.expect_err("forbidden")] {
        assert_eq!((error.outcome, error.reason), failed(Reason::Forbidden));
    }
    assert_eq!(world.guard.jobs(&service_principal).await.map(|jobs| jobs.len()), Ok(1));
    assert_eq!(world.guard.find(&lookup).await.map(|found| found.len()), Ok(0));
}

#[tokio::test]
async fn a_turn_that_the_store_cannot_take_keeps_nobody_from_starting() {
    // The other's start: load, load (after the token), and, for its turn, load, load and commit.
    for (call, fault, commits) in [
        (3, StoreFault::Away, 3),
        (4, StoreFault::Away, 3),
        (5, StoreFault::Away, 4),
        (5, StoreFault::Conflict, 5),
        (5, StoreFault::Slow(Duration::from_millis(1)), 4),
    ] {
        let world = World::new();
        let other = Request { job: another_job(), ..request() };
        world.graph.set(&other.job.key, paused());
        assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
        let (before, late) = (world.store.commits(), world.paced(pace(1, 2, 10)));
        world.store.fault_at(world.store.calls() + call, fault);
        assert_eq!(late.start(other).await.outcome, OutcomeKind::Started, "{fault:?} at {call}");
        assert_eq!(world.store.commits() - before, commits, "{fault:?} at {call}");
    }
}

#[tokio::test]
async fn reads_go_on_when_others_are_always_ahead_of_their_turn() {
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Conflict));
    assert!(world.guard.jobs(&job().key.service_principal_id).await.is_ok());
}

#[tokio::test]
async fn processes_of_one_host_keep_their_pace_each_for_itself() {
    let world = World::new();
    world.store.serve_one_host();
    let other = Request { job: another_job(), ..request() };
    world.graph.set(&other.job.key, paused());
    for asked in [request(), other] {
        let guard = world.paced(pace(1, 2, 0));
        assert_eq!(guard.start(asked).await.outcome, OutcomeKind::Started);
    }
    assert_eq!(backlog(&world).await, Duration::ZERO);
}
