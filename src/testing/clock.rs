//! A clock that stands still until it is told to move.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    model::{BootId, BootTime, Tick, Timestamp},
    ports::Clock,
};

/// A clock whose civil time, monotonic time and boot time move only when they are told to.
///
/// [`Clock::sleep`] moves the clock by what was asked and yields once: a sleeper never waits for
/// real, and what others do while it sleeps gets its turn.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Now>,
    /// Set: nobody wakes any more. How many sleep.
    sleepers: Mutex<Option<u32>>,
}

#[derive(Debug, Clone)]
struct Now {
    wall: Timestamp,
    tick: Duration,
    boot: Option<BootTime>,
}

impl ManualClock {
    /// A clock that stands at `wall`, an hour after its machine booted.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        let since = Duration::from_secs(3_600);
        let boot = Some(BootTime { id: BootId("boot-1".to_owned()), since });
        Self { now: Mutex::new(Now { wall, tick: since, boot }), sleepers: Mutex::default() }
    }

    /// Time passes, on every clock.
    pub fn advance(&self, span: Duration) {
        let mut now = self.now();
        now.wall = now.wall.saturating_add(span).unwrap_or(Timestamp::MAX);
        now.tick = now.tick.saturating_add(span);
        if let Some(boot) = &mut now.boot {
            boot.since = boot.since.saturating_add(span);
        }
    }

    /// Someone sets the civil clock; no time passes.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now().wall = wall;
    }

    /// The machine boots: monotonic and boot time begin again, under another boot id.
    pub fn reboot(&self, id: &str) {
        let mut now = self.now();
        now.tick = Duration::ZERO;
        now.boot = Some(BootTime { id: BootId(id.to_owned()), since: Duration::ZERO });
    }

    /// Sets what the machine tells of its boot; `None` where it tells nothing.
    pub fn set_boot(&self, boot: Option<BootTime>) {
        self.now().boot = boot;
    }

    /// From now on who sleeps does not wake again, and the clock does not move for them.
    pub fn let_nobody_wake(&self) {
        *self.sleepers() = Some(0);
    }

    /// How many have gone to sleep since.
    #[must_use]
    pub fn asleep(&self) -> u32 {
        self.sleepers().unwrap_or_default()
    }

    fn sleepers(&self) -> MutexGuard<'_, Option<u32>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.now().wall
    }

    fn tick(&self) -> Tick {
        Tick(self.now().tick)
    }

    fn boot(&self) -> Option<BootTime> {
        self.now().boot.clone()
    }

    async fn sleep(&self, span: Duration) {
        let for_good = {
            let mut sleepers = self.sleepers();
            *sleepers = sleepers.map(|asleep| asleep.saturating_add(1));
            sleepers.is_some()
        };
        if for_good {
            std::future::pending::<()>().await;
        }
        self.advance(span);
        tokio::task::yield_now().await;
    }
}
