//! A server that keeps every request as it came and misbehaves as it is told.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    two,
    wire::{Heard, Method, Said, Wire, listen},
};

/// One thing that a server does on a connection.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// The same bytes so often, or until the client has gone.
    Flood(Vec<u8>, usize),
    /// These bytes one by one and for ever, a pause before each.
    Trickle(Vec<u8>),
    /// Says nothing more, but listens, and answers pings.
    Hang,
    /// Neither says nor reads anything more.
    Freeze,
    /// Waits until the client has given the request up.
    UntilGivenUp,
    /// Ends as one should: with TLS's farewell.
    Close,
    /// Ends the connection below TLS, without its farewell.
    Cut,
    /// The end with a reset.
    Reset,
}

/// Between two bytes of a trickle: far below every time-out, so that what reads without an end of its
/// own never ends.
const TRICKLE: Duration = Duration::from_millis(20);

/// What becomes of a connection before any request.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    /// TLS, and this version of HTTP.
    Speaks(Wire),
    /// TLS without a word about versions, and HTTP/1.1.
    SpeaksUnasked,
    /// No TLS, but HTTP/1.1.
    Plain,
    /// TLS and this version, but these steps come before anything is read.
    First(Wire, Vec<Step>),
    /// TLS under a certificate that nobody vouches for.
    Stranger,
    /// These steps in place of TLS.
    Raw(Vec<Step>),
}

/// What a server does.
pub(super) trait Part: Send + Sync + 'static {
    /// What becomes of the nth connection, counted from 0.
    fn opening(&self, connection: usize) -> Opening;

    /// What becomes of a request, the nth of its method, counted from 0.
    fn steps(&self, heard: &Heard, nth: usize) -> Vec<Step>;

    /// What HTTP/2's first SETTINGS say beside the usual.
    fn settings(&self, _connection: usize) -> Vec<u8> {
        Vec::new()
    }
}

/// A certificate for this machine, and who trusts it.
#[derive(Clone)]
pub(super) struct Paper {
    pub(super) pem: String,
    config: ServerConfig,
}

impl fmt::Debug for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paper").finish_non_exhaustive()
    }
}

impl Paper {
    pub(super) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1", "graph.invalid"].map(str::to_owned))
                .unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self { pem: made.cert.pem(), config }
    }

    fn acceptor(&self, alpn: &[&[u8]]) -> TlsAcceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server has counted.
#[derive(Debug, Default)]
struct Book {
    heard: Mutex<Vec<Heard>>,
    nonsense: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// The server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    book: Arc<Book>,
    began: watch::Receiver<usize>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(paper: &Paper, part: impl Part) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book: Arc<Book> = Arc::default();
        let (begin, began) = watch::channel(0);
        let shop = Shop {
            book: Arc::clone(&book),
            part: Arc::new(part),
            paper: paper.clone(),
            begin: Arc::new(begin),
        };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shop.book.connections.fetch_add(1, Ordering::SeqCst);
                let shop = shop.clone();
                tokio::spawn(async move {
                    // An error is the client's going away, or its distrust.
                    drop(shop.receive(stream, number).await);
                });
            }
        });
        Self { address, book, began, task: task.abort_handle() }
    }

    pub(super) fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.book.heard.lock().unwrap().clone()
    }

    pub(super) fn count(&self, method: Method) -> usize {
        self.heard().iter().filter(|heard| heard.method == method).count()
    }

    pub(super) fn posts(&self) -> usize {
        self.count(Method::Post)
    }

    pub(super) fn connections(&self) -> usize {
        self.book.connections.load(Ordering::SeqCst)
    }

    /// What came that could not be read: nothing, or the counts are worth nothing.
    pub(super) fn nonsense(&self) -> Vec<String> {
        self.book.nonsense.lock().unwrap().clone()
    }

    /// Waits until the server has begun so many of its steps.
    pub(super) async fn has_begun(&self, steps: usize) {
        let mut began = self.began.clone();
        // An error is the server's end.
        drop(began.wait_for(|begun| *begun >= steps).await);
    }
}

#[derive(Clone)]
struct Shop {
    book: Arc<Book>,
    part: Arc<dyn Part>,
    paper: Paper,
    begin: Arc<watch::Sender<usize>>,
}

impl Shop {
    async fn receive(&self, stream: TcpStream, number: usize) -> io::Result<()> {
        let (wire, first, alpn): (_, _, &[&[u8]]) = match self.part.opening(number) {
            Opening::Speaks(Wire::One) => (Wire::One, Vec::new(), &[b"http/1.1"]),
            Opening::Speaks(Wire::Two) => (Wire::Two, Vec::new(), &[b"h2"]),
            Opening::First(Wire::One, steps) => (Wire::One, steps, &[b"http/1.1"]),
            Opening::First(Wire::Two, steps) => (Wire::Two, steps, &[b"h2"]),
            Opening::SpeaksUnasked => (Wire::One, Vec::new(), &[]),
            Opening::Plain => {
                return self.guest(Box::new(stream), Wire::One, number).attend(Vec::new()).await;
            }
            Opening::Raw(steps) => {
                let mut guest = self.guest(Box::new(stream), Wire::One, number);
                return guest.perform(steps).await.map(drop);
            }
            Opening::Stranger => {
                return Paper::new().acceptor(&[b"h2", b"http/1.1"]).accept(stream).await.map(drop);
            }
        };
        let stream = self.paper.acceptor(alpn).accept(stream).await?;
        let mut guest = self.guest(Box::new(stream), wire, number);
        if wire == Wire::Two && first.is_empty() {
            guest.send(&two::hello(&self.part.settings(number))).await?;
        }
        guest.attend(first).await
    }

    fn guest(&self, stream: Box<dyn Pipe>, wire: Wire, number: usize) -> Guest {
        Guest { shop: self.clone(), stream, wire, number, arrived: Vec::new(), gave_up: false }
    }
}

/// A connection under TLS or without it.
trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {
    fn below(&mut self) -> &mut TcpStream;
}

impl Pipe for TcpStream {
    fn below(&mut self) -> &mut TcpStream {
        self
    }
}

impl Pipe for TlsStream<TcpStream> {
    fn below(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }
}

/// A client's connection.
struct Guest {
    shop: Shop,
    stream: Box<dyn Pipe>,
    wire: Wire,
    number: usize,
    arrived: Vec<u8>,
    gave_up: bool,
}

impl Guest {
    /// Reads requests and does with each as it is told.
    async fn attend(&mut self, first: Vec<Step>) -> io::Result<()> {
        if !first.is_empty() && !self.perform(first).await? {
            return Ok(());
        }
        loop {
            while let Some(said) = listen(self.wire, self.number, &mut self.arrived) {
                let Some((heard, nth)) = self.note(said).await? else { continue };
                let steps = self.shop.part.steps(&heard, nth);
                self.gave_up = false;
                if !self.perform(steps).await? {
                    return Ok(());
                }
            }
            if !self.more().await? {
                return Ok(());
            }
        }
    }

    /// Keeps what was said; a request, with how many of its method came before.
    async fn note(&mut self, said: Said) -> io::Result<Option<(Heard, usize)>> {
        match said {
            Said::Request(heard) => {
                let mut all = self.shop.book.heard.lock().unwrap();
                let nth = all.iter().filter(|before| before.method == heard.method).count();
                all.push(heard.clone());
                return Ok(Some((heard, nth)));
            }
            Said::Owed(bytes) => self.send(&bytes).await?,
            Said::GaveUp => self.gave_up = true,
            Said::Chatter => {}
            Said::Nonsense(what) => self.shop.book.nonsense.lock().unwrap().push(what),
        }
        Ok(None)
    }

    /// Does one after the other; whether the connection is still there.
    async fn perform(&mut self, steps: Vec<Step>) -> io::Result<bool> {
        for step in steps {
            self.shop.begin.send_modify(|begun| *begun += 1);
            match step {
                Step::Send(bytes) => self.send(&bytes).await?,
                Step::Flood(bytes, times) => {
                    for _ in 0..times {
                        self.send(&bytes).await?;
                    }
                }
                Step::Trickle(bytes) => return self.trickle(&bytes).await.map(|()| false),
                Step::Hang => return self.until_gone(false).await.map(|()| false),
                Step::Freeze => std::future::pending().await,
                Step::UntilGivenUp => self.until_gone(true).await?,
                Step::Close => {
                    self.stream.shutdown().await?;
                    return self.until_gone(false).await.map(|()| false);
                }
                Step::Cut => {
                    self.stream.flush().await?;
                    Pin::new(self.stream.below()).shutdown().await?;
                    return self.until_gone(false).await.map(|()| false);
                }
                Step::Reset => {
                    self.stream.flush().await?;
                    self.stream.below().set_zero_linger()?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn trickle(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut ticks = tokio::time::interval(TRICKLE);
        let mut next = bytes.iter().cycle();
        loop {
            tokio::select! {
                more = self.stream.read_buf(&mut self.arrived) => {
                    if more? == 0 {
                        return Ok(());
                    }
                    self.only_listen().await?;
                }
                _ = ticks.tick() => {
                    let byte = next.next().copied().unwrap_or_default();
                    self.send(&[byte]).await?;
                }
            }
        }
    }

    /// Listens until the client has gone, or has only given up; requests are kept and not answered.
    async fn until_gone(&mut self, or_given_up: bool) -> io::Result<()> {
        loop {
            self.only_listen().await?;
            if (or_given_up && self.gave_up) || !self.more().await? {
                return Ok(());
            }
        }
    }

    async fn only_listen(&mut self) -> io::Result<()> {
        while let Some(said) = listen(self.wire, self.number, &mut self.arrived) {
            self.note(said).await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.arrived).await? > 0)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}
