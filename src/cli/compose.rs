//! Puts the parts together. The only file that names concrete adapters.

mod lazy;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use self::lazy::{LazyGraph, NoIdentity};
use super::{Exit, failure::Failure, ui::Ui};
use crate::{
    clock::SystemClock,
    config::{self, Environment, Flags, Settings, StoreUrl},
    entropy::SystemEntropy,
    graph::{GraphSettings, HttpGraph},
    guard::{Guard, PaceSettings, Parts},
    identity::{self, IdentitySettings},
    model::{Actor, TenantKey, printable},
    ports::{Clock, Graph, Identity, Store},
    store::{Password, PostgresStore, SqliteStore},
    tls,
};

/// How long a command waits for a turn at the request pace. Whoever names a hundred jobs in one call
/// wants every one of them asked, and Ctrl-C ends it; at the default pace this is some 1,500 starts.
const PATIENCE: Duration = Duration::from_secs(600);

/// Entries pruned after a command, at the most: more than one command writes, so that a journal does
/// not outgrow its time, and a millisecond's work.
const TIDY_MOST: u32 = 64;

/// Longest time for it. The answer was told, and a script waits for the process to end.
const TIDY_WITHIN: Duration = Duration::from_millis(500);

/// What a command runs with.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) ui: Ui,
    pub(super) flags: Flags,
    pub(super) environment: Environment,
    pub(super) stop: CancellationToken,
    stores: Mutex<Vec<Opened>>,
}

/// A store that was opened, and how long it keeps its journal.
#[derive(Debug)]
struct Opened {
    store: Arc<dyn Store>,
    keep: Duration,
}

/// Everything that a command on jobs uses.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) guard: Guard,
    pub(super) actor: Actor,
    pub(super) clock: Arc<dyn Clock>,
    graph: Arc<LazyGraph>,
}

impl Session {
    /// Makes sure that Graph can be asked, so that a CA file that cannot be read is a wrong
    /// configuration and not a failing call.
    pub(super) fn reach(&self) -> Result<&Reach, Failure> {
        self.graph.reach()
    }
}

/// Microsoft Graph and the credential for it, for `doctor`, which asks each by itself.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) graph: Arc<HttpGraph>,
    pub(super) identity: Arc<dyn Identity>,
}

impl Program {
    pub(super) fn new(
        ui: Ui,
        flags: Flags,
        environment: Environment,
        stop: CancellationToken,
    ) -> Self {
        Self { ui, flags, environment, stop, stores: Mutex::default() }
    }

    /// Prunes a little of the journals that its sessions opened. For after an answer was told: no
    /// start waits for it, and what fails here is of no interest to who asked.
    pub(super) async fn tidy(&self) {
        let opened: Vec<_> = {
            let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
            stores.iter().map(|opened| (Arc::clone(&opened.store), opened.keep)).collect()
        };
        for (store, keep) in opened {
            match tokio::time::timeout(TIDY_WITHIN, store.prune(keep, TIDY_MOST)).await {
                Ok(Ok(pruned)) => tracing::debug!(pruned.entries, "pruned the journal"),
                Ok(Err(error)) => tracing::debug!(%error, "the journal was not pruned"),
                Err(_) => tracing::debug!("the journal was not pruned in time"),
            }
        }
    }

    /// Reads the configuration, and says what should be changed in it.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let settings = self.quiet_settings()?;
        if !self.ui.quiet {
            settings.warnings.iter().for_each(|warning| super::ui::warn(warning));
        }
        Ok(settings)
    }

    /// Reads the configuration.
    pub(super) fn quiet_settings(&self) -> Result<Settings, Failure> {
        config::load(&self.flags, &self.environment).map_err(|error| Failure {
            exit: Exit::USAGE,
            ..Failure::failed(&error, error.remedy())
        })
    }

    /// A session from the configuration. Nothing is opened or sent yet.
    pub(super) fn session(&self) -> Result<Session, Failure> {
        self.session_of(self.settings()?)
    }

    /// A session from these settings.
    pub(super) fn session_of(&self, settings: Settings) -> Result<Session, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let graph = Arc::new(LazyGraph::new(settings.clone()));
        let store = self.open(&settings.store.url, &settings)?;
        let guard = Guard::new(Parts {
            store,
            graph: Arc::clone(&graph) as Arc<dyn Graph>,
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            tenant: tenant(&settings),
            pace: PaceSettings {
                requests_per_second: settings.graph.requests_per_second,
                burst: settings.graph.burst,
                patience: PATIENCE,
            },
            process: format!("pid {}", std::process::id()),
            stop: self.stop.clone(),
        });
        Ok(Session { settings, guard, actor: self.actor(), clock, graph })
    }

    /// The store at `url`, which is let go of at the end. Nothing is opened yet.
    pub(super) fn open(
        &self,
        url: &StoreUrl,
        settings: &Settings,
    ) -> Result<Arc<dyn Store>, Failure> {
        let store = store(url, settings, &self.environment)?;
        let opened = Opened { store: Arc::clone(&store), keep: settings.store.keep };
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        Ok(store)
    }

    /// Runs something that may be left at any point, unless the program is told to stop.
    pub(super) async fn or_stopped(
        &self,
        command: impl Future<Output = Result<Exit, Failure>>,
    ) -> Result<Exit, Failure> {
        tokio::select! {
            // First, so that nothing that was broken off is told as an answer. The signal decides
            // the exit code.
            biased;
            () = self.stop.cancelled() => Ok(Exit::OK),
            exit = command => exit,
        }
    }

    /// Who types: `user@host`.
    fn actor(&self) -> Actor {
        let user = ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| self.environment.get(name))
            .map_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()), str::to_owned);
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        Actor(printable(&format!("{user}@{host}")).into_owned())
    }
}

/// Whose budget and throttling the calls belong to.
pub(super) fn tenant(settings: &Settings) -> TenantKey {
    let known = identity_settings(settings).tenant();
    TenantKey::new(known.as_deref(), &settings.graph.origin)
}

/// The store at `url`. Nothing is opened yet.
fn store(
    url: &StoreUrl,
    settings: &Settings,
    environment: &Environment,
) -> Result<Arc<dyn Store>, Failure> {
    match url {
        StoreUrl::Sqlite(path) => {
            Ok(Arc::new(SqliteStore::new(path, Arc::new(SystemClock), SqliteStore::DEADLINE)))
        }
        StoreUrl::Postgres(url) => {
            let ca_file = settings.graph.ca_file.clone();
            let trust = move || tls::client_config(ca_file.as_deref()).map_err(Into::into);
            let password = password(environment);
            let clock = Arc::new(SystemClock);
            PostgresStore::new(url, password, trust, clock, PostgresStore::DEADLINE)
                .map(|store| Arc::new(store) as Arc<dyn Store>)
                .map_err(|error| Failure {
                    exit: Exit::USAGE,
                    ..Failure::failed(&error, error.remedy.clone())
                })
        }
    }
}

/// Where PostgreSQL's own programs look for a password.
fn password(environment: &Environment) -> Password {
    match (environment.get("PGPASSWORD"), environment.get("PGPASSFILE")) {
        (Some(password), _) => Password::Given(password.into()),
        (None, Some(file)) => Password::File(file.into()),
        (None, None) => Password::None,
    }
}

/// Graph and the credential. Nothing is sent yet.
pub(super) fn reach(settings: &Settings) -> Result<Reach, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ca_file = settings.graph.ca_file.as_deref();
    let untrusted = |error: tls::TlsError| Failure {
        exit: Exit::USAGE,
        ..Failure::failed(&error, error.remedy())
    };
    let origin_is_plain = settings.graph.origin.starts_with("http://");
    let tls = if origin_is_plain { tls::trusting_nobody() } else { tls::client_config(ca_file) }
        .map_err(untrusted)?;
    let identity: Arc<dyn Identity> = match identity::identity(
        identity_settings(settings),
        || if origin_is_plain { tls::client_config(ca_file) } else { Ok(tls.clone()) },
        Arc::clone(&clock),
    ) {
        Ok(identity) => identity,
        // Told when a token is asked for: what needs none goes on.
        Err(error) => Arc::new(NoIdentity(error)),
    };
    let graph = HttpGraph::new(
        GraphSettings {
            origin: settings.graph.origin.clone(),
            request_timeout: settings.graph.request_timeout,
            connect_timeout: settings.graph.connect_timeout,
            read_retries: settings.graph.read_retries,
        },
        tls,
        Arc::clone(&identity),
        clock,
        Arc::new(SystemEntropy),
    )
    .map_err(|error| Failure { exit: Exit::USAGE, ..Failure::failed(&error, error.remedy()) })?;
    Ok(Reach { graph: Arc::new(graph), identity })
}

fn identity_settings(settings: &Settings) -> IdentitySettings {
    let auth = &settings.auth;
    let secret = |secret: &Option<SecretString>| secret.clone();
    IdentitySettings {
        kind: auth.kind,
        tenant_id: auth.tenant_id.clone(),
        client_id: auth.client_id.clone(),
        client_secret: secret(&auth.client_secret),
        client_certificate_path: auth.client_certificate_path.clone(),
        federated_token_file: auth.federated_token_file.clone(),
        authority_host: auth.authority_host.clone(),
        scope: auth.scope.clone(),
        token: secret(&auth.token),
        token_file: auth.token_file.clone(),
        managed_identity_hint: auth.managed_identity_hint,
        connect_timeout: settings.graph.connect_timeout,
        deadline: identity::TOKEN_DEADLINE,
    }
}
