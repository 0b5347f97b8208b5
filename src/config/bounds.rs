//! How far each setting may go, and the cool-down below which the guard's word weakens.

use std::time::Duration;

use super::{
    duration::{Bounds, TEN_YEARS},
    written::CountBounds,
};

/// D: longest time from the mark before the intent to the first byte of the POST. The guard's own
/// limit (`Intent::SEND_WITHIN`); a test holds the two equal.
pub const SEND_WITHIN: Duration = Duration::from_secs(5);

/// P: longest pause of a process between the last look at the deadline and the bytes' leaving.
/// Longer than any garbage collector or scheduler holds a thread, and than a usual live migration.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// M: longest time a request that was sent may still act. Microsoft publishes no figure; two minutes
/// is past the deadlines of the proxies and gateways that stand in front of such services.
pub const LONGEST_FLIGHT: Duration = Duration::from_secs(120);

/// L: longest time a read may show the state from before the start. Microsoft publishes no figure
/// either, and says that a read after a write need not show it; replicas usually agree in seconds.
pub const LONGEST_LAG: Duration = Duration::from_secs(120);

/// By how many percent two clocks' rates may differ. Real clocks stay below 0.1; virtual ones that
/// catch up after a pause have been seen to run this much fast.
pub const CLOCK_ERROR_PERCENT: u32 = 10;

/// The shortest cool-down with which no start can reach a job that an earlier guarded start set
/// running: C >= D + P + M + L, stretched by the clocks' error, in whole seconds (281 s).
///
/// A model check found the bound tight: one tick less, and an order of events exists that starts a
/// running job. A request that is given longer than M to be answered may also act that long.
#[must_use]
pub fn shortest_safe_cooldown(request_timeout: Duration) -> Duration {
    let flight = LONGEST_FLIGHT.max(request_timeout);
    let sum = SEND_WITHIN + LONGEST_PAUSE + flight + LONGEST_LAG;
    let stretched = sum.saturating_add(sum * CLOCK_ERROR_PERCENT / 100);
    Duration::from_secs(stretched.as_secs().saturating_add(u64::from(stretched.subsec_nanos() > 0)))
}

/// `request_timeout`.
pub(super) const REQUEST_TIMEOUT: Bounds = Bounds {
    least: Duration::from_millis(100),
    less_because: "no answer crosses the Internet in time, and every start would end in doubt",
    most: Duration::from_hours(1),
    more_because: "the lease must be longer still, and a crash would block the job for all of it",
};

/// `connect_timeout`.
pub(super) const CONNECT_TIMEOUT: Bounds = Bounds {
    least: Duration::from_millis(10),
    less_because: "no connection beyond the next router is made in time",
    most: REQUEST_TIMEOUT.most,
    more_because: "no request may take that long",
};

/// `cooldown`.
pub(super) const COOLDOWN: Bounds = Bounds {
    least: Duration::from_millis(1),
    less_because: "without a cool-down two starts could follow one another at once",
    most: TEN_YEARS,
    more_because: "to forbid starts, use `startguard hold`",
};

/// `window`.
pub(super) const WINDOW: Bounds = Bounds {
    least: Duration::from_secs(1),
    less_because: "a budget over less than a second bounds nothing",
    most: TEN_YEARS,
    more_because: "to forbid starts, use `startguard hold`",
};

/// `lease`. Its true lower bound depends on `request_timeout` and is checked beside it.
pub(super) const LEASE: Bounds = Bounds {
    least: Duration::from_millis(600),
    less_because: "it must exceed `request_timeout`, which is at least 100 ms, by 500 ms",
    most: Duration::from_hours(24),
    more_because: "a holder that crashed would block the job for all of it",
};

/// `status_max_age`.
pub(super) const STATUS_MAX_AGE: Bounds = Bounds {
    least: Duration::from_millis(100),
    less_because: "the read would be stale before its intent is on disk",
    most: Duration::from_mins(1),
    more_because: "a start must rest on what the job is now, not on what it was",
};

/// `keep`. What budgets need of it is checked beside them.
pub(super) const KEEP: Bounds = Bounds {
    least: Duration::from_hours(24),
    less_because: "the journal of a night must still be there in the morning",
    most: TEN_YEARS,
    more_because: "what must be kept for longer is kept elsewhere: `startguard history -o json`",
};

/// A million of anything per second, minute or window: no bound at all in practice, so a number
/// beyond it is a slip.
const PRACTICALLY_UNBOUNDED: u32 = 1_000_000;

/// `max_starts`.
pub(super) const MAX_STARTS: CountBounds = CountBounds {
    least: 1,
    most: PRACTICALLY_UNBOUNDED,
    because: "to forbid starts, use `startguard hold`; a budget beyond a million is none",
};

/// `tenant_starts_per_minute`.
pub(super) const TENANT_STARTS: CountBounds = CountBounds {
    least: 1,
    most: PRACTICALLY_UNBOUNDED,
    because: "to forbid starts, use `startguard hold`; a budget beyond a million is none",
};

/// `requests_per_second` and `burst`.
pub(super) const REQUESTS: CountBounds = CountBounds {
    least: 1,
    most: PRACTICALLY_UNBOUNDED,
    because: "with none nothing could be read, and a pace beyond a million is none",
};

/// `read_retries`. Waits double, so the tenth comes after minutes, past every deadline of a read.
pub(super) const READ_RETRIES: CountBounds = CountBounds {
    least: 0,
    most: 10,
    because: "the waits between them double, and no read's deadline has room for more",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_one_of_the_guarantees() {
        assert_eq!(shortest_safe_cooldown(Duration::from_secs(10)), Duration::from_secs(281));
    }

    #[test]
    fn a_request_that_may_act_longer_needs_a_longer_cooldown() {
        let patient = shortest_safe_cooldown(Duration::from_mins(10));
        assert_eq!(patient, Duration::from_millis(808_500 + 500));
    }
}
