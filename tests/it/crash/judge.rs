//! What must be true after a power cut, whatever survived: asked of the real program.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use startguard::{
    clock::SystemClock,
    emulator::{Emulator, JobConfig},
    model::{JobId, JobKey, ServicePrincipalId, TenantKey},
    ports::Store as _,
    store::SqliteStore,
};

use super::{
    SP,
    program::{Program, lines, named},
    recording::Owed,
};

/// Asks the program, against a Graph in which every job is paused.
pub(super) struct Judge<'a> {
    pub(super) emulator: &'a Emulator,
    pub(super) jobs: &'a [String],
}

/// Longest wait for a store on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Judge<'_> {
    /// Somebody paused every job again: only the ledger stands between the next run and a start.
    pub(super) fn pause_all(&self) {
        self.emulator.forget_counts();
        for job in self.jobs {
            self.emulator.set_job(SP, JobConfig::new(job, "Paused"));
        }
    }

    /// Whether what lies below `home` keeps what was promised; if not, what is wrong.
    pub(super) fn judge(&self, home: &Path, owed: &Owed) -> Result<(), String> {
        let program = Program::over_a_ledger(home, self.emulator.base_url());
        self.pause_all();
        // The next run reads the ledger, and starts nothing that may have been started.
        let mut words = vec!["start".to_owned()];
        words.extend(self.jobs.iter().map(|job| named(job)));
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = program.run(&words);
        if !matches!(output.status.code(), Some(0 | 4)) {
            return Err(format!("the next start does not understand the ledger: {output:?}"));
        }
        let answers = lines(&output.stdout);
        for (job, answer) in self.jobs.iter().zip(&answers) {
            let sent = owed.posts.get(job).copied().unwrap_or_default();
            let posts = self.emulator.job(SP, job).starts;
            if sent > 0 && (posts > 0 || answer["outcome"] != "deferred") {
                return Err(format!("{job} was started, and again after the cut: {answer}"));
            }
            if (answer["outcome"] == "started") != (posts == 1) || posts > 1 {
                return Err(format!("{job}: {posts} POSTs, and the answer is {answer}"));
            }
        }
        self.journal(&program, owed)
    }

    /// The journal is whole, and has what was sent and told.
    fn journal(&self, program: &Program, owed: &Owed) -> Result<(), String> {
        let verify = program.run(&["history", "--verify"]);
        if !verify.status.success() {
            return Err(format!("the journal is not whole: {verify:?}"));
        }
        let history = program.run(&["history", "--limit", "100000"]);
        let entries = lines(&history.stdout);
        for (job, sent) in &owed.posts {
            let again = self.emulator.job(SP, job).starts;
            let of_job = entries.iter().filter(|entry| entry["job"]["jobId"] == **job);
            let intents = of_job.filter(|entry| entry["kind"] == "intent").count();
            if intents < sent + usize::try_from(again).expect("few") {
                return Err(format!("{job}: {sent} POSTs and {intents} intents"));
            }
        }
        let outcomes = entries.iter().filter(|entry| entry["kind"] == "outcome");
        let recorded: BTreeSet<_> =
            outcomes.filter_map(|entry| entry["attemptId"].as_str()).collect();
        if let Some(lost) = owed.told.iter().find(|told| !recorded.contains(told.as_str())) {
            return Err(format!("somebody was told of attempt {lost}, and no outcome is recorded"));
        }
        Ok(())
    }
}

/// Whether the records below `home` count what was sent against the budgets of the jobs and of the
/// tenant at this origin. Reads them as the program does, in this process.
pub(super) async fn counted(home: &Path, origin: &str, owed: &Owed) -> Result<(), String> {
    let ledger = Program::over_a_ledger(home, origin).ledger();
    let store = SqliteStore::new(&ledger, Arc::new(SystemClock), PATIENCE);
    let tenant = TenantKey::new(None, origin);
    let found = store.load_tenant(&tenant).await;
    let (record, _) = found.map_err(|error| format!("the tenant's record: {error:?}"))?;
    if record.record.starts.len() < owed.posts_in_all() {
        let (starts, posts) = (record.record.starts.len(), owed.posts_in_all());
        return Err(format!("the tenant's record counts {starts} starts, and {posts} were sent"));
    }
    for (job, sent) in &owed.posts {
        let key = JobKey {
            service_principal_id: ServicePrincipalId::parse(SP).expect("a GUID"),
            job_id: JobId::parse(job).expect("a job id"),
        };
        let found = store.load(&key, &tenant).await;
        let record = found.map_err(|error| format!("the record of {job}: {error:?}"))?.job.record;
        let counting = record.starts.iter().filter(|mark| !mark.forgiven).count();
        if counting < *sent {
            return Err(format!("the record of {job} counts {counting} starts, {sent} were sent"));
        }
    }
    Ok(())
}
