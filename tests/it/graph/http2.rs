//! HTTP/2 over TLS, framed by hand: what a server may do to a stream, and TLS that fails.
//!
//! HTTP/2 lets a client repeat a stream that the server refused, and HTTP clients do so by
//! themselves: the server counts what arrives.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use startguard::{
    clock::SystemClock,
    decide::{Intent, StartReply},
    entropy::SystemEntropy,
    graph::HttpGraph,
    model::StatusCode,
    ports::{Clock as _, Graph as _, GraphError},
    testing::ManualClock,
    tls,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Tokens, key, permit, settings, soon, start};
use crate::frame::frame;

const HEADERS: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;
const END_HEADERS: u8 = 4;
/// `:method: POST` and `:status: 200`, `204` in HPACK's static table.
const METHOD_POST: u8 = 0x83;
const STATUS_200: u8 = 0x88;
const STATUS_204: u8 = 0x89;

/// What the server does with a stream.
#[derive(Debug, Clone, Copy)]
enum Play {
    /// 204 for a POST, a job for a GET.
    Answers,
    /// `RST_STREAM` with `REFUSED_STREAM`.
    Refuses,
    /// `RST_STREAM` with `ENHANCE_YOUR_CALM`.
    Calms,
    /// `GOAWAY` that has processed nothing, and the end.
    GoesAway,
    /// The end.
    Ends,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
    posts: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(play: Play) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts: [Arc<AtomicUsize>; 3] = Default::default();
        let [connections, posts, streams] = counts.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let [connections, posts, streams] = counts.clone();
                connections.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // An error is the client's going away, or its distrust.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(serve(stream, play, &posts, &streams).await);
                    }
                });
            }
        });
        let task = task.abort_handle();
        Self { address, certificate, connections, posts, streams, task }
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    fn trusted(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    fn client(&self, tls: ClientConfig) -> HttpGraph {
        let (identity, clock) = (Arc::new(Tokens::default()), Arc::new(SystemClock));
        HttpGraph::new(settings(&self.origin()), tls, identity, clock, Arc::new(SystemEntropy))
            .unwrap()
    }

    fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    play: Play,
    posts: &AtomicUsize,
    streams: &AtomicUsize,
) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let settings = frame(4, 0, 0, &[]);
    stream.write_all(&settings).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        if head[3] == 4 && head[4] & 1 == 0 {
            let acknowledged = frame(4, 1, 0, &[]);
            stream.write_all(&acknowledged).await?;
        }
        if head[3] != HEADERS {
            continue;
        }
        let post = payload.first() == Some(&METHOD_POST);
        streams.fetch_add(1, Ordering::SeqCst);
        posts.fetch_add(usize::from(post), Ordering::SeqCst);
        let answer = match play {
            Play::Answers if post => frame(HEADERS, END_STREAM_AND_HEADERS, id, &[STATUS_204]),
            Play::Answers => {
                let mut job = frame(HEADERS, END_HEADERS, id, &[STATUS_200]);
                job.extend(frame(0, 1, id, br#"{"status":{"code":"Paused"}}"#));
                job
            }
            Play::Refuses => frame(3, 0, id, &7_u32.to_be_bytes()),
            Play::Calms => frame(3, 0, id, &11_u32.to_be_bytes()),
            Play::GoesAway => frame(7, 0, 0, &[0; 8]),
            Play::Ends => Vec::new(),
        };
        stream.write_all(&answer).await?;
        stream.flush().await?;
        if matches!(play, Play::GoesAway | Play::Ends) {
            return stream.shutdown().await;
        }
    }
}

#[tokio::test]
async fn reads_share_a_connection_and_a_post_has_its_own() {
    let server = Server::start(Play::Answers).await;
    let graph = server.client(server.trusted());
    for _ in 0..3 {
        assert_eq!(graph.job(&key(), soon()).await.result.unwrap().code, StatusCode::Paused);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    for _ in 0..2 {
        assert_eq!(start(&graph).await.0, StartReply::Accepted);
    }
    assert_eq!((server.connections.load(Ordering::SeqCst), server.posts()), (3, 2));
}

#[tokio::test]
async fn a_refused_stream_is_one_post() {
    for play in [Play::Refuses, Play::Calms, Play::GoesAway, Play::Ends] {
        let server = Server::start(play).await;
        let (reply, cost) = start(&server.client(server.trusted())).await;
        assert!(matches!(reply, StartReply::Unclear { .. }), "{play:?}: {reply:?}");
        assert_eq!((server.posts(), cost.requests), (1, 1), "{play:?}");
    }
}

/// Shows that the server above tells one POST from several: reqwest's defaults send more.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the defaults are what is shown here")]
async fn a_default_client_repeats_a_refused_post() {
    let server = Server::start(Play::Refuses).await;
    let mut tls = server.trusted();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let client =
        reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
    assert!(client.post(server.origin()).send().await.is_err());
    assert!(server.posts() > 1, "{}", server.posts());
}

#[tokio::test]
async fn every_request_of_a_read_is_one_that_is_counted() {
    let server = Server::start(Play::Refuses).await;
    let told = server.client(server.trusted()).job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    let streams = u32::try_from(server.streams.load(Ordering::SeqCst)).unwrap();
    assert_eq!((told.cost.requests, streams), (3, 3));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_proves_that_nothing_was_sent() {
    let server = Server::start(Play::Answers).await;
    let graph = server.client(tls::trusting_nobody().unwrap());
    let (reply, cost) = start(&graph).await;
    let StartReply::NotSent { problem } = &reply else { panic!("{reply:?}") };
    assert!(problem.contains("invalid peer certificate"), "{problem}");
    assert_eq!((cost.requests, server.streams.load(Ordering::SeqCst)), (0, 0));
    let told = graph.job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_proves_that_nothing_was_sent() {
    // Accepts and says nothing: connecting ends by its own deadline, before the POST's.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut settings = settings(&format!("https://localhost:{port}"));
    settings.request_timeout = Duration::from_millis(600);
    let (identity, clock) = (Arc::new(Tokens::default()), Arc::new(SystemClock));
    let tls = tls::trusting_nobody().unwrap();
    let graph = HttpGraph::new(settings, tls, identity, clock, Arc::new(SystemEntropy)).unwrap();
    let (reply, cost) = start(&graph).await;
    assert_eq!(reply, StartReply::NotSent { problem: "connecting took too long".to_owned() });
    assert_eq!(cost.requests, 0);
}

#[tokio::test]
async fn a_connection_that_does_not_stand_when_the_permit_ends_carries_no_start() {
    // Accepts and says nothing, with settings by which that could go on for half an hour.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut settings = settings(&format!("https://localhost:{port}"));
    settings.request_timeout = Duration::from_secs(3_600);
    settings.connect_timeout = Duration::from_secs(3_600);
    let clock = Arc::new(ManualClock::new(SystemClock.wall()));
    let permit = permit(clock.clone(), Duration::from_secs(5)).await;
    // The permit may be used for 300 ms more. What ends the connecting otherwise is the deadline of
    // the whole request, and proves nothing.
    clock.advance(Intent::SEND_WITHIN - Duration::from_millis(300));
    let (tls, identity) = (tls::trusting_nobody().unwrap(), Arc::new(Tokens::default()));
    let graph = HttpGraph::new(settings, tls, identity, clock, Arc::new(SystemEntropy)).unwrap();
    graph.authorize().await.unwrap();
    let (reply, cost) = graph.start(permit).await;
    assert_eq!(reply, StartReply::NotSent { problem: "connecting took too long".to_owned() });
    assert_eq!(cost.requests, 0);
}
