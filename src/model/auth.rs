//! How startguard proves who it is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which credential gets the access tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthKind {
    /// The first that is there of: environment, workload identity, managed identity, Azure CLI.
    #[default]
    Auto,
    /// A client secret, a client certificate or a federated token, whichever the environment holds.
    Environment,
    /// An application's client secret.
    ClientSecret,
    /// An application's certificate.
    ClientCertificate,
    /// A federated token from a file, as Kubernetes and pipelines write it.
    WorkloadIdentity,
    /// The identity of the Azure resource that this runs on.
    ManagedIdentity,
    /// Whoever is logged in to the Azure CLI.
    AzureCli,
    /// An access token given by hand.
    Token,
}

impl AuthKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Auto,
        Self::Environment,
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::AzureCli,
        Self::Token,
    ];

    /// The kind as it is written in configuration and flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Environment => "environment",
            Self::ClientSecret => "client-secret",
            Self::ClientCertificate => "client-certificate",
            Self::WorkloadIdentity => "workload-identity",
            Self::ManagedIdentity => "managed-identity",
            Self::AzureCli => "azure-cli",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no kind of credential; use auto, environment, client-secret, client-certificate, \
     workload-identity, managed-identity, azure-cli or token"
)]
pub struct UnknownAuthKind(pub String);

impl FromStr for AuthKind {
    type Err = UnknownAuthKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownAuthKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_read() {
        for kind in AuthKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_kind_is_answered_with_all_known_ones() {
        let told = "Secret".parse::<AuthKind>().unwrap_err().to_string();
        for kind in AuthKind::ALL {
            assert!(told.contains(kind.as_str()), "{told}");
        }
    }
}
