//! Points in time and spans. Nothing here reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point of civil time in UTC, as clocks on walls and in payloads tell it.
pub type Timestamp = jiff::Timestamp;

/// Which run of the machine a boot time belongs to (Linux: `/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// Time since the machine booted, suspend included, and which boot that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// The boot.
    pub id: BootId,
    /// Time since it.
    pub since: Duration,
}

/// A point in time on the **store's** clock.
///
/// PostgreSQL's clock is one for all hosts, so the civil time is enough. SQLite's is the machine's,
/// which may be set forwards or back; the boot time beside it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Civil time.
    pub at: Timestamp,
    /// Time since boot, where the store's clock is the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootTime>,
}

impl Moment {
    /// A moment of a store that has one clock for all hosts.
    #[must_use]
    pub fn civil(at: Timestamp) -> Self {
        Self { at, boot: None }
    }

    /// How long ago `earlier` was.
    ///
    /// Within one boot the difference of boot times, which no clock setting touches. Across boots,
    /// or without boot times, the difference of civil times; an `earlier` that lies in the future
    /// counts as now, so a clock set back never makes a start look older than it is.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        match (&self.boot, &earlier.boot) {
            (Some(now), Some(then)) if now.id == then.id => now.since.saturating_sub(then.since),
            _ => Duration::try_from(self.at.duration_since(earlier.at)).unwrap_or(Duration::ZERO),
        }
    }

    /// By how much the civil clock lies behind `other`; zero when it does not.
    #[must_use]
    pub fn behind(&self, other: Timestamp) -> Duration {
        Duration::try_from(other.duration_since(self.at)).unwrap_or(Duration::ZERO)
    }
}

/// A span that begins at a moment: a lease, a throttle, a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// When it began.
    pub from: Moment,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Term {
    /// What is left of it at `now`; `None` once it is over.
    #[must_use]
    pub fn remaining(&self, now: &Moment) -> Option<Duration> {
        match self.lasts.saturating_sub(now.since(&self.from)) {
            Duration::ZERO => None,
            left => Some(left),
        }
    }

    /// Its end in civil time, for people to read.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.from.at.saturating_add(self.lasts).unwrap_or(Timestamp::MAX)
    }
}

/// A reading of this host's monotonic clock that goes on in suspend (Linux: `CLOCK_BOOTTIME`).
///
/// Only ever compared with another reading of the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub Duration);

impl Tick {
    /// The reading `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The reading `span` earlier, or the first there is.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }

    /// How long until `later`; zero when it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: i64, boot: Option<(&str, u64)>) -> Moment {
        Moment {
            at: Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH),
            boot: boot.map(|(id, since)| BootTime {
                id: BootId(id.to_owned()),
                since: Duration::from_secs(since),
            }),
        }
    }

    #[test]
    fn within_a_boot_a_clock_setting_changes_nothing() {
        let then = moment(1_000, Some(("a", 50)));
        for now_at in [0, 1_010, 9_000_000] {
            assert_eq!(moment(now_at, Some(("a", 60))).since(&then), Duration::from_secs(10));
        }
    }

    #[test]
    fn a_future_entry_counts_as_now() {
        assert_eq!(moment(500, None).since(&moment(1_000, None)), Duration::ZERO);
        let reboot = moment(500, Some(("b", 5)));
        assert_eq!(reboot.since(&moment(1_000, Some(("a", 50)))), Duration::ZERO);
    }

    #[test]
    fn a_term_is_over_at_its_very_end() {
        let term = Term { from: moment(100, None), lasts: Duration::from_secs(10) };
        assert_eq!(term.remaining(&moment(109, None)), Some(Duration::from_secs(1)));
        assert_eq!(term.remaining(&moment(110, None)), None);
        assert_eq!(term.ends_at(), moment(110, None).at);
    }
}
