//! What became of a commit whose answer was lost.

use tokio_postgres::types::{ToSql, Type};

use super::{
    doubt::Mark,
    fault::Trouble,
    load::{count, number},
    session::Session,
    transaction::{begin, commit},
    write::{Writer, Written},
};
use crate::{
    ports::{Change, Version},
    store::fault::Fault,
};

impl Writer<'_> {
    /// Someone committed first. Was it an earlier try of this very commit?
    ///
    /// If so, a write that changes nothing is committed before that is said: it waits for the same
    /// disk and the same standbys, so what came before it is durable too. (A wait for standbys that
    /// was cut short leaves a commit that can be seen and is not on them.)
    pub(super) async fn was_it_us(
        &self,
        session: &Session,
        change: &Change,
        marks: &[Mark],
    ) -> Result<Written, Trouble> {
        let (ours, touch, key) = match (&change.job, &change.tenant) {
            (Some(job), _) => {
                let key = job.key.store_key();
                let ours = if job.entries.is_empty() {
                    self.is_record(session, &self.sql.job_now, &key, marks).await?
                } else {
                    self.is_any_there(session, &key, marks).await?
                };
                (ours, &self.sql.touch_job, key)
            }
            (None, Some(tenant)) => {
                let key = tenant.key.as_str().to_owned();
                let ours = self.is_record(session, &self.sql.tenant_now, &key, marks).await?;
                (ours, &self.sql.touch_tenant, key)
            }
            (None, None) => return Ok(Written::Yes),
        };
        if !ours {
            return Ok(Written::Conflict);
        }
        begin(session, self.patience).await?;
        session.client.execute_typed(touch, &[(&key, Type::TEXT)]).await?;
        commit(session).await?;
        Ok(Written::Yes)
    }

    /// Whether the entry of one of these marks is in the journal.
    pub(super) async fn is_any_there(
        &self,
        session: &Session,
        key: &str,
        marks: &[Mark],
    ) -> Result<bool, Trouble> {
        for mark in marks {
            let Mark::Entry { place, hash } = mark else { continue };
            let place = number(*place)?;
            let values: [(&(dyn ToSql + Sync), Type); 2] =
                [(&key, Type::TEXT), (&place, Type::INT8)];
            let found = session.client.query_typed_opt(&self.sql.hash_at, &values).await?;
            if let Some(found) = found
                && found.try_get::<_, &str>(0)? == hash.0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one of these marks is the record that is stored now. If others wrote over it since,
    /// nothing tells whether it was ever there.
    async fn is_record(
        &self,
        session: &Session,
        sql: &str,
        key: &str,
        marks: &[Mark],
    ) -> Result<bool, Trouble> {
        let row = session.client.query_typed_opt(sql, &[(&key, Type::TEXT)]).await?;
        let Some(row) = row else { return Ok(false) };
        let stored = Version(count(row.try_get(0)?)?);
        let text: &str = row.try_get(1)?;
        for mark in marks {
            let Mark::Record { version, record } = mark else { continue };
            if stored > *version {
                return Err(Fault::new(
                    "lost the answer to a commit, and others have written since: whether it was \
                     done cannot be told",
                    "ask again",
                )
                .into());
            }
            if stored == *version && text == record {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
