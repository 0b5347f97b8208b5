//! Doors for fuzzing (feature `testing`): what stores make of rows, whoever wrote them. Nothing is
//! decided here; each door leads to what the adapters themselves call.

use std::collections::BTreeMap;

use super::{
    audit::{Audit, StoredEntry},
    chain::Chain,
    checkpoint::Checkpoint,
    fault::Fault,
    text,
};
use crate::{
    model::{
        JobRecord, JournalEntry, JournalHash, NewEntry, TenantRecord, Timestamp, Verification,
    },
    ports::StoreError,
};

pub use super::sqlite::fuzz::Tables;

/// Everything that a store keeps, as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The journal, in the order of `seq`.
    pub journal: Vec<EntryRow>,
    /// A row per job.
    pub jobs: Vec<JobRow>,
    /// A row per tenant.
    pub tenants: Vec<TenantRow>,
}

/// A row of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the columns are")]
pub struct EntryRow {
    pub seq: i64,
    pub job: String,
    pub place: i64,
    pub at: i64,
    pub body: String,
    pub hash: String,
}

/// A job's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the columns are")]
pub struct JobRow {
    pub key: String,
    pub version: i64,
    pub record: String,
    pub entries: i64,
    pub head: String,
    pub checkpoint: Option<String>,
}

/// A tenant's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the columns are")]
pub struct TenantRow {
    pub key: String,
    pub version: i64,
    pub record: String,
}

pub(super) fn told(fault: Fault) -> StoreError {
    fault.at("fuzz")
}

fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| told(Fault::damaged(format!("counts {number}"))))
}

/// The rows of these entries, written one by one as stores write them.
///
/// # Errors
/// [`StoreError`] where a store could not keep one.
pub fn write(entries: Vec<(NewEntry, Timestamp)>) -> Result<Rows, StoreError> {
    let mut rows = Rows::default();
    let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
    for (entry, at) in entries {
        let job = entry.job.key.store_key();
        let chain = chains.entry(job.clone()).or_default();
        let link = chain.append(&job, entry, at).map_err(told)?;
        let last = rows.journal.last().map_or(0, |row| row.seq);
        rows.journal.push(EntryRow {
            seq: last.saturating_add(1),
            job,
            place: i64::try_from(link.index).unwrap_or(i64::MAX),
            at: link.at,
            body: link.body,
            hash: link.hash.0,
        });
    }
    let record = text::seal("a record", &JobRecord::default()).map_err(told)?;
    rows.jobs = chains
        .into_iter()
        .map(|(key, chain)| JobRow {
            key,
            version: 1,
            record: record.clone(),
            entries: i64::try_from(chain.entries).unwrap_or(i64::MAX),
            head: chain.head.0,
            checkpoint: None,
        })
        .collect();
    Ok(rows)
}

/// What stands for a job's entries up to and with this one, once they are pruned.
///
/// # Errors
/// [`StoreError`] where it cannot be kept.
pub fn checkpoint(last: &EntryRow) -> Result<String, StoreError> {
    let chain = Chain { entries: count(last.place)?, head: JournalHash(last.hash.clone()) };
    Checkpoint::new(&last.job, &chain, last.at).seal().map_err(told)
}

/// Checks the journal, by the rules of a store that numbers entries without gaps or of one whose
/// numbers skip; `issued` is the last number that the former gave out.
///
/// # Errors
/// [`StoreError`] for a number that no store writes.
pub fn verify(rows: &Rows, issued: Option<u64>) -> Result<Verification, StoreError> {
    let mut audit = if issued.is_some() { Audit::gapless() } else { Audit::with_gaps() };
    for job in &rows.jobs {
        if let Some(checkpoint) = &job.checkpoint {
            audit.checkpoint(&job.key, checkpoint);
        }
    }
    for row in &rows.journal {
        audit.entry(&StoredEntry {
            seq: count(row.seq)?,
            job: &row.job,
            index: count(row.place)?,
            at: row.at,
            body: &row.body,
            hash: &row.hash,
        });
    }
    for job in &rows.jobs {
        let end = Chain { entries: count(job.entries)?, head: JournalHash(job.head.clone()) };
        audit.head(&job.key, &end, &job.record);
    }
    Ok(audit.finish(issued))
}

/// A text, sealed as a record is: what somebody could write who may write the store.
#[must_use]
pub fn seal(json: &str) -> String {
    format!("{} {json}", JournalHash::genesis().of_next(json))
}

/// A job's record as stores keep it.
///
/// # Errors
/// [`StoreError`] where it cannot be kept.
pub fn seal_job(record: &JobRecord) -> Result<String, StoreError> {
    text::seal("a record", record).map_err(told)
}

/// A tenant's record as stores keep it.
///
/// # Errors
/// [`StoreError`] where it cannot be kept.
pub fn seal_tenant(record: &TenantRecord) -> Result<String, StoreError> {
    text::seal("a record", record).map_err(told)
}

/// A job's record, read back.
///
/// # Errors
/// [`StoreError`] for what no store of ours wrote.
pub fn job_record(sealed: &str) -> Result<JobRecord, StoreError> {
    text::unseal("a record", sealed).map_err(told)
}

/// A tenant's record, read back.
///
/// # Errors
/// [`StoreError`] for what no store of ours wrote.
pub fn tenant_record(sealed: &str) -> Result<TenantRecord, StoreError> {
    text::unseal("a record", sealed).map_err(told)
}

/// A journal entry, read back.
///
/// # Errors
/// [`StoreError`] for what no store of ours wrote.
pub fn entry(row: &EntryRow) -> Result<JournalEntry, StoreError> {
    text::read_entry(count(row.seq)?, &row.body, row.hash.clone()).map_err(told)
}
