//! What became of a POST, and how the record says so.

use std::time::Duration;

use crate::model::{AttemptId, JobRecord, Reason, Reply, StartResult};

/// How the one POST of a start was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartReply {
    /// 204: accepted.
    Accepted,
    /// A clear refusal (400, 401, 403, 404, 409 and the like).
    Rejected(Reply),
    /// 429, or 503 with Retry-After: not started, told to wait.
    Throttled {
        /// What it said.
        reply: Reply,
        /// For how long, where it said so.
        retry_after: Option<Duration>,
    },
    /// Anything else: it may or may not have worked.
    Unclear {
        /// What was seen, in one line.
        problem: String,
    },
    /// Proof that no byte of the request left: name, connect or TLS failed first.
    NotSent {
        /// What went wrong, in one line.
        problem: String,
    },
    /// Proof that no byte left: the permit's deadline had passed.
    TooLate,
}

/// What the guard makes of a [`StartReply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It worked.
    Started,
    /// It did not, for this reason; the intent counts all the same.
    Refused(Reason),
    /// It did not, and Graph said to wait; the intent counts all the same.
    Throttled(Option<Duration>),
    /// Nobody knows. Read, and never POST again under this intent.
    LookAgain,
    /// Proof that nothing was sent: the intent is given back.
    GiveBack(Reason),
}

/// Maps the answer of the POST. Total: what is not clearly a yes or a no is "nobody knows".
#[must_use]
pub fn settle(reply: &StartReply) -> Settlement {
    match reply {
        StartReply::Accepted => Settlement::Started,
        StartReply::Rejected(reply) => Settlement::Refused(match reply.status {
            401 => Reason::Authentication,
            403 => Reason::Forbidden,
            404 => Reason::NotFound,
            _ => Reason::BadResponse,
        }),
        StartReply::Throttled { retry_after, .. } => Settlement::Throttled(*retry_after),
        StartReply::Unclear { .. } => Settlement::LookAgain,
        StartReply::NotSent { .. } => Settlement::GiveBack(Reason::GraphUnavailable),
        StartReply::TooLate => Settlement::GiveBack(Reason::Timeout),
    }
}

/// The record once the attempt is over: its start marked with `result` (`None`: no start was made,
/// or it is given back), its lease released. What others wrote meanwhile is kept: a lease that is
/// no longer this attempt's, a hold, a reset.
#[must_use]
pub fn record_outcome(
    mut record: JobRecord,
    attempt: AttemptId,
    result: Option<StartResult>,
) -> JobRecord {
    match result {
        Some(result) => {
            if let Some(mark) = record.starts.iter_mut().find(|mark| mark.attempt == attempt) {
                mark.result = result;
            }
        }
        None => record.starts.retain(|mark| mark.attempt != attempt),
    }
    if record.lease.as_ref().is_some_and(|lease| lease.attempt == attempt) {
        record.lease = None;
    }
    record
}
