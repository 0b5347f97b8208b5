//! What the checker is asked.
//!
//! Unoptimised, as in a plain `cargo test`, two holders under the coarse settings and the planted
//! faults are all that fits into seconds. `tests/proof/run` runs the ignored ones as well, and
//! `tests/proof/run long` those whose names begin with `long_`.

use std::{collections::BTreeMap, thread};

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use super::{bounds::Bounds, fault::Fault, steps::Protocol};

/// What an exploration found.
struct Explored {
    states: usize,
    /// Promises that were broken, each with the steps that lead there.
    broken: BTreeMap<&'static str, String>,
    /// What must be possible and was never seen.
    never: Vec<&'static str>,
}

/// Explores everything there is, or as far as the first state in which a promise is broken.
fn explore(bounds: Bounds) -> Explored {
    let checker = Protocol::new(bounds)
        .checker()
        .threads(thread::available_parallelism().map_or(1, usize::from))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries();
    let mut explored =
        Explored { states: checker.unique_state_count(), broken: BTreeMap::new(), never: vec![] };
    for property in checker.model().properties() {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => explored.never.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                let steps = path.into_actions();
                let steps: Vec<_> = steps.iter().map(|step| format!("  {step:?}")).collect();
                explored.broken.insert(property.name, steps.join("\n"));
            }
        }
    }
    explored
}

/// Explores everything, and expects every promise kept and nothing impossible that should not be.
#[track_caller]
fn keeps_every_promise(name: &str, bounds: Bounds) {
    let explored = explore(bounds);
    if let Some((promise, steps)) = explored.broken.first_key_value() {
        panic!("{name}: {promise} is broken by\n{steps}");
    }
    assert_eq!(explored.never, Vec::<&str>::new(), "{name}: the model is too small");
    println!("{name}: {} states, every promise kept", explored.states);
}

#[test]
fn two_holders_keep_every_promise() {
    keeps_every_promise("coarse", Bounds::coarse(2));
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn two_holders_keep_every_promise_by_slow_clocks() {
    keeps_every_promise("fine", Bounds::fine(2));
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn two_holders_keep_every_promise_whatever_an_operator_does() {
    keeps_every_promise("operator", Bounds { operator: true, ..Bounds::coarse(2) });
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn two_holders_keep_every_promise_when_the_stores_clock_is_set_back() {
    keeps_every_promise("set back", Bounds { set_back: true, ..Bounds::coarse(2) });
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn two_holders_keep_every_promise_beside_other_jobs_of_the_tenant() {
    keeps_every_promise("tenant", Bounds { tenant: Some(2), ..Bounds::coarse(2) });
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn three_holders_keep_every_promise() {
    keeps_every_promise("three, coarse", Bounds::coarse(3));
}

#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn three_holders_keep_every_promise_beside_other_jobs_of_the_tenant() {
    keeps_every_promise("three, tenant", Bounds { tenant: Some(2), ..Bounds::coarse(3) });
}

#[test]
#[ignore = "run by tests/proof/run long, before a release: millions of states"]
fn long_three_holders_keep_every_promise() {
    keeps_every_promise("three, fine", Bounds::fine(3));
    keeps_every_promise("three, operator", Bounds { operator: true, ..Bounds::coarse(3) });
    keeps_every_promise("three, set back", Bounds { set_back: true, ..Bounds::coarse(3) });
}

#[test]
#[ignore = "run by tests/proof/run long, before a release: some gigabytes of states"]
fn long_four_holders_keep_every_promise() {
    keeps_every_promise("four", Bounds::coarse(4));
}

/// What is promised with no assumption about time: requests act, and reads lag, for longer than
/// two cool-downs.
#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn without_any_bound_on_time_all_but_one_in_flight_is_kept() {
    let bounds = Bounds { untimed: true, message: 8, lag: 9, ..Bounds::coarse(2) };
    keeps_every_promise("untimed", bounds.with_cooldown(4));
}

/// The bound is what is needed, and not more: one tick less, and a start reaches a job that an
/// earlier one set running.
#[test]
#[ignore = "run by tests/proof/run, in CI too: minutes where it is not optimised"]
fn the_cooldown_bound_is_tight() {
    let enough = |bounds: Bounds| bounds.clone().with_cooldown(bounds.needed_cooldown());
    for bounds in [
        enough(Bounds { lag: 2, ..Bounds::coarse(2) }),
        enough(Bounds { lag: 2, ..Bounds::fine(2) }),
        enough(Bounds { pause: 2, message: 2, lag: 3, ..Bounds::coarse(2) }),
    ] {
        let needed = bounds.cooldown;
        keeps_every_promise("enough", bounds.clone());
        let explored = explore(bounds.with_cooldown(needed - 1));
        let broken: Vec<_> = explored.broken.iter().collect();
        let [(promise, steps)] = broken[..] else {
            panic!("a cool-down of {} ticks breaks {:?}", needed - 1, explored.broken.keys());
        };
        assert_eq!(*promise, "none on running");
        println!("{} ticks are needed; with {}:\n{steps}", needed, needed - 1);
    }
}

/// What one POST in flight needs of the cool-down is more than D + P + M, and no more.
#[test]
fn the_bound_of_one_in_flight_is_tight() {
    let bounds = Bounds { lag: 1, ..Bounds::coarse(2) };
    let flight = bounds.needed_cooldown() - bounds.lag;
    let broken = explore(bounds.clone().with_cooldown(flight)).broken;
    assert!(broken.contains_key("S2 one in flight"), "{broken:?}");
    keeps_every_promise("one tick more", bounds.with_cooldown(flight + 1));
}

/// Each planted fault, and the promise that it breaks first. One that breaks none would show a hole
/// in the model.
#[test]
fn every_planted_fault_is_caught() {
    // A read that may be older than the lease allows: the lease alone bounds the permit.
    let old_reads = || {
        let bounds = Bounds { status_max_age: 3, ..Bounds::fine(2) };
        bounds.clone().with_cooldown(bounds.needed_cooldown())
    };
    // Reads lag for longer, so that what is shown after the start's effect matters most.
    let slow_reads = || {
        let bounds = Bounds { lag: 2, ..Bounds::coarse(2) };
        bounds.clone().with_cooldown(bounds.needed_cooldown())
    };
    let (coarse, fine) = (|| Bounds::coarse(2), || Bounds::fine(2));
    let operator = || Bounds { operator: true, ..Bounds::coarse(2) };
    let tenant = || Bounds { tenant: Some(2), ..Bounds::coarse(2) };
    let set_back = || Bounds { set_back: true, ..Bounds::coarse(2) };
    let faults = [
        (Fault::SkipTheRead, coarse(), "S1 state first"),
        (Fault::UnknownIsPaused, coarse(), "S1 state first"),
        (Fault::OldReadWillDo, coarse(), "S1 state first"),
        (Fault::FreshWhenDecidedOnly, coarse(), "S1 state first"),
        (Fault::IgnoreTheLease, coarse(), "S1 state first"),
        (Fault::IgnoreTheDeadline, coarse(), "S1 state first"),
        (Fault::NoMargin, old_reads(), "S2 fenced"),
        (Fault::MarkAfterCommit, old_reads(), "S2 fenced"),
        (Fault::LeaseNotRenewed, fine(), "S2 fenced"),
        (Fault::ReleaseBeforeSettle, coarse(), "S2 fenced"),
        (Fault::IntentAfterPost, coarse(), "S3 never forgotten"),
        (Fault::CountAtCompletion, coarse(), "S3 never forgotten"),
        (Fault::CooldownFromCompletion, coarse(), "S3 never forgotten"),
        (Fault::NoReceiptNeeded, coarse(), "S3 never forgotten"),
        (Fault::IgnoreVersions, coarse(), "S3 never forgotten"),
        (Fault::RefundOnUnclear, coarse(), "S3 never forgotten"),
        (Fault::RefundByAnother, coarse(), "S3 never forgotten"),
        (Fault::LookBeginsCooldown, coarse(), "S3 never forgotten"),
        (Fault::ResetForgivesCooldown, operator(), "S3 never forgotten"),
        (Fault::RetryOn503, coarse(), "S4 never repeated"),
        (Fault::RetryOnLostAnswer, coarse(), "S4 never repeated"),
        (Fault::ResumeOpenIntent, coarse(), "S4 never repeated"),
        (Fault::ForgetInDoubt, coarse(), "S4 never repeated"),
        (Fault::NoCooldown, coarse(), "S4 never repeated"),
        (Fault::NoWindow, coarse(), "S5 bounded"),
        (Fault::TenantNotCharged, tenant(), "S5 bounded"),
        (Fault::ReadersClock, coarse(), "S4 never repeated"),
        (Fault::LookFromBefore, slow_reads(), "none on running"),
        (Fault::ClockMayRunBackwards, set_back(), "S6 fail closed"),
        (Fault::HoldAskedOnce, operator(), "S6 fail closed"),
        (Fault::LeaseWithoutEnd, coarse(), "L eventually started"),
    ];
    for (fault, bounds, breaks) in faults {
        let explored = explore(Bounds { fault: Some(fault), ..bounds });
        let broken: Vec<_> = explored.broken.keys().copied().collect();
        println!("{fault:?}: {} states, breaks {}", explored.states, broken.join(", "));
        assert!(broken.contains(&breaks), "{fault:?} breaks {broken:?}, not {breaks}");
    }
}
