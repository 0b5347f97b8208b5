//! What happens to the fleet from outside, and when: made from the seed before anything runs, so
//! that a failing schedule can be cut down.

use std::{num::NonZeroU32, time::Duration};

use startguard::{decide::Intent, model::Policy};

use super::dice::Dice;

/// The bounds of the world, which the guard does not enforce and docs/guarantees.md assumes.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
pub(super) const MESSAGE: Duration = Duration::from_secs(120);
pub(super) const LAG: Duration = Duration::from_secs(120);

/// Hosts' clocks run at a rate within so many thousandths of true time.
pub(super) const RATE: u32 = 50;

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A process dies; another takes its place after a while.
    Crash {
        host: usize,
        back_after: Duration,
    },
    /// A process stands still.
    Freeze {
        host: usize,
        span: Duration,
    },
    /// Callers of this host ask without end.
    Storm {
        host: usize,
        span: Duration,
    },
    /// The store cannot be reached (a failover).
    StoreAway(Duration),
    /// The store answers slowly, and loses answers.
    StoreIll(Duration),
    /// Graph cannot be reached.
    GraphAway(Duration),
    /// Graph answers slowly, and loses answers.
    GraphIll(Duration),
    /// Graph says to wait.
    Throttle(Duration),
    /// The civil clock of the store's machine is set, so many seconds off.
    SetClock(i64),
    /// The store's machine boots again, and with it every process: they share it.
    Reboot {
        back_after: Duration,
    },
    /// The service or a person stops the job, or a person in the portal starts it.
    Stop {
        job: usize,
        quarantine: bool,
    },
    Resume {
        job: usize,
    },
    /// An operator.
    Hold {
        job: usize,
        span: Option<Duration>,
    },
    Release {
        job: usize,
    },
    Reset {
        job: usize,
    },
}

/// An assumption of docs/guarantees.md that does not hold, or a rule that an adapter breaks: what a
/// simulation must notice that is worth anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The cool-down is a third of what the bounds need.
    ShortCooldown,
    /// Requests act longer after they left than assumed.
    LateMessages,
    /// Reads show the state before for longer than assumed.
    LongLag,
    /// The adapter does not look at the permit's time.
    SendsLate,
    /// The adapter repeats a POST whose answer was lost.
    SendsTwice,
    /// The adapter says that nothing was sent when it was.
    FalseProof,
    /// The adapter takes a read that failed for one that said Paused.
    InventsReads,
}

/// A fleet, its settings and what happens to it.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) hosts: usize,
    pub(super) jobs: usize,
    pub(super) callers: usize,
    pub(super) policy: Policy,
    pub(super) machine_store: bool,
    /// The machine boots now and then; its civil clock is right then, since over a boot it alone
    /// tells how much time has passed. Otherwise it is set instead.
    pub(super) reboots: bool,
    pub(super) broken: Option<Broken>,
    pub(super) lasts: Duration,
    pub(super) events: Vec<Event>,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

impl Schedule {
    pub(super) fn of(seed: u64, lasts: Duration) -> Self {
        let dice = Dice::new(seed, "schedule");
        let number = |n: u32| NonZeroU32::new(n).expect("not zero");
        let request_timeout = *dice.pick(&[2, 5, 10]) * SECOND;
        let slack = *dice.pick(&[500, 1_000, 10_000, 50_000]);
        let lease = request_timeout + Duration::from_millis(slack);
        let mut policy = Policy {
            cooldown: Duration::ZERO,
            max_starts: number(u32::try_from(dice.below(4)).expect("small") + 1),
            window: *dice.pick(&[1, 2, 6, 24]) * HOUR,
            tenant_starts_per_minute: number(*dice.pick(&[1, 2, 10])),
            lease,
            status_max_age: *dice.pick(&[1, 5]) * SECOND,
            request_timeout,
            needs_consent: vec!["TooManyDeletes".to_owned()],
            auto_reasons: Vec::new(),
        };
        // As short as the bound allows, or the default.
        policy.cooldown = match dice.one_in(3) {
            true => 10 * MINUTE,
            false => needed_cooldown(&policy),
        };
        let mut schedule = Self {
            seed,
            hosts: 2 + usize::try_from(dice.below(3)).expect("small"),
            jobs: 1 + usize::try_from(dice.below(6)).expect("small"),
            callers: 1 + usize::try_from(dice.below(3)).expect("small"),
            policy,
            machine_store: dice.one_in(2),
            reboots: dice.one_in(2),
            broken: None,
            lasts,
            events: Vec::new(),
        };
        schedule.fill(&dice);
        schedule
    }

    /// The same, with an assumption or a rule broken.
    pub(super) fn with(mut self, broken: Broken) -> Self {
        self.broken = Some(broken);
        if broken == Broken::ShortCooldown {
            self.policy.cooldown = needed_cooldown(&self.policy) / 3;
        }
        self
    }

    /// The same fleet with fewer events, which `fails` still: halves, quarters and so on are left
    /// out for as long as that goes.
    pub(super) fn cut_down(&self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut least = self.clone();
        let mut size = least.events.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < least.events.len() {
                let mut fewer = least.clone();
                fewer.events.drain(from..(from + size).min(fewer.events.len()));
                if fails(&fewer) {
                    least = fewer;
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
        least
    }

    fn fill(&mut self, dice: &Dice) {
        // How eventful this fleet's days are.
        let trouble = *dice.pick(&[1, 3, 10, 30]);
        let mut at = Duration::ZERO;
        loop {
            at += dice.span(SECOND, HOUR / trouble);
            if at >= self.lasts {
                return;
            }
            let host = usize::try_from(dice.below(self.hosts as u64)).expect("small");
            let what = match dice.below(12) {
                0 | 1 => What::Crash { host, back_after: dice.span(SECOND, 10 * MINUTE) },
                2 | 3 => What::Freeze { host, span: dice.span(SECOND / 10, 20 * MINUTE) },
                4 => What::Storm { host, span: dice.span(SECOND, 5 * MINUTE) },
                5 => What::StoreAway(dice.span(SECOND, 10 * MINUTE)),
                6 | 7 => What::StoreIll(dice.span(10 * SECOND, HOUR)),
                8 => What::GraphAway(dice.span(SECOND, 20 * MINUTE)),
                9 => What::GraphIll(dice.span(10 * SECOND, HOUR)),
                10 => What::Throttle(dice.span(SECOND, 10 * MINUTE)),
                _ if self.machine_store && self.reboots => {
                    What::Reboot { back_after: dice.span(SECOND, 10 * MINUTE) }
                }
                _ => {
                    let off = i64::try_from(dice.below(1_200)).expect("small") - 600;
                    What::SetClock(if dice.one_in(2) { 0 } else { off })
                }
            };
            self.events.push(Event { at, what });
            // People and the service, whatever the trouble.
            let job = usize::try_from(dice.below(self.jobs as u64)).expect("small");
            let what = match dice.below(10) {
                0..5 => What::Stop { job, quarantine: dice.one_in(3) },
                5 | 6 => What::Resume { job },
                7 => What::Hold { job, span: (!dice.one_in(10)).then(|| dice.span(MINUTE, HOUR)) },
                8 => What::Release { job },
                _ => What::Reset { job },
            };
            self.events.push(Event { at, what });
        }
    }
}

/// The cool-down that the bounds of the world need: D + P + M + L and the clocks' rates.
pub(super) fn needed_cooldown(policy: &Policy) -> Duration {
    (send_within(policy) + PAUSE + MESSAGE + LAG) * 11 / 10
}

/// D.
pub(super) fn send_within(policy: &Policy) -> Duration {
    let alone = policy.lease.saturating_sub(Policy::MARGIN);
    alone.saturating_sub(policy.request_timeout).min(Intent::SEND_WITHIN)
}
