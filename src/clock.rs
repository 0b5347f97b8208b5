//! The machine's clocks: the only file that reads them.
#![expect(clippy::disallowed_methods, reason = "this is the adapter that reads the clocks")]

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;

use crate::{
    model::{BootId, BootTime, Tick, Timestamp},
    ports::Clock,
};

/// The clocks of the machine that this process runs on.
///
/// Monotonic time is `CLOCK_BOOTTIME`, which goes on in suspend; std's `Instant` stops there, so a
/// laptop that slept would believe that its lease still holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    /// In whole milliseconds, as answers and the journal show it: what is compared with what was
    /// stored must have been cut in the same way.
    fn wall(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn tick(&self) -> Tick {
        Tick(since_boot())
    }

    fn boot(&self) -> Option<BootTime> {
        let id = boot_id()?.clone();
        Some(BootTime { id, since: since_boot() })
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Boottime;

// Elsewhere than on Linux the clock that goes on in suspend has other names; the plain monotonic
// clock is the safe choice that every Unix has, and without a boot id the civil clock decides
// between processes.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(MONOTONIC);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// The id of this boot. Read once: a process does not outlive a boot.
fn boot_id() -> Option<&'static BootId> {
    static ID: OnceLock<Option<BootId>> = OnceLock::new();
    ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| BootId(text.to_owned()))
    })
    .as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_and_ticks_tell_the_same_time() {
        let before = SystemClock.tick();
        if let Some(boot) = SystemClock.boot() {
            assert!(boot.since >= before.0);
            assert!(boot.since <= SystemClock.tick().0);
        }
        assert!(SystemClock.tick() >= before);
    }
}
