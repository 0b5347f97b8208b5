//! The POST over HTTP/1.1: one on the wire whatever happens to it, and only proof counts.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use startguard::{
    clock::SystemClock,
    decide::StartReply,
    emulator::{CutBy, Effect, LostWhen, OperationKind},
    ports::{Clock as _, Graph as _},
    testing::ManualClock,
};

use super::{
    JOB, SP, Tokens, assert_no_token, emulator, fault, graph, graph_of, key, permit,
    server::{Play, Server, answer},
    settings, soon, start,
};

fn unclear(reply: &StartReply) -> &str {
    let StartReply::Unclear { problem } = reply else { panic!("{reply:?}") };
    problem
}

fn not_sent(reply: &StartReply) -> &str {
    let StartReply::NotSent { problem } = reply else { panic!("{reply:?}") };
    problem
}

#[tokio::test]
async fn a_start_is_a_bare_post_under_the_attempts_id() {
    let server = Server::answering(answer(204, &[("request-id", "r-1")], "")).await;
    let graph = graph(settings(&server.origin()));
    graph.authorize().await.unwrap();
    let permit = permit(Arc::new(SystemClock), Duration::from_secs(5)).await;
    let attempt = permit.attempt().to_string();
    let (reply, cost) = graph.start(permit).await;
    assert_eq!(reply, StartReply::Accepted);
    assert_eq!((cost.requests, cost.request_ids), (1, vec!["r-1".to_owned()]));
    let heard = server.heard();
    let [heard] = heard.as_slice() else { panic!("{heard:?}") };
    let path = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/{JOB}/start");
    assert!(heard.head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{heard:?}");
    assert_eq!(heard.header("content-length"), Some("0"));
    assert_eq!(heard.head.to_lowercase().matches("content-length").count(), 1);
    assert_eq!(heard.header("transfer-encoding"), None);
    assert_eq!(heard.header("content-type"), None);
    assert_eq!(heard.header("client-request-id"), Some(attempt.as_str()));
    assert_eq!(heard.header("authorization"), Some("Bearer canary-token-0"));
}

#[tokio::test]
async fn the_emulator_takes_it() {
    let emulator = emulator([]).await;
    let (reply, _) = start(&graph(settings(emulator.base_url()))).await;
    assert_eq!(reply, StartReply::Accepted);
    assert_eq!(emulator.job(SP, JOB).starts_effective, 1);
    assert_eq!(emulator.violations(), 0);
}

#[tokio::test]
async fn every_status_is_one_post() {
    for status in (200..=599).filter(|status| !matches!(status, 205 | 304)) {
        let server = Server::answering(answer(status, &[], "")).await;
        let (reply, cost) = start(&graph(settings(&server.origin()))).await;
        assert_eq!((server.posts(), cost.requests), (1, 1), "{status}: {reply:?}");
        assert_eq!(server.heard().len(), 1, "{status}");
        assert_eq!(reply == StartReply::Accepted, status == 204, "{status}: {reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_graphs_words() {
    let emulator = emulator(fault(OperationKind::Start, Effect::status(409))).await;
    let (reply, cost) = start(&graph(settings(emulator.base_url()))).await;
    let StartReply::Rejected(reply) = reply else { panic!("{reply:?}") };
    assert_eq!(reply.status, 409);
    assert!(reply.code.is_some() && reply.request_id.is_some(), "{reply:?}");
    assert_eq!(reply.request_id.as_ref(), cost.request_ids.first());
    assert_eq!(emulator.counts().starts, 1);
}

#[tokio::test]
async fn an_unavailable_service_is_a_no_only_if_it_names_a_time() {
    let emulator = emulator(fault(OperationKind::Start, Effect::status(503))).await;
    let (reply, _) = start(&graph(settings(emulator.base_url()))).await;
    assert!(unclear(&reply).starts_with("HTTP 503"), "{reply:?}");
    assert_eq!(emulator.counts().starts, 1);

    let effect = Effect::status_retry_after(503, 7);
    let emulator = super::emulator(fault(OperationKind::Start, effect)).await;
    let (reply, _) = start(&graph(settings(emulator.base_url()))).await;
    let StartReply::Throttled { retry_after, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    assert_eq!(emulator.counts().starts, 1);
}

#[tokio::test]
async fn a_redirected_start_goes_nowhere() {
    let elsewhere = Server::answering(answer(204, &[], "")).await;
    for status in [300, 301, 302, 303, 307, 308] {
        for own in [true, false] {
            let target = if own { String::new() } else { elsewhere.origin() };
            let location = format!("{target}/v1.0/x/start?q=secret");
            let server = Server::answering(answer(status, &[("Location", &location)], "")).await;
            let (reply, cost) = start(&graph(settings(&server.origin()))).await;
            let to = if own { server.origin() } else { elsewhere.origin() };
            let expected = format!("HTTP {status} redirects to {to}, and no redirect is followed");
            assert_eq!(unclear(&reply), expected);
            assert_eq!((server.posts(), server.heard().len(), cost.requests), (1, 1, 1));
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_unclear_and_one_post() {
    for when in [LostWhen::Before, LostWhen::After] {
        for by in [CutBy::Close, CutBy::Reset] {
            let emulator = emulator(fault(OperationKind::Start, Effect::Lost { when, by })).await;
            let (reply, cost) = start(&graph(settings(emulator.base_url()))).await;
            assert!(unclear(&reply).starts_with("the connection failed"), "{reply:?}");
            assert_eq!((emulator.counts().starts, cost.requests), (1, 1));
        }
    }
}

#[tokio::test]
async fn half_an_answer_is_unclear_and_one_post() {
    for bytes in
        ["", "HTTP/1.1", "HTTP/1.1 204 No Content\r\nX: ", "SSH-2.0-x\r\n", "\0\0\0\0\r\n\r\n"]
    {
        let server = Server::start(|_, _| Play::Last(bytes.to_owned())).await;
        let (reply, cost) = start(&graph(settings(&server.origin()))).await;
        assert!(matches!(reply, StartReply::Unclear { .. }), "{bytes:?}: {reply:?}");
        assert_eq!((server.posts(), cost.requests), (1, 1), "{bytes:?}");
        assert_no_token(&reply);
    }
}

#[tokio::test]
async fn a_sign_in_page_is_no_yes() {
    let emulator = emulator(fault(OperationKind::Start, Effect::Html { status: 200 })).await;
    let (reply, _) = start(&graph(settings(emulator.base_url()))).await;
    assert_eq!(unclear(&reply), "HTTP 200");
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_permits_deadline() {
    let server = Server::start(|_, _| Play::Hang).await;
    let graph = graph(settings(&server.origin()));
    graph.authorize().await.unwrap();
    let permit = permit(Arc::new(SystemClock), Duration::from_millis(500)).await;
    let began = SystemClock.tick();
    let (reply, cost) = graph.start(permit).await;
    let took = began.until(SystemClock.tick());
    assert_eq!(unclear(&reply), "no whole answer within 500ms");
    assert!((Duration::from_millis(490)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!((server.posts(), cost.requests), (1, 1));
}

#[tokio::test]
async fn a_refusal_with_an_endless_body_is_still_a_refusal() {
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n{\"error\"";
    let server = Server::answering(head.to_owned()).await;
    let graph = graph(settings(&server.origin()));
    graph.authorize().await.unwrap();
    let permit = permit(Arc::new(SystemClock), Duration::from_millis(800)).await;
    let (reply, _) = graph.start(permit).await;
    assert!(matches!(&reply, StartReply::Rejected(reply) if reply.status == 403), "{reply:?}");
}

#[tokio::test]
async fn a_start_behind_its_permits_deadline_is_not_sent() {
    let server = Server::answering(answer(204, &[], "")).await;
    let clock = Arc::new(ManualClock::new(SystemClock.wall()));
    let graph = graph_of(settings(&server.origin()), Arc::new(Tokens::default()), clock.clone());
    graph.authorize().await.unwrap();
    let late = permit(clock.clone(), Duration::from_secs(5)).await;
    // The process was held up.
    clock.advance(Duration::from_millis(5_001));
    let (reply, cost) = graph.start(late).await;
    assert_eq!((reply, cost.requests), (StartReply::TooLate, 0));
    assert_eq!(server.connections(), 0);
    // With time to connect in; to the millisecond it is a matter of `decide`'s own tests.
    let in_time = permit(clock.clone(), Duration::from_secs(5)).await;
    clock.advance(Duration::from_secs(3));
    assert_eq!(graph.start(in_time).await.0, StartReply::Accepted);
}

#[tokio::test]
async fn a_host_that_is_not_there_proves_that_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (reply, cost) = start(&graph(settings(&origin))).await;
    assert!(not_sent(&reply).starts_with("connecting failed (Connection refused"), "{reply:?}");
    assert_eq!(cost.requests, 0);
}

#[tokio::test]
async fn no_post_meets_a_connection_that_is_just_closing() {
    // Each connection is good for one request and closes on the second without a word, as one does
    // whose idle time runs out while the request is on its way. From a pool, such a POST ends in
    // doubt.
    let used = Mutex::new(HashSet::new());
    let server = Server::start(move |_, heard| {
        if !used.lock().unwrap().insert(heard.connection) {
            return Play::Last(String::new());
        }
        Play::Answer(answer(204, &[("Connection", "keep-alive")], ""))
    })
    .await;
    let graph = graph(settings(&server.origin()));
    for _ in 0..20 {
        let (reply, _) = start(&graph).await;
        assert_eq!(reply, StartReply::Accepted);
    }
    assert_eq!((server.posts(), server.connections()), (20, 20));
}

#[tokio::test]
async fn a_post_shares_no_connection() {
    let server = Server::start(|_, heard| {
        Play::Answer(if heard.is_post() {
            answer(204, &[], "")
        } else {
            answer(200, &[], r#"{"status":{"code":"Paused"}}"#)
        })
    })
    .await;
    let graph = graph(settings(&server.origin()));
    for _ in 0..3 {
        assert!(graph.job(&key(), soon()).await.result.is_ok());
        assert_eq!(start(&graph).await.0, StartReply::Accepted);
    }
    let mut of_posts: Vec<usize> = server
        .heard()
        .iter()
        .filter(|heard| heard.is_post())
        .map(|heard| heard.connection)
        .collect();
    of_posts.dedup();
    assert_eq!(of_posts.len(), 3);
    let of_reads: Vec<usize> = server
        .heard()
        .iter()
        .filter(|heard| !heard.is_post())
        .map(|heard| heard.connection)
        .collect();
    assert!(of_reads.iter().all(|connection| !of_posts.contains(connection)));
}
