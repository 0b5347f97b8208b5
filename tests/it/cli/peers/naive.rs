//! Shows that the server and its counts tell a careful client from another one: what an HTTP client
//! does unless it is told otherwise is caught by them.

#![expect(clippy::disallowed_methods, reason = "a client's defaults are what is shown here")]

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{
    Well,
    server::{Opening, Paper, Part, Server, Step},
    two,
    wire::{Heard, Method, Talk, Wire},
};

/// What is done to the nth request of its method.
type Play = Box<dyn Fn(&Heard, usize) -> Vec<Step> + Send + Sync>;

/// A server of one version that does this to every request.
struct Plays(Wire, Play);

impl Part for Plays {
    fn opening(&self, _: usize) -> Opening {
        Opening::Speaks(self.0)
    }

    fn steps(&self, heard: &Heard, nth: usize) -> Vec<Step> {
        (self.1)(heard, nth)
    }
}

/// A client as it comes, which trusts this certificate.
fn naive(paper: &Paper, wire: Wire) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(paper.pem.as_bytes()).unwrap()).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = match wire {
        Wire::One => vec![b"http/1.1".to_vec()],
        Wire::Two => vec![b"h2".to_vec()],
    };
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_as_it_comes_is_caught() {
    let paper = Paper::new();
    for wire in [Wire::One, Wire::Two] {
        let elsewhere = Server::start(&paper, Well(wire)).await;
        // A 307 takes the POST elsewhere, a 302 makes a read of it whose success looks like one.
        for (code, method) in [(307, Method::Post), (302, Method::Get)] {
            let location = format!("{}/v1.0/elsewhere", elsewhere.origin());
            let play = move |heard: &Heard, _: usize| {
                vec![Step::Send(Talk::to(heard).whole(code, &[("location", &location)], ""))]
            };
            let server = Server::start(&paper, Plays(wire, Box::new(play))).await;
            let before = elsewhere.count(method);
            let reply = naive(&paper, wire).post(server.origin()).send().await.unwrap();
            assert!(reply.status().is_success(), "{wire:?} {code}: {reply:?}");
            assert_eq!(elsewhere.count(method), before + 1, "{wire:?} {code}");
        }
        // A redirect to itself is a loop of POSTs.
        let play = |heard: &Heard, _: usize| {
            vec![Step::Send(Talk::to(heard).whole(307, &[("location", "/again")], ""))]
        };
        let server = Server::start(&paper, Plays(wire, Box::new(play))).await;
        assert!(naive(&paper, wire).post(server.origin()).send().await.is_err());
        assert!(server.posts() > 2, "{wire:?}: {}", server.posts());
        // A kept connection that ends just then loses a start that no server ever answered.
        let play = |heard: &Heard, _: usize| match heard.method {
            Method::Get => vec![Step::Send(Talk::to(heard).well())],
            Method::Post => vec![Step::Close],
        };
        let server = Server::start(&paper, Plays(wire, Box::new(play))).await;
        let client = naive(&paper, wire);
        let read = client.get(server.origin()).send().await.unwrap();
        assert!(read.text().await.unwrap().contains("Paused"));
        assert!(client.post(server.origin()).send().await.is_err());
        let on: Vec<usize> = server.heard().iter().map(|heard| heard.connection).collect();
        assert_eq!(on, [0, 0], "{wire:?}: the POST met the read's connection");
    }
    // What a server refused is repeated.
    for refusal in ["RST_STREAM", "GOAWAY"] {
        let play = move |heard: &Heard, _: usize| match refusal {
            "GOAWAY" => vec![Step::Send(two::go_away(0, 0)), Step::Close],
            _ => vec![Step::Send(two::reset(heard.stream, 7))],
        };
        let server = Server::start(&paper, Plays(Wire::Two, Box::new(play))).await;
        assert!(naive(&paper, Wire::Two).post(server.origin()).send().await.is_err());
        assert!(server.posts() > 1, "{refusal}: {}", server.posts());
    }
}
