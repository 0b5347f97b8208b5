//! Tokens by the real `azure_identity`, from a token endpoint on this machine: the emulator, behind
//! TLS whose CA the product is told of as an operator would tell it.
//!
//! Time is the machine's here, since real sockets are waited for.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails in a helper fails its test")]

mod authority;
mod child;
mod environment;
mod front;
mod leaks;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use startguard::{
    clock::SystemClock,
    emulator::{Auth, Client, Emulator, EmulatorBuilder, FaultRule, OperationKind},
    identity::{IdentitySettings, TOKEN_DEADLINE, identity},
    model::AuthKind,
    ports::{Identity, IdentityError},
};

use front::Front;

const TENANT: &str = "contoso.example";
const CLIENT: &str = "6e1b5a0c-0000-4000-8000-000000000001";
const SECRET: &str = "canary~secret";

/// An emulator that knows one application, behind TLS.
struct Bench {
    emulator: Emulator,
    front: Front,
}

impl Bench {
    async fn new() -> Self {
        Self::of(Emulator::builder()).await
    }

    async fn of(builder: EmulatorBuilder) -> Self {
        let client = Client {
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            tenant: Some(TENANT.to_owned()),
        };
        let auth = Auth { clients: vec![client], ..Auth::default() };
        let emulator = builder.auth(auth).start().await.unwrap();
        let front = Front::before(emulator.address()).await;
        Self { emulator, front }
    }

    /// Every token request meets this.
    async fn with_fault(rule: FaultRule) -> Self {
        let bench = Self::new().await;
        bench.emulator.add_fault(rule).unwrap();
        bench
    }

    fn settings(&self, kind: AuthKind) -> IdentitySettings {
        IdentitySettings { authority_host: self.front.url().to_owned(), ..settings(kind) }
    }

    fn identity(&self, settings: IdentitySettings) -> Arc<dyn Identity> {
        let ca = self.front.ca_file();
        identity(settings, move || startguard::tls::client_config(Some(&ca)), Arc::new(SystemClock))
            .unwrap()
    }

    /// Token requests that arrived.
    fn asked(&self) -> u64 {
        self.emulator.counts().of(OperationKind::Token)
    }
}

/// The application's secret, and nothing else that could be asked.
fn settings(kind: AuthKind) -> IdentitySettings {
    IdentitySettings {
        kind,
        tenant_id: Some(TENANT.to_owned()),
        client_id: Some(CLIENT.to_owned()),
        client_secret: Some(SecretString::from(SECRET)),
        client_certificate_path: None,
        federated_token_file: None,
        authority_host: "https://127.0.0.1:1".to_owned(),
        scope: "https://graph.microsoft.com/.default".to_owned(),
        token: None,
        token_file: None,
        managed_identity_hint: false,
        connect_timeout: Duration::from_secs(5),
        deadline: TOKEN_DEADLINE,
    }
}

async fn token(identity: &Arc<dyn Identity>) -> Result<String, IdentityError> {
    let token = identity.token(Duration::from_secs(60)).await?;
    assert!(token.expires_at.is_some());
    Ok(token.secret.expose_secret().to_owned())
}
