//! The counts: what callers did, and which of it broke the rule.
//!
//! # Guarantees
//! - A start is judged when it arrives and again when it takes effect, and counted as a violation at most once. A fault that then
//!   refuses it, loses its answer or rejects its token does not hide a violation.
//! - A start is in flight from its arrival until the emulator is done with it, even when its caller has gone away.
//! - Resetting the counts forgets starts that are still in flight: they count neither before nor after.
//!
//! # Caveats
//! - Starts of jobs that do not exist are counted apart, by number alone.
//! - A request whose body is incomplete or larger than 1 MiB is refused unread, and counts nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::config::JobAddress;
use super::machine::ViolationKind;
use super::path::OperationKind;

/// Arrivals kept per job: far more than any test sends, and 800 kB at the most.
const ARRIVALS: usize = 100_000;
/// Violations and requests kept with their details; the numbers go on beyond.
const DETAILS: usize = 2_000;
/// How old the last look at a job may be when it is started (the guard's own `status_max_age`).
const FRESH: Duration = Duration::from_secs(5);

/// Everything the emulator counted since it started or was reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Starts of jobs that were neither paused nor quarantined.
    pub violations: u64,
    /// The same by what the start met.
    pub violations_by_kind: BTreeMap<ViolationKind, u64>,
    /// Start POSTs that arrived, for any job that exists.
    pub starts: u64,
    /// Start POSTs for jobs that do not exist.
    pub starts_of_unknown_jobs: u64,
    /// Starts that arrived while another start of the same job was in flight.
    pub overlapping_starts: u64,
    /// Requests below `/v1.0` and `/beta`; a batch counts once, and its parts in `batched_requests`.
    pub graph_requests: u64,
    /// Requests inside batches.
    pub batched_requests: u64,
    /// Requests by operation, batched ones included.
    pub operations: BTreeMap<OperationKind, u64>,
    /// Requests whose token was missing or refused.
    pub unauthorized: u64,
    /// Requests that a fault rule was played on.
    pub faults_played: u64,
    /// Requests being worked on now.
    pub in_flight: u64,
    /// The most requests that were worked on at once.
    pub in_flight_max: u64,
    /// Per service principal (object id) and job id.
    pub jobs: BTreeMap<String, BTreeMap<String, JobCounts>>,
    /// The violations one by one, the last 2,000 of them.
    pub violation_log: VecDeque<Violation>,
}

impl Counts {
    /// The counts of one job; zeros when nobody asked for it yet.
    #[must_use]
    pub fn job(&self, service_principal: &str, job: &str) -> JobCounts {
        let jobs = self.jobs.get(&service_principal.to_ascii_lowercase());
        jobs.and_then(|jobs| jobs.get(job)).cloned().unwrap_or_default()
    }

    /// Requests for this operation.
    #[must_use]
    pub fn of(&self, operation: OperationKind) -> u64 {
        self.operations.get(&operation).copied().unwrap_or_default()
    }
}

/// What was asked of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// Reads of this job alone (`GET …/jobs/{id}`), batched ones included.
    pub reads: u64,
    /// Start POSTs that arrived.
    pub starts: u64,
    /// Start POSTs that took effect, whether or not their answer arrived.
    pub starts_effective: u64,
    /// Starts that met the job in a state in which it must not be started.
    pub violations: u64,
    /// The same by what the start met.
    pub violations_by_kind: BTreeMap<ViolationKind, u64>,
    /// Starts that arrived while another start of this job was in flight.
    pub overlapping_starts: u64,
    /// Starts in flight now.
    pub starts_in_flight: u64,
    /// The most starts that were in flight at once.
    pub starts_in_flight_max: u64,
    /// Starts that came without a read of the job, answered at most 5 s before, that showed Paused or Quarantine.
    pub starts_without_fresh_read: u64,
    /// Pauses that arrived.
    pub pauses: u64,
    /// Restarts that arrived.
    pub restarts: u64,
    /// Credential validations that arrived.
    pub validations: u64,
    /// How often the emulator stopped this job because it was started continuously.
    pub stopped_by_storm: u64,
    /// When each start arrived, in milliseconds since the emulator started; the last 100,000.
    pub start_arrivals_ms: VecDeque<u64>,
    #[serde(skip)]
    startable_seen: Option<Duration>,
}

impl JobCounts {
    /// The most starts that arrived within any span of this length.
    #[must_use]
    pub fn most_starts_within(&self, window: Duration) -> usize {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let mut most = 0;
        let mut first = 0;
        for (last, at) in self.start_arrivals_ms.iter().enumerate() {
            while self
                .start_arrivals_ms
                .get(first)
                .is_some_and(|begin| at.saturating_sub(*begin) >= window)
            {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    /// The shortest time between two starts.
    #[must_use]
    pub fn shortest_gap(&self) -> Option<Duration> {
        let later = self.start_arrivals_ms.iter().skip(1);
        let gaps = self
            .start_arrivals_ms
            .iter()
            .zip(later)
            .map(|(before, after)| after.saturating_sub(*before));
        gaps.min().map(Duration::from_millis)
    }
}

/// One start that broke the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// When the start arrived, in milliseconds since the emulator started.
    pub at_ms: u64,
    /// The job.
    #[serde(flatten)]
    pub job: JobAddress,
    /// What the start met.
    pub kind: ViolationKind,
    /// The request id that the emulator gave it.
    pub request_id: String,
    /// The request id that the caller gave it.
    pub client_request_id: Option<String>,
}

/// A start on its way; the key that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartFlight {
    job: JobAddress,
    generation: u64,
    violated: bool,
}

/// Keeps the counts.
#[derive(Debug, Default)]
pub(super) struct Judge {
    counts: Counts,
    generation: u64,
}

/// Who sent a request, for the details of a violation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) request_id: &'a str,
    pub(super) client_request_id: Option<&'a str>,
}

impl Judge {
    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Forgets everything, requests in flight included.
    pub(super) fn reset(&mut self) {
        self.counts = Counts::default();
        self.generation += 1;
    }

    /// A request arrived; the answer is the key to [`request_done`](Self::request_done).
    pub(super) fn request_arrived(
        &mut self,
        operation: OperationKind,
        is_graph: bool,
        batched: bool,
    ) -> u64 {
        let counts = &mut self.counts;
        *counts.operations.entry(operation).or_default() += 1;
        if batched {
            counts.batched_requests += 1;
        } else if is_graph {
            counts.graph_requests += 1;
        }
        counts.in_flight += 1;
        counts.in_flight_max = counts.in_flight_max.max(counts.in_flight);
        self.generation
    }

    /// The emulator is done with a request.
    pub(super) const fn request_done(&mut self, generation: u64) {
        if generation == self.generation {
            self.counts.in_flight = self.counts.in_flight.saturating_sub(1);
        }
    }

    pub(super) const fn unauthorized(&mut self) {
        self.counts.unauthorized += 1;
    }

    pub(super) const fn fault_played(&mut self) {
        self.counts.faults_played += 1;
    }

    /// A start of a job that does not exist arrived.
    pub(super) const fn start_of_unknown_job(&mut self) {
        self.counts.starts_of_unknown_jobs += 1;
    }

    /// A start arrived and met `violation`.
    pub(super) fn start_arrived(
        &mut self,
        now: Duration,
        job: JobAddress,
        violation: Option<ViolationKind>,
        sender: Sender<'_>,
    ) -> StartFlight {
        self.counts.starts += 1;
        let counts = self.job(&job);
        counts.starts += 1;
        let overlaps = counts.starts_in_flight > 0;
        counts.overlapping_starts += u64::from(overlaps);
        counts.starts_in_flight += 1;
        counts.starts_in_flight_max = counts.starts_in_flight_max.max(counts.starts_in_flight);
        let fresh = counts.startable_seen.is_some_and(|seen| now.saturating_sub(seen) <= FRESH);
        counts.starts_without_fresh_read += u64::from(!fresh);
        if counts.start_arrivals_ms.len() >= ARRIVALS {
            counts.start_arrivals_ms.pop_front();
        }
        counts.start_arrivals_ms.push_back(milliseconds(now));
        self.counts.overlapping_starts += u64::from(overlaps);
        let mut flight = StartFlight { job, generation: self.generation, violated: false };
        self.violated(now, &mut flight, violation, sender);
        flight
    }

    /// A start took effect, and met `violation` when it did.
    pub(super) fn start_effective(
        &mut self,
        now: Duration,
        flight: &mut StartFlight,
        violation: Option<ViolationKind>,
        stopped_by_storm: bool,
        sender: Sender<'_>,
    ) {
        if flight.generation != self.generation {
            return;
        }
        let counts = self.job(&flight.job);
        counts.starts_effective += 1;
        counts.stopped_by_storm += u64::from(stopped_by_storm);
        self.violated(now, flight, violation, sender);
    }

    /// The emulator is done with a start.
    pub(super) fn start_done(&mut self, flight: &StartFlight) {
        if flight.generation == self.generation {
            let counts = self.job(&flight.job);
            counts.starts_in_flight = counts.starts_in_flight.saturating_sub(1);
        }
    }

    /// A read of the job was answered; `startable` when it showed Paused or Quarantine.
    pub(super) fn job_shown(&mut self, now: Duration, job: &JobAddress, startable: bool) {
        self.job(job).startable_seen = startable.then_some(now);
    }

    /// Something else than a start was asked of a job.
    pub(super) fn job_asked(&mut self, job: &JobAddress, operation: OperationKind) {
        let counts = self.job(job);
        match operation {
            OperationKind::GetJob => counts.reads += 1,
            OperationKind::Pause => counts.pauses += 1,
            OperationKind::Restart => counts.restarts += 1,
            OperationKind::ValidateCredentials => counts.validations += 1,
            OperationKind::ListJobs
            | OperationKind::Start
            | OperationKind::Batch
            | OperationKind::ListServicePrincipals
            | OperationKind::GetServicePrincipal
            | OperationKind::Token
            | OperationKind::Other => {}
        }
    }

    fn violated(
        &mut self,
        now: Duration,
        flight: &mut StartFlight,
        violation: Option<ViolationKind>,
        sender: Sender<'_>,
    ) {
        let Some(kind) = violation else { return };
        if flight.violated {
            return;
        }
        flight.violated = true;
        self.counts.violations += 1;
        *self.counts.violations_by_kind.entry(kind).or_default() += 1;
        let counts = self.job(&flight.job);
        counts.violations += 1;
        *counts.violations_by_kind.entry(kind).or_default() += 1;
        push_bounded(
            &mut self.counts.violation_log,
            Violation {
                at_ms: milliseconds(now),
                job: flight.job.clone(),
                kind,
                request_id: sender.request_id.to_owned(),
                client_request_id: sender.client_request_id.map(str::to_owned),
            },
        );
    }

    fn job(&mut self, job: &JobAddress) -> &mut JobCounts {
        let principal =
            self.counts.jobs.entry(job.service_principal.to_ascii_lowercase()).or_default();
        principal.entry(job.job.clone()).or_default()
    }
}

/// Appends, and drops the oldest beyond what is kept with details.
pub(super) fn push_bounded<T>(log: &mut VecDeque<T>, item: T) {
    if log.len() >= DETAILS {
        log.pop_front();
    }
    log.push_back(item);
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
