//! A way to the server that can be cut at a chosen message, and that counts what passes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What to do with the next COMMIT that comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Cut the connection and never pass it on.
    BeforeTheServer,
    /// Pass it on, wait until the server has done it, and cut the connection before its answer.
    BeforeTheAnswer,
    /// Hold it back, and everything after it, without a word.
    Swallow,
}

#[derive(Debug, Default)]
struct State {
    to: AtomicU16,
    /// So many COMMITs pass before the cut.
    cut: Mutex<Option<(u64, Cut)>>,
    /// Whether the cut also closes the way for good.
    for_good: AtomicBool,
    closed: AtomicBool,
    all_off: Notify,
    /// Milliseconds that the first answer to a request is held back.
    latency: AtomicU64,
    commits: AtomicU64,
    round_trips: AtomicU64,
    cuts: AtomicU64,
}

/// A proxy on a port of its own.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy before the server at `port` of 127.0.0.1.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let own = listener.local_addr().expect("a port").port();
        let state = Arc::new(State { to: AtomicU16::new(port), ..State::default() });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                if !state.closed.load(Ordering::SeqCst) {
                    tokio::spawn(async move {
                        tokio::select! {
                            done = pass(client, &state) => drop(done),
                            () = state.all_off.notified() => {}
                        }
                    });
                }
            }
        });
        Self { port: own, state }
    }

    /// Cuts at a COMMIT, once so many others have passed.
    pub(crate) fn cut_after(&self, commits: u64, cut: Cut) {
        *self.state.cut.lock().expect("unpoisoned") = Some((commits, cut));
    }

    /// The same, and lets nobody in from then on.
    pub(crate) fn cut_for_good_after(&self, commits: u64, cut: Cut) {
        self.state.for_good.store(true, Ordering::SeqCst);
        self.cut_after(commits, cut);
    }

    /// Cuts every connection, and lets nobody in.
    pub(crate) fn close(&self) {
        self.state.closed.store(true, Ordering::SeqCst);
        self.state.all_off.notify_waiters();
    }

    /// Lets everybody in again.
    pub(crate) fn open(&self) {
        self.state.for_good.store(false, Ordering::SeqCst);
        self.state.closed.store(false, Ordering::SeqCst);
    }

    /// COMMITs that came along so far.
    pub(crate) fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::SeqCst)
    }

    /// How often something was asked, after something was answered.
    pub(crate) fn round_trips(&self) -> u64 {
        self.state.round_trips.load(Ordering::SeqCst)
    }

    /// Holds the first answer to each request back: what is sent without waiting for it arrives
    /// meanwhile, and is no round trip of its own.
    pub(crate) fn slow_down(&self, latency: Duration) {
        let latency = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.state.latency.store(latency, Ordering::SeqCst);
    }

    /// Cuts so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl State {
    /// Counts a COMMIT, and says what to do with it.
    fn commit(&self) -> Option<Cut> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let mut cut = self.cut.lock().expect("unpoisoned");
        match cut.as_mut() {
            None => None,
            Some((0, now)) => {
                let now = *now;
                *cut = None;
                self.cuts.fetch_add(1, Ordering::SeqCst);
                if self.for_good.load(Ordering::SeqCst) {
                    self.closed.store(true, Ordering::SeqCst);
                }
                Some(now)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
        }
    }
}

/// Passes messages on until either side, or the proxy, has had enough.
async fn pass(client: TcpStream, state: &State) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", state.to.load(Ordering::SeqCst))).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answered = AtomicBool::new(true);
    let muted = AtomicBool::new(false);
    let done = Notify::new();
    let requests = async {
        // The first message has no type.
        let first = message(&mut from_client, false).await?;
        to_server.write_all(&first).await?;
        loop {
            let next = message(&mut from_client, true).await?;
            if answered.swap(false, Ordering::SeqCst) {
                state.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            if next.ends_with(b"COMMIT\0") {
                match state.commit() {
                    None => {}
                    Some(Cut::BeforeTheServer) => return Ok(()),
                    Some(Cut::BeforeTheAnswer) => {
                        muted.store(true, Ordering::SeqCst);
                        to_server.write_all(&next).await?;
                        done.notified().await;
                        return Ok(());
                    }
                    Some(Cut::Swallow) => std::future::pending().await,
                }
            }
            to_server.write_all(&next).await?;
        }
    };
    let answers = async {
        loop {
            let next = message(&mut from_server, true).await?;
            let latency = Duration::from_millis(state.latency.load(Ordering::SeqCst));
            if !answered.load(Ordering::SeqCst) && !latency.is_zero() {
                tokio::time::timeout(latency, std::future::pending::<()>()).await.ok();
            }
            answered.store(true, Ordering::SeqCst);
            if !muted.load(Ordering::SeqCst) {
                to_client.write_all(&next).await?;
            } else if next.starts_with(b"C") && next.ends_with(b"COMMIT\0") {
                done.notify_one();
            }
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

/// One message of PostgreSQL's protocol, whole.
async fn message(from: &mut (impl AsyncRead + Unpin), typed: bool) -> std::io::Result<Vec<u8>> {
    let head = if typed { 5 } else { 4 };
    let mut message = vec![0; head];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().expect("four bytes"));
    let whole = head - 4 + usize::try_from(length).expect("it fits");
    message.resize(whole, 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}
