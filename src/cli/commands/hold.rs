//! `startguard hold`, and what it shares with the other words of an operator.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        Exit,
        args::{JOB_HELP, note, span},
        compose::{Program, Session},
        failure::Failure,
        names::{Asked, Found, NotFound},
        render::{self, quoted},
        ui::{Tone, Ui, toned},
    },
    guard::Operated,
};

/// Forbid every start of a job, the controller's included
///
/// Until it is released, or until --for has passed. A new hold replaces an earlier one.
#[derive(Debug, Args)]
pub(in crate::cli) struct HoldArgs {
    #[arg(value_name = "JOB", help = JOB_HELP)]
    job: String,
    /// For how long; without it, until it is released
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting)]
    lasts: Option<Duration>,
    /// Why; kept in the journal and told to everyone who asks for a start
    #[arg(long, value_name = "TEXT", value_parser = note)]
    reason: String,
}

fn lasting(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err("a hold of no length holds nothing".to_owned()),
        span => Ok(span),
    }
}

pub(in crate::cli) async fn run(args: HoldArgs, program: &Program) -> Result<Exit, Failure> {
    let (session, found) = find(program, &args.job).await?;
    let done = session.guard.hold(&found.job, &session.actor, &args.reason, args.lasts).await?;
    tell(program.ui, &session, &found, &done)
}

/// A session, and the one job that a command is about.
pub(super) async fn find(program: &Program, typed: &str) -> Result<(Session, Found), Failure> {
    let session = program.session()?;
    let asked = Asked::parse(&session.settings, typed)?;
    if asked.needs_graph() {
        session.reach()?;
    }
    let found = asked.find(&session).await.map_err(NotFound::into_failure)?;
    Ok((session, found))
}

/// Tells what was done.
pub(super) fn tell(
    ui: Ui,
    session: &Session,
    found: &Found,
    done: &Operated,
) -> Result<Exit, Failure> {
    if ui.is_json() {
        ui.json(&as_json(found, done))?;
        return Ok(Exit::OK);
    }
    let job = quoted(&found.typed);
    let (said, next) = match done {
        Operated::Held(None) => (
            "on hold until it is released".to_owned(),
            Some(format!("`startguard release {job}` lifts it")),
        ),
        Operated::Held(Some(until)) => (
            format!("on hold until {}", render::local(*until, session.clock.wall())),
            Some(format!("`startguard release {job}` lifts it before")),
        ),
        Operated::Released => ("released".to_owned(), None),
        Operated::NotHeld => ("was not on hold; nothing changed".to_owned(), None),
        Operated::Reset { forgiven, clock_was_behind } => (
            format!(
                "budget given back; {forgiven} earlier start(s) no longer count; the cool-down stands"
            ),
            clock_was_behind.map(|behind| {
                format!(
                    "see that the clock is right: it stood {} before the newest journal entry, \
                     which kept the starts of every job off, and counts as right from now on",
                    render::span(behind)
                )
            }),
        ),
    };
    let mut text = format!("{}: {said}\n", toned(&found.typed, Tone::Strong));
    if let Some(next) = next {
        text.push_str(&ui.paragraph(&format!("next: {next}"), "  "));
    }
    ui.text(&text)?;
    Ok(Exit::OK)
}

fn as_json(found: &Found, done: &Operated) -> Value {
    let job = &found.job;
    match done {
        Operated::Held(until) => {
            json!({"job": job, "action": "hold", "changed": true, "until": until})
        }
        Operated::Released => json!({"job": job, "action": "release", "changed": true}),
        Operated::NotHeld => json!({"job": job, "action": "release", "changed": false}),
        Operated::Reset { forgiven, clock_was_behind } => {
            let mut done =
                json!({"job": job, "action": "reset", "changed": true, "forgiven": forgiven});
            if let Some(behind) = clock_was_behind {
                done["clockWasBehindSeconds"] = json!(behind.as_secs());
            }
            done
        }
    }
}
