//! Access tokens: from Microsoft's identity platform through `azure_identity`, or given by hand.
//!
//! # Guarantees
//! - One call for a token is at most one request per credential, or one run of `az`, and ends
//!   within [`IdentitySettings::deadline`]. Nothing is repeated and no redirect is followed.
//! - Callers at the same time share one fetch, and for some seconds its failure.
//! - `auto` keeps to the credential that answered first, for as long as the process lives.
//! - No secret, token or assertion shows in an error, a log or a `Debug`.
//!
//! # Caveats
//! - `azure_identity` looks at `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `MSI_ENDPOINT` and the like
//!   by itself to find a managed identity; everything else comes from the settings.
//! - The managed identities of Azure Arc, Service Fabric, Azure ML and Cloud Shell cannot be used.

mod answer;
mod assertion;
mod authority;
mod az;
mod azure;
mod choice;
mod credential;
mod fault;
mod file;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzz;
mod given;
mod keep;
mod refusal;
mod remedy;
mod text;
mod transport;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::ClientConfig;
use secrecy::SecretString;

use crate::{
    model::AuthKind,
    ports::{Clock, Identity, IdentityError},
    tls::TlsError,
};
use authority::Authority;
use azure::Azure;
use credential::{Credential, World};
use given::Given;
use keep::Keeper;
use refusal::{Failure, Refusal};
use text::one_line;
use transport::{Clients, refused_tls};

/// How long one call for a token may take in all.
///
/// Entra answers within a second. `az` starts a Python program and takes two to five on a small
/// machine; before it, `auto` may wait a second for a managed identity that is not there. What takes
/// longer than three times that is not coming, and a caller holds no lease yet while it waits.
pub const TOKEN_DEADLINE: Duration = Duration::from_secs(15);

/// Which credential, and all that it needs. The configuration reads the environment; this does not.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// Which credential.
    pub kind: AuthKind,
    /// The tenant (`AZURE_TENANT_ID`).
    pub tenant_id: Option<String>,
    /// The application, or the user-assigned managed identity (`AZURE_CLIENT_ID`).
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// A PEM file with certificate and private key (`AZURE_CLIENT_CERTIFICATE_PATH`).
    pub client_certificate_path: Option<PathBuf>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Who issues tokens: the cloud's, or `AZURE_AUTHORITY_HOST`. An https origin.
    pub authority_host: String,
    /// What the token is for, such as `https://graph.microsoft.com/.default`.
    pub scope: String,
    /// A token given by hand.
    pub token: Option<SecretString>,
    /// A file that holds one.
    pub token_file: Option<PathBuf>,
    /// Whether the environment says that there is a managed identity endpoint
    /// (`IDENTITY_ENDPOINT`, `MSI_ENDPOINT`); then its answer is final, whatever it is.
    pub managed_identity_hint: bool,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one call for a token may take in all; see [`TOKEN_DEADLINE`].
    pub deadline: Duration,
}

impl IdentitySettings {
    /// The tenant that the credential knows, for budgets; none for a token given by hand.
    #[must_use]
    pub fn tenant(&self) -> Option<String> {
        match self.kind {
            AuthKind::Token => None,
            AuthKind::Auto
            | AuthKind::Environment
            | AuthKind::ClientSecret
            | AuthKind::ClientCertificate
            | AuthKind::WorkloadIdentity
            | AuthKind::ManagedIdentity
            | AuthKind::AzureCli => self.tenant_id.clone().filter(|id| !id.is_empty()),
        }
    }
}

/// The identity that the settings mean. Asks nobody yet.
///
/// `tls` is called only where the authority will be asked: never for a token given by hand, the
/// Azure CLI or a managed identity.
///
/// # Errors
/// When something is missing or malformed, with the variable to set.
pub fn identity(
    settings: IdentitySettings,
    tls: impl FnOnce() -> Result<ClientConfig, TlsError>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Identity>, IdentityError> {
    if settings.kind == AuthKind::Token {
        return Ok(Arc::new(Given::new(&settings)?));
    }
    let azure = azure(&settings, tls, Arc::clone(&clock)).map_err(|refusal| {
        Failure::new(format!("`[auth] kind = \"{}\"`", settings.kind), refusal)
    })?;
    Ok(Arc::new(Keeper::new(Arc::new(azure), clock)))
}

fn azure(
    settings: &IdentitySettings,
    tls: impl FnOnce() -> Result<ClientConfig, TlsError>,
    clock: Arc<dyn Clock>,
) -> Result<Azure, Refusal> {
    let candidates = choice::candidates(settings)?;
    let authority = Authority::parse(&settings.authority_host)?;
    let scope = checked_scope(&settings.scope)?;
    let tls = if candidates.iter().any(Credential::asks_authority) {
        Some((tls().map_err(|error| refused_tls(&error))?, authority.is_loopback()))
    } else {
        None
    };
    let clients = Arc::new(Clients::new(tls, settings.connect_timeout)?);
    Ok(Azure {
        kind: settings.kind,
        candidates,
        world: World { authority, scope, clients, clock },
        deadline: settings.deadline,
        answered: OnceLock::new(),
    })
}

/// A scope, which goes into a form, a query and a shell command.
fn checked_scope(text: &str) -> Result<String, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Refusal::lasting(
        format!("{} is no scope", one_line(text)),
        "the scope is the Graph endpoint with /.default behind it: check `--graph-endpoint`",
    ))
}
