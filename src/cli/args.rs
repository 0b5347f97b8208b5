//! What can be typed.
#![expect(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::commands::{
    completions::CompletionsArgs, emulator::EmulatorArgs, history::HistoryArgs, hold::HoldArgs,
    list::ListArgs, man::ManArgs, release::ReleaseArgs, reset::ResetArgs, start::StartArgs,
    status::StatusArgs, store::StoreArgs,
};
use crate::{config, model::is_hidden};

/// Guarded starts for Microsoft Entra provisioning jobs.
///
/// Reads a job's state, starts it only while it is Paused or in Quarantine, and never twice: a
/// lease, a start budget and a journal are shared by every process that uses the same store.
#[derive(Debug, Parser)]
#[command(
    name = "startguard",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    propagate_version = true,
    after_help = "Exit codes: 0 started or running, 1 failed, 2 usage, 3 denied, 4 deferred, 5 not \
                  permitted, 6 in doubt, 7 --wait ran out, 130/143 interrupted."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// Read this configuration file [env: STARTGUARD_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Microsoft's cloud: global, usgov, usgov-dod or china [env: STARTGUARD_CLOUD]
    #[arg(long, global = true, value_name = "CLOUD", value_parser = plain)]
    pub(super) cloud: Option<String>,
    /// Graph's origin, without a path; http for loopback addresses only [env: STARTGUARD_GRAPH_ENDPOINT]
    #[arg(long, global = true, value_name = "URL", value_parser = plain)]
    pub(super) graph_endpoint: Option<String>,
    /// Credential: auto, environment, client-secret, client-certificate, workload-identity,
    /// managed-identity, azure-cli or token [env: STARTGUARD_AUTH]
    #[arg(long, global = true, value_name = "KIND", value_parser = plain)]
    pub(super) auth: Option<String>,
    /// The store that all who start these jobs share: sqlite:PATH or postgres://... [env: STARTGUARD_STORE]
    #[arg(long, global = true, value_name = "URL", value_parser = plain)]
    pub(super) store: Option<String>,
    /// What standard output carries [env: STARTGUARD_OUTPUT]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    pub(super) output: Option<OutputArg>,
    /// Log more (repeat for more still) [env: STARTGUARD_LOG, a filter such as `debug`]
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// How log lines look [env: STARTGUARD_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(super) log_format: Option<OutputArg>,
}

/// `text` or `json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputArg {
    /// For people
    Text,
    /// For programs: one JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Start(StartArgs),
    Status(StatusArgs),
    List(ListArgs),
    History(HistoryArgs),
    Hold(HoldArgs),
    Release(ReleaseArgs),
    Reset(ResetArgs),
    /// Check configuration, store, credential, permissions, reachability and clock
    ///
    /// Every line that is not well says what to do about it.
    Doctor,
    Store(StoreArgs),
    Emulator(EmulatorArgs),
    /// Run the main job end to end against an emulator inside the process
    ///
    /// Uses a ledger in a temporary folder and no credential; nothing outside the process is
    /// touched. Ends with 0 only if every expectation held.
    Demo,
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// One job on the command line, as typed.
pub(super) const JOB_HELP: &str = "\
A job: a name from the configuration, SERVICE_PRINCIPAL/JOB_ID, or SERVICE_PRINCIPAL alone when it \
has exactly one job. SERVICE_PRINCIPAL is an object id, appid:GUID or a display name";

/// A time span such as `10m`, `90s` or `1h 30m`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    if text == "0" {
        // Nothing is nothing in every unit.
        return Ok(Duration::ZERO);
    }
    config::parse_duration(text).map_err(|error| format!("{error}; {}", error.remedy()))
}

/// Longest note kept in the journal, in characters: some sentences.
const LONGEST_NOTE: usize = 1_000;

/// Text that a person gives a reason in.
pub(super) fn note(text: &str) -> Result<String, String> {
    let text = plain(text)?;
    if text.trim().is_empty() {
        return Err("it is empty; say why in some words".to_owned());
    }
    match text.chars().count() {
        0..=LONGEST_NOTE => Ok(text),
        long => Err(format!("it has {long} characters; at most {LONGEST_NOTE} are kept")),
    }
}

/// Text without anything hidden in it.
pub(super) fn plain(text: &str) -> Result<String, String> {
    match text.chars().find(|c| is_hidden(*c)) {
        None => Ok(text.to_owned()),
        Some(found) => Err(format!(
            "it contains the hidden character {}; leave it out",
            found.escape_unicode()
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(span("0"), Ok(Duration::ZERO));
        for wrong in ["", "10", "ten", "-5m", "99999y"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn notes_are_short_and_have_nothing_hidden() {
        assert_eq!(note("after the repair"), Ok("after the repair".to_owned()));
        for wrong in ["", "  ", "a\u{1b}[2J", "a\nb", "a\u{202e}b", &"x".repeat(1_001)] {
            assert!(note(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn wait_takes_a_span_only_with_an_equals_sign() {
        let parse = |line: &[&str]| match Cli::try_parse_from(line).map(|cli| cli.command) {
            Ok(Command::Start(start)) => (start.wait, start.jobs),
            other => panic!("{other:?}"),
        };
        let minutes = |n: u64| Some(Duration::from_secs(60 * n));
        let job = vec!["workday".to_owned()];
        assert_eq!(
            parse(&["startguard", "start", "--wait", "workday"]),
            (minutes(10), job.clone())
        );
        assert_eq!(parse(&["startguard", "start", "--wait=2m", "workday"]), (minutes(2), job));
    }
}
