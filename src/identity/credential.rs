//! One credential: which of `azure_identity`'s it is, and how it is asked.

use std::{fmt, sync::Arc};

use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential},
    http::{ClientOptions, RetryOptions, Transport as AzureTransport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    answer,
    assertion::{Certificate, FederatedToken},
    authority::Authority,
    az::Az,
    file::{SecretFile, bearer},
    refusal::Refusal,
    text::one_line,
    transport::{Clients, Peer, Transport},
};
use crate::{
    model::Timestamp,
    ports::{Clock, Token},
};

/// An application of a tenant.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) tenant_id: String,
    pub(super) client_id: String,
}

/// A credential and all that it needs.
#[derive(Debug)]
pub(super) enum Credential {
    ClientSecret { app: App, secret: SecretString },
    ClientCertificate { app: App, file: SecretFile },
    WorkloadIdentity { app: App, file: SecretFile },
    ManagedIdentity { client_id: Option<String>, hinted: bool },
    AzureCli { tenant_id: Option<String> },
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |f: &mut fmt::Formatter<'_>, what: &str, app: &App| {
            let (client, tenant) = (one_line(&app.client_id), one_line(&app.tenant_id));
            write!(f, "the {what} of application {client} in tenant {tenant}")
        };
        match self {
            Self::ClientSecret { app, .. } => of(f, "client secret", app),
            Self::ClientCertificate { app, .. } => of(f, "client certificate", app),
            Self::WorkloadIdentity { app, .. } => of(f, "workload identity", app),
            Self::ManagedIdentity { client_id: Some(id), .. } => {
                write!(f, "the managed identity {}", one_line(id))
            }
            Self::ManagedIdentity { client_id: None, .. } => f.write_str("the managed identity"),
            Self::AzureCli { .. } => f.write_str("the Azure CLI"),
        }
    }
}

/// What every credential is asked with.
#[derive(Debug)]
pub(super) struct World {
    pub(super) authority: Authority,
    pub(super) scope: String,
    pub(super) clients: Arc<Clients>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Credential {
    /// Asks it for a token, with one request or one run of `az`.
    ///
    /// `azure_identity`'s object is made anew each time: it keeps tokens and files of its own, by its
    /// own rules, and could not be told to forget a token that Graph did not accept.
    pub(super) async fn ask(&self, world: &World) -> Result<Token, Refusal> {
        let credential = self.build(world).map_err(|error| self.explain(&error))?;
        self.read(credential.get_token(&[world.scope.as_str()], None).await)
    }

    /// What `azure_identity` made of the answer.
    pub(super) fn read(&self, answer: azure_core::Result<AccessToken>) -> Result<Token, Refusal> {
        let token = answer.map_err(|error| self.explain(&error))?;
        self.check(&token)
    }

    /// Whether the authority is asked, over TLS.
    pub(super) fn asks_authority(&self) -> bool {
        match self {
            Self::ClientSecret { .. }
            | Self::ClientCertificate { .. }
            | Self::WorkloadIdentity { .. } => true,
            Self::ManagedIdentity { .. } | Self::AzureCli { .. } => false,
        }
    }

    /// Whether the environment says that it is there, though it may be away just now.
    pub(super) fn is_promised(&self) -> bool {
        matches!(self, Self::ManagedIdentity { hinted: true, .. })
    }

    fn build(&self, world: &World) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match self {
            Self::ClientSecret { app, secret } => ClientSecretCredential::new(
                &app.tenant_id,
                app.client_id.clone(),
                Secret::new(secret.expose_secret().to_owned()),
                Some(ClientSecretCredentialOptions { client_options: world.of_authority() }),
            )?,
            Self::ClientCertificate { app, file } => {
                let certificate = Certificate {
                    file: file.clone(),
                    client_id: app.client_id.clone(),
                    audience: world.authority.token_endpoint(&app.tenant_id),
                    clock: Arc::clone(&world.clock),
                };
                with_assertion(app, certificate, world)?
            }
            // Not azure_identity's WorkloadIdentityCredential, which is this very credential around
            // a file reader of its own: that one sends the line break at the file's end along (the
            // authority then calls the token malformed) and reads without bound.
            Self::WorkloadIdentity { app, file } => {
                with_assertion(app, FederatedToken(file.clone()), world)?
            }
            Self::ManagedIdentity { client_id, hinted } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: world.options(Peer::Metadata { hinted: *hinted }),
                }))?
            }
            Self::AzureCli { tenant_id } => {
                AzureCliCredential::new(Some(AzureCliCredentialOptions {
                    tenant_id: tenant_id.clone(),
                    executor: Some(Arc::new(Az)),
                    ..AzureCliCredentialOptions::default()
                }))?
            }
        })
    }

    /// What an error of `azure_identity` means.
    ///
    /// The ones that we met have a [`Refusal`] at their root. Of the others nothing is shown that
    /// `azure_identity` read from outside: it may quote what it could not understand.
    fn explain(&self, error: &azure_core::Error) -> Refusal {
        if let Some(refusal) = Refusal::inside(error) {
            return refusal.clone();
        }
        match self {
            Self::AzureCli { .. } => Refusal::lasting(
                "az answered something that is not a token",
                "update the Azure CLI (2.54 or newer), and run `az account get-access-token` by \
                 hand to see what it prints",
            ),
            // It looks at the environment before it asks anybody, and finds kinds of endpoint
            // (Azure Arc, Service Fabric, Cloud Shell) that it has no code for.
            Self::ManagedIdentity { .. } => match error.to_string() {
                text if text.contains("isn't supported") => Refusal::lasting(
                    one_line(&text),
                    "choose another kind in `[auth] kind`: this Azure service's managed identity \
                     cannot be used",
                )
                .absent(),
                _ => answer::no_token("the managed identity endpoint"),
            },
            Self::ClientSecret { .. }
            | Self::ClientCertificate { .. }
            | Self::WorkloadIdentity { .. } => answer::no_token("the token endpoint"),
        }
    }

    fn check(&self, token: &AccessToken) -> Result<Token, Refusal> {
        let secret = bearer(token.token.secret().as_bytes()).map_err(|problem| {
            Refusal::lasting(
                format!("the token that it gave {problem}"),
                "something between this machine and Microsoft changes answers: check the proxy",
            )
        })?;
        let expires_at = Timestamp::from_second(token.expires_on.unix_timestamp()).ok();
        Ok(Token { secret, expires_at })
    }
}

fn with_assertion<A: ClientAssertion + 'static>(
    app: &App,
    assertion: A,
    world: &World,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let credential = ClientAssertionCredential::new(
        app.tenant_id.clone(),
        app.client_id.clone(),
        assertion,
        Some(ClientAssertionCredentialOptions { client_options: world.of_authority() }),
    )?;
    Ok(credential)
}

impl World {
    fn of_authority(&self) -> ClientOptions {
        self.options(Peer::Authority)
    }

    fn options(&self, peer: Peer) -> ClientOptions {
        let transport = Transport { clients: Arc::clone(&self.clients), peer };
        ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(AzureTransport::new(Arc::new(transport))),
            cloud: Some(Arc::new(self.authority.cloud())),
            ..ClientOptions::default()
        }
    }
}
