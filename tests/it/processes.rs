//! Many processes of the real binary over one ledger: storms, and holders that are paused or signalled.
//! The judge is the emulator's count, never our own log. Kills are in `crash`.

#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails its test")]
#![expect(clippy::disallowed_methods, reason = "a judge outside the program has its own clock")]

use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind, Timing};

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// A folder with a ledger, and how to run the binary over it.
struct Host {
    dir: tempfile::TempDir,
    base_url: String,
}

impl Host {
    fn new(base_url: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, base_url: base_url.to_owned() }
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("state/ledger.db")
    }

    fn command(&self, args: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_startguard"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            .env("STARTGUARD_TOKEN", "a-token")
            .env("STARTGUARD_AUTH", "token")
            .env("STARTGUARD_GRAPH_ENDPOINT", &self.base_url)
            .env("STARTGUARD_STORE", format!("sqlite:{}", self.ledger().display()))
            .env("STARTGUARD_OUTPUT", "json")
            .envs(settings.iter().copied())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn spawn(&self, args: &[&str], settings: &[(&str, &str)]) -> Child {
        self.command(args, settings).spawn().expect("the binary runs")
    }
}

/// The first answer on standard output.
fn answer(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|_| {
        panic!("no answer: {output:?}");
    })
}

async fn wait_for(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .expect("a thread")
        .expect("an output")
}

fn instantly() -> Timing {
    Timing { start_delay: Duration::ZERO, ..Timing::default() }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_processes_make_one_post() {
    let slow = FaultRule::on(OperationKind::Start, Effect::None)
        .delayed_before(Duration::from_millis(500));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("storm", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    let host = Host::new(emulator.base_url());
    let began = Instant::now();
    let job = format!("{SP}/storm");
    let children: Vec<_> = (0..64).map(|_| host.spawn(&["start", &job], &[])).collect();
    let mut started = 0;
    for child in children {
        let output = wait_for(child).await;
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 4)), "an error exit: {output:?}");
        started += u32::from(answer(&output)["outcome"] == "started");
    }
    assert_eq!(started, 1);
    assert_eq!(emulator.job(SP, "storm").starts, 1);
    assert_eq!(emulator.violations(), 0);
    // Not a speed test: the promise is that nobody hangs, and this machine is shared.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Polls until `level` holds. A level, not an event: nothing is missed between two looks.
async fn until(what: &str, level: impl Fn() -> bool) {
    let began = Instant::now();
    while !level() {
        assert!(began.elapsed() < Duration::from_secs(30), "never came: {what}");
        tokio::task::yield_now().await;
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

async fn held_up(hold_read: bool) {
    let operation = if hold_read { OperationKind::GetJob } else { OperationKind::Start };
    let slow =
        FaultRule::on(operation, Effect::None).times(1).delayed_before(Duration::from_millis(400));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("held", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    let host = Host::new(emulator.base_url());
    let job = format!("{SP}/held");
    let settings =
        [("STARTGUARD_GUARD_LEASE", "2s"), ("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "1500ms")];
    let child = host.spawn(&["start", &job], &settings);
    until("the read", || emulator.job(SP, "held").reads > 0 || emulator.counts().in_flight > 0)
        .await;
    kill_process(pid_of(&child), Signal::STOP).expect("stopped");
    std::thread::park_timeout(Duration::from_millis(2_600));
    // The lease has run out: another process may start the job.
    let other = wait_for(host.spawn(&["start", &job], &settings)).await;
    assert_eq!(answer(&other)["outcome"], "started", "{other:?}");
    kill_process(pid_of(&child), Signal::CONT).expect("continued");
    let first = wait_for(child).await;
    assert_ne!(answer(&first)["outcome"], "started", "{first:?}");
    assert_eq!(emulator.job(SP, "held").starts, 1);
    assert_eq!(emulator.violations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_for_longer_than_its_lease_does_not_post() {
    held_up(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_between_requests_ends_cleanly() {
    let slow = FaultRule::on(OperationKind::GetJob, Effect::None)
        .times(1)
        .delayed_before(Duration::from_secs(5));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("signal", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    let host = Host::new(emulator.base_url());
    let job = format!("{SP}/signal");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        emulator.clear_faults();
        let slow = FaultRule::on(OperationKind::GetJob, Effect::None)
            .times(1)
            .delayed_before(Duration::from_secs(5));
        emulator.add_fault(slow).expect("a fault");
        let seen = emulator.counts().graph_requests;
        let child = host.spawn(&["start", &job], &[]);
        until("the read", || emulator.counts().graph_requests > seen).await;
        kill_process(pid_of(&child), signal).expect("signalled");
        let output = wait_for(child).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    assert_eq!(emulator.job(SP, "signal").starts, 0);
    // The lease was given back.
    emulator.clear_faults();
    let next = wait_for(host.spawn(&["start", &job], &[])).await;
    assert_eq!(answer(&next)["outcome"], "started", "{next:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_during_the_post_waits_for_its_answer() {
    let slow = FaultRule::on(OperationKind::Start, Effect::None)
        .delayed_before(Duration::from_millis(700));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("signal", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    let host = Host::new(emulator.base_url());
    let child = host.spawn(&["start", &format!("{SP}/signal")], &[]);
    until("the start", || emulator.job(SP, "signal").starts > 0).await;
    kill_process(pid_of(&child), Signal::TERM).expect("signalled");
    let output = wait_for(child).await;
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(answer(&output)["outcome"], "started", "{output:?}");
}
