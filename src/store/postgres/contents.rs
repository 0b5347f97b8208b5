//! Reading the tables whole, and filling empty ones.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::{ToSql, Type};

use super::{
    fault::Trouble,
    journal::NONE,
    load::{self, Loaded, count, number},
    name::Name,
    patience::Patience,
    schema,
    session::Session,
    sql::Sql,
    transaction::{begin, begin_reading_sql, commit, roll_back},
};
use crate::{
    model::JournalHash,
    ports::{Contents, Filled, StoredJob, StoredLink, StoredTenant, Version},
};

/// Rows sent at once: a few hundred kilobytes.
const ROWS: usize = 500;

/// Reads everything, as it was at one moment.
pub(super) async fn contents(
    session: &Session,
    name: &Name,
    sql: &Sql,
    patience: &Patience<'_>,
    now: Option<i64>,
) -> Result<Loaded<Contents>, Trouble> {
    let client = &session.client;
    client.batch_execute(&begin_reading_sql(patience)).await?;
    if !schema::is_current(client.query_typed_one(&sql.version, &[]).await?.try_get(0)?)? {
        client.batch_execute("COMMIT").await?;
        return Ok(Loaded::Older);
    }
    let as_of = load::now(session, sql, now).await?;
    let (mut jobs, mut tenants, mut journal) = (Vec::new(), Vec::new(), Vec::new());
    let query = format!(
        "SELECT key, version, record, entries, head, checkpoint FROM {name}.jobs
         WHERE version > 0 ORDER BY key"
    );
    let mut rows = pin!(client.query_typed_raw(&query, NONE).await?);
    while let Some(row) = rows.try_next().await? {
        jobs.push(StoredJob {
            key: row.try_get(0)?,
            version: Version(count(row.try_get(1)?)?),
            record: row.try_get(2)?,
            entries: count(row.try_get(3)?)?,
            head: JournalHash(row.try_get(4)?),
            checkpoint: row.try_get(5)?,
        });
    }
    let query =
        format!("SELECT key, version, record FROM {name}.tenants WHERE version > 0 ORDER BY key");
    let mut rows = pin!(client.query_typed_raw(&query, NONE).await?);
    while let Some(row) = rows.try_next().await? {
        let version = Version(count(row.try_get(1)?)?);
        tenants.push(StoredTenant { key: row.try_get(0)?, version, record: row.try_get(2)? });
    }
    let query = format!("SELECT job, place, at, body, hash FROM {name}.journal ORDER BY seq");
    let mut rows = pin!(client.query_typed_raw(&query, NONE).await?);
    while let Some(row) = rows.try_next().await? {
        journal.push(StoredLink {
            job: row.try_get(0)?,
            place: count(row.try_get(1)?)?,
            at: row.try_get(2)?,
            body: row.try_get(3)?,
            hash: JournalHash(row.try_get(4)?),
        });
    }
    client.batch_execute("COMMIT").await?;
    Ok(Loaded::Found(Contents { as_of, jobs, tenants, journal }))
}

/// Fills empty tables, whole or not at all.
pub(super) async fn fill(
    session: &Session,
    name: &Name,
    patience: &Patience<'_>,
    contents: &Contents,
) -> Result<Filled, Trouble> {
    begin(session, patience).await?;
    // Nobody writes meanwhile: every write begins with one of these two.
    let lock = format!("LOCK TABLE {name}.jobs, {name}.tenants IN SHARE ROW EXCLUSIVE MODE");
    session.client.batch_execute(&lock).await?;
    let used = format!(
        "SELECT EXISTS (SELECT FROM {name}.jobs) OR EXISTS (SELECT FROM {name}.tenants)
             OR EXISTS (SELECT FROM {name}.journal)"
    );
    if session.client.query_typed_one(&used, &[]).await?.try_get(0)? {
        roll_back(session).await?;
        return Ok(Filled::InUse);
    }
    for jobs in contents.jobs.chunks(ROWS) {
        fill_jobs(session, name, jobs).await?;
    }
    for tenants in contents.tenants.chunks(ROWS) {
        fill_tenants(session, name, tenants).await?;
    }
    for links in contents.journal.chunks(ROWS) {
        fill_journal(session, name, links).await?;
    }
    commit(session).await?;
    Ok(Filled::Yes)
}

async fn fill_jobs(session: &Session, name: &Name, jobs: &[StoredJob]) -> Result<(), Trouble> {
    let sql = format!(
        "INSERT INTO {name}.jobs (key, version, record, entries, head, checkpoint)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[],
                              $6::text[])"
    );
    let keys: Vec<&str> = jobs.iter().map(|job| job.key.as_str()).collect();
    let versions: Vec<i64> = jobs.iter().map(|j| number(j.version.0)).collect::<Result<_, _>>()?;
    let records: Vec<&str> = jobs.iter().map(|job| job.record.as_str()).collect();
    let entries: Vec<i64> = jobs.iter().map(|j| number(j.entries)).collect::<Result<_, _>>()?;
    let heads: Vec<&str> = jobs.iter().map(|job| job.head.0.as_str()).collect();
    let checkpoints: Vec<Option<&str>> = jobs.iter().map(|job| job.checkpoint.as_deref()).collect();
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&keys, Type::TEXT_ARRAY),
        (&versions, Type::INT8_ARRAY),
        (&records, Type::TEXT_ARRAY),
        (&entries, Type::INT8_ARRAY),
        (&heads, Type::TEXT_ARRAY),
        (&checkpoints, Type::TEXT_ARRAY),
    ];
    session.client.execute_typed(&sql, &values).await?;
    Ok(())
}

async fn fill_tenants(
    session: &Session,
    name: &Name,
    tenants: &[StoredTenant],
) -> Result<(), Trouble> {
    let sql = format!(
        "INSERT INTO {name}.tenants (key, version, record)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])"
    );
    let keys: Vec<&str> = tenants.iter().map(|tenant| tenant.key.as_str()).collect();
    let versions: Vec<i64> =
        tenants.iter().map(|t| number(t.version.0)).collect::<Result<_, _>>()?;
    let records: Vec<&str> = tenants.iter().map(|tenant| tenant.record.as_str()).collect();
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&keys, Type::TEXT_ARRAY), (&versions, Type::INT8_ARRAY), (&records, Type::TEXT_ARRAY)];
    session.client.execute_typed(&sql, &values).await?;
    Ok(())
}

async fn fill_journal(session: &Session, name: &Name, links: &[StoredLink]) -> Result<(), Trouble> {
    let sql = format!(
        "INSERT INTO {name}.journal (job, place, at, body, hash)
         SELECT job, place, at, body, hash
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
              WITH ORDINALITY AS entry (job, place, at, body, hash, number)
         ORDER BY number"
    );
    let jobs: Vec<&str> = links.iter().map(|link| link.job.as_str()).collect();
    let places: Vec<i64> = links.iter().map(|l| number(l.place)).collect::<Result<_, _>>()?;
    let times: Vec<i64> = links.iter().map(|link| link.at).collect();
    let bodies: Vec<&str> = links.iter().map(|link| link.body.as_str()).collect();
    let hashes: Vec<&str> = links.iter().map(|link| link.hash.0.as_str()).collect();
    let values: [(&(dyn ToSql + Sync), Type); 5] = [
        (&jobs, Type::TEXT_ARRAY),
        (&places, Type::INT8_ARRAY),
        (&times, Type::INT8_ARRAY),
        (&bodies, Type::TEXT_ARRAY),
        (&hashes, Type::TEXT_ARRAY),
    ];
    session.client.execute_typed(&sql, &values).await?;
    Ok(())
}
