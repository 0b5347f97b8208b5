//! The real program over a store and a Graph.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use super::SP;

/// How the program is run: for whom, over which store, against which Graph.
#[derive(Debug, Clone)]
pub(super) struct Program {
    home: PathBuf,
    store: String,
    graph: String,
}

/// Where the ledger is, below home: in folders that the program must make, one in the other, as on a
/// machine on which it never ran.
const LEDGER: &str = ".local/state/startguard/ledger.db";

impl Program {
    /// Over a ledger below `home`.
    pub(super) fn over_a_ledger(home: &Path, graph: &str) -> Self {
        let store = format!("sqlite:{}", home.join(LEDGER).display());
        Self::over(store, home, graph)
    }

    pub(super) fn over(store: String, home: &Path, graph: &str) -> Self {
        Self { home: home.to_owned(), store, graph: graph.to_owned() }
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.home.join(LEDGER)
    }

    /// A command, run by others: `before` comes before it.
    pub(super) fn command(&self, before: &[String], arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_startguard");
        let mut command = match before.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(arguments);
        self.set_up(&mut command);
        command
    }

    /// What the program finds around it.
    pub(super) fn set_up(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.home)
            .env("USER", "tester")
            .env("STARTGUARD_TOKEN", "a-token")
            .env("STARTGUARD_AUTH", "token")
            .env("STARTGUARD_GRAPH_ENDPOINT", &self.graph)
            .env("STARTGUARD_STORE", &self.store)
            .env("STARTGUARD_OUTPUT", "json")
            // Longer than any run: a recording is cut and judged for minutes.
            .env("STARTGUARD_GUARD_COOLDOWN", "1h")
            // Many jobs, one tenant, no time to wait.
            .env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "1000000")
            .env("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "1000")
            .env("STARTGUARD_GRAPH_BURST", "1000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    pub(super) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(&[], arguments).spawn().expect("the program runs")
    }

    /// Runs it to its end. Blocks.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(&[], arguments).output().expect("the program runs")
    }
}

/// A folder for a home. In memory where there is a place for it: what a flush is worth is for the
/// model of the disk to say, and a real one takes its time.
pub(super) fn home() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = tempfile::Builder::new().prefix("sg-crash-").tempdir_in(in_memory);
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// A job as the command line names it.
pub(super) fn named(job: &str) -> String {
    format!("{SP}/{job}")
}

/// The lines of JSON that a run printed.
pub(super) fn lines(output: &[u8]) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(output);
    let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {text}"));
    text.lines().map(line).collect()
}

/// The first answer that a run printed.
pub(super) fn answer(output: &Output) -> serde_json::Value {
    lines(&output.stdout).into_iter().next().unwrap_or_else(|| panic!("no answer: {output:?}"))
}
