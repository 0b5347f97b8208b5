//! The one transaction that writes: compare both versions, swap both values, append to the journal.
//!
//! A change without entries is one round trip, BEGIN and COMMIT included. A change with entries takes
//! two: the first locks the rows and reads the end of the chain and the clock,
//! the second writes and commits. Rows are locked in one order, job before tenant, so that no two
//! commits wait for each other; the tenant's row, which all its jobs share, is held the shorter.

use tokio_postgres::types::Type;

use super::{
    doubt::Mark,
    fault::Trouble,
    load::{count, number},
    patience::Patience,
    session::{Session, Value},
    sql::Sql,
    transaction::{
        COMMIT, begin, begin_swap_sql, commit, lock_limit, not_warned, roll_back, silence_limit,
    },
};
use crate::{
    model::{JournalHash, Timestamp},
    ports::{Change, JobWrite, TenantWrite, Version},
    store::{
        chain::{Chain, Link, written_at},
        fault::Fault,
        text,
    },
};

/// How a try at writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is durable.
    Yes,
    /// An expected version does not hold. Nothing was written.
    Conflict,
}

/// What every try at one change uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) sql: &'a Sql,
    pub(super) patience: &'a Patience<'a>,
    /// Stands for the server's clock in tests.
    pub(super) now: Option<i64>,
}

impl Writer<'_> {
    /// Tries once. `marks` are those of earlier tries whose answer was lost; this try adds its own
    /// before COMMIT is sent.
    pub(super) async fn write(
        &self,
        session: &Session,
        change: &Change,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let written = match (&change.job, &change.tenant) {
            (None, None) => return Ok(Written::Yes),
            (Some(job), None) if job.entries.is_empty() => {
                self.swap_job(session, job, marks).await?
            }
            (None, Some(tenant)) => self.swap_tenant(session, tenant, marks).await?,
            (Some(job), Some(tenant)) if job.entries.is_empty() => {
                self.swap_both(session, job, tenant, marks).await?
            }
            (Some(job), tenant) => self.lock(session, job, tenant.as_ref(), marks).await?,
        };
        if written == Written::Conflict && !marks.is_empty() {
            return self.was_it_us(session, change, marks).await;
        }
        Ok(written)
    }

    async fn swap_job(
        &self,
        session: &Session,
        write: &JobWrite,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let record = text::seal(format_args!("the record of {}", write.key), &write.record)?;
        let sql = if write.expected.0 == 0 { &self.sql.swap_new_job } else { &self.sql.swap_job };
        self.swap(session, sql, &write.key.store_key(), write.expected, record, marks).await
    }

    async fn swap_tenant(
        &self,
        session: &Session,
        write: &TenantWrite,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let record = text::seal(format_args!("the record of tenant {}", write.key), &write.record)?;
        let sql =
            if write.expected.0 == 0 { &self.sql.swap_new_tenant } else { &self.sql.swap_tenant };
        self.swap(session, sql, write.key.as_str(), write.expected, record, marks).await
    }

    /// Compare and swap in one round trip.
    async fn swap(
        &self,
        session: &Session,
        sql: &str,
        key: &str,
        expected: Version,
        record: String,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let Ok(version) = number(expected.0) else { return Ok(Written::Conflict) };
        let mark = Mark::Record { version: next(expected), record: record.clone() };
        // An earlier try that was lost left the same mark, which stays whatever this one does.
        let first = !marks.contains(&mark);
        if first {
            marks.push(mark);
        }
        let (client, before) = (&session.client, session.warnings());
        let begin = begin_swap_sql(self.patience);
        let lock = lock_limit(self.patience).to_string();
        let silence = silence_limit(self.patience).to_string();
        let values: [Value<'_>; 5] = [
            (&key, Type::TEXT),
            (&version, Type::INT8),
            (&record, Type::TEXT),
            (&lock, Type::TEXT),
            (&silence, Type::TEXT),
        ];
        // Sent in this order, without waiting between.
        let (begun, changed, ended) = futures_util::join!(
            client.batch_execute(&begin),
            session.execute(sql, &values),
            client.batch_execute(COMMIT),
        );
        begun?;
        let changed = match changed.map_err(Trouble::from) {
            Ok(changed) => changed,
            Err(trouble) => {
                // The server said no to the statement, so COMMIT undid it.
                if first && !matches!(trouble, Trouble::Lost(_)) {
                    marks.pop();
                }
                return Err(trouble);
            }
        };
        ended?;
        if changed == 0 {
            // This try did nothing, whatever became of those before it.
            if first {
                marks.pop();
            }
            return Ok(Written::Conflict);
        }
        not_warned(session, before)?;
        Ok(Written::Yes)
    }

    /// Compare and swap both rows, in one round trip.
    ///
    /// They are locked together, if both have the versions expected; else nothing is, so that a try
    /// that comes too late has nothing to flush. Then they are written together or not at all.
    async fn swap_both(
        &self,
        session: &Session,
        job: &JobWrite,
        tenant: &TenantWrite,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let (Ok(version), Ok(tenant_version)) = (number(job.expected.0), number(tenant.expected.0))
        else {
            return Ok(Written::Conflict);
        };
        let (key, tenant_key) = (job.key.store_key(), tenant.key.as_str());
        let record = text::seal(format_args!("the record of {}", job.key), &job.record)?;
        let tenant_record =
            text::seal(format_args!("the record of tenant {}", tenant.key), &tenant.record)?;
        let mark = Mark::Record { version: next(job.expected), record: record.clone() };
        let first = !marks.contains(&mark);
        if first {
            marks.push(mark);
        }
        let (client, before) = (&session.client, session.warnings());
        let begin = begin_swap_sql(self.patience);
        let lock = lock_limit(self.patience).to_string();
        let silence = silence_limit(self.patience).to_string();
        let locks: [Value<'_>; 6] = [
            (&key, Type::TEXT),
            (&version, Type::INT8),
            (&tenant_key, Type::TEXT),
            (&lock, Type::TEXT),
            (&silence, Type::TEXT),
            (&tenant_version, Type::INT8),
        ];
        let writes: [Value<'_>; 6] = [
            (&key, Type::TEXT),
            (&version, Type::INT8),
            (&record, Type::TEXT),
            (&tenant_key, Type::TEXT),
            (&tenant_version, Type::INT8),
            (&tenant_record, Type::TEXT),
        ];
        let (begun, placed, tenant_placed, locked, changed, ended) = futures_util::join!(
            client.batch_execute(&begin),
            self.place(session, version, &self.sql.place_job, &key),
            self.place(session, tenant_version, &self.sql.place_tenant, tenant_key),
            session.query_opt(&self.sql.lock_both, &locks),
            session.execute(&self.sql.swap_both, &writes),
            client.batch_execute(COMMIT),
        );
        begun?;
        // The first that failed says why; COMMIT then undid all of it.
        let changed = placed
            .and(tenant_placed)
            .and_then(|()| locked.map_err(Trouble::from))
            .and_then(|_| changed.map_err(Trouble::from));
        let changed = match changed {
            Ok(changed) => changed,
            Err(trouble) => {
                if first && !matches!(trouble, Trouble::Lost(_)) {
                    marks.pop();
                }
                return Err(trouble);
            }
        };
        ended?;
        if changed == 0 {
            if first {
                marks.pop();
            }
            return Ok(Written::Conflict);
        }
        not_warned(session, before)?;
        Ok(Written::Yes)
    }

    /// Makes a place for a record that is not stored yet.
    async fn place(
        &self,
        session: &Session,
        version: i64,
        sql: &str,
        key: &str,
    ) -> Result<(), Trouble> {
        if version == 0 {
            session.execute(sql, &[(&key, Type::TEXT)]).await?;
        }
        Ok(())
    }

    /// Lock, look, write.
    async fn lock(
        &self,
        session: &Session,
        job: &JobWrite,
        tenant: Option<&TenantWrite>,
        marks: &mut Vec<Mark>,
    ) -> Result<Written, Trouble> {
        let key = job.key.store_key();
        let Some(locked) = self.lock_rows(session, &key, job, tenant).await? else {
            return Ok(Written::Conflict);
        };
        // An earlier try at the same entries that was lost and came through after all, while the
        // caller read the record again: its entries are in the journal and are not written twice.
        let there = self.is_any_there(session, &key, marks).await?;
        let entries = if there { &[] } else { job.entries.as_slice() };
        let Locked { mut chain, now, newest } = locked;
        let at = written_at(entries, now, newest);
        let mut links = Vec::new();
        for entry in entries {
            links.push(chain.append(&key, entry.clone(), at)?);
        }
        let at = text::nanoseconds(at)?;
        let record = text::seal(format_args!("the record of {key}"), &job.record)?;
        let mark = match links.last() {
            Some(last) => Mark::Entry { place: last.index, hash: last.hash.clone() },
            None => Mark::Record { version: next(job.expected), record: record.clone() },
        };
        marks.push(mark);
        let tenant = tenant
            .map(|write| {
                let what = format_args!("the record of tenant {}", write.key);
                Ok::<_, Fault>((write.key.as_str(), text::seal(what, &write.record)?))
            })
            .transpose()?;
        let (wrote_job, wrote_tenant, appended, ended) = futures_util::join!(
            self.write_job(session, &key, &record, &chain),
            self.write_tenant(session, tenant.as_ref()),
            self.append(session, &key, at, &links),
            commit(session),
        );
        for wrote in [wrote_job, wrote_tenant, appended] {
            match wrote {
                Ok(true) => {}
                // A lock is held on the row, so a rule or a trigger must have been in the way.
                Ok(false) => {
                    return Err(Fault::damaged("did not write a row that it held a lock on").into());
                }
                Err(trouble) => {
                    if !matches!(trouble, Trouble::Lost(_)) {
                        marks.pop();
                    }
                    return Err(trouble);
                }
            }
        }
        ended?;
        Ok(Written::Yes)
    }

    /// Locks the rows if they have the versions expected. The clock and the newest entry's time are
    /// read once they are held, so that a job's entries are in the order of their times. Those of
    /// two jobs that are written at the same moment do not see each other, and may differ by the
    /// length of a transaction.
    async fn lock_rows(
        &self,
        session: &Session,
        key: &str,
        job: &JobWrite,
        tenant: Option<&TenantWrite>,
    ) -> Result<Option<Locked>, Trouble> {
        let of_tenant = tenant.map(|write| (write.key.as_str(), write.expected));
        let (Ok(version), Ok(tenant_version)) =
            (number(job.expected.0), number(of_tenant.map_or(0, |(_, version)| version.0)))
        else {
            return Ok(None);
        };
        let text_key = [(&key as _, Type::TEXT)];
        let (begun, placed, row, tenant_placed, tenant_row, clock) = futures_util::join!(
            begin(session, self.patience),
            self.place(session, version, &self.sql.place_job, key),
            async {
                let values = [text_key[0].clone(), (&version as _, Type::INT8)];
                Ok::<_, Trouble>(session.query_opt(&self.sql.lock_job, &values).await?)
            },
            async {
                if let (Some((tenant, _)), 0) = (of_tenant, tenant_version) {
                    let values = [(&tenant as _, Type::TEXT)];
                    session.execute(&self.sql.place_tenant, &values).await?;
                }
                Ok::<_, Trouble>(())
            },
            async {
                let Some((tenant, _)) = of_tenant else { return Ok(true) };
                let values = [(&tenant as _, Type::TEXT), (&tenant_version as _, Type::INT8)];
                let row = session.query_opt(&self.sql.lock_tenant, &values).await?;
                Ok::<_, Trouble>(row.is_some())
            },
            async {
                let values = [(&self.now as _, Type::INT8)];
                Ok::<_, Trouble>(session.query_one(&self.sql.clock, &values).await?)
            },
        );
        begun?;
        placed?;
        let row = row?;
        tenant_placed?;
        let tenant_holds = tenant_row?;
        let clock = clock?;
        let (Some(row), true) = (row, tenant_holds) else {
            roll_back(session).await?;
            return Ok(None);
        };
        let chain = Chain { entries: count(row.try_get(0)?)?, head: JournalHash(row.try_get(1)?) };
        let now = text::timestamp(clock.try_get(0)?)?;
        let newest: Option<i64> = clock.try_get(1)?;
        Ok(Some(Locked { chain, now, newest: newest.map(text::timestamp).transpose()? }))
    }

    async fn write_job(
        &self,
        session: &Session,
        key: &str,
        record: &str,
        chain: &Chain,
    ) -> Result<bool, Trouble> {
        let entries = number(chain.entries)?;
        let values: [Value<'_>; 4] = [
            (&key, Type::TEXT),
            (&record, Type::TEXT),
            (&entries, Type::INT8),
            (&chain.head.0, Type::TEXT),
        ];
        Ok(session.execute(&self.sql.write_job, &values).await? == 1)
    }

    async fn write_tenant(
        &self,
        session: &Session,
        write: Option<&(&str, String)>,
    ) -> Result<bool, Trouble> {
        let Some((key, record)) = write else { return Ok(true) };
        let values: [Value<'_>; 2] = [(key, Type::TEXT), (record, Type::TEXT)];
        Ok(session.execute(&self.sql.write_tenant, &values).await? == 1)
    }

    async fn append(
        &self,
        session: &Session,
        key: &str,
        at: i64,
        links: &[Link],
    ) -> Result<bool, Trouble> {
        if links.is_empty() {
            return Ok(true);
        }
        let places: Vec<i64> = links.iter().map(|l| number(l.index)).collect::<Result<_, _>>()?;
        let bodies: Vec<&str> = links.iter().map(|link| link.body.as_str()).collect();
        let hashes: Vec<&str> = links.iter().map(|link| link.hash.0.as_str()).collect();
        let values: [Value<'_>; 5] = [
            (&key, Type::TEXT),
            (&at, Type::INT8),
            (&places, Type::INT8_ARRAY),
            (&bodies, Type::TEXT_ARRAY),
            (&hashes, Type::TEXT_ARRAY),
        ];
        let rows = session.execute(&self.sql.append, &values).await?;
        Ok(usize::try_from(rows).is_ok_and(|rows| rows == links.len()))
    }
}

/// The rows are locked and have the versions expected.
#[derive(Debug)]
struct Locked {
    chain: Chain,
    now: Timestamp,
    /// When the newest entry of the whole journal was written.
    newest: Option<Timestamp>,
}

fn next(version: Version) -> Version {
    Version(version.0.saturating_add(1))
}
