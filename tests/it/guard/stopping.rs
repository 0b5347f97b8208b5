//! The program is told to stop.

use std::time::Duration;

use startguard::{
    decide::StartReply,
    model::{OutcomeKind, Reason},
    testing::{StartStep, StoreFault},
};

use super::world::{World, failed, request, told, until, waiting};

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
