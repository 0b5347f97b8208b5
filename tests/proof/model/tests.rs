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
    for (name, b) in [
        ("op", Bounds { operator: true, cooldown:5,window:11, ..Bounds::coarse(2)}),
        ("back", Bounds { set_back: true, cooldown:5,window:11, ..Bounds::coarse(2)}),
    ] {
        let t = std::time::Instant::now();
        let (n, found) = explore(b);
        println!("{name} {n} states {:?}", t.elapsed());
        for (k, v) in found { println!("== {k}\n{v}"); }
    }
}
#[test]
fn faults() {
    for f in [Fault::NoMargin, Fault::MarkAfterCommit] {
        let t = std::time::Instant::now();
        let (n, found) = explore(Bounds { fault: Some(f), status_max_age: 3, cooldown:8,window:17, ..Bounds::fine(2) });
        println!("{f:?} {n} states {:?} {:?}", t.elapsed(), found.keys());
    }
}
