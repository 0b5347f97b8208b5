//! `startguard status`.

use clap::Args;
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        args::JOB_HELP,
        compose::{Program, Session},
        failure::Failure,
        names::{Asked, Found, NotFound},
        render,
        ui::{Tone, Ui, complain, toned},
    },
    guard::StatusReport,
    model::{Observation, ObservedFacts, OutcomeKind, QuarantineFacts, Timestamp},
};

/// Show jobs' states, and what start would answer now
///
/// One read per job. Changes nothing.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    #[arg(required = true, value_name = "JOB", help = JOB_HELP)]
    pub(in crate::cli) jobs: Vec<String>,
}

pub(in crate::cli) async fn run(args: StatusArgs, program: &Program) -> Result<Exit, Failure> {
    let session = program.session()?;
    let asked = Asked::parse_all(&session.settings, &args.jobs)?;
    session.reach()?;
    let mut reports: FuturesOrdered<_> =
        asked.into_iter().map(|asked| look(asked, &session)).collect();
    let mut worst = Exit::OK;
    let mut first = true;
    while let Some(looked) = reports.next().await {
        match looked {
            Ok((found, report)) => {
                if report.read_failed {
                    let start = &report.start;
                    worst = worst.max(Exit::of_outcome(start.outcome, start.reason));
                }
                if program.ui.is_json() {
                    program.ui.json(&json(&report))?;
                } else {
                    let gap = if first { "" } else { "\n" };
                    let text = text(program.ui, &found, &report, session.clock.wall());
                    program.ui.text(&format!("{gap}{text}"))?;
                    first = false;
                }
            }
            Err(unknown) => {
                let failure = unknown.into_failure();
                complain(&failure);
                worst = worst.max(failure.exit);
            }
        }
    }
    Ok(worst)
}

async fn look(asked: Asked, session: &Session) -> Result<(Found, StatusReport), NotFound> {
    let found = asked.find(session).await?;
    let (job, policy) = (found.job.clone(), found.policy.clone());
    let report = session.guard.status(job, policy, session.actor.clone()).await;
    Ok((found, report))
}

fn json(report: &StatusReport) -> serde_json::Value {
    let seen = report.observation.as_ref().map(ObservedFacts::from);
    let start = &report.start;
    json!({
        "job": start.job,
        "code": seen.as_ref().and_then(|seen| seen.code.as_ref()),
        "schedule": seen.as_ref().and_then(|seen| seen.schedule.as_ref()),
        "quarantine": seen.as_ref().and_then(|seen| seen.quarantine.as_ref()),
        "readAt": seen.as_ref().map(|seen| seen.read_at),
        "start": {
            "outcome": start.outcome,
            "reason": start.reason,
            "message": start.message,
            "consent": start.consent,
            "retryAfterSeconds": start.retry_after_seconds,
        },
    })
}

fn text(ui: Ui, found: &Found, report: &StatusReport, now: Timestamp) -> String {
    let mut lines = format!("{}\n", toned(&found.typed, Tone::Strong));
    let mut line = |name: &str, value: &str| {
        lines.push_str(&ui.paragraph(&format!("{name}: {value}"), "  "));
    };
    if let Some(seen) = report.observation.as_ref().map(ObservedFacts::from) {
        let schedule = seen.schedule.as_deref().unwrap_or("(none)");
        let state = report.observation.as_ref().map(Observation::summary).unwrap_or_default();
        line("state", &format!("{state}, schedule {schedule}"));
        if let Some(quarantine) = &seen.quarantine {
            for (name, value) in quarantine_lines(quarantine, now) {
                line(name, &value);
            }
        }
        let error = report.observation.as_ref().and_then(|seen| seen.quarantine.as_ref());
        if let Some(message) = error.and_then(|error| error.error_message.as_deref()) {
            line("service says", message);
        }
    }
    let start = &report.start;
    let reason = start.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let now_answers = match start.outcome {
        OutcomeKind::WouldStart => "would go out now".to_owned(),
        OutcomeKind::Started
        | OutcomeKind::AlreadyRunning
        | OutcomeKind::Denied
        | OutcomeKind::Deferred
        | OutcomeKind::Failed
        | OutcomeKind::InDoubt => {
            format!("{}{reason}: {}", start.outcome, render::without_outcome(&start.message))
        }
    };
    line("start", &now_answers);
    if let Some(wait) = start.retry_after_seconds {
        line("retry", &render::when(now, std::time::Duration::from_secs(wait)));
    }
    if let Some(remedy) = &start.remedy {
        line("next", &render::for_job(remedy, &found.typed));
    }
    lines
}

fn quarantine_lines(facts: &QuarantineFacts, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(since) = facts.since {
        lines.push(("in quarantine since", render::since(since, now)));
    }
    if let Some(next) = facts.next_attempt {
        lines.push(("the service tries again", render::since(next, now)));
    }
    match (facts.series_count, facts.series_began) {
        (Some(count), Some(began)) => {
            lines.push(("series", format!("{count}, the first {}", render::since(began, now))));
        }
        (Some(count), None) => lines.push(("series", count.to_string())),
        (None, Some(began)) => {
            lines.push(("series", format!("since {}", render::since(began, now))));
        }
        (None, None) => {}
    }
    lines
}
