//! What TLS trusts: the machine's own certificates, and the operator's extra CA.

mod trust;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};

use self::trust::Trust;

/// Why there is no TLS set-up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The extra CA file cannot be used.
    #[error("the CA file {path} {problem}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, continuing the sentence.
        problem: &'static str,
        /// What the system said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The machine's certificates cannot be used.
    #[error("the machine's certificates cannot be used")]
    System(#[source] rustls::Error),
}

impl TlsError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::CaFile { .. } => {
                "`[graph] ca_file` names a PEM file with at least one certificate"
            }
            Self::System(_) => {
                "install the system's CA certificates (Debian: the package ca-certificates), or \
                 name a file of them in SSL_CERT_FILE or `[graph] ca_file`"
            }
        }
    }
}

/// A client set-up that trusts what the machine trusts and, if given, the certificates of `ca_file`.
///
/// The provider is ring: aws-lc-rs spends about 20 ms of CPU per process on its own entropy, and a
/// command line starts a process per call. Clones share one cache of sessions.
///
/// # Errors
/// [`TlsError`] with the remedy.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let extra = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
    let trust = Trust::new(extra, Arc::clone(&provider)).map_err(TlsError::System)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::System)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth())
}

/// A client set-up that trusts nobody, for plain HTTP to this machine: reading the machine's
/// certificates would cost more than the whole call.
///
/// # Errors
/// When the provider supports no protocol version, which is a defect.
pub fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::System)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Makes ring the provider of every part of the program that asks rustls for one. The first call
/// decides; later ones change nothing.
pub fn install_provider() {
    // An error means that a provider is installed already.
    drop(ring::default_provider().install_default());
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Reads every certificate of a PEM file.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |problem, source: Option<Box<dyn std::error::Error + Send + Sync>>| {
        TlsError::CaFile { path: path.to_owned(), problem, source }
    };
    let pem = std::fs::read(path).map_err(|error| fault("cannot be read", Some(error.into())))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fault("is not PEM", Some(error.into())))?;
    if certificates.is_empty() {
        return Err(fault("holds no certificate", None));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let told = |path: &Path| client_config(Some(path)).unwrap_err().to_string();
        assert!(told(&path).ends_with("ca.pem cannot be read"));
        std::fs::write(&path, "hello").unwrap();
        assert!(told(&path).ends_with("ca.pem holds no certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(told(&path).ends_with("ca.pem is not PEM"));
    }

    #[test]
    fn a_good_ca_file_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(client_config(Some(&path)).is_ok());
        assert!(trusting_nobody().is_ok());
    }
}
