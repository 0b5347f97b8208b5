//! The judge at Graph's end. It counts what reaches Graph, and knows nothing of the guard's own
//! records, clocks or answers.

use std::{collections::BTreeMap, time::Duration};

use startguard::model::{AttemptId, Policy};

use super::schedule::{PAUSE, RATE, send_within};

/// Who set a job running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Guard,
    Person,
}

/// A read that was answered to a process.
#[derive(Debug, Clone, Copy)]
struct Read {
    began: Duration,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Job {
    in_flight: Vec<AttemptId>,
    /// When POSTs left, of which the budget counts those after the last reset.
    left: Vec<Duration>,
    forgiven_until: Option<Duration>,
    /// An operator was told that the job is on hold: from when, and until when at least.
    held: Option<(Duration, Duration)>,
    commands: u32,
    unsure_until: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Judge {
    jobs: BTreeMap<usize, Job>,
    tenant: Vec<Duration>,
    /// By process and job, the reads that a start may still rest on.
    reads: BTreeMap<(u64, usize), Vec<Read>>,
    by_attempt: BTreeMap<AttemptId, u32>,
    pub(super) violations: Vec<String>,
    pub(super) count: Count,
}

/// What happened, so that a run in which nothing did is noticed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) reads: u64,
    pub(super) posts: u64,
    pub(super) effects: u64,
    pub(super) lost_answers: u64,
    /// Starts that reached a job which a person had resumed meanwhile: nobody promises otherwise.
    pub(super) on_resumed: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.posts += other.posts;
        self.effects += other.effects;
        self.lost_answers += other.lost_answers;
        self.on_resumed += other.on_resumed;
    }
}

impl Judge {
    pub(super) fn read(&mut self, process: u64, job: usize, began: Duration, stopped: bool) {
        self.count.reads += 1;
        self.reads.entry((process, job)).or_default().push(Read { began, stopped });
    }

    /// What left until then no longer counts for the window.
    pub(super) fn reset(&mut self, job: usize, until: Duration) {
        self.jobs.entry(job).or_default().forgiven_until = Some(until);
    }

    /// An operator's command begins that says whether the job is on hold. Until it has ended, and
    /// for as long as it may yet be made after that, nobody knows whether it is.
    pub(super) fn commanded(&mut self, job: usize) {
        let this = self.jobs.entry(job).or_default();
        this.held = None;
        this.commands += 1;
    }

    /// It has ended; `hold`: the job is on hold now, until then at least. `made_by`: nothing of it
    /// is made after that.
    pub(super) fn obeyed(
        &mut self,
        job: usize,
        asked: Duration,
        hold: Option<(Duration, Duration)>,
        made_by: Duration,
    ) {
        let this = self.jobs.entry(job).or_default();
        this.commands -= 1;
        let alone = this.commands == 0 && this.unsure_until < asked;
        this.held = hold.filter(|_| alone);
        this.unsure_until = this.unsure_until.max(made_by);
    }

    pub(super) fn left(
        &mut self,
        process: u64,
        job: usize,
        attempt: AttemptId,
        policy: &Policy,
        now: Duration,
    ) {
        self.count.posts += 1;
        let mut broken = Vec::new();
        // From the intent to the bytes leaving, in true time.
        let late = slow(send_within(policy)) + PAUSE;
        let tries = self.by_attempt.entry(attempt).or_default();
        *tries += 1;
        if *tries > 1 {
            broken.push("S4: a second POST under one intent".to_owned());
        }
        let oldest = slow(policy.status_max_age) + PAUSE;
        // A process may read a job for several callers at once, and a start rests on one of those.
        let reads = self.reads.entry((process, job)).or_default();
        reads.retain(|read| now - read.began <= oldest);
        if !reads.iter().any(|read| read.stopped) {
            broken.push(format!("S1: a POST on {reads:?}, at most {oldest:?} old"));
        }
        let this = self.jobs.entry(job).or_default();
        if !this.in_flight.is_empty() {
            broken.push("S2: a second POST in flight".to_owned());
        }
        if this.held.is_some_and(|(from, until)| now > from + late && now < until) {
            broken.push("a POST while an operator holds the job".to_owned());
        }
        if let Some(last) = this.left.last() {
            let apart = now - *last;
            if apart + late < policy.cooldown {
                broken.push(format!("S4: a POST {apart:?} after the last"));
            }
        }
        this.left.push(now);
        let forgiven =
            this.forgiven_until.map_or(Duration::ZERO, |until| until.saturating_add(late));
        let counts = this.left.iter().filter(|at| **at > forgiven || this.forgiven_until.is_none());
        if at_most(counts.copied(), now, policy.window, late) > policy.max_starts.get() {
            broken.push("S5: more POSTs than the budget in a window".to_owned());
        }
        self.tenant.push(now);
        let minute = Duration::from_secs(60);
        let limit = policy.tenant_starts_per_minute.get();
        if at_most(self.tenant.iter().copied(), now, minute, late) > limit {
            broken.push("S5: more POSTs than the tenant's budget in a minute".to_owned());
        }
        this.in_flight.push(attempt);
        self.broken(now, job, broken);
    }

    /// A POST acts (`running`: who had set the job running that it reaches) or is lost.
    pub(super) fn landed(
        &mut self,
        job: usize,
        attempt: AttemptId,
        acts: bool,
        running: Option<Cause>,
        now: Duration,
    ) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.in_flight.retain(|other| *other != attempt);
        }
        if !acts {
            return;
        }
        self.count.effects += 1;
        match running {
            Some(Cause::Guard) => {
                let broken = "a start reached a job that a start set running".to_owned();
                self.broken(now, job, vec![broken]);
            }
            Some(Cause::Person) => self.count.on_resumed += 1,
            None => {}
        }
    }

    /// POSTs of an attempt that reached Graph.
    pub(super) fn posts_of(&self, attempt: AttemptId) -> u32 {
        self.by_attempt.get(&attempt).copied().unwrap_or_default()
    }

    pub(super) fn attempts(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.by_attempt.keys().copied()
    }

    pub(super) fn broken(&mut self, now: Duration, job: usize, broken: Vec<String>) {
        self.violations.extend(broken.into_iter().map(|what| format!("{now:?} job {job}: {what}")));
    }
}

/// By the slowest clock.
fn slow(span: Duration) -> Duration {
    span * 1_000 / (1_000 - RATE)
}

/// How many of these lie in the window that ends now. The budget counts intents; their POSTs may
/// leave a little later, so that they stand closer by that.
fn at_most(
    times: impl Iterator<Item = Duration>,
    now: Duration,
    window: Duration,
    late: Duration,
) -> u32 {
    let within = times.filter(|at| now - *at + late < window).count();
    u32::try_from(within).unwrap_or(u32::MAX)
}
