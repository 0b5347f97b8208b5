//! What a crash leaves behind: a power cut, processes that are killed, a database server that is
//! killed. The judge is what the emulator counted, and what the next run of the program says.

#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails its test")]
#![expect(clippy::print_stdout, reason = "figures of a long run")]
#![expect(clippy::disallowed_methods, reason = "tests find their length in the environment")]

mod chance;
mod disk;
mod judge;
mod kills;
mod power;
mod program;
mod recording;
mod scene;
mod server;
mod strace;

/// The service principal of every job here.
const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// A number from the environment: how long a run is to be. Set, nothing may be skipped.
fn told(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}
