//! What is recorded, for power cuts to happen in.

use std::{sync::Arc, time::Duration};

use startguard::{
    clock::SystemClock,
    emulator::Emulator,
    model::{JobId, JobKey, ServicePrincipalId, TenantKey},
    ports::Store as _,
    store::SqliteStore,
};

use super::{
    SP,
    judge::Judge,
    program::{Program, home, named},
    recording::{Recording, Step, start},
};

/// Where the program is when it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// On a machine on which it never ran: it makes folders and ledger. Then an operator's word;
    /// several starts in one process; several processes at once, on jobs of their own and on one
    /// together; a deferral.
    First,
    /// Over a ledger whose log is nearly full, while another process has it open: on the way the log
    /// is copied into the ledger, and begun anew.
    Full,
}

impl Scene {
    pub(super) const ALL: [Self; 2] = [Self::First, Self::Full];

    /// The jobs that it starts.
    pub(super) fn jobs(self) -> Vec<String> {
        let count = match self {
            Self::First => 8,
            Self::Full => 6,
        };
        (1..=count).map(|number| format!("job{number}")).collect()
    }

    fn steps(self, jobs: &[String]) -> Vec<Step> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let job = |number: usize| jobs[number..=number].to_vec();
        let held = named(&jobs[0]);
        match self {
            Self::First => vec![
                vec![start(&job(0))],
                vec![start(&job(1))],
                vec![words(&["hold", &held, "--reason", "look"])],
                vec![start(&jobs[2..5])],
                vec![words(&["release", &held])],
                vec![start(&job(5)), start(&job(6)), start(&job(6))],
                vec![start(&job(7))],
                vec![start(&job(1))],
            ],
            Self::Full => vec![
                vec![start(&job(0))],
                vec![start(&jobs[1..4]), start(&job(4))],
                vec![start(&job(5))],
            ],
        }
    }

    /// A recording of it.
    pub(super) async fn record(self, emulator: &Emulator) -> Recording {
        let home = home();
        let jobs = self.jobs();
        let judge = Judge { emulator, jobs: &jobs };
        judge.pause_all();
        let program = Program::over_a_ledger(home.path(), emulator.base_url());
        let open = match self {
            Self::First => None,
            Self::Full => Some(filled(&program, emulator).await),
        };
        judge.pause_all();
        let steps = self.steps(&jobs);
        let recording =
            tokio::task::block_in_place(|| Recording::of(&program, home.path(), &steps));
        drop(open);
        // Another judge counted as many: nothing was overread.
        let owed = recording.owed(recording.events.len());
        for job in &jobs {
            let seen = usize::try_from(emulator.job(SP, job).starts).expect("few");
            assert_eq!(owed.posts.get(job).copied().unwrap_or_default(), seen, "POSTs of {job}");
            assert_eq!(seen, 1, "{job} was started");
        }
        assert_eq!(emulator.violations(), 0);
        let (copied, begun) = (recording.pages_copied(), recording.logs_begun());
        assert!(self == Self::First || (copied > 5 && begun > 0), "{copied} pages, {begun} logs");
        recording
    }
}

/// Pages of the log after which it is copied into the ledger, as the store sets it.
const LOG: u64 = 256;

/// Bytes of a page in the log.
const PAGE: u64 = 4_120;

/// Fills the log so far that the starts which come after fill it up. The store that comes back has
/// the ledger open: until it closes it, no other process is the last one, which copies the log as it
/// leaves.
async fn filled(program: &Program, emulator: &Emulator) -> SqliteStore {
    let store = SqliteStore::new(&program.ledger(), Arc::new(SystemClock), Duration::from_secs(60));
    let key = JobKey {
        service_principal_id: ServicePrincipalId::parse(SP).expect("a GUID"),
        job_id: JobId::parse("filler1").expect("a job id"),
    };
    let log = program.ledger().with_file_name("ledger.db-wal");
    let mut number = 0;
    while std::fs::metadata(&log).map_or(0, |log| log.len()) < (LOG - 60) * PAGE {
        number += 1;
        let jobs = [format!("filler{number}")];
        Judge { emulator, jobs: &jobs }.pause_all();
        let words = start(&jobs);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = tokio::task::block_in_place(|| program.run(&words));
        assert!(output.status.success() && number < 100, "{output:?}");
        store.load(&key, &TenantKey::new(None, "")).await.expect("a ledger");
    }
    store
}
