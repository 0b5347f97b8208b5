//! startguard: guarded starts for Microsoft Entra provisioning jobs.
//!
//! One POST starts a provisioning job, and Microsoft says when it may be sent: only while the job is
//! Paused or in Quarantine, and never again and again while it runs. [`guard::Guard`] keeps to that,
//! over every process and host that shares its store: it reads the state first, and a lease, a start
//! budget and a journal, all durable, stand before the one request.
//!
//! Most people use the program; this library is for those who embed the guard. A start against the
//! built-in emulator:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use startguard::{
//!     clock::SystemClock,
//!     config::{self, Environment, Flags},
//!     emulator::{Emulator, JobConfig},
//!     entropy::SystemEntropy,
//!     graph::{GraphSettings, HttpGraph},
//!     guard::{Guard, PaceSettings, Parts, Request},
//!     identity::{self, IdentitySettings},
//!     model::{Actor, AuthKind, JobId, JobKey, JobRef, OutcomeKind, ServicePrincipalId, TenantKey},
//!     store::SqliteStore,
//!     tls,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const SP: &str = "60443998-8cf7-4e61-b05c-a53b658cb5e1";
//! let emulator = Emulator::builder().job(SP, JobConfig::new("box", "Paused")).start().await?;
//! let origin = emulator.base_url().to_owned();
//!
//! // What holds where nothing is configured.
//! let home = tempfile::tempdir()?;
//! let environment = Environment::of([("HOME", &*home.path().to_string_lossy())]);
//! let settings = config::load(&Flags::default(), &environment)?;
//!
//! let clock = Arc::new(SystemClock);
//! let identity = identity::identity(
//!     IdentitySettings {
//!         kind: AuthKind::Token,
//!         tenant_id: None,
//!         client_id: None,
//!         client_secret: None,
//!         client_certificate_path: None,
//!         federated_token_file: None,
//!         authority_host: settings.auth.authority_host.clone(),
//!         scope: settings.auth.scope.clone(),
//!         token: Some("a-token".into()),
//!         token_file: None,
//!         managed_identity_hint: false,
//!         connect_timeout: settings.graph.connect_timeout,
//!         deadline: identity::TOKEN_DEADLINE,
//!     },
//!     || tls::client_config(None),
//!     clock.clone(),
//! )?;
//! let graph = HttpGraph::new(
//!     GraphSettings {
//!         origin: origin.clone(),
//!         request_timeout: settings.graph.request_timeout,
//!         connect_timeout: settings.graph.connect_timeout,
//!         read_retries: settings.graph.read_retries,
//!     },
//!     tls::trusting_nobody()?, // Plain http: the emulator is on this machine.
//!     identity,
//!     clock.clone(),
//!     Arc::new(SystemEntropy),
//! )?;
//! let ledger = home.path().join("ledger.db");
//! let guard = Guard::new(Parts {
//!     store: Arc::new(SqliteStore::new(&ledger, clock.clone(), SqliteStore::DEADLINE)),
//!     graph: Arc::new(graph),
//!     clock,
//!     entropy: Arc::new(SystemEntropy),
//!     tenant: TenantKey::new(None, &origin),
//!     pace: PaceSettings {
//!         requests_per_second: settings.graph.requests_per_second,
//!         burst: settings.graph.burst,
//!         patience: Duration::from_secs(10),
//!     },
//!     process: "an example".to_owned(),
//!     stop: Default::default(),
//! });
//!
//! let request = Request {
//!     job: JobRef {
//!         key: JobKey { service_principal_id: ServicePrincipalId::parse(SP)?, job_id: JobId::parse("box")? },
//!         name: None,
//!     },
//!     policy: settings.guard.clone(),
//!     actor: Actor("alice@ops1".to_owned()),
//!     accept: Vec::new(),
//!     reason: Some("after the repair".to_owned()),
//!     dry_run: false,
//!     lease_wait: Duration::ZERO,
//!     wait: None,
//! };
//! assert_eq!(guard.start(request.clone()).await.outcome, OutcomeKind::Started);
//! // Asked again, the cool-down says when; nothing is sent.
//! assert_eq!(guard.start(request).await.outcome, OutcomeKind::Deferred);
//! assert_eq!(emulator.job(SP, "box").starts, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Where to read on, from the outside in: [`cli`] is the program, [`guard`] walks a start through its
//! steps, [`decide`] makes every decision and touches nothing, [`ports`] says what the guard needs of
//! the world, and [`graph`], [`identity`], [`store`], [`clock`] and [`entropy`] are that world.

pub mod cli;
pub mod clock;
pub mod config;
pub mod decide;
pub mod emulator;
pub mod entropy;
pub mod graph;
pub mod guard;
pub mod identity;
pub mod model;
pub mod ports;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
