//! A failpoint before and after each call that the guard makes of the world, one at a time and two in
//! a row: the process dies there, the call fails, or time passes. After each, the promises are kept,
//! and a process that comes later has the job started again once it may.

#![expect(clippy::print_stdout, reason = "how many there are")]

use std::{sync::Arc, time::Duration};

use startguard::{
    decide::StartReply,
    guard::{Guard, Request},
    model::{Answer, OutcomeKind, StartResult},
    ports::Store as _,
    testing::{ScriptedGraph, StartStep},
};

use super::{
    witness::{A_LEASE_AND_MORE, Witness},
    world::{COOLDOWN, World, actor, job, key, paused, policy, reply, request, running, waiting},
};
use crate::steps::{Failpoint, Happening, Side};

/// What a process does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Start,
    StartAndWait,
    DryRun,
    Hold,
    Release,
    Reset,
}

/// What is there before, and what the process does whose calls have the failpoint.
#[derive(Debug, Clone, Copy)]
struct Scene {
    name: &'static str,
    set: fn(&World),
    /// Another process that came before, and died in the call of this number, before its effect.
    died_before: Option<usize>,
    /// How long ago that was.
    ago: Duration,
    act: Act,
}

const PLAIN: Scene =
    Scene { name: "a start", set: |_| {}, died_before: None, ago: Duration::ZERO, act: Act::Start };

/// The call of a plain start that is the POST: loads, authorization, lease, read, load and intent come
/// before it.
const POST: usize = 8;

/// Every way that a start can go.
fn scenes() -> Vec<Scene> {
    let scene = |name, set| Scene { name, set, ..PLAIN };
    vec![
        PLAIN,
        scene("a start whose answer is lost, and that worked", |world| {
            world.graph.next_start(StartStep::Lost { effect: true });
        }),
        scene("a start that is lost", |world| {
            world.graph.next_start(StartStep::Lost { effect: false });
        }),
        scene("a start that is refused", |world| {
            world.graph.next_start(StartStep::Answers(StartReply::Rejected(reply(403))));
        }),
        scene("a start that is told to wait", |world| {
            let retry_after = Some(Duration::from_secs(30));
            let told = StartReply::Throttled { reply: reply(429), retry_after };
            world.graph.next_start(StartStep::Answers(told));
        }),
        scene("a start that does not get out", |world| {
            let problem = "connection refused".to_owned();
            world.graph.next_start(StartStep::Answers(StartReply::NotSent { problem }));
        }),
        scene("a start that comes too late", |world| {
            world.graph.next_start(StartStep::HeldUp(Duration::from_secs(6)));
        }),
        scene("a read that is told to wait", |world| {
            world.graph.next_read_throttles(429, Duration::from_secs(30));
        }),
        scene("a start that needs consent", |world| {
            world.graph.set(&key(), ScriptedGraph::quarantined("TooManyDeletes"));
        }),
        scene("a job that runs", |world| world.graph.set(&key(), running())),
        Scene {
            act: Act::StartAndWait,
            ..scene("a lost start that is waited for", |world| {
                world.graph.next_start(StartStep::Lost { effect: false });
            })
        },
        Scene { act: Act::DryRun, ..scene("a dry run", |_| {}) },
        Scene { act: Act::Hold, ..scene("a hold", |_| {}) },
        Scene { act: Act::Release, ..scene("a release", |_| {}) },
        Scene { act: Act::Reset, ..scene("a reset", |_| {}) },
        Scene {
            name: "a look at what a dead process left",
            died_before: Some(POST + 1),
            ago: A_LEASE_AND_MORE,
            ..PLAIN
        },
        Scene {
            name: "a start after a dead process's",
            died_before: Some(POST + 1),
            ago: COOLDOWN,
            ..PLAIN
        },
    ]
}

/// What happens at a failpoint.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Crash,
    Error,
    Delay(Duration),
}

impl Fault {
    /// Among them: longer than a read stays fresh, longer than a lease, longer than a cool-down.
    const ALL: [Self; 5] = [
        Self::Crash,
        Self::Error,
        Self::Delay(Duration::from_secs(6)),
        Self::Delay(A_LEASE_AND_MORE),
        Self::Delay(COOLDOWN.saturating_add(A_LEASE_AND_MORE)),
    ];

    fn at(self, nth: usize, side: Side, world: &World) -> Arc<Failpoint> {
        let happening = match self {
            Self::Crash => Happening::Crash,
            Self::Error => Happening::Error,
            Self::Delay(span) => {
                let clock = Arc::clone(&world.clock);
                Happening::Other(Box::new(move || clock.advance(span)))
            }
        };
        Failpoint::new(nth, side, happening)
    }
}

/// Runs something as a process of its own: once it is dead, nothing of it goes on.
fn in_a_process<T>(point: &Failpoint, act: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = point.death() => None,
            done = act => Some(done),
        }
    })
}

/// A failpoint that nobody reaches.
fn nowhere() -> Arc<Failpoint> {
    Failpoint::new(usize::MAX, Side::Before, Happening::Error)
}

fn guard_of(world: &World, witness: &Arc<Witness>, point: &Arc<Failpoint>) -> Guard {
    Guard::new(point.within(witness.before(world.parts())))
}

/// A process does what it does, with the failpoint in its calls.
fn run(world: &World, witness: &Arc<Witness>, act: Act, point: &Arc<Failpoint>) -> Option<Answer> {
    let guard = guard_of(world, witness, point);
    in_a_process(point, async {
        let request = match act {
            Act::Start => request(),
            Act::StartAndWait => waiting(20),
            Act::DryRun => Request { dry_run: true, ..request() },
            Act::Hold => {
                guard.hold(&job(), &actor(), "look", None).await.ok();
                return None;
            }
            Act::Release => {
                guard.release(&job(), &actor()).await.ok();
                return None;
            }
            Act::Reset => {
                guard.reset(&job(), &actor(), "mended").await.ok();
                return None;
            }
        };
        Some(guard.start(request).await)
    })?
}

/// Plays a scene up to its act.
fn set_up(scene: &Scene) -> (World, Arc<Witness>) {
    let world = World::new();
    let witness = Witness::new(world.parts());
    if let Some(call) = scene.died_before {
        let point = Fault::Crash.at(call, Side::Before, &world);
        assert!(run(&world, &witness, Act::Start, &point).is_none());
        assert_eq!(witness.testimony().posts.len(), 1, "it died after its POST");
        world.graph.set(&key(), paused());
    }
    if matches!(scene.act, Act::Release) {
        run(&world, &witness, Act::Hold, &nowhere());
    }
    world.clock.advance(scene.ago);
    (scene.set)(&world);
    (world, witness)
}

/// What must be so whatever happened, at once and later.
fn aftermath(world: &World, witness: &Arc<Witness>, answer: Option<&Answer>) -> Result<(), String> {
    let posts = witness.testimony().posts.clone();
    if let Some(answer) = answer {
        // An answer tells of what went out, no more and no less.
        let own = posts.iter().filter(|(by, _)| *by == answer.attempt_id).count();
        if u32::try_from(own) != Ok(answer.graph.starts) {
            return Err(format!("{own} POSTs, and the answer is {answer:?}"));
        }
        if answer.outcome == OutcomeKind::Started && own == 0 {
            return Err(format!("started without a POST: {answer:?}"));
        }
    }
    // Someone stops the job, lifts what holds it, and asks until it is started again.
    world.graph.set(&key(), paused());
    run(world, witness, Act::Release, &nowhere());
    let mut asked = 0;
    loop {
        let answer = run(world, witness, Act::Start, &nowhere()).ok_or("it died of itself")?;
        if answer.outcome == OutcomeKind::Started {
            break;
        }
        asked += 1;
        if asked == 6 {
            return Err(format!("it was not started again: {answer:?}"));
        }
        let wait = answer.retry_after_seconds.map_or(policy().lease, Duration::from_secs);
        world.clock.advance(wait.max(Duration::from_secs(1)));
        world.graph.set(&key(), paused());
    }
    let testimony = witness.testimony();
    // What was to befall the POST befalls a later one, where the first process did not come to it.
    if !(1..=2).contains(&(testimony.posts.len() - posts.len())) {
        return Err(format!("{} POSTs, then {}", posts.len(), testimony.posts.len()));
    }
    if !testimony.wrongs.is_empty() || world.graph.violations() > 0 {
        return Err(format!("{:?}, {} violations", testimony.wrongs, world.graph.violations()));
    }
    drop(testimony);
    in_a_process(&nowhere(), journal(world)).ok_or("it died of itself")?
}

/// The journal is whole, and knows of every start that it is over.
async fn journal(world: &World) -> Result<(), String> {
    let verified = world.store.verify().await.map_err(|error| error.to_string())?;
    if let Some(broken) = verified.broken {
        return Err(format!("{broken:?}"));
    }
    let open: Vec<_> = world.record().await.starts;
    let open = open.iter().filter(|mark| mark.result == StartResult::Open).count();
    if open > 0 { Err(format!("{open} starts are still open")) } else { Ok(()) }
}

#[test]
fn a_start_makes_these_calls_in_this_order() {
    let (world, witness) = set_up(&PLAIN);
    let names = (1..).map_while(|nth| {
        let point = Fault::Delay(Duration::ZERO).at(nth, Side::Before, &world);
        world.clock.advance(COOLDOWN * 200);
        world.graph.set(&key(), paused());
        run(&world, &witness, Act::Start, &point);
        point.name()
    });
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["load", "authorize", "load", "commit", "read", "load", "commit", "POST", "load", "commit"]
    );
    assert_eq!(names[POST - 1], "POST");
}

#[test]
fn at_each_step_a_crash_an_error_or_a_delay_breaks_no_promise() {
    let mut played = 0;
    for scene in scenes() {
        for fault in Fault::ALL {
            for side in Side::BOTH {
                for nth in 1.. {
                    let (world, witness) = set_up(&scene);
                    let point = fault.at(nth, side, &world);
                    let answer = run(&world, &witness, scene.act, &point);
                    if !point.was_reached() {
                        break;
                    }
                    played += 1;
                    let name = point.name();
                    if let Err(wrong) = aftermath(&world, &witness, answer.as_ref()) {
                        panic!("{}: {fault:?} {side:?} call {nth}, {name:?}: {wrong}", scene.name);
                    }
                }
            }
        }
    }
    println!("{played} failpoints");
    assert!(played > 1_500, "{played}");
}

#[test]
fn a_crash_at_each_step_of_the_recovery_from_a_crash_breaks_no_promise() {
    let mut played = 0;
    // When the second process comes: at once, when the lease is over, when the cool-down is.
    for later in [Duration::ZERO, A_LEASE_AND_MORE, COOLDOWN] {
        for (first, first_side) in crashes() {
            for (second, second_side) in crashes() {
                let (world, witness) = set_up(&PLAIN);
                let point = Fault::Crash.at(first, first_side, &world);
                if run(&world, &witness, Act::Start, &point).is_some() {
                    break;
                }
                world.graph.set(&key(), paused());
                world.clock.advance(later);
                let again = Fault::Crash.at(second, second_side, &world);
                let answer = run(&world, &witness, Act::Start, &again);
                if !again.was_reached() {
                    break;
                }
                played += 1;
                if let Err(wrong) = aftermath(&world, &witness, answer.as_ref()) {
                    panic!("{first} {first_side:?}, {later:?}, {second} {second_side:?}: {wrong}");
                }
            }
        }
    }
    println!("{played} pairs of crashes");
    assert!(played > 300, "{played}");
}

/// Before and after each call that there may be.
fn crashes() -> impl Iterator<Item = (usize, Side)> {
    (1..=40).flat_map(|nth| Side::BOTH.map(|side| (nth, side)))
}

#[test]
fn the_witness_misses_what_was_never_intended() {
    // A Graph that is asked past the guard: as if the intent had been lost.
    let (world, witness) = set_up(&PLAIN);
    run(&world, &witness, Act::Start, &nowhere());
    assert!(witness.testimony().wrongs.is_empty());
    let stranger = World::new();
    let elsewhere = Witness::new(stranger.parts());
    // The same POST, seen by one who looks into a store that knows nothing of it.
    let parts = elsewhere.before(world.parts());
    world.clock.advance(COOLDOWN);
    world.graph.set(&key(), paused());
    stranger.clock.advance(COOLDOWN);
    in_a_process(&nowhere(), Guard::new(parts).start(request())).expect("an answer");
    let testimony = elsewhere.testimony();
    let wrongs: Vec<_> = testimony.wrongs.iter().map(|wrong| &wrong[..2]).collect();
    assert_eq!(wrongs, ["S2", "S3", "S3"]);
}
