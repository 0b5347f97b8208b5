//! Reads: what is repeated, what is not, how long it may take, and how hostile bodies end.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use startguard::{
    clock::SystemClock,
    emulator::{CutBy, Effect, FaultRule, LostWhen, OperationKind, RetryAfter},
    graph::LONGEST_BODY,
    model::{Job, StatusCode},
    ports::{Clock as _, Graph as _, GraphError, Told},
    testing::ManualClock,
};

use super::{
    JOB, SP, Tokens, assert_no_token, emulator, fault, graph, graph_of, key,
    server::{Play, Server, answer},
    settings, soon,
};

/// Reads the job once this fault is in place, played so often.
async fn with(effect: Effect, times: u64) -> (Told<Job>, u64) {
    let rules = [FaultRule::on(OperationKind::GetJob, effect).times(times)];
    let emulator = emulator(rules).await;
    let told = graph(settings(emulator.base_url())).job(&key(), soon()).await;
    assert_no_token(&told);
    (told, emulator.counts().graph_requests)
}

fn lost(by: CutBy) -> Effect {
    Effect::Lost { when: LostWhen::Before, by }
}

#[tokio::test]
async fn a_read_says_who_asks_and_what_it_cost() {
    let server = Server::answering(answer(
        200,
        &[("request-id", "r-1")],
        include_str!("../fixtures/active_with_settings.json"),
    ))
    .await;
    let graph = graph(settings(&server.origin()));
    let before = SystemClock.tick();
    let told = graph.job(&key(), soon()).await;
    assert_eq!(told.result.unwrap().code, StatusCode::Active);
    assert_eq!((told.cost.requests, told.cost.request_ids), (1, vec!["r-1".to_owned()]));
    assert!(told.began >= before && told.began <= SystemClock.tick());
    assert_eq!(told.throttle, None);

    let heard = server.heard();
    let [heard] = heard.as_slice() else { panic!("{heard:?}") };
    let path = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/{JOB}");
    assert!(heard.head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{heard:?}");
    assert_eq!(heard.header("authorization"), Some("Bearer canary-token-0"));
    assert_eq!(heard.header("accept"), Some("application/json"));
    assert_eq!(heard.header("cache-control"), Some("no-cache"));
    let agent = format!("startguard/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(heard.header("user-agent"), Some(agent.as_str()));
    let id = heard.header("client-request-id").unwrap();
    assert!(uuid::Uuid::try_parse(id).is_ok(), "{id}");
    // Nothing is unpacked, so nothing packed is asked for.
    assert_eq!(heard.header("accept-encoding"), None);
}

#[tokio::test]
async fn what_a_cache_remembers_is_as_old_as_it_says() {
    let body = r#"{"id":"x","status":{"code":"Paused"}}"#;
    for (age, least) in [("0", 0), ("7", 7), ("soon", 3_600), ("-1", 3_600)] {
        let server = Server::answering(answer(200, &[("Age", age)], body)).await;
        let clock = Arc::new(ManualClock::new(SystemClock.wall()));
        clock.advance(Duration::from_secs(86_400));
        let told = graph_of(settings(&server.origin()), Arc::new(Tokens::default()), clock.clone())
            .job(&key(), clock.tick().after(Duration::from_secs(20)))
            .await;
        assert_eq!(told.result.unwrap().code, StatusCode::Paused);
        let old = told.began.until(clock.tick());
        assert!(
            old >= Duration::from_secs(least) && (least > 0 || old.is_zero()),
            "{age}: {old:?}"
        );
    }
}

#[tokio::test]
async fn faults_that_pass_are_read_again() {
    for effect in [
        Effect::status(503),
        Effect::status(502),
        Effect::status(504),
        Effect::status(429),
        lost(CutBy::Close),
        lost(CutBy::Reset),
        Effect::Truncated,
    ] {
        let (told, requests) = with(effect.clone(), 2).await;
        assert_eq!(told.result.unwrap().code, StatusCode::Paused, "{effect:?}");
        assert_eq!((told.cost.requests, requests), (3, 3), "{effect:?}");
        assert_eq!(told.throttle, None, "{effect:?}");
    }
}

#[tokio::test]
async fn an_observation_ages_from_its_last_try() {
    let rules = [FaultRule::on(OperationKind::GetJob, Effect::status(503)).times(1)];
    let emulator = emulator(rules).await;
    let graph = graph(settings(emulator.base_url()));
    let (tick, wall) = (SystemClock.tick(), SystemClock.wall());
    let told = graph.job(&key(), soon()).await;
    assert!(told.result.is_ok());
    // At least half of the first pause lies between the two tries.
    let pause = Duration::from_millis(125);
    assert!(tick.until(told.began) >= pause, "{:?}", tick.until(told.began));
    assert!(told.read_at.duration_since(wall) >= jiff::SignedDuration::from_millis(120));
    assert_eq!(told.cost.request_ids.len(), 2);
}

#[tokio::test]
async fn repeats_end_and_say_how_many_there_were() {
    let (told, requests) = with(Effect::status(503), 99).await;
    assert_eq!((told.cost.requests, requests), (3, 3));
    match told.result {
        Err(GraphError::Unavailable { problem }) => {
            assert!(
                problem.starts_with("HTTP 503 ") && problem.ends_with("(3 tries)"),
                "{problem}"
            );
        }
        other => panic!("{other:?}"),
    }
    let (told, _) = with(lost(CutBy::Close), 99).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    let (told, _) = with(Effect::status(429), 99).await;
    assert!(
        matches!(told.result, Err(GraphError::Throttled { retry_after: None, .. })),
        "{told:?}"
    );
}

#[tokio::test]
async fn without_repeats_there_is_one_request() {
    let emulator = emulator(fault(OperationKind::GetJob, Effect::status(503))).await;
    let mut settings = settings(emulator.base_url());
    settings.read_retries = 0;
    let told = graph(settings).job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    assert_eq!(emulator.counts().graph_requests, 1);
}

#[tokio::test]
async fn a_clear_no_is_not_asked_again() {
    let (told, requests) = with(Effect::status(403), 99).await;
    assert!(matches!(told.result, Err(GraphError::Forbidden(_))), "{told:?}");
    assert_eq!(requests, 1);
    let (told, requests) = with(Effect::status(404), 99).await;
    assert!(matches!(told.result, Err(GraphError::NotFound(_))), "{told:?}");
    assert_eq!(requests, 1);
    let (told, requests) = with(Effect::status(500), 99).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    assert_eq!(requests, 1);
    for status in [400, 405, 409, 410, 418] {
        let (told, requests) = with(Effect::status(status), 99).await;
        match told.result {
            Err(GraphError::BadResponse { problem }) => {
                assert!(problem.starts_with(&format!("HTTP {status}")), "{problem}");
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(requests, 1, "{status}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Server::answering(answer(200, &[], "{}")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v1.0/x?secret=1", elsewhere.origin());
        let (told, requests) = with(Effect::Redirect { status, location }, 99).await;
        match told.result {
            Err(GraphError::BadResponse { problem }) => {
                let expected = format!(
                    "HTTP {status} redirects to {}, and no redirect is followed",
                    elsewhere.origin()
                );
                assert_eq!(problem, expected);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(requests, 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_huge_body_is_not_read() {
    let told_size = Effect::Huge { bytes: 512 * 1024 * 1024 };
    let (told, requests) = with(told_size, 99).await;
    let told_of = |result: Result<Job, GraphError>| match result {
        Err(GraphError::BadResponse { problem }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(told_of(told.result), "its body is longer than 4 MiB");
    assert_eq!(requests, 1);

    // The same without a word about its length: read up to the cap, and no further.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunks = LONGEST_BODY / 0x10000 + 1;
    let endless =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(chunks));
    let server = Server::answering(endless).await;
    let told = graph(settings(&server.origin())).job(&key(), soon()).await;
    assert_eq!(told_of(told.result), "its body is longer than 4 MiB");
}

#[tokio::test]
async fn a_body_of_just_the_longest_length_is_read() {
    let job = r#"{"status":{"code":"Paused"}}"#;
    let padded = format!("{job}{}", " ".repeat(LONGEST_BODY - job.len()));
    let server = Server::answering(answer(200, &[], &padded)).await;
    let told = graph(settings(&server.origin())).job(&key(), soon()).await;
    assert_eq!(told.result.unwrap().code, StatusCode::Paused);
}

#[tokio::test]
async fn a_trickling_body_ends_with_its_request() {
    let effect = Effect::Trickle { interval: Duration::from_millis(20) };
    let emulator = emulator(fault(OperationKind::GetJob, effect)).await;
    let mut settings = settings(emulator.base_url());
    (settings.request_timeout, settings.read_retries) = (Duration::from_millis(200), 1);
    let began = SystemClock.tick();
    let told = graph(settings).job(&key(), soon()).await;
    let took = began.until(SystemClock.tick());
    match told.result {
        Err(GraphError::Timeout { problem }) => {
            assert_eq!(problem, "no whole answer within 200ms (2 tries)");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told.cost.requests, 2);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_deadline_ends_a_silent_server_and_all_repeats() {
    let server = Server::start(|_, _| Play::Hang).await;
    let graph = graph(settings(&server.origin()));
    let began = SystemClock.tick();
    let told = graph.job(&key(), began.after(Duration::from_millis(600))).await;
    let took = began.until(SystemClock.tick());
    assert!(matches!(told.result, Err(GraphError::Timeout { .. })), "{told:?}");
    assert_eq!(server.heard().len(), 1);
    assert!((Duration::from_millis(550)..Duration::from_secs(3)).contains(&took), "{took:?}");

    let told = graph.job(&key(), SystemClock.tick()).await;
    match told.result {
        Err(GraphError::Timeout { problem }) => assert_eq!(problem, "no time was left to ask"),
        other => panic!("{other:?}"),
    }
    assert_eq!((told.cost.requests, server.heard().len()), (0, 1));
}

#[tokio::test]
async fn a_pause_that_ends_behind_the_deadline_is_not_begun() {
    let effect = Effect::status_retry_after(504, 3_600);
    let emulator = emulator(fault(OperationKind::GetJob, effect)).await;
    let graph = graph(settings(emulator.base_url()));
    let began = SystemClock.tick();
    let told = graph.job(&key(), began.after(Duration::from_secs(20))).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    assert!(began.until(SystemClock.tick()) < Duration::from_secs(10));
    assert_eq!(emulator.counts().graph_requests, 1);
}

#[tokio::test]
async fn malformed_html_and_statusless_bodies_end_as_they_should() {
    for effect in [Effect::Malformed, Effect::Html { status: 200 }] {
        let (told, requests) = with(effect, 99).await;
        assert!(matches!(told.result, Err(GraphError::BadResponse { .. })), "{told:?}");
        assert_eq!(requests, 1);
    }
    for effect in [
        Effect::NullStatus,
        Effect::MissingStatus,
        Effect::Rewrite { merge: json!({"status": {"code": null}}) },
    ] {
        let (told, _) = with(effect, 99).await;
        assert_eq!(told.result.unwrap().code, StatusCode::Other(String::new()));
    }
}

#[tokio::test]
async fn a_truncated_body_is_no_job_however_often_it_is_read() {
    let (told, requests) = with(Effect::Truncated, 99).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn a_packed_body_is_not_unpacked() {
    let head = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
    let server = Server::answering(answer(200, &head, "\u{1f}packed")).await;
    let told = graph(settings(&server.origin())).job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::BadResponse { .. })), "{told:?}");
}

#[tokio::test]
async fn a_host_that_is_not_there_costs_no_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let told = graph(settings(&origin)).job(&key(), soon()).await;
    match told.result {
        Err(GraphError::Unavailable { problem }) => {
            assert!(problem.starts_with("connecting failed (Connection refused"), "{problem}");
            assert!(problem.ends_with("(3 tries)"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told.cost.requests, 0);
}

#[tokio::test]
async fn hostile_words_are_shown_harmless() {
    let effect = Effect::Status {
        status: 403,
        retry_after: RetryAfter::Absent,
        code: Some("bad\u{1b}[31m".to_owned()),
        message: Some(format!("canary-token-0 \u{202e}\r\n{}", "x".repeat(10_000))),
        body: None,
        applied: false,
    };
    let (told, _) = with(effect, 99).await;
    let Err(error @ GraphError::Forbidden(_)) = told.result else { panic!("{told:?}") };
    let shown = error.to_string();
    assert!(
        shown.starts_with("Graph refused the call (HTTP 403 bad\u{fffd}[31m: (token) \u{fffd}  xx")
    );
    assert!(shown.chars().count() < 600, "{shown}");
    assert_no_token(&error);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_read() {
    let body = include_str!("../fixtures/active_with_settings.json");
    let server = Server::answering(answer(200, &[], body)).await;
    let tokens = Arc::new(Tokens::default());
    let graph = graph_of(settings(&server.origin()), tokens, Arc::new(SystemClock));
    for _ in 0..5 {
        assert!(graph.job(&key(), soon()).await.result.is_ok());
    }
    assert_eq!((server.heard().len(), server.connections()), (5, 1));
}

#[tokio::test]
async fn a_probe_tells_what_came_back() {
    let emulator = emulator([]).await;
    let graph = graph(settings(emulator.base_url()));
    let probe = graph.probe(soon()).await.unwrap();
    assert_eq!((probe.status, probe.code, probe.retry_after), (200, None, None));
    assert!(probe.round_trip > Duration::ZERO);
    let apart = probe.date.unwrap().duration_since(SystemClock.wall()).abs();
    assert!(apart < jiff::SignedDuration::from_secs(5), "{apart:?}");
    assert_eq!(emulator.requests()[0].target, "/v1.0/servicePrincipals?$top=1&$select=id");

    emulator
        .add_fault(FaultRule::on(OperationKind::ListServicePrincipals, Effect::status(503)))
        .unwrap();
    let probe = graph.probe(soon()).await.unwrap();
    assert_eq!(probe.status, 503);
    assert!(probe.code.is_some());
    assert_eq!(emulator.counts().graph_requests, 2, "a probe is not repeated");
}
