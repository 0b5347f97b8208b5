//! The emulator's only reader of clocks.
//!
//! Everything below counts in time since the emulator started; dates in answers are made from that and one reading of the
//! calendar at start-up, so a clock that is set while the emulator runs cannot reorder what it saw.

#![expect(
    clippy::disallowed_methods,
    reason = "the emulator imports nothing of ours, the Clock included: this file is its clock"
)]

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time since start-up, and waiting that ends early when the emulator stops.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    started: Instant,
    calendar: Timestamp,
    stopping: CancellationToken,
}

impl Clock {
    /// Starts counting; waits end early once `stopping` is cancelled.
    pub(super) fn start(stopping: CancellationToken) -> Self {
        Self { started: Instant::now(), calendar: Timestamp::now(), stopping }
    }

    /// Time since the emulator started.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The calendar time at `elapsed` after start-up.
    pub(super) fn calendar(&self, elapsed: Duration) -> Timestamp {
        later(self.calendar, elapsed)
    }

    /// Waits, but not beyond the emulator's own end.
    pub(super) async fn wait(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Whether the emulator is being shut down.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

/// `timestamp` moved on by `by`; stays where it is at the end of the calendar.
pub(super) fn later(timestamp: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| timestamp.checked_add(by).ok())
        .unwrap_or(timestamp)
}

/// `timestamp` moved back by `by`; stays where it is at the start of the calendar.
pub(super) fn earlier(timestamp: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| timestamp.checked_sub(by).ok())
        .unwrap_or(timestamp)
}

/// The date as Graph writes most of them: seven digits of a second, and `Z`.
pub(super) fn graph_date(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
}

/// The date as the HTTP headers `Date` and `Retry-After` carry it.
pub(super) fn http_date(timestamp: Timestamp) -> String {
    // Years that HTTP cannot write do not come up: the emulator's calendar starts today.
    SystemTime::try_from(timestamp).map_or_else(|_| String::new(), httpdate::fmt_http_date)
}

/// Waits for `work` no longer than `limit`; `None` when it did not end in time.
pub(super) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    tokio::time::timeout(limit, work).await.ok()
}

/// A breath between two tries to accept a connection (out of file descriptors, for example).
pub(super) async fn breathe() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_carry_seven_digits() {
        let date: Timestamp = "2026-11-23T09:00:00.123Z".parse().unwrap();
        assert_eq!(graph_date(date), "2026-11-23T09:00:00.1230000Z");
        assert_eq!(http_date(date), "Mon, 23 Nov 2026 09:00:00 GMT");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_emulator() {
        let stopping = CancellationToken::new();
        let clock = Clock::start(stopping.clone());
        stopping.cancel();
        clock.wait(Duration::from_secs(3600)).await;
        assert!(clock.elapsed() < Duration::from_secs(1));
    }
}
