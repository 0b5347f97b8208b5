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
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 5
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (authentication)
      Graph did not accept the token (HTTP 401 InvalidAuthenticationToken: IDX14100: JWT is not well formed, there are no dots (.).)
      next: the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app or hold Application Administrator or Cloud Application Administrator
    ");
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(5).outcome(), "failed/authentication");
    assert_snapshot!(shape(&ran.only()), @r"
    attemptId: string
    coalesced: bool
    elapsedMs: number
    fencingToken: number
    graph.reads: number
    graph.requestIds: [string]
    graph.starts: number
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    message: string
    observed: null
    outcome: string
    reason: string
    retryAfterSeconds: null
    ");
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let desk = Desk::paused().await;
    let ran = desk.call(&["start", &job("job")]).without("STARTGUARD_TOKEN").run().await;
    assert_snapshot!(ran.told(), @r#"
    exit 5
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (authentication)
      no token for Microsoft Graph: no access token from `[auth] kind = "token"`: no token was given
      next: set STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE
    "#);
    assert_eq!(ran.code, Some(5));
    assert_eq!(desk.cost(), NOTHING);
    assert_eq!(desk.host.rows(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_of_the_read_is_told_with_the_permissions_it_takes() {
    let desk = faulty(OperationKind::GetJob, Effect::status(403)).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 5
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (forbidden)
      Graph refused the call (HTTP 403 Authorization_RequestDenied: Insufficient privileges to complete the operation.)
      next: the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app or hold Application Administrator or Cloud Application Administrator
    ");
    assert_eq!(start_json(&desk).await.ended(5).outcome(), "failed/forbidden");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_found() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["start", &job("missing")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/missing: failed (notFound)
      Graph knows no such object (HTTP 404 ResourceNotFound: The synchronization job 'missing' was not found.)
      next: check the ids with `startguard list SERVICE_PRINCIPAL`; a job made a moment ago may take a while to appear
    ");
    let ran = desk.json(&["start", &job("missing")]).await;
    assert_eq!(ran.ended(1).outcome(), "failed/notFound");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn a_graph_that_fails_five_times_is_given_a_rest() {
    let desk = faulty(OperationKind::GetJob, Effect::status(500)).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (graphUnavailable)
      Graph could not be reached or could not answer: HTTP 500 InternalServerError: An internal server error occurred while processing the request.
      next: `startguard doctor` shows how far a request gets; ask again later
    ");
    for _ in 1..5 {
        assert_eq!(start_json(&desk).await.ended(1).outcome(), "failed/graphUnavailable");
    }
    assert_eq!(desk.cost(), Cost { requests: 5, starts: 0 });
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (breakerOpen)
      Graph failed 5 times in a row and is given a rest
      retry: after [time], in [span]
      next: `startguard doctor` shows whether Graph can be reached
    ");
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
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (graphUnavailable)
      Graph could not be reached or could not answer: connecting failed (Connection refused (os error 111))
      next: `startguard doctor` shows how far a request gets; ask again later
    ");
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_a_timeout() {
    let fault =
        FaultRule::on(OperationKind::GetJob, Effect::None).delayed_before(Duration::from_secs(20));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(fault)).await;
    let ran = desk
        .call(&["start", &job("job")])
        .patient_never()
        .env("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "300ms")
        .run()
        .await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (timeout)
      Graph did not answer in time: no whole answer within 300ms
      next: ask again later; `[graph] request_timeout` sets how long an answer may take
    ");
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn told_to_wait_everyone_who_shares_the_store_waits() {
    let desk = faulty(OperationKind::GetJob, Effect::status_retry_after(429, 120)).await;
    desk.emulator.set_job(SP, JobConfig::new("other", "Paused"));
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (throttled)
      Graph said to wait (HTTP 429 TooManyRequests: Too many requests. Try again later.)
      retry: after [time], in [span]
      next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` then
    ");
    assert_eq!(desk.cost(), ONE_READ);

    let ran = desk.json(&["start", &job("other")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert!((110..=120).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
    // Reads wait, too: status, lists and names.
    let ran = desk.run(&["status", &job("other")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/other
      start: deferred (throttled): Graph said to wait (HTTP 429 with Retry-After)
      retry: after [time], in [span]
    ");
    let ran = desk.run(&["list", SP]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stderr
    error: 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b: deferred: Graph said to wait (HTTP 429)
      next: ask again in [span]
    ");
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
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (throttled)
      Graph answered the start with HTTP 429 TooManyRequests: Too many requests. Try again later.; nothing was started
      retry: after [time], in [span]
      next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` then
    ");
    assert_eq!(desk.cost(), A_START);
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_refused_start_is_not_repeated_and_counts() {
    let desk = faulty(OperationKind::Start, Effect::status(403)).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 5
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (forbidden)
      Graph refused the call (HTTP 403 Authorization_RequestDenied: Insufficient privileges to complete the operation.); the start was refused
      next: the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app or hold Application Administrator or Cloud Application Administrator
    ");
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
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: started
      was Paused, now Active (the start got no clear answer: HTTP 504 GatewayTimeout: The backend did not answer in time.)
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows how it goes
    ");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn an_answer_lost_for_good_is_in_doubt_and_never_repeated() {
    let desk = faulty(OperationKind::Start, Effect::lost_before()).await;
    let ran = start(&desk).await;
    assert_snapshot!(ran.told(), @r"
    exit 6
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: inDoubt
      a start went out and got no clear answer (the connection failed before the whole answer was there (connection closed before message completed)); the job does not read Active yet
      retry: after [time], in [span]
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows whether it worked; startguard does not repeat it by itself
    ");
    assert_eq!(desk.cost().starts, 1);

    // One read per caller at first, to see whether it worked after all; then none for a while.
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/inDoubt");
    assert_eq!(desk.cost(), ONE_READ);
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (inDoubt)
      in doubt: what became of the start that tester@[host] asked for [span] ago is not known, and it may yet work
      retry: after [time], in [span]
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows whether it worked
    ");
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
    assert_snapshot!(shape(&answer), @r"
    attemptId: string
    coalesced: bool
    elapsedMs: number
    fencingToken: number
    graph.reads: number
    graph.requestIds: [string]
    graph.starts: number
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    message: string
    observed.code: string
    observed.quarantine: null
    observed.readAt: string
    observed.schedule: string
    outcome: string
    reason: null
    retryAfterSeconds: number
    ");
}

#[tokio::test]
async fn a_store_that_is_away_lets_no_request_out() {
    let desk = Desk::paused().await;
    std::fs::write(desk.host.home.path().join("file"), "").unwrap();
    let store = format!("sqlite:{}/file/ledger.db", desk.host.home.path().display());
    let call = |args: &[&str]| desk.call(args).env("STARTGUARD_STORE", &store);
    assert_snapshot!(call(&["start", &job("job")]).run().await.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (storeUnavailable)
      the store sqlite:[home]/file/ledger.db could not be looked at: Not a directory (os error 20)
      next: a part of [home]/file/ledger.db is a file: name another path
    ");
    // No user may write there, root neither.
    for store in [store.as_str(), "sqlite:/proc/startguard/ledger.db"] {
        let call = desk.call(&["start", &job("job"), "-o", "json"]);
        let ran = call.env("STARTGUARD_STORE", store).run().await;
        assert_eq!(ran.ended(1).outcome(), "failed/storeUnavailable");
    }
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_clock_that_ran_backwards_past_the_journal_lets_no_request_out() {
    let desk = Desk::paused().await;
    desk.run(&["hold", &job("job"), "--for", "1ms", "--reason", "x"]).await.ended(0);
    desk.host.tamper("UPDATE journal SET at = at + 7200000000000");
    let ran = start(&desk).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (storeUnavailable)
      the clock stands [span] before the newest journal entry: it ran backwards
      next: set the clock right (`startguard doctor` compares it with Graph's); starts stay off until it has passed that entry; if it is right now, and was wrong then, `startguard reset 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job --reason TEXT` says so
    ");
    assert_eq!(start_json(&desk).await.ended(1).outcome(), "failed/storeUnavailable");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_reset_says_that_the_clock_is_right_and_what_that_means() {
    let desk = Desk::paused().await;
    desk.run(&["hold", &job("job"), "--for", "1ms", "--reason", "x"]).await.ended(0);
    desk.host.tamper("UPDATE journal SET at = at + 7200000000000");
    let reset = ["reset", &job("job"), "--reason", "the clock was ahead"];
    assert_snapshot!(desk.run(&reset).await.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: budget given back; 0 earlier start(s) no longer count; the cool-down stands
      next: see that the clock is right: it stood [span] before the newest journal entry, which kept the starts of every job off, and counts as right from now on
    ");
    assert_eq!(start_json(&desk).await.ended(0).outcome(), "started");
    desk.host.tamper("UPDATE journal SET at = at + 7200000000000");
    let told = desk.json(&reset).await.ended(0).only();
    let behind = told["clockWasBehindSeconds"].as_u64().expect("seconds");
    assert!((7_000..=7_200).contains(&behind), "{behind}");
}
