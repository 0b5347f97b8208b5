use std::num::NonZeroU32;

use uuid::Uuid;

use super::*;
use crate::model::{Actor, Breaker, FencingToken, Term, Throttle};

const COOLDOWN: Duration = Duration::from_secs(600);

fn policy() -> Policy {
    Policy {
        cooldown: COOLDOWN,
        max_starts: NonZeroU32::MIN.saturating_add(2),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: NonZeroU32::MIN.saturating_add(1),
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        needs_consent: Vec::new(),
        auto_reasons: Vec::new(),
    }
}

fn at(second: i64) -> Moment {
    Moment::civil(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn attempt(n: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(n))
}

fn mark(n: u128, second: i64, result: StartResult) -> StartMark {
    StartMark {
        attempt: attempt(n),
        token: FencingToken(1),
        at: at(second),
        by: Actor("alice@ops1".to_owned()),
        result,
        looked: None,
        forgiven: false,
    }
}

fn started(seconds: &[i64]) -> JobRecord {
    let marks = seconds.iter().zip(1_u128..);
    JobRecord {
        starts: marks.map(|(at, n)| mark(n, *at, StartResult::Started)).collect(),
        ..JobRecord::default()
    }
}

fn lease(n: u128, from: i64, lasts: u64) -> Lease {
    Lease {
        holder: "bob@ops2 (pid 7)".to_owned(),
        attempt: attempt(n),
        token: FencingToken(1),
        term: Term { from: at(from), lasts: Duration::from_secs(lasts) },
    }
}

/// The deferral in two words: its reason, and its retry time in seconds.
fn ask(job: &JobRecord, tenant: &TenantRecord, now: i64) -> Option<(Reason, Option<u64>)> {
    let as_of = at(now);
    let view = View { job, tenant, as_of: &as_of, latest_entry: None };
    match look_back(&policy(), view, Some(attempt(99))) {
        Ok(()) => None,
        Err(Refusal::Defer(deferral)) => {
            Some((deferral.reason, deferral.retry_after.map(|left| left.as_secs())))
        }
        Err(Refusal::ClockBehind(behind)) => panic!("clock behind {behind:?}"),
    }
}

fn none() -> TenantRecord {
    TenantRecord::default()
}

#[test]
fn a_clean_record_lets_the_ask_through() {
    assert_eq!(ask(&JobRecord::default(), &none(), 0), None);
}

#[test]
fn a_start_cools_down_to_the_second() {
    let job = started(&[1_000]);
    assert_eq!(ask(&job, &none(), 1_000), Some((Reason::Cooldown, Some(600))));
    assert_eq!(ask(&job, &none(), 1_599), Some((Reason::Cooldown, Some(1))));
    assert_eq!(ask(&job, &none(), 1_600), None);
}

#[test]
fn a_rejected_start_cools_down_like_any_other() {
    let mut job = started(&[1_000]);
    job.starts[0].result = StartResult::Rejected;
    assert_eq!(ask(&job, &none(), 1_100), Some((Reason::Cooldown, Some(500))));
}

#[test]
fn a_used_up_window_says_when_its_oldest_start_leaves() {
    let job = started(&[0, 1_000, 2_000]);
    assert_eq!(ask(&job, &none(), 2_001), Some((Reason::BudgetExhausted, Some(84_399))));
    assert_eq!(ask(&job, &none(), 86_400), None);
}

#[test]
fn forgiven_starts_leave_the_window_and_stay_in_the_cooldown() {
    let mut job = started(&[0, 1_000, 2_000]);
    for mark in &mut job.starts {
        mark.forgiven = true;
    }
    assert_eq!(ask(&job, &none(), 2_001), Some((Reason::Cooldown, Some(599))));
    assert_eq!(ask(&job, &none(), 2_600), None);
}

#[test]
fn another_holder_is_a_hindrance_until_its_lease_runs_out() {
    let job = JobRecord { lease: Some(lease(1, 100, 60)), ..JobRecord::default() };
    assert_eq!(ask(&job, &none(), 130), Some((Reason::LeaseHeld, Some(30))));
    assert_eq!(ask(&job, &none(), 160), None);
}

#[test]
fn ones_own_lease_is_no_hindrance() {
    let job = JobRecord { lease: Some(lease(99, 100, 60)), ..JobRecord::default() };
    assert_eq!(ask(&job, &none(), 130), None);
}

#[test]
fn an_open_intent_of_a_live_holder_cools_down_and_is_not_looked_at() {
    let mut job = started(&[1_000]);
    job.starts[0].result = StartResult::Open;
    job.lease = Some(lease(1, 1_000, 60));
    assert_eq!(ask(&job, &none(), 1_010), Some((Reason::Cooldown, Some(590))));
}

#[test]
fn an_open_intent_of_a_dead_holder_may_be_looked_at() {
    let mut job = started(&[1_000]);
    job.starts[0].result = StartResult::Open;
    job.lease = Some(lease(1, 1_000, 60));
    assert_eq!(ask(&job, &none(), 1_060), None);
}

#[test]
fn an_intent_in_doubt_is_looked_at_only_every_few_seconds() {
    let mut job = started(&[1_000]);
    job.starts[0].result = StartResult::InDoubt;
    job.starts[0].looked = Some(at(1_100));
    assert_eq!(ask(&job, &none(), 1_104), Some((Reason::InDoubt, Some(496))));
    assert_eq!(ask(&job, &none(), 1_105), None);
}

#[test]
fn a_hold_is_told_first_and_may_have_no_end() {
    let mut job = started(&[1_000]);
    job.hold = Some(Hold {
        by: Actor("alice@ops1".to_owned()),
        reason: "import".to_owned(),
        from: at(1_000),
        lasts: Some(Duration::from_secs(10)),
    });
    assert_eq!(ask(&job, &none(), 1_001), Some((Reason::OnHold, Some(9))));
    if let Some(hold) = &mut job.hold {
        hold.lasts = None;
    }
    assert_eq!(ask(&job, &none(), 9_999_999), Some((Reason::OnHold, None)));
}

#[test]
fn a_hold_is_told_even_when_the_clock_stands_wrong() {
    let hold = Hold {
        by: Actor("alice@ops1".to_owned()),
        reason: "import".to_owned(),
        from: at(1_000),
        lasts: None,
    };
    let job = JobRecord { hold: Some(hold), ..JobRecord::default() };
    let (tenant, as_of) = (none(), at(500));
    let view = View { job: &job, tenant: &tenant, as_of: &as_of, latest_entry: Some(at(1_000).at) };
    let refused = look_back(&policy(), view, None);
    assert!(
        matches!(&refused, Err(Refusal::Defer(held)) if held.reason == Reason::OnHold),
        "{refused:?}"
    );
}

#[test]
fn of_several_hindrances_the_longest_is_told() {
    let job = started(&[1_000]);
    let term = Term { from: at(1_000), lasts: Duration::from_secs(900) };
    let tenant =
        TenantRecord { throttle: Some(Throttle { status: 429, term }), ..TenantRecord::default() };
    assert_eq!(ask(&job, &tenant, 1_000), Some((Reason::Throttled, Some(900))));
    assert_eq!(ask(&job, &none(), 1_000), Some((Reason::Cooldown, Some(600))));
}

#[test]
fn the_tenants_minute_counts_every_job() {
    let tenant = TenantRecord { starts: vec![at(0), at(30)], ..TenantRecord::default() };
    let clean = JobRecord::default();
    assert_eq!(ask(&clean, &tenant, 40), Some((Reason::TenantBudgetExhausted, Some(20))));
    assert_eq!(ask(&clean, &tenant, 60), None);
}

#[test]
fn a_tripped_breaker_defers_until_its_rest_is_over() {
    let rest = Some(Term { from: at(0), lasts: Duration::from_secs(30) });
    let tenant = TenantRecord { breaker: Breaker { failures: 5, rest }, ..TenantRecord::default() };
    let clean = JobRecord::default();
    assert_eq!(ask(&clean, &tenant, 10), Some((Reason::BreakerOpen, Some(20))));
    assert_eq!(ask(&clean, &tenant, 30), None);
}

#[test]
fn a_clock_behind_the_newest_entry_refuses_everything() {
    let (job, tenant, as_of) = (JobRecord::default(), none(), at(1_000));
    let ask = |latest: i64| {
        let view =
            View { job: &job, tenant: &tenant, as_of: &as_of, latest_entry: Some(at(latest).at) };
        look_back(&policy(), view, None)
    };
    assert_eq!(ask(1_000), Ok(()));
    assert_eq!(ask(1_002), Ok(()), "time services step back a little");
    assert_eq!(ask(1_003), Err(Refusal::ClockBehind(Duration::from_secs(3))));
}

#[test]
fn a_hold_that_has_run_out_is_no_hindrance() {
    let hold = Hold {
        by: Actor("alice@ops1".to_owned()),
        reason: "import".to_owned(),
        from: at(1_000),
        lasts: Some(Duration::from_secs(10)),
    };
    let job = JobRecord { hold: Some(hold), ..JobRecord::default() };
    assert_eq!(ask(&job, &none(), 1_009), Some((Reason::OnHold, Some(1))));
    assert_eq!(ask(&job, &none(), 1_010), None);
}

fn message(job: &JobRecord, now: i64) -> String {
    let (tenant, as_of) = (none(), at(now));
    let view = View { job, tenant: &tenant, as_of: &as_of, latest_entry: None };
    match look_back(&policy(), view, None) {
        Err(Refusal::Defer(deferral)) => deferral.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_used_up_budget_names_those_who_used_it() {
    let mut job = started(&[0, 10_000, 20_000, 30_000, 40_000]);
    for (mark, who) in job.starts.iter_mut().zip(["dave", "alice", "alice", "erin", "carol"]) {
        mark.by = Actor(who.to_owned());
        mark.forgiven = who == "erin";
    }
    // Dave's start leaves the window at this very second.
    let expected = "budget used up: 3 of 3 starts within 1day (by alice, carol)";
    assert_eq!(message(&job, 86_400), expected);
}

#[test]
fn a_cooldown_says_who_asked_when_and_what_policy_wants() {
    let expected =
        "cooling down: alice@ops1 asked for a start 1m 40s ago, and policy wants 10m between two";
    assert_eq!(message(&started(&[1_000]), 1_100), expected);
}

#[test]
fn spans_are_told_in_whole_seconds_never_too_short() {
    for (span, expected) in [
        (Duration::ZERO, "0s"),
        (Duration::from_secs(3), "3s"),
        (Duration::new(3, 1), "4s"),
        (Duration::from_millis(3_999), "4s"),
    ] {
        assert_eq!(whole_seconds(span), expected);
    }
}
