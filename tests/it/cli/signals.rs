//! SIGINT and SIGTERM, as a terminal and a service manager send them.

use std::{
    io::{BufRead as _, BufReader},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind, Timing};

use super::{Desk, Host, Running, SP, job, until};

fn signal(running: &Running, signal: Signal) {
    kill_process(Pid::from_child(&running.child), signal).unwrap();
}

async fn slow_reads() -> Desk {
    let slow =
        FaultRule::on(OperationKind::GetJob, Effect::None).delayed_before(Duration::from_secs(60));
    Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(slow)).await
}

#[tokio::test]
async fn what_only_reads_ends_at_once() {
    let desk = slow_reads().await;
    for (which, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let before = desk.emulator.counts().graph_requests;
        let running = desk.call(&["status", &job("job")]).spawn();
        until("the read", || desk.emulator.counts().graph_requests > before).await;
        signal(&running, which);
        let ran = running.end().await;
        assert_eq!(ran.ended(code).stdout, "");
    }
}

#[tokio::test]
async fn an_interrupted_start_answers_and_gives_the_job_back() {
    let desk = slow_reads().await;
    let running = desk.call(&["start", &job("job"), "-o", "json"]).spawn();
    until("the read", || desk.emulator.counts().graph_requests > 0).await;
    signal(&running, Signal::INT);
    let ran = running.end().await;
    assert_eq!(ran.ended(130).outcome(), "failed/timeout");
    assert_eq!(desk.cost().starts, 0);
    desk.emulator.clear_faults();
    assert_eq!(desk.json(&["start", &job("job")]).await.ended(0).outcome(), "started");
}

#[tokio::test]
async fn an_interrupted_look_up_starts_nothing() {
    let slow = FaultRule::on(OperationKind::ListJobs, Effect::None)
        .delayed_before(Duration::from_secs(60));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(slow)).await;
    let running = desk.call(&["start", SP]).spawn();
    until("the list", || desk.emulator.counts().graph_requests > 0).await;
    signal(&running, Signal::TERM);
    let ran = running.end().await;
    assert_eq!(ran.ended(143).stdout, "");
    assert_eq!(desk.cost().starts, 0);
    assert!(!desk.host.ledger().exists());
}

#[tokio::test]
async fn an_interrupted_wait_keeps_the_answer_of_its_start() {
    let never = Timing { start_delay: Duration::from_hours(1), ..Timing::default() };
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).timing(never)).await;
    let running = desk.call(&["start", "--wait=1h", &job("job"), "-o", "json"]).spawn();
    until("a read of the wait", || desk.emulator.job(SP, "job").reads >= 2).await;
    signal(&running, Signal::INT);
    let ran = running.end().await;
    assert_eq!(ran.ended(130).outcome(), "started");
}

#[tokio::test]
async fn a_second_signal_during_the_post_is_told_why_it_still_takes() {
    let slow =
        FaultRule::on(OperationKind::Start, Effect::None).delayed_before(Duration::from_secs(2));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(slow)).await;
    let mut running = desk.call(&["start", &job("job"), "-o", "json"]).spawn();
    until("the start", || desk.emulator.job(SP, "job").starts > 0).await;
    signal(&running, Signal::INT);
    // The second is sent until it is heard: two that meet are one.
    let heard = running.child.stderr.take().unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(heard).read_line(&mut line).map(|_| line)
    });
    while !heard.is_finished() {
        signal(&running, Signal::INT);
        tokio::task::yield_now().await;
    }
    let warned = heard.await.unwrap().unwrap();
    assert!(warned.contains("still waiting for the answer of a start in flight"), "{warned:?}");
    let ran = running.end().await;
    assert_eq!(ran.ended(130).outcome(), "started");
}

#[tokio::test]
async fn the_emulator_serves_until_it_is_told_to_stop() {
    let host = Host::new("http://127.0.0.1:1");
    let target = format!("{SP}/box=Paused");
    let mut serving = host.call(&["emulator", "--job", &target]).spawn();
    let stdout = serving.child.stdout.take().unwrap();
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map(|_| line)
    });
    let url = first.await.unwrap().unwrap();
    let url = url.trim();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let ran = host
        .call(&["start", &job("box"), "-o", "json"])
        .env("STARTGUARD_GRAPH_ENDPOINT", url)
        .run()
        .await;
    assert_eq!(ran.ended(0).outcome(), "started");
    signal(&serving, Signal::TERM);
    let ran = serving.end().await;
    ran.ended(143);
    assert!(ran.stderr.contains("STARTGUARD_GRAPH_ENDPOINT="), "{ran:?}");
}
