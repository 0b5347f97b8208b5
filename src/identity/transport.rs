//! The HTTP client that `azure_identity` sends its token requests through.
//!
//! # Guarantees
//! - One call is one request: no retry, no redirect (a 307 would carry the secret to another host),
//!   no connection used twice (a stale one would fail a request for nothing).
//! - A failure comes out as a [`Refusal`], of a kind of error that `azure_core`'s retry policy does
//!   not repeat; that of the metadata service cannot be switched off and would go on for 72 s.
//! - No answer is read beyond [`LONGEST_ANSWER`], and none is decompressed.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    Bytes,
    error::ErrorKind,
    http::{AsyncRawResponse, Body, HttpClient, Request, headers::Headers},
};
use reqwest::{Client, header::HeaderValue, redirect, retry};
use rustls::ClientConfig;

use super::{answer, fault, refusal::Refusal};
use crate::tls::{self, TlsError};

/// Tokens with hundreds of group claims stay below 20 KB; an error page may be longer and is cut.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The metadata service is on the machine's own link and answers a connect in microseconds, or it
/// is not there and the packets get lost: everybody else's computer would wait.
const METADATA_CONNECT: Duration = Duration::from_secs(1);

/// The clients. The one for the authority exists only where a credential needs it: reading the
/// machine's certificates costs more than all the rest of a short call, and the Azure CLI and a
/// managed identity need none.
pub(super) struct Clients {
    authority: Option<Client>,
    connect_timeout: Duration,
    metadata: OnceLock<Result<Client, Refusal>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// `authority` is the TLS set-up for the authority and whether it is on this machine.
    pub(super) fn new(
        authority: Option<(ClientConfig, bool)>,
        connect_timeout: Duration,
    ) -> Result<Self, Refusal> {
        // A proxy of the environment is for other hosts than this one.
        let authority = authority.map(|(tls, here)| build(tls, connect_timeout, !here));
        Ok(Self { authority: authority.transpose()?, connect_timeout, metadata: OnceLock::new() })
    }

    fn client(&self, peer: Peer) -> Result<&Client, Refusal> {
        match peer {
            Peer::Authority => self.authority.as_ref().ok_or_else(unusable_tls),
            Peer::Metadata { .. } => {
                let built = self.metadata.get_or_init(|| {
                    // Plain HTTP on the machine's own link, so nobody's certificate is trusted;
                    // and whatever a proxy would reach is somebody else's identity.
                    let tls = tls::trusting_nobody().map_err(|error| refused_tls(&error))?;
                    build(tls, self.connect_timeout.min(METADATA_CONNECT), false)
                });
                built.as_ref().map_err(Clone::clone)
            }
        }
    }
}

/// What is wrong with the TLS set-up.
pub(super) fn refused_tls(error: &TlsError) -> Refusal {
    Refusal::lasting(error.to_string(), error.remedy())
}

fn unusable_tls() -> Refusal {
    Refusal::lasting("TLS cannot be set up", "report this as a defect of startguard")
}

#[expect(clippy::disallowed_methods, reason = "every trap of the defaults is closed here")]
fn build(tls: ClientConfig, connect_timeout: Duration, proxies: bool) -> Result<Client, Refusal> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(connect_timeout);
    if !proxies {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|_| unusable_tls())
}

/// What App Service's endpoint takes as proof that the caller runs inside.
const IDENTITY_HEADER: &str = "x-identity-header";

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    /// The token endpoint of the authority.
    Authority,
    /// A managed identity endpoint.
    Metadata {
        /// Whether the environment says that there is one.
        hinted: bool,
    },
}

/// What `azure_identity` gets as its HTTP client.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) clients: Arc<Clients>,
    pub(super) peer: Peer,
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.send(request).await.map_err(carried)
    }
}

impl Transport {
    async fn send(&self, request: &Request) -> Result<AsyncRawResponse, Refusal> {
        let url = request.url();
        let from = origin(url);
        let client = self.clients.client(self.peer)?;
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|_| unexpected(&from))?;
        let body = sent(request)?;
        let mut outgoing = client.request(method, url.clone()).body(body.clone());
        for (name, value) in request.headers().iter() {
            let mut value = HeaderValue::from_str(value.as_str()).map_err(|_| unexpected(&from))?;
            value.set_sensitive(name.as_str() == IDENTITY_HEADER);
            outgoing = outgoing.header(name.as_str(), value);
        }
        let mut response = outgoing.send().await.map_err(|error| self.unreachable(&from, error))?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        while answer.len() < LONGEST_ANSWER
            && let Some(chunk) =
                response.chunk().await.map_err(|error| self.unreachable(&from, error))?
        {
            answer.extend_from_slice(&chunk);
        }
        handed_on(self.peer, request, status, answer)
    }

    fn unreachable(&self, from: &str, error: reqwest::Error) -> Refusal {
        let fault = fault::Fault::of(from, error);
        match self.peer {
            Peer::Authority => fault.refusal(
                "check the network, name resolution and HTTPS_PROXY; the cloud's token endpoint \
                 must be reachable over HTTPS",
            ),
            Peer::Metadata { .. } => {
                let refusal = fault.refusal(
                    "run on an Azure resource that has a managed identity, or choose another kind \
                     in `[auth] kind`",
                );
                if fault.never_met { refusal.absent() } else { refusal }
            }
        }
    }
}

/// A refusal inside an error that `azure_core` does not repeat, as it would `Io` and `Connection`.
pub(super) fn carried(refusal: Refusal) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Other, refusal)
}

/// What `azure_identity` gets of an answer to `request`: a token's, or nothing.
pub(super) fn handed_on(
    peer: Peer,
    request: &Request,
    status: u16,
    mut answer: Vec<u8>,
) -> Result<AsyncRawResponse, Refusal> {
    let from = origin(request.url());
    if (200..=299).contains(&status) {
        if answer.len() >= LONGEST_ANSWER {
            return Err(answer::no_token(&from));
        }
        if matches!(peer, Peer::Authority) {
            answer::granted(&from, &answer)?;
        }
        return Ok(AsyncRawResponse::from_bytes(status.into(), Headers::new(), answer));
    }
    answer.truncate(LONGEST_ANSWER);
    let secrets = secrets_of(request, sent(request)?);
    Err(match peer {
        Peer::Authority => answer::refused_by_authority(&from, status, &answer, &secrets),
        Peer::Metadata { hinted } => {
            answer::refused_by_metadata(&from, status, &answer, &secrets, hinted)
        }
    })
}

/// The body of a token request.
fn sent(request: &Request) -> Result<&Bytes, Refusal> {
    match request.body() {
        Body::Bytes(body) => Ok(body),
        Body::SeekableStream(_) => Err(unexpected(&origin(request.url()))),
    }
}

fn unexpected(from: &str) -> Refusal {
    Refusal::lasting(
        format!("a request to {from} was of a kind that token requests never are"),
        "report this as a defect of startguard",
    )
}

/// Scheme, host and port: the query may hold what is nobody's business.
fn origin(url: &azure_core::http::Url) -> String {
    url.origin().ascii_serialization()
}

/// Everything in a request that must not come back in an error, as it was before it was encoded
/// and as it was sent.
fn secrets_of(request: &Request, body: &[u8]) -> Vec<String> {
    let mut secrets: Vec<String> = url::form_urlencoded::parse(body)
        .filter(|(name, _)| matches!(name.as_ref(), "client_secret" | "client_assertion"))
        .flat_map(|(_, value)| {
            let sent: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            [value.into_owned(), sent]
        })
        .collect();
    let header = request.headers().iter().find(|(name, _)| name.as_str() == IDENTITY_HEADER);
    secrets.extend(header.map(|(_, value)| value.as_str().to_owned()));
    secrets
}

#[cfg(test)]
mod tests;
