//! A token endpoint that is hostile: the secret goes nowhere else, and it is asked once.

use super::{
    Well,
    case::{Stage, call},
    server::{
        Opening, Part, Server,
        Step::{self, Close, Flood, Reset, Send},
    },
    wire::{Heard, Talk, Wire},
};
use crate::cli::job;

const SECRET: &str = "a-secret-of-the-hostile-authority";

type Play = Box<dyn Fn(&Talk) -> Vec<Step> + std::marker::Send + Sync>;

/// The program asks for tokens over HTTP/1.1 alone.
struct Authority(Play);

impl Part for Authority {
    fn opening(&self, _: usize) -> Opening {
        Opening::Speaks(Wire::One)
    }

    fn steps(&self, heard: &Heard, _: usize) -> Vec<Step> {
        (self.0)(&Talk::to(heard))
    }
}

fn plays(elsewhere: &str) -> Vec<(String, Play)> {
    let mut plays: Vec<(String, Play)> = Vec::new();
    for code in 300..=308 {
        for to in [format!("{elsewhere}/token"), "/elsewhere".to_owned()] {
            let name = format!("{code} to {to}");
            let play = move |talk: &Talk| vec![Send(talk.whole(code, &[("location", &to)], ""))];
            plays.push((name, Box::new(play)));
        }
    }
    for code in [204, 400, 401, 408, 429, 500, 502, 503, 504] {
        // With and without a word about waiting: a library's own policy would obey it, and repeat.
        for headers in [&[][..], &[("retry-after", "1")], &[("x-ms-retry-after-ms", "1")]] {
            let play = move |talk: &Talk| vec![Send(talk.whole(code, headers, "{}"))];
            plays.push((format!("{code} {headers:?}"), Box::new(play)));
        }
    }
    plays.push(("the end".to_owned(), Box::new(|_| vec![Close])));
    plays.push(("a reset".to_owned(), Box::new(|_| vec![Reset])));
    plays.push((
        "a body without end".to_owned(),
        Box::new(|talk| {
            let piece = talk.piece(&[b' '; 0x4000]);
            vec![Send(talk.head(200, &[])), Flood(piece, usize::MAX)]
        }),
    ));
    plays.push((
        "half a status".to_owned(),
        Box::new(|_| vec![Send(b"HTTP/1.1 2".to_vec()), Close]),
    ));
    plays.push(("a token that ends too soon".to_owned(), Box::new(|talk| vec![token(talk, 30)])));
    plays
}

fn token(talk: &Talk, seconds: u32) -> Step {
    let token = format!(r#"{{"token_type":"Bearer","expires_in":{seconds},"access_token":"t0"}}"#);
    Send(talk.whole(200, &[("content-type", "application/json")], &token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_authority_is_asked_once_and_nothing_is_started() {
    let stage = Stage::new();
    let elsewhere = Server::start(&stage.paper, Well(Wire::One)).await;
    let graph = Server::start(&stage.paper, Well(Wire::One)).await;
    let host = stage.host(&graph);
    let start = |authority: &Server| {
        call(&host, &["start", &job("job")], "60s")
            .without("STARTGUARD_TOKEN")
            .env("STARTGUARD_AUTH", "client-secret")
            .env("AZURE_AUTHORITY_HOST", &authority.origin())
            .env("AZURE_TENANT_ID", "5f2c0a4e-7d31-4c6b-9b1e-3a5d8c7e9f10")
            .env("AZURE_CLIENT_ID", "0b7a2c9e-1f44-4d0a-8a77-9d5e2c1b3f60")
            .env("AZURE_CLIENT_SECRET", SECRET)
            .run()
    };
    for (name, play) in plays(&elsewhere.origin()) {
        let authority = Server::start(&stage.paper, Authority(play)).await;
        let ran = start(&authority).await;
        assert_eq!(ran.ended(5).outcome(), "failed/authentication", "{name}");
        assert_eq!((authority.posts(), authority.heard().len()), (1, 1), "{name}: {ran:?}");
        assert_eq!(authority.nonsense(), Vec::<String>::new(), "{name}");
        let told = ran.stdout.contains(SECRET) || ran.stderr.contains(SECRET);
        assert!(!told, "{name}: the secret shows: {ran:?}");
    }
    assert_eq!(elsewhere.connections(), 0, "the secret went elsewhere");
    assert_eq!(graph.connections(), 0, "something was asked without a token");
    // It was the answers, and nothing else.
    let well =
        Server::start(&stage.paper, Authority(Box::new(|talk| vec![token(talk, 3_600)]))).await;
    assert_eq!(start(&well).await.ended(0).outcome(), "started");
    assert_eq!((well.posts(), graph.posts()), (1, 1));
}
