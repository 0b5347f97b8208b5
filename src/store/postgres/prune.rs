//! Removing entries that are past their time.
//!
//! One transaction, under an advisory lock that ends with it: of several hosts one prunes and the
//! others leave it alone. It locks rows of several jobs, and waits for a commit that holds one of
//! them; no commit that it makes wait holds more than its own job's row and, after it, its tenant's,
//! which is not touched here: so nobody waits in a circle.

use std::{collections::BTreeMap, time::Duration};

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    fault::Trouble,
    load::{Loaded, count, number},
    patience::Patience,
    schema,
    session::Session,
    sql::Sql,
    transaction::{begin, commit, roll_back},
};
use crate::{
    ports::Pruned,
    store::{audit::StoredEntry, checkpoint::Checkpoint, fault::Fault, prune},
};

/// What is due, as one look at both ends of the journal shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    cutoff: i64,
    newest: u64,
}

/// Looks whether anything is due, and whether this role may remove it. Writes and locks nothing.
pub(super) async fn look(
    session: &Session,
    sql: &Sql,
    keep: Duration,
    now: Option<i64>,
) -> Result<Loaded<Option<Due>>, Trouble> {
    let row = session.client.query_typed_one(&sql.ends, &[(&now, Type::INT8)]).await?;
    if !schema::is_current(row.try_get(0)?)? {
        return Ok(Loaded::Older);
    }
    let (Some(oldest_at), Some(newest), Some(newest_at)) = (
        row.try_get::<_, Option<i64>>(2)?,
        row.try_get::<_, Option<i64>>(3)?,
        row.try_get::<_, Option<i64>>(4)?,
    ) else {
        return Ok(Loaded::Found(None));
    };
    let cutoff = prune::cutoff(row.try_get(1)?, newest_at, keep);
    if oldest_at >= cutoff {
        return Ok(Loaded::Found(None));
    }
    if !row.try_get::<_, bool>(5)? {
        return Err(Fault::new(
            "has entries that are past their time, and this role may not remove them",
            "prune with a role that may (`startguard store prune`); docs/stores.md has the SQL",
        )
        .into());
    }
    Ok(Loaded::Found(Some(Due { cutoff, newest: count(newest)? })))
}

/// Removes at most `most` entries, and writes what stands for them, in one transaction.
pub(super) async fn prune(
    session: &Session,
    sql: &Sql,
    due: Due,
    most: u32,
    patience: &Patience<'_>,
) -> Result<Pruned, Trouble> {
    let client = &session.client;
    begin(session, patience).await?;
    if !client.query_typed_one(&sql.one_pruner, &[]).await?.try_get::<_, bool>(0)? {
        roll_back(session).await?;
        return Ok(Pruned::default());
    }
    let limit = [(&i64::from(most) as &(dyn ToSql + Sync), Type::INT8)];
    let rows = client.query_typed(&sql.oldest, &limit).await?;
    let oldest = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let mut chains = BTreeMap::new();
    let jobs: Vec<&str> = oldest.iter().map(|entry| entry.job).collect();
    for row in client.query_typed(&sql.checkpoints_of, &[(&jobs, Type::TEXT_ARRAY)]).await? {
        let job: &str = row.try_get(0)?;
        chains.insert(job.to_owned(), Checkpoint::read(job, row.try_get(1)?)?);
    }
    let cut = match prune::cut(&oldest, due.cutoff, due.newest, chains) {
        Ok(cut) => cut,
        Err(fault) => {
            roll_back(session).await?;
            return Err(fault.into());
        }
    };
    let (keys, texts): (Vec<&str>, Vec<&str>) =
        cut.checkpoints.iter().map(|(job, text)| (job.as_str(), text.as_str())).unzip();
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&keys, Type::TEXT_ARRAY), (&texts, Type::TEXT_ARRAY)];
    let written = client.execute_typed(&sql.write_checkpoints, &values).await?;
    let seqs: Vec<i64> = cut.seqs.iter().map(|seq| number(*seq)).collect::<Result<_, _>>()?;
    let removed = client.execute_typed(&sql.remove, &[(&seqs, Type::INT8_ARRAY)]).await?;
    let entries = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
    if removed != entries || usize::try_from(written) != Ok(keys.len()) {
        // A rule or a trigger was in the way, or a job's record is gone.
        roll_back(session).await?;
        return Err(Fault::damaged("did not let its old entries be pruned as a whole").into());
    }
    commit(session).await?;
    Ok(Pruned { entries, more: entries == u64::from(most) })
}

fn entry(row: &Row) -> Result<StoredEntry<'_>, Trouble> {
    Ok(StoredEntry {
        seq: count(row.try_get(0)?)?,
        job: row.try_get(1)?,
        index: count(row.try_get(2)?)?,
        at: row.try_get(3)?,
        body: row.try_get(4)?,
        hash: row.try_get(5)?,
    })
}
