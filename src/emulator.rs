//! A Graph emulator: provisioning jobs that can be read, started and paused, faults that can be played, and a judge.
//!
//! It imitates what Microsoft documents of the synchronization API, service principals, `$batch` and the token endpoint, below
//! `/v1.0` and `/beta`, on a loopback address. It shares no code with the client side, so that a mistake there cannot hide here.
//!
//! # Guarantees
//! - Every start POST that arrives is counted and judged: a start of a job that is neither paused nor quarantined is a
//!   violation, whatever else went wrong with that request ([`Counts`]).
//! - A request takes its effect even when its caller goes away, as with the real service.
//! - A lost answer is a connection that ends without a byte of an answer.
//!
//! # Caveats
//! - Delays, limits and the reaction to a storm of starts are invented: Microsoft publishes none of them.
//! - HTTP/1.1 without TLS.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind};
//!
//! let emulator = Emulator::builder()
//!     .job("60443998-8cf7-4e61-b05c-a53b658cb5e1", JobConfig::new("BoxOutDelta.1", "Paused"))
//!     .fault(FaultRule::on(OperationKind::Start, Effect::lost_after()).times(1))
//!     .start()
//!     .await
//!     .unwrap();
//! println!("{}", emulator.base_url());
//! assert_eq!(emulator.violations(), 0);
//! emulator.shutdown().await;
//! # }
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

mod batch;
mod config;
mod connection;
mod control;
mod directory;
mod fault;
mod fleet;
mod job;
mod judge;
mod machine;
mod odata;
mod operations;
mod path;
mod payload;
mod reply;
mod seed;
mod server;
mod service;
mod spoil;
mod time;
mod token;
mod wire;

pub use config::{
    Auth, Client, ConfigError, EmulatorConfig, ExecutionConfig, JobAddress, JobConfig,
    QuarantineConfig, ServicePrincipalConfig, Storm, Timing, TokenRule,
};
pub use connection::CutBy;
pub use fault::{Effect, FaultProgress, FaultRule, LostWhen, RetryAfter};
pub use judge::{Counts, JobCounts, Violation};
pub use machine::{Condition, ViolationKind};
pub use path::OperationKind;
pub use service::RequestRecord;

/// A running emulator. Dropping it stops it; [`shutdown`](Self::shutdown) also waits until it has stopped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<service::Shared>,
    server: server::Server,
    address: SocketAddr,
    base_url: String,
}

/// Why an emulator did not start.
#[derive(Debug, Error)]
pub enum EmulatorError {
    /// Its configuration cannot work.
    #[error("the emulator's configuration cannot work")]
    Config(#[from] ConfigError),
    /// Its address cannot be used.
    #[error("the emulator cannot listen on {address}; choose another port, or 0 for any free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Emulator {
    /// Begins with an empty directory and the default delays.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder { config: EmulatorConfig::empty() }
    }

    /// Starts an emulator in the current tokio runtime.
    ///
    /// # Errors
    /// When the configuration cannot work or the address cannot be used.
    pub async fn start(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        config.validate()?;
        let wanted = config.listen;
        let unusable = |source| EmulatorError::Listen { address: wanted, source };
        let listener = server::bind(wanted).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let stopping = CancellationToken::new();
        let clock = time::Clock::start(stopping.clone());
        let shared = Arc::new(service::Shared::new(config, clock));
        let server = server::Server::serve(listener, Arc::clone(&shared), stopping);
        Ok(Self { shared, server, address, base_url: format!("http://{address}") })
    }

    /// The origin to use as Graph endpoint, authority and control endpoint: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no more connections, waits end at once, open connections get a second to finish.
    pub async fn shutdown(mut self) {
        self.server.stop().await;
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state().judge.counts().clone()
    }

    /// The number of starts that broke the rule.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.shared.state().judge.counts().violations
    }

    /// The counts of one job; zeros when nobody asked for it yet.
    #[must_use]
    pub fn job(&self, service_principal: &str, job: &str) -> JobCounts {
        self.shared.state().judge.counts().job(service_principal, job)
    }

    /// The true condition of a job at this moment, which a read with a lag may not show yet.
    #[must_use]
    pub fn condition(&self, service_principal: &str, job: &str) -> Option<Condition> {
        let state = self.shared.state();
        let now = self.shared.clock.elapsed();
        let (_, job) = state.directory.job(service_principal, job)?;
        job.at(now).map(|(_, condition)| condition.clone())
    }

    /// The last 2,000 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.state().log.iter().cloned().collect()
    }

    /// Sets a job up anew, with its service principal where that is new. Its counts go on.
    pub fn set_job(&self, service_principal: &str, job: JobConfig) {
        self.shared.set_job(service_principal, job);
    }

    /// Adds a fault rule behind those that are there.
    ///
    /// # Errors
    /// When the rule cannot be played.
    pub fn add_fault(&self, rule: FaultRule) -> Result<(), ConfigError> {
        rule.validate()?;
        self.shared.state().faults.push(rule);
        Ok(())
    }

    /// Takes all fault rules away.
    pub fn clear_faults(&self) {
        self.shared.state().faults = fault::Faults::default();
    }

    /// How far each fault rule got.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultProgress> {
        self.shared.state().faults.progress().to_vec()
    }

    /// Changes the delays.
    pub fn set_timing(&self, timing: Timing) {
        self.shared.state().config.timing = timing;
    }

    /// Zeroes the counts and empties the request log; jobs and faults stay.
    pub fn forget_counts(&self) {
        self.shared.forget_counts();
    }

    /// Goes back to the configuration; no count, token or fault that came later survives.
    pub fn reset(&self) {
        self.shared.reset();
    }
}

/// Puts an emulator together.
#[derive(Debug, Clone)]
#[must_use]
pub struct EmulatorBuilder {
    config: EmulatorConfig,
}

impl EmulatorBuilder {
    /// Replaces everything by `config`.
    pub fn config(mut self, config: EmulatorConfig) -> Self {
        self.config = config;
        self
    }

    /// Listens here instead of on any free port of 127.0.0.1.
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Adds a job, and its service principal where that is new.
    pub fn job(mut self, service_principal: &str, job: JobConfig) -> Self {
        self.config.add_job(service_principal, job);
        self
    }

    /// Adds a service principal.
    pub fn service_principal(mut self, service_principal: ServicePrincipalConfig) -> Self {
        self.config.service_principals.push(service_principal);
        self
    }

    /// Adds a fault rule behind those that are there.
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.config.faults.push(rule);
        self
    }

    /// Sets the delays.
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.config.timing = timing;
        self
    }

    /// Sets what counts as a storm of starts.
    pub const fn storm(mut self, storm: Storm) -> Self {
        self.config.storm = storm;
        self
    }

    /// Sets who may call.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.config.auth = auth;
        self
    }

    /// Sets the most items on a page.
    pub const fn page_size(mut self, items: usize) -> Self {
        self.config.page_size = items;
        self
    }

    /// Starts it in the current tokio runtime.
    ///
    /// # Errors
    /// When the configuration cannot work or the address cannot be used.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        Emulator::start(self.config).await
    }
}
