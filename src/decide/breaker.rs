//! What reads say of the tenant's Graph: told to wait, failed, or well.

use std::time::Duration;

use crate::model::{Breaker, Moment, TenantRecord, Term, Throttle};

/// Failures in a row that trip the breaker: more than the repeats of one unlucky read, few enough
/// that a fleet does not queue up behind a dead service.
const TRIP_AFTER: u32 = 5;

/// How long a tripped breaker rests before the next read may probe: a restart of a proxy or a short
/// outage fits in, and an operator does not wait long for the probe.
const REST: Duration = Duration::from_secs(30);

/// The longest wait that one Retry-After can impose. Graph asks for seconds to minutes; a broken
/// proxy's "come back next year" must not stop a fleet for good.
const LONGEST_THROTTLE: Duration = Duration::from_secs(24 * 3600);

/// The tenant's record after a read found Graph away or unable to answer.
#[must_use]
pub fn read_failed(mut record: TenantRecord, as_of: &Moment) -> TenantRecord {
    let failures = record.breaker.failures.saturating_add(1);
    let rest = (failures >= TRIP_AFTER).then(|| Term { from: as_of.clone(), lasts: REST });
    record.breaker = Breaker { failures, rest };
    record
}

/// The tenant's record after a read was answered; `None` when it says so already.
#[must_use]
pub fn read_worked(record: &TenantRecord) -> Option<TenantRecord> {
    (record.breaker != Breaker::default())
        .then(|| TenantRecord { breaker: Breaker::default(), ..record.clone() })
}

/// The tenant's record while one caller probes a breaker whose rest is over; `None` when there is
/// nothing to probe.
///
/// Whoever commits it first has the probe, and everyone else goes on resting. An answered read
/// closes the breaker; a probe that never comes back blocks nobody for longer than another rest.
#[must_use]
pub fn probe(record: &TenantRecord, as_of: &Moment) -> Option<TenantRecord> {
    (record.breaker.failures >= TRIP_AFTER).then(|| {
        let rest = Some(Term { from: as_of.clone(), lasts: REST });
        TenantRecord { breaker: Breaker { rest, ..record.breaker.clone() }, ..record.clone() }
    })
}

/// The tenant's record after Graph said to wait; `None` when a longer wait is in force already.
#[must_use]
pub fn throttled(
    record: &TenantRecord,
    as_of: &Moment,
    status: u16,
    retry_after: Duration,
) -> Option<TenantRecord> {
    let lasts = retry_after.min(LONGEST_THROTTLE);
    let in_force = record.throttle.as_ref().and_then(|throttle| throttle.term.remaining(as_of));
    if lasts.is_zero() || in_force.is_some_and(|left| left >= lasts) {
        return None;
    }
    let throttle = Some(Throttle { status, term: Term { from: as_of.clone(), lasts } });
    Some(TenantRecord { throttle, ..record.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn at(second: i64) -> Moment {
        Moment::civil(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn five_failures_in_a_row_trip_it_and_one_answer_mends_it() {
        let mut record = TenantRecord::default();
        for n in 1..=4 {
            record = read_failed(record, &at(n));
            assert_eq!(record.breaker.rest, None, "after {n}");
        }
        record = read_failed(record, &at(5));
        let rest = record.breaker.rest.as_ref();
        assert_eq!(rest.and_then(|rest| rest.remaining(&at(5))), Some(REST));
        assert_eq!(rest.and_then(|rest| rest.remaining(&at(35))), None);
        assert_eq!(read_worked(&record).map(|r| r.breaker), Some(Breaker::default()));
        assert_eq!(read_worked(&TenantRecord::default()), None);
    }

    #[test]
    fn a_failed_probe_trips_it_again_at_once() {
        let mut record = TenantRecord::default();
        for n in 1..=5 {
            record = read_failed(record, &at(n));
        }
        record = read_failed(record, &at(60));
        let rest = record.breaker.rest.as_ref();
        assert_eq!(rest.and_then(|rest| rest.remaining(&at(60))), Some(REST));
    }

    #[test]
    fn a_probe_keeps_everyone_else_resting() {
        let mut record = TenantRecord::default();
        for n in 1..=4 {
            record = read_failed(record, &at(n));
            assert_eq!(probe(&record, &at(n)), None, "not tripped after {n}");
        }
        let tripped = read_failed(record, &at(5));
        let probed = probe(&tripped, &at(40)).unwrap_or_default();
        assert_eq!(probed.breaker.failures, 5);
        let rest = probed.breaker.rest.as_ref();
        assert_eq!(rest.and_then(|rest| rest.remaining(&at(40))), Some(REST));
        assert_eq!(read_worked(&probed).map(|r| r.breaker), Some(Breaker::default()));
    }

    #[test]
    fn a_shorter_wait_never_shortens_a_longer_one() {
        let minute = Duration::from_secs(60);
        let long = throttled(&TenantRecord::default(), &at(0), 429, minute).unwrap_or_default();
        assert_eq!(throttled(&long, &at(10), 429, Duration::from_secs(5)), None);
        assert!(throttled(&long, &at(58), 503, Duration::from_secs(5)).is_some());
        assert!(throttled(&long, &at(10), 429, minute).is_some());
    }

    #[test]
    fn an_absurd_wait_is_cut_to_a_day() {
        let year = Duration::from_secs(365 * 24 * 3600);
        let record = throttled(&TenantRecord::default(), &at(0), 429, year).unwrap_or_default();
        let day = Duration::from_secs(86_400);
        assert_eq!(record.throttle.map(|t| t.term.lasts), Some(day));
    }

    #[test]
    fn a_wait_of_no_time_is_none() {
        assert_eq!(throttled(&TenantRecord::default(), &at(0), 429, Duration::ZERO), None);
    }
}
