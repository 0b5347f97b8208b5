//! Three hosts with addresses of their own, one PostgreSQL and one Graph on others. At random moments
//! a host is cut off from either, or its processes are stopped or killed; the emulator counts.
//!
//! `tests/hosts` runs it for long. The settings are quick, and the faults so short that the bound of
//! docs/guarantees.md holds for them: so every promise must be kept, S2 included.

#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]
#![expect(clippy::print_stdout, reason = "figures of a long run")]
#![expect(clippy::disallowed_methods, reason = "a judge outside the program has its own clock")]

mod graph;
mod host;
mod judge;
mod links;
mod network;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use startguard::emulator::{Emulator, EmulatorBuilder, JobConfig, Timing};

use self::{
    graph::Graph,
    host::{Host, RUNNERS},
    judge::Judge,
    links::{Gate, Links, Side, Way},
    network::Network,
};
use crate::pg;

pub(crate) const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

const HOSTS: usize = 3;

/// Enough that some job can nearly always be started.
pub(crate) const JOBS: usize = 16;

const LEASE: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// D: the lease less the request's deadline and 200 ms of margin.
const SENT_WITHIN: Duration = Duration::from_millis(800);

/// P: longer than a lease, so that others take over from a holder that was stopped.
const LONGEST_STOP: Duration = Duration::from_millis(3_600);

/// Shorter than a request's deadline, so that some requests outlive their cut.
const LONGEST_CUT: Duration = Duration::from_millis(1_500);

/// M: TCP sends again after 0.2, 0.6, 1.4 and 3.0 seconds, whether or not the process still lives.
const LONGEST_FLIGHT: Duration = Duration::from_millis(3_000);

/// How much later than its intent a POST may arrive.
pub(crate) const LATEST: Duration =
    SENT_WITHIN.saturating_add(LONGEST_STOP).saturating_add(LONGEST_FLIGHT);

/// C, at least D + P + M + L; reads of the emulator do not lag. All on one machine's clock.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(8);

/// N and W: less than the cool-down alone would let through, so that the budget binds.
pub(crate) const MAX_STARTS: usize = 2;
pub(crate) const WINDOW: Duration = Duration::from_secs(20);

/// Less than the jobs' budgets together would let through (96), for the same reason.
pub(crate) const TENANT_STARTS: usize = 80;

/// Up to so long after a process began it is struck: deferrals take a tenth of it, starts all of it.
const LENGTH_OF_A_RUN: Duration = Duration::from_millis(500);

/// A tripped breaker's rest.
const REST: Duration = Duration::from_secs(30);

pub(crate) fn job_name(job: usize) -> String {
    format!("job{job}")
}

/// Random enough: xorshift. Threads each have their own.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    fn of_this_run() -> Self {
        let given = std::env::var("STARTGUARD_TEST_HOSTS_SEED").ok();
        let drawn = || uuid::Uuid::new_v4().as_u64_pair().0;
        let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(drawn);
        println!("STARTGUARD_TEST_HOSTS_SEED={seed}");
        Self(seed | 1)
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("it fits");
        usize::try_from(self.number() % end).expect("it fits")
    }

    pub(crate) fn within(&mut self, span: Duration) -> Duration {
        let span = u64::try_from(span.as_micros()).expect("it fits");
        Duration::from_micros(self.number() % span.max(1))
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn another(&mut self) -> Self {
        Self(self.number() | 1)
    }
}

/// What happens to a host.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Cut(Side, Way),
    Stop,
    Kill,
}

/// The hosts, what they reach, and what lies between. Dropped in this order.
struct World {
    hosts: Vec<Host>,
    graph: Graph,
    /// The database, by another way than the hosts'.
    store: String,
    _server: Option<pg::Server>,
    links: Links,
}

impl World {
    /// Real hosts; `Err` says why there are none.
    fn of_namespaces() -> Result<Option<Self>, String> {
        let network = Network::of(HOSTS)?;
        let at = network::server_address(Side::Database);
        let namespace = network.full(Side::Database.name());
        let range = network::network_address(Side::Database);
        let Some(server) = pg::Server::start_within(&namespace, &at, &range) else {
            return Ok(None);
        };
        let graph_at = network::server_address(Side::Graph);
        let file = network.file(Side::Graph.name());
        let graph = Graph::start(emulator(), &graph_at, Some(&file));
        let store = format!("postgres://postgres@{at}:{}/postgres?sslmode=disable", server.port);
        let hosts = (0..HOSTS).map(|number| {
            let namespace = network.full(&network::host_name(number));
            let prefix = ["ip", "netns", "exec", &namespace].map(str::to_owned);
            let settings = settings(&graph.origin, &graph.ca, &store);
            Host::new(number, prefix.to_vec(), settings)
        });
        let hosts = hosts.collect();
        let store = server.url_by_socket();
        let links = Links::Network(network);
        Ok(Some(Self { hosts, graph, store, _server: Some(server), links }))
    }

    /// Homes on this machine, each with proxies of its own.
    async fn of_proxies() -> Option<Self> {
        let store = pg::in_new_schema(&pg::shared()?);
        let graph = Graph::start(emulator(), "127.0.0.1", None);
        let (mut hosts, mut gates) = (Vec::new(), Vec::new());
        for number in 0..HOSTS {
            let to = |port| Gate::to(SocketAddr::from(([127, 0, 0, 1], port)));
            let pair = [to(pg::port_of(&store)).await, to(graph.port()).await];
            let by = |port: u16| format!(":{port}");
            let origin = graph.origin.replace(&by(graph.port()), &by(pair[1].port));
            let url = store.replace(&by(pg::port_of(&store)), &by(pair[0].port));
            hosts.push(Host::new(number, Vec::new(), settings(&origin, &graph.ca, &url)));
            gates.push(pair);
        }
        Some(Self { hosts, graph, store, _server: None, links: Links::Gates(gates) })
    }

    /// Breaks something of a host's, and mends it again.
    fn play(&self, host: usize, fault: Fault, mut chance: Chance) {
        // Somewhere in a run of the program: what hits nobody shows nothing.
        let began = Instant::now();
        while !self.hosts[host].is_busy() && began.elapsed() < Duration::from_secs(2) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        // Rather early than late.
        let latest = chance.within(LENGTH_OF_A_RUN);
        std::thread::park_timeout(chance.within(latest));
        match fault {
            Fault::Cut(side, way) => {
                self.links.set(host, side, way, true);
                std::thread::park_timeout(chance.within(LONGEST_CUT));
                self.links.set(host, side, way, false);
            }
            Fault::Stop => {
                self.hosts[host].signal(Signal::STOP);
                std::thread::park_timeout(chance.within(LONGEST_STOP));
                // Also to those that came later, whom it does not harm.
                self.hosts[host].signal(Signal::CONT);
            }
            Fault::Kill => self.hosts[host].signal(Signal::KILL),
        }
    }

    /// One fault on one host, or one each on two.
    fn round(&self, chance: &mut Chance) -> Vec<Fault> {
        let first = chance.below(HOSTS);
        let faults: Vec<_> = (0..=chance.below(2))
            .map(|more| {
                let fault = match chance.below(10) {
                    0..=5 => Fault::Cut(chance.of(&Side::BOTH), chance.of(&Way::ALL)),
                    6..=7 => Fault::Stop,
                    _ => Fault::Kill,
                };
                ((first + more) % HOSTS, fault, chance.another())
            })
            .collect();
        std::thread::scope(|scope| {
            for (host, fault, chance) in &faults {
                scope.spawn(|| self.play(*host, *fault, chance.clone()));
            }
        });
        faults.into_iter().map(|(_, fault, _)| fault).collect()
    }

    fn emulator(&self) -> &Emulator {
        &self.graph.emulator
    }
}

/// Answers take their time, so that two at once would be seen.
fn emulator() -> EmulatorBuilder {
    let timing = Timing {
        start_delay: Duration::ZERO,
        read_latency: Duration::from_millis(20),
        action_latency: Duration::from_millis(300),
        ..Timing::default()
    };
    let jobs = (0..JOBS).map(|job| JobConfig::new(job_name(job), "Paused"));
    jobs.fold(Emulator::builder().timing(timing), |builder, job| builder.job(SP, job))
}

fn settings(origin: &str, ca: &Path, store: &str) -> Vec<(&'static str, String)> {
    let span = |span: Duration| format!("{}ms", span.as_millis());
    vec![
        ("STARTGUARD_TOKEN", "a-token".to_owned()),
        ("STARTGUARD_AUTH", "token".to_owned()),
        ("STARTGUARD_OUTPUT", "json".to_owned()),
        ("STARTGUARD_STORE", store.to_owned()),
        ("STARTGUARD_GRAPH_ENDPOINT", origin.to_owned()),
        ("STARTGUARD_GRAPH_CA_FILE", ca.display().to_string()),
        ("STARTGUARD_GRAPH_REQUEST_TIMEOUT", span(REQUEST_TIMEOUT)),
        ("STARTGUARD_GUARD_LEASE", span(LEASE)),
        ("STARTGUARD_GUARD_COOLDOWN", span(COOLDOWN)),
        ("STARTGUARD_GUARD_WINDOW", span(WINDOW)),
        ("STARTGUARD_GUARD_MAX_STARTS", MAX_STARTS.to_string()),
        ("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", TENANT_STARTS.to_string()),
        // The hosts share a pace; these rounds are to meet one another, not to wait.
        ("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "1000000".to_owned()),
        ("STARTGUARD_GRAPH_BURST", "1000000".to_owned()),
    ]
}

/// Somebody pauses every job again, soon after it was started.
fn pause_again(emulator: &Emulator, mut chance: Chance, stop: &AtomicBool) {
    let mut due: BTreeMap<usize, Instant> = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        for job in 0..JOBS {
            let name = job_name(job);
            if emulator.condition(SP, &name).is_some_and(|now| now.code == "Active") {
                let nap = chance.within(Duration::from_millis(2_500));
                if *due.entry(job).or_insert_with(|| Instant::now() + nap) <= Instant::now() {
                    due.remove(&job);
                    emulator.set_job(SP, JobConfig::new(&name, "Paused"));
                }
            }
        }
        std::thread::park_timeout(Duration::from_millis(25));
    }
}

/// Sets a flag when it goes, also when an assertion fails: threads wait for it.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Plays so many rounds of faults, judges after each, and then wants every job started once more.
fn play(world: &World, rounds: usize, runtime: &tokio::runtime::Runtime) {
    let mut chance = Chance::of_this_run();
    let emulator = world.emulator();
    let store = pg::store(&world.store);
    let mut judge = Judge::default();
    let mut faults = BTreeMap::new();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let mut waited = Duration::ZERO;
    std::thread::scope(|scope| {
        let stopping = Stopping(&stop);
        for host in &world.hosts {
            for runner in 0..RUNNERS {
                let (chance, stop) = (chance.another(), &stop);
                scope.spawn(move || host.ask_on(runner, chance, stop));
            }
        }
        let (others, stop) = (chance.another(), &stop);
        scope.spawn(move || pause_again(emulator, others, stop));
        for _ in 0..rounds {
            for fault in world.round(&mut chance) {
                *faults.entry(format!("{fault:?}")).or_insert(0_u32) += 1;
            }
            runtime.block_on(judge.look(emulator, &store));
        }
        // All is mended: each job starts again, by itself.
        let starts = |job| emulator.job(SP, &job_name(job)).starts_effective;
        let before: Vec<_> = (0..JOBS).map(starts).collect();
        let mended = Instant::now();
        let longest = WINDOW + COOLDOWN + LEASE + REST;
        while !(0..JOBS).all(|job| starts(job) > before[job]) {
            let stuck: Vec<_> = (0..JOBS).filter(|job| starts(*job) == before[*job]).collect();
            assert!(mended.elapsed() < longest, "{stuck:?} did not start again; {:?}", said(world));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        waited = mended.elapsed();
        drop(stopping);
    });
    // Every process has ended, so nothing is on its way but what the emulator has.
    while emulator.counts().in_flight > 0 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let figures = runtime.block_on(judge.close(emulator, &store));
    println!("{rounds} rounds in {:.0?}: {faults:?}", began.elapsed());
    println!("all jobs started again {waited:.1?} after the last fault");
    println!("{figures:?}");
    println!("{:?}", said(world));
    for (answer, count) in said(world) {
        // Denied, a usage error, a missing permission or a panic: nothing of the kind was played.
        let expected = ["exit 0", "exit 1", "exit 4", "exit 6", "killed"];
        assert!(
            !answer.starts_with("exit") || expected.contains(&answer.as_str()),
            "{answer} {count}"
        );
    }
}

/// The answers of all hosts.
fn said(world: &World) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for (answer, count) in world.hosts.iter().flat_map(Host::answers) {
        *all.entry(answer).or_insert(0) += count;
    }
    all
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// Rounds of faults; the script sets more.
fn rounds() -> usize {
    let rounds = std::env::var("STARTGUARD_TEST_HOSTS_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

#[test]
fn three_hosts_keep_the_promises_while_they_are_cut_off_stopped_and_killed() {
    let runtime = runtime();
    let world = match World::of_namespaces() {
        Ok(world) => world,
        Err(why) => {
            pg::skipped(&format!("no network namespaces ({why}): PROXIES CUT INSTEAD"));
            runtime.block_on(World::of_proxies())
        }
    };
    let Some(world) = world else { return };
    play(&world, rounds(), &runtime);
}

#[test]
fn three_hosts_keep_the_promises_behind_proxies_that_cut() {
    let runtime = runtime();
    let Some(world) = runtime.block_on(World::of_proxies()) else { return };
    // Few: it is what the other test falls back to, kept in order.
    play(&world, 5, &runtime);
}
