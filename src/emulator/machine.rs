//! How a job changes: what a start, a pause or a restart does to it, and when that becomes true.
//!
//! Pure: every method is told the time. A job is a short history of conditions with the moments at which each begins to hold;
//! moments may lie ahead (a start was accepted, the job turns Active soon). Reads may look at an earlier moment than now, which
//! is all that a read lag is.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::{JobConfig, QuarantineConfig, Storm, Timing};
use super::job::{ExecutionConfig, NEVER_SCHEDULED, USUAL_INTERVAL};

/// Moments kept per job. States change a few times a minute at the most; a read lag looks back seconds.
const HISTORY: usize = 64;

/// The state of a job at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `status.code`.
    pub code: String,
    /// `schedule.state`.
    pub schedule: String,
    /// `schedule.interval`.
    pub interval: String,
    /// `status.quarantine`.
    pub quarantine: Option<QuarantineConfig>,
    /// `status.escrowsPruned`.
    pub escrows_pruned: bool,
    /// `status.countSuccessiveCompleteFailures`.
    pub successive_failures: u64,
    /// `status.lastExecution`.
    pub last_execution: ExecutionConfig,
    /// Whether nothing has changed since the job was set up.
    pub as_configured: bool,
}

/// What a start may meet that it must not: the rule is to start only a paused or quarantined job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// The job was running (Active, or its first cycle under way).
    Running,
    /// An earlier start was accepted and had not shown yet.
    Starting,
    /// The job had never run and its schedule was off.
    NeverRun,
    /// The job was not configured.
    NotConfigured,
    /// The code was none that the documentation knows.
    UnknownState,
}

/// The parts of a job's past that a restart can reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ResetScope {
    pub(super) watermark: bool,
    pub(super) escrows: bool,
    pub(super) quarantine: bool,
}

impl ResetScope {
    /// What no scope, or an empty one, stands for: what the portal's own restart resets.
    pub(super) const fn usual() -> Self {
        Self { watermark: true, escrows: true, quarantine: true }
    }

    /// Reads Graph's comma list; `None` for a member that it does not know.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut scope = Self::default();
        let mut members =
            text.split(',').map(str::trim).filter(|member| !member.is_empty()).peekable();
        if members.peek().is_none() {
            return Some(Self::usual());
        }
        for member in members {
            match member.to_ascii_lowercase().as_str() {
                "connectordatastore" | "forcedeletes" => {}
                "watermark" => scope.watermark = true,
                "escrows" => scope.escrows = true,
                // `None` is documented to do what a start does, which lifts a quarantine.
                "none" | "quarantinestate" => scope.quarantine = true,
                "full" => scope = Self::usual(),
                _ => return None,
            }
        }
        Some(scope)
    }
}

/// One job over time.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) config: JobConfig,
    history: Vec<(Duration, Condition)>,
    starts_while_running: VecDeque<Duration>,
    stopped_by_storm: bool,
}

impl Job {
    /// Sets the job up, at `now`.
    pub(super) fn new(config: JobConfig, now: Duration) -> Self {
        let running = is(&config.code, "Active") || is(&config.code, "Quarantine");
        let never = is(&config.code, "NotRun") || is(&config.code, "NotConfigured");
        let schedule = if running { "Active" } else { "Disabled" };
        let interval = if never { NEVER_SCHEDULED } else { USUAL_INTERVAL };
        let condition = Condition {
            code: config.code.clone(),
            schedule: config.schedule.clone().unwrap_or_else(|| schedule.to_owned()),
            interval: config.interval.clone().unwrap_or_else(|| interval.to_owned()),
            quarantine: config.quarantine.clone(),
            escrows_pruned: config.escrows_pruned,
            successive_failures: config.successive_failures,
            last_execution: config.last_execution,
            as_configured: true,
        };
        Self {
            config,
            history: vec![(now, condition)],
            starts_while_running: VecDeque::new(),
            stopped_by_storm: false,
        }
    }

    /// What holds at `moment`, and since when.
    ///
    /// Before the first moment that is known, what held first: a lag cannot show a job from before it existed.
    pub(super) fn at(&self, moment: Duration) -> Option<&(Duration, Condition)> {
        let past = self.history.iter().rev().find(|(begins, _)| *begins <= moment);
        past.or_else(|| self.history.first())
    }

    /// What a start at `now` would break, if anything.
    pub(super) fn violation(&self, now: Duration) -> Option<ViolationKind> {
        let (_, condition) = self.at(now)?;
        if runs(condition) {
            return Some(ViolationKind::Running);
        }
        if self.history.iter().any(|(begins, ahead)| *begins > now && runs(ahead)) {
            return Some(ViolationKind::Starting);
        }
        match condition.code.as_str() {
            code if is(code, "Paused") || is(code, "Quarantine") => None,
            code if is(code, "NotRun") => Some(ViolationKind::NeverRun),
            code if is(code, "NotConfigured") => Some(ViolationKind::NotConfigured),
            _ => Some(ViolationKind::UnknownState),
        }
    }

    /// Whether the job was stopped because it was started continuously.
    pub(super) const fn stopped_by_storm(&self) -> bool {
        self.stopped_by_storm
    }

    /// Starts the job; says what that broke. Graph answers 204 either way.
    pub(super) fn start(
        &mut self,
        now: Duration,
        timing: &Timing,
        storm: &Storm,
    ) -> Option<ViolationKind> {
        let violation = self.violation(now);
        match violation {
            Some(ViolationKind::Running | ViolationKind::Starting) => {
                self.count_start_while_running(now, storm);
            }
            Some(ViolationKind::NeverRun | ViolationKind::NotConfigured) => {
                self.begin_first_cycle(now, timing);
            }
            Some(ViolationKind::UnknownState) | None => self.resume(now, timing),
        }
        violation
    }

    fn resume(&mut self, now: Duration, timing: &Timing) {
        let Some(before) = self.upcoming(now) else { return };
        let active = before.running("Active");
        let turns = now.saturating_add(timing.start_delay);
        self.stopped_by_storm = false;
        self.change(now, turns, active.clone());
        // Without a repair the same failures come back, with the series counted from one again.
        if let (Some(after), Some(quarantine)) = (self.config.relapses_after, before.quarantine) {
            let relapsed = Condition {
                code: "Quarantine".to_owned(),
                quarantine: Some(QuarantineConfig {
                    began_ago: Duration::ZERO,
                    series_began_ago: Duration::ZERO,
                    series_count: 1,
                    ..quarantine
                }),
                successive_failures: 1,
                last_execution: ExecutionConfig::Failed,
                ..active
            };
            self.history.push((turns.saturating_add(after), relapsed));
        }
    }

    fn begin_first_cycle(&mut self, now: Duration, timing: &Timing) {
        let Some(before) = self.upcoming(now) else { return };
        let begins = now.saturating_add(timing.start_delay);
        let under_way =
            Condition { last_execution: ExecutionConfig::FirstCycle, ..before.running("NotRun") };
        let ran =
            Condition { last_execution: ExecutionConfig::Succeeded, ..under_way.running("Active") };
        self.change(now, begins, under_way);
        self.history.push((begins.saturating_add(timing.first_cycle), ran));
    }

    fn count_start_while_running(&mut self, now: Duration, storm: &Storm) {
        let horizon = now.saturating_sub(storm.window);
        self.starts_while_running.push_back(now);
        self.starts_while_running.retain(|at| *at >= horizon);
        let counted = u32::try_from(self.starts_while_running.len()).unwrap_or(u32::MAX);
        if storm.threshold == 0 || counted < storm.threshold {
            return;
        }
        if let Some(before) = self.upcoming(now) {
            self.change(now, now, before.stopped());
        }
        self.starts_while_running.clear();
        self.stopped_by_storm = true;
    }

    /// Pauses the job. A quarantine stays on it, as published payloads show.
    pub(super) fn pause(&mut self, now: Duration, timing: &Timing) {
        if let Some(before) = self.upcoming(now) {
            self.change(now, now.saturating_add(timing.pause_delay), before.stopped());
        }
    }

    /// Restarts the job: all objects are looked at again, and what `scope` names is forgotten.
    pub(super) fn restart(&mut self, now: Duration, scope: ResetScope, timing: &Timing) {
        let Some(before) = self.upcoming(now) else { return };
        let kept = before.quarantine.clone().filter(|_| !scope.quarantine);
        let escrows_pruned = before.escrows_pruned && !scope.escrows;
        let code = if kept.is_some() { "Quarantine" } else { "Active" };
        let after = Condition { quarantine: kept, escrows_pruned, ..before.running(code) };
        let turns = now.saturating_add(timing.start_delay);
        if scope.watermark && after.quarantine.is_none() {
            // Without its watermark the job begins with a first cycle again.
            let cycle = Condition {
                code: "NotRun".to_owned(),
                last_execution: ExecutionConfig::FirstCycle,
                ..after.clone()
            };
            self.change(now, turns, cycle);
            self.history.push((turns.saturating_add(timing.first_cycle), after));
        } else {
            self.change(now, turns, after);
        }
    }

    /// The condition that what happens now builds upon.
    fn upcoming(&self, now: Duration) -> Option<Condition> {
        self.at(now).map(|(_, condition)| condition.clone())
    }

    /// Lets `condition` hold from `begins` on, in place of everything that was still ahead.
    fn change(&mut self, now: Duration, begins: Duration, condition: Condition) {
        self.history.retain(|(at, _)| *at <= now);
        if self.history.len() >= HISTORY {
            self.history.drain(..self.history.len() - HISTORY + 1);
        }
        self.history.push((begins, condition));
    }
}

impl Condition {
    /// This job with its schedule on, its quarantine and its failures forgotten.
    fn running(&self, code: &str) -> Self {
        let never = self.interval == NEVER_SCHEDULED;
        Self {
            code: code.to_owned(),
            schedule: "Active".to_owned(),
            interval: if never { USUAL_INTERVAL.to_owned() } else { self.interval.clone() },
            quarantine: None,
            escrows_pruned: false,
            successive_failures: 0,
            last_execution: self.last_execution,
            as_configured: false,
        }
    }

    /// This job with its schedule off.
    fn stopped(&self) -> Self {
        Self {
            code: "Paused".to_owned(),
            schedule: "Disabled".to_owned(),
            as_configured: false,
            ..self.clone()
        }
    }
}

/// Whether a job in this condition is at work: Active, or `NotRun` while its schedule is on.
fn runs(condition: &Condition) -> bool {
    is(&condition.code, "Active")
        || (is(&condition.code, "NotRun") && is(&condition.schedule, "Active"))
}

const fn is(text: &str, word: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests;
