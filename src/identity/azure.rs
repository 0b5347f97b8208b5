//! Asking the credentials: the one that was chosen, or for `auto` the first that is there.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;

use super::{
    credential::{Credential, World},
    keep::Source,
    refusal::{Failure, Refusal},
};
use crate::{model::AuthKind, ports::Token};

/// The credentials that the settings mean.
#[derive(Debug)]
pub(super) struct Azure {
    pub(super) kind: AuthKind,
    pub(super) candidates: Vec<Credential>,
    pub(super) world: World,
    /// For one call, however many credentials it asks.
    pub(super) deadline: Duration,
    /// The one that gave a token. It stays chosen: an identity that changes between two calls, when
    /// an endpoint was slow once, would act with other rights than the ones that were checked.
    pub(super) answered: OnceLock<usize>,
}

#[async_trait]
impl Source for Azure {
    async fn fetch(&self) -> Result<Token, Failure> {
        let began = self.world.clock.tick();
        let mut absent: Vec<Failure> = Vec::new();
        for (index, credential) in self.candidates.iter().enumerate() {
            if self.answered.get().is_some_and(|answered| *answered != index) {
                continue;
            }
            let spent = began.until(self.world.clock.tick());
            let left = self.deadline.saturating_sub(spent);
            // The runtime's timer, not the Clock: what is bounded here is real traffic.
            let asked = tokio::time::timeout(left, credential.ask(&self.world)).await;
            match asked.unwrap_or_else(|_| Err(self.too_slow(credential))) {
                Ok(token) => {
                    // Only the first call can meet it unset, and calls are one at a time.
                    self.answered.get_or_init(|| index);
                    return Ok(token);
                }
                Err(refusal) if refusal.absent && self.answered.get().is_none() => {
                    absent.push(Failure::new(credential.to_string(), refusal));
                }
                Err(refusal) => return Err(Failure::new(credential.to_string(), refusal)),
            }
        }
        Err(self.nobody(absent))
    }

    fn describe(&self) -> String {
        let one = |index: usize| self.candidates.get(index).map(ToString::to_string);
        match (self.kind, self.answered.get().copied()) {
            (AuthKind::Auto, None) => "auto (not asked yet)".to_owned(),
            (AuthKind::Auto, Some(index)) => {
                format!("auto, answered by {}", one(index).unwrap_or_default())
            }
            (
                AuthKind::Environment
                | AuthKind::ClientSecret
                | AuthKind::ClientCertificate
                | AuthKind::WorkloadIdentity
                | AuthKind::ManagedIdentity
                | AuthKind::AzureCli
                | AuthKind::Token,
                _,
            ) => one(0).unwrap_or_default(),
        }
    }
}

impl Azure {
    fn too_slow(&self, credential: &Credential) -> Refusal {
        let remedy = match credential {
            Credential::AzureCli { .. } => {
                "run `az account get-access-token` by hand to see what it waits for"
            }
            Credential::ManagedIdentity { .. } => "ask again later",
            Credential::ClientSecret { .. }
            | Credential::ClientCertificate { .. }
            | Credential::WorkloadIdentity { .. } => {
                "ask again later; check the network and HTTPS_PROXY"
            }
        };
        let problem = format!("no answer within {} s", self.deadline.as_secs_f64());
        Refusal::transient(problem, remedy)
    }

    /// Every credential that was tried turned out not to be there.
    fn nobody(&self, mut absent: Vec<Failure>) -> Failure {
        match (absent.pop(), absent.is_empty()) {
            // A kind that was asked for by name.
            (Some(only), true) => only,
            (last, _) => {
                absent.extend(last);
                let tried: Vec<String> = absent
                    .iter()
                    .map(|failure| format!("{}: {}", failure.credential, failure.refusal.problem))
                    .collect();
                let remedy = "run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                              AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH, or \
                              AZURE_FEDERATED_TOKEN_FILE), or run where there is a managed identity";
                let problem = format!(
                    "no credential is there. The environment: holds none; {}",
                    tried.join("; ")
                );
                // An endpoint that the environment promises may come back; one that was merely
                // tried does not exist.
                let promised = self.candidates.iter().any(Credential::is_promised);
                let transient = promised && absent.iter().any(|it| it.refusal.transient);
                let refusal = Refusal { transient, ..Refusal::lasting(problem, remedy) };
                Failure::new(self.kind.as_str(), refusal)
            }
        }
    }
}
