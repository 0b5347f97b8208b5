//! Reading a ledger whole, and filling an empty one.

use rusqlite::TransactionBehavior;

use super::ledger::{Ledger, count, number};
use crate::{
    model::{JournalHash, Moment},
    ports::{Contents, Filled, StoredJob, StoredLink, StoredTenant, Version},
    store::{checkpoint::Checkpoint, fault::Fault},
};

/// Reads everything, in one read transaction.
pub(super) fn contents(ledger: &mut Ledger, as_of: Moment) -> Result<Contents, Fault> {
    let transaction = ledger.connection.transaction()?;
    let mut found = Contents { as_of, jobs: Vec::new(), tenants: Vec::new(), journal: Vec::new() };
    let mut statement = transaction
        .prepare("SELECT key, version, record, entries, head, checkpoint FROM jobs ORDER BY key")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.jobs.push(StoredJob {
            key: row.get(0)?,
            version: Version(count(row.get(1)?)?),
            record: row.get(2)?,
            entries: count(row.get(3)?)?,
            head: JournalHash(row.get(4)?),
            checkpoint: row.get(5)?,
        });
    }
    let mut statement =
        transaction.prepare("SELECT key, version, record FROM tenants ORDER BY key")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let version = Version(count(row.get(1)?)?);
        found.tenants.push(StoredTenant { key: row.get(0)?, version, record: row.get(2)? });
    }
    let mut statement =
        transaction.prepare("SELECT job, place, at, body, hash FROM journal ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.journal.push(StoredLink {
            job: row.get(0)?,
            place: count(row.get(1)?)?,
            at: row.get(2)?,
            body: row.get(3)?,
            hash: JournalHash(row.get(4)?),
        });
    }
    Ok(found)
}

/// Fills an empty ledger, whole or not at all.
pub(super) fn fill(ledger: &mut Ledger, contents: &Contents) -> Result<Filled, Fault> {
    let transaction =
        ledger.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let used: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM tenants)
             OR EXISTS (SELECT 1 FROM journal)",
        [],
        |row| row.get(0),
    )?;
    if used {
        return Ok(Filled::InUse);
    }
    // Numbers go on after those that were pruned, see `Audit::checkpoint`.
    let mut seq = 0_u64;
    for job in &contents.jobs {
        let pruned = Checkpoint::read(&job.key, job.checkpoint.as_deref())?.entries;
        seq = seq.saturating_add(pruned);
        let (version, entries) = (number(job.version.0)?, number(job.entries)?);
        transaction
            .prepare_cached(
                "INSERT INTO jobs (key, version, record, entries, head, checkpoint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((&job.key, version, &job.record, entries, &job.head.0, &job.checkpoint))?;
    }
    for tenant in &contents.tenants {
        transaction
            .prepare_cached("INSERT INTO tenants (key, version, record) VALUES (?1, ?2, ?3)")?
            .execute((&tenant.key, number(tenant.version.0)?, &tenant.record))?;
    }
    for link in &contents.journal {
        seq = seq.saturating_add(1);
        let place = number(link.place)?;
        transaction
            .prepare_cached(
                "INSERT INTO journal (seq, job, place, at, body, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((number(seq)?, &link.job, place, link.at, &link.body, &link.hash.0))?;
    }
    transaction.commit()?;
    Ok(Filled::Yes)
}
