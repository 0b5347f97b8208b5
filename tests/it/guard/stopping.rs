//! The program is told to stop.

use std::time::Duration;

use startguard::{
    decide::StartReply,
    guard::Request,
    model::{OutcomeKind, Reason},
    testing::{StartStep, StoreFault},
};

use super::{
    pace::pace,
    world::{World, actor, another_job, failed, job, policy, request, told, until, waiting},
};

#[tokio::test]
async fn told_to_stop_an_attempt_ends_before_the_intent_and_frees_its_lease() {
    let world = World::new();
    world.graph.close_gate();
    let start = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert!(answer.message.contains("interrupted before a start"), "{}", answer.message);
    assert_eq!((answer.graph.starts, world.posts()), (0, 0));
    world.graph.open_gate();
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn told_to_stop_a_post_in_flight_is_given_its_answer() {
    let world = World::new();
    world.graph.close_gate();
    let start = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    world.graph.open_and_close_gate();
    until(|| world.posts() == 1).await;
    world.stop.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!start.is_finished(), "the POST is in flight");
    world.graph.open_gate();
    assert_eq!(start.await.expect("an answer").outcome, OutcomeKind::Started);
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
}

#[tokio::test]
async fn told_to_stop_while_the_intent_is_written_gives_it_back() {
    let world = World::new();
    // Load, load (after the token), lease, load, intent.
    world.store.fault_at(5, StoreFault::Slow(Duration::from_millis(5)));
    let start = world.spawn(request());
    until(|| world.store.calls() == 5).await;
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!(world.posts(), 0);
    assert_eq!(world.journal().await, ["intent", "outcome failed timeout"]);
    let next = world.another().start(request()).await;
    assert_eq!(next.outcome, OutcomeKind::Started, "neither lease nor cool-down is left");
}

#[tokio::test]
async fn told_to_stop_while_it_waits_keeps_the_outcome() {
    let world = World::new();
    world.graph.next_start(StartStep::Answers(StartReply::Accepted));
    let start = world.spawn(waiting(600));
    until(|| world.graph.reads() == 3).await;
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(!answer.wait_ran_out);
}

#[tokio::test]
async fn told_to_stop_while_it_looks_for_a_lost_start_it_says_in_doubt() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let start = world.spawn(request());
    until(|| world.graph.reads() == 2).await;
    world.stop.cancel();
    assert_eq!(told(&start.await.expect("an answer")), (OutcomeKind::InDoubt, None));
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
}

#[tokio::test]
async fn told_to_stop_nothing_is_begun() {
    let world = World::new();
    world.stop.cancel();
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!((world.store.calls(), world.graph.reads()), (0, 0));
    let status = world.guard.status(job(), policy(), actor()).await;
    assert!(status.read_failed);
    assert_eq!((told(&status.start), world.graph.reads()), (failed(Reason::Timeout), 0));
}

#[tokio::test]
async fn told_to_stop_while_the_records_are_read_no_lease_is_taken() {
    let world = World::new();
    world.store.fault_at(1, StoreFault::Slow(Duration::from_millis(5)));
    let start = world.spawn(request());
    until(|| world.store.calls() == 1).await;
    world.stop.cancel();
    assert_eq!(told(&start.await.expect("an answer")), failed(Reason::Timeout));
    assert_eq!((world.store.commits(), world.graph.reads()), (0, 0));
}

#[tokio::test]
async fn told_to_stop_while_it_waits_for_another_holder_it_ends() {
    let world = World::new();
    world.graph.close_gate();
    let holder = world.another();
    let holder = tokio::spawn(async move { holder.start(request()).await });
    until(|| world.graph.reads() == 1).await;
    world.clock.let_nobody_wake();
    let patient = world.spawn(Request { lease_wait: Duration::from_secs(30), ..request() });
    until(|| world.clock.asleep() == 1).await;
    world.stop.cancel();
    assert_eq!(told(&patient.await.expect("an answer")), failed(Reason::Timeout));
    world.graph.open_gate();
    assert_eq!(holder.await.expect("an answer").outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn told_to_stop_while_it_waits_for_its_turn_it_ends() {
    let world = World::new();
    assert_eq!(world.paced(pace(1, 2, 0)).start(request()).await.outcome, OutcomeKind::Started);
    let (reads, late) = (world.graph.reads(), world.stoppable(pace(1, 2, 10)));
    world.clock.let_nobody_wake();
    let other = Request { job: another_job(), ..request() };
    let late = tokio::spawn(async move { late.start(other).await });
    until(|| world.clock.asleep() == 1).await;
    world.stop.cancel();
    let answer = late.await.expect("an answer");
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!((answer.fencing_token, world.graph.reads()), (None, reads));
}

#[tokio::test]
async fn told_to_stop_between_the_read_and_the_intent_it_frees_its_lease() {
    let world = World::new();
    world.next_reads_fail(1);
    world.start().await;
    let journal = world.journal().await;
    // Load, load (after the token), lease; then it is noted that Graph is well again.
    let noting = world.store.calls() + 4;
    world.store.fault_at(noting, StoreFault::Slow(Duration::from_millis(5)));
    let start = world.spawn(request());
    until(|| world.store.calls() == noting).await;
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), failed(Reason::Timeout));
    assert_eq!((answer.graph.reads, world.posts()), (1, 0));
    assert_eq!(world.journal().await, journal, "no intent");
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn told_to_stop_while_status_reads_it_says_so() {
    let world = World::new();
    world.graph.close_gate();
    let guard = world.guard.clone();
    let status = tokio::spawn(async move { guard.status(job(), policy(), actor()).await });
    until(|| world.graph.reads() == 1).await;
    world.stop.cancel();
    let status = status.await.expect("a report");
    assert!(status.read_failed);
    assert_eq!(told(&status.start), failed(Reason::Timeout));
}

#[tokio::test]
async fn told_to_stop_while_a_wait_reads_the_outcome_stands() {
    let world = World::new();
    world.graph.next_start(StartStep::Answers(StartReply::Accepted));
    let start = world.spawn(waiting(600));
    until(|| world.graph.reads() == 2).await;
    world.graph.close_gate();
    until(|| world.graph.reads() == 3).await;
    world.stop.cancel();
    let answer = start.await.expect("an answer");
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(!answer.wait_ran_out);
}
