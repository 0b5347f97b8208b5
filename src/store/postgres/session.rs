//! One connection, and what was noticed on it.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::task::AbortHandle;
use tokio_postgres::{
    AsyncMessage, Client, Connection, Error, Row, Socket, Statement,
    error::Severity,
    tls::TlsStream,
    types::{ToSql, Type},
};

use super::sql::Kept;

/// A connection that is ready for work.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    driver: AbortHandle,
    warnings: Arc<AtomicU64>,
    /// Statements that the server keeps prepared for this connection, by their text.
    kept: HashMap<String, Statement>,
}

/// A value and its type.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

impl Session {
    /// Takes over a connection. Its own task reads and writes from here on.
    pub(super) fn begin<S>(client: Client, mut connection: Connection<Socket, S>) -> Self
    where
        S: TlsStream + Unpin + Send + 'static,
    {
        let warnings = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&warnings);
        let driver = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        if notice.parsed_severity() == Some(Severity::Warning) {
                            tracing::debug!(code = notice.code().code(), "warned by the database");
                            // Counted before the answer that follows it is handed on.
                            counter.fetch_add(1, Ordering::Release);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the database ended");
                        break;
                    }
                }
            }
        });
        let driver = driver.abort_handle();
        Self { client, driver, warnings, kept: HashMap::new() }
    }

    /// Has the server keep these statements prepared, in one round trip. One that it does not
    /// take (its table is not there yet) stays unprepared on this connection.
    pub(super) async fn keep(&mut self, statements: &[Kept]) {
        let preparing =
            statements.iter().map(|kept| self.client.prepare_typed(&kept.sql, kept.types));
        let prepared = futures_util::future::join_all(preparing).await;
        self.kept = statements
            .iter()
            .zip(prepared)
            .filter_map(|(kept, prepared)| Some((kept.sql.clone(), prepared.ok()?)))
            .collect();
    }

    /// Runs a statement that finds one row at most. Sent in the first poll, like [`Self::execute`].
    pub(super) async fn query_opt(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Error> {
        match self.kept.get(sql) {
            Some(kept) => self.client.query_opt(kept, &bare(values)).await,
            None => self.client.query_typed_opt(sql, values).await,
        }
    }

    /// Runs a statement that finds one row.
    pub(super) async fn query_one(&self, sql: &str, values: &[Value<'_>]) -> Result<Row, Error> {
        match self.kept.get(sql) {
            Some(kept) => self.client.query_one(kept, &bare(values)).await,
            None => self.client.query_typed_one(sql, values).await,
        }
    }

    /// Runs a statement; how many rows it touched.
    pub(super) async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        match self.kept.get(sql) {
            Some(kept) => self.client.execute(kept, &bare(values)).await,
            None => self.client.execute_typed(sql, values).await,
        }
    }

    /// How many warnings came so far.
    pub(super) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    /// Cuts the connection, whatever is under way on it. Without this the server would be given
    /// what is still to be sent.
    pub(super) fn cut(&self) {
        self.driver.abort();
    }
}

fn bare<'a>(values: &[Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|(value, _)| *value).collect()
}
