//! `--wait`.

use std::time::Duration;

use startguard::{
    decide::StartReply,
    model::{OutcomeKind, Reason, ScheduleState, StatusCode},
    ports::{Clock as _, GraphError},
    testing::{ScriptedGraph, StartStep},
};

use super::world::{World, deferred, key, paused, reply, running, told, until, waiting};

/// The start is accepted, and the job stays as it is.
fn accepted_without_effect() -> StartStep {
    StartStep::Answers(StartReply::Accepted)
}

#[tokio::test]
async fn waiting_stays_until_the_job_has_left_paused() {
    let world = World::new();

    let answer = world.guard.start(waiting(60)).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(answer.message.ends_with("now Active"), "{}", answer.message);
    assert!(!answer.wait_ran_out);
    assert_eq!(answer.graph.reads, 2);
}

#[tokio::test]
async fn waiting_that_runs_out_says_so_and_keeps_the_outcome() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());

    let answer = world.guard.start(waiting(20)).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert!(answer.wait_ran_out);
}

#[tokio::test]
async fn a_start_is_told_as_what_was_and_what_a_read_showed() {
    let world = World::new();
    world.graph.set(&key(), ScriptedGraph::quarantined("EncounteredQuarantineException"));
    let answer = world.start().await;
    assert_eq!(answer.message, "started: was Quarantine (EncounteredQuarantineException)");
    let world = World::new();
    world.graph.set(&key(), ScriptedGraph::quarantined("EncounteredQuarantineException"));
    let answer = world.guard.start(waiting(60)).await;
    assert_eq!(
        answer.message,
        "started: was Quarantine (EncounteredQuarantineException), now Active"
    );
    let observed = answer.observed.expect("an observation");
    assert_eq!(observed.code.as_deref(), Some("Quarantine"), "what was read before the start");
}

#[tokio::test]
async fn a_job_that_runs_already_is_not_waited_for() {
    let world = World::new();
    world.graph.set(&key(), running());
    let answer = world.guard.start(waiting(600)).await;
    assert_eq!(told(&answer), (OutcomeKind::AlreadyRunning, None));
    assert_eq!((answer.elapsed_ms, world.graph.reads()), (0, 1));
}

#[tokio::test]
async fn what_is_deferred_is_not_waited_for() {
    let world = World::new();
    world.start().await;
    world.graph.set(&key(), paused());
    let answer = world.guard.start(waiting(600)).await;
    assert_eq!(told(&answer), deferred(Reason::Cooldown));
    assert!(!answer.wait_ran_out);
    assert_eq!((answer.elapsed_ms, world.graph.reads()), (0, 1));
}

#[tokio::test]
async fn a_lost_start_that_a_read_found_is_not_waited_for() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: true });
    let answer = world.guard.start(waiting(600)).await;
    assert_eq!(answer.outcome, OutcomeKind::Started);
    assert_eq!(answer.graph.reads, 2);
    let expected = "started: was Paused, now Active (the start got no clear answer: the connection \
                    was closed)";
    assert_eq!(answer.message, expected);
}

#[tokio::test]
async fn a_doubt_is_waited_for_and_becomes_a_start_when_the_job_runs() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let start = world.spawn(waiting(600));
    // The read before the start, five that look for it, and one of the wait.
    until(|| world.graph.reads() == 7).await;
    world.graph.set(&key(), running());
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), (OutcomeKind::Started, None), "{answer:?}");
    assert_eq!(answer.message, "started: was Paused, now Active (the start got no clear answer)");
    assert!(!answer.wait_ran_out);
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt", "settled started"]);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn a_doubt_that_stays_one_ends_with_the_wait() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let answer = world.guard.start(waiting(60)).await;
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    assert!(answer.wait_ran_out);
    assert_eq!(world.posts(), 1);
}

#[tokio::test]
async fn ten_minutes_of_waiting_cost_a_read_every_five_seconds() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    let answer = world.guard.start(waiting(600)).await;
    assert!(answer.wait_ran_out);
    assert!((115..=128).contains(&answer.graph.reads), "{}", answer.graph.reads);
    assert_eq!(answer.graph.reads, world.graph.reads());
    assert_eq!(answer.elapsed_ms, 600_000);
}

#[tokio::test]
async fn told_to_wait_while_it_waits_it_does() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    let start = world.spawn(waiting(600));
    until(|| world.graph.reads() == 2).await;
    world.graph.next_read_throttles(429, Duration::from_secs(120));
    world.graph.next_read_fails(GraphError::Throttled {
        reply: reply(429),
        retry_after: Some(Duration::from_secs(120)),
    });
    let before = world.clock.tick();
    until(|| world.graph.reads() == 4).await;
    let passed = before.until(world.clock.tick());
    assert!(passed >= Duration::from_secs(120), "{passed:?}");
    world.graph.set(&key(), running());
    assert_eq!(start.await.expect("an answer").outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn any_state_but_paused_and_quarantine_ends_the_wait() {
    for (code, schedule) in
        [("NotRun", "Active"), ("NotRun", "Disabled"), ("NotConfigured", "Disabled"), ("New", "")]
    {
        let world = World::new();
        world.graph.next_start(accepted_without_effect());
        let start = world.spawn(waiting(600));
        until(|| world.graph.reads() == 2).await;
        let code = StatusCode::parse(Some(code));
        world
            .graph
            .set(&key(), ScriptedGraph::job(code.clone(), ScheduleState::parse(Some(schedule))));
        let answer = start.await.expect("an answer");
        assert_eq!(answer.message, format!("started: was Paused, now {code}"));
        assert!(!answer.wait_ran_out);
    }
}

#[tokio::test]
async fn a_read_without_a_code_does_not_end_the_wait() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    let start = world.spawn(waiting(60));
    until(|| world.graph.reads() == 2).await;
    world.graph.set(
        &key(),
        ScriptedGraph::job(StatusCode::parse(None), ScheduleState::parse(Some("Active"))),
    );
    assert!(start.await.expect("an answer").wait_ran_out);
}

#[tokio::test]
async fn reads_that_fail_do_not_end_the_wait() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    let start = world.spawn(waiting(60));
    until(|| world.graph.reads() == 2).await;
    world.next_reads_fail(2);
    until(|| world.graph.reads() == 4).await;
    world.graph.set(&key(), running());
    let answer = start.await.expect("an answer");
    assert!(answer.message.ends_with("now Active"), "{}", answer.message);
}

#[tokio::test]
async fn a_dry_run_never_waits() {
    let world = World::new();
    let dry = startguard::guard::Request { dry_run: true, ..waiting(600) };
    let answer = world.guard.start(dry).await;
    assert_eq!(told(&answer), (OutcomeKind::WouldStart, None));
    assert_eq!((answer.elapsed_ms, answer.graph.reads), (0, 1));
}

#[tokio::test]
async fn what_another_call_was_told_is_obeyed_while_it_waits() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    let start = world.spawn(waiting(600));
    until(|| world.graph.reads() == 2).await;
    let before = world.clock.tick();
    world.another().obey(429, Duration::from_secs(120)).await;
    until(|| world.graph.reads() == 3).await;
    let passed = before.until(world.clock.tick());
    assert!(passed >= Duration::from_secs(120), "{passed:?}");
    world.graph.set(&key(), running());
    assert_eq!(start.await.expect("an answer").outcome, OutcomeKind::Started);
}

#[tokio::test]
async fn a_wait_in_which_no_read_worked_says_so() {
    let world = World::new();
    world.graph.next_start(accepted_without_effect());
    world.graph.close_gate();
    let start = world.spawn(waiting(2));
    until(|| world.graph.reads() == 1).await;
    world.next_reads_fail(5);
    world.graph.open_gate();
    let answer = start.await.expect("an answer");
    assert_eq!(answer.message, "started: was Paused; waited 2s: it could not be read");
    assert!(answer.wait_ran_out);
}

#[tokio::test]
async fn a_doubt_about_a_job_that_went_elsewhere_stays_one() {
    let world = World::new();
    world.graph.next_start(StartStep::Lost { effect: false });
    let start = world.spawn(waiting(600));
    // The read before the start, five that look for it, and one of the wait.
    until(|| world.graph.reads() == 7).await;
    let (code, schedule) = (StatusCode::NotConfigured, ScheduleState::Disabled);
    world.graph.set(&key(), ScriptedGraph::job(code, schedule));
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), (OutcomeKind::InDoubt, None));
    assert!(answer.message.ends_with(", now NotConfigured"), "{}", answer.message);
    assert_eq!(world.journal().await, ["intent", "outcome inDoubt"]);
}
