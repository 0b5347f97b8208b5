//! Steps 8 and 9: the POST, what its answer means, and what to do when there is none.

use std::time::Duration;

use super::{
    attempt::Attempt,
    end::{self, End},
};
use crate::{
    decide::{self, Permit, Settlement, Unsent},
    model::{EntryKind, Observation, OutcomeKind, Reason, Reply, StartResult, StatusCode, Tick},
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

/// Longest time that those reads may take in all, however slowly they are answered: the caller has
/// waited for the POST's deadline already.
const LOOK_WITHIN: Duration = Duration::from_secs(15);

/// What a read may take even where its caller's time is nearly up: a read with no time at all only
/// costs a request.
const LEAST_FOR_A_READ: Duration = Duration::from_secs(2);

/// First pause of `--wait` between two reads; it doubles up to [`WAIT_AT_MOST`].
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// Longest pause of `--wait` between two reads: a person who waits wants to know within seconds.
const WAIT_AT_MOST: Duration = Duration::from_secs(5);

impl Attempt {
    /// POSTs once and settles it. From here on the attempt is not interrupted until the POST has
    /// its answer or its deadline.
    pub(super) async fn start(&mut self, permit: Permit, was: &Observation) -> End {
        self.about_to_send();
        let (reply, cost) = self.core.parts.graph.start(permit).await;
        self.cost.starts = self.cost.starts.saturating_add(cost.requests);
        self.sent_of_grant = self.sent_of_grant.saturating_add(cost.requests);
        self.cost.request_ids.extend(cost.request_ids);
        let (result, end) = match decide::settle(&reply) {
            Settlement::Started => (Some(StartResult::Started), started(was, "")),
            Settlement::Refused(reason, reply) => {
                (Some(StartResult::Rejected), refused(reason, reply))
            }
            Settlement::Throttled(reply, retry_after) => {
                let end = self.told_to_wait(reply, retry_after).await;
                (Some(StartResult::Rejected), end)
            }
            Settlement::GiveBack(unsent) => {
                self.core.note_unsent(unsent).await;
                (None, not_sent(unsent))
            }
            Settlement::LookAgain(problem) => self.look(problem, was).await,
        };
        let entry = self.entry(EntryKind::Outcome, Some(&end));
        let recorded = self.close(result, vec![entry]).await;
        if !recorded {
            tracing::error!(
                attempt = %self.ask.attempt,
                "the outcome could not be recorded; the intent stands, counts, and is settled by \
                 the next attempt"
            );
        }
        match result {
            None => self.given_back(end, recorded),
            Some(_) => end,
        }
    }

    /// Tells whether a start that was not sent counts: not if its intent was given back.
    fn given_back(&self, end: End, recorded: bool) -> End {
        if recorded {
            let remedy = end.remedy.map(|remedy| format!("{remedy}; the start was not counted"));
            return End { remedy, ..end };
        }
        let counts = "the store would not take the start back, so it counts".to_owned();
        let remedy = match end.remedy {
            Some(remedy) => format!("{remedy}; {counts}"),
            None => counts,
        };
        // An ask inside the cool-down would be deferred for that.
        let retry_after = end.retry_after.map(|wait| wait.max(self.request.policy.cooldown));
        End { remedy: Some(remedy), retry_after, ..end }
    }

    async fn told_to_wait(&self, reply: &Reply, retry_after: Option<Duration>) -> End {
        if let Some(wait) = retry_after {
            self.core.note_throttle(reply.status, wait).await;
        }
        // The intent counts, so an ask inside the cool-down would be deferred for that.
        let wait = retry_after.unwrap_or(end::THROTTLED_WITHOUT_A_WORD);
        // A 503 may come from a gateway behind which the request went on.
        let so = match reply.status {
            429 => "nothing was started",
            _ => "whether it worked, the next ask reads first",
        };
        End {
            reason: Some(Reason::Throttled),
            retry_after: Some(wait.max(self.request.policy.cooldown)),
            ..End::new(
                OutcomeKind::Deferred,
                format!("deferred: Graph answered the start with {reply}; {so}"),
            )
        }
    }

    /// The answer was lost: read until the job runs, or time is up.
    async fn look(&mut self, problem: &str, was: &Observation) -> (Option<StartResult>, End) {
        let until = self.core.parts.clock.tick().after(LOOK_WITHIN);
        for pause in LOOK_AFTER {
            if self.nap(pause, until).await.is_none() {
                break;
            }
            match self.read_once(until).await {
                Ok(now) if now.runs() => {
                    self.arrived = true;
                    let how =
                        format!(", now {} (the start got no clear answer: {problem})", now.code);
                    return (Some(StartResult::Started), started(was, &how));
                }
                Ok(_) => {}
                Err(end) => {
                    tracing::debug!(message = end.message, "could not look");
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
                    "in doubt: a start went out and got no clear answer ({problem}); the job does \
                     not read Active yet"
                ),
            )
        };
        (Some(StartResult::InDoubt), end)
    }

    /// Sleeps for `pause`, at most until `until`; `None` when that has passed or the program is
    /// told to stop.
    async fn nap(&self, pause: Duration, until: Tick) -> Option<()> {
        let clock = &self.core.parts.clock;
        let left = clock.tick().until(until);
        if left.is_zero() {
            return None;
        }
        self.or_stopped(clock.sleep(pause.min(left))).await.ok()
    }

    /// One read, within one request's deadline and, but for [`LEAST_FOR_A_READ`], before `until`.
    async fn read_once(&mut self, until: Tick) -> Result<Observation, End> {
        let now = self.core.parts.clock.tick();
        let span = now.until(until).max(LEAST_FOR_A_READ);
        let within = span.min(self.request.policy.request_timeout);
        let read = self.core.gated_job(&self.ask.key, within, now.after(span));
        let told = self.or_stopped(read).await??;
        self.count_reads(told.cost);
        let job = told.result?;
        Ok(Observation::of(&job, told.read_at, told.began))
    }

    /// `--wait`: stays until the job has left Paused and Quarantine, or time is up.
    pub(super) async fn wait(&mut self, end: End) -> End {
        let worth_it = match end.outcome {
            OutcomeKind::Started | OutcomeKind::InDoubt => !self.arrived,
            OutcomeKind::AlreadyRunning
            | OutcomeKind::WouldStart
            | OutcomeKind::Denied
            | OutcomeKind::Deferred
            | OutcomeKind::Failed => false,
        };
        let Some(span) = self.request.wait.filter(|_| worth_it) else {
            return end;
        };
        let until = self.core.parts.clock.tick().after(span);
        let mut pause = WAIT_FIRST;
        let mut last = None;
        loop {
            if self.nap(pause, until).await.is_none() {
                // The outcome stays what it was; told to stop, the caller knows why it ended.
                if self.not_stopped().is_err() {
                    return end;
                }
                self.wait_ran_out();
                let waited = humantime::format_duration(span);
                let message = match last {
                    Some(state) => format!("{}; waited {waited}: it reads {state}", end.message),
                    None => format!("{}; waited {waited}: it could not be read", end.message),
                };
                return End { message, ..end };
            }
            pause = pause.saturating_mul(2).min(WAIT_AT_MOST);
            match self.read_once(until).await {
                Ok(now) if has_left(&now.code) => return self.arrived(end, &now).await,
                Ok(now) => last = Some(now.summary()),
                Err(end) => {
                    tracing::debug!(message = end.message, "could not read while waiting");
                    pause = pause.max(end.retry_after.unwrap_or_default());
                }
            }
        }
    }

    /// The job has left Paused and Quarantine while `--wait` looked.
    async fn arrived(&mut self, end: End, now: &Observation) -> End {
        match end.outcome {
            OutcomeKind::InDoubt if now.runs() => {
                let was = self.observation.as_ref().map(Observation::summary).unwrap_or_default();
                let end = End::new(
                    OutcomeKind::Started,
                    format!("started: was {was}, now {} (the start got no clear answer)", now.code),
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
            | OutcomeKind::Failed => {
                End { message: format!("{}, now {}", end.message, now.code), ..end }
            }
        }
    }
}

/// Whether a job with this code has left Paused and Quarantine. A code that this version does not
/// know is another state; a read without any code says nothing.
fn has_left(code: &StatusCode) -> bool {
    match code {
        StatusCode::Paused | StatusCode::Quarantine => false,
        StatusCode::Active | StatusCode::NotRun | StatusCode::NotConfigured => true,
        StatusCode::Other(text) => !text.is_empty(),
    }
}

fn started(was: &Observation, how: &str) -> End {
    End::new(OutcomeKind::Started, format!("started: was {}{how}", was.summary()))
}

fn refused(reason: Reason, reply: &Reply) -> End {
    let error = if reason == Reason::Authentication {
        GraphError::Unauthorized(reply.clone())
    } else if reason == Reason::Forbidden {
        GraphError::Forbidden(reply.clone())
    } else if reason == Reason::NotFound {
        GraphError::NotFound(reply.clone())
    } else {
        let problem = format!("the start was refused with {reply}");
        // A refusal that means nothing else says so itself.
        return End::from(GraphError::BadResponse { problem });
    };
    let end = End::from(error);
    End { message: format!("{}; the start was refused", end.message), ..end }
}

fn not_sent(unsent: Unsent<'_>) -> End {
    match unsent {
        Unsent::TooLate => End::failed(
            Reason::Timeout,
            "out of time: this process was held up between the intent and the start; nothing was \
             sent",
            "ask again",
        ),
        Unsent::HeldBack { status, wait } => End {
            reason: Some(Reason::Throttled),
            retry_after: Some(wait),
            ..End::new(
                OutcomeKind::Deferred,
                format!(
                    "deferred: Graph said to wait (HTTP {status} with Retry-After) while this \
                     start was being prepared; nothing was sent"
                ),
            )
        },
        Unsent::NotReached(problem) => End::failed(
            Reason::GraphUnavailable,
            format!("Graph could not be reached for the start: {problem}; nothing was sent"),
            "`startguard doctor` shows how far a request gets",
        ),
    }
}
