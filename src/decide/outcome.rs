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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement<'a> {
    /// It worked.
    Started,
    /// It did not, for this reason, in these words; the intent counts all the same.
    Refused(Reason, &'a Reply),
    /// It did not, and Graph said to wait, perhaps for how long; the intent counts all the same.
    Throttled(&'a Reply, Option<Duration>),
    /// Nobody knows, because of this. Read, and never POST again under this intent.
    LookAgain(&'a str),
    /// Proof that nothing was sent: the intent is given back.
    GiveBack(Unsent<'a>),
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent<'a> {
    /// Graph was not reached, because of this.
    NotReached(&'a str),
    /// Graph told another call to wait.
    HeldBack {
        /// The status that said so.
        status: u16,
        /// What is left of the wait.
        wait: Duration,
    },
    /// The permit's deadline had passed.
    TooLate,
}

/// Maps the answer of the POST. Total: what is not clearly a yes or a no is "nobody knows".
#[must_use]
pub fn settle(reply: &StartReply) -> Settlement<'_> {
    match reply {
        StartReply::Accepted => Settlement::Started,
        StartReply::Rejected(reply) => {
            let reason = match reply.status {
                401 => Reason::Authentication,
                403 => Reason::Forbidden,
                404 => Reason::NotFound,
                _ => Reason::BadResponse,
            };
            Settlement::Refused(reason, reply)
        }
        StartReply::Throttled { reply, retry_after } => Settlement::Throttled(reply, *retry_after),
        StartReply::Unclear { problem } => Settlement::LookAgain(problem),
        StartReply::NotSent { problem } => Settlement::GiveBack(Unsent::NotReached(problem)),
        StartReply::HeldBack { status, wait } => {
            Settlement::GiveBack(Unsent::HeldBack { status: *status, wait: *wait })
        }
        StartReply::TooLate => Settlement::GiveBack(Unsent::TooLate),
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
    use crate::model::{Actor, FencingToken, Lease, Moment, StartMark, Term, Timestamp};

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
    fn the_outcome_of_a_start_that_is_not_in_the_record_changes_nothing() {
        let other = AttemptId(uuid::Uuid::from_u128(2));
        let was = record(StartResult::Open);
        for result in [StartResult::Started, StartResult::Rejected, StartResult::InDoubt] {
            assert_eq!(record_outcome(was.clone(), other, Some(result)), was, "{result:?}");
        }
        assert_eq!(record_outcome(was.clone(), other, None), was);
    }

    #[test]
    fn the_end_of_an_attempt_releases_its_own_lease_and_no_other() {
        let lease = |attempt| Lease {
            holder: "alice@ops1 (pid 1)".to_owned(),
            attempt,
            token: FencingToken(1),
            term: Term { from: Moment::civil(Timestamp::UNIX_EPOCH), lasts: Duration::MAX },
        };
        let other = AttemptId(uuid::Uuid::from_u128(2));
        for result in [None, Some(StartResult::Started)] {
            for (holder, released) in [(attempt(), true), (other, false)] {
                let leased = JobRecord { lease: Some(lease(holder)), ..record(StartResult::Open) };
                let after = record_outcome(leased, attempt(), result);
                assert_eq!(after.lease.is_none(), released, "{holder:?} {result:?}");
            }
        }
    }

    #[test]
    fn a_start_that_is_given_back_leaves_the_record_and_no_other_does() {
        let mut two = record(StartResult::Open);
        two.starts.extend(record(StartResult::Started).starts);
        if let Some(mark) = two.starts.last_mut() {
            mark.attempt = AttemptId(uuid::Uuid::from_u128(2));
        }
        let after = record_outcome(two.clone(), attempt(), None);
        assert_eq!(after.starts, two.starts[1..]);
    }

    #[test]
    fn only_a_clear_answer_is_taken_as_one() {
        assert_eq!(settle(&StartReply::Accepted), Settlement::Started);
        let reply = |status| Reply { status, code: None, message: None, request_id: None };
        for (status, reason) in [
            (401, Reason::Authentication),
            (403, Reason::Forbidden),
            (404, Reason::NotFound),
            (400, Reason::BadResponse),
            (405, Reason::BadResponse),
            (409, Reason::BadResponse),
            (410, Reason::BadResponse),
            (412, Reason::BadResponse),
            (422, Reason::BadResponse),
        ] {
            let refused = StartReply::Rejected(reply(status));
            assert_eq!(settle(&refused), Settlement::Refused(reason, &reply(status)), "{status}");
        }
        for retry_after in [None, Some(Duration::from_secs(5))] {
            let throttled = StartReply::Throttled { reply: reply(429), retry_after };
            assert_eq!(settle(&throttled), Settlement::Throttled(&reply(429), retry_after));
        }
        let problem = || "closed".to_owned();
        let lost = StartReply::Unclear { problem: problem() };
        assert_eq!(settle(&lost), Settlement::LookAgain("closed"));
        let (status, wait) = (429, Duration::from_secs(7));
        for (reply, unsent) in [
            (StartReply::NotSent { problem: problem() }, Unsent::NotReached("closed")),
            (StartReply::HeldBack { status, wait }, Unsent::HeldBack { status, wait }),
            (StartReply::TooLate, Unsent::TooLate),
        ] {
            assert_eq!(settle(&reply), Settlement::GiveBack(unsent));
        }
    }
}
