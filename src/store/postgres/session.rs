//! One connection, and what was noticed on it.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket, error::Severity, tls::TlsStream};

/// A connection that is ready for work.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    driver: AbortHandle,
    warnings: Arc<AtomicU64>,
}

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
        Self { client, driver, warnings }
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
