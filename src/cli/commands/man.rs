//! `startguard man`.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};

use crate::cli::{Exit, args::Cli, failure::Failure, ui::Ui};

/// Print the man page, or write all of them into a folder
///
/// `startguard man | man -l -` shows it; `startguard man --dir /usr/local/share/man/man1` installs
/// a page per command.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// Write a page per command into this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &ManArgs, ui: Ui) -> Result<Exit, Failure> {
    let command = Cli::command().disable_help_subcommand(true);
    match &args.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(|error| unwritten(&error))?;
            ui.text(&String::from_utf8_lossy(&page))?;
        }
        Some(dir) => write_pages(command, dir).map_err(|error| unwritten(&error))?,
    }
    Ok(Exit::OK)
}

fn write_pages(command: Command, dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command, dir)
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure {
        exit: Exit::FAILED,
        message: format!("the man pages could not be written: {error}"),
        remedy: Some("name a folder that you may write to".to_owned()),
    }
}
