//! Doors for fuzzing (feature `testing`): what a token endpoint says, without a network between. No
//! reading is done here: `azure_identity` asks, and gets what the transport would hand on to it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use azure_core::{
    cloud::CloudConfiguration,
    credentials::{Secret, TokenCredential},
    http::{
        AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions,
        Transport as AzureTransport,
    },
};
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions,
};
use futures_util::FutureExt as _;

use super::{
    credential::{App, Credential},
    refusal::{Failure, Refusal},
    transport::{self, Peer},
};
use crate::ports::{IdentityError, Token};

const TENANT: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";
const CLIENT: &str = "0c7d1e2f-3a4b-4b62-9f5a-8a41d2c730b1";
const SCOPE: &str = "https://graph.microsoft.com/.default";

/// Who answers.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// The authority, which was sent this client secret.
    Authority(&'a str),
    /// A managed identity endpoint that the environment promises, or that is merely tried.
    Metadata {
        /// Whether it is promised.
        hinted: bool,
    },
}

/// What became of an answer.
#[derive(Debug)]
pub struct Told {
    /// The token, or what a person is told.
    pub token: Result<Token, IdentityError>,
    /// Whether `auto` asks the next credential.
    pub absent: bool,
    /// How often the endpoint was asked.
    pub asked: usize,
}

/// An endpoint that answers everything so.
#[derive(Debug)]
struct Endpoint {
    peer: Peer,
    status: u16,
    body: Vec<u8>,
    asked: AtomicUsize,
}

#[async_trait]
impl HttpClient for Endpoint {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        transport::handed_on(self.peer, request, self.status, self.body.clone())
            .map_err(transport::carried)
    }
}

/// What a credential makes of an answer of this status and body.
#[must_use]
pub fn answer(asked: Asked<'_>, status: u16, body: &[u8]) -> Told {
    let (peer, credential) = match asked {
        Asked::Authority(secret) => {
            let app = App { tenant_id: TENANT.to_owned(), client_id: CLIENT.to_owned() };
            (Peer::Authority, Credential::ClientSecret { app, secret: secret.into() })
        }
        Asked::Metadata { hinted } => {
            (Peer::Metadata { hinted }, Credential::ManagedIdentity { client_id: None, hinted })
        }
    };
    let asked_times = AtomicUsize::new(0);
    let endpoint = Arc::new(Endpoint { peer, status, body: body.to_vec(), asked: asked_times });
    let read = object(asked, Arc::<Endpoint>::clone(&endpoint)).and_then(|object| {
        // Nothing is waited for, unless it is to ask again.
        object.get_token(&[SCOPE], None).now_or_never().unwrap_or_else(|| {
            Err(transport::carried(Refusal::lasting("it asks again", "asked once, it is to end")))
        })
    });
    let read = credential.read(read);
    let absent = read.as_ref().is_err_and(|refusal| refusal.absent);
    let token = read.map_err(|refusal| Failure::new(credential.to_string(), refusal).into());
    Told { token, absent, asked: endpoint.asked.load(Ordering::Relaxed) }
}

/// What asks, as [`Credential`] makes it.
fn object(
    asked: Asked<'_>,
    endpoint: Arc<dyn HttpClient>,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let client_options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(AzureTransport::new(endpoint)),
        // Otherwise the environment would say.
        cloud: Some(Arc::new(CloudConfiguration::AzurePublic)),
        ..ClientOptions::default()
    };
    Ok(match asked {
        Asked::Authority(secret) => ClientSecretCredential::new(
            TENANT,
            CLIENT.to_owned(),
            Secret::new(secret.to_owned()),
            Some(ClientSecretCredentialOptions { client_options }),
        )?,
        Asked::Metadata { .. } => {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: None,
                client_options,
            }))?
        }
    })
}
