//! Proxies from the environment. The environment belongs to the whole process, so each case runs
//! this test binary again with one of its own.

use std::{process::Command, sync::Arc};

use startguard::{
    clock::SystemClock,
    decide::StartReply,
    entropy::SystemEntropy,
    graph::HttpGraph,
    ports::{Graph as _, GraphError},
    tls,
};

use super::{
    CANARY, Tokens, emulator, graph, key,
    server::{Server, answer},
    settings, soon, start,
};

/// Runs one of the cases below, whose tests are skipped by themselves.
async fn run(case: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.args(["--exact", &format!("graph::proxy::{case}"), "--ignored", "--nocapture"]);
    command.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{output:?}");
}

/// A client for an origin that only a proxy can reach.
fn far_away() -> HttpGraph {
    let (identity, clock) = (Arc::new(Tokens::default()), Arc::new(SystemClock));
    let tls = tls::trusting_nobody().unwrap();
    let settings = settings("https://graph.invalid");
    HttpGraph::new(settings, tls, identity, clock, Arc::new(SystemEntropy)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_a_tunnel_and_never_sees_the_token() {
    let proxy = Server::answering(answer(502, &[], "")).await;
    let origin = proxy.origin();
    let url = origin.replace("http://", "http://ann:s3cret@");
    run("behind_a_proxy", &[("HTTPS_PROXY", &url), ("EXPECTED", &origin)]).await;
    let heard = proxy.heard();
    assert!(!heard.is_empty());
    for heard in heard {
        assert!(heard.head.starts_with("CONNECT graph.invalid:443 HTTP/1.1\r\n"), "{heard:?}");
        assert!(heard.header("proxy-authorization").is_some(), "{heard:?}");
        assert!(!heard.head.contains(CANARY), "{heard:?}");
    }
}

#[tokio::test]
#[ignore = "run by the test above it, in a process whose environment it may set"]
async fn behind_a_proxy() {
    let graph = far_away();
    #[expect(clippy::disallowed_methods, reason = "what the parent expects")]
    let expected = std::env::var("EXPECTED").unwrap();
    assert_eq!(graph.proxy(), Some(expected));
    let told = graph.job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Unavailable { .. })), "{told:?}");
    assert_eq!(told.cost.requests, 0);
    let (reply, _) = start(&graph).await;
    assert!(matches!(reply, StartReply::NotSent { .. }), "{reply:?}");
    for shown in [format!("{told:?}"), format!("{reply:?}"), format!("{graph:?}")] {
        assert!(!shown.contains("s3cret") && !shown.contains(CANARY), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_an_exception() {
    let proxy = Server::answering(answer(502, &[], "")).await;
    run("without_a_proxy", &[("ALL_PROXY", &proxy.origin()), ("NO_PROXY", ".invalid")]).await;
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
#[ignore = "run by the test above it, in a process whose environment it may set"]
async fn without_a_proxy() {
    assert_eq!(far_away().proxy(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_reached_without_a_proxy() {
    let proxy = Server::answering(answer(502, &[], "")).await;
    let url = proxy.origin();
    run("on_this_machine", &[("ALL_PROXY", &url), ("HTTP_PROXY", &url), ("http_proxy", &url)])
        .await;
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
#[ignore = "run by the test above it, in a process whose environment it may set"]
async fn on_this_machine() {
    let emulator = emulator([]).await;
    let graph = graph(settings(emulator.base_url()));
    assert_eq!(graph.proxy(), None);
    assert!(graph.job(&key(), soon()).await.result.is_ok());
    assert_eq!(start(&graph).await.0, StartReply::Accepted);
}
