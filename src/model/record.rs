//! The two values that a store keeps by compare-and-swap: one per job, one per tenant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Actor, AttemptId, FencingToken, Moment, Term};

/// Everything the guard remembers of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The lease last granted, until it is released; it may have run out.
    pub lease: Option<Lease>,
    /// The fencing token last drawn.
    #[serde(default)]
    pub token: FencingToken,
    /// Recent intents to start, oldest first, those given back left out.
    #[serde(default)]
    pub starts: Vec<StartMark>,
    /// An operator's hold.
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// The right to work on one job alone, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Who holds it: `user@host` and the process.
    pub holder: String,
    /// For which attempt.
    pub attempt: AttemptId,
    /// The fencing token drawn with it.
    pub token: FencingToken,
    /// From when, and for how long.
    pub term: Term,
}

/// One intent to start, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartMark {
    /// The attempt.
    pub attempt: AttemptId,
    /// The fencing token under which it was written.
    pub token: FencingToken,
    /// When the intent was written: what cool-down and window count from.
    pub at: Moment,
    /// Who asked.
    pub by: Actor,
    /// What became of it.
    pub result: StartResult,
    /// When a read last tried to find out what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Moment>,
    /// An operator's reset took it out of the window; the cool-down still counts it.
    #[serde(default)]
    pub forgiven: bool,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartResult {
    /// No outcome is recorded: the POST is in flight, or its holder died. Counts as a start.
    Open,
    /// The service accepted the start.
    Started,
    /// The service refused the start.
    Rejected,
    /// The answer was lost, and reads have not shown the job running.
    InDoubt,
}

/// An operator's word that nothing may start the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who said so.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// Since when.
    pub from: Moment,
    /// For how long; without it, until it is released.
    pub lasts: Option<Duration>,
}

impl Hold {
    /// Whether the hold is in force at `now`, and what is left of it (`None`: until released).
    #[must_use]
    pub fn in_force(&self, now: &Moment) -> Option<Option<Duration>> {
        match self.lasts {
            None => Some(None),
            Some(lasts) => Term { from: self.from.clone(), lasts }.remaining(now).map(Some),
        }
    }
}

/// Everything the guard remembers of one tenant and Graph origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRecord {
    /// The tenant's intents of the last minute, oldest first.
    #[serde(default)]
    pub starts: Vec<Moment>,
    /// Graph's last word to wait.
    #[serde(default)]
    pub throttle: Option<Throttle>,
    /// The circuit breaker.
    #[serde(default)]
    pub breaker: Breaker,
    /// When the requests granted so far, by whomever, are worth their time at the steady pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Term>,
}

/// Graph said when to ask again; until then nobody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// The status of the answer that said so (429 or 503).
    pub status: u16,
    /// From when, and for how long.
    pub term: Term,
}

/// Counts reads that failed because Graph could not be reached or could not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// While it lasts, the breaker is tripped; after it, the next read is the probe.
    #[serde(default)]
    pub rest: Option<Term>,
}
