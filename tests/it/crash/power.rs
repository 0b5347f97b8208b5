//! Power cuts. The real program runs under `strace`; what it did is replayed up to any point on a
//! model of a disk that loses what was not flushed; then the real program opens what survived.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use startguard::emulator::{Emulator, JobConfig, Timing};
use tokio::task::block_in_place;

use super::{
    SP,
    chance::Chance,
    disk::Fate,
    judge::{Judge, counted},
    program::{Program, home},
    recording::{Deaf, Owed, Recording, start},
    scene::Scene,
    strace::{self, Event},
    told,
};
use crate::pg;

/// Cuts at each point of a recording before another is made, each with another fate, in a long run.
/// Recordings differ from one another in how their processes met.
const PASSES: usize = 3;

/// One cut in so many is followed by another one, during the run that comes after it.
const TWICE: usize = 12;

/// Cuts are judged by so many at once.
const LANES: usize = 2;

/// Whether there is a way to record; says so loudly where there is none.
fn can_record() -> bool {
    let can = strace::works();
    assert!(
        can || told("STARTGUARD_TEST_POWER_CUTS").is_none(),
        "no strace (Debian's package `strace`), or this machine does not permit ptrace"
    );
    if !can {
        pg::skipped("no strace, or this machine does not permit ptrace: NO POWER CUT IS TESTED");
    }
    can
}

async fn emulator() -> Emulator {
    let timing = Timing { start_delay: std::time::Duration::ZERO, ..Timing::default() };
    Emulator::builder().timing(timing).start().await.expect("an emulator")
}

/// A power cut after so many events of a recording.
#[derive(Debug, Clone, Copy)]
struct Cut {
    point: usize,
    fate: Fate,
    /// Whether there is another cut in the run that comes after.
    twice: bool,
}

/// What was seen in a run.
#[derive(Debug, Default)]
struct Figures {
    cuts: BTreeMap<Fate, usize>,
    /// After a POST had left the machine.
    after_a_post: usize,
    /// While something was not flushed.
    lossy: usize,
    /// Followed by another one.
    twice: usize,
}

impl Figures {
    fn all(&self) -> usize {
        self.cuts.values().sum()
    }

    fn add(&mut self, more: Self) {
        for (fate, cuts) in more.cuts {
            *self.cuts.entry(fate).or_default() += cuts;
        }
        self.after_a_post += more.after_a_post;
        self.lossy += more.lossy;
        self.twice += more.twice;
    }
}

/// Leaves below a new home what survives.
fn leave(
    recording: &Recording,
    point: usize,
    deaf: Deaf,
    fate: Fate,
    chance: &mut Chance,
) -> tempfile::TempDir {
    let home = home();
    recording.at(point, deaf).leave(home.path(), fate, chance);
    plant_an_index(home.path(), chance);
    home
}

/// An index of the log survives as it happened to be, or not at all: here as bytes without sense.
fn plant_an_index(home: &Path, chance: &mut Chance) {
    let ledger = Program::over_a_ledger(home, "").ledger();
    if ledger.exists() && chance.coin() {
        let bytes: Vec<u8> = (0..4_096).flat_map(|_| chance.number().to_le_bytes()).collect();
        let mut index = ledger.into_os_string();
        index.push("-shm");
        std::fs::write(index, bytes).expect("written");
    }
}

/// Keeps what lies there, so that it can be looked at.
fn kept(
    home: tempfile::TempDir,
    why: &str,
    cut: &impl std::fmt::Debug,
    recording: &Recording,
    point: usize,
) -> ! {
    let path = home.keep();
    let story = recording.story(point);
    panic!("{story}{why}\n{cut:?}\nwhat was left, as it is now, is kept in {}", path.display());
}

/// Cuts that are played by turns.
struct Run {
    scene: Scene,
    recording: Recording,
    /// The Graph that it was recorded against.
    origin: String,
    cuts: Vec<Cut>,
    next: AtomicUsize,
    seen: Mutex<Figures>,
}

impl Run {
    /// Judges the next cut, until there is none. Says of how many it came.
    async fn lane(self: Arc<Self>, most: usize, mut chance: Chance) {
        let emulator = emulator().await;
        let jobs = self.scene.jobs();
        let judge = Judge { emulator: &emulator, jobs: &jobs };
        while let Some(cut) = self.cuts.get(self.next.fetch_add(1, Ordering::SeqCst)) {
            if self.seen().cuts.values().sum::<usize>() >= most {
                break;
            }
            let owed = self.recording.owed(cut.point);
            let played = self.play(&judge, *cut, &owed, &mut chance).await;
            let whole = self.recording.at(cut.point, Deaf::ToNone).is_flushed();
            let mut seen = self.seen();
            *seen.cuts.entry(cut.fate).or_default() += played;
            seen.after_a_post += usize::from(owed.posts_in_all() > 0);
            seen.lossy += usize::from(!whole);
            seen.twice += usize::from(cut.twice);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Figures> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many cuts it was.
    async fn play(&self, judge: &Judge<'_>, cut: Cut, owed: &Owed, chance: &mut Chance) -> usize {
        let recording = &self.recording;
        // Looked at in a copy: closing a ledger goes on behind the back of who looked.
        let copy = leave(recording, cut.point, Deaf::ToNone, cut.fate, &mut chance.clone());
        if let Err(wrong) = counted(copy.path(), &self.origin, owed).await {
            kept(copy, &wrong, &cut, recording, cut.point);
        }
        let home = leave(recording, cut.point, Deaf::ToNone, cut.fate, chance);
        if !cut.twice {
            if let Err(wrong) = block_in_place(|| judge.judge(home.path(), owed)) {
                kept(home, &wrong, &cut, recording, cut.point);
            }
            return 1;
        }
        // The run that comes after is recorded in its turn, and cut.
        judge.pause_all();
        let program = Program::over_a_ledger(home.path(), judge.emulator.base_url());
        let steps = [vec![start(judge.jobs)]];
        let second = block_in_place(|| Recording::of(&program, home.path(), &steps));
        let point = chance.below(second.events.len() + 1);
        let fate = Fate::ALL[chance.below(Fate::ALL.len())];
        let owed = owed.clone().and(second.owed(point));
        if owed.posts.values().any(|posts| *posts > 1) {
            kept(home, "a job was started twice", &cut, &second, point);
        }
        let home = leave(&second, point, Deaf::ToNone, fate, chance);
        if let Err(wrong) = block_in_place(|| judge.judge(home.path(), &owed)) {
            kept(home, &wrong, &(cut, point, fate), &second, point);
        }
        2
    }
}

/// Cuts of a recording, each point once per pass, in any order.
fn plan(points: usize, passes: usize, chance: &mut Chance) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for pass in 0..passes {
        let turn = chance.below(Fate::ALL.len());
        for point in 0..=points {
            let fate = Fate::ALL[(point + pass + turn) % Fate::ALL.len()];
            cuts.push(Cut { point, fate, twice: chance.below(TWICE) == 0 });
        }
    }
    // Shuffled: a run that ends before all of them has seen every part of the recording.
    for end in (1..cuts.len()).rev() {
        cuts.swap(end, chance.below(end + 1));
    }
    cuts
}

/// Records a scene, and cuts it, at most so often.
async fn cut_up(scene: Scene, passes: usize, most: usize, chance: &mut Chance) -> Figures {
    let recorder = emulator().await;
    let recording = scene.record(&recorder).await;
    let [writes, flushes, names] = recording.figures();
    println!(
        "{scene:?}: {writes} writes, {flushes} flushes, {names} changes of names, {} pages copied from \
         the log, {} logs begun",
        recording.pages_copied(),
        recording.logs_begun()
    );
    let cuts = plan(recording.events.len(), passes, chance);
    let origin = recorder.base_url().to_owned();
    let (next, seen) = (AtomicUsize::new(0), Mutex::default());
    let run = Arc::new(Run { scene, recording, origin, cuts, next, seen });
    let lane = |_| tokio::spawn(Arc::clone(&run).lane(most, Chance::new(chance.number())));
    let lanes: Vec<_> = (0..LANES).map(lane).collect();
    for lane in lanes {
        lane.await.expect("no cut does harm");
    }
    let seen = std::mem::take(&mut *run.seen());
    assert!(seen.after_a_post > 0 && seen.lossy > 0 || most < 100, "{seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_power_cut_at_any_point_nothing_that_was_sent_is_forgotten() {
    if !can_record() {
        return;
    }
    let mut chance = Chance::of_this_run();
    let mut seen = Figures::default();
    let goal = told("STARTGUARD_TEST_POWER_CUTS");
    // Where nothing is told: every point of each scene once.
    let passes = if goal.is_some() { PASSES } else { 1 };
    for scene in Scene::ALL.into_iter().cycle().take(goal.map_or(Scene::ALL.len(), |_| usize::MAX))
    {
        let left = goal.map_or(usize::MAX, |goal| goal.saturating_sub(seen.all()));
        if left == 0 {
            break;
        }
        seen.add(cut_up(scene, passes, left, &mut chance).await);
    }
    println!("{} power cuts: {seen:?}", seen.all());
}

/// What is wrong after a cut in the line after a POST, with everything lost that was not flushed, if
/// the disk does not hear these flushes.
async fn harm(emulator: &Emulator, recording: &Recording, deaf: Deaf) -> Option<String> {
    let jobs = Scene::First.jobs();
    let judge = Judge { emulator, jobs: &jobs };
    let mut chance = Chance::new(1);
    let posts = recording.events.iter().enumerate();
    let posts = posts.filter(|(_, event)| matches!(event, Event::Posted(_)));
    for point in posts.map(|(number, _)| number + 1) {
        let home = leave(recording, point, deaf, Fate::Nothing, &mut chance);
        let judged = block_in_place(|| judge.judge(home.path(), &recording.owed(point)));
        if judged.is_err() {
            return judged.err();
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_hear_flushes_is_found_out() {
    if !can_record() {
        return;
    }
    let emulator = emulator().await;
    let recording = Scene::First.record(&emulator).await;
    for deaf in [Deaf::ToTheLog, Deaf::ToTheLedger, Deaf::ToNames] {
        let harm = harm(&emulator, &recording, deaf).await;
        assert!(harm.is_some(), "{deaf:?}: nobody noticed");
    }
    // With a disk that keeps its word, nothing is wrong, and no more than that was flushed is needed.
    assert_eq!(harm(&emulator, &recording, Deaf::ToNone).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_judge_misses_a_start_that_the_ledger_does_not_know() {
    let emulator = emulator().await;
    let jobs = vec!["job1".to_owned()];
    emulator.set_job(SP, JobConfig::new("job1", "Paused"));
    let home = home();
    let judge = Judge { emulator: &emulator, jobs: &jobs };
    let none = Owed::default();
    let found = block_in_place(|| judge.judge(home.path(), &none));
    assert_eq!(found, Ok(()), "a start was made, since none had been");
    let posts = [("job1".to_owned(), 2)].into();
    let two = Owed { posts, told: Vec::new() };
    let found = block_in_place(|| judge.judge(home.path(), &two));
    assert!(found.is_err_and(|wrong| wrong.contains("2 POSTs and 1 intents")));
    let told = vec!["an attempt that was never made".to_owned()];
    let told = Owed { posts: BTreeMap::new(), told };
    let found = block_in_place(|| judge.judge(home.path(), &told));
    assert!(found.is_err_and(|wrong| wrong.contains("no outcome is recorded")));
    assert!(counted(home.path(), emulator.base_url(), &two).await.is_err());
}
