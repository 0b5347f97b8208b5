//! How long a call may still take.

use std::time::Duration;

use crate::{model::Tick, ports::Clock};

/// A deadline under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience<'a> {
    clock: &'a dyn Clock,
    ends: Tick,
}

impl<'a> Patience<'a> {
    pub(super) fn new(clock: &'a dyn Clock, span: Duration) -> Self {
        Self { clock, ends: clock.tick().after(span) }
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.clock.tick().until(self.ends)
    }

    /// What the server is given for one statement, in whole milliseconds: a little less than is
    /// left, so that its own words arrive before the caller gives up. Never zero, which would mean
    /// no limit.
    pub(super) fn of_server(&self) -> u128 {
        let left = self.left();
        left.saturating_sub(left.checked_div(10).unwrap_or_default()).as_millis().max(1)
    }

    /// Waits a little before another try.
    pub(super) async fn pause(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
}
