//! Steps 8 and 9: the POST, what its answer means, and what to do when there is none.

use std::time::Duration;

use super::{
    attempt::Attempt,
    end::{self, End},
};
use crate::{
    decide::{self, Permit, Settlement, StartReply},
    model::{EntryKind, Observation, OutcomeKind, Reason, StartResult},
    ports::GraphError,
};

/// When to read again after a start without a clear answer: soon at first, since most lost answers
/// hide a start that worked; then over some seconds, since no page says how long Graph takes to
/// show it. Beyond that the answer is "in doubt", and the next attempt looks again.
const LOOK_AFTER: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// First pause of `--wait` between two reads; it doubles up to [`WAIT_AT_MOST`].
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// Longest pause of `--wait` between two reads: a person who waits wants to know within seconds.
const WAIT_AT_MOST: Duration = Duration::from_secs(8);

impl Attempt {
    /// POSTs once and settles it. From here on the attempt is not interrupted until the POST has
    /// its answer or its deadline.
    pub(super) async fn start(&mut self, permit: Permit, was: &Observation) -> End {
        let (reply, cost) = self.core.parts.graph.start(permit).await;
        self.cost.starts = self.cost.starts.saturating_add(cost.requests);
        self.cost.request_ids.extend(cost.request_ids);
        let (result, end) = match decide::settle(&reply) {
            Settlement::Started => (Some(StartResult::Started), started(was, "")),
            Settlement::Refused(reason) => (Some(StartResult::Rejected), refused(&reply, reason)),
            Settlement::Throttled(retry_after) => {
                let end = self.told_to_wait(&reply, retry_after).await;
                (Some(StartResult::Rejected), end)
            }
            Settlement::GiveBack(reason) => {
                self.core.note_unsent(&reply).await;
                (None, not_sent(&reply, reason))
            }
            Settlement::LookAgain => self.look(&reply, was).await,
        };
        let entry = self.entry(EntryKind::Outcome, Some(&end));
        if !self.close(result, vec![entry]).await {
            tracing::error!(
                attempt = %self.ask.attempt,
                "the outcome could not be recorded; the intent stands, counts, and is settled by \
                 the next attempt"
            );
        }
        end
    }

    async fn told_to_wait(&self, reply: &StartReply, retry_after: Option<Duration>) -> End {
        let said = match reply {
            StartReply::Throttled { reply, .. } => reply.to_string(),
            StartReply::Accepted
            | StartReply::Rejected(_)
            | StartReply::Unclear { .. }
            | StartReply::NotSent { .. }
            | StartReply::TooLate => String::new(),
        };
        if let (Some(wait), StartReply::Throttled { reply, .. }) = (retry_after, reply) {
            self.core.note_throttle(reply.status, wait).await;
        }
        // The intent counts, so an ask inside the cool-down would be deferred for that.
        let wait = retry_after.unwrap_or(end::THROTTLED_WITHOUT_A_WORD);
        End {
            reason: Some(Reason::Throttled),
            retry_after: Some(wait.max(self.request.policy.cooldown)),
            ..End::new(
                OutcomeKind::Deferred,
                format!("deferred: Graph answered the start with {said}; nothing was started"),
            )
        }
    }

    /// The answer was lost: read until the job runs, or time is up.
    async fn look(&mut self, reply: &StartReply, was: &Observation) -> (Option<StartResult>, End) {
        let problem = match reply {
            StartReply::Unclear { problem } => problem.as_str(),
            StartReply::Accepted
            | StartReply::Rejected(_)
            | StartReply::Throttled { .. }
            | StartReply::NotSent { .. }
            | StartReply::TooLate => "",
        };
        for pause in LOOK_AFTER {
            let parts = self.core.parts.clone();
            if self.or_stopped(parts.clock.sleep(pause)).await.is_err() {
                break;
            }
            match self.read_once().await {
                Ok(observation) if observation.runs() => {
                    let how = format!(" (the answer was lost: {problem}; a later read shows it)");
                    return (Some(StartResult::Started), started(was, &how));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = %end::chain(&error), "could not look");
                }
            }
        }
        let end = End {
            retry_after: Some(self.request.policy.cooldown),
            remedy: Some(
                "`startguard status JOB` shows whether it worked; startguard does not repeat it \
                 by itself"
                    .to_owned(),
            ),
            ..End::new(
                OutcomeKind::InDoubt,
                format!(
                    "in doubt: a start went out and its answer was lost ({problem}); the job does \
                     not read Active yet"
                ),
            )
        };
        (Some(StartResult::InDoubt), end)
    }

    /// One read, within one request's deadline.
    async fn read_once(&mut self) -> Result<Observation, GraphError> {
        let parts = self.core.parts.clone();
        let deadline = parts.clock.tick().after(self.request.policy.request_timeout);
        let told = self.core.gated_job(&self.ask.key, deadline).await?;
        self.count_reads(told.cost);
        let job = told.result?;
        Ok(Observation::of(&job, told.read_at, told.began))
    }

    /// `--wait`: stays until the job has left Paused and Quarantine, or time is up.
    pub(super) async fn wait(&mut self, end: End) -> End {
        let worth_it = match end.outcome {
            OutcomeKind::Started | OutcomeKind::InDoubt => !self.request.dry_run,
            OutcomeKind::AlreadyRunning
            | OutcomeKind::WouldStart
            | OutcomeKind::Denied
            | OutcomeKind::Deferred
            | OutcomeKind::Failed => false,
        };
        let Some(span) = self.request.wait.filter(|_| worth_it) else {
            return end;
        };
        let parts = self.core.parts.clone();
        let until = parts.clock.tick().after(span);
        let mut pause = WAIT_FIRST;
        loop {
            let left = parts.clock.tick().until(until);
            if left.is_zero() {
                self.wait_ran_out();
                return end;
            }
            if self.or_stopped(parts.clock.sleep(pause.min(left))).await.is_err() {
                return end;
            }
            pause = pause.saturating_mul(2).min(WAIT_AT_MOST);
            match self.read_once().await {
                Ok(now) if !now.is_stopped() => return self.arrived(end, &now).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = %end::chain(&error), "could not read while waiting");
                    if let GraphError::Throttled { retry_after: Some(wait), .. } = error {
                        pause = pause.max(wait);
                    }
                }
            }
        }
    }

    /// The job has left Paused and Quarantine while `--wait` looked.
    async fn arrived(&mut self, end: End, now: &Observation) -> End {
        let message = format!("{}, now {}", end.message, now.code);
        match end.outcome {
            OutcomeKind::InDoubt if now.runs() => {
                let end = End::new(
                    OutcomeKind::Started,
                    format!("started: its answer was lost, and the job now reads {}", now.code),
                );
                let entry = self.entry(EntryKind::Settled, Some(&end));
                self.close(Some(StartResult::Started), vec![entry]).await;
                end
            }
            OutcomeKind::InDoubt
            | OutcomeKind::Started
            | OutcomeKind::AlreadyRunning
            | OutcomeKind::WouldStart
            | OutcomeKind::Denied
            | OutcomeKind::Deferred
            | OutcomeKind::Failed => End { message, ..end },
        }
    }
}

fn started(was: &Observation, how: &str) -> End {
    End::new(OutcomeKind::Started, format!("started: was {}{how}", was.summary()))
}

fn refused(reply: &StartReply, reason: Reason) -> End {
    let error = match (reply, reason) {
        (StartReply::Rejected(reply), Reason::Authentication) => {
            GraphError::Unauthorized(reply.clone())
        }
        (StartReply::Rejected(reply), Reason::Forbidden) => GraphError::Forbidden(reply.clone()),
        (StartReply::Rejected(reply), Reason::NotFound) => GraphError::NotFound(reply.clone()),
        (StartReply::Rejected(reply), _) => {
            GraphError::BadResponse { problem: format!("the start was refused with {reply}") }
        }
        (_, _) => GraphError::BadResponse { problem: "the start was refused".to_owned() },
    };
    let end = End::from(error);
    End { message: format!("{}; the start was refused", end.message), ..end }
}

fn not_sent(reply: &StartReply, reason: Reason) -> End {
    match reply {
        StartReply::TooLate => End::failed(
            reason,
            "out of time: this process was held up between the intent and the start; nothing was \
             sent",
            "ask again; the start was not counted",
        ),
        StartReply::NotSent { problem } => End::failed(
            reason,
            format!("Graph could not be reached for the start: {problem}; nothing was sent"),
            "`startguard doctor` shows how far a request gets; the start was not counted",
        ),
        StartReply::Accepted
        | StartReply::Rejected(_)
        | StartReply::Throttled { .. }
        | StartReply::Unclear { .. } => {
            End::failed(reason, "nothing was sent", "ask again; the start was not counted")
        }
    }
}
