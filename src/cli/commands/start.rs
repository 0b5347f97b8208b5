//! `startguard start`.
#![expect(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        args::{JOB_HELP, note, span},
        compose::{Program, Session},
        failure::Failure,
        names::{Asked, Found, NotFound},
        render::{self, Told},
        ui::{Ui, warn},
    },
    guard::{ReadError, Request},
    model::{Answer, JobId, Reason, ServicePrincipalId},
};

/// Start jobs, each at most once and only while Paused or in Quarantine
///
/// Reads the state first. A no says why, when to ask again and what to type next. No flag skips the
/// state check, the lease or the budget.
#[derive(Debug, Args)]
pub(in crate::cli) struct StartArgs {
    #[arg(required = true, value_name = "JOB", help = JOB_HELP)]
    pub(in crate::cli) jobs: Vec<String>,
    /// Read and decide, change nothing, spend nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Stay until the job has left Paused and Quarantine (default 10m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = span)]
    pub(in crate::cli) wait: Option<Duration>,
    /// Why; kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = note)]
    reason: Option<String>,
    /// Consent to a start that policy leaves to a person, such as TooManyDeletes (repeatable)
    #[arg(long, value_name = "REASON", value_parser = consent)]
    accept: Vec<String>,
    /// How long to wait for another holder of the job's lease
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = span)]
    lease_wait: Duration,
}

/// One reason, as Graph spells them: a single word.
fn consent(text: &str) -> Result<String, String> {
    if text.contains(',') {
        return Err("name one reason, and repeat --accept for another".to_owned());
    }
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err("a reason is one word, such as TooManyDeletes".to_owned());
    }
    Ok(text.to_owned())
}

/// `--wait 5s JOB` reads as a wait of ten minutes for two jobs, one of them called `5s`.
fn misplaced_wait(args: &StartArgs) -> Result<(), Failure> {
    let slip = args.jobs.iter().find(|job| span(job).is_ok()).filter(|_| args.wait.is_some());
    match slip {
        None => Ok(()),
        Some(slip) => Err(Failure::usage(
            format!("{slip:?} stands where a job is named, and reads like a time span"),
            format!("write `--wait={slip}`, with an equals sign"),
        )),
    }
}

/// Consent to what nobody asks consent for is most likely a slip of the pen.
fn unasked_consent(found: &[Result<Found, Unknown>], accept: &[String]) {
    for word in accept {
        let asked = found.iter().flatten().any(|found| {
            found.policy.needs_consent.iter().any(|reason| reason.eq_ignore_ascii_case(word))
        });
        if !asked {
            warn(&format!("--accept {word}: no policy of these jobs asks consent for that"));
        }
    }
}

pub(in crate::cli) async fn run(args: StartArgs, program: &Program) -> Result<Exit, Failure> {
    misplaced_wait(&args)?;
    let session = program.session()?;
    let asked = Asked::parse_all(&session.settings, &args.jobs)?;
    session.reach()?;
    // Every name is looked up before any job is started: one that is ambiguous changes nothing.
    let found = find_all(asked, &session, program).await?;
    unasked_consent(&found, &args.accept);
    let mut answers: FuturesOrdered<_> =
        found.into_iter().map(|found| ask(found, &args, &session)).collect();
    let mut worst = Exit::OK;
    let mut unprinted = None;
    while let Some((found, result)) = answers.next().await {
        let printed = match &result {
            Ok(answer) => {
                worst = worst.max(Exit::of(answer));
                print_answer(program.ui, &found, answer, &session)
            }
            Err(unknown) => {
                worst = worst.max(Exit::of_outcome(unknown.error.outcome, unknown.error.reason));
                unknown.print(program.ui, &session)
            }
        };
        // The other jobs' attempts go on whoever listens.
        unprinted = unprinted.or(printed.err());
    }
    match unprinted {
        Some(failure) => Err(Failure { exit: worst.max(failure.exit), ..failure }),
        None => Ok(worst),
    }
}

/// A job whose name Graph could not resolve; it has an answer all the same.
#[derive(Debug)]
struct Unknown {
    typed: String,
    service_principal: Option<ServicePrincipalId>,
    job: Option<JobId>,
    error: ReadError,
}

async fn find_all(
    asked: Vec<Asked>,
    session: &Session,
    program: &Program,
) -> Result<Vec<Result<Found, Unknown>>, Failure> {
    let mut found = Vec::with_capacity(asked.len());
    let mut finding: FuturesOrdered<_> =
        asked.into_iter().map(|asked| asked.find(session)).collect();
    loop {
        let next = tokio::select! {
            next = finding.next() => next,
            () = program.stop.cancelled() => {
                return Err(Failure {
                    exit: Exit::FAILED,
                    message: "interrupted before a start went out".to_owned(),
                    remedy: None,
                });
            }
        };
        match next {
            None => return Ok(found),
            Some(Ok(job)) => found.push(Ok(job)),
            Some(Err(NotFound::Usage(failure))) => return Err(failure),
            Some(Err(NotFound::Unknown { typed, service_principal, job, error })) => {
                found.push(Err(Unknown { typed, service_principal, job, error }));
            }
        }
    }
}

async fn ask(
    found: Result<Found, Unknown>,
    args: &StartArgs,
    session: &Session,
) -> (String, Result<Answer, Unknown>) {
    match found {
        Ok(found) => {
            let request = Request {
                job: found.job,
                policy: found.policy,
                actor: session.actor.clone(),
                accept: args.accept.clone(),
                reason: args.reason.clone(),
                dry_run: args.dry_run,
                lease_wait: args.lease_wait,
                wait: args.wait,
            };
            (found.typed, Ok(session.guard.start(request).await))
        }
        Err(unknown) => (unknown.typed.clone(), Err(unknown)),
    }
}

fn print_answer(ui: Ui, typed: &str, answer: &Answer, session: &Session) -> Result<(), Failure> {
    if ui.is_json() {
        return ui.json(answer);
    }
    ui.text(&render::answer(ui, &Told::of(typed, answer), session.clock.wall()))
}

impl Unknown {
    fn print(&self, ui: Ui, session: &Session) -> Result<(), Failure> {
        let error = &self.error;
        let retry_after = error.retry_after;
        if ui.is_json() {
            return ui.json(&json!({
                "job": {
                    "servicePrincipalId": self.service_principal,
                    "jobId": self.job,
                    "name": self.typed,
                },
                "outcome": error.outcome,
                "reason": error.reason,
                "message": error.message,
                "observed": null,
                "retryAfterSeconds": retry_after.map(render::seconds),
                "attemptId": null,
                "fencingToken": null,
                "coalesced": false,
                "graph": {"reads": 0, "starts": 0, "requestIds": []},
                "elapsedMs": 0,
            }));
        }
        let told = Told {
            job: &self.typed,
            outcome: error.outcome,
            reason: error.reason.map(Reason::as_str),
            message: &error.message,
            remedy: error.remedy.as_deref(),
            retry_after,
        };
        ui.text(&render::answer(ui, &told, session.clock.wall()))
    }
}
