//! `startguard completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{Exit, args::Cli, failure::Failure, ui::Ui};

/// Print shell completions
///
/// For bash: `startguard completions bash > /etc/bash_completion.d/startguard`
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(in crate::cli) fn run(args: &CompletionsArgs, ui: Ui) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "startguard", &mut script);
    ui.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}
