//! A Graph that is not well or not Graph at all: none of it reaches a POST, and nothing that it says
//! reaches a terminal raw.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use startguard::{
    emulator::{
        Effect, Emulator, FaultRule, JobConfig, OperationKind, RetryAfter, ServicePrincipalConfig,
    },
    model::is_hidden,
};

use super::{Cost, Desk, NOTHING, ONE_READ, Ran, SP, job};

async fn paused_with(rule: FaultRule) -> Desk {
    Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(rule)).await
}

async fn reading(effect: Effect) -> Desk {
    paused_with(FaultRule::on(OperationKind::GetJob, effect)).await
}

async fn start(desk: &Desk) -> Ran {
    desk.call(&["start", &job("job")]).patient_never().run().await
}

async fn start_json(desk: &Desk) -> Ran {
    desk.call(&["start", &job("job"), "-o", "json"]).patient_never().run().await
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let desk = reading(Effect::Huge { bytes: 512 << 20 }).await;
    let ran = start(&desk).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (badResponse)
      Graph's answer cannot be used: its body is longer than 4 MiB
      next: check `[graph] endpoint` and the proxies on the way: this is not how Microsoft Graph answers
    ");
    assert_eq!(desk.cost(), ONE_READ);
    assert_eq!(start_json(&desk).await.ended(1).outcome(), "failed/badResponse");
}

#[tokio::test]
async fn a_body_that_trickles_has_a_deadline() {
    let desk = reading(Effect::Trickle { interval: Duration::from_secs(1) }).await;
    let ran = desk
        .call(&["start", &job("job")])
        .patient_never()
        .env("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "1s")
        .run()
        .await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (timeout)
      Graph did not answer in time: no whole answer within 1s
      next: ask again later; `[graph] request_timeout` sets how long an answer may take
    ");
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn bodies_that_are_no_job_are_bad_responses() {
    for (effect, complaint, outcome) in [
        (Effect::Html { status: 200 }, "HTML", "failed/badResponse"),
        (Effect::Malformed, "JSON", "failed/badResponse"),
        (Effect::Truncated, "before the whole answer", "failed/graphUnavailable"),
    ] {
        let desk = reading(effect).await;
        let ran = start_json(&desk).await;
        assert_eq!(ran.ended(1).outcome(), outcome, "{ran:?}");
        assert!(ran.only()["message"].as_str().unwrap().contains(complaint), "{ran:?}");
        assert_eq!(desk.cost(), ONE_READ);
    }
    let desk = reading(Effect::Html { status: 200 }).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (badResponse)
      Graph's answer cannot be used: its body is a page of HTML or XML, as a proxy or a sign-in page sends
      next: check `[graph] endpoint` and the proxies on the way: this is not how Microsoft Graph answers
    ");
}

#[tokio::test]
async fn a_job_without_a_status_is_in_no_state_that_may_be_started() {
    for effect in [
        Effect::NullStatus,
        Effect::MissingStatus,
        Effect::Rewrite { merge: json!({"status": {"code": null}}) },
        Effect::Rewrite { merge: json!({"status": {"code": 3}}) },
        Effect::Rewrite { merge: json!({"status": {"code": ["Paused"]}}) },
        Effect::Rewrite { merge: json!({"status": "Paused"}) },
        Effect::Rewrite { merge: json!({"status": {"code": "Paused "}}) },
        Effect::Rewrite { merge: json!({"status": {"code": "Pau\u{200b}sed"}}) },
    ] {
        let told = format!("{effect:?}");
        let desk = reading(effect).await;
        assert_eq!(start_json(&desk).await.ended(3).outcome(), "denied/unknownState", "{told}");
        assert_eq!(desk.cost(), ONE_READ, "{told}");
    }
    let desk = reading(Effect::NullStatus).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 3
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: denied (unknownState)
      Graph gave no status code for the job
      next: look at the job in the Entra admin centre; a newer startguard may know the code
    ");
}

#[tokio::test]
async fn no_redirect_of_a_read_is_followed() {
    let elsewhere = Emulator::builder().job(SP, JobConfig::new("job", "Paused"));
    let elsewhere = elsewhere.start().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let path = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/job");
        let location = format!("{}{path}?secret=x", elsewhere.base_url());
        let desk = reading(Effect::Redirect { status, location }).await;
        let ran = start_json(&desk).await;
        assert_eq!(ran.ended(1).outcome(), "failed/badResponse", "{status}");
        assert_eq!(desk.cost(), ONE_READ, "{status}");
    }
    assert_eq!(elsewhere.requests(), []);
    let location = format!("{}/v1.0/x?secret=x", elsewhere.base_url());
    let desk = reading(Effect::Redirect { status: 302, location }).await;
    assert_snapshot!(start(&desk).await.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (badResponse)
      Graph's answer cannot be used: HTTP 302 redirects to http://[elsewhere], and no redirect is followed
      next: check `[graph] endpoint` and the proxies on the way: this is not how Microsoft Graph answers
    ");
}

#[tokio::test]
async fn no_redirect_of_a_start_is_followed() {
    let elsewhere = Emulator::builder().job(SP, JobConfig::new("job", "Paused"));
    let elsewhere = elsewhere.start().await.unwrap();
    let path = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/job/start");
    let location = format!("{}{path}", elsewhere.base_url());
    let desk = paused_with(FaultRule::on(
        OperationKind::Start,
        Effect::Redirect { status: 307, location },
    ))
    .await;
    let ran = start_json(&desk).await;
    assert_eq!(ran.ended(6).outcome(), "inDoubt");
    assert_eq!(desk.cost().starts, 1);
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn a_sign_in_page_in_answer_to_a_start_is_no_yes() {
    let page = Effect::Status {
        status: 200,
        retry_after: RetryAfter::Absent,
        code: None,
        message: None,
        body: Some("<!DOCTYPE html><title>Sign in</title>".to_owned()),
        applied: false,
    };
    let desk = paused_with(FaultRule::on(OperationKind::Start, page)).await;
    assert_eq!(start_json(&desk).await.ended(6).outcome(), "inDoubt");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn no_list_goes_on_at_another_origin() {
    let elsewhere = Emulator::builder().job(SP, JobConfig::new("more", "Paused"));
    let elsewhere = elsewhere.start().await.unwrap();
    let url = format!("{}/v1.0/servicePrincipals/{SP}/synchronization/jobs", elsewhere.base_url());
    let next = Effect::NextLink { url };
    let desk = paused_with(FaultRule::on(OperationKind::ListJobs, next.clone())).await;
    let ran = desk.run(&["list", SP]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b: Graph's answer cannot be used: its next page is at http://[elsewhere], not at [graph]
      next: check `[graph] endpoint` and the proxies on the way: this is not how Microsoft Graph answers
    ");
    assert_eq!(desk.json(&["start", SP]).await.ended(1).outcome(), "failed/badResponse");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });

    desk.emulator.clear_faults();
    let rule = FaultRule::on(OperationKind::ListServicePrincipals, next);
    desk.emulator.add_fault(rule).unwrap();
    assert_eq!(desk.json(&["start", "Nobody"]).await.ended(1).outcome(), "failed/badResponse");
    assert_eq!(desk.cost(), ONE_READ);
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn a_list_that_goes_in_circles_ends() {
    let desk = Desk::paused().await;
    let url =
        format!("{}/v1.0/servicePrincipals/{SP}/synchronization/jobs", desk.emulator.base_url());
    let circle = FaultRule::on(OperationKind::ListJobs, Effect::NextLink { url });
    desk.emulator.add_fault(circle).unwrap();
    assert_eq!(desk.json(&["start", SP]).await.ended(1).outcome(), "failed/badResponse");
    assert!(desk.cost().requests <= 2);
}

/// Text that would clear a screen, forge a line, and turn the direction of writing.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\nINFO forged \u{202e}txt\u{200b}";

/// A fleet whose every word is evil.
async fn evil() -> Desk {
    let mut evil = JobConfig::new("code", format!("Paused{EVIL}"));
    evil.schedule = Some(format!("Active{EVIL}"));
    let reason = JobConfig::new("reason", "Quarantine").quarantined(format!("TooMany{EVIL}"));
    let mut quarantined = reason.clone();
    if let Some(quarantine) = &mut quarantined.quarantine {
        quarantine.error_code = format!("Bad{EVIL}");
        quarantine.error_message = format!("broken{EVIL}");
    }
    let refuse = Effect::Status {
        status: 403,
        retry_after: RetryAfter::Absent,
        code: Some(format!("Denied{EVIL}")),
        message: Some(format!("No.{EVIL}")),
        body: None,
        applied: false,
    };
    Desk::of(
        Emulator::builder()
            .service_principal(
                ServicePrincipalConfig::new(SP)
                    .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01", format!("Evil{EVIL}"))
                    .with_job(evil)
                    .with_job(quarantined)
                    .with_job(JobConfig::new("refused", "Paused"))
                    .with_job(JobConfig::new("unstartable", "Paused"))
                    .with_job(JobConfig::new(format!("id{EVIL}"), "Paused")),
            )
            .fault(FaultRule::on(OperationKind::GetJob, refuse.clone()).on_job(SP, "refused"))
            .fault(FaultRule::on(OperationKind::Start, refuse).on_job(SP, "unstartable")),
    )
    .await
}

#[tokio::test]
async fn nothing_that_graph_says_reaches_a_terminal_or_a_log_raw() {
    let desk = evil().await;
    let jobs = ["code", "reason", "refused", "unstartable"].map(job);
    let all = |command: &'static str| {
        let mut args = vec![command];
        args.extend(jobs.iter().map(String::as_str));
        args
    };
    let calls = [
        all("start"),
        all("status"),
        vec!["list", SP],
        vec!["start", SP],
        vec!["history"],
        vec!["hold", SP, "--reason", "x"],
        vec!["doctor"],
    ];
    for args in &calls {
        for (output, format) in [("text", "text"), ("json", "json"), ("text", "json")] {
            let ran = desk
                .call(args)
                .env("STARTGUARD_OUTPUT", output)
                .env("STARTGUARD_LOG_FORMAT", format)
                .env("STARTGUARD_GUARD_COOLDOWN", "1ms")
                .env("STARTGUARD_LOG", "trace")
                .run()
                .await;
            for stream in [&ran.stdout, &ran.stderr] {
                let shown: Vec<char> =
                    stream.chars().filter(|c| *c != '\n' && is_hidden(*c)).collect();
                assert!(shown.is_empty(), "{args:?}: {shown:?} in {ran:?}");
                assert!(!stream.lines().any(|line| line.starts_with("INFO forged")), "{ran:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_that_the_environment_says_is_shown_raw() {
    let desk = Desk::paused().await;
    for args in [
        &["hold", &job("job"), "--reason", "x"][..],
        &["start", &job("job")],
        &["history"],
        &["history", "-o", "json"],
        &["release", &job("job")],
    ] {
        let ran = desk.call(args).env("USER", EVIL).run().await;
        let said = format!("{}{}", ran.stdout, ran.stderr).replace('\n', "");
        assert!(!said.contains(is_hidden), "{args:?}: {ran:?}");
        assert_ne!(ran.code, Some(2), "{ran:?}");
    }
    desk.host.configure("[guard]\n\"cool\\u001b[2Jdown\" = \"5m\"\n");
    let ran = desk.run(&["start", &job("job")]).await;
    assert!(!ran.ended(2).stderr.replace('\n', "").contains(is_hidden), "{ran:?}");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn nothing_that_a_ledger_says_is_shown_raw() {
    let desk = Desk::paused().await;
    desk.run(&["hold", &job("job"), "--reason", "bulk load"]).await.ended(0);
    // As JSON spells it, so that the entry can be read and the chain alone does not hold.
    for table in ["journal SET body = replace(body", "jobs SET record = replace(record"] {
        desk.host
            .tamper(&format!(r"UPDATE {table}, 'bulk', 'bu\u001b[2J\u202e\u000aINFO forged lk')"));
    }
    // Sealed again, by someone who knows how.
    desk.host.reseal();
    for args in [
        &["history"][..],
        &["start", &job("job")],
        &["start", &job("job"), "-vvv"],
        &["status", &job("job")],
    ] {
        for output in ["text", "json"] {
            let ran = desk.call(args).env("STARTGUARD_OUTPUT", output).run().await;
            assert!(ran.stdout.contains("INFO forged lk"), "{args:?}: {ran:?}");
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!said.replace('\n', "").contains(is_hidden), "{args:?}: {ran:?}");
            assert!(!said.lines().any(|line| line.starts_with("INFO forged")), "{ran:?}");
        }
    }
    desk.run(&["history", "--verify"]).await.ended(1);
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn what_a_hostile_service_says_is_told_readably() {
    let desk = evil().await;
    let jobs = ["code", "reason", "refused"].map(job);
    let ran = desk.run(&["start", &jobs[0], &jobs[1], &jobs[2]]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 5
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/code: denied (unknownState)
      the job's status code "Paused�[2J�]0;owned��31m  INFO forged �txt�" is not one startguard knows
      next: look at the job in the Entra admin centre; a newer startguard may know the code
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/reason: denied (unknownState)
      the job is Quarantine, and its quarantine's reason "TooMany�[2J�]0;owned��31m  INFO forged �txt�" is none that Graph gives
      next: look at the job in the Entra admin centre, and at what lies between here and Graph
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/refused: failed (forbidden)
      Graph refused the call (HTTP 403 Denied�[2J�]0;owned��31m  INFO forged �txt�: No.�[2J�]0;owned��31m  INFO forged �txt�)
      next: the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app or hold Application Administrator or Cloud Application Administrator
    "#);
}

#[tokio::test]
async fn nothing_is_lost_over_a_hostile_answer() {
    let desk = reading(Effect::Html { status: 200 }).await;
    desk.run(&["hold", &job("other"), "--reason", "kept"]).await.ended(0);
    start(&desk).await.ended(1);
    let entries = desk.json(&["history"]).await.ended(0).lines();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["decision", "hold"]);
    assert_eq!(entries[0]["reason"], "badResponse");
    desk.run(&["history", "--verify"]).await.ended(0);
    // The job is free again at once.
    desk.emulator.clear_faults();
    assert_eq!(start_json(&desk).await.ended(0).outcome(), "started");
    assert_ne!(desk.cost(), NOTHING);
}
