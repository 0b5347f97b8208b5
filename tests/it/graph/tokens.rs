//! The token: when it is asked for, replaced, and where it goes.

use std::sync::Arc;

use startguard::{
    clock::SystemClock,
    emulator::{Effect, FaultRule, OperationKind, RetryAfter},
    graph::HttpGraph,
    ports::{Graph as _, GraphError},
};

use super::{
    Tokens, assert_no_token, emulator, graph_of, key,
    server::{Play, Server, answer},
    settings, soon, start,
};

fn client(origin: &str, tokens: &Arc<Tokens>) -> HttpGraph {
    graph_of(settings(origin), Arc::clone(tokens), Arc::new(SystemClock))
}

fn unauthorized() -> Effect {
    // As Graph says it when a permission is missing.
    Effect::Status {
        status: 401,
        retry_after: RetryAfter::Absent,
        code: Some("UnknownError".to_owned()),
        message: Some(String::new()),
        body: None,
        applied: false,
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start(|_, heard| {
        Play::Answer(match heard.header("authorization") {
            Some("Bearer canary-token-0") => answer(401, &[], ""),
            _ => answer(200, &[], r#"{"status":{"code":"Paused"}}"#),
        })
    })
    .await;
    let tokens = Arc::new(Tokens::default());
    let told = client(&server.origin(), &tokens).job(&key(), soon()).await;
    assert!(told.result.is_ok(), "{told:?}");
    assert_eq!((told.cost.requests, tokens.refreshed()), (2, 1));
}

#[tokio::test]
async fn a_token_that_is_refused_again_ends_the_read() {
    let emulator = emulator([FaultRule::on(OperationKind::GetJob, unauthorized())]).await;
    let tokens = Arc::new(Tokens::default());
    let told = client(emulator.base_url(), &tokens).job(&key(), soon()).await;
    match &told.result {
        Err(GraphError::Unauthorized(reply)) => {
            assert_eq!(
                (reply.code.as_deref(), reply.message.as_deref()),
                (Some("UnknownError"), None)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((told.cost.requests, tokens.refreshed()), (2, 1));
    assert_no_token(&told);
}

#[tokio::test]
async fn a_token_given_by_hand_is_not_asked_for_again() {
    let emulator = emulator([FaultRule::on(OperationKind::GetJob, unauthorized())]).await;
    let tokens = Arc::new(Tokens { fixed: true, ..Tokens::default() });
    let told = client(emulator.base_url(), &tokens).job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Unauthorized(_))), "{told:?}");
    assert_eq!(told.cost.requests, 1);
}

#[tokio::test]
async fn a_token_that_another_read_replaced_is_taken_up() {
    // The first read is refused only after the second one has been refused and has a new token.
    let emulator = emulator([
        FaultRule::on(OperationKind::GetJob, unauthorized())
            .times(1)
            .delayed_before(std::time::Duration::from_millis(400)),
        FaultRule::on(OperationKind::ListJobs, unauthorized()).times(1),
    ])
    .await;
    let tokens = Arc::new(Tokens::default());
    let graph = Arc::new(client(emulator.base_url(), &tokens));
    let slow = tokio::spawn({
        let graph = Arc::clone(&graph);
        async move { graph.job(&key(), soon()).await }
    });
    while emulator.counts().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    assert!(graph.jobs(&key().service_principal_id, soon()).await.result.is_ok());
    let slow = slow.await.unwrap();
    assert!(slow.result.is_ok(), "{slow:?}");
    assert_eq!((slow.cost.requests, tokens.refreshed()), (2, 1));
}

#[tokio::test]
async fn a_start_asks_for_no_token() {
    let emulator = emulator([]).await;
    let tokens = Arc::new(Tokens::default());
    let graph = client(emulator.base_url(), &tokens);
    graph.authorize().await.unwrap();
    assert_eq!((tokens.asked(), emulator.counts().graph_requests), (1, 0));
    let permit = super::permit(Arc::new(SystemClock), std::time::Duration::from_secs(5)).await;
    let (reply, _) = graph.start(permit).await;
    assert_eq!(reply, startguard::decide::StartReply::Accepted);
    assert_eq!(tokens.asked(), 1);
}

#[tokio::test]
async fn a_start_without_a_token_in_hand_is_not_sent() {
    let emulator = emulator([]).await;
    let graph = client(emulator.base_url(), &Arc::new(Tokens::default()));
    let permit = super::permit(Arc::new(SystemClock), std::time::Duration::from_secs(5)).await;
    let (reply, cost) = graph.start(permit).await;
    assert!(matches!(reply, startguard::decide::StartReply::NotSent { .. }), "{reply:?}");
    assert_eq!((cost.requests, emulator.counts().graph_requests), (0, 0));
}

#[tokio::test]
async fn a_refused_start_is_not_repeated_with_another_token() {
    let emulator = emulator([FaultRule::on(OperationKind::Start, unauthorized())]).await;
    let tokens = Arc::new(Tokens::default());
    let graph = client(emulator.base_url(), &tokens);
    let (reply, cost) = start(&graph).await;
    assert!(
        matches!(&reply, startguard::decide::StartReply::Rejected(reply) if reply.status == 401)
    );
    assert_eq!((cost.requests, emulator.counts().starts, tokens.refreshed()), (1, 1, 0));
}
