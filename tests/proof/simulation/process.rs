//! Simulated time, and a process in it: its clock runs at its own rate, it can be frozen, and it can
//! die between any two of its steps.

use std::{
    future,
    sync::{Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use startguard::{
    model::{BootId, BootTime, Tick, Timestamp},
    ports::Clock,
};

/// When every simulation begins, in civil time.
const BEGIN: i64 = 1_800_000_000;

/// True time since the simulation began: tokio's paused clock, which jumps whenever all wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(tokio::time::Instant);

impl Time {
    #[expect(clippy::disallowed_methods, reason = "the simulation owns time: tokio's is paused")]
    pub(super) fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the simulation owns time: tokio's is paused")]
    pub(super) async fn sleep(self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    pub(super) async fn sleep_until(self, at: Duration) {
        self.sleep(at.saturating_sub(self.now())).await;
    }
}

/// One process of one host, from its start to its death.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) time: Time,
    pub(super) host: usize,
    /// How fast its clock runs, in thousandths of true time.
    pub(super) rate: u32,
    /// What its clock shows at the beginning.
    pub(super) offset: Duration,
    pub(super) dead: AtomicBool,
    pub(super) frozen_until: Mutex<Duration>,
}

impl Process {
    /// Goes on unless the process is frozen, in which case later, or dead, in which case never.
    pub(super) async fn live(&self) {
        loop {
            if self.dead.load(Ordering::Relaxed) {
                return future::pending().await;
            }
            let until = *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner);
            if self.time.now() >= until {
                return;
            }
            self.time.sleep_until(until).await;
        }
    }

    pub(super) fn freeze(&self, span: Duration) {
        let until = self.time.now().saturating_add(span);
        *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub(super) fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// True time in which its clock shows that `span` has passed.
    pub(super) fn really(&self, span: Duration) -> Duration {
        span * 1_000 / self.rate
    }
}

#[async_trait]
impl Clock for Process {
    fn wall(&self) -> Timestamp {
        let own = self.tick().0;
        Timestamp::from_second(BEGIN).expect("a time").saturating_add(own).expect("a time")
    }

    fn tick(&self) -> Tick {
        Tick(self.offset + self.time.now() * self.rate / 1_000)
    }

    fn boot(&self) -> Option<BootTime> {
        None
    }

    async fn sleep(&self, span: Duration) {
        self.time.sleep(self.really(span)).await;
        self.live().await;
    }
}

/// The store's clock: true time, with a civil clock that may be set where it knows its boot.
#[derive(Debug)]
pub(super) struct StoreClock {
    pub(super) time: Time,
    /// Whether it is one machine's (which knows its boot), as SQLite's, or a server's.
    pub(super) machine: bool,
    /// By how many seconds the civil clock is off.
    pub(super) off: Mutex<i64>,
    /// How often its machine has booted, and when it did last.
    pub(super) booted: Mutex<(u32, Duration)>,
}

impl StoreClock {
    pub(super) fn reboot(&self) {
        let mut booted = self.booted.lock().unwrap_or_else(PoisonError::into_inner);
        *booted = (booted.0 + 1, self.time.now());
    }

    pub(super) fn set(&self, off: i64) {
        if self.machine {
            *self.off.lock().unwrap_or_else(PoisonError::into_inner) = off;
        }
    }
}

#[async_trait]
impl Clock for StoreClock {
    fn wall(&self) -> Timestamp {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Timestamp::from_second(BEGIN + off).expect("a time");
        begin.saturating_add(self.time.now()).expect("a time")
    }

    fn tick(&self) -> Tick {
        Tick(self.time.now())
    }

    fn boot(&self) -> Option<BootTime> {
        let (boot, at) = *self.booted.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.time.now().saturating_sub(at);
        self.machine.then(|| BootTime { id: BootId(format!("boot {boot}")), since })
    }

    async fn sleep(&self, span: Duration) {
        self.time.sleep(span).await;
    }
}
