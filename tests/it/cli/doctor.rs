//! `doctor`: each line, and the remedy of each that is not well.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use insta::assert_snapshot;
use serde_json::{Value, json};
use startguard::emulator::{Auth, Effect, Emulator, FaultRule, OperationKind, Timing, TokenRule};

use super::{Desk, Host, NOTHING, Ran, SP, job, shape};

/// The line of one check.
fn check(ran: &Ran, name: &str) -> Value {
    let lines = ran.lines();
    let found = lines.iter().find(|line| line["check"] == name);
    found.cloned().unwrap_or_else(|| panic!("no check {name}: {ran:?}"))
}

#[tokio::test]
async fn all_is_well() {
    let desk = Desk::paused().await;
    desk.host.configure(&format!("[jobs.hr]\nservice_principal = \"{SP}\"\njob = \"job\"\n"));
    let ran = desk.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    configuration ok
      [home]/.config/startguard/startguard.toml; 1 jobs; Graph at [graph]
    store ok
      sqlite:[home]/state/ledger.db: file not there yet; the first start makes it, for this user alone
    credential ok
      the token in STARTGUARD_TOKEN
    graph ok
      [graph] answers in [n] ms
    clock ok
      this clock and Graph's agree
    permissions ok
      names can be looked up; no request shows the right to start without starting something
    job ok
      hr can be read: Paused
    ");
    assert!(!desk.host.ledger().exists(), "a look makes no ledger");
    desk.run(&["start", "hr"]).await.ended(0);
    let ran = desk.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    configuration ok
      [home]/.config/startguard/startguard.toml; 1 jobs; Graph at [graph]
    store ok
      sqlite:[home]/state/ledger.db: schema 2, journal mode wal, synchronous full, size [n] bytes, log size [n] bytes, jobs 1, entries 2, integrity ok
    credential ok
      the token in STARTGUARD_TOKEN
    graph ok
      [graph] answers in [n] ms
    clock ok
      this clock and Graph's agree
    permissions ok
      names can be looked up; no request shows the right to start without starting something
    job ok
      hr can be read: Paused
    ");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn a_check_has_exactly_these_fields() {
    let desk = Desk::paused().await;
    let ran = desk.json(&["doctor"]).await;
    for line in ran.ended(0).lines() {
        assert_eq!(shape(&line), "check: string\nmessage: string\nremedy: null\nstatus: string");
        assert_eq!(line["status"], "ok");
    }
}

#[tokio::test]
async fn without_a_token_the_rest_is_checked_all_the_same() {
    let desk = Desk::paused().await;
    let ran = desk.call(&["doctor"]).without("STARTGUARD_TOKEN").run().await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stdout
    configuration ok
      no file; defaults, variables and flags; 0 jobs; Graph at [graph]
    store ok
      sqlite:[home]/state/ledger.db: file not there yet; the first start makes it, for this user alone
    credential FAILED
      no access token from `[auth] kind = "token"`: no token was given
      next: set STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE
    graph skipped
      not asked without a token
    "#);
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_graph_that_is_not_there() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::new(&format!("http://{}", closed.local_addr().unwrap()));
    drop(closed);
    let ran = host.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    configuration ok
      no file; defaults, variables and flags; 0 jobs; Graph at [graph]
    store ok
      sqlite:[home]/state/ledger.db: file not there yet; the first start makes it, for this user alone
    credential ok
      the token in STARTGUARD_TOKEN
    graph FAILED
      [graph]: Graph could not be reached or could not answer: connecting failed (Connection refused (os error 111))
      next: check the network, `[graph] endpoint`, the proxy variables (HTTPS_PROXY, NO_PROXY) and `[graph] ca_file`
    ");
}

#[tokio::test]
async fn a_token_that_graph_does_not_accept() {
    let auth = Auth { accept: TokenRule::Known, ..Auth::default() };
    let desk = Desk::of(Emulator::builder().auth(auth)).await;
    let ran = desk.json(&["doctor"]).await;
    let graph = check(ran.ended(1), "graph");
    assert_eq!(graph["status"], "failed");
    assert!(graph["message"].as_str().unwrap().contains("does not accept the token"));
    assert!(graph["remedy"].as_str().unwrap().contains("for this cloud"), "{graph}");
    assert_eq!(check(&ran, "permissions")["status"], "skipped");
}

#[tokio::test]
async fn names_that_may_not_be_looked_up_are_a_warning() {
    let desk = Desk::paused().await;
    let refuse = FaultRule::on(OperationKind::ListServicePrincipals, Effect::status(403));
    desk.emulator.add_fault(refuse).unwrap();
    let ran = desk.json(&["doctor"]).await;
    let permissions = check(ran.ended(0), "permissions");
    assert_eq!(permissions["status"], "warning");
    assert_eq!(permissions["remedy"], "grant Application.Read.All, or use object ids");
}

#[tokio::test]
async fn a_graph_that_fails() {
    let desk = Desk::paused().await;
    let fail = FaultRule::on(OperationKind::ListServicePrincipals, Effect::status(500));
    desk.emulator.add_fault(fail).unwrap();
    let graph = check(desk.json(&["doctor"]).await.ended(1), "graph");
    assert_eq!(graph["status"], "failed");
    assert!(graph["remedy"].is_string(), "{graph}");
}

#[tokio::test]
async fn something_that_answers_and_is_not_graph() {
    for status in [302, 404] {
        let desk = Desk::paused().await;
        let effect = match status {
            302 => Effect::Redirect { status, location: "https://signin.example/".to_owned() },
            _ => Effect::Html { status },
        };
        let rule = FaultRule::on(OperationKind::ListServicePrincipals, effect);
        desk.emulator.add_fault(rule).unwrap();
        let graph = check(desk.json(&["doctor"]).await.ended(1), "graph");
        assert_eq!(graph["status"], "failed");
        assert!(graph["remedy"].as_str().unwrap().contains("endpoint"), "{graph}");
    }
}

#[tokio::test]
async fn a_graph_that_said_to_wait_is_not_asked() {
    let desk = Desk::paused().await;
    let wait = FaultRule::on(OperationKind::GetJob, Effect::status_retry_after(429, 120));
    desk.emulator.add_fault(wait).unwrap();
    desk.run(&["status", &job("job")]).await.ended(4);
    desk.cost();
    let graph = check(desk.json(&["doctor"]).await.ended(0), "graph");
    assert_eq!(graph["status"], "skipped");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_wait_that_the_probe_is_told_holds_for_everyone() {
    let desk = Desk::paused().await;
    let wait =
        FaultRule::on(OperationKind::ListServicePrincipals, Effect::status_retry_after(429, 120));
    desk.emulator.add_fault(wait).unwrap();
    let ran = desk.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    configuration ok
      no file; defaults, variables and flags; 0 jobs; Graph at [graph]
    store ok
      sqlite:[home]/state/ledger.db: file not there yet; the first start makes it, for this user alone
    credential ok
      the token in STARTGUARD_TOKEN
    graph warning
      [graph] answers with HTTP 429 and says to wait for 2m
      next: ask again then; every call that shares this store waits until then
    clock ok
      this clock and Graph's agree
    ");
    assert_eq!(desk.cost().requests, 1);
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/throttled");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_clock_that_is_off() {
    for (skew, status, code) in [(120, "warning", 0), (-120, "warning", 0), (3_600, "failed", 1)] {
        let timing = Timing { date_skew_seconds: skew, ..Timing::default() };
        let desk = Desk::of(Emulator::builder().timing(timing)).await;
        let ran = desk.json(&["doctor"]).await;
        let clock = check(ran.ended(code), "clock");
        assert_eq!(clock["status"], status, "{clock}");
        let side = if skew > 0 { "behind Graph's" } else { "ahead of Graph's" };
        assert!(clock["message"].as_str().unwrap().contains(side), "{clock}");
        assert!(clock["remedy"].as_str().unwrap().contains("timedatectl"), "{clock}");
    }
}

#[tokio::test]
async fn a_damaged_store() {
    let desk = Desk::paused().await;
    fs::create_dir_all(desk.host.ledger().parent().unwrap()).unwrap();
    fs::write(desk.host.ledger(), "this is no ledger, and no database either ".repeat(50)).unwrap();
    let ran = desk.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    configuration ok
      no file; defaults, variables and flags; 0 jobs; Graph at [graph]
    store FAILED
      the store sqlite:[home]/state/ledger.db is not a ledger, or its first page is damaged: file is not a database
      next: restore it from a backup, or move it away to begin a new one (which forgets every start made so far); starts stay off until then
    credential ok
      the token in STARTGUARD_TOKEN
    graph ok
      [graph] answers in [n] ms
    clock ok
      this clock and Graph's agree
    permissions ok
      names can be looked up; no request shows the right to start without starting something
    ");
}

#[tokio::test]
async fn a_ledger_that_others_may_touch() {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job")]).await.ended(0);
    let mode = fs::metadata(desk.host.ledger()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(desk.host.ledger(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = desk.json(&["doctor"]).await;
    let warning = ran.ended(0).lines().into_iter().find(|line| line["status"] == "warning");
    let remedy = warning.unwrap()["remedy"].clone();
    assert!(remedy.as_str().unwrap().contains("chmod 600"), "{remedy}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used() {
    let desk = Desk::paused().await;
    desk.host.configure("[guard]\ncooldwon = \"5m\"\n");
    let ran = desk.run(&["doctor"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stdout
    configuration FAILED
      [home]/.config/startguard/startguard.toml:2:1: unknown key "cooldwon" in [guard]; the nearest known key is `cooldown`
      next: correct or remove it; docs/configuration.md lists every key
    "#);
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_configuration_with_doubts() {
    let desk = Desk::paused().await;
    desk.host.configure("[guard]\ncooldown = \"30s\"\n");
    let ran = desk.json(&["doctor"]).await;
    let warnings: Vec<Value> =
        ran.ended(0).lines().into_iter().filter(|line| line["status"] == "warning").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["check"], "configuration");
    assert!(warnings[0]["message"].as_str().unwrap().contains("shortest cool-down"));
}

#[tokio::test]
async fn jobs_of_the_configuration_that_cannot_be_read() {
    let desk = Desk::paused().await;
    desk.host.configure(&format!(
        "[jobs.gone]\nservice_principal = \"{SP}\"\njob = \"missing\"\n\
         [jobs.nobody]\nservice_principal = \"Nobody\"\n\
         [jobs.well]\nservice_principal = \"{SP}\"\njob = \"job\"\n"
    ));
    let ran = desk.json(&["doctor"]).await;
    let jobs: Vec<Value> =
        ran.ended(1).lines().into_iter().filter(|line| line["check"] == "job").collect();
    let states: Vec<&Value> = jobs.iter().map(|line| &line["status"]).collect();
    assert_eq!(states, [&json!("failed"), &json!("failed"), &json!("ok")]);
    assert!(jobs[0]["remedy"].is_string() && jobs[1]["remedy"].is_string(), "{jobs:?}");
}

#[tokio::test]
async fn a_ca_file_that_is_none() {
    let desk = Desk::paused().await;
    fs::write(desk.host.home.path().join("ca.pem"), "no certificate").unwrap();
    let ran = desk
        .call(&["doctor"])
        .env("STARTGUARD_GRAPH_ENDPOINT", "https://localhost:1")
        .env("STARTGUARD_GRAPH_CA_FILE", &format!("{}/ca.pem", desk.host.home.path().display()))
        .env("STARTGUARD_OUTPUT", "json")
        .run()
        .await;
    let tls = check(ran.ended(1), "tls");
    assert!(tls["remedy"].as_str().unwrap().contains("PEM"), "{tls}");
}
