//! A store in memory, for tests and for programs that need no memory beyond their own life.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    audit::{Audit, StoredEntry},
    chain::{Chain, Link, written_at},
    checkpoint::Checkpoint,
    fault::Fault,
    prune, text,
};
use crate::{
    decide::Receipt,
    model::{
        HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Timestamp,
        Verification,
    },
    ports::{
        self, Change, Clock, Commit, Contents, Filled, Finding, Pruned, Snapshot, Store,
        StoreError, StoreReport, StoredLink, StoredTenant, Version, Versioned,
    },
};

const NAME: &str = "memory:";

/// A store that lives as long as its last handle; clones share it.
///
/// It keeps the same texts under the same rules as the durable stores, so what holds here of
/// versions and chains holds there.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, StoredJob>,
    tenants: BTreeMap<String, (Version, String)>,
    /// So many entries were pruned before those of the journal.
    pruned: u64,
    journal: Vec<(String, Link)>,
}

#[derive(Debug, Clone)]
struct StoredJob {
    version: Version,
    record: String,
    chain: Chain,
    checkpoint: Option<String>,
}

impl MemoryStore {
    /// An empty store that tells the time by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A change is put together before the first value is replaced, so a panic elsewhere cannot
        // have left it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment { at: self.clock.wall(), boot: self.clock.boot() }
    }
}

impl State {
    fn tenant(&self, key: &TenantKey) -> Result<Versioned<TenantRecord>, Fault> {
        match self.tenants.get(key.as_str()) {
            None => Ok(Versioned::default()),
            Some((version, record)) => {
                let record = text::unseal(format_args!("the record of tenant {key}"), record)?;
                Ok(Versioned { record, version: *version })
            }
        }
    }

    fn load(&self, key: &JobKey, tenant: &TenantKey, as_of: Moment) -> Result<Snapshot, Fault> {
        let job = match self.jobs.get(&key.store_key()) {
            None => Versioned::default(),
            Some(stored) => {
                let record = text::unseal(format_args!("the record of {key}"), &stored.record)?;
                Versioned { record, version: stored.version }
            }
        };
        let latest_entry = self.latest_entry()?;
        Ok(Snapshot { job, tenant: self.tenant(tenant)?, as_of, latest_entry })
    }

    fn latest_entry(&self) -> Result<Option<Timestamp>, Fault> {
        self.journal.last().map(|(_, link)| text::timestamp(link.at)).transpose()
    }

    fn commit(&mut self, change: Change, now: &Moment) -> Result<Commit, Fault> {
        let attempt = change.attempt();
        let mut links = Vec::new();
        let mut job = None;
        if let Some(write) = change.job {
            let key = write.key.store_key();
            let stored = self.jobs.get(&key);
            if stored.map_or(Version(0), |stored| stored.version) != write.expected {
                return Ok(Commit::Conflict);
            }
            let checkpoint = stored.and_then(|stored| stored.checkpoint.clone());
            let mut chain = stored.map(|stored| stored.chain.clone()).unwrap_or_default();
            let at = written_at(&write.entries, now.at, self.latest_entry()?);
            for entry in write.entries {
                links.push((key.clone(), chain.append(&key, entry, at)?));
            }
            let record = text::seal(format_args!("the record of {key}"), &write.record)?;
            let version = Version(write.expected.0.saturating_add(1));
            job = Some((key, StoredJob { version, record, chain, checkpoint }));
        }
        if let Some(write) = change.tenant {
            let key = write.key.as_str();
            let stored = self.tenants.get(key).map_or(Version(0), |(version, _)| *version);
            if stored != write.expected {
                return Ok(Commit::Conflict);
            }
            let record = text::seal(format_args!("the record of tenant {key}"), &write.record)?;
            let version = Version(write.expected.0.saturating_add(1));
            self.tenants.insert(key.to_owned(), (version, record));
        }
        self.jobs.extend(job);
        self.journal.extend(links);
        Ok(Commit::Done(Receipt::issue(attempt)))
    }

    fn contents(&self, as_of: Moment) -> Contents {
        let jobs = self.jobs.iter().map(|(key, job)| ports::StoredJob {
            key: key.clone(),
            version: job.version,
            record: job.record.clone(),
            entries: job.chain.entries,
            head: job.chain.head.clone(),
            checkpoint: job.checkpoint.clone(),
        });
        let tenants = self.tenants.iter().map(|(key, (version, record))| StoredTenant {
            key: key.clone(),
            version: *version,
            record: record.clone(),
        });
        let journal = self.journal.iter().map(|(job, link)| StoredLink {
            job: job.clone(),
            place: link.index,
            at: link.at,
            body: link.body.clone(),
            hash: link.hash.clone(),
        });
        Contents {
            as_of,
            jobs: jobs.collect(),
            tenants: tenants.collect(),
            journal: journal.collect(),
        }
    }

    fn fill(&mut self, contents: &Contents) -> Result<Filled, Fault> {
        if !(self.jobs.is_empty() && self.tenants.is_empty() && self.journal.is_empty()) {
            return Ok(Filled::InUse);
        }
        for job in &contents.jobs {
            let chain = Chain { entries: job.entries, head: job.head.clone() };
            let (record, checkpoint) = (job.record.clone(), job.checkpoint.clone());
            let pruned = Checkpoint::read(&job.key, checkpoint.as_deref())?.entries;
            self.pruned = self.pruned.saturating_add(pruned);
            let stored = StoredJob { version: job.version, record, chain, checkpoint };
            self.jobs.insert(job.key.clone(), stored);
        }
        for tenant in &contents.tenants {
            self.tenants.insert(tenant.key.clone(), (tenant.version, tenant.record.clone()));
        }
        for link in &contents.journal {
            let (body, hash) = (link.body.clone(), link.hash.clone());
            let kept = Link { index: link.place, at: link.at, body, hash };
            self.journal.push((link.job.clone(), kept));
        }
        Ok(Filled::Yes)
    }

    /// Entries with their place in the journal, newest first.
    fn newest_first(&self) -> impl Iterator<Item = (u64, &(String, Link))> {
        self.numbered().collect::<Vec<_>>().into_iter().rev()
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, &(String, Link))> {
        (self.pruned.saturating_add(1)..).zip(&self.journal)
    }

    fn prune(&mut self, keep: Duration, most: u32, now: &Moment) -> Result<Pruned, Fault> {
        let Some((newest, (_, last))) = self.numbered().last() else {
            return Ok(Pruned::default());
        };
        let cutoff = prune::cutoff(text::nanoseconds(now.at)?, last.at, keep);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let oldest: Vec<_> =
            self.numbered().take(most).map(|(seq, kept)| stored_entry(seq, kept)).collect();
        let mut chains = BTreeMap::new();
        for entry in &oldest {
            let stored = self.jobs.get(entry.job).and_then(|stored| stored.checkpoint.as_deref());
            chains.insert(entry.job.to_owned(), Checkpoint::read(entry.job, stored)?);
        }
        let cut = prune::cut(&oldest, cutoff, newest, chains)?;
        for (job, checkpoint) in cut.checkpoints {
            if let Some(stored) = self.jobs.get_mut(&job) {
                stored.checkpoint = Some(checkpoint);
            }
        }
        self.journal.drain(..cut.seqs.len());
        let entries = u64::try_from(cut.seqs.len()).unwrap_or(u64::MAX);
        self.pruned = self.pruned.saturating_add(entries);
        Ok(Pruned { entries, more: cut.seqs.len() == most })
    }

    fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, Fault> {
        let job = query.job.as_ref().map(JobKey::store_key);
        let since = query.since.map(text::nanoseconds).transpose()?;
        let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0));
        self.newest_first()
            .filter(|(_, (key, _))| job.as_ref().is_none_or(|job| job == key))
            .filter(|(_, (_, link))| since.is_none_or(|since| link.at >= since))
            .take(limit)
            .map(|(seq, (_, link))| text::read_entry(seq, &link.body, link.hash.0.clone()))
            .collect()
    }

    fn verify(&self) -> Verification {
        let mut audit = Audit::gapless();
        for (job, stored) in &self.jobs {
            if let Some(checkpoint) = &stored.checkpoint {
                audit.checkpoint(job, checkpoint);
            }
        }
        for (seq, kept) in self.numbered() {
            audit.entry(&stored_entry(seq, kept));
        }
        for (job, stored) in &self.jobs {
            audit.head(job, &stored.chain, &stored.record);
        }
        let kept = u64::try_from(self.journal.len()).unwrap_or(u64::MAX);
        audit.finish(Some(self.pruned.saturating_add(kept)))
    }
}

fn stored_entry(seq: u64, (job, link): &(String, Link)) -> StoredEntry<'_> {
    StoredEntry { seq, job, index: link.index, at: link.at, body: &link.body, hash: &link.hash.0 }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, StoreError> {
        let state = self.state();
        state.load(job, tenant, self.now()).map_err(|fault| fault.at(NAME))
    }

    async fn load_tenant(
        &self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), StoreError> {
        let state = self.state();
        let record = state.tenant(tenant).map_err(|fault| fault.at(NAME))?;
        Ok((record, self.now()))
    }

    async fn commit(&self, change: Change) -> Result<Commit, StoreError> {
        let mut state = self.state();
        let now = self.now();
        state.commit(change, &now).map_err(|fault| fault.at(NAME))
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.state().history(query).map_err(|fault| fault.at(NAME))
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        Ok(self.state().verify())
    }

    async fn report(&self) -> Result<StoreReport, StoreError> {
        let state = self.state();
        Ok(StoreReport {
            facts: vec![
                ("jobs".to_owned(), state.jobs.len().to_string()),
                ("entries".to_owned(), state.journal.len().to_string()),
            ],
            findings: vec![Finding::grave(
                "it forgets everything when the process ends",
                "use sqlite: or postgres:",
            )],
        })
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        let state = self.state();
        Ok(state.contents(self.now()))
    }

    async fn fill(&self, contents: &Contents) -> Result<Filled, StoreError> {
        self.state().fill(contents).map_err(|fault| fault.at(NAME))
    }

    async fn prune(&self, keep: Duration, most: u32) -> Result<Pruned, StoreError> {
        let mut state = self.state();
        let now = self.now();
        state.prune(keep, most, &now).map_err(|fault| fault.at(NAME))
    }

    /// The hosts of a simulation share one.
    fn many_hosts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        NAME.to_owned()
    }
}
