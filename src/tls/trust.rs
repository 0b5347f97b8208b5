//! Whom to trust, asked in stages, so that a process loads no more certificates than it needs.
//!
//! The machine's certificates are some 150 files and as much again in one bundle. Reading all of
//! them costs a command more than its whole work, and nearly every server is vouched for by the
//! operator's CA file or by the bundle. Each stage trusts a part of what the last one trusts, so
//! who is trusted in the end does not depend on the stages.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

/// The operator's CA, then the machine's bundle, then everything that the machine trusts.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
    first: Option<Arc<WebPkiServerVerifier>>,
    bundle: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    machine: OnceLock<Result<Verifier, Error>>,
}

impl Trust {
    /// Trusts what the machine trusts, and `extra`.
    ///
    /// # Errors
    /// When one of `extra` is no certificate of an authority.
    pub(super) fn new(
        extra: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &extra {
            roots.add(certificate.clone())?;
        }
        let first = verifier(roots, &provider);
        Ok(Self { provider, extra, first, bundle: OnceLock::new(), machine: OnceLock::new() })
    }

    fn bundle(&self) -> Option<&WebPkiServerVerifier> {
        self.bundle.get_or_init(|| verifier(bundle(), &self.provider)).as_deref()
    }

    fn machine(&self) -> Result<&Verifier, Error> {
        let made = self.machine.get_or_init(|| {
            Verifier::new_with_extra_roots(self.extra.clone(), Arc::clone(&self.provider))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

/// The certificates of the machine's bundle file, or the one that `SSL_CERT_FILE` names.
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
fn bundle() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if let Some(file) = openssl_probe::probe().cert_file {
        let found = rustls_native_certs::load_certs_from_paths(Some(&file), None);
        roots.add_parsable_certificates(found.certs);
    }
    roots
}

/// Elsewhere the system is asked through its own interface, which has no bundle.
#[cfg(not(all(unix, not(target_vendor = "apple"), not(target_os = "android"))))]
fn bundle() -> RootCertStore {
    RootCertStore::empty()
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    // A verifier without roots cannot be built; that stage trusts nobody.
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// Whether nothing is against a server's certificate but that it is an authority's. The dates are
/// looked at before that, and the rest after: of a certificate that was named itself, they say nothing.
fn is_only_for_being_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
        return false;
    };
    matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ask = |stage: &dyn ServerCertVerifier| {
            stage.verify_server_cert(end_entity, intermediates, name, ocsp, now)
        };
        // Whatever a stage has against a certificate, one that knows more authorities may not: two of
        // them may bear one name. So only the last stage says no.
        let first = self.first.as_deref().map(|first| ask(first));
        if let Some(yes @ Ok(_)) = first {
            return yes;
        }
        if let Some(Err(no)) = &first
            && self.extra.iter().any(|pinned| pinned == end_entity)
            && is_only_for_being_an_authority(no)
        {
            // The operator named this very certificate. It marks itself as an authority's, as
            // `openssl req -x509` does by default; what is left to check is the name.
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        if let Some(yes @ Ok(_)) = self.bundle().map(|bundle| ask(bundle)) {
            return yes;
        }
        ask(self.machine()?)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        fn root(&self) -> CertificateDer<'static> {
            self.0.der().clone()
        }

        fn vouches_for(&self, name: &str) -> CertificateDer<'static> {
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone()
        }
    }

    fn trust(extra: Vec<CertificateDer<'static>>) -> Trust {
        Trust::new(extra, Arc::new(rustls::crypto::ring::default_provider())).unwrap()
    }

    fn ask(trust: &Trust, certificate: &CertificateDer<'_>, name: &str) -> Result<(), Error> {
        let name = ServerName::try_from(name).unwrap();
        trust.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).map(drop)
    }

    #[test]
    fn the_operators_authority_is_trusted_and_nothing_else_is_loaded() {
        let authority = Authority::new();
        let trust = trust(vec![authority.root()]);
        assert_eq!(ask(&trust, &authority.vouches_for("graph.test"), "graph.test"), Ok(()));
        assert!(trust.bundle.get().is_none() && trust.machine.get().is_none());
    }

    /// As `openssl req -x509` makes them: its own authority.
    fn self_signed(name: &str, last_year: bool) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if last_year {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_servers_own_certificate_can_be_named_itself() {
        let (mine, other) = (self_signed("graph.test", false), self_signed("graph.test", false));
        let expired = self_signed("graph.test", true);
        let trust = trust(vec![mine.clone(), expired.clone()]);
        assert_eq!(ask(&trust, &mine, "graph.test"), Ok(()));
        assert!(ask(&trust, &mine, "login.test").is_err(), "for its own name alone");
        assert!(ask(&trust, &other, "graph.test").is_err(), "itself alone");
        assert!(ask(&trust, &expired, "graph.test").is_err(), "while it lasts");
    }

    #[test]
    fn a_certificate_for_another_name_is_refused() {
        let authority = Authority::new();
        let trust = trust(vec![authority.root()]);
        assert!(ask(&trust, &authority.vouches_for("graph.test"), "login.test").is_err());
    }

    #[test]
    fn an_unknown_authority_is_refused_after_every_stage_was_asked() {
        let trust = trust(vec![Authority::new().root()]);
        let stranger = Authority::new().vouches_for("graph.test");
        assert!(ask(&trust, &stranger, "graph.test").is_err());
        assert!(trust.machine.get().is_some());
    }
}
