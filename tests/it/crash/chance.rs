//! Random enough: xorshift.

use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // Spread, so that neighbouring seeds go different ways; never zero, which stays zero.
        let mut chance = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        chance.number();
        chance.number();
        chance
    }

    /// One that differs from run to run.
    pub(super) fn of_this_run() -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        Self::new(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of 0 to `end` less one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("it fits");
        usize::try_from(self.number() % end).expect("it fits")
    }

    pub(super) fn within(&mut self, span: Duration) -> Duration {
        let span = u64::try_from(span.as_micros()).expect("it fits").max(1);
        Duration::from_micros(self.number() % span)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
