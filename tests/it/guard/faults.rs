//! The store goes away, loses answers or never agrees, at every step.

use startguard::{
    model::{OutcomeKind, Reason, StartResult},
    ports::Store as _,
    testing::{StartStep, StoreFault},
};

use super::world::{
    COOLDOWN, World, actor, deferred, failed, job, key, paused, policy, request, told,
};

/// Store calls of a start up to the POST: load, load (after the token), lease, load, intent.
const BEFORE_POST: u32 = 5;

/// All of them: and load, outcome.
const ALL: u32 = 7;

#[tokio::test]
async fn a_start_makes_seven_store_calls_of_which_three_are_commits() {
    let world = World::new();
    world.start().await;
    assert_eq!((world.store.calls(), world.store.commits()), (ALL, 3));
}

#[tokio::test]
async fn a_store_away_at_any_one_step_before_the_post_means_no_post() {
    for fault in [StoreFault::Away, StoreFault::AnswerLost] {
        for call in 1..=BEFORE_POST {
            let world = World::new();
            world.store.fault_at(call, fault);
            let answer = world.start().await;
            assert_eq!(told(&answer), failed(Reason::StoreUnavailable), "{fault:?} at {call}");
            assert!(answer.remedy.is_some());
            assert_eq!((answer.graph.starts, world.posts()), (0, 0), "{fault:?} at {call}");
            // Whatever was written has been taken back: nobody waits and nothing counts.
            let next = world.another().start(request()).await;
            assert_eq!(next.outcome, OutcomeKind::Started, "{fault:?} at {call}: {next:?}");
            assert_eq!(world.record().await.starts.len(), 1, "{fault:?} at {call}");
            assert_eq!(world.store.verify().await.expect("a check").broken, None);
        }
    }
}

#[tokio::test]
async fn an_intent_whose_answer_was_lost_is_given_back_in_the_journal_too() {
    let world = World::new();
    world.store.fault_at(BEFORE_POST, StoreFault::AnswerLost);
    world.start().await;
    assert_eq!(world.journal().await, ["intent", "outcome failed storeUnavailable"]);
    let world = World::new();
    world.store.fault_at(BEFORE_POST, StoreFault::Away);
    world.start().await;
    assert!(world.journal().await.is_empty(), "what was never written is not taken back");
}

#[tokio::test]
async fn a_store_away_after_the_post_leaves_the_answer_true_and_the_intent_counted() {
    for call in BEFORE_POST + 1..=ALL {
        let world = World::new();
        world.store.fault_at(call, StoreFault::Away);
        let answer = world.start().await;
        assert_eq!(told(&answer), (OutcomeKind::Started, None), "at {call}");
        assert_eq!(world.journal().await, ["intent", "outcome started"], "tried again: {call}");
    }
}

#[tokio::test]
async fn a_store_that_stays_away_after_the_post_is_settled_by_a_later_ask() {
    let world = World::new();
    world.graph.close_gate();
    let start = world.spawn(request());
    super::world::until(|| world.graph.reads() == 1).await;
    world.graph.open_and_close_gate();
    super::world::until(|| world.posts() == 1).await;
    world.store.fault_from_now_on(Some(StoreFault::Away));
    world.graph.open_gate();
    assert_eq!(told(&start.await.expect("an answer")), (OutcomeKind::Started, None));
    world.store.fault_from_now_on(None);
    assert_eq!(world.record().await.starts[0].result, StartResult::Open);
    assert_eq!(world.journal().await, ["intent"]);
    world.graph.set(&key(), paused());
    let busy = world.another().start(request()).await;
    assert_eq!(told(&busy), deferred(Reason::Cooldown));
    world.clock.advance(policy().lease);
    assert_eq!(told(&world.another().start(request()).await), deferred(Reason::InDoubt));
    world.clock.advance(COOLDOWN);
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 2);
}

#[tokio::test]
async fn an_outcome_whose_commit_was_not_answered_is_not_told_twice() {
    let world = World::new();
    world.store.fault_at(ALL, StoreFault::AnswerLost);
    assert_eq!(told(&world.start().await), (OutcomeKind::Started, None));
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
    assert_eq!(world.record().await.starts[0].result, StartResult::Started);
}

#[tokio::test]
async fn a_store_that_only_ever_answers_conflict_ends_the_ask() {
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Conflict));
    assert_eq!(told(&world.start().await), failed(Reason::StoreUnavailable));
    assert!(world.guard.hold(&job(), &actor(), "stop", None).await.is_err());
    world.store.fault_from_now_on(None);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_conflict_at_any_commit_is_gone_through_again() {
    for call in [3, BEFORE_POST, ALL] {
        let world = World::new();
        world.store.fault_at(call, StoreFault::Conflict);
        assert_eq!(told(&world.start().await), (OutcomeKind::Started, None), "at {call}");
        assert_eq!((world.graph.reads(), world.posts()), (1, 1), "at {call}");
        assert_eq!(world.journal().await, ["intent", "outcome started"], "at {call}");
    }
}

#[tokio::test]
async fn a_store_outage_does_not_keep_status_from_reading() {
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Away));
    let status = world.guard.status(job(), policy(), actor()).await;
    assert!(status.observation.is_some());
    assert_eq!(told(&status.start), failed(Reason::StoreUnavailable));
    assert!(world.guard.jobs(&key().service_principal_id).await.is_ok());
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::StoreUnavailable));
    assert_eq!((answer.graph.reads, world.posts()), (0, 0));
}

#[tokio::test]
async fn a_store_away_while_a_lost_start_is_looked_for_changes_nothing_about_it() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    for call in BEFORE_POST + 1..=BEFORE_POST + 5 {
        world.store.fault_at(call, StoreFault::Away);
    }
    assert_eq!(told(&world.start().await), (OutcomeKind::InDoubt, None));
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
    assert_eq!(world.posts(), 1);
}
