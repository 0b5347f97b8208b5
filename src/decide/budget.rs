//! Start budgets: at most so many starts in **any** window, counted exactly.
//!
//! A token bucket (GCRA) of the same size lets up to twice as many through in an unlucky window, so
//! the durable budget keeps the times of the starts themselves; there are few.

use std::time::Duration;

use crate::model::{JobRecord, Moment, StartMark, TenantRecord};

/// The tenant's window. The setting counts starts per minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Starts are remembered at least this long, whatever this call's window is: another call may come
/// with a longer one. Longer than the 28 days after which the service disables a quarantined job.
const REMEMBER: Duration = Duration::from_secs(35 * 24 * 3600);

/// Beyond the window in force, at most so many are remembered: a record is read on every ask and
/// must stay some kilobytes in size.
const REMEMBER_MOST: usize = 128;

/// How long until one more of `limit` fits into `window`; `None` when it fits now. `ages` are those
/// of the starts that count.
pub(super) fn wait_for_room(
    ages: impl Iterator<Item = Duration>,
    limit: u32,
    window: Duration,
) -> Option<Duration> {
    let mut within: Vec<Duration> = ages.filter(|age| *age < window).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if within.len() < limit {
        return None;
    }
    // Youngest first: there is room again once the `limit`-th youngest has left the window.
    within.sort_unstable();
    limit.checked_sub(1).and_then(|at| within.get(at)).map(|age| window.saturating_sub(*age))
}

/// How long until the job's window has room for one more.
pub(super) fn job_wait(
    record: &JobRecord,
    as_of: &Moment,
    max_starts: u32,
    window: Duration,
) -> Option<Duration> {
    let counted = record.starts.iter().filter(|mark| !mark.forgiven);
    wait_for_room(counted.map(|mark| as_of.since(&mark.at)), max_starts, window)
}

/// How long until the cool-down of the job's last start is over.
pub(super) fn cooldown_wait<'a>(
    record: &'a JobRecord,
    as_of: &Moment,
    cooldown: Duration,
) -> Option<(Duration, &'a StartMark)> {
    // The youngest by the clock, not the last in the list: clocks of different boots may disagree.
    let mark = record.starts.iter().min_by_key(|mark| as_of.since(&mark.at))?;
    match cooldown.saturating_sub(as_of.since(&mark.at)) {
        Duration::ZERO => None,
        left => Some((left, mark)),
    }
}

/// How long until the tenant's minute has room for one more.
pub(super) fn tenant_wait(record: &TenantRecord, as_of: &Moment, limit: u32) -> Option<Duration> {
    wait_for_room(record.starts.iter().map(|at| as_of.since(at)), limit, MINUTE)
}

/// Adds a start and forgets those that can never count again.
pub(super) fn count_start(record: &mut JobRecord, mark: StartMark, counted_for: Duration) {
    let now = mark.at.clone();
    record.starts.push(mark);
    let surplus = record.starts.len().saturating_sub(REMEMBER_MOST);
    let mut place = 0_usize;
    record.starts.retain(|mark| {
        let old = now.since(&mark.at);
        let oldest = place < surplus;
        place = place.saturating_add(1);
        old < counted_for || (old < REMEMBER && !oldest)
    });
}

/// Adds a start of the tenant's and forgets those older than its window.
pub(super) fn count_tenant_start(record: &mut TenantRecord, now: &Moment) {
    record.starts.retain(|at| now.since(at) < MINUTE);
    record.starts.push(now.clone());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Actor, AttemptId, FencingToken, StartResult, Timestamp};

    const DAY: u32 = 86_400;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(second: u32) -> Moment {
        let at = Timestamp::from_second(i64::from(second)).unwrap_or(Timestamp::UNIX_EPOCH);
        Moment::civil(at)
    }

    fn mark(second: u32) -> StartMark {
        StartMark {
            attempt: AttemptId(uuid::Uuid::from_u128(1)),
            token: FencingToken(1),
            at: at(second),
            by: Actor("alice@ops1".to_owned()),
            result: StartResult::Started,
            looked: None,
            forgiven: false,
        }
    }

    /// When the starts were that are remembered after one more, with this window.
    fn remembered(seconds: impl Iterator<Item = u32>, next: u32, window: u32) -> Vec<i64> {
        let mut record = JobRecord { starts: seconds.map(mark).collect(), ..JobRecord::default() };
        count_start(&mut record, mark(next), secs(u64::from(window)));
        record.starts.iter().map(|mark| mark.at.at.as_second()).collect()
    }

    #[test]
    fn a_start_is_remembered_for_the_longer_of_35_days_and_the_window() {
        for (window, longest) in [(DAY, 35 * DAY), (40 * DAY, 40 * DAY)] {
            let next = longest - 1;
            assert_eq!(remembered([0].into_iter(), next, window), [0, i64::from(next)]);
            assert_eq!(remembered([0].into_iter(), longest, window), [i64::from(longest)]);
        }
    }

    #[test]
    fn beyond_the_window_the_newest_128_starts_are_remembered() {
        let (of_late, next) = (0..130, 10_000);
        let outside = remembered(of_late.clone(), next, 3_600);
        assert_eq!((outside.len(), outside[0], outside[127]), (128, 3, 10_000));
        assert_eq!(remembered(of_late, next, 20_000).len(), 131, "all of them count");
    }

    #[test]
    fn a_start_of_the_tenants_is_remembered_for_a_minute() {
        let mut tenant = TenantRecord { starts: vec![at(0), at(1)], ..TenantRecord::default() };
        count_tenant_start(&mut tenant, &at(60));
        assert_eq!(tenant.starts, [at(1), at(60)]);
    }

    #[test]
    fn room_comes_back_when_the_right_start_leaves() {
        let ages = [secs(50), secs(20), secs(5)];
        assert_eq!(wait_for_room(ages.into_iter(), 4, secs(60)), None);
        assert_eq!(wait_for_room(ages.into_iter(), 3, secs(60)), Some(secs(10)));
        assert_eq!(wait_for_room(ages.into_iter(), 2, secs(60)), Some(secs(40)));
        assert_eq!(wait_for_room(ages.into_iter(), 1, secs(60)), Some(secs(55)));
        assert_eq!(wait_for_room(ages.into_iter(), 3, secs(50)), None);
    }

    proptest! {
        #[test]
        fn the_wait_is_enough_and_no_longer_than_needed(
            ages in proptest::collection::vec(0_u64..200, 0..12), limit in 1_u32..6, window in 1_u64..120,
        ) {
            let within = |later: u64| ages.iter().filter(|age| **age + later < window).count();
            match wait_for_room(ages.iter().map(|age| secs(*age)), limit, secs(window)) {
                None => prop_assert!(within(0) < limit as usize),
                Some(wait) => {
                    prop_assert!(within(wait.as_secs()) < limit as usize);
                    prop_assert!(within(wait.as_secs() - 1) >= limit as usize);
                }
            }
        }
    }
}
