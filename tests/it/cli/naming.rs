//! How a job may be named, and what a name that means nothing or too much is answered with.

use insta::assert_snapshot;
use startguard::emulator::{
    Effect, Emulator, FaultRule, JobConfig, OperationKind, ServicePrincipalConfig,
};

use super::{A_START, Cost, Desk, NOTHING, SP, shape};

const APP: &str = "6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01";
const TWIN: &str = "3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02";
const EMPTY: &str = "a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03";

async fn directory() -> Desk {
    Desk::of(
        Emulator::builder()
            .service_principal(
                ServicePrincipalConfig::new(SP)
                    .called(APP, "Workday to Contoso")
                    .with_job(JobConfig::new("WD.1", "Paused")),
            )
            .service_principal(
                ServicePrincipalConfig::new(TWIN)
                    .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02", "Twins")
                    .with_job(JobConfig::new("A", "Paused"))
                    .with_job(JobConfig::new("B", "Active")),
            )
            .service_principal(
                ServicePrincipalConfig::new(EMPTY)
                    .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d03", "Twins"),
            ),
    )
    .await
}

#[tokio::test]
async fn every_way_to_name_a_job_finds_it() {
    for (name, requests) in [
        // A GUID costs no look-up; a service principal alone costs a list; a name a look-up.
        (format!("{SP}/WD.1"), 2),
        (format!("{}/WD.1", SP.to_uppercase()), 2),
        (SP.to_owned(), 3),
        (format!("appid:{APP}/WD.1"), 3),
        (format!("appid:{APP}"), 4),
        ("Workday to Contoso/WD.1".to_owned(), 3),
        ("Workday to Contoso".to_owned(), 4),
        ("hr".to_owned(), 2),
        ("by-name".to_owned(), 4),
    ] {
        let desk = directory().await;
        desk.host.configure(&format!(
            "[jobs.hr]\nservice_principal = \"{SP}\"\njob = \"WD.1\"\n\
             [jobs.by-name]\nservice_principal = \"Workday to Contoso\"\n"
        ));
        let answer = desk.json(&["start", &name]).await.ended(0).only();
        assert_eq!(answer["job"]["servicePrincipalId"], SP, "{name}");
        assert_eq!(answer["job"]["jobId"], "WD.1", "{name}");
        assert_eq!(desk.cost(), Cost { requests, starts: 1 }, "{name}");
    }
}

#[tokio::test]
async fn a_job_of_the_configuration_has_its_name_and_policy_however_it_is_named() {
    let desk = directory().await;
    desk.host.configure(&format!(
        "[jobs.hr]\nservice_principal = \"{SP}\"\njob = \"WD.1\"\ncooldown = \"3h\"\n"
    ));
    let ran = desk.run(&["start", "hr"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    hr: started
      was Paused
      next: `startguard status hr` shows how it goes
    ");
    desk.emulator.set_job(SP, JobConfig::new("WD.1", "Paused"));
    let answer = desk.json(&["start", &format!("{SP}/wd.1")]).await.ended(4).only();
    assert_eq!(answer["job"]["name"], "hr");
    assert!(answer["retryAfterSeconds"].as_u64().unwrap() > 10_700, "{answer}");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn a_service_principal_with_two_jobs_lists_them() {
    let desk = directory().await;
    for command in ["start", "status", "release"] {
        let ran = desk.run(&[command, TWIN]).await;
        ran.ended(2);
        assert_eq!(ran.stdout, "");
    }
    let ran = desk.run(&["start", TWIN]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: "3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02" has 2 jobs: A (Paused), B (Active)
      next: name one of them, as in 3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02/A
    "#);
    assert_eq!(desk.cost(), Cost { requests: 4, starts: 0 });
}

#[tokio::test]
async fn a_service_principal_without_a_job_is_wrong_usage() {
    let desk = directory().await;
    let ran = desk.run(&["start", EMPTY]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: "a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03" has no provisioning job
      next: set provisioning up in the Entra admin centre, or check which service principal you mean
    "#);
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn a_display_name_of_two_service_principals_lists_their_ids() {
    let desk = directory().await;
    let ran = desk.run(&["start", "Twins/A"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: 2 service principals are called "Twins": 3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02 (appid:6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02), a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03 (appid:6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d03)
      next: use the object id of the one you mean
    "#);
    let ran = desk.run(&["list", "Twins"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: 2 service principals are called "Twins": 3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02 (appid:6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02), a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03 (appid:6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d03)
      next: use the object id of the one you mean
    "#);
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn a_name_that_nobody_has_is_not_found() {
    let desk = directory().await;
    desk.host.configure(&format!("[jobs.workday]\nservice_principal = \"{SP}\"\n"));
    let ran = desk.run(&["start", "Nobody"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stdout
    Nobody: failed (notFound)
      no service principal is called "Nobody", nor a job in the configuration
      next: check the name, or use the object id (a GUID), which costs no look-up
    "#);
    let ran = desk.run(&["start", "workdy"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stdout
    workdy: failed (notFound)
      no service principal is called "workdy", nor a job in the configuration
      next: the configuration has a job called workday; is it that one?
    "#);
    let answer = desk.json(&["start", "Nobody/X"]).await.ended(1).only();
    assert_snapshot!(shape(&answer), @r"
    attemptId: null
    coalesced: bool
    elapsedMs: number
    fencingToken: null
    graph.reads: number
    graph.requestIds: []
    graph.starts: number
    job.jobId: string
    job.name: string
    job.servicePrincipalId: null
    message: string
    observed: null
    outcome: string
    reason: string
    retryAfterSeconds: null
    ");
    assert_eq!(answer["job"]["name"], "Nobody/X");
    assert_eq!(answer["job"]["jobId"], "X");
    assert_eq!(answer["reason"], "notFound");
    let ran = desk.run(&["status", "Nobody"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stderr
    error: Nobody: no service principal is called "Nobody", nor a job in the configuration
      next: check the name, or use the object id (a GUID), which costs no look-up
    "#);
    let ran = desk.run(&["start", &format!("appid:{EMPTY}")]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stdout
    appid:a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03: failed (notFound)
      no service principal has the application id a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03
      next: check the name, or use the object id (a GUID), which costs no look-up
    "#);
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn a_service_principal_that_is_not_there_is_not_found() {
    let desk = directory().await;
    let ran = desk.json(&["start", "00000000-0000-4000-8000-000000000000"]).await;
    assert_eq!(ran.ended(1).outcome(), "failed/notFound");
    assert_eq!(ran.only()["job"]["servicePrincipalId"], "00000000-0000-4000-8000-000000000000");
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn a_name_that_may_not_be_looked_up_says_what_it_takes() {
    let desk = directory().await;
    let refuse = FaultRule::on(OperationKind::ListServicePrincipals, Effect::status(403));
    desk.emulator.add_fault(refuse).unwrap();
    let ran = desk.run(&["start", "Workday to Contoso"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 5
    --- stdout
    Workday to Contoso: failed (forbidden)
      Graph refused the call (HTTP 403 Authorization_RequestDenied: Insufficient privileges to complete the operation.)
      next: the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app or hold Application Administrator or Cloud Application Administrator
    ");
    assert_eq!(desk.json(&["start", &format!("{SP}/WD.1")]).await.ended(0).outcome(), "started");
}

#[tokio::test]
async fn one_unknown_name_keeps_no_other_job_from_its_start() {
    let desk = directory().await;
    let ran = desk.json(&["start", "Nobody", &format!("{SP}/WD.1")]).await;
    let outcomes: Vec<_> = ran.ended(1).lines().iter().map(super::outcome).collect();
    assert_eq!(outcomes, ["failed/notFound", "started"]);
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn names_with_quotes_stay_inside_their_filter() {
    let desk = Desk::of(
        Emulator::builder().service_principal(
            ServicePrincipalConfig::new(SP)
                .called(APP, "O'Neil's \"HR\" & Co/Ltd")
                .with_job(JobConfig::new("job", "Paused")),
        ),
    )
    .await;
    let ran = desk.json(&["start", "O'Neil's \"HR\" & Co/Ltd/job"]).await;
    assert_eq!(ran.ended(0).outcome(), "started");
    let ran = desk.json(&["start", "x' or startswith(displayName,'O') or 'a' eq 'b"]).await;
    assert_eq!(ran.ended(1).outcome(), "failed/notFound");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn words_that_cannot_name_a_job_are_refused_before_any_request() {
    let desk = directory().await;
    let long = "x".repeat(600);
    for (typed, complaint) in [
        ("", "the job is empty"),
        ("  ", "the job is empty"),
        ("/", "looks like a path"),
        ("/etc/passwd", "looks like a path"),
        ("../../etc/passwd", "looks like a path"),
        ("..", "looks like a path"),
        ("a//b", "looks like a path"),
        ("a/", "looks like a path"),
        (r"a\..\b", "looks like a path"),
        (" a/b", "white space"),
        ("a/b c", "does not end in a job id"),
        (long.as_str(), "600 characters"),
        ("appid:", "is not a GUID"),
        ("appid:123", "is not a GUID"),
        ("8a41d2c730b14b629f5a0c7d1e2f3a4b", "is not a GUID as Graph writes it"),
        ("{8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b}/x", "is not a GUID as Graph writes it"),
        ("a\u{1b}[2J/b", "control character"),
        ("a/b\nc", "job id"),
        ("x\u{7}", "control character"),
    ] {
        for command in ["start", "status", "history"] {
            let ran = desk.run(&[command, typed]).await;
            ran.ended(2);
            assert_eq!(ran.stdout, "");
            assert!(ran.stderr.contains(complaint), "{typed:?}: {ran:?}");
            assert!(ran.stderr.contains("next: "), "{typed:?}: {ran:?}");
            assert_eq!(ran.stderr.lines().count(), 2, "{typed:?}: {ran:?}");
            assert!(!ran.stderr.chars().any(|c| c.is_control() && c != '\n'), "{ran:?}");
        }
    }
    assert_eq!(desk.cost(), NOTHING);
    assert!(!desk.host.ledger().exists());
    let ran = desk.run(&["start", "../../etc/passwd"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: "../../etc/passwd" looks like a path, not like a job
      next: name a job of the configuration file, SERVICE_PRINCIPAL/JOB_ID, or a service principal alone (its object id, appid:GUID, or its display name)
    "#);
}
