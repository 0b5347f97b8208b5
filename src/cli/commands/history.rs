//! `startguard history`.

use std::time::Duration;

use clap::Args;
use jiff::{civil, tz::TimeZone};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        args::{JOB_HELP, span},
        compose::{Program, Session},
        failure::Failure,
        names::{Asked, NotFound},
        render,
        ui::{Tone, Ui, toned},
    },
    model::{HistoryQuery, JournalEntry, Timestamp, Verification},
    ports::StoreError,
};

/// Show the journal, newest first
///
/// Every ask that read a job, every intent, outcome, hold, release and reset is in it.
#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryArgs {
    #[arg(value_name = "JOB", help = JOB_HELP)]
    job: Option<String>,
    /// Show at most so many entries
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Show none older than this: a time such as 2026-11-23T09:00:00Z, a date, or a span such as 2h
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Check the journal's hash chains instead; ends with 1 where one does not hold
    #[arg(long, conflicts_with_all = ["job", "limit", "since"])]
    verify: bool,
}

/// The last second of the year 2261. Stores keep times as nanoseconds in 64 bits, which end in the
/// year after; nothing in a journal is later, nor before 1970.
const LATEST: Timestamp = Timestamp::constant(9_214_646_399, 0);

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Since::At(at));
    }
    // A date, or a date and a time without an offset, is the operator's local time.
    if let Ok(local) = text.parse::<civil::DateTime>()
        && let Ok(at) = local.to_zoned_datetime(TimeZone::system())
    {
        return Ok(Since::At(at.timestamp()));
    }
    span(text).map(Since::Ago).map_err(|_| {
        "write a time as in 2026-11-23T09:00:00Z, a date as in 2026-11-23, or a span as in 2h"
            .to_owned()
    })
}

pub(in crate::cli) async fn run(args: HistoryArgs, program: &Program) -> Result<Exit, Failure> {
    let session = program.session()?;
    if args.verify {
        return verify(program.ui, &session).await;
    }
    let job = match &args.job {
        None => None,
        Some(typed) => {
            let asked = Asked::parse(&session.settings, typed)?;
            if asked.needs_graph() {
                session.reach()?;
            }
            Some(asked.find(&session).await.map_err(NotFound::into_failure)?.job.key)
        }
    };
    let since = args.since.map(|since| match since {
        Since::At(at) => at,
        Since::Ago(span) => session.clock.wall().saturating_sub(span).unwrap_or(Timestamp::MIN),
    });
    let since = since.map(|at| at.clamp(Timestamp::UNIX_EPOCH, LATEST));
    let query = HistoryQuery { job, limit: Some(args.limit), since };
    let entries = session.guard.store().history(&query).await.map_err(unavailable)?;
    let now = session.clock.wall();
    for entry in &entries {
        if program.ui.is_json() {
            program.ui.json(entry)?;
        } else {
            program.ui.text(&line(program.ui, entry, now))?;
        }
    }
    if entries.is_empty() && !program.ui.is_json() {
        crate::cli::ui::say("the journal has no such entry");
    }
    Ok(Exit::OK)
}

pub(super) fn unavailable(error: StoreError) -> Failure {
    let remedy = error.remedy.clone();
    Failure::failed(&error, remedy)
}

async fn verify(ui: Ui, session: &Session) -> Result<Exit, Failure> {
    let found = session.guard.store().verify().await.map_err(unavailable)?;
    if ui.is_json() {
        ui.json(&json!({
            "entries": found.entries, "pruned": found.pruned, "jobs": found.jobs,
            "broken": found.broken,
        }))?;
    } else if let Some(broken) = &found.broken {
        ui.text(&format!(
            "{} {}\n{}{}",
            toned("the journal does not hold:", Tone::Bad),
            toned(&format!("entry {} of {}", broken.seq, broken.job), Tone::Strong),
            ui.paragraph(&broken.problem, "  "),
            ui.paragraph(
                "next: keep the store as it is for whoever looks into it; `startguard history -o \
                 json` shows what it says now",
                "  "
            ),
        ))?;
    } else {
        ui.text(&format!("{} {}\n", toned("the journal holds:", Tone::Good), held(&found)))?;
    }
    Ok(if found.broken.is_some() { Exit::FAILED } else { Exit::OK })
}

/// How much of a journal holds.
pub(super) fn held(found: &Verification) -> String {
    let pruned = match found.pruned {
        0 => String::new(),
        pruned => format!(", after {pruned} that were pruned"),
    };
    format!("{} entries of {} jobs{pruned}", found.entries, found.jobs)
}

/// An entry as a person reads it.
fn line(ui: Ui, entry: &JournalEntry, now: Timestamp) -> String {
    let facts = &entry.facts;
    let mut head = format!(
        "{} {}: {}",
        toned(&render::local(facts.at, now), Tone::Faint),
        toned(&facts.job.to_string(), Tone::Strong),
        facts.kind
    );
    if let Some(outcome) = facts.outcome {
        head.push_str(&format!(" {outcome}"));
    }
    if let Some(reason) = facts.reason {
        head.push_str(&format!(" ({reason})"));
    }
    head.push_str(&format!(", by {}\n", toned(&facts.actor.0, Tone::Strong)));
    if let Some(seen) = &facts.observed {
        let state = render::state(seen.code.as_deref(), seen.quarantine.as_ref());
        head.push_str(&ui.paragraph(&format!("read: {state}"), "  "));
    }
    if let Some(note) = &facts.note {
        head.push_str(&ui.paragraph(&format!("note: {note}"), "  "));
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_time_a_date_or_a_span() {
        assert!(matches!(since("2026-11-23T09:00:00Z"), Ok(Since::At(_))));
        assert!(matches!(since("2026-11-23"), Ok(Since::At(_))));
        assert!(matches!(since("2026-11-23T09:00"), Ok(Since::At(_))));
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_secs(7_200))));
        assert!(since("yesterday").is_err());
        assert!(since("").is_err());
    }
}
