//! The emulator in a network namespace, with TLS in front of it: startguard speaks plain HTTP to its
//! own machine only.

use std::{
    fs::File,
    net::SocketAddr,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use startguard::emulator::{Emulator, EmulatorBuilder};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

/// A running emulator and the way to it.
pub(crate) struct Graph {
    pub(crate) emulator: Arc<Emulator>,
    /// What hosts use as Graph's endpoint.
    pub(crate) origin: String,
    /// The certificate that they trust.
    pub(crate) ca: PathBuf,
    _folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Graph {
    /// Serves at `address`, in the namespace that the file names if there is one.
    pub(crate) fn start(builder: EmulatorBuilder, address: &str, namespace: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        let acceptor = acceptor(address, &ca);
        let listen = SocketAddr::new(address.parse().expect("an address"), 0);
        let namespace = namespace.map(|path| File::open(path).expect("a namespace"));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        // A namespace is a thread's: this one serves there, and ends there.
        let thread = std::thread::spawn(move || {
            if let Some(file) = namespace {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), network).expect("entered");
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let emulator = Arc::new(builder.start().await.expect("an emulator"));
                let listener = TcpListener::bind(listen).await.expect("a port");
                let port = listener.local_addr().expect("an address").port();
                let front = tokio::spawn(front(listener, emulator.address(), acceptor));
                tell.send((emulator, port)).expect("somebody waits");
                stopped.await.ok();
                front.abort();
            });
        });
        let (emulator, port) = told.recv().expect("it starts");
        Self {
            emulator,
            origin: format!("https://{address}:{port}"),
            ca,
            _folder: folder,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The port of the front.
    pub(crate) fn port(&self) -> u16 {
        let port = self.origin.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("a port")
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn acceptor(address: &str, ca: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec![address.to_owned()]).expect("a certificate");
    std::fs::write(ca, made.cert.pem()).expect("written");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
        .expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Ends TLS and hands the bytes on.
async fn front(listener: TcpListener, to: SocketAddr, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut inner = TcpStream::connect(to).await.ok()?;
            stream.set_nodelay(true).and(inner.set_nodelay(true)).ok()?;
            let mut outer = acceptor.accept(stream).await.ok()?;
            tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok()
        });
    }
}
