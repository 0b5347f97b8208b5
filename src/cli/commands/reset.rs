//! `startguard reset`.

use clap::Args;

use super::hold::{find, tell};
use crate::cli::{
    Exit,
    args::{JOB_HELP, note},
    compose::Program,
    failure::Failure,
};

/// Give a job its start budget back
///
/// Never the cool-down, a hold or the journal. Journalled itself.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResetArgs {
    #[arg(value_name = "JOB", help = JOB_HELP)]
    job: String,
    /// Why; kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = note)]
    reason: String,
}

pub(in crate::cli) async fn run(args: ResetArgs, program: &Program) -> Result<Exit, Failure> {
    let (session, found) = find(program, &args.job).await?;
    let done = session.guard.reset(&found.job, &session.actor, &args.reason).await?;
    tell(program.ui, &session, &found, &done)
}
