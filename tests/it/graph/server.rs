//! A server by hand: it keeps every request as it came, and does to each connection what it is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};

/// One request as it came, and on which connection.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) connection: usize,
    pub(super) head: String,
}

impl Heard {
    pub(super) fn is_post(&self) -> bool {
        self.head.starts_with("POST ")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub(super) enum Play {
    /// These bytes, and the connection stays.
    Answer(String),
    /// These bytes, and the connection ends.
    Last(String),
    /// No answer, and the connection stays.
    Hang,
}

/// The server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers the nth request, counted from 0, as `play` says.
    pub(super) async fn start(
        play: impl Fn(usize, &Heard) -> Play + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, count, play) = (Arc::clone(&heard), Arc::clone(&connections), Arc::new(play));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (log, play) = (Arc::clone(&log), Arc::clone(&play));
                tokio::spawn(async move {
                    // An error is the client's going away.
                    drop(serve(stream, number, &log, &*play).await);
                });
            }
        });
        Self { address, heard, connections, task: task.abort_handle() }
    }

    /// Answers every request the same.
    pub(super) async fn answering(answer: String) -> Self {
        Self::start(move |_, _| Play::Answer(answer.clone())).await
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic inside").clone()
    }

    pub(super) fn posts(&self) -> usize {
        self.heard().iter().filter(|heard| heard.is_post()).count()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    log: &Mutex<Vec<Heard>>,
    play: &(impl Fn(usize, &Heard) -> Play + Sync),
) -> std::io::Result<()> {
    loop {
        let Some(head) = read_head(&mut stream).await? else { return Ok(()) };
        let heard = Heard { connection, head };
        let number = {
            let mut log = log.lock().expect("no panic inside");
            log.push(heard.clone());
            log.len() - 1
        };
        match play(number, &heard) {
            Play::Answer(bytes) => stream.write_all(bytes.as_bytes()).await?,
            Play::Last(bytes) => {
                stream.write_all(bytes.as_bytes()).await?;
                return stream.shutdown().await;
            }
            Play::Hang => std::future::pending().await,
        }
    }
}

/// Up to the empty line; our requests have no bodies. `None`: the client is done.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} x\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    // Neither may carry a length.
    if !matches!(status, 204 | 304) {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}
