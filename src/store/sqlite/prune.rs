//! Removing entries that are past their time.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::ledger::{Ledger, count, number};
use crate::{
    model::Timestamp,
    ports::Pruned,
    store::{audit::StoredEntry, checkpoint::Checkpoint, fault::Fault, prune, text},
};

/// Two looks at the ends of an index.
const ENDS: &str = "
    SELECT (SELECT at FROM journal ORDER BY seq LIMIT 1), seq, at
    FROM journal ORDER BY seq DESC LIMIT 1";

/// Whether anything is due. Takes no lock that a writer would wait for.
pub(super) fn is_due(ledger: &Ledger, keep: Duration, now: Timestamp) -> Result<bool, Fault> {
    let Some(ends) = ends(&ledger.connection)? else { return Ok(false) };
    Ok(ends.oldest_at < prune::cutoff(text::nanoseconds(now)?, ends.newest_at, keep))
}

/// Removes at most `most` entries, and writes what stands for them, in one transaction.
pub(super) fn prune(
    ledger: &mut Ledger,
    keep: Duration,
    most: u32,
    now: impl FnOnce() -> Timestamp,
) -> Result<Pruned, Fault> {
    let transaction =
        ledger.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(ends) = ends(&transaction)? else { return Ok(Pruned::default()) };
    let cutoff = prune::cutoff(text::nanoseconds(now())?, ends.newest_at, keep);
    let oldest = oldest(&transaction, most)?;
    let mut chains = BTreeMap::new();
    for row in &oldest {
        if !chains.contains_key(&row.job) {
            let sealed: Option<String> = transaction
                .prepare_cached("SELECT checkpoint FROM jobs WHERE key = ?1")?
                .query_row([&row.job], |row| row.get(0))
                .optional()?
                .flatten();
            chains.insert(row.job.clone(), Checkpoint::read(&row.job, sealed.as_deref())?);
        }
    }
    let entries: Vec<StoredEntry<'_>> = oldest.iter().map(Row::entry).collect();
    let cut = prune::cut(&entries, cutoff, ends.newest, chains)?;
    for (job, checkpoint) in &cut.checkpoints {
        let written = transaction
            .prepare_cached("UPDATE jobs SET checkpoint = ?2 WHERE key = ?1")?
            .execute([job, checkpoint])?;
        if written != 1 {
            return Err(Fault::damaged(format!("is damaged: the record of {job} is missing")));
        }
    }
    for seq in &cut.seqs {
        transaction
            .prepare_cached("DELETE FROM journal WHERE seq = ?1")?
            .execute([number(*seq)?])?;
    }
    transaction.commit()?;
    let entries = u64::try_from(cut.seqs.len()).unwrap_or(u64::MAX);
    Ok(Pruned { entries, more: entries == u64::from(most) })
}

struct Ends {
    oldest_at: i64,
    newest: u64,
    newest_at: i64,
}

fn ends(connection: &Connection) -> Result<Option<Ends>, Fault> {
    let found = connection
        .prepare_cached(ENDS)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((oldest_at, newest, newest_at)) = found else { return Ok(None) };
    Ok(Some(Ends { oldest_at, newest: count(newest)?, newest_at }))
}

struct Row {
    seq: u64,
    job: String,
    index: u64,
    at: i64,
    body: String,
    hash: String,
}

impl Row {
    fn entry(&self) -> StoredEntry<'_> {
        let Self { seq, job, index, at, body, hash } = self;
        StoredEntry { seq: *seq, job, index: *index, at: *at, body, hash }
    }
}

fn oldest(connection: &Connection, most: u32) -> Result<Vec<Row>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, job, place, at, body, hash FROM journal ORDER BY seq LIMIT ?1",
    )?;
    let mut rows = statement.query([most])?;
    let mut oldest = Vec::new();
    while let Some(row) = rows.next()? {
        oldest.push(Row {
            seq: count(row.get(0)?)?,
            job: row.get(1)?,
            index: count(row.get(2)?)?,
            at: row.get(3)?,
            body: row.get(4)?,
            hash: row.get(5)?,
        });
    }
    Ok(oldest)
}
