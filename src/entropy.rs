//! The machine's random numbers: the only file that draws them.

use uuid::{Timestamp as UuidTime, Uuid};

use crate::{model::Timestamp, ports::Entropy};

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn number(&self) -> u64 {
        // A version 4 UUID is 122 random bits; its low half holds 62 of them, its high half 60.
        let (high, low) = Uuid::new_v4().as_u64_pair();
        high.rotate_left(32) ^ low
    }

    fn uuid(&self, now: Timestamp) -> Uuid {
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(UuidTime::from_unix(uuid::NoContext, seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_7_and_differ() {
        let now = Timestamp::UNIX_EPOCH;
        let ids: HashSet<Uuid> = (0..100).map(|_| SystemEntropy.uuid(now)).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn numbers_use_every_bit() {
        let seen = (0..200).fold(0_u64, |seen, _| seen | SystemEntropy.number());
        assert_eq!(seen, u64::MAX);
    }
}
