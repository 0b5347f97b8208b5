//! Client assertions: a token that proves who we are, in place of a secret.
//!
//! `azure_identity` signs with a certificate only through OpenSSL, which would be a second TLS stack;
//! so the assertion is made here, with ring, and `azure_identity` sends it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use azure_core::{base64::encode_url_safe, error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SigningKey},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    file::{SecretFile, bearer_of},
    refusal::Refusal,
};
use crate::ports::Clock;

/// What Microsoft's own libraries use; a stolen assertion is worth nothing afterwards.
const ASSERTION_LIFE_SECONDS: i64 = 10 * 60;

/// A federated token, read anew for every assertion: whoever writes the file renews it.
#[derive(Debug)]
pub(super) struct FederatedToken(pub(super) SecretFile);

#[async_trait]
impl ClientAssertion for FederatedToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let content = self.0.read().await.map_err(carried)?;
        let token = bearer_of(&self.0, &content).map_err(carried)?;
        Ok(token.expose_secret().to_owned())
    }
}

/// A certificate and its private key in one PEM file, read anew for every assertion, so that a
/// renewed certificate is used without a restart.
pub(super) struct Certificate {
    pub(super) file: SecretFile,
    pub(super) client_id: String,
    /// The token endpoint that the assertion is for.
    pub(super) audience: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("file", &self.file).finish_non_exhaustive()
    }
}

#[async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let pem = self.file.read().await.map_err(carried)?;
        self.sign(pem.expose_secret()).map_err(carried)
    }
}

/// A refusal inside an error that `azure_identity` passes on.
fn carried(refusal: Refusal) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Credential, refusal)
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(rename = "x5t#S256")]
    thumbprint: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: &'a str,
    nbf: i64,
    iat: i64,
    exp: i64,
}

impl Certificate {
    /// Makes the assertion that Microsoft describes in "Application authentication certificate
    /// credentials": a JWT signed with PS256, the certificate named by its SHA-256 thumbprint.
    fn sign(&self, pem: &[u8]) -> Result<String, Refusal> {
        let (certificate, key) = self.pair(pem)?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).ok_or_else(|| {
            self.file.refusal("holds a key that is not RSA, the only kind that Entra ID takes")
        })?;
        let now = self.clock.wall().as_second();
        let thumbprint = encode_url_safe(Sha256::digest(&certificate));
        let header = Header { alg: "PS256", typ: "JWT", thumbprint: &thumbprint };
        let claims = Claims {
            aud: &self.audience,
            iss: &self.client_id,
            sub: &self.client_id,
            jti: &self.id(),
            nbf: now,
            iat: now,
            exp: now.saturating_add(ASSERTION_LIFE_SECONDS),
        };
        let unusable = |_| self.file.refusal("holds a key that cannot sign");
        let part = |json: serde_json::Result<Vec<u8>>| json.map(encode_url_safe);
        let head = part(serde_json::to_vec(&header)).map_err(unusable)?;
        let body = part(serde_json::to_vec(&claims)).map_err(unusable)?;
        let signed = format!("{head}.{body}");
        let signature = signer
            .sign(signed.as_bytes())
            .map_err(|_| self.file.refusal("holds a key that cannot sign"))?;
        Ok(format!("{signed}.{}", encode_url_safe(signature)))
    }

    /// The key, and the certificate that belongs to it (a chain may stand around it).
    fn pair(&self, pem: &[u8]) -> Result<(CertificateDer<'static>, Arc<dyn SigningKey>), Refusal> {
        let convert = "convert a PFX file with `openssl pkcs12 -in cert.pfx -out cert.pem -nodes`, \
                       and point AZURE_CLIENT_CERTIFICATE_PATH at the result";
        let wrong =
            |problem: &str| Refusal { remedy: convert.into(), ..self.file.refusal(problem) };
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("is not PEM"))?;
        if certificates.is_empty() {
            return Err(wrong("holds no certificate in PEM form"));
        }
        let encrypted = b"ENCRYPTED";
        if pem.windows(encrypted.len()).any(|window| window == encrypted) {
            return Err(wrong("holds an encrypted private key, which cannot be used"));
        }
        let key = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| wrong("holds no private key in PEM form"))?;
        let key = any_supported_type(&key).map_err(|_| {
            wrong("holds a private key that cannot be read (RSA of 2048 to 4096 bits)")
        })?;
        let certificate = certificates
            .into_iter()
            .find(|certificate| {
                CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key)).keys_match().is_ok()
            })
            .ok_or_else(|| wrong("holds a private key that belongs to no certificate in it"))?;
        Ok((certificate, key))
    }

    /// An id that no other assertion has. It need not be unpredictable, only never repeated: the
    /// time and a counter tell the assertions of a process apart, the boot and the process id those
    /// of different processes.
    fn id(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let boot = self.clock.boot().map(|boot| boot.id.0).unwrap_or_default();
        let process = std::process::id();
        let seed = format!(
            "{} {boot} {process} {} {count}",
            self.client_id,
            self.clock.wall().as_nanosecond()
        );
        encode_url_safe(Sha256::digest(seed))
    }
}

#[cfg(test)]
mod tests;
