//! What the checker is asked.

use std::collections::BTreeMap;

use stateright::{Checker, HasDiscoveries, Model};

use super::{bounds::Bounds, fault::Fault, steps::Protocol};

/// Explores everything, and returns what was found: states, and the properties that failed or, for
/// those that must be possible, were seen.
fn explore(bounds: Bounds) -> (usize, BTreeMap<&'static str, String>) {
    let checker = Protocol::new(bounds)
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    let found = found.into_iter().map(|(name, path)| {
        let steps: Vec<String> =
            path.into_actions().iter().map(|step| format!("{step:?}")).collect();
        (name, steps.join("\n"))
    });
    (checker.unique_state_count(), found.collect())
}

#[test]
fn explore_two() {
    for b in [Bounds::coarse(1), Bounds::fine(1), Bounds::coarse(2), Bounds::fine(2)] {
        let t = std::time::Instant::now();
        let (n, found) = explore(b);
        println!("{n} states {:?}", t.elapsed());
        for (k, v) in found { println!("== {k}\n{v}"); }
    }
}
#[test]
fn explore_three() {
    for b in [Bounds::coarse(3)] {
        let t = std::time::Instant::now();
        let (n, found) = explore(b);
        println!("{n} states {:?}", t.elapsed());
        for (k, v) in found { println!("== {k}\n{v}"); }
    }
}
#[test]
fn faults() {
    for f in Fault::ALL {
        let t = std::time::Instant::now();
        let (n, found) = explore(Bounds { fault: Some(f), operator: true, set_back: true, ..Bounds::fine(2) });
        println!("{f:?} {n} states {:?} {:?}", t.elapsed(), found.keys());
    }
}
