//! Dice from a seed, and ids from the same.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use startguard::{model::Timestamp, ports::Entropy};

/// A stream of random numbers (splitmix64). Two purposes take two streams, so that one more throw
/// here moves nothing there.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in purpose.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(AtomicU64::new(state))
    }

    pub(super) fn throw(&self) -> u64 {
        mix(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }

    /// A number below `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.throw() % end.max(1)
    }

    /// True once in `n` throws.
    pub(super) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).expect("small");
        &from[at]
    }

    /// A span from `least` to `most`, small ones as likely as large ones at every scale.
    pub(super) fn span(&self, least: Duration, most: Duration) -> Duration {
        let scale = (most.as_secs_f64() / least.as_secs_f64()).ln();
        let part = (self.throw() >> 11) as f64 / (1_u64 << 53) as f64;
        least.mul_f64((scale * part).exp()).min(most)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A process's numbers and ids. No two processes share an id.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) dice: Dice,
    pub(super) process: u64,
    pub(super) next: AtomicU64,
}

impl Entropy for Ids {
    fn number(&self) -> u64 {
        self.dice.throw()
    }

    fn uuid(&self, _now: Timestamp) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
