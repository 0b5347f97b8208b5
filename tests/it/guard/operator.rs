//! Hold, release, reset.

use startguard::{
    guard::{Operated, Request},
    model::{OutcomeKind, Reason, Timestamp},
    ports::Clock as _,
};

use super::world::{COOLDOWN, World, actor, deferred, job, key, paused, policy, request, told};

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
    assert_eq!(reset, Operated::Reset { forgiven: 3, clock_was_behind: None });
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    world.guard.reset(&job(), &actor(), "again").await.expect("done");
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown));
}

#[tokio::test]
async fn a_hold_beats_everything_else() {
    let world = World::new();
    world.start().await;
    world.graph.set(&key(), paused());
    world.guard.hold(&job(), &actor(), "bulk load", None).await.expect("held");
    assert_eq!(told(&world.start().await), deferred(Reason::OnHold), "and the cool-down");
    let yesterday = world.clock.wall().saturating_sub(std::time::Duration::from_secs(86_400));
    world.clock.set_wall(yesterday.unwrap_or(Timestamp::MIN));
    assert_eq!(told(&world.start().await), deferred(Reason::OnHold), "and a clock set back");
    let dry = Request { dry_run: true, ..request() };
    assert_eq!(told(&world.another().start(dry).await), deferred(Reason::OnHold));
    assert_eq!((world.graph.reads(), world.posts()), (1, 1));
    let status = world.guard.status(job(), policy(), actor()).await;
    assert_eq!(told(&status.start), deferred(Reason::OnHold));
    assert!(status.observation.is_some(), "status shows the state all the same");
}

#[tokio::test]
async fn an_operators_words_never_move_the_cursor() {
    let world = World::new();
    let reason = "import\u{1b}[2J\r\nstarted: all is well \u{202e}";
    world.guard.hold(&job(), &actor(), reason, None).await.expect("held");
    let answer = world.start().await;
    let expected =
        "deferred: on hold by alice@ops1: import\\u{1b}[2J\\r\\nstarted: all is well \\u{202e}";
    assert_eq!(answer.message, expected);
}

#[tokio::test]
async fn a_hold_for_a_while_says_until_when_and_ends_by_itself() {
    let world = World::new();
    let minute = std::time::Duration::from_secs(60);
    let until = world.clock.wall().saturating_add(minute).expect("a minute later");
    let held = world.guard.hold(&job(), &actor(), "import", Some(minute)).await.expect("held");
    assert_eq!(held, Operated::Held(Some(until)));
    let answer = world.start().await;
    assert_eq!(told(&answer), deferred(Reason::OnHold));
    assert_eq!(answer.retry_after_seconds, Some(60));
    world.clock.advance(minute);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
}
