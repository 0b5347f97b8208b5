//! What is explored: the settings in force and how badly the world may behave.

use std::{num::NonZeroU32, time::Duration};

use startguard::model::Policy;

use super::fault::Fault;

/// The longest time to which ages are kept, in ticks. Fits every setting below.
pub(super) const LONGEST: u8 = 100;

/// One model: settings of the guard, bounds on the world, and the fault planted, if any. Times are
/// in ticks unless they are durations.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub holders: usize,
    /// What one tick is to the guard's own constants (`MARGIN`, `SEND_WITHIN`, `LOOK_AGAIN`).
    pub tick: Duration,
    pub lease: Duration,
    pub request_timeout: Duration,
    pub status_max_age: u8,
    pub cooldown: u8,
    pub max_starts: u32,
    pub window: u8,
    /// Longest pause between the last check of the permit and the bytes leaving (P).
    pub pause: u8,
    /// Longest time for which a request that left may still act (M).
    pub message: u8,
    /// For how long reads may show the state before (L).
    pub lag: u8,
    /// By how many ticks a holder's monotonic clock may be slow within one attempt.
    pub drift: u8,
    /// Whether pauses, messages and lags outlast the cool-down, so that what needs their bounds (S2's
    /// one in flight, and that no start reaches a running job) is not asked for.
    pub(super) untimed: bool,
    /// The tenant's budget of starts per minute, and with it starts of any number of other jobs.
    pub(super) tenant: Option<u32>,
    /// Whether an operator holds, releases and resets.
    pub operator: bool,
    /// Whether the store's clock may be set back.
    pub set_back: bool,
    pub fault: Option<Fault>,
}

impl Bounds {
    /// A tick is 5 s: `SEND_WITHIN` and `LOOK_AGAIN` are one tick each and bind.
    pub(super) fn coarse(holders: usize) -> Self {
        let tick = Duration::from_secs(5);
        let bounds = Self {
            holders,
            tick,
            lease: tick * 3,
            request_timeout: tick,
            status_max_age: 1,
            cooldown: 0,
            max_starts: 2,
            window: 0,
            pause: 1,
            message: 1,
            lag: 1,
            drift: 0,
            untimed: false,
            tenant: None,
            operator: false,
            set_back: false,
            fault: None,
        };
        let needed = bounds.needed_cooldown();
        bounds.with_cooldown(needed)
    }

    /// A tick is 200 ms, as long as `MARGIN`: the lease binds, and holders' clocks may be slow.
    pub(super) fn fine(holders: usize) -> Self {
        let tick = Duration::from_millis(200);
        let bounds = Self {
            tick,
            lease: Duration::from_millis(700),
            request_timeout: tick,
            drift: 1,
            ..Self::coarse(holders)
        };
        let needed = bounds.needed_cooldown();
        bounds.with_cooldown(needed)
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            cooldown: self.span(self.cooldown),
            max_starts: NonZeroU32::new(self.max_starts).expect("some starts"),
            window: self.span(self.window),
            tenant_starts_per_minute: self
                .tenant
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MAX),
            lease: self.lease,
            status_max_age: self.span(self.status_max_age),
            request_timeout: self.request_timeout,
            needs_consent: Vec::new(),
            auto_reasons: Vec::new(),
        }
    }

    pub(super) fn span(&self, ticks: u8) -> Duration {
        self.tick * u32::from(ticks)
    }

    /// The tenant's window: a minute.
    pub(super) fn minute(&self) -> u8 {
        u8::try_from(60_000 / self.tick.as_millis()).unwrap_or(u8::MAX)
    }

    /// Ages from here on are told apart by nothing: neither cool-down nor window counts them, nor
    /// does a read that was fresh when they still counted.
    pub(super) fn horizon(&self) -> u8 {
        self.window.max(self.cooldown + self.status_max_age + 1)
    }

    /// The oldest that a read may be at the send, by a clock that is not slow.
    pub(super) fn oldest_read(&self) -> u8 {
        self.status_max_age + self.drift
    }

    /// The POST's deadline in whole ticks.
    pub(super) fn deadline(&self) -> u8 {
        u8::try_from(self.request_timeout.as_nanos().div_ceil(self.tick.as_nanos())).expect("short")
    }

    /// How long the lease in the record lasts.
    pub(super) fn lease_in_record(&self) -> Duration {
        match self.fault {
            Some(Fault::LeaseWithoutEnd) => Duration::MAX,
            _ => self.lease,
        }
    }

    /// Longest time from the mark to the last check of the permit (D), by a clock that is not slow.
    ///
    /// In both settings the code's own constants come to one tick: `SEND_WITHIN` in the coarse one,
    /// the lease less `MARGIN` and the deadline in the fine one.
    const SEND_WITHIN: u8 = 1;

    /// The cool-down that these bounds need: D + P + M + L, D by a slow clock.
    pub(super) fn needed_cooldown(&self) -> u8 {
        Self::SEND_WITHIN + self.drift + self.pause + self.message + self.lag
    }

    /// These settings with this cool-down, and a window in which `max_starts` binds as well.
    pub(super) fn with_cooldown(self, cooldown: u8) -> Self {
        let window = 2 * cooldown + 1;
        Self { cooldown, window, ..self }
    }

    /// How long a POST may act, from the last check of its permit.
    pub(super) fn flight(&self) -> u8 {
        self.pause + self.message
    }
}
