//! A store in memory, for tests and for programs that need no memory beyond their own life.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    audit::{Audit, StoredEntry},
    chain::{Chain, Link},
    fault::Fault,
    text,
};
use crate::{
    decide::Receipt,
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{
        self, Change, Clock, Commit, Contents, Filled, Finding, Snapshot, Store, StoreError,
        StoreReport, StoredLink, StoredTenant, Version, Versioned,
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
    journal: Vec<(String, Link)>,
}

#[derive(Debug, Clone)]
struct StoredJob {
    version: Version,
    record: String,
    chain: Chain,
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
        let newest = self.journal.last().map(|(_, link)| text::timestamp(link.at)).transpose()?;
        Ok(Snapshot { job, tenant: self.tenant(tenant)?, as_of, latest_entry: newest })
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
            let mut chain = stored.map(|stored| stored.chain.clone()).unwrap_or_default();
            for entry in write.entries {
                links.push((key.clone(), chain.append(&key, entry, now.at)?));
            }
            let record = text::seal(format_args!("the record of {key}"), &write.record)?;
            let version = Version(write.expected.0.saturating_add(1));
            job = Some((key, StoredJob { version, record, chain }));
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

    fn fill(&mut self, contents: &Contents) -> Filled {
        if !(self.jobs.is_empty() && self.tenants.is_empty() && self.journal.is_empty()) {
            return Filled::InUse;
        }
        for job in &contents.jobs {
            let chain = Chain { entries: job.entries, head: job.head.clone() };
            let stored = StoredJob { version: job.version, record: job.record.clone(), chain };
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
        Filled::Yes
    }

    /// Entries with their place in the journal, newest first.
    fn newest_first(&self) -> impl Iterator<Item = (u64, &(String, Link))> {
        (1..).zip(&self.journal).collect::<Vec<_>>().into_iter().rev()
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
        for (seq, (job, link)) in (1..).zip(&self.journal) {
            audit.entry(&StoredEntry {
                seq,
                job,
                index: link.index,
                at: link.at,
                body: &link.body,
                hash: &link.hash.0,
            });
        }
        for (job, stored) in &self.jobs {
            audit.head(job, &stored.chain);
        }
        audit.finish(u64::try_from(self.journal.len()).ok())
    }
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
        Ok(self.state().fill(contents))
    }

    fn describe(&self) -> String {
        NAME.to_owned()
    }
}
