//! The store goes away, loses answers or never agrees, at every step.

use startguard::{
    model::{OutcomeKind, Reason, StartResult},
    ports::{Clock as _, Store as _},
    testing::{StartStep, StoreFault},
};

use super::world::{
    COOLDOWN, World, actor, deferred, failed, job, key, paused, policy, request, running, told,
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
    let answer = world.start_before(StoreFault::Away).await;
    assert_eq!(told(&answer), (OutcomeKind::Started, None));
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
    assert_eq!(world.store.commits(), 1_000);
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
        let before = world.clock.tick();
        assert_eq!(told(&world.start().await), (OutcomeKind::Started, None), "at {call}");
        let stepped_aside = world.clock.tick() > before;
        assert_eq!(stepped_aside, call < ALL, "at {call}: the outcome is not put off");
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

#[tokio::test]
async fn a_receipt_that_is_not_for_the_intent_sends_nothing() {
    let world = World::new();
    world.store.fault_at(BEFORE_POST, StoreFault::WrongReceipt);
    let answer = world.start().await;
    assert_eq!(told(&answer), failed(Reason::StoreUnavailable));
    assert_eq!((answer.graph.starts, world.posts()), (0, 0));
    assert_eq!(world.journal().await, ["intent", "outcome failed storeUnavailable"]);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started, "it was given back");
}

#[tokio::test]
async fn an_intent_that_was_never_written_is_not_taken_back_at_the_second_try_either() {
    let world = World::new();
    for call in [BEFORE_POST, BEFORE_POST + 1] {
        world.store.fault_at(call, StoreFault::Away);
    }
    assert_eq!(told(&world.start().await), failed(Reason::StoreUnavailable));
    assert!(world.journal().await.is_empty());
    assert_eq!(world.start().await.outcome, OutcomeKind::Started, "the lease was released");
}

#[tokio::test]
async fn an_outcome_of_which_nobody_can_say_whether_it_is_written_is_looked_for_again() {
    let world = World::new();
    world.store.fault_at(ALL, StoreFault::AnswerLost);
    world.store.next_history_is_away();
    assert_eq!(told(&world.start().await), (OutcomeKind::Started, None));
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
}

#[tokio::test]
async fn an_outcome_that_others_are_always_ahead_of_is_left_to_a_later_ask() {
    let world = World::new();
    let answer = world.start_before(StoreFault::Conflict).await;
    assert_eq!(told(&answer), (OutcomeKind::Started, None));
    assert_eq!(world.record().await.starts[0].result, StartResult::Open);
    assert_eq!(world.journal().await, ["intent"]);
}

#[tokio::test]
async fn a_decision_is_recorded_over_what_others_wrote_meanwhile() {
    let world = World::new();
    world.graph.set(&key(), running());
    world.store.fault_at(BEFORE_POST, StoreFault::Conflict);
    assert_eq!(told(&world.start().await), (OutcomeKind::AlreadyRunning, None));
    assert_eq!(world.journal().await, ["decision alreadyRunning"]);
    assert_eq!(told(&world.start().await), (OutcomeKind::AlreadyRunning, None), "released");
}

#[tokio::test]
async fn a_decision_that_cannot_be_recorded_is_told_all_the_same() {
    let world = World::new();
    world.graph.set(&key(), running());
    world.store.fault_at(BEFORE_POST, StoreFault::Away);
    assert_eq!(told(&world.start().await), (OutcomeKind::AlreadyRunning, None));
    assert!(world.journal().await.is_empty());
    assert_eq!(told(&world.start().await), deferred(Reason::LeaseHeld), "it ends by itself");
    world.clock.advance(policy().lease);
    assert_eq!(told(&world.start().await), (OutcomeKind::AlreadyRunning, None));
}

#[tokio::test]
async fn a_dry_run_without_a_store_asks_nobody() {
    let world = World::new();
    world.store.fault_from_now_on(Some(StoreFault::Away));
    let dry = startguard::guard::Request { dry_run: true, ..request() };
    assert_eq!(told(&world.guard.start(dry).await), failed(Reason::StoreUnavailable));
    assert_eq!(world.graph.reads(), 0);
}

#[tokio::test]
async fn an_operator_is_told_what_the_store_could_not_take() {
    for call in [1, 2] {
        let world = World::new();
        world.store.fault_at(call, StoreFault::Away);
        let error = world.guard.hold(&job(), &actor(), "stop", None).await.expect_err("away");
        assert_eq!(error.to_string(), "nothing was changed");
        assert!(error.chain().ends_with("is away"), "{}", error.chain());
        assert_eq!(error.remedy(), "bring it back");
        assert!(world.journal().await.is_empty());
        assert_eq!(world.start().await.outcome, OutcomeKind::Started, "not on hold");
    }
}
