//! The command line: what was typed, what it means, and how the answer is told.

mod args;
mod check;
mod commands;
mod compose;
mod exit;
mod failure;
mod names;
mod render;
mod signals;
mod ui;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

pub use exit::Exit;

use self::{
    args::{Cli, Command, Global, OutputArg},
    compose::Program,
    failure::Failure,
    signals::Signals,
    ui::{Output, Ui},
};
use crate::{
    config::{Environment, Flags},
    model::{is_hidden, printable},
    telemetry::{self, LogFormat},
};

/// Runs the program with the process's arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&typed) {
        Ok(cli) => run(cli).into(),
        Err(error) => ExitCode::from(tell_usage(&error, &typed).0),
    }
}

/// The parser, for what is generated from it: completions, man pages, docs/cli.md.
#[must_use]
pub fn parser() -> clap::Command {
    Cli::command()
}

/// The parser repeats what was typed; nobody reads further than this.
const LONGEST_LINE: usize = 500;

/// Help and version are answers; everything else that the parser stops at is wrong usage.
fn tell_usage(error: &clap::Error, typed: &[OsString]) -> Exit {
    let hostile = typed
        .iter()
        .any(|word| word.len() > LONGEST_LINE || word.to_string_lossy().contains(is_hidden));
    if hostile {
        // The parser repeats what was typed; none of it may reach the terminal as it is.
        let text = error.render().to_string();
        for line in text.lines() {
            let shown: String = line.chars().take(LONGEST_LINE).collect();
            ui::say(&printable(&shown));
        }
    } else if let Err(unprinted) = error.print()
        && let Some(failure) = Failure::output(&unprinted)
    {
        ui::complain(&failure);
        return failure.exit;
    }
    if error.use_stderr() { Exit::USAGE } else { Exit::OK }
}

fn run(cli: Cli) -> Exit {
    match prepare(&cli.global).and_then(|(ui, environment)| dispatch(cli, ui, environment)) {
        Ok(exit) => exit,
        Err(failure) => {
            ui::complain(&failure);
            failure.exit
        }
    }
}

/// What every command needs before it begins: the environment, where to print, where to log.
fn prepare(global: &Global) -> Result<(Ui, Environment), Failure> {
    let environment = Environment::from_process().map_err(|error| Failure {
        exit: Exit::USAGE,
        ..Failure::failed(&error, error.remedy())
    })?;
    let chosen = |flag: Option<OutputArg>, variable: &str| match (flag, environment.get(variable)) {
        (Some(flag), _) => Ok(flag),
        (None, None) => Ok(OutputArg::Text),
        (None, Some(text)) if text.eq_ignore_ascii_case("text") => Ok(OutputArg::Text),
        (None, Some(text)) if text.eq_ignore_ascii_case("json") => Ok(OutputArg::Json),
        (None, Some(text)) => Err(Failure::usage(
            format!("{variable} is {text:?}, which is no format"),
            format!("set {variable} to text or json"),
        )),
    };
    let output = match chosen(global.output, "STARTGUARD_OUTPUT")? {
        OutputArg::Text => Output::Text,
        OutputArg::Json => Output::Json,
    };
    let format = match chosen(global.log_format, "STARTGUARD_LOG_FORMAT")? {
        OutputArg::Text => LogFormat::Text,
        OutputArg::Json => LogFormat::Json,
    };
    let filter = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => environment.get("STARTGUARD_LOG").unwrap_or("warn"),
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    telemetry::init(filter, format).map_err(|error| {
        Failure::usage(
            failure::chain(&error),
            "set STARTGUARD_LOG to error, warn, info, debug or trace",
        )
    })?;
    Ok((Ui::new(output, global.quiet), environment))
}

fn dispatch(cli: Cli, ui: Ui, environment: Environment) -> Result<Exit, Failure> {
    // These two need neither configuration nor a runtime.
    match &cli.command {
        Command::Completions(args) => return commands::completions::run(args, ui),
        Command::Man(args) => return commands::man::run(args, ui),
        Command::Start(_)
        | Command::Status(_)
        | Command::List(_)
        | Command::History(_)
        | Command::Hold(_)
        | Command::Release(_)
        | Command::Reset(_)
        | Command::Doctor
        | Command::Store(_)
        | Command::Emulator(_)
        | Command::Demo => {}
    }
    // One thread: a start waits for two answers and a disk, and threads cost a short-lived process
    // more than they give it. The ledger has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(&error, "raise this process's limits (`ulimit -a`)"))?;
    let exit = runtime.block_on(async {
        let signals = Signals::listen()
            .map_err(|error| Failure::failed(&error, "report this as a defect"))?;
        let flags = flags(&cli.global);
        let program = Program::new(ui, flags, environment, signals.stop());
        let writes = writes_to_the_journal(&cli.command);
        let exit = command(cli.command, &program).await;
        if writes && matches!(exit, Ok(Exit::OK)) && signals.received().is_none() {
            program.tidy().await;
        }
        // A signal decides the exit code, whatever else was answered meanwhile.
        match (signals.received(), exit) {
            (Some(signal), Ok(_)) => Ok(signal),
            (Some(signal), Err(failure)) => Err(Failure { exit: signal, ..failure }),
            (None, exit) => exit,
        }
    });
    // Threads of the ledger may wait for a lock that another process holds; nobody waits for them.
    runtime.shutdown_background();
    exit
}

fn flags(global: &Global) -> Flags {
    Flags {
        config: global.config.clone(),
        cloud: global.cloud.clone(),
        graph_endpoint: global.graph_endpoint.clone(),
        auth: global.auth.clone(),
        store: global.store.clone(),
    }
}

/// Who adds to the journal also removes from it what is past its time.
fn writes_to_the_journal(command: &Command) -> bool {
    match command {
        Command::Start(args) => !args.dry_run,
        Command::Hold(_) | Command::Release(_) | Command::Reset(_) => true,
        Command::Status(_)
        | Command::List(_)
        | Command::History(_)
        | Command::Doctor
        | Command::Store(_)
        | Command::Emulator(_)
        | Command::Demo
        | Command::Completions(_)
        | Command::Man(_) => false,
    }
}

async fn command(command: Command, program: &Program) -> Result<Exit, Failure> {
    match command {
        // The guard itself ends cleanly where it is told to stop: between requests.
        Command::Start(args) => commands::start::run(args, program).await,
        Command::Status(args) => program.or_stopped(commands::status::run(args, program)).await,
        Command::List(args) => program.or_stopped(commands::list::run(args, program)).await,
        Command::History(args) => program.or_stopped(commands::history::run(args, program)).await,
        Command::Hold(args) => program.or_stopped(commands::hold::run(args, program)).await,
        Command::Release(args) => program.or_stopped(commands::release::run(args, program)).await,
        Command::Reset(args) => program.or_stopped(commands::reset::run(args, program)).await,
        Command::Doctor => program.or_stopped(commands::doctor::run(program)).await,
        Command::Store(args) => program.or_stopped(commands::store::run(args, program)).await,
        Command::Emulator(args) => commands::emulator::run(args, program).await,
        Command::Demo => program.or_stopped(commands::demo::run(program)).await,
        Command::Completions(args) => commands::completions::run(&args, program.ui),
        Command::Man(args) => commands::man::run(&args, program.ui),
    }
}
