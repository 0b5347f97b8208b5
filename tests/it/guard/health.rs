//! What Graph says of itself: throttling and outages, kept for everyone who shares the store.

use std::time::Duration;

use startguard::{
    decide::StartReply,
    guard::Request,
    model::{OutcomeKind, Reason},
    ports::{GraphError, SpLookup},
    testing::{StartStep, StoreFault},
};

use super::world::{
    World, actor, another_job, deferred, failed, job, paused, policy, reply, request, told, until,
};

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
    let other = another_job();
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
async fn a_wait_survives_the_stores_failures() {
    let hour = Duration::from_secs(3_600);
    // Load, load, lease, load, intent; then the wait: its load, and its commit.
    for faults in [&[6][..], &[7], &[6, 8, 9, 11]] {
        let world = World::new();
        world.graph.next_start(StartStep::Answers(StartReply::Throttled {
            reply: reply(429),
            retry_after: Some(hour),
        }));
        faults.iter().for_each(|call| world.store.fault_at(*call, StoreFault::Away));
        assert_eq!(told(&world.start().await), deferred(Reason::Throttled));
        let other = Request { job: another_job(), ..request() };
        let answer = world.another().start(other).await;
        assert_eq!(told(&answer), deferred(Reason::Throttled), "{faults:?}");
        assert_eq!((world.graph.reads(), world.posts()), (1, 1), "{faults:?}");
    }
    // Of a read: load, load, lease; then the wait.
    for call in [4, 5] {
        let world = World::new();
        world
            .graph
            .next_read_fails(GraphError::Throttled { reply: reply(429), retry_after: Some(hour) });
        world.store.fault_at(call, StoreFault::Away);
        assert_eq!(told(&world.start().await), deferred(Reason::Throttled));
        assert_eq!(told(&world.another().start(request()).await), deferred(Reason::Throttled));
        assert_eq!(world.graph.reads(), 1, "{call}");
    }
}

#[tokio::test]
async fn only_a_429_is_told_as_nothing_started() {
    for (status, so) in [
        (429, "nothing was started"),
        // A gateway may say so, behind which the start went on.
        (503, "whether it worked, the next ask reads first"),
    ] {
        let world = World::new();
        let retry_after = Some(Duration::from_secs(30));
        let told = StartReply::Throttled { reply: reply(status), retry_after };
        world.graph.next_start(StartStep::Answers(told));
        let answer = world.start().await;
        assert!(answer.message.ends_with(&format!("; {so}")), "{answer:?}");
    }
}

#[tokio::test]
async fn five_failures_in_a_row_give_graph_a_rest_and_a_read_probes() {
    let world = World::new();
    trip(&world).await;
    let answer = world.another().start(request()).await;
    assert_eq!(told(&answer), deferred(Reason::BreakerOpen));
    assert_eq!((world.graph.reads(), world.posts()), (5, 0));
    world.clock.advance(Duration::from_secs(30));
    let probe = world.another().start(request()).await;
    assert_eq!(probe.outcome, OutcomeKind::Started, "the read was the probe");
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn told_to_wait_nobody_asks_for_anything() {
    let world = World::new();
    world.graph.next_start(StartStep::Answers(StartReply::Throttled {
        reply: reply(503),
        retry_after: Some(Duration::from_secs(900)),
    }));
    assert_eq!(told(&world.start().await), deferred(Reason::Throttled));
    let reads = world.graph.reads();
    let other = another_job();
    let dry = Request { job: other.clone(), dry_run: true, ..request() };
    let answer = world.another().start(dry).await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!(answer.retry_after_seconds, Some(900));
    let status = world.another().status(job(), policy(), actor()).await;
    assert_eq!(told(&status.start), deferred(Reason::Throttled), "the cool-down is shorter");
    let lookup = SpLookup::DisplayName("Box".to_owned());
    let listed = world.another().jobs(&other.key.service_principal_id).await.map(|_| ());
    let found = world.another().find(&lookup).await.map(|_| ());
    for error in [listed.expect_err("throttled"), found.expect_err("throttled")] {
        assert_eq!((error.outcome, error.reason), deferred(Reason::Throttled));
        assert_eq!(error.retry_after, Some(Duration::from_secs(900)));
    }
    assert_eq!(world.graph.reads(), reads);
}

#[tokio::test]
async fn a_throttled_start_tells_the_longer_of_both_waits() {
    for (retry_after, expected) in [(Some(900), 900), (Some(5), 600), (None, 600)] {
        let world = World::new();
        world.graph.next_start(StartStep::Answers(StartReply::Throttled {
            reply: reply(429),
            retry_after: retry_after.map(Duration::from_secs),
        }));
        let answer = world.start().await;
        assert_eq!(told(&answer), deferred(Reason::Throttled));
        assert_eq!(answer.retry_after_seconds, Some(expected));
        assert_eq!(world.posts(), 1);
    }
}

#[tokio::test]
async fn a_wait_told_on_the_way_to_a_read_that_worked_stops_the_start() {
    let world = World::new();
    world.graph.next_read_throttles(429, Duration::from_secs(30));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!((answer.retry_after_seconds, world.posts()), (Some(30), 0));
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_wait_that_only_the_error_tells_is_kept_as_well() {
    let world = World::new();
    let retry_after = Some(Duration::from_secs(120));
    world.graph.next_read_fails(GraphError::Throttled { reply: reply(429), retry_after });
    assert_eq!(told(&world.start().await), deferred(Reason::Throttled));
    assert_eq!(told(&world.another().start(request()).await), deferred(Reason::Throttled));
    assert_eq!(world.graph.reads(), 1);
}

async fn trip(world: &World) {
    for _ in 0..5 {
        world.next_reads_fail(1);
        let answer = world.another().start(request()).await;
        assert_eq!(told(&answer), failed(Reason::GraphUnavailable));
    }
}

#[tokio::test]
async fn one_caller_probes_and_the_others_go_on_resting() {
    let world = World::new();
    let other = another_job();
    world.graph.set(&other.key, paused());
    trip(&world).await;
    world.clock.advance(Duration::from_secs(30));
    world.graph.close_gate();
    let probe = world.spawn(request());
    until(|| world.graph.reads() == 6).await;
    let resting = world.another().start(Request { job: other.clone(), ..request() }).await;
    assert_eq!(told(&resting), deferred(Reason::BreakerOpen));
    world.graph.open_gate();
    assert_eq!(probe.await.expect("an answer").outcome, OutcomeKind::Started);
    let next = world.another().start(Request { job: other, ..request() }).await;
    assert_eq!(next.outcome, OutcomeKind::Started, "the probe's answer closed the breaker");
    assert_eq!(world.graph.reads(), 7);
}

#[tokio::test]
async fn a_probe_that_fails_or_never_comes_back_costs_another_rest() {
    let world = World::new();
    trip(&world).await;
    world.clock.advance(Duration::from_secs(30));
    world.next_reads_fail(1);
    assert_eq!(told(&world.start().await), failed(Reason::GraphUnavailable));
    assert_eq!(told(&world.another().start(request()).await), deferred(Reason::BreakerOpen));
    world.clock.advance(Duration::from_secs(30));
    world.graph.next_read_panics();
    world.another().start(request()).await;
    world.clock.advance(policy().lease);
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn graphs_own_no_is_no_failure_and_ends_a_row_of_them() {
    let answers: [(fn() -> GraphError, Reason); 3] = [
        (|| GraphError::NotFound(reply(404)), Reason::NotFound),
        (|| GraphError::Forbidden(reply(403)), Reason::Forbidden),
        (|| GraphError::Unauthorized(reply(401)), Reason::Authentication),
    ];
    for (no, reason) in answers {
        let world = World::new();
        for n in 0..4 {
            world.next_reads_fail(1);
            let answer = world.another().start(request()).await;
            assert_eq!(told(&answer), failed(Reason::GraphUnavailable), "{n}");
        }
        world.graph.next_read_fails(no());
        assert_eq!(told(&world.another().start(request()).await), failed(reason));
        world.next_reads_fail(1);
        world.another().start(request()).await;
        let after = world.another().start(request()).await;
        assert_eq!(after.outcome, OutcomeKind::Started, "never five in a row: {reason}");
    }
}

#[tokio::test]
async fn nonsense_neither_counts_as_a_failure_nor_ends_a_row_of_them() {
    let world = World::new();
    for _ in 0..8 {
        let problem = "an HTML page".to_owned();
        world.graph.next_read_fails(GraphError::BadResponse { problem });
        assert_eq!(told(&world.another().start(request()).await), failed(Reason::BadResponse));
    }
    for _ in 0..4 {
        world.next_reads_fail(1);
        world.another().start(request()).await;
    }
    let problem = "an HTML page".to_owned();
    world.graph.next_read_fails(GraphError::BadResponse { problem });
    world.another().start(request()).await;
    world.next_reads_fail(1);
    world.another().start(request()).await;
    assert_eq!(told(&world.another().start(request()).await), deferred(Reason::BreakerOpen));
}

#[tokio::test]
async fn status_reads_whatever_the_breaker_says() {
    let world = World::new();
    trip(&world).await;
    let status = world.another().status(job(), policy(), actor()).await;
    assert!(status.observation.is_some());
    assert_eq!(told(&status.start), deferred(Reason::BreakerOpen));
    // What it saw closes the breaker for everyone.
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn what_another_call_was_told_is_obeyed_by_all() {
    let world = World::new();
    assert_eq!(world.guard.told_to_wait().await, None);
    world.guard.obey(429, Duration::from_secs(60)).await;
    // A shorter wait changes nothing.
    world.another().obey(503, Duration::from_secs(5)).await;
    assert_eq!(world.another().told_to_wait().await, Some(Duration::from_secs(60)));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!((answer.retry_after_seconds, world.graph.reads()), (Some(60), 0));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.guard.told_to_wait().await, None);
    world.store.fault_from_now_on(Some(StoreFault::Away));
    assert_eq!(world.guard.told_to_wait().await, None, "nothing is known");
}

#[tokio::test]
async fn what_graph_said_is_noted_as_far_as_the_store_can_take_it() {
    let minute = Duration::from_secs(60);
    for (call, fault) in [
        (1, StoreFault::Away),
        (2, StoreFault::Away),
        (2, StoreFault::AnswerLost),
        (2, StoreFault::Conflict),
    ] {
        let world = World::new();
        world.store.fault_at(call, fault);
        world.guard.obey(429, minute).await;
        assert_eq!(world.guard.told_to_wait().await, Some(minute), "{fault:?} at {call}");
    }
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Away));
    world.guard.obey(429, minute).await;
    assert_eq!(world.store.calls(), 5, "it stays away, and is not asked for ever");
    world.store.fault_from_now_on(None);
    assert_eq!(world.guard.told_to_wait().await, None);
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Conflict));
    world.guard.obey(429, minute).await;
    world.store.fault_from_now_on(None);
    assert_eq!(world.guard.told_to_wait().await, None, "others were ahead a thousand times");
}

#[tokio::test]
async fn a_start_held_back_by_what_another_call_was_told_is_given_back() {
    let world = World::new();
    let (status, wait) = (429, Duration::from_secs(30));
    world.graph.next_start(StartStep::Answers(StartReply::HeldBack { status, wait }));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!((answer.retry_after_seconds, answer.graph.starts), (Some(30), 0));
    assert_eq!(world.journal().await, ["intent", "outcome deferred throttled"]);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    // Where the store does not take it back it counts, and the cool-down is the longer wait.
    let world = World::new();
    world.graph.next_start(StartStep::Answers(StartReply::HeldBack { status, wait }));
    (6..=10).for_each(|call| world.store.fault_at(call, StoreFault::Away));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::Throttled));
    assert_eq!((answer.retry_after_seconds, answer.graph.starts), (Some(600), 0));
    assert!(answer.remedy.is_some_and(|remedy| remedy.ends_with("so it counts")));
}
