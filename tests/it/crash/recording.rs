//! A run of the real program, written down call by call.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use super::{
    disk::{Deed, Disk},
    program::{Program, home as folder, lines, named},
    strace::{self, Event},
};

/// Commands that are run at once; a word each argument.
pub(super) type Step = Vec<Vec<String>>;

/// What programs did to a folder, from what lay there before.
#[derive(Debug)]
pub(super) struct Recording {
    before: Disk,
    pub(super) events: Vec<Event>,
}

/// Which flushes a planted fault makes do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "deaf to something")]
pub(super) enum Deaf {
    /// None: the disk is as good as its word.
    ToNone,
    /// Those of the log, to which commits are written.
    ToTheLog,
    /// Those of the ledger and of its draft.
    ToTheLedger,
    /// Those of folders.
    ToNames,
}

/// What has left the machine, and so must never be forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Owed {
    /// POSTs that Graph may have seen, by job.
    pub(super) posts: BTreeMap<String, usize>,
    /// Attempts whose start somebody was told of.
    pub(super) told: Vec<String>,
}

impl Owed {
    pub(super) fn and(mut self, more: Self) -> Self {
        for (job, posts) in more.posts {
            *self.posts.entry(job).or_default() += posts;
        }
        self.told.extend(more.told);
        self
    }

    pub(super) fn posts_in_all(&self) -> usize {
        self.posts.values().sum()
    }
}

impl Recording {
    /// Runs these steps below `home`, one after the other.
    pub(super) fn of(program: &Program, home: &Path, steps: &[Step]) -> Self {
        let before = Disk::holding(home);
        let beside = folder();
        let (script, log) = (beside.path().join("script"), beside.path().join("log"));
        fs::write(&script, shell(steps)).expect("a script");
        let words = strace::recording(&log);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("sh").arg(&script);
        program.set_up(&mut command);
        let output = command.output().expect("strace runs");
        assert!(output.status.success(), "{output:?}");
        let log = fs::read_to_string(&log).expect("a log");
        let events = strace::read(&log, home);
        let recording = Self { before, events };
        let said: usize = recording.owed(recording.events.len()).told.len();
        let started = lines(&output.stdout).iter().filter(|a| a["outcome"] == "started").count();
        assert_eq!(said, started, "everything that was said was read from the log");
        recording
    }

    /// The disk after so many events.
    pub(super) fn at(&self, point: usize, deaf: Deaf) -> Disk {
        let mut disk = self.before.clone();
        for event in &self.events[..point] {
            match event {
                Event::Folder(Deed::Flush { path, .. }) if deaf.hears_not(path, &disk) => {
                    disk.pass();
                }
                Event::Folder(deed) => disk.apply(deed),
                Event::Posted(_) | Event::Said(_) => disk.pass(),
            }
        }
        disk
    }

    /// What has left the machine by then.
    pub(super) fn owed(&self, point: usize) -> Owed {
        let mut owed = Owed::default();
        for event in &self.events[..point] {
            match event {
                Event::Folder(_) => {}
                Event::Posted(job) => *owed.posts.entry(job.clone()).or_default() += 1,
                Event::Said(text) => {
                    let told = lines(text.as_bytes()).into_iter();
                    let started = told.filter(|answer| answer["outcome"] == "started");
                    let attempt =
                        |answer: serde_json::Value| answer["attemptId"].as_str().map(str::to_owned);
                    owed.told.extend(started.filter_map(attempt));
                }
            }
        }
        owed
    }

    /// The events before a point in words, a line each, for whoever looks into a failure.
    pub(super) fn story(&self, point: usize) -> String {
        let word = |(number, event): (usize, &Event)| match event {
            Event::Folder(Deed::Write { path, at, bytes }) => {
                format!("{number} write {} bytes at {at} of {}\n", bytes.len(), path.display())
            }
            Event::Folder(deed) => format!("{number} {deed:?}\n"),
            Event::Posted(job) => format!("{number} POST {job}\n"),
            Event::Said(text) => format!("{number} said {text}"),
        };
        self.events[..point].iter().enumerate().map(word).collect()
    }

    /// How many writes, flushes, and changes of names there are.
    pub(super) fn figures(&self) -> [usize; 3] {
        let count = |which: fn(&Deed) -> bool| {
            let deeds = self.events.iter().filter_map(|event| match event {
                Event::Folder(deed) => Some(deed),
                Event::Posted(_) | Event::Said(_) => None,
            });
            deeds.filter(|deed| which(deed)).count()
        };
        let writes = |deed: &Deed| matches!(deed, Deed::Write { .. } | Deed::Resize { .. });
        let flushes = |deed: &Deed| matches!(deed, Deed::Flush { .. });
        let all = count(|_| true);
        [count(writes), count(flushes), all - count(writes) - count(flushes)]
    }

    /// How often a page of the log was copied into the ledger.
    pub(super) fn pages_copied(&self) -> usize {
        self.written(|path, _| path.ends_with("ledger.db"))
    }

    /// How often the log was begun, for the first time or anew.
    pub(super) fn logs_begun(&self) -> usize {
        self.written(|path, at| path.ends_with("ledger.db-wal") && at == 0)
    }

    fn written(&self, which: impl Fn(&Path, usize) -> bool) -> usize {
        let counts = |event: &&Event| match event {
            Event::Folder(Deed::Write { path, at, .. }) => which(path, *at),
            Event::Folder(_) | Event::Posted(_) | Event::Said(_) => false,
        };
        self.events.iter().filter(counts).count()
    }
}

impl Deaf {
    fn hears_not(self, path: &Path, disk: &Disk) -> bool {
        let log = path.to_string_lossy().ends_with("-wal");
        match self {
            Self::ToNone => false,
            Self::ToTheLog => log,
            Self::ToTheLedger => !log && !disk.is_folder(path),
            Self::ToNames => disk.is_folder(path),
        }
    }
}

/// The steps as a shell runs them.
fn shell(steps: &[Step]) -> String {
    use std::fmt::Write as _;
    let mut script = String::new();
    for step in steps {
        for command in step {
            let program = env!("CARGO_BIN_EXE_startguard");
            let words: Vec<_> = std::iter::once(program)
                .chain(command.iter().map(String::as_str))
                .map(|word| format!("'{word}'"))
                .collect();
            // One after the other where there is nothing beside it.
            let at_once = if step.len() > 1 { " &" } else { "" };
            writeln!(script, "{}{at_once}", words.join(" ")).expect("memory");
        }
        script.push_str("wait\n");
    }
    // An answer other than `started` is an answer, too.
    script.push_str("exit 0\n");
    script
}

/// `start` with these jobs, in one process.
pub(super) fn start(jobs: &[String]) -> Vec<String> {
    std::iter::once("start".to_owned()).chain(jobs.iter().map(|job| named(job))).collect()
}
