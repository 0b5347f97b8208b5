//! The tenant's pace of requests, over all processes and hosts: GCRA over the tenant's record.
//!
//! GCRA stores one time, the theoretical arrival time: when all requests granted so far would have
//! gone out, had they gone at the steady pace. Here it is kept as a span from a moment of the
//! store's clock, as every other span in the records: a clock that is set back then grants nothing.

use std::{num::NonZeroU32, time::Duration};

use crate::model::{Moment, TenantRecord, Term};

/// A steady pace, and how many requests may go out ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What one request costs.
    pub every: Duration,
    /// Requests that may go out back to back.
    pub burst: NonZeroU32,
}

impl Quota {
    /// So many requests in a second in the long run.
    #[must_use]
    pub fn per_second(requests: NonZeroU32, burst: NonZeroU32) -> Self {
        // Rounded up: never faster than was asked for.
        let every = 1_000_000_000_u32.div_ceil(requests.get());
        Self { every: Duration::from_nanos(u64::from(every)), burst }
    }

    fn cost(&self, requests: u32) -> Duration {
        self.every.saturating_mul(requests)
    }
}

/// What the tenant's record says to an ask for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// They are granted once this record is durable, and may go out after `wait`. Whoever never
    /// sends them has wasted them; nobody else is granted them again.
    Granted {
        /// The tenant's new record.
        record: TenantRecord,
        /// How long to wait before sending.
        wait: Duration,
    },
    /// They are not.
    Full {
        /// How long until they would fit without waiting.
        wait: Duration,
        /// The record mended, where what it says would never, or not for long, run out: to be
        /// written, so that time passes for it again.
        mended: Option<TenantRecord>,
    },
}

/// Asks for requests, at most `ahead` before their time.
///
/// Asks that can wait are granted in the order in which they are written, each for its own time, so
/// that a crowd does not ask again and again. `ahead` bounds what those who are gone by then waste.
#[must_use]
pub fn take_turn(
    tenant: &TenantRecord,
    as_of: &Moment,
    quota: &Quota,
    requests: NonZeroU32,
    ahead: Duration,
) -> Turn {
    let stored = tenant.pace.as_ref();
    let backlog = stored.and_then(|pace| pace.remaining(as_of)).unwrap_or_default();
    let room = quota.cost(quota.burst.get());
    // What is asked for as one is never torn apart; more than the burst fits where nothing else is.
    let needed = quota.cost(requests.min(quota.burst).get());
    let wait = backlog.saturating_add(needed).saturating_sub(room);
    let paced =
        |lasts| TenantRecord { pace: Some(Term { from: as_of.clone(), lasts }), ..tenant.clone() };
    if wait <= ahead {
        let record = paced(backlog.saturating_add(quota.cost(requests.get())));
        return Turn::Granted { record, wait };
    }
    // More than this quota ever writes: another's, with a slower pace. Or a clock that was set back.
    let most = room.saturating_add(ahead).saturating_add(quota.cost(requests.get()));
    let set_back =
        stored.is_some_and(|pace| pace.from.at > as_of.at && as_of.since(&pace.from).is_zero());
    let mended = (set_back || backlog > most).then(|| paced(backlog.min(most)));
    Turn::Full { wait, mended }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::civil(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Five a second, ten at once.
    fn usual() -> Quota {
        Quota::per_second(n(5), n(10))
    }

    #[test]
    fn a_burst_goes_out_at_once_and_then_one_at_a_time() {
        let mut tenant = TenantRecord::default();
        for _ in 0..10 {
            match take_turn(&tenant, &at(0), &usual(), n(1), Duration::ZERO) {
                Turn::Granted { record, wait } => {
                    assert_eq!(wait, Duration::ZERO);
                    tenant = record;
                }
                full @ Turn::Full { .. } => panic!("{full:?}"),
            }
        }
        let full = Turn::Full { wait: millis(200), mended: None };
        assert_eq!(take_turn(&tenant, &at(0), &usual(), n(1), Duration::ZERO), full);
        let full = Turn::Full { wait: millis(1), mended: None };
        assert_eq!(take_turn(&tenant, &at(199), &usual(), n(1), Duration::ZERO), full);
        let next = take_turn(&tenant, &at(200), &usual(), n(1), Duration::ZERO);
        assert!(matches!(next, Turn::Granted { .. }), "{next:?}");
    }

    #[test]
    fn who_can_wait_is_given_a_time_of_their_own() {
        let quota = Quota::per_second(n(5), n(1));
        let mut tenant = TenantRecord::default();
        for expected in [0, 200, 400] {
            match take_turn(&tenant, &at(0), &quota, n(1), millis(500)) {
                Turn::Granted { record, wait } => {
                    assert_eq!(wait, millis(expected));
                    tenant = record;
                }
                full @ Turn::Full { .. } => panic!("{full:?}"),
            }
        }
        let full = Turn::Full { wait: millis(600), mended: None };
        assert_eq!(take_turn(&tenant, &at(0), &quota, n(1), millis(500)), full);
    }

    #[test]
    fn what_is_asked_for_as_one_passes_a_smaller_burst_and_is_paid_for_in_full() {
        let quota = Quota::per_second(n(5), n(1));
        let turn = take_turn(&TenantRecord::default(), &at(0), &quota, n(2), Duration::ZERO);
        let Turn::Granted { record, wait: Duration::ZERO } = turn else { panic!("{turn:?}") };
        let full = Turn::Full { wait: millis(400), mended: None };
        assert_eq!(take_turn(&record, &at(0), &quota, n(1), Duration::ZERO), full);
    }

    #[test]
    fn a_clock_set_back_grants_nothing_and_stops_nobody_for_good() {
        let pace = Some(Term { from: at(3_600_000), lasts: millis(2_000) });
        let tenant = TenantRecord { pace, ..TenantRecord::default() };
        let turn = take_turn(&tenant, &at(0), &usual(), n(1), Duration::ZERO);
        let Turn::Full { wait, mended: Some(mended) } = turn else { panic!("{turn:?}") };
        assert_eq!(wait, millis(200));
        let later = take_turn(&mended, &at(200), &usual(), n(1), Duration::ZERO);
        assert!(matches!(later, Turn::Granted { .. }), "{later:?}");
    }

    #[test]
    fn anothers_slower_pace_is_cut_to_ones_own() {
        let slow = Quota::per_second(n(1), n(1_000));
        let turn = take_turn(&TenantRecord::default(), &at(0), &slow, n(1_000), Duration::ZERO);
        let Turn::Granted { record, .. } = turn else { panic!("{turn:?}") };
        let turn = take_turn(&record, &at(0), &usual(), n(1), Duration::ZERO);
        let Turn::Full { mended: Some(mended), .. } = turn else { panic!("{turn:?}") };
        let later = take_turn(&mended, &at(500), &usual(), n(1), Duration::ZERO);
        assert!(matches!(later, Turn::Granted { .. }), "{later:?}");
    }

    proptest! {
        /// Whoever asks, whenever, for however many, ready to wait or not: what may go out within
        /// any span is at most the burst and what the steady pace brings in that span.
        #[test]
        fn no_span_has_more_than_the_burst_and_the_pace(
            per_second in 1_u32..50, burst in 1_u32..12, ahead in 0_u64..3_000,
            // A step back of the clock now and then: it must not grant more in real time.
            asks in proptest::collection::vec((0_u64..400, 1_u32..6, prop::bool::weighted(0.1)), 1..60),
        ) {
            let quota = Quota::per_second(n(per_second), n(burst));
            let (mut real, mut offset) = (0_u64, 100_000_i64);
            let mut tenant = TenantRecord::default();
            let mut sent: Vec<(Duration, u32)> = Vec::new();
            for (pause, requests, set_back) in asks {
                real += pause;
                offset -= i64::from(set_back) * 5_000;
                let now = at(i64::try_from(real).unwrap_or(0) + offset);
                let requests = requests.min(burst);
                match take_turn(&tenant, &now, &quota, n(requests), millis(ahead)) {
                    Turn::Granted { record, wait } => {
                        sent.push((millis(real) + wait, requests));
                        tenant = record;
                    }
                    Turn::Full { mended, .. } => tenant = mended.unwrap_or(tenant),
                }
            }
            for (first, (from, _)) in sent.iter().enumerate() {
                let mut count = 0;
                for (to, requests) in &sent[first..] {
                    count += requests;
                    let brought = to.saturating_sub(*from).as_nanos() / quota.every.as_nanos();
                    prop_assert!(u128::from(count) <= u128::from(burst) + brought,
                        "{count} from {from:?} to {to:?}");
                }
            }
        }

        /// Who asks alone, at the pace, is never refused.
        #[test]
        fn asks_at_the_pace_are_granted(per_second in 1_u32..1_000, burst in 1_u32..20) {
            let quota = Quota::per_second(n(per_second), n(burst));
            let mut now = Moment::civil(Timestamp::UNIX_EPOCH);
            let mut tenant = TenantRecord::default();
            for _ in 0..50 {
                match take_turn(&tenant, &now, &quota, n(1), Duration::ZERO) {
                    Turn::Granted { record, .. } => tenant = record,
                    full @ Turn::Full { .. } => prop_assert!(false, "{full:?}"),
                }
                now.at += quota.every;
            }
        }
    }
}
