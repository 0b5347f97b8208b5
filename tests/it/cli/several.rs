//! Several jobs in one call.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind};

use super::{A_START, Cost, Desk, SP, job, outcome};

#[tokio::test]
async fn several_jobs_are_answered_in_the_order_asked_with_the_highest_code() {
    // The first job asked is the last to be answered by Graph.
    let slow = FaultRule::on(OperationKind::GetJob, Effect::None)
        .on_job(SP, "paused")
        .delayed_before(Duration::from_millis(400));
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("paused", "Paused"))
            .job(SP, JobConfig::new("active", "Active"))
            .job(SP, JobConfig::new("never", "NotRun").scheduled("Disabled"))
            .fault(slow),
    )
    .await;
    let jobs = ["paused", "missing", "active", "never"].map(job);
    let asked = ["start", &jobs[0], &jobs[1], &jobs[2], &jobs[3]];
    let ran = desk.json(&asked).await;
    let answers = ran.ended(3).lines();
    let told: Vec<_> =
        answers.iter().map(|it| (it["job"]["jobId"].as_str().unwrap(), outcome(it))).collect();
    let expected = [
        ("paused", "started"),
        ("missing", "failed/notFound"),
        ("active", "alreadyRunning"),
        ("never", "denied/notRun"),
    ];
    assert_eq!(told, expected.map(|(job, outcome)| (job, outcome.to_owned())));
    assert_eq!(desk.cost(), Cost { requests: 5, starts: 1 });
}

#[tokio::test]
async fn several_answers_in_text() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("paused", "Paused"))
            .job(SP, JobConfig::new("active", "Active")),
    )
    .await;
    let ran = desk.run(&["start", &job("paused"), &job("missing"), &job("active")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/paused: started
      was Paused
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/paused` shows how it goes
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/missing: failed (notFound)
      Graph knows no such object (HTTP 404 ResourceNotFound: The synchronization job 'missing' was not found.)
      next: check the ids with `startguard list SERVICE_PRINCIPAL`; a job made a moment ago may take a while to appear
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/active: alreadyRunning
      the job reads Active; no start was made
    ");
}

#[tokio::test]
async fn the_same_job_named_twice_is_started_once() {
    let desk = Desk::paused().await;
    let job = job("job");
    let ran = desk.json(&["start", &job, &job, &job]).await;
    let answers = ran.ended(0).lines();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|it| outcome(it) == "started"), "{answers:?}");
    let ids: Vec<&Value> = answers.iter().map(|it| &it["attemptId"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let coalesced: Vec<&Value> = answers.iter().map(|it| &it["coalesced"]).collect();
    assert_eq!(coalesced, [&json!(false), &json!(true), &json!(true)]);
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn two_names_of_one_job_are_one_start() {
    let desk = Desk::paused().await;
    desk.host.configure(&format!("[jobs.workday]\nservice_principal = \"{SP}\"\njob = \"job\"\n"));
    let ran = desk.json(&["start", "workday", &job("job").to_uppercase(), SP]).await;
    let answers = ran.ended(0).lines();
    assert!(answers.iter().all(|it| outcome(it) == "started"), "{answers:?}");
    // The list that finds the only job of the service principal, then the start.
    assert_eq!(desk.cost(), Cost { requests: 3, starts: 1 });
}

#[tokio::test]
async fn a_name_that_is_ambiguous_starts_none_of_the_others() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("one", "Paused"))
            .job(SP, JobConfig::new("two", "Paused")),
    )
    .await;
    let ran = desk.run(&["start", &job("one"), SP]).await;
    ran.ended(2);
    assert_eq!(ran.stdout, "");
    assert_eq!(desk.cost().starts, 0);
}

#[tokio::test]
async fn a_whole_fleet_in_one_call_waits_for_its_turns() {
    // Less than the whole fleet may ask at once, and each gets its answer all the same.
    let ids: Vec<String> = (0..12).map(|n| format!("job{n}")).collect();
    let builder = ids
        .iter()
        .fold(Emulator::builder(), |builder, id| builder.job(SP, JobConfig::new(id, "Paused")));
    let desk = Desk::of(builder).await;
    let jobs: Vec<String> = ids.iter().map(|id| job(id)).collect();
    let asked: Vec<&str> = ["start"].into_iter().chain(jobs.iter().map(String::as_str)).collect();
    let ran = desk
        .call(&asked)
        .env("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "20")
        .env("STARTGUARD_GRAPH_BURST", "2")
        .env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "100")
        .env("STARTGUARD_OUTPUT", "json")
        .run()
        .await;
    let answers = ran.ended(0).lines();
    let told: Vec<&str> = answers.iter().map(|it| it["job"]["jobId"].as_str().unwrap()).collect();
    assert_eq!(told, ids);
    assert!(answers.iter().all(|it| outcome(it) == "started"), "{answers:?}");
    assert_eq!(desk.cost(), Cost { requests: 24, starts: 12 });
}
