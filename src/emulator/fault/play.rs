//! Which rule is played on which request, and how far each rule got.

use std::time::Duration;

use serde::Serialize;

use super::{Effect, FaultRule};
use crate::emulator::path::Operation;

/// A rule that is to be played on a request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::emulator) struct Fault {
    pub(in crate::emulator) name: String,
    pub(in crate::emulator) delay_before: Duration,
    pub(in crate::emulator) delay_after: Duration,
    pub(in crate::emulator) effect: Effect,
    /// With [`Effect::Throttle`]: how long until the next permit, when there was none.
    pub(in crate::emulator) limited: Option<Duration>,
}

/// A rule and how far it got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultProgress {
    /// The rule.
    pub rule: FaultRule,
    /// Requests that it matched.
    pub matched: u64,
    /// Requests that it was played on.
    pub played: u64,
    #[serde(skip)]
    bucket: Option<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    permits: f64,
    filled: Duration,
}

/// All rules, in order.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Faults {
    rules: Vec<FaultProgress>,
}

impl Faults {
    pub(in crate::emulator) fn new(rules: &[FaultRule]) -> Self {
        let mut faults = Self::default();
        for rule in rules {
            faults.push(rule.clone());
        }
        faults
    }

    pub(in crate::emulator) fn push(&mut self, rule: FaultRule) {
        self.rules.push(FaultProgress { rule, matched: 0, played: 0, bucket: None });
    }

    pub(in crate::emulator) fn progress(&self) -> &[FaultProgress] {
        &self.rules
    }

    /// The fault to play on this request, if any.
    pub(in crate::emulator) fn choose(
        &mut self,
        now: Duration,
        method: &str,
        operation: &Operation,
    ) -> Option<Fault> {
        for progress in &mut self.rules {
            if !progress.rule.matches(method, operation) {
                continue;
            }
            if progress.rule.times.is_some_and(|times| progress.played >= times) {
                continue;
            }
            progress.matched += 1;
            if progress.matched <= progress.rule.after {
                continue;
            }
            progress.played += 1;
            let limited = progress.take_permit(now);
            let rule = &progress.rule;
            return Some(Fault {
                name: rule.name.clone().unwrap_or_else(|| rule.effect.word().to_owned()),
                delay_before: rule.delay_before,
                delay_after: rule.delay_after,
                effect: rule.effect.clone(),
                limited,
            });
        }
        None
    }
}

impl FaultProgress {
    /// Takes a permit from the bucket; `Some(wait)` when there is none.
    fn take_permit(&mut self, now: Duration) -> Option<Duration> {
        let Effect::Throttle { permits, per, .. } = self.rule.effect else { return None };
        let size = f64::from(permits);
        let bucket = self.bucket.get_or_insert(Bucket { permits: size, filled: now });
        let rate = size / per.as_secs_f64();
        let flowed = now.saturating_sub(bucket.filled).as_secs_f64() * rate;
        bucket.permits = (bucket.permits + flowed).min(size);
        bucket.filled = now;
        if bucket.permits >= 1.0 {
            bucket.permits -= 1.0;
            return None;
        }
        let wait = Duration::try_from_secs_f64((1.0 - bucket.permits) / rate);
        Some(wait.unwrap_or(Duration::MAX))
    }
}
