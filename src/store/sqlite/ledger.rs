//! The two transactions of every ask: load and commit.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, TransactionBehavior};
use serde::de::DeserializeOwned;

use super::file::Identity;
use crate::{
    model::{JobKey, JobRecord, JournalHash, TenantKey, TenantRecord, Timestamp},
    ports::{Change, JobWrite, TenantWrite, Version, Versioned},
    store::{
        chain::{Chain, written_at},
        fault::Fault,
        text,
    },
};

/// An open ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) connection: Connection,
    /// Which file it is.
    pub(super) identity: Identity,
}

/// What one read finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) job: Versioned<JobRecord>,
    pub(super) tenant: Versioned<TenantRecord>,
    pub(super) latest_entry: Option<Timestamp>,
}

/// One statement, so that all of it is read at one moment.
const LOAD: &str = "
    SELECT j.version, j.record, t.version, t.record,
           (SELECT at FROM journal ORDER BY seq DESC LIMIT 1)
    FROM (SELECT 1)
    LEFT JOIN jobs AS j ON j.key = ?1
    LEFT JOIN tenants AS t ON t.key = ?2";

/// Reads both records.
pub(super) fn load(ledger: &Ledger, job: &JobKey, tenant: &TenantKey) -> Result<Found, Fault> {
    let mut statement = ledger.connection.prepare_cached(LOAD)?;
    let mut rows = statement.query((job.store_key(), tenant.as_str()))?;
    let Some(row) = rows.next()? else {
        return Err(Fault::damaged("is damaged: a read without conditions found nothing"));
    };
    let at: Option<i64> = row.get(4)?;
    Ok(Found {
        job: versioned(format_args!("the record of {job}"), row, 0)?,
        tenant: versioned(format_args!("the record of tenant {tenant}"), row, 2)?,
        latest_entry: at.map(text::timestamp).transpose()?,
    })
}

/// Reads a tenant's record.
pub(super) fn load_tenant(
    ledger: &Ledger,
    tenant: &TenantKey,
) -> Result<Versioned<TenantRecord>, Fault> {
    let mut statement =
        ledger.connection.prepare_cached("SELECT version, record FROM tenants WHERE key = ?1")?;
    let mut rows = statement.query([tenant.as_str()])?;
    match rows.next()? {
        None => Ok(Versioned::default()),
        Some(row) => versioned(format_args!("the record of tenant {tenant}"), row, 0),
    }
}

/// A record and its version from two columns that are both NULL where nothing is stored.
fn versioned<T: DeserializeOwned + Default>(
    what: std::fmt::Arguments<'_>,
    row: &Row<'_>,
    first: usize,
) -> Result<Versioned<T>, Fault> {
    let Some(version) = row.get::<_, Option<i64>>(first)? else { return Ok(Versioned::default()) };
    let record: String = row.get(first.saturating_add(1))?;
    Ok(Versioned { record: text::unseal(what, &record)?, version: Version(count(version)?) })
}

/// Takes the write lock and gives it back.
pub(super) fn try_to_write(ledger: &mut Ledger) -> Result<(), Fault> {
    let transaction =
        ledger.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    Ok(transaction.rollback()?)
}

/// Writes a change whole, or not at all; false if an expected version does not hold any more.
/// `now` is asked once the write lock is held, and no entry is dated before the newest
/// ([`written_at`]), so that entries are in the order of their times.
pub(super) fn commit(
    ledger: &mut Ledger,
    change: Change,
    now: impl FnOnce() -> Timestamp,
) -> Result<bool, Fault> {
    // A lease without a word in the journal need not survive a power cut: its holder does not, and
    // the next flush, of the intent, brings it along. It spares a start that flush.
    let is_lease =
        change.tenant.is_none() && change.job.as_ref().is_some_and(|job| job.entries.is_empty());
    let synchronous = if is_lease { "NORMAL" } else { "FULL" };
    ledger.connection.pragma_update(None, "synchronous", synchronous)?;
    // Dropped without a commit, it undoes everything.
    let transaction =
        ledger.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now();
    if let Some(job) = change.job
        && !write_job(&transaction, job, now)?
    {
        return Ok(false);
    }
    if let Some(tenant) = &change.tenant
        && !write_tenant(&transaction, tenant)?
    {
        return Ok(false);
    }
    transaction.commit()?;
    Ok(true)
}

fn write_job(connection: &Connection, write: JobWrite, now: Timestamp) -> Result<bool, Fault> {
    let key = write.key.store_key();
    let stored = connection
        .prepare_cached("SELECT version, entries, head FROM jobs WHERE key = ?1")?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (version, mut chain) = match stored {
        None => (Version(0), Chain::default()),
        Some((version, entries, head)) => {
            (Version(count(version)?), Chain { entries: count(entries)?, head: JournalHash(head) })
        }
    };
    if version != write.expected {
        return Ok(false);
    }
    let at = match write.entries.is_empty() {
        true => now,
        false => written_at(&write.entries, now, latest_entry(connection)?),
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO journal (job, place, at, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for entry in write.entries {
        let link = chain.append(&key, entry, at)?;
        insert.execute((&key, number(link.index)?, link.at, link.body, link.hash.0))?;
    }
    let record = text::seal(format_args!("the record of {key}"), &write.record)?;
    connection
        .prepare_cached(
            "INSERT INTO jobs (key, version, record, entries, head) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET version = excluded.version, record = excluded.record,
                 entries = excluded.entries, head = excluded.head",
        )?
        .execute((&key, next(version)?, record, number(chain.entries)?, chain.head.0))?;
    Ok(true)
}

fn latest_entry(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let at: Option<i64> = connection
        .prepare_cached("SELECT at FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    at.map(text::timestamp).transpose()
}

fn write_tenant(connection: &Connection, write: &TenantWrite) -> Result<bool, Fault> {
    let key = write.key.as_str();
    let mut select: CachedStatement<'_> =
        connection.prepare_cached("SELECT version FROM tenants WHERE key = ?1")?;
    let stored: Option<i64> = select.query_row([key], |row| row.get(0)).optional()?;
    let version = Version(stored.map(count).transpose()?.unwrap_or_default());
    if version != write.expected {
        return Ok(false);
    }
    let record = text::seal(format_args!("the record of tenant {key}"), &write.record)?;
    connection
        .prepare_cached(
            "INSERT INTO tenants (key, version, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET version = excluded.version, record = excluded.record",
        )?
        .execute((key, next(version)?, record))?;
    Ok(true)
}

fn next(version: Version) -> Result<i64, Fault> {
    number(version.0.saturating_add(1))
}

/// A count as SQLite keeps it.
pub(super) fn number(count: u64) -> Result<i64, Fault> {
    i64::try_from(count).map_err(|error| {
        Fault::new(format!("cannot count to {count}"), "report this as a defect").because(error)
    })
}

/// A count read back.
pub(super) fn count(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| {
        Fault::damaged(format!("is damaged: it counts {number} of something")).because(error)
    })
}
