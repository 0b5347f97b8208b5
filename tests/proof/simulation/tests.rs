//! Seeds, one after the other.
//!
//! `SEEDS=n` runs n of them, `SEED=n` that one alone, `SIMULATED_HOURS=n` makes each last so long.

use std::{collections::BTreeMap, time::Duration};

use super::{
    judge::Count,
    run::{Report, run},
    schedule::{Broken, Schedule},
};

const HOUR: Duration = Duration::from_secs(3_600);

#[expect(clippy::disallowed_methods, reason = "how much to simulate is said by who runs it")]
fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn lasts() -> Duration {
    HOUR * u32::try_from(asked("SIMULATED_HOURS").unwrap_or(12)).expect("a number of hours")
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = match asked("SEED") {
        Some(one) => one..one + 1,
        // A plain `cargo test` is not optimised; `tests/proof/run` runs 200.
        None => 0..asked("SEEDS").unwrap_or(3),
    };
    let mut total = Count::default();
    let mut answers = BTreeMap::<String, u64>::new();
    let number = seeds.end - seeds.start;
    for seed in seeds {
        let schedule = Schedule::of(seed, lasts());
        let report = run(&schedule);
        if !report.violations.is_empty() {
            let least = schedule.cut_down(|fewer| !run(fewer).violations.is_empty());
            panic!(
                "SEED={seed} SIMULATED_HOURS={} breaks a promise:\n{:#?}\ncut down to {} of {} \
                 events:\n{least:#?}\n{:#?}",
                lasts().as_secs() / HOUR.as_secs(),
                report.violations,
                least.events.len(),
                schedule.events.len(),
                run(&least).violations
            );
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

/// The first seed of some in which the judge notices; the schedule and what it noticed.
fn first_noticed(broken: Broken, lasts: Duration) -> Option<(Schedule, Vec<String>)> {
    (0..300).find_map(|seed| {
        let schedule = Schedule::of(seed, lasts).with(broken);
        let violations = run(&schedule).violations;
        (!violations.is_empty()).then_some((schedule, violations))
    })
}

/// A judge that notices nothing proves nothing: each assumption broken, and each rule that an
/// adapter could break, is noticed, and as what it is.
#[test]
#[ignore = "tests/proof/run: wants optimised code"]
fn what_is_broken_is_noticed() {
    for (broken, promise) in [
        (Broken::ShortCooldown, "a start set running"),
        (Broken::LateMessages, "S2"),
        (Broken::LongLag, "a start set running"),
        (Broken::SendsLate, "S1"),
        (Broken::SendsTwice, "S4"),
        (Broken::FalseProof, "S4"),
        (Broken::InventsReads, "S1"),
    ] {
        let Some((schedule, violations)) = first_noticed(broken, 12 * HOUR) else {
            panic!("{broken:?} is not noticed");
        };
        println!("{broken:?}: seed {}: {}", schedule.seed, violations[0]);
        let named = violations.iter().any(|violation| violation.contains(promise));
        assert!(named, "{broken:?} is noticed as {violations:#?}");
    }
}

#[test]
#[ignore = "tests/proof/run: wants optimised code"]
fn a_failing_schedule_is_cut_down_to_what_fails() {
    let (schedule, _) = first_noticed(Broken::SendsTwice, 2 * HOUR).expect("a failing seed");
    let fails = |schedule: &Schedule| !run(schedule).violations.is_empty();
    let least = schedule.cut_down(fails);
    assert!(fails(&least));
    println!("{} of {} events are left", least.events.len(), schedule.events.len());
    assert!(!least.events.is_empty(), "without trouble, nothing is lost that could be repeated");
    assert!(least.events.len() * 4 < schedule.events.len());
}
