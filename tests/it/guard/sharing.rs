//! Callers at once: in one process they share an attempt, in several the lease keeps them apart.

use std::{num::NonZeroU32, time::Duration};

use startguard::{
    guard::Request,
    model::{Actor, OutcomeKind, Policy, Reason},
    testing::StartStep,
};

use super::world::{World, deferred, key, paused, policy, request, running, told, until, waiting};

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
async fn a_loop_in_one_process_is_paced_before_it_costs_anything() {
    let world = World::new();
    world.graph.set(&key(), running());
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
async fn callers_who_ask_for_something_else_do_not_join_and_the_lease_keeps_them_apart() {
    let world = World::new();
    world.graph.close_gate();
    let first = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    let others = [
        Request { accept: vec!["TooManyDeletes".to_owned()], ..request() },
        waiting(5),
        Request { policy: Policy { max_starts: NonZeroU32::MIN, ..policy() }, ..request() },
    ];
    for other in others {
        let answer = world.guard.start(other.clone()).await;
        assert_eq!(told(&answer), deferred(Reason::LeaseHeld), "{other:?}");
        assert!(!answer.coalesced, "{other:?}");
    }
    // Another reason, another person, other letters: the same start.
    let bob = Request {
        reason: Some("another".to_owned()),
        actor: Actor("bob@ops2".to_owned()),
        ..request()
    };
    let joined = world.spawn(bob);
    tokio::task::yield_now().await;
    world.graph.open_gate();
    assert_eq!(first.await.expect("an answer").outcome, OutcomeKind::Started);
    let joined = joined.await.expect("an answer");
    assert_eq!(joined.outcome, OutcomeKind::Started);
    assert!(joined.coalesced);
    assert_eq!((world.graph.reads(), world.posts()), (1, 1));
}

#[tokio::test]
async fn who_will_not_wait_does_not_wait_with_one_who_will() {
    let world = World::new();
    world.graph.close_gate();
    let holder = world.another();
    let holder = tokio::spawn(async move { holder.start(request()).await });
    until(|| world.graph.reads() == 1).await;
    let patient = Request { lease_wait: Duration::from_secs(30), ..request() };
    let patient = world.spawn(patient);
    tokio::task::yield_now().await;
    let answer = world.guard.start(request()).await;
    assert_eq!(told(&answer), deferred(Reason::LeaseHeld));
    assert!(!patient.is_finished());
    world.graph.open_gate();
    assert_eq!(holder.await.expect("an answer").outcome, OutcomeKind::Started);
    // The holder's start is what the patient one then finds.
    assert_eq!(told(&patient.await.expect("an answer")), deferred(Reason::Cooldown));
}

#[tokio::test]
async fn a_lease_is_waited_for_and_then_taken() {
    let world = World::new();
    world.graph.set(&key(), running());
    world.graph.close_gate();
    let holder = world.another();
    let holder = tokio::spawn(async move { holder.start(request()).await });
    until(|| world.graph.reads() == 1).await;
    let patient = Request { lease_wait: Duration::from_secs(3_000), ..request() };
    let patient = world.spawn(patient);
    tokio::task::yield_now().await;
    world.graph.open_gate();
    assert_eq!(holder.await.expect("an answer").outcome, OutcomeKind::AlreadyRunning);
    world.graph.set(&key(), paused());
    assert_eq!(patient.await.expect("an answer").outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn waiting_for_a_lease_ends_when_patience_does() {
    let world = World::new();
    world.graph.close_gate();
    let holder = world.another();
    let holder = tokio::spawn(async move { holder.start(request()).await });
    until(|| world.graph.reads() == 1).await;
    let patient = Request { lease_wait: Duration::from_secs(10), ..request() };
    let answer = world.guard.start(patient).await;
    assert_eq!(told(&answer), deferred(Reason::LeaseHeld));
    assert!((10_000..11_000).contains(&answer.elapsed_ms), "{answer:?}");
    holder.abort();
}

#[tokio::test]
async fn a_defect_before_the_post_starts_nothing_and_leaves_no_flight_behind() {
    let world = World::new();
    world.graph.next_read_panics();
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::Failed, Some(Reason::Timeout)), "{answer:?}");
    assert_eq!(answer.graph.starts, 0);
    assert!(answer.remedy.is_some_and(|remedy| remedy.contains("startguard history")));
    // The flight is gone; the lease is that of a holder that died.
    let next = world.start().await;
    assert_eq!(told(&next), deferred(Reason::LeaseHeld));
    assert!(!next.coalesced);
    world.clock.advance(policy().lease);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_defect_at_the_post_is_in_doubt_and_counts() {
    let world = World::new();
    world.graph.next_start(StartStep::Panics);
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None), "{answer:?}");
    assert_eq!(answer.graph.starts, 1);
    assert!(answer.remedy.is_some_and(|remedy| remedy.contains("startguard history")));
    world.clock.advance(policy().lease);
    assert_eq!(told(&world.start().await), deferred(Reason::InDoubt));
    assert_eq!(world.posts(), 1);
}
