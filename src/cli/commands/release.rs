//! `startguard release`.

use clap::Args;

use super::hold::{find, tell};
use crate::cli::{Exit, args::JOB_HELP, compose::Program, failure::Failure};

/// Lift a hold
///
/// Journalled. A job that is not on hold is left as it is.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReleaseArgs {
    #[arg(value_name = "JOB", help = JOB_HELP)]
    job: String,
}

pub(in crate::cli) async fn run(args: ReleaseArgs, program: &Program) -> Result<Exit, Failure> {
    let (session, found) = find(program, &args.job).await?;
    let done = session.guard.release(&found.job, &session.actor).await?;
    tell(program.ui, &session, &found, &done)
}
