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
    /// Proof that no byte left: Graph told another call of this process to wait meanwhile.
    HeldBack {
        /// The status that said so.
        status: u16,
        /// What is left of the wait.
        wait: Duration,
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
        StartReply::HeldBack { .. } => Settlement::GiveBack(Reason::Throttled),
        StartReply::TooLate => Settlement::GiveBack(Reason::Timeout),
    }
}

/// The record once the attempt is over: its start marked with `result` (`None`: no start was made,
/// or it is given back), its lease released. What others wrote meanwhile is kept: a lease that is
/// no longer this attempt's, a hold, a reset, and that a later read saw the start work.
#[must_use]
pub fn record_outcome(
    mut record: JobRecord,
    attempt: AttemptId,
    result: Option<StartResult>,
) -> JobRecord {
    match result {
        Some(result) => {
            let own = record.starts.iter_mut().find(|mark| mark.attempt == attempt);
            if let Some(mark) = own {
                let known = mark.result == StartResult::Started;
                if !(known && result == StartResult::InDoubt) {
                    mark.result = result;
                }
            }
        }
        None => record.starts.retain(|mark| mark.attempt != attempt),
    }
    if record.lease.as_ref().is_some_and(|lease| lease.attempt == attempt) {
        record.lease = None;
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, FencingToken, Moment, StartMark, Timestamp};

    fn attempt() -> AttemptId {
        AttemptId(uuid::Uuid::from_u128(1))
    }

    fn record(result: StartResult) -> JobRecord {
        let mark = StartMark {
            attempt: attempt(),
            token: FencingToken(1),
            at: Moment::civil(Timestamp::UNIX_EPOCH),
            by: Actor("alice@ops1".to_owned()),
            result,
            looked: None,
            forgiven: false,
        };
        JobRecord { starts: vec![mark], ..JobRecord::default() }
    }

    #[test]
    fn a_doubt_never_undoes_what_a_later_read_saw() {
        let after = |was, result| record_outcome(record(was), attempt(), Some(result));
        let (open, started) = (StartResult::Open, StartResult::Started);
        let (doubt, rejected) = (StartResult::InDoubt, StartResult::Rejected);
        let told = |record: JobRecord| record.starts.first().map(|mark| mark.result);
        assert_eq!(told(after(started, doubt)), Some(started));
        assert_eq!(told(after(open, doubt)), Some(doubt));
        assert_eq!(told(after(doubt, started)), Some(started));
        assert_eq!(told(after(started, rejected)), Some(rejected), "Graph's own word");
    }

    #[test]
    fn only_a_clear_answer_is_taken_as_one() {
        let reply = |status| Reply { status, code: None, message: None, request_id: None };
        let refused = |status| settle(&StartReply::Rejected(reply(status)));
        assert_eq!(refused(401), Settlement::Refused(Reason::Authentication));
        assert_eq!(refused(403), Settlement::Refused(Reason::Forbidden));
        assert_eq!(refused(404), Settlement::Refused(Reason::NotFound));
        for status in [400, 405, 409, 410, 412, 422] {
            assert_eq!(refused(status), Settlement::Refused(Reason::BadResponse), "{status}");
        }
        let lost = StartReply::Unclear { problem: "closed".to_owned() };
        assert_eq!(settle(&lost), Settlement::LookAgain);
        assert_eq!(settle(&StartReply::TooLate), Settlement::GiveBack(Reason::Timeout));
    }
}
