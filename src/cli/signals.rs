//! SIGINT and SIGTERM: the program ends cleanly, between requests.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{exit::Exit, ui};

/// Which signal came first.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    stop: CancellationToken,
    received: Arc<OnceLock<Exit>>,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let (stop, received) = (CancellationToken::new(), Arc::new(OnceLock::new()));
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let signals = Self { stop, received };
        let told = signals.clone();
        tokio::spawn(async move {
            let exit = tokio::select! {
                // Where both came before either was looked at, which of them says so is fixed.
                biased;
                _ = interrupt.recv() => Exit::INTERRUPTED,
                _ = terminate.recv() => Exit::TERMINATED,
            };
            // Only the first counts, and this task sees only one.
            told.received.get_or_init(|| exit);
            told.stop.cancel();
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            ui::warn("still waiting for the answer of a start in flight, at most its deadline");
        });
        Ok(signals)
    }

    /// Cancelled once a signal came.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The exit code of the signal that came first.
    pub(super) fn received(&self) -> Option<Exit> {
        self.received.get().copied()
    }
}
