//! Time passes where it should not: slow reads, slow commits, processes that are held up, clocks
//! that are set.

use std::time::Duration;

use startguard::{
    guard::{Operated, Request},
    model::{OutcomeKind, Reason, Timestamp},
    ports::Clock as _,
    testing::{StartStep, StoreFault},
};

use super::world::{
    World, actor, another_job, deferred, failed, job, key, key_of, paused, request, told, until,
};

const HOUR: Duration = Duration::from_hours(1);

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
async fn a_start_that_was_not_sent_is_told_as_not_counted_only_where_it_was_given_back() {
    for given_back in [true, false] {
        let world = World::new();
        world.graph.next_start(StartStep::HeldUp(Duration::from_secs(6)));
        if !given_back {
            // Load, load, lease, load, intent; then five tries to give it back.
            (6..=10).for_each(|call| world.store.fault_at(call, StoreFault::Away));
        }
        let answer = world.start().await;
        assert_eq!(told(&answer), failed(Reason::Timeout));
        let remedy = answer.remedy.unwrap_or_default();
        assert_eq!(remedy.contains("was not counted"), given_back, "{remedy}");
        assert_eq!(remedy.contains("so it counts"), !given_back, "{remedy}");
        let again = told(&world.another().start(request()).await);
        assert_eq!(again.0 == OutcomeKind::Started, given_back, "{again:?}");
        assert_eq!(world.posts(), usize::from(given_back));
    }
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
async fn a_slow_commit_never_leads_to_a_start_on_stale_news() {
    let world = World::new();
    world.graph.next_read_takes(Duration::from_secs(3));
    // Load, load (after the token), lease, load, intent: written in time, and then too late to send.
    world.store.fault_at(5, StoreFault::Slow(Duration::from_secs(3)));
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::Timeout), "{answer:?}");
    assert_eq!(world.posts(), 0);
    assert_eq!(world.journal().await, ["intent", "outcome failed timeout"]);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started, "it was given back");
}

#[tokio::test]
async fn a_lease_that_ran_out_while_its_holder_read_is_anothers_to_take() {
    let world = World::new();
    world.graph.close_gate();
    let slow = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    world.clock.advance(Duration::from_secs(61));
    let other = world.another();
    let other = tokio::spawn(async move { other.start(request()).await });
    until(|| world.graph.reads() == 2).await;
    world.graph.open_gate();
    let (slow, other) = (slow.await.expect("an answer"), other.await.expect("an answer"));
    assert_eq!(other.outcome, OutcomeKind::Started);
    assert_ne!(slow.outcome, OutcomeKind::Started);
    assert_eq!((slow.graph.starts, world.posts()), (0, 1));
    assert!(other.fencing_token > slow.fencing_token);
}

/// The same, told to start the job beside it.
fn another() -> Request {
    Request { job: another_job(), ..request() }
}

fn set_back(world: &World, span: Duration) {
    world.clock.set_wall(world.clock.wall().saturating_sub(span).expect("earlier"));
}

#[tokio::test]
async fn an_operators_word_does_not_make_a_clock_that_was_set_back_right() {
    let world = World::new();
    world.clock.set_boot(None); // a database server's clock, or a ledger across a boot
    world.graph.set(&key_of("other"), paused());
    world.start().await;
    set_back(&world, HOUR);
    assert_eq!(told(&world.guard.start(another()).await), failed(Reason::StoreUnavailable));
    world.guard.hold(&job(), &actor(), "what is wrong with the clock?", None).await.expect("held");
    world.guard.release(&job(), &actor()).await.expect("released");
    assert_eq!(told(&world.guard.start(another()).await), failed(Reason::StoreUnavailable));
    assert_eq!(world.graph.posts(&key_of("other")).len(), 0);
    // It is set right, and a start goes out: the first within its cool-down.
    world.clock.set_wall(world.clock.wall().saturating_add(HOUR).expect("later"));
    assert_eq!(world.guard.start(another()).await.outcome, OutcomeKind::Started);
    world.graph.set(&key_of("other"), paused());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(told(&world.guard.start(another()).await), deferred(Reason::Cooldown));
    assert_eq!(world.graph.posts(&key_of("other")).len(), 1);
}

#[tokio::test]
async fn a_refusal_for_the_clock_does_not_end_the_refusals() {
    let world = World::new();
    world.start().await;
    world.clock.advance(HOUR);
    world.graph.set(&key(), paused());
    world.graph.close_gate();
    let slow = world.spawn(request());
    until(|| world.graph.reads() == 2).await;
    set_back(&world, 2 * HOUR);
    world.graph.open_gate();
    assert_eq!(told(&slow.await.expect("an answer")), failed(Reason::StoreUnavailable));
    assert_eq!(world.journal().await.last(), Some(&"decision failed storeUnavailable".to_owned()));
    assert_eq!(told(&world.start().await), failed(Reason::StoreUnavailable));
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_reset_says_that_the_clock_is_right_now() {
    let world = World::new();
    world.clock.set_boot(None);
    world.graph.set(&key_of("other"), paused());
    world.start().await; // by a clock that is an hour ahead
    set_back(&world, HOUR);
    assert_eq!(told(&world.guard.start(another()).await), failed(Reason::StoreUnavailable));
    let reset = world.guard.reset(&job(), &actor(), "the clock was ahead").await.expect("done");
    assert_eq!(reset, Operated::Reset { forgiven: 1, clock_was_behind: Some(HOUR) });
    assert_eq!(world.guard.start(another()).await.outcome, OutcomeKind::Started);
    // The job that was started by the wrong clock keeps its cool-down.
    world.graph.set(&key(), paused());
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown));
}
