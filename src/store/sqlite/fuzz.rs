//! A ledger in memory whose rows come from elsewhere (feature `testing`).

use rusqlite::Connection;

use super::{
    file::Identity,
    journal,
    ledger::{self, Ledger},
    schema,
};
use crate::{
    model::{HistoryQuery, JobKey, JobRecord, JournalEntry, TenantKey, TenantRecord, Verification},
    ports::{StoreError, Versioned},
    store::fuzz::{Rows, told},
};

/// The tables of a ledger.
#[derive(Debug)]
pub struct Tables(Ledger);

impl Tables {
    /// Empty tables, made as those of any ledger.
    ///
    /// # Errors
    /// [`StoreError`] where SQLite has no room for them.
    pub fn new() -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory().map_err(|error| told(error.into()))?;
        schema::create(&mut connection).map_err(told)?;
        Ok(Self(Ledger { connection, identity: Identity::of_nothing() }))
    }

    /// Puts these rows in place of those that are there.
    ///
    /// # Errors
    /// [`StoreError`] for rows that the tables do not take, such as two of one key.
    pub fn fill(&mut self, rows: &Rows) -> Result<(), StoreError> {
        self.try_fill(rows).map_err(|error| told(error.into()))
    }

    fn try_fill(&mut self, rows: &Rows) -> Result<(), rusqlite::Error> {
        let transaction = self.0.connection.transaction()?;
        transaction.execute_batch(
            "DELETE FROM jobs; DELETE FROM tenants; DELETE FROM journal;
             DELETE FROM sqlite_sequence;",
        )?;
        for row in &rows.jobs {
            transaction
                .prepare_cached(
                    "INSERT INTO jobs (key, version, record, entries, head, checkpoint)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    &row.key,
                    row.version,
                    &row.record,
                    row.entries,
                    &row.head,
                    &row.checkpoint,
                ))?;
        }
        for row in &rows.tenants {
            transaction
                .prepare_cached("INSERT INTO tenants (key, version, record) VALUES (?1, ?2, ?3)")?
                .execute((&row.key, row.version, &row.record))?;
        }
        for row in &rows.journal {
            transaction
                .prepare_cached(
                    "INSERT INTO journal (seq, job, place, at, body, hash)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((row.seq, &row.job, row.place, row.at, &row.body, &row.hash))?;
        }
        transaction.commit()
    }

    /// Both records of an ask.
    ///
    /// # Errors
    /// [`StoreError`] for rows that no store of ours wrote.
    pub fn load(
        &self,
        job: &JobKey,
        tenant: &TenantKey,
    ) -> Result<(Versioned<JobRecord>, Versioned<TenantRecord>), StoreError> {
        let found = ledger::load(&self.0, job, tenant).map_err(told)?;
        Ok((found.job, found.tenant))
    }

    /// The journal, newest first.
    ///
    /// # Errors
    /// [`StoreError`] for rows that no store of ours wrote.
    pub fn history(&self) -> Result<Vec<JournalEntry>, StoreError> {
        journal::history(&self.0, &HistoryQuery::default(), &|| false).map_err(told)
    }

    /// Checks the journal.
    ///
    /// # Errors
    /// [`StoreError`] for rows that no store of ours wrote.
    pub fn verify(&mut self) -> Result<Verification, StoreError> {
        journal::verify(&mut self.0, &|| false).map_err(told)
    }
}
