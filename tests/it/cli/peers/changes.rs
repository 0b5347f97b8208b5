//! What changes between the read and the POST of one start: the version of HTTP, and whether a kept
//! connection is still there.

use tokio::task::JoinSet;

use super::{
    case::{Stage, ask, call},
    server::{
        Opening::{self, Speaks, SpeaksUnasked},
        Part, Server,
        Step::{self, Close, Cut, Reset, Send},
    },
    two,
    wire::{Heard, Method, Talk, Wire},
};
use crate::cli::{SP, job};

/// One version on the first connection, another on those after it.
#[derive(Debug, Clone)]
struct Changes([Opening; 2]);

impl Part for Changes {
    fn opening(&self, connection: usize) -> Opening {
        self.0[connection.min(1)].clone()
    }

    fn steps(&self, heard: &Heard, _: usize) -> Vec<Step> {
        vec![Send(Talk::to(heard).well())]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_may_meet_another_version_than_its_read_did() {
    let stage = Stage::new();
    for (openings, wires) in [
        ([Speaks(Wire::Two), Speaks(Wire::One)], [Wire::Two, Wire::One]),
        ([Speaks(Wire::One), Speaks(Wire::Two)], [Wire::One, Wire::Two]),
        ([Speaks(Wire::Two), SpeaksUnasked], [Wire::Two, Wire::One]),
        ([SpeaksUnasked, Speaks(Wire::Two)], [Wire::One, Wire::Two]),
    ] {
        let server = Server::start(&stage.paper, Changes(openings)).await;
        let host = stage.host(&server);
        let ran = ask(&host, &["start", &job("job")], "60s").await;
        assert_eq!(ran.outcome(), "started", "{ran:?}");
        let spoken: Vec<_> = server.heard().iter().map(|it| (it.method, it.wire)).collect();
        assert_eq!(spoken, [(Method::Get, wires[0]), (Method::Post, wires[1])]);
    }
}

/// How a server ends a connection that it said nothing of ending.
#[derive(Debug, Clone)]
enum Ends {
    /// When a second request comes on it, which it leaves unanswered: its idle time ran out just then.
    AtTheSecond(Step),
    /// With the answer, so that the end and the next request pass each other.
    WithTheAnswer(Step),
}

struct Race {
    wire: Wire,
    ends: Ends,
    used: std::sync::Mutex<std::collections::HashSet<usize>>,
}

impl Part for Race {
    fn opening(&self, _: usize) -> Opening {
        Speaks(self.wire)
    }

    fn steps(&self, heard: &Heard, _: usize) -> Vec<Step> {
        let talk = Talk::to(heard);
        // A list and a job at once: both are asked for.
        let both =
            r#"{"status":{"code":"Paused"},"value":[{"id":"job","status":{"code":"Paused"}}]}"#;
        let answer = match heard.method {
            Method::Get => talk.whole(200, &[], both),
            Method::Post => talk.well(),
        };
        let farewell = match heard.wire {
            Wire::One => Vec::new(),
            Wire::Two => two::go_away(heard.stream, 0),
        };
        match &self.ends {
            Ends::AtTheSecond(end) if !self.used.lock().unwrap().insert(heard.connection) => {
                vec![end.clone()]
            }
            Ends::AtTheSecond(_) => vec![Send(answer)],
            Ends::WithTheAnswer(end) => vec![Send([answer, farewell].concat()), end.clone()],
        }
    }
}

/// How often each race is run.
const ROUNDS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_under_a_request_puts_no_start_in_doubt() {
    let stage = Stage::new();
    let mut races = JoinSet::new();
    for wire in [Wire::One, Wire::Two] {
        for ends in [
            Ends::AtTheSecond(Close),
            Ends::AtTheSecond(Reset),
            Ends::WithTheAnswer(Close),
            Ends::WithTheAnswer(Cut),
        ] {
            let stage = std::sync::Arc::clone(&stage);
            races.spawn(async move {
                let race = format!("{ends:?} over {wire:?}");
                let part = Race { wire, ends, used: std::sync::Mutex::default() };
                let server = Server::start(&stage.paper, part).await;
                let host = stage.host(&server);
                let mut started = 0;
                for _ in 0..ROUNDS {
                    let race_call = call(&host, &["start", SP], "60s");
                    let ran = race_call
                        .env("STARTGUARD_GRAPH_READ_RETRIES", "3")
                        .env("STARTGUARD_GUARD_COOLDOWN", "1ms")
                        .env("STARTGUARD_GUARD_MAX_STARTS", "1000000")
                        .env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "1000000")
                        .run()
                        .await;
                    // Reads may have met the end more often than they are repeated.
                    match ran.outcome().as_str() {
                        "started" => started += 1,
                        "failed/graphUnavailable" | "deferred/breakerOpen" => {}
                        other => panic!("{race}: {other}: {ran:?}"),
                    }
                    assert_eq!(server.posts(), started, "{race}: {ran:?}");
                }
                assert!(started > ROUNDS / 2, "{race}: {started} starts");
                let verified = ask(&host, &["history", "--verify"], "60s").await;
                assert_eq!(verified.code, Some(0), "{race}: {verified:?}");
                assert_eq!(server.nonsense(), Vec::<String>::new(), "{race}");
            });
        }
    }
    let failed = races.join_all().await;
    assert_eq!(failed.len(), 8);
}
