//! Which credential the settings mean.

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::{
    IdentitySettings,
    credential::{App, Credential},
    file::SecretFile,
    refusal::Refusal,
    text::one_line,
};
use crate::model::AuthKind;

/// The credentials to ask, in order. More than one only for `auto`.
pub(super) fn candidates(settings: &IdentitySettings) -> Result<Vec<Credential>, Refusal> {
    match settings.kind {
        // A proof in the environment was put there by somebody who wants it used: `auto` asks it
        // and nothing else. Were its failure a reason to go on, an expired secret would let a
        // server act as whoever happens to be logged in to its Azure CLI, with that person's
        // rights, and nobody would notice.
        AuthKind::Auto => match in_environment(settings) {
            Some(credential) => Ok(vec![credential?]),
            None => Ok(vec![managed_identity(settings), azure_cli(settings)?]),
        },
        AuthKind::Environment => in_environment(settings).unwrap_or_else(|| {
            Err(Refusal::lasting(
                "the environment holds no client secret, no client certificate and no federated \
                 token",
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and one of AZURE_CLIENT_SECRET, \
                 AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE",
            ))
        })
        .map(one),
        AuthKind::ClientSecret => {
            client_secret(settings).unwrap_or_else(|| missing("AZURE_CLIENT_SECRET")).map(one)
        }
        AuthKind::ClientCertificate => client_certificate(settings)
            .unwrap_or_else(|| missing("AZURE_CLIENT_CERTIFICATE_PATH"))
            .map(one),
        AuthKind::WorkloadIdentity => workload_identity(settings)
            .unwrap_or_else(|| missing("AZURE_FEDERATED_TOKEN_FILE"))
            .map(one),
        AuthKind::ManagedIdentity => Ok(vec![managed_identity(settings)]),
        AuthKind::AzureCli => azure_cli(settings).map(one),
        AuthKind::Token => missing("STARTGUARD_TOKEN"),
    }
}

fn one(credential: Credential) -> Vec<Credential> {
    vec![credential]
}

/// The proof that the environment holds; the strongest to revoke last, as other tools order them.
fn in_environment(settings: &IdentitySettings) -> Option<Result<Credential, Refusal>> {
    client_secret(settings)
        .or_else(|| client_certificate(settings))
        .or_else(|| workload_identity(settings))
}

fn client_secret(settings: &IdentitySettings) -> Option<Result<Credential, Refusal>> {
    let secret = settings.client_secret.clone().filter(|it| !it.expose_secret().is_empty())?;
    Some(app(settings).map(|app| Credential::ClientSecret { app, secret }))
}

fn client_certificate(settings: &IdentitySettings) -> Option<Result<Credential, Refusal>> {
    let file = SecretFile {
        path: given_path(settings.client_certificate_path.as_ref())?,
        what: "the certificate file",
        variable: "AZURE_CLIENT_CERTIFICATE_PATH",
    };
    Some(app(settings).map(|app| Credential::ClientCertificate { app, file }))
}

fn workload_identity(settings: &IdentitySettings) -> Option<Result<Credential, Refusal>> {
    let file = SecretFile {
        path: given_path(settings.federated_token_file.as_ref())?,
        what: "the federated token file",
        variable: "AZURE_FEDERATED_TOKEN_FILE",
    };
    Some(app(settings).map(|app| Credential::WorkloadIdentity { app, file }))
}

fn managed_identity(settings: &IdentitySettings) -> Credential {
    Credential::ManagedIdentity {
        client_id: given(settings.client_id.as_deref()).map(str::to_owned),
        hinted: settings.managed_identity_hint,
    }
}

fn azure_cli(settings: &IdentitySettings) -> Result<Credential, Refusal> {
    let tenant_id = given(settings.tenant_id.as_deref()).map(checked_tenant).transpose()?;
    Ok(Credential::AzureCli { tenant_id })
}

fn app(settings: &IdentitySettings) -> Result<App, Refusal> {
    let tenant_id = given(settings.tenant_id.as_deref()).map(checked_tenant);
    let client_id = given(settings.client_id.as_deref());
    Ok(App {
        tenant_id: tenant_id.unwrap_or_else(|| missing("AZURE_TENANT_ID"))?,
        client_id: client_id.map_or_else(|| missing("AZURE_CLIENT_ID"), |id| Ok(id.to_owned()))?,
    })
}

/// A tenant's GUID or domain. It goes into a URL and into a shell command.
fn checked_tenant(text: &str) -> Result<String, Refusal> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) {
        return Ok(text.to_owned());
    }
    Err(Refusal::lasting(
        format!("{} is no tenant", one_line(text)),
        "set AZURE_TENANT_ID to the tenant's GUID or to one of its domains",
    ))
}

/// An empty variable is how many tools say that there is none.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn given_path(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}

fn missing<T>(variable: &'static str) -> Result<T, Refusal> {
    let problem = format!("{variable} is not set");
    Err(Refusal::lasting(
        problem,
        format!("set {variable}, or choose another kind in `[auth] kind`"),
    ))
}

#[cfg(test)]
mod tests;
