//! `start` where something goes wrong: failures, throttling, and starts whose answer is lost.

use std::{net::TcpListener, time::Duration};

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::{
    Auth, Effect, Emulator, FaultRule, JobConfig, OperationKind, RetryAfter, TokenRule,
};

use super::{A_START, Cost, Desk, Host, NOTHING, ONE_READ, Ran, SP, job, outcome, shape};

/// A paused job on which this fault is played at every request of one kind.
async fn faulty(operation: OperationKind, effect: Effect) -> Desk {
    Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("job", "Paused"))
            .fault(FaultRule::on(operation, effect)),
    )
    .await
}

async fn start(desk: &Desk) -> Ran {
    desk.call(&["start", &job("job")]).patient_never().run().await
}

async fn start_json(desk: &Desk) -> Ran {
    desk.call(&["start", &job("job"), "-o", "json"]).patient_never().run().await
}

#[tokio::test]
async fn a_token_that_graph_refuses_is_an_authentication_failure() {
    let auth = Auth { accept: TokenRule::Known, ..Auth::default() };
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).auth(auth)).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(5).outcome(), "failed/authentication");
    assert_snapshot!(shape(&ran.only()), @"");
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let desk = Desk::paused().await;
    let ran = desk.call(&["start", &job("job")]).without("STARTGUARD_TOKEN").run().await;
    assert_snapshot!(ran.told(), @"");
    assert_eq!(ran.code, Some(5));
    assert_eq!(desk.cost(), NOTHING);
    assert_eq!(desk.host.rows(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_of_the_read_is_told_with_the_permissions_it_takes() {
    let desk = faulty(OperationKind::GetJob, Effect::status(403)).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(start_json(&desk).await.ended(5).outcome(), "failed/forbidden");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_found() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["start", &job("missing")]).await;
    assert_snapshot!(ran.told(), @"");
    let ran = desk.json(&["start", &job("missing")]).await;
    assert_eq!(ran.ended(1).outcome(), "failed/notFound");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn a_graph_that_fails_five_times_is_given_a_rest() {
    let desk = faulty(OperationKind::GetJob, Effect::status(500)).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    for _ in 1..5 {
        assert_eq!(start_json(&desk).await.ended(1).outcome(), "failed/graphUnavailable");
    }
    assert_eq!(desk.cost(), Cost { requests: 5, starts: 0 });
    assert_snapshot!(start(&desk).await.told(), @"");
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/breakerOpen");
    assert!((1..=30).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_read_is_repeated_over_a_passing_fault() {
    let fault = FaultRule::on(OperationKind::GetJob, Effect::status(503)).times(2);
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(fault)).await;
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(0).outcome(), "started");
    assert_eq!(ran.only()["graph"]["reads"], 3);
    assert_eq!(desk.cost(), Cost { requests: 4, starts: 1 });
}

#[tokio::test]
async fn a_graph_that_is_not_there_is_told_with_the_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::new(&format!("http://{}", closed.local_addr().unwrap()));
    drop(closed);
    let ran = host.call(&["start", &job("job")]).patient_never().run().await;
    assert_snapshot!(ran.told(), @"");
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_a_timeout() {
    let fault = FaultRule::on(OperationKind::GetJob, Effect::None)
        .delayed_before(Duration::from_secs(20));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(fault)).await;
    let ran = desk
        .call(&["start", &job("job")])
        .patient_never()
        .env("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "300ms")
        .run()
        .await;
    assert_snapshot!(ran.told(), @"");
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn told_to_wait_everyone_who_shares_the_store_waits() {
    let desk = faulty(OperationKind::GetJob, Effect::status_retry_after(429, 120)).await;
    desk.emulator.set_job(SP, JobConfig::new("other", "Paused"));
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(desk.cost(), ONE_READ);

    let ran = desk.json(&["start", &job("other")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert!((110..=120).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
    // Reads wait, too: status, lists and names.
    let ran = desk.run(&["status", &job("other")]).await;
    assert_snapshot!(ran.told(), @"");
    let ran = desk.run(&["list", SP]).await;
    assert_snapshot!(ran.told(), @"");
    let ran = desk.json(&["start", SP]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_wait_may_be_a_date() {
    let date = Effect::Status {
        status: 503,
        retry_after: RetryAfter::DateIn(90),
        code: None,
        message: None,
        body: None,
        applied: false,
    };
    let desk = faulty(OperationKind::GetJob, date).await;
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert!((80..=91).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
}

#[tokio::test]
async fn throttled_without_a_time_waits_a_minute() {
    let desk = faulty(OperationKind::GetJob, Effect::status(429)).await;
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert_eq!(ran.only()["retryAfterSeconds"], 60);
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn a_throttled_start_is_not_repeated_and_counts() {
    let desk = faulty(OperationKind::Start, Effect::status_retry_after(429, 30)).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(desk.cost(), A_START);
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_refused_start_is_not_repeated_and_counts() {
    let desk = faulty(OperationKind::Start, Effect::status(403)).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(desk.cost(), A_START);
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_start_refused_for_its_token_is_not_repeated_with_another() {
    let desk = faulty(OperationKind::Start, Effect::status(401)).await;
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(5).outcome(), "failed/authentication");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn a_lost_answer_is_found_by_reading() {
    let desk = faulty(OperationKind::Start, Effect::lost_after()).await;
    let ran = start_json(&desk).await;
    let answer = ran.ended(0).only();
    assert_eq!(outcome(&answer), "started");
    assert!(answer["graph"]["reads"].as_u64().unwrap() >= 2, "{answer}");
    assert_eq!(answer["graph"]["starts"], 1);
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn a_gateway_that_gave_up_on_a_start_that_worked() {
    let gateway = Effect::Status {
        status: 504,
        retry_after: RetryAfter::Absent,
        code: None,
        message: None,
        body: None,
        applied: true,
    };
    let desk = faulty(OperationKind::Start, gateway).await;
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn an_answer_lost_for_good_is_in_doubt_and_never_repeated() {
    let desk = faulty(OperationKind::Start, Effect::lost_before()).await;
    let ran = start(&desk).await;
    assert_snapshot!(ran.told(), @"");
    assert_eq!(desk.cost().starts, 1);

    // One read per caller at first, to see whether it worked after all; then none for a while.
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/inDoubt");
    assert_eq!(desk.cost(), ONE_READ);
    assert_snapshot!(start(&desk).await.told(), @"");
    assert_eq!(desk.cost(), NOTHING);

    let kinds: Vec<_> = desk.json(&["history"]).await.lines();
    let kinds: Vec<_> = kinds.iter().map(|entry| (&entry["kind"], &entry["outcome"])).collect();
    assert!(kinds.contains(&(&json!("outcome"), &json!("inDoubt"))), "{kinds:?}");
    assert!(kinds.contains(&(&json!("intent"), &json!(null))), "{kinds:?}");
}

#[tokio::test]
async fn in_doubt_has_the_fields_of_every_answer() {
    let desk = faulty(OperationKind::Start, Effect::lost_before()).await;
    let ran = start_json(&desk).await;
    let answer = ran.ended(6).only();
    assert_eq!(outcome(&answer), "inDoubt");
    assert_snapshot!(shape(&answer), @"");
}

#[tokio::test]
async fn a_store_that_is_away_lets_no_request_out() {
    let desk = Desk::paused().await;
    std::fs::write(desk.host.home.path().join("file"), "").unwrap();
    let store = format!("sqlite:{}/file/ledger.db", desk.host.home.path().display());
    let call = |args: &[&str]| desk.call(args).env("STARTGUARD_STORE", &store);
    assert_snapshot!(call(&["start", &job("job")]).run().await.told(), @"");
    let ran = call(&["start", &job("job"), "-o", "json"]).run().await;
    assert_eq!(ran.ended(1).outcome(), "failed/storeUnavailable");
    assert_eq!(desk.cost(), NOTHING);
}
