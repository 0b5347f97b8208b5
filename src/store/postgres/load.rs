//! Reading both records of an ask, in one statement and one round trip.

use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::Type};

use super::{fault::Trouble, schema, session::Session, sql::Sql};
use crate::{
    model::{JobKey, Moment, TenantKey, TenantRecord},
    ports::{Snapshot, Version, Versioned},
    store::{fault::Fault, text},
};

/// What a read finds.
#[derive(Debug)]
pub(super) enum Loaded<T> {
    /// This.
    Found(T),
    /// Tables of an older schema.
    Older,
}

/// Reads both records. `now` stands for the server's clock in tests.
pub(super) async fn load(
    session: &Session,
    sql: &Sql,
    job: &JobKey,
    tenant: &TenantKey,
    now: Option<i64>,
) -> Result<Loaded<Snapshot>, Trouble> {
    let key = job.store_key();
    let row = session
        .query_one(
            &sql.load,
            &[(&key, Type::TEXT), (&tenant.as_str(), Type::TEXT), (&now, Type::INT8)],
        )
        .await?;
    if !schema::is_current(row.try_get(0)?)? {
        return Ok(Loaded::Older);
    }
    let newest: Option<i64> = row.try_get(6)?;
    Ok(Loaded::Found(Snapshot {
        job: versioned(format_args!("the record of {job}"), &row, 2)?,
        tenant: versioned(format_args!("the record of tenant {tenant}"), &row, 4)?,
        as_of: moment(&row, 1)?,
        latest_entry: newest.map(text::timestamp).transpose()?,
    }))
}

/// Reads a tenant's record.
pub(super) async fn load_tenant(
    session: &Session,
    sql: &Sql,
    tenant: &TenantKey,
    now: Option<i64>,
) -> Result<Loaded<(Versioned<TenantRecord>, Moment)>, Trouble> {
    let row = session
        .query_one(&sql.load_tenant, &[(&tenant.as_str(), Type::TEXT), (&now, Type::INT8)])
        .await?;
    if !schema::is_current(row.try_get(0)?)? {
        return Ok(Loaded::Older);
    }
    let record = versioned(format_args!("the record of tenant {tenant}"), &row, 2)?;
    Ok(Loaded::Found((record, moment(&row, 1)?)))
}

/// The server's clock, where there are no tables yet.
pub(super) async fn now(session: &Session, sql: &Sql, now: Option<i64>) -> Result<Moment, Trouble> {
    let row = session.query_one(&sql.now, &[(&now, Type::INT8)]).await?;
    moment(&row, 0)
}

fn moment(row: &Row, column: usize) -> Result<Moment, Trouble> {
    Ok(Moment::civil(text::timestamp(row.try_get(column)?)?))
}

/// A record and its version from two columns that are both NULL where nothing is stored. Version 0
/// is the place that a commit under way, or one that failed, keeps for a new record.
fn versioned<T: DeserializeOwned + Default>(
    what: std::fmt::Arguments<'_>,
    row: &Row,
    first: usize,
) -> Result<Versioned<T>, Trouble> {
    let version: Option<i64> = row.try_get(first)?;
    let Some(version) = version.filter(|version| *version != 0) else {
        return Ok(Versioned::default());
    };
    let record: &str = row.try_get(first.saturating_add(1))?;
    Ok(Versioned { record: text::unseal(what, record)?, version: Version(count(version)?) })
}

/// A count read back.
pub(super) fn count(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| {
        Fault::damaged(format!("is damaged: it counts {number} of something")).because(error)
    })
}

/// A count as PostgreSQL keeps it.
pub(super) fn number(count: u64) -> Result<i64, Fault> {
    i64::try_from(count).map_err(|error| {
        Fault::new(format!("cannot count to {count}"), "report this as a defect").because(error)
    })
}
