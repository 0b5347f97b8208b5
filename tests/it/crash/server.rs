//! PostgreSQL that is killed in the middle of starts: `immediate` shutdown, as `pg_ctl stop -m
//! immediate` does it, and recovery from its log. At each step of the protocol, and at random instants
//! of real processes on two hosts.

use std::{
    num::NonZeroU32,
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use startguard::{
    clock::SystemClock,
    emulator::{Emulator, JobConfig, Timing},
    guard::{Guard, Request},
    model::{
        Actor, EntryKind, HistoryQuery, JobKey, JobRef, OutcomeKind, Policy, ScheduleState,
        StatusCode,
    },
    ports::Store as _,
    testing::ScriptedGraph,
};
use tokio::task::block_in_place;

use super::{
    SP,
    chance::Chance,
    program::{Program, answer, home, named},
    told,
};
use crate::{
    pg::{Server, store_within},
    steps::{Failpoint, Happening, Side},
    store_support::{job, parts},
};

/// Crashes at random instants, where the environment says nothing. Those at each step come on top.
const CRASHES: usize = 12;

/// Processes that are at one job when the server dies.
const PROCESSES: usize = 3;

/// In so many rounds the server stays away once until everybody has given up.
const AWAY: usize = 6;

/// How far the instants of crashes reach at first: about as long as a start takes.
const SPAN: Duration = Duration::from_millis(60);

/// Long enough for a server that recovers on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

fn request(key: &JobKey) -> Request {
    let n = |n: u32| NonZeroU32::new(n).expect("not zero");
    Request {
        job: JobRef { key: key.clone(), name: None },
        policy: Policy {
            cooldown: Duration::from_secs(600),
            max_starts: n(3),
            window: Duration::from_secs(86_400),
            tenant_starts_per_minute: n(1_000),
            lease: Duration::from_secs(120),
            // A server that dies takes its time to come back, and the start is to go on.
            status_max_age: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            needs_consent: Vec::new(),
            auto_reasons: Vec::new(),
        },
        actor: Actor("alice@ops1".to_owned()),
        accept: Vec::new(),
        reason: None,
        dry_run: false,
        lease_wait: Duration::ZERO,
        wait: None,
    }
}

fn pause(graph: &ScriptedGraph, key: &JobKey) {
    graph.set(key, ScriptedGraph::job(StatusCode::Paused, ScheduleState::Disabled));
}

/// A start during which the server crashes, and comes back, at a call. Says whether there was one, and
/// whether a POST went out.
async fn crash_at(server: &Arc<Mutex<Server>>, url: &str, nth: usize, side: Side) -> Option<bool> {
    let key = job(&format!("job-{nth}-{side:?}"));
    let graph = Arc::new(ScriptedGraph::new(Arc::new(SystemClock)));
    pause(&graph, &key);
    let store = Arc::new(store_within(url, DEADLINE));
    store.prepare().await.expect("tables");
    let crashing = Arc::clone(server);
    let happening = Happening::Other(Box::new(move || {
        block_in_place(|| {
            let mut server = crashing.lock().expect("unpoisoned");
            server.crash();
            server.launch();
        });
    }));
    let point = Failpoint::new(nth, side, happening);
    let guard =
        Guard::new(point.within(parts(store.clone(), graph.clone(), Arc::new(SystemClock))));
    let answer = guard.start(request(&key)).await;
    if !point.was_reached() {
        assert_eq!(answer.outcome, OutcomeKind::Started, "{answer:?}");
        return None;
    }
    let place = format!("{side:?} call {nth}, {:?}", point.name());
    let posts = graph.posts(&key).len();
    assert_eq!(u32::try_from(posts), Ok(answer.graph.starts), "{place}: {answer:?}");
    let intents = async || {
        let query = HistoryQuery { job: Some(key.clone()), ..HistoryQuery::default() };
        let entries = store.history(&query).await.expect("a journal");
        entries.iter().filter(|entry| entry.facts.kind == EntryKind::Intent).count()
    };
    assert!(posts <= intents().await, "{place}");
    // On another host: it may start the job only if nothing went out.
    pause(&graph, &key);
    let other = Arc::new(store_within(url, DEADLINE));
    let next =
        Guard::new(parts(other, graph.clone(), Arc::new(SystemClock))).start(request(&key)).await;
    assert_ne!(next.outcome, OutcomeKind::Failed, "{place}: {next:?}");
    let after = graph.posts(&key).len();
    assert!(after <= 1 && after <= intents().await, "{place}: {answer:?} {next:?}");
    if posts == 1 {
        assert_eq!(next.outcome, OutcomeKind::Deferred, "{place}: {next:?}");
    }
    assert_eq!(store.verify().await.expect("a check").broken, None, "{place}");
    Some(posts == 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_any_step_of_a_start_forgets_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let server = Arc::new(Mutex::new(server));
    let (mut crashes, mut sent) = (0, 0);
    for side in Side::BOTH {
        for nth in 1.. {
            let Some(posted) = crash_at(&server, &url, nth, side).await else { break };
            crashes += 1;
            sent += usize::from(posted);
        }
    }
    println!("{crashes} immediate shutdowns, one at each step; in {sent} of them a start went out");
    assert!(crashes >= 20 && sent > 0, "{crashes} {sent}");
}

/// Processes of two hosts start a job while the server is killed.
struct Field {
    server: Server,
    emulator: Emulator,
    programs: Vec<Program>,
    chance: Chance,
    span: Duration,
}

impl Field {
    /// Says how many of the processes the crash met at work, and whether a start went out.
    fn round(&mut self, number: usize) -> (usize, bool) {
        let id = format!("job-{number}");
        self.emulator.set_job(SP, JobConfig::new(&id, "Paused"));
        let mut children: Vec<Child> = (0..PROCESSES)
            .map(|number| {
                let program = &self.programs[number % self.programs.len()];
                program.spawn(&["start", &named(&id)])
            })
            .collect();
        std::thread::park_timeout(self.chance.within(self.span));
        let met = |child: &mut Child| child.try_wait().expect("a status").is_none();
        let met = children.iter_mut().map(met).filter(|met| *met).count();
        self.span = if met == 0 { self.span * 3 / 4 } else { self.span * 6 / 5 };
        self.server.crash();
        let away = number % AWAY == AWAY - 1;
        if !away {
            self.server.launch();
        }
        let outputs: Vec<_> = children
            .into_iter()
            .map(|child| child.wait_with_output().expect("an output"))
            .collect();
        if away {
            self.server.launch();
        }
        for output in &outputs {
            let failed = output.status.code() == Some(1);
            assert!(failed || matches!(output.status.code(), Some(0 | 4)), "{output:?}");
            let reason = answer(output)["reason"].clone();
            assert!(!failed || reason == "storeUnavailable" || reason == "timeout", "{output:?}");
        }
        let sent = self.emulator.job(SP, &id).starts;
        assert!(sent <= 1, "round {number}: {sent} starts: {outputs:?}");
        let said = |output: &&std::process::Output| answer(output)["outcome"] == "started";
        let said = outputs.iter().filter(said).count();
        assert!(said <= usize::try_from(sent).expect("few"), "round {number}: {outputs:?}");
        // Someone pauses the job again: only the database stands between the next run and a start.
        self.emulator.set_job(SP, JobConfig::new(&id, "Paused"));
        let next = self.programs[1].run(&["start", &named(&id)]);
        assert!(matches!(next.status.code(), Some(0 | 4)), "round {number}: {next:?}");
        assert!(self.emulator.job(SP, &id).starts <= 1, "round {number}: {outputs:?} {next:?}");
        if sent == 1 {
            assert_eq!(answer(&next)["outcome"], "deferred", "round {number}: {next:?}");
        }
        (met, sent == 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_any_moment_of_starts_forgets_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let crashes = told("STARTGUARD_TEST_SERVER_CRASHES").unwrap_or(CRASHES);
    let latency = Duration::from_millis(4);
    let timing = Timing {
        start_delay: Duration::ZERO,
        read_latency: latency,
        action_latency: latency,
        ..Timing::default()
    };
    let emulator = Emulator::builder().timing(timing).start().await.expect("an emulator");
    let store = server.url();
    let homes = [home(), home()];
    let graph = emulator.base_url();
    let programs = homes.each_ref().map(|home| Program::over(store.clone(), home.path(), graph));
    let programs = programs.to_vec();
    let mut field = Field { server, emulator, programs, chance: Chance::of_this_run(), span: SPAN };
    block_in_place(|| {
        // The tables are there: making them takes longer than a start.
        let whole = |field: &Field| {
            let verify = field.programs[0].run(&["history", "--verify"]);
            assert!(verify.status.success(), "{verify:?}");
        };
        field.programs[0].run(&["hold", &named("first"), "--reason", "tables"]);
        whole(&field);
        let (mut met, mut sent) = (0, 0);
        for number in 0..crashes {
            let (of_round, posted) = field.round(number);
            met += of_round;
            sent += usize::from(posted);
        }
        whole(&field);
        println!(
            "{crashes} immediate shutdowns at random: {met} of {} processes were at work, {sent} jobs \
             were started",
            crashes * PROCESSES
        );
        assert_eq!(field.emulator.violations(), 0);
        assert!(met > 0 && sent > 0, "it was never in the middle of anything: {met} {sent}");
    });
}
