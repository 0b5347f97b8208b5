//! `startguard list`.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        compose::{Program, Session},
        failure::Failure,
        names, render,
        ui::{Ui, complain, say},
    },
    config::JobSection,
    model::{
        Job, JobKey, JobRef, Observation, ObservedFacts, ServicePrincipalId, ServicePrincipalRef,
        printable,
    },
};

/// List service principals' jobs with their states
///
/// Without arguments, the jobs of the configuration.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// An object id, appid:GUID or a display name
    #[arg(value_name = "SERVICE_PRINCIPAL")]
    service_principals: Vec<String>,
}

/// A service principal to list, and which of its jobs.
struct Wanted<'a> {
    named: ServicePrincipalRef,
    /// The configuration's jobs of it; none: all that it has.
    configured: Vec<&'a JobSection>,
}

/// A line of the list.
struct Row {
    job: JobRef,
    seen: ObservedFacts,
    escrows_pruned: bool,
}

pub(in crate::cli) async fn run(args: ListArgs, program: &Program) -> Result<Exit, Failure> {
    let session = program.session()?;
    let wanted = wanted(&args, &session)?;
    session.reach()?;
    let mut lists: FuturesOrdered<_> =
        wanted.into_iter().map(|wanted| list(wanted, &session)).collect();
    let mut worst = Exit::OK;
    let mut rows = Vec::new();
    while let Some((listed, failures)) = lists.next().await {
        for failure in failures {
            complain(&failure);
            worst = worst.max(failure.exit);
        }
        if program.ui.is_json() {
            for row in &listed {
                program.ui.json(&json!({
                    "job": row.job,
                    "code": row.seen.code,
                    "schedule": row.seen.schedule,
                    "quarantine": row.seen.quarantine,
                }))?;
            }
        }
        rows.extend(listed);
    }
    if !program.ui.is_json() && !rows.is_empty() {
        program.ui.text(&table(program.ui, &rows, &session))?;
    }
    Ok(worst)
}

fn wanted<'a>(args: &ListArgs, session: &'a Session) -> Result<Vec<Wanted<'a>>, Failure> {
    if !args.service_principals.is_empty() {
        let parse = |typed: &String| {
            ServicePrincipalRef::parse(typed)
                .map(|named| Wanted { named, configured: Vec::new() })
                .map_err(|error| Failure {
                    exit: Exit::USAGE,
                    ..Failure::failed(&error, error.remedy())
                })
        };
        return args.service_principals.iter().map(parse).collect();
    }
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for section in session.settings.jobs.values() {
        match wanted.iter_mut().find(|wanted| wanted.named == section.service_principal) {
            Some(same) => same.configured.push(section),
            None => wanted.push(Wanted {
                named: section.service_principal.clone(),
                configured: vec![section],
            }),
        }
    }
    if wanted.is_empty() {
        return Err(Failure::usage(
            "there is nothing to list: the configuration has no job, and no service principal was named",
            "name a service principal, or add a `[jobs.NAME]` table to the configuration",
        ));
    }
    Ok(wanted)
}

async fn list(wanted: Wanted<'_>, session: &Session) -> (Vec<Row>, Vec<Failure>) {
    let about = |error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", wanted.named, failure.message), ..failure }
    };
    let principal = match names::principal(session, &wanted.named).await {
        Ok(Ok(principal)) => principal,
        Ok(Err(error)) => return (Vec::new(), vec![about(error)]),
        Err(failure) => return (Vec::new(), vec![failure]),
    };
    let jobs = match session.guard.jobs(&principal).await {
        Ok(jobs) => jobs,
        Err(error) => return (Vec::new(), vec![about(error)]),
    };
    if wanted.configured.is_empty() {
        if jobs.is_empty() {
            say(&format!("{} has no provisioning job", printable(&wanted.named.to_string())));
        }
        let rows: Vec<Row> =
            jobs.iter().filter_map(|job| row(&principal, job, session, None)).collect();
        let failures = nameless(&wanted.named, rows.len(), jobs.len()).into_iter().collect();
        return (rows, failures);
    }
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for section in wanted.configured {
        let found = match (&section.job, jobs.as_slice()) {
            (Some(id), jobs) => jobs.iter().find(|job| {
                job.id
                    .as_ref()
                    .is_some_and(|other| other.as_str().eq_ignore_ascii_case(id.as_str()))
            }),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        match found.and_then(|job| row(&principal, job, session, Some(&section.name))) {
            Some(row) => rows.push(row),
            None => failures.push(missing(section, &principal, jobs.len())),
        }
    }
    (rows, failures)
}

/// A list that is not whole must not pass for one that is.
fn nameless(named: &ServicePrincipalRef, shown: usize, jobs: usize) -> Option<Failure> {
    let hidden = jobs.checked_sub(shown).filter(|hidden| *hidden > 0)?;
    Some(Failure {
        exit: Exit::FAILED,
        message: format!(
            "{named}: {hidden} of {jobs} jobs cannot be shown: Graph gave no usable id of them"
        ),
        remedy: Some(names::NO_IDS.to_owned()),
    })
}

fn missing(section: &JobSection, principal: &ServicePrincipalId, jobs: usize) -> Failure {
    let message = match (&section.job, jobs) {
        (Some(id), _) => format!("{}: {principal} has no job {id}", section.name),
        (None, 1) => format!("{}: Graph gave no usable id of {principal}'s only job", section.name),
        (None, jobs) => {
            format!("{}: {principal} has {jobs} jobs, and `job` does not say which", section.name)
        }
    };
    Failure {
        exit: Exit::FAILED,
        message,
        remedy: Some(format!(
            "`startguard list {principal}` shows its jobs; mend `[jobs.{}]`",
            section.name
        )),
    }
}

fn row(
    principal: &ServicePrincipalId,
    job: &Job,
    session: &Session,
    name: Option<&str>,
) -> Option<Row> {
    let key = JobKey { service_principal_id: principal.clone(), job_id: job.id.clone()? };
    let name = name.or_else(|| session.settings.policy_for(&key).1).map(str::to_owned);
    let seen = Observation::of(job, session.clock.wall(), session.clock.tick());
    Some(Row {
        job: JobRef { key, name },
        seen: ObservedFacts::from(&seen),
        escrows_pruned: seen.escrows_pruned,
    })
}

/// Below so many columns a table is unreadable, and each job gets lines of its own.
const NARROW: usize = 80;

fn table(ui: Ui, rows: &[Row], session: &Session) -> String {
    let now = session.clock.wall();
    let cells = rows.iter().map(|row| {
        let state = match (&row.seen.quarantine, row.escrows_pruned) {
            (None, true) => {
                format!("{} (escrowsPruned)", render::state(row.seen.code.as_deref(), None))
            }
            (quarantine, _) => render::state(row.seen.code.as_deref(), quarantine.as_ref()),
        };
        let since = row.seen.quarantine.as_ref().and_then(|quarantine| quarantine.since);
        [
            row.job.to_string(),
            state,
            row.seen.schedule.clone().unwrap_or_else(|| "(none)".to_owned()),
            since.map(|since| render::since(since, now)).unwrap_or_default(),
        ]
        .map(|cell| printable(&cell).into_owned())
    });
    if ui.width.is_some_and(|width| width < NARROW) {
        return cells
            .map(|[job, state, schedule, since]| {
                let since = if since.is_empty() { since } else { format!(", since {since}") };
                format!(
                    "{job}\n{}",
                    ui.paragraph(&format!("{state}, schedule {schedule}{since}"), "  ")
                )
            })
            .collect();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["JOB", "STATE", "SCHEDULE", "IN QUARANTINE SINCE"]);
    for cells in cells {
        table.add_row(cells);
    }
    let lines: Vec<String> =
        table.lines().map(|line| line.trim_end().trim_start().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}
