//! `kill -9`: at each system call of a start, and of crowds at random instants.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Child, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use startguard::emulator::{Emulator, JobConfig, Timing};
use tokio::task::block_in_place;

use super::{
    SP,
    chance::Chance,
    program::{Program, answer, home, named},
    strace, told,
};
use crate::pg;

/// Kills of running processes in crowds, where the environment says nothing.
const KILLS: usize = 150;

/// The same over PostgreSQL, where each costs more.
const KILLS_OVER_POSTGRES: usize = 60;

/// Crowds are killed by so many at once, each in a place of its own.
const LANES: usize = 2;

/// Most processes that are at one job at once.
const CROWD: usize = 4;

/// Jobs of one ledger, before another is begun: long journals slow down nothing but their check.
const ROUNDS_OF_A_PLACE: usize = 500;

/// The calls that change what other processes see, take or free a lock, or send or receive. Before the
/// first of each, between any two, and after the last there is nothing that a kill could come between.
const CALLS: [&str; 12] = [
    "mkdir",
    "pwrite64",
    "fsync",
    "ftruncate",
    "unlink",
    "renameat2",
    "flock",
    "fcntl",
    "connect",
    "writev",
    "recvfrom",
    "write",
];

/// More calls of a name than any start makes.
const MANY: usize = 1_000;

async fn emulator(latency: Duration) -> Emulator {
    let timing = Timing {
        start_delay: Duration::ZERO,
        read_latency: latency,
        action_latency: latency,
        ..Timing::default()
    };
    Emulator::builder().timing(timing).start().await.expect("an emulator")
}

fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(Signal::KILL.as_raw())
}

/// What the run that comes after says. If the start that was killed took effect, someone has paused
/// the job again: only the store stands between this run and a second start.
fn judge(program: &Program, emulator: &Emulator, id: &str, how: &dyn std::fmt::Debug) {
    let sent = emulator.job(SP, id).starts;
    emulator.set_job(SP, JobConfig::new(id, "Paused"));
    let next = program.run(&["start", &named(id)]);
    assert!(
        matches!(next.status.code(), Some(0 | 4)),
        "{how:?}: it understands the store: {next:?}"
    );
    let posts = emulator.job(SP, id).starts;
    assert!(posts <= 1, "{how:?}: {posts} starts inside one cool-down");
    if sent == 1 {
        assert_eq!(answer(&next)["outcome"], "deferred", "{how:?}: {next:?}");
    }
}

fn whole(program: &Program) {
    let verify = program.run(&["history", "--verify"]);
    assert!(verify.status.success(), "{verify:?}");
}

/// Kills a start at each call of each name, on a ledger that is there or not. Says how many were killed.
fn at_each_call(emulator: &Emulator, on_a_new_ledger: bool) -> usize {
    let shared = home();
    let mut killed = 0;
    for call in CALLS {
        for nth in 1..=MANY {
            let own = home();
            let place = if on_a_new_ledger { own.path() } else { shared.path() };
            let program = Program::over_a_ledger(place, emulator.base_url());
            let id = format!("{call}-{nth}-{on_a_new_ledger}");
            emulator.set_job(SP, JobConfig::new(&id, "Paused"));
            let mut command = program.command(&strace::killing(call, nth), &["start", &named(&id)]);
            let output = command.output().expect("strace runs");
            let ended = !was_killed(&output);
            assert!(!ended || output.status.success(), "{call} {nth}: {output:?}");
            judge(&program, emulator, &id, &(call, nth));
            if on_a_new_ledger {
                whole(&program);
            }
            // It came to its end: there is no such call any more.
            if ended {
                break;
            }
            killed += 1;
        }
    }
    if !on_a_new_ledger {
        whole(&Program::over_a_ledger(shared.path(), emulator.base_url()));
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_system_call_a_start_is_never_repeated_inside_its_cooldown() {
    if !strace::works() {
        pg::skipped("no strace, or this machine does not permit ptrace");
        return;
    }
    let emulator = emulator(Duration::ZERO).await;
    let new = block_in_place(|| at_each_call(&emulator, true));
    let old = block_in_place(|| at_each_call(&emulator, false));
    println!("killed at {new} calls of a first start, and at {old} of a later one");
    assert!(new > 100 && old > 60, "{new} {old}");
    assert_eq!(emulator.violations(), 0);
}

/// What was seen of crowds.
#[derive(Debug, Default)]
struct Figures {
    rounds: AtomicUsize,
    /// Processes that were killed while they ran.
    killed: AtomicUsize,
    /// Processes that had ended before their instant came.
    ended: AtomicUsize,
    /// Rounds whose job was started by one that did not come to say so.
    started_unsaid: AtomicUsize,
}

/// A place where crowds are killed, one after the other.
struct Lane {
    /// Whose homes are here; they share a store.
    programs: Vec<Program>,
    emulator: Arc<Emulator>,
    chance: Chance,
    /// How far the instants reach: about one process in four ends before its own.
    span: Duration,
    /// Tells jobs of this lane from others'.
    name: String,
}

impl Lane {
    /// Several processes at one job, each killed at an instant of its own.
    fn round(&mut self, number: usize, figures: &Figures) {
        let id = format!("{}-{number}", self.name);
        self.emulator.set_job(SP, JobConfig::new(&id, "Paused"));
        let crowd = 1 + self.chance.below(CROWD);
        let mut instants: Vec<_> = (0..crowd).map(|_| self.chance.within(self.span)).collect();
        instants.sort();
        let began = Instant::now();
        let mut children: Vec<Child> = (0..crowd)
            .map(|number| {
                let program = &self.programs[number % self.programs.len()];
                program.spawn(&["start", &named(&id)])
            })
            .collect();
        for (child, instant) in children.iter_mut().zip(&instants) {
            std::thread::park_timeout(instant.saturating_sub(began.elapsed()));
            child.kill().expect("killed, or gone");
        }
        let outputs: Vec<_> = children
            .into_iter()
            .map(|child| child.wait_with_output().expect("an output"))
            .collect();
        let killed = outputs.iter().filter(|output| was_killed(output)).count();
        for output in &outputs {
            let well = matches!(output.status.code(), Some(0 | 4));
            assert!(was_killed(output) || well, "neither killed nor well: {output:?}");
        }
        let ended = crowd - killed;
        let span = if ended * 4 > crowd { self.span * 9 / 10 } else { self.span * 21 / 20 };
        self.span = span.clamp(Duration::from_millis(1), Duration::from_secs(5));
        let said = outputs.iter().filter(|output| output.status.success()).count();
        let posts = self.emulator.job(SP, &id).starts;
        assert!(posts <= 1, "round {number}: {posts} starts inside one cool-down");
        figures.rounds.fetch_add(1, Ordering::SeqCst);
        figures.killed.fetch_add(killed, Ordering::SeqCst);
        figures.ended.fetch_add(ended, Ordering::SeqCst);
        figures.started_unsaid.fetch_add(usize::from(posts == 1 && said == 0), Ordering::SeqCst);
        let next = &self.programs[self.chance.below(self.programs.len())];
        judge(next, &self.emulator, &id, &(number, instants));
    }
}

/// Kills crowds until so many processes were killed while they ran. `place` makes a store and those
/// who share it.
async fn crowds<P, K>(goal: usize, place: P) -> Figures
where
    P: Fn(&str) -> (Vec<Program>, K) + Send + Sync + 'static,
    K: Send,
{
    let (figures, place) = (Arc::new(Figures::default()), Arc::new(place));
    let mut chance = Chance::of_this_run();
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let (figures, place) = (Arc::clone(&figures), Arc::clone(&place));
        let chance = Chance::new(chance.number());
        lanes.push(tokio::spawn(async move {
            // A few milliseconds each way, so that kills come while a request is under way, too.
            let emulator = Arc::new(emulator(Duration::from_millis(4)).await);
            let mut span = Duration::from_millis(40);
            let mut number = 0;
            while figures.killed.load(Ordering::SeqCst) < goal {
                let (programs, kept) = place(emulator.base_url());
                let name = format!("job-{lane}");
                let (emulator, chance) = (Arc::clone(&emulator), chance.clone());
                let mut lane = Lane { programs, emulator, chance, span, name };
                block_in_place(|| {
                    let end = number + ROUNDS_OF_A_PLACE;
                    while figures.killed.load(Ordering::SeqCst) < goal && number < end {
                        number += 1;
                        lane.round(number, &figures);
                    }
                    whole(&lane.programs[0]);
                });
                assert_eq!(lane.emulator.violations(), 0);
                span = lane.span;
                drop(kept);
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("no kill does harm");
    }
    Arc::into_inner(figures).expect("the lanes have ended")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_in_crowds_processes_never_start_a_job_twice() {
    let goal = told("STARTGUARD_TEST_KILLS").unwrap_or(KILLS);
    let figures = crowds(goal, |graph| {
        let home = home();
        (vec![Program::over_a_ledger(home.path(), graph)], home)
    })
    .await;
    println!("{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_in_crowds_on_two_hosts_processes_never_start_a_job_twice() {
    let Some(url) = pg::shared() else { return };
    let goal = told("STARTGUARD_TEST_KILLS").unwrap_or(KILLS_OVER_POSTGRES);
    let figures = crowds(goal, move |graph| {
        let store = pg::in_new_schema(&url);
        let homes = [home(), home()];
        let programs =
            homes.each_ref().map(|home| Program::over(store.clone(), home.path(), graph));
        // The tables are there before anybody is killed: making them takes longer than a start.
        whole(&programs[0]);
        (programs.to_vec(), homes)
    })
    .await;
    println!("{figures:?}");
}
