//! What an operator says to a job's record: hold, release, reset.

use std::time::Duration;

use crate::model::{Actor, Hold, JobRecord, Moment};

/// The record with the job on hold. A hold replaces an earlier one.
#[must_use]
pub fn hold(
    mut record: JobRecord,
    as_of: &Moment,
    by: Actor,
    reason: String,
    lasts: Option<Duration>,
) -> JobRecord {
    record.hold = Some(Hold { by, reason, from: as_of.clone(), lasts });
    record
}

/// The record without its hold; `None` when none is in force.
#[must_use]
pub fn release(mut record: JobRecord, as_of: &Moment) -> Option<JobRecord> {
    record.hold.take().filter(|hold| hold.in_force(as_of).is_some())?;
    Some(record)
}

/// The record with its start budget given back, and how many starts were forgiven. The cool-down
/// still counts them.
#[must_use]
pub fn reset(mut record: JobRecord) -> (JobRecord, usize) {
    let mut forgiven = 0_usize;
    for mark in record.starts.iter_mut().filter(|mark| !mark.forgiven) {
        mark.forgiven = true;
        forgiven = forgiven.saturating_add(1);
    }
    (record, forgiven)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, FencingToken, StartMark, StartResult, Timestamp};

    fn at(second: i64) -> Moment {
        Moment::civil(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn a_hold_runs_out_and_can_be_lifted_before() {
        let alice = Actor("alice@ops1".to_owned());
        let minute = Some(Duration::from_secs(60));
        let held = hold(JobRecord::default(), &at(0), alice.clone(), "import".to_owned(), minute);
        assert!(release(held.clone(), &at(59)).is_some());
        assert!(release(held, &at(60)).is_none());
        let held = hold(JobRecord::default(), &at(0), alice, "import".to_owned(), None);
        assert!(release(held, &at(1_000_000)).is_some());
    }

    #[test]
    fn a_reset_forgives_what_is_not_forgiven_yet_and_changes_nothing_else() {
        let mark = |n: u128, forgiven| StartMark {
            attempt: AttemptId(uuid::Uuid::from_u128(n)),
            token: FencingToken(1),
            at: at(0),
            by: Actor("alice@ops1".to_owned()),
            result: StartResult::Started,
            looked: None,
            forgiven,
        };
        let alice = Actor("alice@ops1".to_owned());
        let held = hold(JobRecord::default(), &at(0), alice, "import".to_owned(), None);
        let starts = |forgiven: [bool; 3]| (1..).zip(forgiven).map(|(n, f)| mark(n, f)).collect();
        let record = |forgiven| JobRecord {
            token: FencingToken(7),
            starts: starts(forgiven),
            ..held.clone()
        };
        let (after, forgiven) = reset(record([false, true, false]));
        assert_eq!((after.clone(), forgiven), (record([true; 3]), 2));
        assert_eq!(reset(after.clone()), (after, 0));
    }
}
