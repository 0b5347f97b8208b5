//! The `startguard` program: start-up only.

use std::process::ExitCode;

fn main() -> ExitCode {
    startguard::cli::main()
}
