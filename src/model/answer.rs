//! The answer to `start`: what a caller sees, on the command line and over HTTP.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AttemptId, FencingToken, JobRef, Observation, Timestamp};

/// How an ask to start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeKind {
    /// The start was accepted, or an unanswered one was seen to have worked.
    Started,
    /// The job runs already; no start was made.
    AlreadyRunning,
    /// A dry run: a start would go out now.
    WouldStart,
    /// The job's state forbids a start until a person acts.
    Denied,
    /// Allowed in principle, not now.
    Deferred,
    /// Nothing was started, because something else went wrong.
    Failed,
    /// A start went out, its answer was lost, and the job does not (yet) read Active.
    InDoubt,
}

impl OutcomeKind {
    /// The outcome as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::AlreadyRunning => "alreadyRunning",
            Self::WouldStart => "wouldStart",
            Self::Denied => "denied",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::InDoubt => "inDoubt",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the outcome is what it is. A closed list: scripts branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Denied: never started, and its schedule is not Active.
    NotRun,
    /// Denied: not configured.
    NotConfigured,
    /// Denied: a state that this version does not know.
    UnknownState,
    /// Denied: policy leaves this start to a person, who must say so by name.
    NeedsConsent,
    /// Deferred: too soon after the last start.
    Cooldown,
    /// Deferred: the job's starts for this window are used up.
    BudgetExhausted,
    /// Deferred: the tenant's starts for this minute are used up.
    TenantBudgetExhausted,
    /// Deferred: someone else is at it.
    LeaseHeld,
    /// Deferred: this process asks too often.
    RateLimited,
    /// Deferred: Graph said to wait.
    Throttled,
    /// Deferred: an operator's hold.
    OnHold,
    /// Deferred: outside the hours in which the job may be started.
    MaintenanceWindow,
    /// Deferred: Graph failed several times in a row, and is given a rest.
    BreakerOpen,
    /// Deferred: an earlier start's answer was lost, and it may yet have worked.
    InDoubt,
    /// Failed: no token, or Graph did not accept it.
    Authentication,
    /// Failed: Graph accepted the token and refused the call.
    Forbidden,
    /// Failed: no such job.
    NotFound,
    /// Failed: Graph could not be reached, or could not answer.
    GraphUnavailable,
    /// Failed: Graph's answer made no sense.
    BadResponse,
    /// Failed: the store could not be read or written, or must not be trusted.
    StoreUnavailable,
    /// Failed: out of time before a start went out.
    Timeout,
}

impl Reason {
    /// The reason as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "notRun",
            Self::NotConfigured => "notConfigured",
            Self::UnknownState => "unknownState",
            Self::NeedsConsent => "needsConsent",
            Self::Cooldown => "cooldown",
            Self::BudgetExhausted => "budgetExhausted",
            Self::TenantBudgetExhausted => "tenantBudgetExhausted",
            Self::LeaseHeld => "leaseHeld",
            Self::RateLimited => "rateLimited",
            Self::Throttled => "throttled",
            Self::OnHold => "onHold",
            Self::MaintenanceWindow => "maintenanceWindow",
            Self::BreakerOpen => "breakerOpen",
            Self::InDoubt => "inDoubt",
            Self::Authentication => "authentication",
            Self::Forbidden => "forbidden",
            Self::NotFound => "notFound",
            Self::GraphUnavailable => "graphUnavailable",
            Self::BadResponse => "badResponse",
            Self::StoreUnavailable => "storeUnavailable",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the read said, as it is shown and journalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedFacts {
    /// `status.code`; null when the payload had none.
    pub code: Option<String>,
    /// `schedule.state`.
    pub schedule: Option<String>,
    /// When the read began.
    pub read_at: Timestamp,
    /// The quarantine.
    pub quarantine: Option<QuarantineFacts>,
}

/// The quarantine, as it is shown and journalled. A start wipes the series, so the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineFacts {
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When the service tries by itself.
    pub next_attempt: Option<Timestamp>,
    /// When the series began.
    pub series_began: Option<Timestamp>,
    /// How many quarantines there were in the series.
    pub series_count: Option<u64>,
}

impl From<&Observation> for ObservedFacts {
    fn from(observation: &Observation) -> Self {
        Self {
            code: observation.code.as_str().map(str::to_owned),
            schedule: observation.schedule.as_str().map(str::to_owned),
            read_at: observation.read_at,
            quarantine: observation.quarantine.as_ref().map(|quarantine| QuarantineFacts {
                reason: quarantine.reason.clone(),
                since: quarantine.since,
                next_attempt: quarantine.next_attempt,
                series_began: quarantine.series_began,
                series_count: quarantine.series_count,
            }),
        }
    }
}

/// What an ask cost in Graph requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphCost {
    /// Reads, repeats included.
    pub reads: u32,
    /// POSTs of start: 0 or 1.
    pub starts: u32,
    /// Graph's `request-id`s, in order.
    pub request_ids: Vec<String>,
}

/// The answer to one ask to start one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The job.
    pub job: JobRef,
    /// How it ended.
    pub outcome: OutcomeKind,
    /// Why.
    pub reason: Option<Reason>,
    /// One line for people. Free of control characters.
    pub message: String,
    /// What to do next, for people; also free of control characters.
    #[serde(skip)]
    pub remedy: Option<String>,
    /// What `--accept` would take, where that is what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Vec<String>>,
    /// What the read said; null when there was none.
    pub observed: Option<ObservedFacts>,
    /// When to ask again, in whole seconds, rounded up.
    pub retry_after_seconds: Option<u64>,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// The fencing token, where a lease was taken.
    pub fencing_token: Option<FencingToken>,
    /// Whether this caller joined an attempt under way.
    pub coalesced: bool,
    /// What it cost.
    pub graph: GraphCost,
    /// How long it took.
    pub elapsed_ms: u64,
    /// `--wait` ran out before the job had left Paused and Quarantine.
    #[serde(skip)]
    pub wait_ran_out: bool,
}
