//! The whole binary against the emulator, as its users meet it: what it prints on both streams, how
//! it ends, what it cost at Graph and what it left in the ledger.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails in a helper fails its test")]

mod canary;
mod doctor;
mod full_disk;
mod history;
mod hostile;
mod list;
mod naming;
mod operate;
mod output;
mod peers;
mod reference;
mod scrub;
mod several;
mod signals;
mod start;
mod start_faults;
mod status;
mod store;
mod usage;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rusqlite::types::Value as Cell;
use serde_json::Value;
use startguard::emulator::{Emulator, EmulatorBuilder, JobConfig};

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// How `SERVICE_PRINCIPAL/JOB_ID` is typed.
fn job(id: &str) -> String {
    format!("{SP}/{id}")
}

/// A home with a ledger, and how to run the binary in it.
struct Host {
    home: tempfile::TempDir,
    graph: String,
}

impl Host {
    fn new(graph: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), graph: graph.to_owned() }
    }

    fn ledger(&self) -> PathBuf {
        self.home.path().join("state/ledger.db")
    }

    /// The binary with these arguments, and nothing of this process's environment.
    fn call(&self, args: &[&str]) -> Call {
        let mut command = Command::new(env!("CARGO_BIN_EXE_startguard"));
        command
            .env_clear()
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("USER", "tester")
            .env("TZ", "UTC")
            .env("STARTGUARD_TOKEN", "a-token-of-the-tests")
            .env("STARTGUARD_AUTH", "token")
            .env("STARTGUARD_GRAPH_ENDPOINT", &self.graph)
            .env("STARTGUARD_STORE", format!("sqlite:{}", self.ledger().display()))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Call { command, home: self.home.path().display().to_string(), graph: self.graph.clone() }
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.call(args).run().await
    }

    async fn json(&self, args: &[&str]) -> Ran {
        self.call(args).env("STARTGUARD_OUTPUT", "json").run().await
    }

    /// Writes `startguard.toml` where the binary looks for it.
    fn configure(&self, text: &str) {
        let folder = self.home.path().join(".config/startguard");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("startguard.toml"), text).unwrap();
    }

    /// Every row of the ledger, as text; none while there is no file.
    fn rows(&self) -> Vec<String> {
        if !self.ledger().exists() {
            return Vec::new();
        }
        let ledger = rusqlite::Connection::open(self.ledger()).unwrap();
        let mut rows = Vec::new();
        for table in ["jobs", "tenants", "journal"] {
            let mut all = ledger.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
            let columns = all.column_count();
            let found = all.query_map([], |row| {
                (0..columns).map(|at| row.get(at)).collect::<Result<Vec<Cell>, _>>()
            });
            rows.extend(found.unwrap().map(|row| format!("{table}: {:?}", row.unwrap())));
        }
        rows
    }

    /// Runs SQL on the ledger, as somebody would who tampers with it.
    fn tamper(&self, sql: &str) {
        rusqlite::Connection::open(self.ledger()).unwrap().execute_batch(sql).unwrap();
    }

    /// Gives every job's record the seal of what it says now.
    fn reseal(&self) {
        let ledger = rusqlite::Connection::open(self.ledger()).unwrap();
        let mut records = ledger.prepare("SELECT key, record FROM jobs").unwrap();
        let rows = records.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let rows: Vec<(String, String)> = rows.map(Result::unwrap).collect();
        for (key, record) in rows {
            let json = record.split_once(' ').unwrap().1;
            let sealed =
                format!("{} {json}", startguard::model::JournalHash::genesis().of_next(json));
            ledger.execute("UPDATE jobs SET record = ?2 WHERE key = ?1", (key, sealed)).unwrap();
        }
    }
}

/// One call of the binary before it is made.
struct Call {
    command: Command,
    home: String,
    graph: String,
}

impl Call {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// No repeats of reads, so that each fault is met once.
    fn patient_never(self) -> Self {
        self.env("STARTGUARD_GRAPH_READ_RETRIES", "0")
    }

    fn spawn(mut self) -> Running {
        let child = self.command.spawn().unwrap();
        Running { child, home: self.home, graph: self.graph }
    }

    async fn run(self) -> Ran {
        self.spawn().end().await
    }
}

/// A call under way.
struct Running {
    child: Child,
    home: String,
    graph: String,
}

impl Running {
    async fn end(self) -> Ran {
        let Self { child, home, graph } = self;
        let waited = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
        let output = waited.unwrap().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            home,
            graph,
        }
    }
}

/// A call that has ended.
#[must_use]
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    home: String,
    graph: String,
}

impl Ran {
    /// Exit code and both streams, with all that differs from run to run scrubbed.
    fn told(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let mut told = format!("exit {code}\n");
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                told.push_str(&format!("--- {name}\n{stream}"));
            }
        }
        scrub::scrub(&told, &self.home, &self.graph)
    }

    /// Ended so?
    fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard output, an object per line.
    fn lines(&self) -> Vec<Value> {
        let object = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
        };
        self.stdout.lines().map(object).collect()
    }

    /// The one object on standard output.
    fn only(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{self:#?}");
        lines.remove(0)
    }

    /// Outcome and reason of the one answer, as `outcome/reason`.
    fn outcome(&self) -> String {
        outcome(&self.only())
    }
}

fn outcome(answer: &Value) -> String {
    let outcome = answer["outcome"].as_str().unwrap();
    match answer["reason"].as_str() {
        Some(reason) => format!("{outcome}/{reason}"),
        None => outcome.to_owned(),
    }
}

/// Every path of a value with the type that is found there, a line each.
fn shape(value: &Value) -> String {
    fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
        let kind = match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, field, lines);
                }
                return;
            }
            Value::Object(_) => "object".to_owned(),
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(items) => {
                let kinds: std::collections::BTreeSet<&str> = items
                    .iter()
                    .map(|item| if item.is_string() { "string" } else { "other" })
                    .collect();
                format!("[{}]", kinds.into_iter().collect::<Vec<_>>().join(" "))
            }
        };
        lines.push(format!("{path}: {kind}"));
    }
    let mut lines = Vec::new();
    walk("", value, &mut lines);
    lines.join("\n")
}

/// What a call cost at Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    requests: u64,
    starts: u64,
}

const NOTHING: Cost = Cost { requests: 0, starts: 0 };
const ONE_READ: Cost = Cost { requests: 1, starts: 0 };
const A_START: Cost = Cost { requests: 2, starts: 1 };

/// An emulator and a host that asks it.
struct Desk {
    emulator: Emulator,
    host: Host,
}

impl Desk {
    async fn with(job: JobConfig) -> Self {
        Self::of(Emulator::builder().job(SP, job)).await
    }

    /// A job `job` that is Paused.
    async fn paused() -> Self {
        Self::with(JobConfig::new("job", "Paused")).await
    }

    async fn of(builder: EmulatorBuilder) -> Self {
        let emulator = builder.start().await.unwrap();
        let host = Host::new(emulator.base_url());
        Self { emulator, host }
    }

    fn call(&self, args: &[&str]) -> Call {
        self.host.call(args)
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.host.run(args).await
    }

    async fn json(&self, args: &[&str]) -> Ran {
        self.host.json(args).await
    }

    /// What was asked of Graph since this was last called. No start may have broken the rule.
    fn cost(&self) -> Cost {
        let counts = self.emulator.counts();
        assert_eq!(counts.violations, 0, "{:?}", counts.violation_log);
        self.emulator.forget_counts();
        Cost { requests: counts.graph_requests, starts: counts.starts }
    }
}

/// Waits until `level` holds. A level, not an event: nothing is missed between two looks.
async fn until(what: &str, level: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let reached = async {
        while !level() {
            looks.tick().await;
        }
    };
    let limit = Duration::from_secs(30);
    assert!(tokio::time::timeout(limit, reached).await.is_ok(), "never came: {what}");
}
