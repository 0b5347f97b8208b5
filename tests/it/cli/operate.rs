//! `hold`, `release` and `reset`: what an operator decides. None of them asks Graph.

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::JobConfig;

use super::{A_START, Desk, NOTHING, SP, job, shape};

#[tokio::test]
async fn a_hold_forbids_starts_until_it_is_released() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["hold", &job("job"), "--reason", "migration at the target"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: on hold until it is released
      next: `startguard release 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` lifts it
    ");
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (onHold)
      on hold by tester@[host]: migration at the target
      next: `startguard release 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` lifts it
    ");
    let ran = desk.json(&["start", &job("job"), "--accept", "onHold"]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/onHold");
    assert_eq!(ran.only()["retryAfterSeconds"], json!(null));
    assert_eq!(desk.cost(), NOTHING);

    let ran = desk.run(&["release", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: released
    ");
    let ran = desk.run(&["release", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: was not on hold; nothing changed
    ");
    assert_eq!(desk.json(&["start", &job("job")]).await.ended(0).outcome(), "started");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn a_hold_with_an_end_says_when() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["hold", &job("job"), "--for", "2h", "--reason", "bulk load"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: on hold until [time]
      next: `startguard release 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` lifts it before
    ");
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (onHold)
      on hold by tester@[host]: bulk load
      retry: after [time], in [span]
      next: `startguard release 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` lifts it
    ");
    let wait = desk.json(&["start", &job("job")]).await.only()["retryAfterSeconds"].clone();
    assert!((7_190..=7_200).contains(&wait.as_u64().unwrap()), "{wait}");
    // A new hold replaces it, and one that has run out holds nothing.
    desk.run(&["hold", &job("job"), "--for", "1ms", "--reason", "done"]).await.ended(0);
    assert_eq!(desk.json(&["start", &job("job")]).await.ended(0).outcome(), "started");
}

#[tokio::test]
async fn what_an_operator_did_in_json() {
    let desk = Desk::paused().await;
    let named = json!({"servicePrincipalId": SP, "jobId": "job", "name": null});
    let hold = ["hold", &job("job"), "--for", "2h", "--reason", "bulk load"];
    let held = desk.json(&hold).await.ended(0).only();
    assert_snapshot!(shape(&held), @r"
    action: string
    changed: bool
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    until: string
    ");
    let forever = desk.json(&["hold", &job("job"), "--reason", "for good"]).await.ended(0).only();
    let expected = json!({"job": named, "action": "hold", "changed": true, "until": null});
    assert_eq!(forever, expected);
    let release = async |changed: bool| {
        let released = desk.json(&["release", &job("job")]).await.ended(0).only();
        let expected = json!({"job": named, "action": "release", "changed": changed});
        assert_eq!(released, expected);
    };
    release(true).await;
    release(false).await;
    let reset =
        desk.json(&["reset", &job("job"), "--reason", "no start yet"]).await.ended(0).only();
    let expected = json!({"job": named, "action": "reset", "changed": true, "forgiven": 0});
    assert_eq!(reset, expected);
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn everything_an_operator_did_is_in_the_journal() {
    let desk = Desk::paused().await;
    desk.run(&["hold", &job("job"), "--reason", "one"]).await.ended(0);
    desk.run(&["release", &job("job")]).await.ended(0);
    desk.run(&["release", &job("job")]).await.ended(0);
    desk.run(&["reset", &job("job"), "--reason", "two"]).await.ended(0);
    let ran = desk.run(&["history"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: reset, by tester@[host]
      note: two
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: release, by tester@[host]
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: hold, by tester@[host]
      note: one
    ");
    desk.run(&["history", "--verify"]).await.ended(0);
}

#[tokio::test]
async fn a_reset_gives_the_budget_back() {
    let desk = Desk::paused().await;
    let call = |args: &[&str]| {
        desk.call(args)
            .env("STARTGUARD_GUARD_COOLDOWN", "1ms")
            .env("STARTGUARD_GUARD_MAX_STARTS", "1")
            .env("STARTGUARD_OUTPUT", "json")
    };
    let start = ["start", &job("job")];
    call(&start).run().await.ended(0);
    desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    assert_eq!(call(&start).run().await.ended(4).outcome(), "deferred/budgetExhausted");
    let ran = desk.run(&["reset", &job("job"), "--reason", "the cause is mended"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: budget given back; 1 earlier start(s) no longer count; the cool-down stands
    ");
    assert_eq!(call(&start).run().await.ended(0).outcome(), "started");
}

#[tokio::test]
async fn a_reset_shortens_no_cooldown_and_lifts_no_hold() {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job")]).await.ended(0);
    desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    desk.run(&["reset", &job("job"), "--reason", "in a hurry"]).await.ended(0);
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
    desk.run(&["hold", &job("job"), "--reason", "stop"]).await.ended(0);
    desk.run(&["reset", &job("job"), "--reason", "in a hurry"]).await.ended(0);
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/onHold");
    assert_eq!(desk.cost(), A_START);
    assert!(desk.host.rows().iter().filter(|row| row.starts_with("journal")).count() >= 5);
}

#[tokio::test]
async fn a_hold_that_the_store_did_not_take_is_a_failure() {
    let desk = Desk::paused().await;
    std::fs::write(desk.host.home.path().join("file"), "").unwrap();
    let store = format!("sqlite:{}/file/ledger.db", desk.host.home.path().display());
    for args in [
        &["hold", &job("job"), "--reason", "x"][..],
        &["reset", &job("job"), "--reason", "x"],
        &["release", &job("job")],
        &["history"],
        &["history", "--verify"],
    ] {
        let ran = desk.call(args).env("STARTGUARD_STORE", &store).run().await;
        ran.ended(1);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("a part of") && ran.stderr.contains("next: "), "{ran:?}");
    }
    let hold = ["hold", &job("job"), "--reason", "x"];
    let ran = desk.call(&hold).env("STARTGUARD_STORE", &store).run().await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: nothing was changed: the store sqlite:[home]/file/ledger.db could not be looked at: Not a directory (os error 20)
      next: a part of [home]/file/ledger.db is a file: name another path
    ");
}
