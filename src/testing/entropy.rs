//! Numbers and ids in a known order.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{model::Timestamp, ports::Entropy};

/// Counts up from zero; ids carry the count. Guards over one store share one, or their ids collide.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn number(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn uuid(&self, _now: Timestamp) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.number()).saturating_add(1))
    }
}
