use super::*;

const SENDER: Sender<'_> = Sender { request_id: "r", client_request_id: Some("c") };

fn address() -> JobAddress {
    JobAddress { service_principal: "SP".to_owned(), job: "job".to_owned() }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn arrive(judge: &mut Judge, now: Duration, violation: Option<ViolationKind>) -> StartFlight {
    judge.start_arrived(now, address(), violation, SENDER)
}

#[test]
fn a_violation_is_counted_once_whether_met_on_arrival_or_later() {
    let mut judge = Judge::default();
    let mut early = arrive(&mut judge, at(1), Some(ViolationKind::Running));
    judge.start_effective(at(2), &mut early, Some(ViolationKind::Running), false, SENDER);
    judge.start_done(&early);
    assert_eq!(judge.counts().violations, 1);

    let mut late = arrive(&mut judge, at(3), None);
    judge.start_effective(at(4), &mut late, Some(ViolationKind::Starting), false, SENDER);
    judge.start_done(&late);
    let counts = judge.counts();
    assert_eq!(counts.violations, 2);
    assert_eq!(counts.violations_by_kind[&ViolationKind::Starting], 1);
    assert_eq!(counts.job("sp", "job").violations, 2);
    assert_eq!(counts.violation_log.len(), 2);
    assert_eq!(counts.violation_log[0].client_request_id.as_deref(), Some("c"));
}

#[test]
fn overlaps_are_starts_that_arrive_while_one_is_in_flight() {
    let mut judge = Judge::default();
    let first = arrive(&mut judge, at(1), None);
    let second = arrive(&mut judge, at(2), None);
    judge.start_done(&first);
    let third = arrive(&mut judge, at(3), None);
    judge.start_done(&second);
    judge.start_done(&third);
    let fourth = arrive(&mut judge, at(4), None);
    let counts = judge.counts().job("SP", "job");
    assert_eq!(
        (counts.overlapping_starts, counts.starts_in_flight_max, counts.starts_in_flight),
        (2, 2, 1)
    );
    assert_eq!(judge.counts().overlapping_starts, 2);
    judge.start_done(&fourth);
    assert_eq!(judge.counts().job("SP", "job").starts_in_flight, 0);
}

#[test]
fn a_reset_forgets_starts_in_flight() {
    let mut judge = Judge::default();
    let request = judge.request_arrived(OperationKind::Start, true, false);
    let mut old = arrive(&mut judge, at(1), None);
    judge.reset();
    let new = arrive(&mut judge, at(2), None);
    judge.start_effective(at(3), &mut old, Some(ViolationKind::Running), true, SENDER);
    judge.start_done(&old);
    judge.request_done(request);
    let counts = judge.counts();
    assert_eq!((counts.violations, counts.starts, counts.in_flight), (0, 1, 0));
    assert_eq!(counts.job("SP", "job").starts_in_flight, 1);
    judge.start_done(&new);
}

#[test]
fn a_start_wants_a_fresh_look_at_a_startable_job() {
    let mut judge = Judge::default();
    let blind = |judge: &Judge| judge.counts().job("SP", "job").starts_without_fresh_read;
    arrive(&mut judge, at(0), None);
    assert_eq!(blind(&judge), 1);
    judge.job_shown(at(1_000), &address(), true);
    arrive(&mut judge, at(6_000), None);
    assert_eq!(blind(&judge), 1);
    arrive(&mut judge, at(6_001), None);
    assert_eq!(blind(&judge), 2);
    judge.job_shown(at(7_000), &address(), false);
    arrive(&mut judge, at(7_001), None);
    assert_eq!(blind(&judge), 3);
}

#[test]
fn arrivals_tell_the_fullest_window_and_the_shortest_gap() {
    let mut judge = Judge::default();
    for moment in [0, 1_000, 1_500, 10_000, 10_999] {
        arrive(&mut judge, at(moment), None);
    }
    let counts = judge.counts().job("SP", "job");
    assert_eq!(counts.most_starts_within(at(1_000)), 2);
    assert_eq!(counts.most_starts_within(at(1_501)), 3);
    assert_eq!(counts.most_starts_within(at(60_000)), 5);
    assert_eq!(counts.shortest_gap(), Some(at(500)));
    assert_eq!(JobCounts::default().most_starts_within(at(1)), 0);
    assert_eq!(JobCounts::default().shortest_gap(), None);
}

#[test]
fn requests_in_flight_have_a_maximum() {
    let mut judge = Judge::default();
    let first = judge.request_arrived(OperationKind::GetJob, true, false);
    let second = judge.request_arrived(OperationKind::GetJob, true, true);
    judge.request_done(first);
    judge.request_done(second);
    let third = judge.request_arrived(OperationKind::Token, false, false);
    judge.request_done(third);
    let counts = judge.counts();
    assert_eq!((counts.in_flight, counts.in_flight_max), (0, 2));
    assert_eq!((counts.graph_requests, counts.batched_requests), (1, 1));
    assert_eq!((counts.of(OperationKind::GetJob), counts.of(OperationKind::Token)), (2, 1));
}

#[test]
fn details_are_bounded_and_numbers_are_not() {
    let mut judge = Judge::default();
    for moment in 0..3_000 {
        let flight = arrive(&mut judge, at(moment), Some(ViolationKind::Running));
        judge.start_done(&flight);
    }
    assert_eq!(judge.counts().violations, 3_000);
    assert_eq!(judge.counts().violation_log.len(), DETAILS);
}
