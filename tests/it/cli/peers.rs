//! Hostile peers: whatever answers in Graph's place, over HTTP/1.1 and HTTP/2, a start is one POST at
//! the most, the token goes nowhere else, and the ledger stays whole.
//!
//! The judge is the server: it speaks both versions by hand, misbehaves as it is told, and counts the
//! requests as they come. Rows are misbehaviours with what must come of them; each is played to the
//! read and to the start.

mod answers;
mod authority;
mod case;
mod changes;
mod naive;
mod one;
mod openings;
mod proxy;
mod row;
mod server;
mod streams;
mod two;
mod wire;

use std::sync::Arc;

use case::{Case, Stage};
use server::{Opening, Part, Server, Step};
use tokio::task::JoinSet;
use wire::{Heard, Method, Talk, Wire};

/// A server that is well, and at which nothing should arrive.
struct Well(Wire);

impl Part for Well {
    fn opening(&self, _: usize) -> Opening {
        Opening::Speaks(self.0)
    }

    fn steps(&self, heard: &Heard, _: usize) -> Vec<Step> {
        vec![Step::Send(Talk::to(heard).well())]
    }
}

/// Plays every row on one side of a start, in one version of HTTP.
async fn play_all(wire: Wire, on: Method) {
    let stage = Stage::new();
    let elsewhere = Server::start(&stage.paper, Well(wire)).await;
    let mut rows = answers::rows(&elsewhere.origin());
    rows.extend(one::rows());
    rows.extend(streams::rows());
    rows.extend(openings::rows());
    let cases = rows.iter().enumerate();
    let cases: Vec<Case> = cases.filter_map(|(nth, row)| Case::of(row, nth, wire, on)).collect();
    assert!(cases.len() > 140, "{} cases only", cases.len());

    let mut playing = JoinSet::new();
    let mut names = std::collections::HashMap::new();
    for case in cases {
        let name = case.name();
        let stage = Arc::clone(&stage);
        names.insert(playing.spawn(case.play(stage)).id(), name);
    }
    let mut failed = Vec::new();
    while let Some(played) = playing.join_next_with_id().await {
        if let Err(error) = played {
            failed.push(names[&error.id()].clone());
        }
    }
    failed.sort();
    assert_eq!(failed, Vec::<String>::new(), "each is told above");
    assert_eq!(elsewhere.connections(), 0, "something went elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_over_http_1_leads_astray() {
    play_all(Wire::One, Method::Get).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_over_http_2_leads_astray() {
    play_all(Wire::Two, Method::Get).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_over_http_1_is_one_post() {
    play_all(Wire::One, Method::Post).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_over_http_2_is_one_post() {
    play_all(Wire::Two, Method::Post).await;
}

#[tokio::test]
async fn a_host_without_an_address_is_sent_nothing() {
    let host = super::Host::new("https://graph.invalid");
    // Whether a name that nobody may have is said not to be there, or nobody says anything.
    let call = host.call(&["start", &super::job("job"), "-o", "json"]).patient_never();
    let ran = call.env("STARTGUARD_GRAPH_CONNECT_TIMEOUT", "1s").run().await;
    assert_eq!(ran.ended(1).outcome(), "failed/graphUnavailable");
    assert_eq!(ran.only()["graph"]["starts"], 0);
    assert_eq!(ran.only()["graph"]["reads"], 0);
}
