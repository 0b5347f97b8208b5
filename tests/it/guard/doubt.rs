//! Lost answers and dead holders: what nobody knows stays unknown, is looked at, and never repeated.

use std::{sync::mpsc, time::Duration};

use startguard::{
    model::{OutcomeKind, Reason, StartResult},
    testing::StartStep,
};

use super::world::{COOLDOWN, World, deferred, key, policy, request, running, told, until};

#[tokio::test]
async fn a_lost_answer_that_worked_is_found_by_a_read() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: true });
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::Started, None), "{answer:?}");
    assert_eq!((answer.graph.reads, answer.graph.starts), (2, 1));
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_lost_answer_without_effect_stays_in_doubt_and_is_never_repeated() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let answer = world.start().await;
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    assert_eq!(world.posts(), 1);
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
    // Inside the cool-down a later ask looks, and does not start.
    let again = world.another().start(request()).await;
    assert_eq!(told(&again), deferred(Reason::InDoubt));
    assert_eq!((again.graph.reads, again.graph.starts), (1, 0));
    // A crowd costs no further reads.
    let third = world.another().start(request()).await;
    assert_eq!(told(&third), deferred(Reason::InDoubt));
    assert_eq!(third.graph.reads, 0);
    world.clock.advance(COOLDOWN);
    assert_eq!(world.start().await.outcome, OutcomeKind::Started);
    assert_eq!(world.posts(), 2);
}

#[tokio::test]
async fn a_doubt_that_worked_after_all_is_settled_by_the_next_ask() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    world.start().await;
    world.graph.set(&key(), running());
    let next = world.another().start(request()).await;
    assert_eq!(told(&next), (OutcomeKind::AlreadyRunning, None));
    let journal = world.journal().await;
    assert_eq!(
        journal,
        ["intent", "outcome inDoubt", "settled started", "decision alreadyRunning"]
    );
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(told(&world.start().await), deferred(Reason::Cooldown), "settled, and counted");
}

/// A process in a thread of its own, which dies with all its tasks when it is told to.
struct Mortal {
    kill: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Mortal {
    fn starting(world: &World) -> Self {
        let guard = world.another();
        let (kill, killed) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async move {
                let start = tokio::spawn(async move { guard.start(request()).await });
                while killed.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
                drop(start);
            });
        });
        Self { kill, thread }
    }

    fn die(self) {
        self.kill.send(()).expect("it still runs");
        self.thread.join().expect("it died as planned");
    }
}

#[tokio::test]
async fn a_crash_while_reading_leaves_a_lease_that_frees_itself() {
    let world = World::new();
    world.graph.close_gate();
    let process = Mortal::starting(&world);
    until(|| world.graph.reads() == 1).await;
    process.die();
    world.graph.open_gate();
    let busy = world.another().start(request()).await;
    assert_eq!(told(&busy), deferred(Reason::LeaseHeld));
    assert_eq!(busy.retry_after_seconds, Some(60));
    world.clock.advance(policy().lease);
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
    assert_eq!(world.journal().await, ["intent", "outcome started"]);
}

#[tokio::test]
async fn a_crash_after_the_intent_counts_and_the_next_ask_looks() {
    let world = World::new();
    world.graph.close_gate();
    let process = Mortal::starting(&world);
    until(|| world.graph.reads() == 1).await;
    world.graph.open_and_close_gate();
    until(|| world.posts() == 1).await;
    process.die();
    world.graph.open_gate();
    // As far as anyone knows its holder is at it.
    let busy = world.another().start(request()).await;
    assert_eq!(told(&busy), deferred(Reason::Cooldown));
    assert_eq!(busy.graph.reads, 0);
    world.clock.advance(policy().lease);
    let next = world.another().start(request()).await;
    assert_eq!(told(&next), deferred(Reason::InDoubt));
    assert_eq!(next.retry_after_seconds, Some(540));
    assert_eq!((next.graph.reads, world.posts()), (1, 1));
    let journal = world.journal().await;
    assert_eq!(journal, ["intent", "settled inDoubt", "decision deferred inDoubt"]);
    // After the cool-down a new start may go, and the lost one has counted in the window.
    world.clock.advance(COOLDOWN);
    assert_eq!(world.another().start(request()).await.outcome, OutcomeKind::Started);
    assert_eq!(world.record().await.starts.len(), 2);
}

#[tokio::test]
async fn a_crash_whose_start_worked_is_found_running() {
    let world = World::new();
    world.graph.close_gate();
    let process = Mortal::starting(&world);
    until(|| world.graph.reads() == 1).await;
    world.graph.open_and_close_gate();
    until(|| world.posts() == 1).await;
    process.die();
    world.graph.open_gate();
    world.graph.set(&key(), running());
    world.clock.advance(policy().lease);
    let next = world.another().start(request()).await;
    assert_eq!(told(&next), (OutcomeKind::AlreadyRunning, None));
    let journal = world.journal().await;
    assert_eq!(journal, ["intent", "settled started", "decision alreadyRunning"]);
    assert_eq!(world.record().await.starts[0].result, StartResult::Started);
}

#[tokio::test]
async fn a_dry_run_looks_at_a_doubt_and_changes_nothing() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    world.start().await;
    let before = world.record().await;
    let dry = startguard::guard::Request { dry_run: true, ..request() };
    let answer = world.another().start(dry).await;
    assert_eq!(told(&answer), deferred(Reason::InDoubt));
    assert_eq!(world.record().await, before);
}

#[tokio::test]
async fn looking_for_a_lost_start_ends_however_slowly_it_is_answered() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let start = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    for _ in 0..5 {
        world.graph.next_read_takes(Duration::from_secs(10));
    }
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    // The scripted reads ignore their deadline; real ones end with it.
    assert!(answer.elapsed_ms < 30_000, "{answer:?}");
}

#[tokio::test]
async fn reads_that_fail_while_a_lost_start_is_looked_for_leave_it_in_doubt() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: true });
    world.graph.close_gate();
    let start = world.spawn(request());
    until(|| world.graph.reads() == 1).await;
    world.next_reads_fail(5);
    world.graph.open_gate();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    assert_eq!((answer.graph.reads, answer.graph.starts), (6, 1));
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
}
