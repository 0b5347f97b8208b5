//! TLS in front of a plain server, and an ear on what goes through.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What one connection carried to the server.
type Heard = Arc<Mutex<Vec<u8>>>;

/// Ends TLS for 127.0.0.1 with a certificate of a CA of its own.
pub(super) struct Front {
    url: String,
    dir: tempfile::TempDir,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Front {
    pub(super) async fn before(server: SocketAddr) -> Self {
        let (ca, config) = certificates();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let all = Arc::clone(&heard);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heard = Heard::default();
                all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&heard));
                tokio::spawn(carry(acceptor.clone(), stream, server, heard));
            }
        });
        Self { url, dir, heard }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Connections that were made.
    pub(super) fn connections(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// The form fields of the last request.
    pub(super) fn last_form(&self) -> Vec<(String, String)> {
        let heard = Arc::clone(self.heard.lock().unwrap().last().unwrap());
        let request = heard.lock().unwrap().clone();
        let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        url::form_urlencoded::parse(&request[end + 4..]).into_owned().collect()
    }

    pub(super) fn last_field(&self, name: &str) -> Option<String> {
        self.last_form().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Carries bytes both ways until either side ends; a client that does not trust us ends it at once.
async fn carry(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr, heard: Heard) {
    let Ok(client) = acceptor.accept(stream).await else { return };
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut chunk = [0; 4_096];
        while let Ok(count) = from_client.read(&mut chunk).await {
            let part = &chunk[..count];
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
            if count == 0 || to_server.write_all(part).await.is_err() {
                break;
            }
        }
    };
    let back = async {
        // An error means that the client has gone.
        tokio::io::copy(&mut from_server, &mut to_client).await.ok();
        to_client.shutdown().await.ok();
    };
    tokio::select! { () = there => {}, () = back => {} }
}

/// A CA's certificate in PEM, and a server set-up with a certificate that it signed.
fn certificates() -> (String, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (ca, config)
}
