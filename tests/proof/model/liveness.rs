//! A stopped job with budget is started, and every deferral names a time at which that works.
//!
//! "Eventually" over a graph with cycles needs fairness, which stateright does not know. So it is
//! shown as a bound instead: from **every** reachable state in which no attempt is under way (and
//! every state leads to one, by crashes alone), one caller that asks whenever it is told to, with
//! store and Graph well, has the job running within a bounded time and number of asks. Its steps
//! are the model's own.

use super::{
    steps::{Answered, Fate, Protocol, Step},
    world::{Holder, Saw, World},
};

/// Most asks: one that is deferred for the longest hindrance known, one that looks at an intent in
/// doubt, one that starts, and one to spare.
const ASKS: usize = 4;

pub(super) fn holds(protocol: &Protocol, world: &World) -> bool {
    let bounds = protocol.bounds();
    let idle = world.holders[..bounds.holders].iter().all(|holder| *holder == Holder::Idle);
    if !idle || world.behind || world.record.held || world.broken != 0 {
        return true;
    }
    let mut world = world.clone();
    world.posts = Default::default();
    world.runs = false;
    world.changed = bounds.lag;
    // The longest that any lease, cool-down or window can last.
    let longest = match bounds.tenant {
        Some(_) => bounds.horizon().max(bounds.minute()),
        None => bounds.horizon(),
    };
    let mut left = u32::from(longest) + 1;
    for _ in 0..ASKS {
        match ask(protocol, &world) {
            Told::Running => return true,
            Told::Later(after, ticks) => {
                if ticks > left {
                    return false;
                }
                left -= ticks;
                world = after;
                for _ in 0..ticks {
                    let Some(later) = protocol.take(&world, Step::Tick) else { break };
                    world = later;
                }
            }
        }
    }
    false
}

enum Told {
    Running,
    /// Not now; the world after the ask, and in how many ticks to ask again.
    Later(World, u32),
}

/// One whole attempt by the first holder, in which nothing goes wrong.
fn ask(protocol: &Protocol, world: &World) -> Told {
    if let Some(ticks) = protocol.deferred(world) {
        return Told::Later(world.clone(), ticks);
    }
    let mut world = world.clone();
    let who = 0;
    for step in [
        Step::Load(who),
        Step::Grant(who, Answered::Done),
        Step::Read(who, Saw::Stopped),
        Step::Decide(who),
        Step::Intend(who, Answered::Done),
        Step::Send(who, 0),
        Step::Arrive(0, Fate::Accepted),
        Step::Close(who, Answered::Done),
    ] {
        match protocol.take(&world, step) {
            Some(next) => world = next,
            None => return Told::Later(world, u32::MAX),
        }
        if let Holder::Renouncing(_) = world.holders[usize::from(who)] {
            let Some(after) = protocol.take(&world, Step::Renounce(who)) else {
                return Told::Later(world, u32::MAX);
            };
            // Its answer named the time, from the record as it was; the next ask names it again.
            return Told::Later(after, 0);
        }
    }
    match world.runs {
        true => Told::Running,
        false => Told::Later(world, u32::MAX),
    }
}
