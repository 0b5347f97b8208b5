//! Told to wait: nothing more goes out of the process, and whoever asked is told at once.

use std::{sync::Arc, time::Duration};

use startguard::{
    clock::SystemClock,
    decide::StartReply,
    emulator::{Effect, FaultRule, OperationKind, RetryAfter},
    model::StatusCode,
    ports::{Clock as _, Graph as _, GraphError},
};

use super::{
    emulator, fault, graph, key,
    server::{Play, Server, answer},
    settings, soon, start,
};

fn saying(status: u16, retry_after: RetryAfter) -> Effect {
    Effect::Status { status, retry_after, code: None, message: None, body: None, applied: false }
}

#[tokio::test]
async fn a_read_that_is_told_to_wait_returns_at_once_and_silences_the_rest() {
    for status in [429, 503] {
        let effect = Effect::status_retry_after(status, 60);
        let emulator = emulator(fault(OperationKind::GetJob, effect)).await;
        let graph = graph(settings(emulator.base_url()));
        let began = SystemClock.tick();
        let told = graph.job(&key(), soon()).await;
        assert!(began.until(SystemClock.tick()) < Duration::from_secs(10));
        let minute = Duration::from_secs(60);
        assert_eq!(told.throttle, Some((status, minute)));
        match told.result {
            Err(GraphError::Throttled { reply, retry_after }) => {
                assert_eq!((reply.status, retry_after), (status, Some(minute)));
            }
            other => panic!("{other:?}"),
        }

        // Whatever is asked now, nothing goes out.
        let told = graph.jobs(&key().service_principal_id, soon()).await;
        assert_eq!(told.cost.requests, 0);
        match told.result {
            Err(GraphError::Throttled { retry_after: Some(left), .. }) => {
                assert!(left <= minute && left > minute / 2, "{left:?}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(graph.probe(soon()).await, Err(GraphError::Throttled { .. })));
        let (reply, cost) = start(&graph).await;
        assert!(matches!(reply, StartReply::HeldBack { status: _, wait: _ }), "{reply:?}");
        assert_eq!(cost.requests, 0);
        assert_eq!(emulator.counts().graph_requests, 1);
    }
}

/// Found by fuzzing: a value that is no text was taken for none.
#[tokio::test]
async fn who_is_told_to_wait_in_odd_bytes_waits_a_minute() {
    for status in [429, 503] {
        let server = Server::answering(answer(status, &[("Retry-After", "später")], "")).await;
        let told = graph(settings(&server.origin())).job(&key(), soon()).await;
        assert_eq!(told.throttle, Some((status, Duration::from_secs(60))));
        assert_eq!(told.cost.requests, 1);
    }
}

#[tokio::test]
async fn a_read_that_rests_between_two_tries_stays_silent_too() {
    // The first read meets a 503 and rests; the second is told to wait. Only then may the first
    // wake, which the server makes sure of: it answers the second as soon as it has the first.
    let server = Server::start(|number, _| match number {
        0 => Play::Answer(answer(503, &[], "")),
        _ => Play::Answer(answer(429, &[("Retry-After", "30")], "")),
    })
    .await;
    let graph = Arc::new(graph(settings(&server.origin())));
    let rests = tokio::spawn({
        let graph = Arc::clone(&graph);
        async move { graph.job(&key(), soon()).await }
    });
    while server.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = graph.job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Throttled { .. })), "{told:?}");
    let rested = rests.await.unwrap();
    assert!(matches!(rested.result, Err(GraphError::Throttled { .. })), "{rested:?}");
    assert!(
        rested
            .throttle
            .is_some_and(|(status, left)| status == 429 && left <= Duration::from_secs(30))
    );
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_date_counts_from_the_servers_own_clock() {
    for (date, until) in [
        ("Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2000 00:02:00 GMT"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 01 Jan 2100 00:02:00 GMT"),
    ] {
        let server =
            Server::answering(answer(503, &[("Date", date), ("Retry-After", until)], "")).await;
        let told = graph(settings(&server.origin())).job(&key(), soon()).await;
        assert_eq!(told.throttle, Some((503, Duration::from_secs(120))), "{date}");
    }
}

#[tokio::test]
async fn a_date_in_the_future_is_a_wait() {
    let rules = fault(OperationKind::GetJob, saying(503, RetryAfter::DateIn(120)));
    let emulator = emulator(rules).await;
    let told = graph(settings(emulator.base_url())).job(&key(), soon()).await;
    let Some((503, wait)) = told.throttle else { panic!("{told:?}") };
    assert!((119..=121).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn a_wait_that_cannot_be_read_is_a_minute() {
    for said in ["soon", "-1", "120.7", "+120"] {
        let rule = saying(429, RetryAfter::Raw(said.to_owned()));
        let emulator = emulator([FaultRule::on(OperationKind::GetJob, rule).times(1)]).await;
        let told = graph(settings(emulator.base_url())).job(&key(), soon()).await;
        assert_eq!(told.throttle, Some((429, Duration::from_secs(60))), "{said}");
        assert_eq!(emulator.counts().graph_requests, 1, "{said}");
    }
}

#[tokio::test]
async fn no_wait_at_all_leaves_the_usual_repeat() {
    for retry_after in
        [RetryAfter::Raw("Tue, 23 Nov 1999 09:00:00 GMT".to_owned()), RetryAfter::Seconds(0)]
    {
        let rule = FaultRule::on(OperationKind::GetJob, saying(429, retry_after.clone()));
        let emulator = emulator([rule.times(1)]).await;
        let told = graph(settings(emulator.base_url())).job(&key(), soon()).await;
        assert_eq!(told.throttle, None, "{retry_after:?}");
        assert_eq!(told.result.unwrap().code, StatusCode::Paused, "{retry_after:?}");
        assert_eq!(emulator.counts().graph_requests, 2);
    }
}

#[tokio::test]
async fn a_gateways_wait_is_the_least_pause_before_the_repeat() {
    let rule = FaultRule::on(OperationKind::GetJob, Effect::status_retry_after(504, 1)).times(1);
    let emulator = emulator([rule]).await;
    let began = SystemClock.tick();
    let told = graph(settings(emulator.base_url())).job(&key(), soon()).await;
    assert!(told.result.is_ok(), "{told:?}");
    assert!(began.until(told.began) >= Duration::from_secs(1));
    assert_eq!(told.throttle, None);
}

#[tokio::test]
async fn a_start_that_is_told_to_wait_silences_the_reads() {
    let effect = Effect::status_retry_after(429, 45);
    let emulator = emulator(fault(OperationKind::Start, effect)).await;
    let graph = graph(settings(emulator.base_url()));
    let (reply, cost) = start(&graph).await;
    let StartReply::Throttled { reply, retry_after } = reply else { panic!("{reply:?}") };
    assert_eq!((reply.status, retry_after), (429, Some(Duration::from_secs(45))));
    assert_eq!((cost.requests, cost.request_ids.len()), (1, 1));
    let told = graph.job(&key(), soon()).await;
    assert!(matches!(told.result, Err(GraphError::Throttled { .. })), "{told:?}");
    assert_eq!(emulator.counts().graph_requests, 1);
}

#[tokio::test]
async fn the_wait_ends() {
    let rule = FaultRule::on(OperationKind::GetJob, Effect::status_retry_after(429, 60)).times(1);
    let emulator = emulator([rule]).await;
    let clock = Arc::new(startguard::testing::ManualClock::new(SystemClock.wall()));
    let tokens = Arc::new(super::Tokens::default());
    let graph = super::graph_of(settings(emulator.base_url()), tokens, clock.clone());
    let later = |span| clock.tick().after(Duration::from_secs(span));
    assert!(graph.job(&key(), later(20)).await.result.is_err());
    clock.advance(Duration::from_secs(59));
    assert!(graph.job(&key(), later(20)).await.result.is_err());
    clock.advance(Duration::from_secs(1));
    assert!(graph.job(&key(), later(20)).await.result.is_ok());
    assert_eq!(emulator.counts().graph_requests, 2);
}
