//! `[auth]`: who asks. Secrets come from the environment alone.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    ConfigError, Environment,
    layers::required,
    origin::For,
    written::{Layer, Origin, Raw, Written},
};
use crate::model::{AuthKind, Cloud};

/// Variables by which Azure tells a program where its managed identity is served (App Service,
/// Functions, Container Apps, Arc, Cloud Shell).
const MANAGED_IDENTITY: [&str; 3] = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT"];

/// Longest tenant or client id accepted; domain names end at 253 characters.
const LONGEST_ID: usize = 253;

/// Longest scope accepted: a scope is an application's URI and a word.
const LONGEST_SCOPE: usize = 512;

/// `[auth]` and what `azure_identity` reads from the environment, checked.
#[derive(Debug, Clone)]
pub struct AuthSection {
    /// Where tokens come from.
    pub kind: AuthKind,
    /// The tenant; `[auth] tenant_id` or `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// The application, or the user-assigned managed identity; `[auth] client_id` or
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`.
    pub client_certificate_path: Option<PathBuf>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Who issues tokens: `AZURE_AUTHORITY_HOST`, or the cloud's.
    pub authority_host: String,
    /// What a token is asked for.
    pub scope: String,
    /// `STARTGUARD_TOKEN`.
    pub token: Option<SecretString>,
    /// `STARTGUARD_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// Whether the environment says that a managed identity is served here, so that asking for one
    /// costs no wait for a machine that has none.
    pub managed_identity_hint: bool,
}

impl AuthSection {
    pub(super) fn read(
        layer: &Layer,
        cloud: Cloud,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let kind = required(layer, "kind")?.choice()?;
        let secret = |name| environment.get(name).map(SecretString::from);
        let path = |name| environment.get(name).map(PathBuf::from);
        let (token, token_file) = (secret("STARTGUARD_TOKEN"), path("STARTGUARD_TOKEN_FILE"));
        check_token(kind, token.is_some(), token_file.is_some(), warnings)?;
        Ok(Self {
            kind,
            tenant_id: layer.get("tenant_id").map(id).transpose()?,
            client_id: layer.get("client_id").map(id).transpose()?,
            client_secret: secret("AZURE_CLIENT_SECRET"),
            client_certificate_path: path("AZURE_CLIENT_CERTIFICATE_PATH"),
            federated_token_file: path("AZURE_FEDERATED_TOKEN_FILE"),
            authority_host: authority(cloud, environment)?,
            scope: match layer.get("scope") {
                Some(written) => scope(written)?,
                // Of the cloud also where the endpoint is another: an emulator or a proxy in front
                // of Graph takes Graph's tokens.
                None => cloud.scope(),
            },
            token,
            token_file,
            managed_identity_hint: MANAGED_IDENTITY
                .iter()
                .any(|name| environment.get(name).is_some()),
        })
    }
}

/// A tenant or client id: the characters that both GUIDs and domain names are made of, so that it
/// is no path step in the authority's URL.
fn id(written: &Written) -> Result<String, ConfigError> {
    let text = written.text()?;
    let is_id = text.len() <= LONGEST_ID
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if is_id {
        return Ok(text.to_owned());
    }
    Err(written.refuse(
        "is not an id",
        "write a GUID, as the Entra admin centre shows it (a tenant also by its domain name)",
    ))
}

fn scope(written: &Written) -> Result<String, ConfigError> {
    let text = written.text()?;
    let is_scope = text.starts_with("https://")
        && text.len() <= LONGEST_SCOPE
        && text.chars().all(|c| c.is_ascii_graphic());
    if is_scope {
        return Ok(text.to_owned());
    }
    Err(written.refuse(
        "is not a scope",
        "write Graph's own URL and /.default, such as https://graph.microsoft.com/.default",
    ))
}

fn authority(cloud: Cloud, environment: &Environment) -> Result<String, ConfigError> {
    const NAME: &str = "AZURE_AUTHORITY_HOST";
    match environment.get(NAME) {
        Some(text) => Written {
            setting: NAME.to_owned(),
            raw: Raw::Bare(text.to_owned()),
            origin: Origin::Variable(NAME.to_owned()),
        }
        .origin_of(For::Authority),
        None => Ok(cloud.authority().to_owned()),
    }
}

/// A token that nobody uses, or two of them, is not what somebody meant.
fn check_token(
    kind: AuthKind,
    token: bool,
    file: bool,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if kind != AuthKind::Token {
        let set = [("STARTGUARD_TOKEN", token), ("STARTGUARD_TOKEN_FILE", file)];
        warnings.extend(set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| {
            format!(
                "{name} is set but not used, since the kind of authentication is {kind}; to use it, \
                 set --auth token"
            )
        }));
        return Ok(());
    }
    if token && file {
        return Err(ConfigError::new(
            "STARTGUARD_TOKEN and STARTGUARD_TOKEN_FILE are both set, and only one can hold",
            "unset one of them",
        ));
    }
    Ok(())
}
