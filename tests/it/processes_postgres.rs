//! Many processes of the real binary on several hosts' homes over one PostgreSQL: storms, kills at
//! random moments, holders that are stopped. The judge is the emulator's count, never our own log.

#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails its test")]
#![expect(clippy::print_stdout, reason = "figures of a long run")]
#![expect(clippy::disallowed_methods, reason = "a judge outside the program has its own clock")]

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind, Timing};

use crate::pg;

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// A lease that ends while a test waits for it, and the deadline of a request that fits into it.
const SHORT_LEASE: [(&str, &str); 2] =
    [("STARTGUARD_GUARD_LEASE", "2s"), ("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "1500ms")];

/// How long a holder is stopped: longer than its lease.
const LONGER_THAN_THE_LEASE: Duration = Duration::from_millis(2_600);

/// Homes that have nothing in common but a database and Graph.
struct Fleet {
    homes: Vec<tempfile::TempDir>,
    graph: String,
    store: String,
}

impl Fleet {
    fn new(hosts: usize, graph: &str, store: &str) -> Self {
        let home = || tempfile::tempdir().expect("a temporary folder");
        Self {
            homes: (0..hosts).map(|_| home()).collect(),
            graph: graph.to_owned(),
            store: store.to_owned(),
        }
    }

    /// Starts a process on one of the hosts; `number` says which.
    fn spawn(&self, number: usize, args: &[&str], settings: &[(&str, &str)]) -> Child {
        let host = number % self.homes.len();
        Command::new(env!("CARGO_BIN_EXE_startguard"))
            .env_clear()
            .env("HOME", self.homes[host].path())
            .env("USER", format!("tester{host}"))
            .env("STARTGUARD_TOKEN", "a-token")
            .env("STARTGUARD_AUTH", "token")
            .env("STARTGUARD_GRAPH_ENDPOINT", &self.graph)
            .env("STARTGUARD_STORE", &self.store)
            .env("STARTGUARD_OUTPUT", "json")
            // Each round has a job of its own, and they share one tenant and its pace.
            .env("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "1000000")
            .env("STARTGUARD_GRAPH_BURST", "1000000")
            .env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "100000")
            .envs(settings.iter().copied())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs")
    }

    /// How long a start takes here: the shortest of three. The first makes the tables.
    async fn length_of_a_start(&self, emulator: &Emulator) -> Duration {
        let mut shortest = Duration::MAX;
        for id in ["measured1", "measured2", "measured3"] {
            emulator.set_job(SP, JobConfig::new(id, "Paused"));
            let began = Instant::now();
            let whole = self.run(0, &["start", &format!("{SP}/{id}")], &[]).await;
            shortest = shortest.min(began.elapsed());
            assert_eq!(answer(&whole)["outcome"], "started", "{whole:?}");
        }
        shortest
    }

    async fn run(&self, number: usize, args: &[&str], settings: &[(&str, &str)]) -> Output {
        ended(self.spawn(number, args, settings)).await
    }
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .expect("a thread")
        .expect("an output")
}

async fn ended_all(children: Vec<Child>) -> Vec<Output> {
    let mut outputs = Vec::new();
    for child in children {
        outputs.push(ended(child).await);
    }
    outputs
}

/// The first answer on standard output.
fn answer(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|_| panic!("no answer: {output:?}"))
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("signalled");
}

fn instantly() -> Timing {
    Timing { start_delay: Duration::ZERO, ..Timing::default() }
}

/// An instant within `span` that differs from round to round and from run to run.
fn somewhere_in(span: Duration, round: u32) -> Duration {
    let run = u64::from(std::process::id()).wrapping_mul(2_654_435_761);
    let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(u64::from(round).wrapping_mul(7_919_003).wrapping_add(run) % span)
}

/// The span for the next round: about one process in three is to end before its instant, however
/// busy the machine is.
fn reaching(span: Duration, ended: bool) -> Duration {
    if ended { span * 9 / 10 } else { span * 21 / 20 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_processes_on_four_hosts_make_one_post() {
    let Some(url) = pg::shared() else { return };
    let slow = FaultRule::on(OperationKind::Start, Effect::None)
        .delayed_before(Duration::from_millis(500));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("storm", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    // No tables yet either: the hosts make them, at once.
    let fleet = Fleet::new(4, emulator.base_url(), &pg::in_new_schema(&url));
    let job = format!("{SP}/storm");
    let children: Vec<_> =
        (0..32).map(|number| fleet.spawn(number, &["start", &job], &[])).collect();
    let mut started = 0;
    for output in ended_all(children).await {
        assert!(matches!(output.status.code(), Some(0 | 4)), "an error exit: {output:?}");
        started += u32::from(answer(&output)["outcome"] == "started");
    }
    assert_eq!(started, 1);
    assert_eq!(emulator.job(SP, "storm").starts, 1);
    assert_eq!(emulator.violations(), 0);
    // Journal and records are one: every host sees the same chain, and it is whole.
    let verify = fleet.run(3, &["history", "--verify"], &[]).await;
    assert!(verify.status.success(), "{verify:?}");
}

/// Rounds of killing. `crash` kills crowds, and more of them; here it is known at which step one was.
const ROUNDS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_a_start_is_not_repeated_by_another_host() {
    let Some(url) = pg::shared() else { return };
    let latency = Duration::from_millis(4);
    let timing = Timing { read_latency: latency, action_latency: latency, ..instantly() };
    let emulator = Emulator::builder().timing(timing).start().await.expect("an emulator");
    let fleet = Fleet::new(2, emulator.base_url(), &pg::in_new_schema(&url));
    let mut span = fleet.length_of_a_start(&emulator).await;
    let (mut unharmed, mut sent, mut intended) = (0_u32, 0_u32, 0_u32);
    for round in 0..ROUNDS {
        let id = format!("job{round}");
        emulator.set_job(SP, JobConfig::new(&id, "Paused"));
        let job = format!("{SP}/{id}");
        let mut child = fleet.spawn(0, &["start", &job], &[]);
        std::thread::park_timeout(somewhere_in(span, round));
        child.kill().expect("killed, or gone");
        let first = ended(child).await;
        unharmed += u32::from(first.status.success());
        span = reaching(span, first.status.success());
        let before = emulator.job(SP, &id).starts;
        sent += u32::from(before == 1);
        // If the killed POST took effect, someone pauses the job again: only the database now stands
        // between the other host and a second start.
        emulator.set_job(SP, JobConfig::new(&id, "Paused"));
        let next = fleet.run(1, &["start", &job], &[]).await;
        assert!(matches!(next.status.code(), Some(0 | 4)), "round {round}: {next:?}");
        let posts = emulator.job(SP, &id).starts;
        assert!(posts <= 1, "round {round}: {posts} starts inside one cool-down");
        let said = answer(&next);
        if before == 1 {
            assert_eq!(said["outcome"], "deferred", "round {round}: {next:?}");
        } else if said["reason"] == "cooldown" || said["reason"] == "inDoubt" {
            intended += 1;
        }
    }
    let verify = fleet.run(1, &["history", "--verify"], &[]).await;
    assert!(verify.status.success(), "{verify:?}");
    println!(
        "{ROUNDS} rounds over {span:?}: {} were killed after the POST, {intended} between intent and POST, \
         {unharmed} unharmed",
        sent.saturating_sub(unharmed)
    );
}

/// Polls until `level` holds. A level, not an event: nothing is missed between two looks.
async fn until(what: &str, level: impl Fn() -> bool) {
    pg::until(what, async || level()).await;
}

/// A holder on one host is stopped while it waits for the answer to `operation`, for longer than its
/// lease; another host asks meanwhile.
async fn stopped_at(operation: OperationKind) -> Option<(Emulator, Output, Output)> {
    let url = pg::shared()?;
    let slow =
        FaultRule::on(operation, Effect::None).times(1).delayed_before(Duration::from_millis(400));
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("held", "Paused"))
        .timing(instantly())
        .fault(slow)
        .start()
        .await
        .expect("an emulator");
    let fleet = Fleet::new(2, emulator.base_url(), &pg::in_new_schema(&url));
    let job = format!("{SP}/held");
    let child = fleet.spawn(0, &["start", &job], &SHORT_LEASE);
    until("the request", || emulator.counts().of(operation) > 0).await;
    signal(&child, Signal::STOP);
    std::thread::park_timeout(LONGER_THAN_THE_LEASE);
    if operation == OperationKind::Start {
        // Its POST took effect, and someone pauses the job again.
        emulator.set_job(SP, JobConfig::new("held", "Paused"));
    }
    let other = fleet.run(1, &["start", &job], &SHORT_LEASE).await;
    signal(&child, Signal::CONT);
    let first = ended(child).await;
    assert_eq!(emulator.job(SP, "held").starts, 1, "{first:?} {other:?}");
    assert_eq!(emulator.violations(), 0);
    Some((emulator, first, other))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_for_longer_than_its_lease_leaves_the_start_to_another_host() {
    let Some((_emulator, first, other)) = stopped_at(OperationKind::GetJob).await else { return };
    assert_eq!(answer(&other)["outcome"], "started", "{other:?}");
    assert_ne!(answer(&first)["outcome"], "started", "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_during_its_post_keeps_other_hosts_from_a_second() {
    let Some((_emulator, _, other)) = stopped_at(OperationKind::Start).await else { return };
    assert_eq!(answer(&other)["outcome"], "deferred", "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_at_any_moment_holders_never_make_a_second_post() {
    const HOLDERS: u32 = 16;
    let Some(url) = pg::shared() else { return };
    let latency = Duration::from_millis(4);
    let timing = Timing { read_latency: latency, action_latency: latency, ..instantly() };
    let emulator = Emulator::builder().timing(timing).start().await.expect("an emulator");
    let store = pg::in_new_schema(&url);
    let fleet = Fleet::new(2, emulator.base_url(), &store);
    let names: Vec<_> = (0..HOLDERS).map(|number| format!("job{number}")).collect();
    for name in &names {
        emulator.set_job(SP, JobConfig::new(name, "Paused"));
    }
    let mut span = fleet.length_of_a_start(&emulator).await;
    // One after the other up to its instant, so that each has the machine to itself until then.
    let mut stopped = Vec::new();
    for (round, name) in (0..).zip(&names) {
        let mut child = fleet.spawn(0, &["start", &format!("{SP}/{name}")], &SHORT_LEASE);
        std::thread::park_timeout(somewhere_in(span, round));
        // Where it has ended already, a signal does no harm: nobody has waited for it.
        signal(&child, Signal::STOP);
        span = reaching(span, child.try_wait().expect("a status").is_some());
        stopped.push(child);
    }
    std::thread::park_timeout(LONGER_THAN_THE_LEASE);
    let mut others = Vec::new();
    for name in &names {
        // Those who stopped after their POST started the job: someone pauses it again.
        emulator.set_job(SP, JobConfig::new(name, "Paused"));
        others.push(fleet.spawn(1, &["start", &format!("{SP}/{name}")], &SHORT_LEASE));
    }
    let others = ended_all(others).await;
    // One that was stopped inside a transaction holds the tenant's row until the server ends its
    // session, within five seconds. Others wait for that, some of them longer than they may; those
    // say so, and have not sent anything.
    for other in &others {
        let said = answer(other);
        let held_up = said["reason"] == "storeUnavailable" || said["reason"] == "timeout";
        assert!(matches!(other.status.code(), Some(0 | 4)) || held_up, "{other:?}");
    }
    for child in &mut stopped {
        if child.try_wait().expect("a status").is_none() {
            signal(child, Signal::CONT);
        }
    }
    let outcome = |output: &Output| answer(output)["outcome"].clone();
    let firsts: Vec<_> = ended_all(stopped).await.iter().map(outcome).collect();
    for (number, name) in names.iter().enumerate() {
        let starts = emulator.job(SP, name).starts;
        assert!(starts <= 1, "{name}: {starts} starts; {} {:?}", firsts[number], others[number]);
    }
    let started =
        |answers: &[serde_json::Value]| answers.iter().filter(|a| *a == "started").count();
    let others: Vec<_> = others.iter().map(outcome).collect();
    println!("started by the stopped: {}, by others: {}", started(&firsts), started(&others));
    // A holder that is gone for longer than its lease stops no other.
    assert!(started(&firsts) + started(&others) > 0);
    let verify = fleet.run(1, &["history", "--verify"], &[]).await;
    assert!(verify.status.success(), "{verify:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hosts_share_one_pace_from_the_first_request_on() {
    let Some(url) = pg::shared() else { return };
    let builder = Emulator::builder().timing(instantly()).job(SP, JobConfig::new("a", "Active"));
    let emulator = builder.start().await.expect("an emulator");
    let fleet = Fleet::new(4, emulator.base_url(), &pg::in_new_schema(&url));
    // Two a second, two at once; nobody has made the tables yet.
    let settings = [("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "2"), ("STARTGUARD_GRAPH_BURST", "2")];
    let job = format!("{SP}/a");
    let all = (0..12).map(|number| match number % 3 {
        0 => fleet.spawn(number, &["start", &job, "--lease-wait=60s"], &settings),
        1 => fleet.spawn(number, &["status", &job], &settings),
        _ => fleet.spawn(number, &["list", SP], &settings),
    });
    for output in ended_all(all.collect()).await {
        assert!(output.status.success(), "{output:?}");
    }
    let at: Vec<u64> = emulator.requests().iter().map(|request| request.at_ms).collect();
    assert_eq!(at.len(), 12);
    // Ten of the twelve wait half a second each, or longer; a second for a first that came late.
    let took = at.last().expect("a last") - at.first().expect("a first");
    assert!(took >= 4_000, "{at:?}");
}
