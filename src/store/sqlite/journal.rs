//! Reading the journal: newest entries first, or all of it to check it.

use rusqlite::named_params;

use super::{
    ledger::{Ledger, count},
    worker::Gone,
};
use crate::{
    model::{HistoryQuery, JobKey, JournalEntry, JournalHash, Verification},
    store::{
        audit::{Audit, StoredEntry},
        chain::Chain,
        fault::Fault,
        text,
    },
};

/// After so many rows a scan looks whether anyone still waits for it: a millisecond's work or two.
const LOOK_UP_EVERY: u64 = 256;

/// Entries of one job, or of all, newest first. Two statements, so that each is planned with the
/// index that serves it.
const OF_ONE_JOB: &str = "
    SELECT seq, body, hash FROM journal WHERE job = :job AND at >= :since
    ORDER BY place DESC LIMIT :limit";
const OF_ALL: &str = "
    SELECT seq, body, hash FROM journal WHERE :job IS NULL AND at >= :since
    ORDER BY seq DESC LIMIT :limit";

/// Reads entries.
pub(super) fn history(
    ledger: &Ledger,
    query: &HistoryQuery,
    gone: Gone<'_>,
) -> Result<Vec<JournalEntry>, Fault> {
    let job = query.job.as_ref().map(JobKey::store_key);
    let mut statement =
        ledger.connection.prepare_cached(if job.is_some() { OF_ONE_JOB } else { OF_ALL })?;
    let mut rows = statement.query(named_params! {
        ":job": job,
        ":since": query.since.map_or(Ok(i64::MIN), text::nanoseconds)?,
        // Negative: no limit.
        ":limit": query.limit.map_or(-1, i64::from),
    })?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = count(row.get(0)?)?;
        entries.push(text::read_entry(seq, row.get_ref(1)?.as_str()?, row.get(2)?)?);
        if entries.len().is_multiple_of(256) && gone() {
            break;
        }
    }
    Ok(entries)
}

/// Checks every chain, in one read transaction: what others write meanwhile is not in it.
pub(super) fn verify(ledger: &mut Ledger, gone: Gone<'_>) -> Result<Verification, Fault> {
    let transaction = ledger.connection.transaction()?;
    let mut audit = Audit::gapless();
    let mut checkpoints =
        transaction.prepare("SELECT key, checkpoint FROM jobs WHERE checkpoint IS NOT NULL")?;
    let mut rows = checkpoints.query([])?;
    while let Some(row) = rows.next()? {
        audit.checkpoint(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
    }
    let mut entries =
        transaction.prepare("SELECT seq, job, place, at, body, hash FROM journal ORDER BY seq")?;
    let mut rows = entries.query([])?;
    let mut read = 0_u64;
    while let Some(row) = rows.next()? {
        audit.entry(&StoredEntry {
            seq: count(row.get(0)?)?,
            job: row.get_ref(1)?.as_str()?,
            index: count(row.get(2)?)?,
            at: row.get(3)?,
            body: row.get_ref(4)?.as_str()?,
            hash: row.get_ref(5)?.as_str()?,
        });
        read = read.saturating_add(1);
        if read.is_multiple_of(LOOK_UP_EVERY) && gone() {
            return Err(Fault::new("was asked for something nobody waits for", "ask again"));
        }
    }
    let mut heads =
        transaction.prepare("SELECT key, entries, head, record FROM jobs ORDER BY key")?;
    let mut rows = heads.query([])?;
    while let Some(row) = rows.next()? {
        let end = Chain { entries: count(row.get(1)?)?, head: JournalHash(row.get(2)?) };
        audit.head(row.get_ref(0)?.as_str()?, &end, row.get_ref(3)?.as_str()?);
    }
    // The last number that AUTOINCREMENT gave out. A ledger without any entry has no such row.
    let mut issued = transaction.prepare("SELECT seq FROM sqlite_sequence WHERE name='journal'")?;
    let mut rows = issued.query([])?;
    let issued = match rows.next()? {
        None => 0,
        Some(row) => count(row.get(0)?)?,
    };
    Ok(audit.finish(Some(issued)))
}
