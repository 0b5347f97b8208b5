//! The ways to get a token for Graph.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where tokens come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthKind {
    /// The first of environment, workload identity, managed identity and Azure CLI that answers.
    #[default]
    Auto,
    /// A secret or a certificate, whichever the environment has.
    Environment,
    /// An application's secret.
    ClientSecret,
    /// An application's certificate.
    ClientCertificate,
    /// A federated token, as Kubernetes and pipelines hand them out.
    WorkloadIdentity,
    /// The identity that Azure gives a machine or a service.
    ManagedIdentity,
    /// Whoever `az login` signed in.
    AzureCli,
    /// A token that somebody else fetched.
    Token,
}

impl AuthKind {
    /// Every way.
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

    /// The way as it is written in configuration and flags.
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

    /// Reads what [`AuthKind::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_read() {
        for kind in AuthKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(AuthKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(AuthKind::parse("Token"), None);
    }
}
