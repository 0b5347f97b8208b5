//! Told to wait, this process waits, whichever of its calls was told.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::Tick;

/// Until when nothing goes out, and the status that said so.
///
/// The store tells every process, but only once the call that was told has returned. Reads that
/// rest between two tries at that moment, and a POST about to be sent, learn of it here.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<(u16, Tick)>>);

impl Quiet {
    /// An answer with `status` said at `now` to wait so long.
    pub(super) fn told(&self, status: u16, now: Tick, wait: Duration) {
        let until = now.after(wait);
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if quiet.is_none_or(|(_, longer)| longer < until) {
            *quiet = Some((status, until));
        }
    }

    /// What is left of the wait at `now`, and the status that said so.
    pub(super) fn left(&self, now: Tick) -> Option<(u16, Duration)> {
        let quiet = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, until) = quiet?;
        Some((status, now.until(until))).filter(|(_, left)| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Tick {
        Tick(Duration::from_secs(second))
    }

    #[test]
    fn the_longest_wait_counts_and_ends() {
        let quiet = Quiet::default();
        assert_eq!(quiet.left(at(0)), None);
        quiet.told(429, at(10), Duration::from_secs(60));
        quiet.told(503, at(20), Duration::from_secs(5));
        assert_eq!(quiet.left(at(20)), Some((429, Duration::from_secs(50))));
        assert_eq!(quiet.left(at(70)), None);
    }
}
