//! `startguard emulator`.
#![expect(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use crate::{
    cli::{
        Exit,
        compose::Program,
        failure::{Failure, chain},
        ui::say,
    },
    emulator::{Emulator, EmulatorConfig},
};

/// Serve the embedded Graph emulator on loopback
///
/// Prints its base URL as its first line, and runs until it is interrupted. Without --fleet and
/// --job it serves a job in every state. Its control endpoint is below /_emulator.
#[derive(Debug, Args)]
pub(in crate::cli) struct EmulatorArgs {
    /// Listen here: a loopback address, port 0 for any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Read service principals, jobs, delays and faults from this file (TOML, or JSON if it ends in .json)
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Add a job, as SERVICE_PRINCIPAL/JOB_ID=CODE or SERVICE_PRINCIPAL/JOB_ID=Quarantine:REASON (repeatable)
    #[arg(long = "job", value_name = "JOB")]
    jobs: Vec<String>,
}

pub(in crate::cli) async fn run(args: EmulatorArgs, program: &Program) -> Result<Exit, Failure> {
    let mut config = match (&args.fleet, args.jobs.is_empty()) {
        (Some(file), _) => read(file)?,
        (None, true) => EmulatorConfig::default(),
        (None, false) => EmulatorConfig::empty(),
    };
    config.listen = args.listen;
    for job in &args.jobs {
        config.add_job_written(job).map_err(|error| {
            Failure::usage(error.to_string(), "`startguard emulator --help` shows the form")
        })?;
    }
    let jobs: Vec<String> = config
        .service_principals
        .iter()
        .flat_map(|sp| sp.jobs.iter().map(move |job| format!("{}/{}", sp.id, job.id)))
        .collect();
    let emulator = Emulator::start(config).await.map_err(|error| {
        Failure::usage(chain(&error), "`startguard emulator --help` shows what can be set")
    })?;
    let url = emulator.base_url().to_owned();
    program.ui.text(&format!("{url}\n"))?;
    say(&format!(
        "in another terminal:\n  export STARTGUARD_GRAPH_ENDPOINT={url} STARTGUARD_AUTH=token STARTGUARD_TOKEN=emulator"
    ));
    for job in jobs {
        say(&format!("  startguard start {job}"));
    }
    program.stop.cancelled().await;
    emulator.shutdown().await;
    Ok(Exit::OK)
}

fn read(file: &std::path::Path) -> Result<EmulatorConfig, Failure> {
    let unusable = |problem: String| {
        Failure::usage(
            format!("the fleet file {file:?} {problem}"),
            "docs/guide.md shows a fleet file",
        )
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let parsed = if file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    };
    parsed.map_err(|problem| unusable(format!("cannot be understood: {problem}")))
}
