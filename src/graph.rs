//! The Graph adapter: reads that may be repeated, and the one call that must not.
//!
//! # Guarantees
//! - A permit puts at most one POST on the wire, over HTTP/1.1 and HTTP/2, whatever the answer: no
//!   redirect is followed, nothing repeats it, and its connection serves nothing else.
//! - The token goes to the configured origin and nowhere else: no redirect is followed, and a next
//!   page elsewhere is an error.
//! - Every call ends: a read by its deadline, a POST by its permit's. Bodies are read up to
//!   [`LONGEST_BODY`].
//! - After a Retry-After nothing more goes out of this process until it has passed, and the call
//!   that met it ends at once, so that its caller can tell everyone who shares the store.
//!
//! # Caveats
//! - Timers stop while the machine sleeps, so a call that a suspend interrupts lasts that much
//!   longer; the permit is checked on a clock that goes on.

mod body;
mod call;
mod client;
mod credential;
mod fault;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzz;
mod list;
mod origin;
mod probe;
mod quiet;
mod read;
mod reply;
mod retry_after;
mod start;
mod text;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    decide::{Permit, StartReply},
    model::{Job, JobKey, ServicePrincipal, ServicePrincipalId, Tick},
    ports::{Clock, Cost, Entropy, Graph, GraphError, Identity, SpLookup, Told},
};

use call::Trail;
use client::Clients;
use credential::Credential;
use origin::Origin;
use quiet::Quiet;

pub use body::LONGEST_BODY;
pub use probe::Probe;

/// Which Graph, and how patient to be with it. Source: `[graph]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSettings {
    /// Scheme and host, with a port where it is not the usual one: `https://graph.microsoft.com`.
    pub origin: String,
    /// How long one request may take, from the first byte sent to the last one received.
    pub request_timeout: Duration,
    /// How long name look-up, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// How often a read may be repeated.
    pub read_retries: u32,
}

/// Why there is no Graph client.
#[derive(Debug, thiserror::Error)]
pub enum GraphSetupError {
    /// The origin is not one.
    #[error("the Graph endpoint {origin:?} {problem}")]
    Origin {
        /// What was given, without credentials.
        origin: String,
        /// What is wrong with it, continuing the sentence.
        problem: &'static str,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for Graph could not be built")]
    Client(#[source] reqwest::Error),
}

impl GraphSetupError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Origin { .. } => {
                "`[graph] endpoint` (or --graph-endpoint) is an origin such as \
                 https://graph.microsoft.com, without a path; plain http is for loopback addresses"
            }
            Self::Client(_) => {
                "check the proxy variables (HTTPS_PROXY, ALL_PROXY) and `[graph] ca_file`"
            }
        }
    }
}

/// How much longer than a POST a token must live when an attempt begins: the read before the POST
/// may take half a minute with its repeats, and clocks differ by some seconds.
const TOKEN_SLACK: Duration = Duration::from_secs(60);

/// Microsoft Graph over HTTP.
pub struct HttpGraph {
    origin: Origin,
    request_timeout: Duration,
    read_retries: u32,
    clients: Clients,
    credential: Credential,
    quiet: Quiet,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl HttpGraph {
    /// A client for the Graph at the settings' origin. Opens no connection and asks for no token.
    ///
    /// `tls` says whom to trust; for a plain loopback origin it is never used.
    ///
    /// # Errors
    /// [`GraphSetupError`] with the remedy.
    pub fn new(
        settings: GraphSettings,
        tls: rustls::ClientConfig,
        identity: Arc<dyn Identity>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, GraphSetupError> {
        let origin = Origin::parse(&settings.origin)?;
        let clients = Clients::build(&settings, tls, &origin).map_err(GraphSetupError::Client)?;
        let at_least = settings.request_timeout.saturating_add(TOKEN_SLACK);
        Ok(Self {
            origin,
            request_timeout: settings.request_timeout,
            read_retries: settings.read_retries,
            clients,
            credential: Credential::new(identity, at_least),
            quiet: Quiet::default(),
            clock,
            entropy,
        })
    }

    /// Which proxy the environment sets for the origin, without credentials. A loopback origin is
    /// always reached directly.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        self.origin.proxy()
    }

    fn trail(&self) -> Trail {
        Trail::new(self.clock.tick(), self.clock.wall())
    }
}

impl fmt::Debug for HttpGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpGraph").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[async_trait]
impl Graph for HttpGraph {
    async fn authorize(&self) -> Result<(), GraphError> {
        self.credential.token().await.map(drop).map_err(GraphError::NoToken)
    }

    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        let mut trail = self.trail();
        let body = self.read(&self.origin.job(key), deadline, &mut trail).await;
        trail.told(body.and_then(|body| {
            wire::text(&body)
                .and_then(wire::job)
                .map_err(|problem| GraphError::BadResponse { problem })
        }))
    }

    async fn jobs(&self, service_principal: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>> {
        let mut trail = self.trail();
        let first = self.origin.jobs(service_principal);
        let jobs = self.list(first, deadline, &mut trail, |item| Ok(wire::listed_job(item))).await;
        trail.told(jobs)
    }

    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        let mut trail = self.trail();
        let first = self.origin.find(lookup);
        let found = self.list(first, deadline, &mut trail, wire::service_principal).await;
        trail.told(found)
    }

    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        self.post_start(permit).await
    }
}
