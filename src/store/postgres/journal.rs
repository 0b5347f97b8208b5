//! Reading the journal: newest entries first, or all of it to check it.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::{ToSql, Type};

use super::{
    fault::Trouble,
    load::{Loaded, count},
    patience::Patience,
    schema,
    session::Session,
    sql::Sql,
    transaction::begin_reading_sql,
};
use crate::{
    model::{HistoryQuery, JobKey, JournalEntry, JournalHash, Verification},
    store::{
        audit::{Audit, StoredEntry},
        chain::Chain,
        text,
    },
};

/// No values: what a stream of rows is given where a statement has none.
pub(super) const NONE: [(&(dyn ToSql + Sync), Type); 0] = [];

/// Reads entries.
pub(super) async fn history(
    session: &Session,
    sql: &Sql,
    query: &HistoryQuery,
    patience: &Patience<'_>,
) -> Result<Vec<JournalEntry>, Trouble> {
    let job = query.job.as_ref().map(JobKey::store_key);
    let since = query.since.map_or(Ok(i64::MIN), text::nanoseconds)?;
    // NULL: no limit.
    let limit = query.limit.map(i64::from);
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&since, Type::INT8), (&limit, Type::INT8)];
    let statement = match &job {
        Some(job) => {
            values.push((job, Type::TEXT));
            &sql.of_one_job
        }
        None => &sql.of_all,
    };
    let client = &session.client;
    let begin = begin_reading_sql(patience);
    let (begun, rows, ended) = futures_util::join!(
        client.batch_execute(&begin),
        client.query_typed(statement, &values),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let rows = rows?;
    ended?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let seq = count(row.try_get(0)?)?;
        entries.push(text::read_entry(seq, row.try_get(1)?, row.try_get(2)?)?);
    }
    Ok(entries)
}

/// Checks every chain, in one transaction that sees the journal as it was at one moment. Entries
/// come in a stream: no more of them is held than the network does.
pub(super) async fn verify(
    session: &Session,
    sql: &Sql,
    patience: &Patience<'_>,
) -> Result<Loaded<Verification>, Trouble> {
    let client = &session.client;
    client.batch_execute(&begin_reading_sql(patience)).await?;
    if !schema::is_current(client.query_typed_one(&sql.version, &[]).await?.try_get(0)?)? {
        client.batch_execute("COMMIT").await?;
        return Ok(Loaded::Older);
    }
    let mut audit = Audit::with_gaps();
    let mut checkpoints = pin!(client.query_typed_raw(&sql.checkpoints, NONE).await?);
    while let Some(row) = checkpoints.try_next().await? {
        audit.checkpoint(row.try_get(0)?, row.try_get(1)?);
    }
    let mut entries = pin!(client.query_typed_raw(&sql.entries, NONE).await?);
    while let Some(row) = entries.try_next().await? {
        audit.entry(&StoredEntry {
            seq: count(row.try_get(0)?)?,
            job: row.try_get(1)?,
            index: count(row.try_get(2)?)?,
            at: row.try_get(3)?,
            body: row.try_get(4)?,
            hash: row.try_get(5)?,
        });
    }
    let mut heads = pin!(client.query_typed_raw(&sql.heads, NONE).await?);
    while let Some(row) = heads.try_next().await? {
        let end = Chain { entries: count(row.try_get(1)?)?, head: JournalHash(row.try_get(2)?) };
        audit.head(row.try_get(0)?, &end, row.try_get(3)?);
    }
    client.batch_execute("COMMIT").await?;
    // A sequence skips numbers, so a number that is missing says nothing: what was removed shows in
    // the chain of its job.
    Ok(Loaded::Found(audit.finish(None)))
}
