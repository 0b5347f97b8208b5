//! A proxy from the environment that is hostile: it sees no token, and what it refuses to connect is
//! proof that nothing was sent.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    Well,
    case::{Stage, TOKEN, call},
    server::Server,
    wire::Wire,
};
use crate::cli::job;

/// What a proxy says to a CONNECT in place of connecting, after which it ends.
const REFUSALS: [&str; 9] = [
    "",
    "HTTP/1.1 2",
    "HTTP/1.1 302 x\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 502 x\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "HTTP/1.1 200 x\r\n\r\n",
    "HTTP/1.1 200 x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "SSH-2.0-x\r\n\r\n",
];

/// Connects the first so many tunnels to `to`, and says this to the others. Keeps all that is said to it
/// in clear.
async fn proxy(to: String, good: usize, refusal: &'static str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let said: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (log, count) = (Arc::clone(&said), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (log, to) = (Arc::clone(&log), to.clone());
            let nth = count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                log.lock().unwrap().extend(&head);
                if nth < good {
                    let Ok(mut back) = TcpStream::connect(to).await else { return };
                    if stream.write_all(b"HTTP/1.1 200 x\r\n\r\n").await.is_ok() {
                        // Either side may hang up as it likes.
                        drop(tokio::io::copy_bidirectional(&mut stream, &mut back).await);
                    }
                    return;
                }
                drop(stream.write_all(refusal.as_bytes()).await);
                drop(stream.shutdown().await);
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest).await);
                log.lock().unwrap().extend(rest);
            });
        }
    });
    (url, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_refuses_to_connect_was_not_sent() {
    let stage = Stage::new();
    for (nth, refusal) in REFUSALS.into_iter().enumerate() {
        let wire = if nth.is_multiple_of(2) { Wire::One } else { Wire::Two };
        // It lets nothing through, and it lets the read through alone.
        for good in [0, 1] {
            refuse(&stage, wire, refusal, good).await;
        }
    }
}

async fn refuse(stage: &Stage, wire: Wire, refusal: &'static str, good: usize) {
    let name = format!("{refusal:?} after {good} over {wire:?}");
    let server = Server::start(&stage.paper, Well(wire)).await;
    let address = server.origin().replace("https://", "");
    let host = stage.host(&server);
    let away = |args: &[&str], proxy: &str| {
        call(&host, args, "60s")
            .env("STARTGUARD_GRAPH_ENDPOINT", "https://graph.invalid")
            .env("HTTPS_PROXY", proxy)
            .run()
    };
    let (url, said) = proxy(address.clone(), good, refusal).await;
    let ran = away(&["start", &job("job")], &url).await;
    assert_eq!(ran.outcome(), "failed/graphUnavailable", "{name}: {ran:?}");
    assert_eq!(ran.only()["graph"]["starts"], 0, "{name}: {ran:?}");
    assert_eq!((server.heard().len(), server.posts()), (good, 0), "{name}: {ran:?}");

    let said = said.lock().unwrap().clone();
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("CONNECT graph.invalid:443 HTTP/1.1\r\n"), "{name}: {said}");
    assert!(!said.contains(TOKEN), "{name}: the token: {said}");
    let verified = away(&["history", "--verify"], &url).await;
    assert_eq!(verified.code, Some(0), "{name}: {verified:?}");

    // The intent was given back: nothing cools down.
    let (url, _) = proxy(address, 2, "").await;
    let again = away(&["start", &job("job")], &url).await;
    assert_eq!(again.outcome(), "started", "{name}: {again:?}");
    assert_eq!(server.posts(), 1, "{name}");
}
