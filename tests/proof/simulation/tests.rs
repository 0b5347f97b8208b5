//! Seeds, one after the other.
//!
//! `SEEDS=n` runs n of them, `SEED=n` that one alone, `SIMULATED_HOURS=n` makes each last so long.

use std::{collections::BTreeMap, time::Duration};

use super::{
    judge::Count,
    run::{Report, run},
    schedule::Schedule,
};

const HOUR: Duration = Duration::from_secs(3_600);

#[expect(clippy::disallowed_methods, reason = "how much to simulate is said by who runs it")]
fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn lasts() -> Duration {
    HOUR * u32::try_from(asked("SIMULATED_HOURS").unwrap_or(24)).expect("a number of hours")
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = match asked("SEED") {
        Some(one) => one..one + 1,
        // A plain `cargo test` is not optimised.
        None => 0..asked("SEEDS").unwrap_or(10),
    };
    let mut total = Count::default();
    let mut answers = BTreeMap::<String, u64>::new();
    let number = seeds.end - seeds.start;
    for seed in seeds {
        let schedule = Schedule::of(seed, lasts());
        let report = run(&schedule);
        if !report.violations.is_empty() {
            panic!("SEED={seed} breaks a promise:\n{:#?}\n{schedule:#?}", report.violations);
        }
        total.add(report.count);
        for (answer, times) in report.answers {
            *answers.entry(answer).or_default() += times;
        }
    }
    println!("{number} seeds, {:?} each: {total:#?}\n{answers:#?}", lasts());
}

#[test]
fn a_seed_replays_exactly() {
    let schedule = Schedule::of(7, lasts());
    let told = |report: Report| (report.count, report.answers, report.digest);
    assert_eq!(told(run(&schedule)), told(run(&schedule)));
}
