//! One host: a home of its own, and processes that ask for starts again and again.

use std::{
    collections::BTreeMap,
    io::Read as _,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Chance, JOBS, SP, job_name};

/// Processes that a host runs at once.
pub(crate) const RUNNERS: usize = 2;

/// A host, and what its processes answered.
pub(crate) struct Host {
    home: tempfile::TempDir,
    number: usize,
    /// What stands before the program, to run it on this host.
    prefix: Vec<String>,
    settings: Vec<(&'static str, String)>,
    running: [Mutex<Option<Child>>; RUNNERS],
    answers: Mutex<BTreeMap<String, u32>>,
}

impl Host {
    pub(crate) fn new(
        number: usize,
        prefix: Vec<String>,
        settings: Vec<(&'static str, String)>,
    ) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let running = std::array::from_fn(|_| Mutex::new(None));
        Self { home, number, prefix, settings, running, answers: Mutex::default() }
    }

    fn command(&self, args: &[String]) -> Command {
        let program = env!("CARGO_BIN_EXE_startguard").to_owned();
        let words: Vec<_> = self.prefix.iter().chain([&program]).chain(args).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            // For `ip`, in front.
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home.path())
            .env("USER", format!("tester{}", self.number))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Asks for three jobs at a time, until told to stop.
    pub(crate) fn ask_on(&self, runner: usize, mut chance: Chance, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let first = chance.below(JOBS);
            let jobs = (first..first + 3).map(|job| format!("{SP}/{}", job_name(job % JOBS)));
            let args: Vec<_> = ["start".to_owned()].into_iter().chain(jobs).collect();
            let mut child = self.command(&args).spawn().expect("the binary runs");
            let mut stdout = child.stdout.take().expect("piped");
            let slot = &self.running[runner];
            *slot.lock().expect("unpoisoned") = Some(child);
            // Ends when the process does. It is not waited for yet, so its id stays its own.
            let mut said = String::new();
            stdout.read_to_string(&mut said).expect("text");
            let ended = slot.lock().expect("unpoisoned").take().expect("it is there").wait();
            self.note(&said, ended.expect("a status").code());
            std::thread::park_timeout(chance.within(Duration::from_millis(700)));
        }
    }

    fn note(&self, said: &str, code: Option<i32>) {
        let mut answers = self.answers.lock().expect("unpoisoned");
        for line in said.lines() {
            let answer: serde_json::Value = serde_json::from_str(line).expect("an answer");
            let of = |name: &str| answer[name].as_str().unwrap_or("-").to_owned();
            *answers.entry(format!("{} {}", of("outcome"), of("reason"))).or_default() += 1;
        }
        let code = code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"));
        *answers.entry(code).or_default() += 1;
    }

    /// Whether a process has begun and not ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.iter().any(|slot| slot.lock().expect("unpoisoned").is_some())
    }

    /// Signals the processes that run now.
    pub(crate) fn signal(&self, signal: Signal) {
        for slot in &self.running {
            if let Some(child) = &*slot.lock().expect("unpoisoned") {
                // It may have ended; until it is waited for, nobody else has its id.
                kill_process(Pid::from_child(child), signal).expect("signalled");
            }
        }
    }

    /// What was answered how often, and how processes ended.
    pub(crate) fn answers(&self) -> BTreeMap<String, u32> {
        self.answers.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for slot in &mut self.running {
            let left = slot.get_mut().ok().and_then(Option::take);
            if let Some(mut child) = left {
                child.kill().ok();
                child.wait().ok();
            }
        }
    }
}
