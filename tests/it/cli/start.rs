//! `start`: every outcome that the job's state and the ledger lead to.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::{
    Effect, Emulator, FaultRule, JobConfig, OperationKind, QuarantineConfig, Timing,
};

use super::{A_START, Cost, Desk, NOTHING, ONE_READ, SP, job, outcome, shape, until};

#[tokio::test]
async fn a_paused_job_is_started_with_one_read_and_one_post() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: started
      was Paused
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows how it goes
    ");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn a_started_answer_has_exactly_these_fields() {
    let desk = Desk::with(JobConfig::new("job", "Quarantine")).await;
    let ran = desk.json(&["start", &job("job")]).await;
    let answer = ran.ended(0).only();
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
    observed.quarantine.nextAttempt: string
    observed.quarantine.reason: string
    observed.quarantine.seriesBegan: string
    observed.quarantine.seriesCount: number
    observed.quarantine.since: string
    observed.readAt: string
    observed.schedule: string
    outcome: string
    reason: null
    retryAfterSeconds: null
    ");
    assert_eq!(answer["job"], json!({"servicePrincipalId": SP, "jobId": "job", "name": null}));
    assert_eq!(answer["outcome"], "started");
    assert_eq!(answer["observed"]["code"], "Quarantine");
    assert_eq!(answer["graph"]["reads"], 1);
    assert_eq!(answer["graph"]["starts"], 1);
    assert_eq!(answer["graph"]["requestIds"].as_array().unwrap().len(), 2);
    assert_eq!(answer["fencingToken"], 1);
    assert_eq!(answer["coalesced"], false);
    assert_eq!(ran.stderr, "");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn a_job_in_quarantine_is_started_and_told_with_its_reason() {
    let desk = Desk::with(JobConfig::new("job", "Quarantine")).await;
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: started
      was Quarantine (EncounteredQuarantineException)
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows how it goes
    ");
}

#[tokio::test]
async fn each_state_has_its_answer_and_costs_one_read_unless_it_starts() {
    let deletes = JobConfig::new("deletes", "Quarantine").quarantined("TooManyDeletes");
    let demand = JobConfig::new("demand", "Quarantine").quarantined("QuarantinedOnDemand");
    let pruned = JobConfig { escrows_pruned: true, ..JobConfig::new("pruned", "Paused") };
    let nothing = JobConfig {
        overlay: json!({"status": {"code": null}}),
        ..JobConfig::new("nothing", "Paused")
    };
    let states = [
        (JobConfig::new("active", "Active"), "alreadyRunning", 0),
        (JobConfig::new("first", "NotRun").scheduled("Active"), "alreadyRunning", 0),
        (JobConfig::new("never", "NotRun").scheduled("Disabled"), "denied/notRun", 3),
        (JobConfig::new("off", "NotRun").scheduled("Paused"), "denied/notRun", 3),
        (JobConfig::new("new", "NotConfigured"), "denied/notConfigured", 3),
        (JobConfig::new("odd", "Hibernating"), "denied/unknownState", 3),
        (nothing, "denied/unknownState", 3),
        (deletes, "denied/needsConsent", 3),
        (demand, "denied/needsConsent", 3),
        (pruned, "denied/needsConsent", 3),
        (JobConfig::new("lower", "paused"), "started", 0),
        (JobConfig::new("upper", "QUARANTINE"), "started", 0),
    ];
    let builder = states
        .iter()
        .fold(Emulator::builder(), |builder, (state, _, _)| builder.job(SP, state.clone()));
    let desk = Desk::of(builder).await;
    for (state, expected, code) in &states {
        let ran = desk.json(&["start", &job(&state.id)]).await;
        assert_eq!(ran.ended(*code).outcome(), *expected, "{ran:?}");
        let cost = if *expected == "started" { A_START } else { ONE_READ };
        assert_eq!(desk.cost(), cost, "{}", state.id);
    }
}

#[tokio::test]
async fn a_running_job_is_left_alone() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("active", "Active"))
            .job(SP, JobConfig::new("first", "NotRun").scheduled("Active")),
    )
    .await;
    let ran = desk.run(&["start", &job("active"), &job("first")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/active: alreadyRunning
      the job reads Active; no start was made
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/first: alreadyRunning
      the job reads NotRun with its schedule Active (first cycle under way); no start was made
    ");
    assert_eq!(desk.cost(), Cost { requests: 2, starts: 0 });
}

#[tokio::test]
async fn denials_say_who_must_do_what() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("never", "NotRun").scheduled("Disabled"))
            .job(SP, JobConfig::new("new", "NotConfigured"))
            .job(SP, JobConfig::new("odd", "Hibernating"))
            .job(SP, JobConfig::new("deletes", "Quarantine").quarantined("TooManyDeletes")),
    )
    .await;
    let jobs = ["never", "new", "odd", "deletes"].map(job);
    let ran = desk.run(&["start", &jobs[0], &jobs[1], &jobs[2], &jobs[3]]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 3
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/never: denied (notRun)
      the job has never run and its schedule is Disabled
      next: turn provisioning on in the Entra admin centre; a guarded start is for jobs that ran before
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/new: denied (notConfigured)
      the job is not configured
      next: finish its provisioning setup (credentials and mappings) in the Entra admin centre
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/odd: denied (unknownState)
      the job's status code "Hibernating" is not one startguard knows
      next: look at the job in the Entra admin centre; a newer startguard may know the code
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/deletes: denied (needsConsent)
      the job is Quarantine (TooManyDeletes), and policy leaves that start to a person
      next: when the cause is understood: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/deletes --accept TooManyDeletes`
    "#);
    assert_eq!(desk.cost(), Cost { requests: 4, starts: 0 });
}

#[tokio::test]
async fn consent_is_given_by_name_and_to_nothing_else() {
    let both = JobConfig {
        escrows_pruned: true,
        ..JobConfig::new("both", "Quarantine").quarantined("TooManyDeletes")
    };
    let desk = Desk::with(both).await;
    let both = job("both");
    let ran = desk.json(&["start", &both]).await;
    let answer = ran.ended(3).only();
    assert_eq!(answer["consent"], json!(["TooManyDeletes", "escrowsPruned"]));
    assert_snapshot!(shape(&answer), @r"
    attemptId: string
    coalesced: bool
    consent: [string]
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
    observed.quarantine.nextAttempt: string
    observed.quarantine.reason: string
    observed.quarantine.seriesBegan: string
    observed.quarantine.seriesCount: number
    observed.quarantine.since: string
    observed.readAt: string
    observed.schedule: string
    outcome: string
    reason: string
    retryAfterSeconds: null
    ");

    let one = ["start", &both, "--accept", "toomanydeletes"];
    let ran = desk.json(&one).await;
    assert_eq!(ran.ended(3).only()["consent"], json!(["escrowsPruned"]));
    let other = ["start", &both, "--accept", "TooManyDeletes", "--accept", "QuarantinedOnDemand"];
    assert_eq!(desk.json(&other).await.ended(3).outcome(), "denied/needsConsent");
    assert_eq!(desk.cost().starts, 0);

    let all = ["start", &both, "--accept", "TooManyDeletes", "--accept", "escrowsPruned"];
    assert_eq!(desk.json(&all).await.ended(0).outcome(), "started");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn inside_the_cooldown_nothing_is_asked() {
    let desk = Desk::paused().await;
    let paused = || desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    desk.run(&["start", &job("job")]).await.ended(0);
    paused();
    assert_eq!(desk.cost(), A_START);
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (cooldown)
      cooling down: tester@[host] asked for a start [span] ago, and policy wants 10m between two
      retry: after [time], in [span]
      next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` then
    ");
    let ran = desk.json(&["start", &job("job")]).await;
    let answer = ran.ended(4).only();
    assert_snapshot!(shape(&answer), @r"
    attemptId: string
    coalesced: bool
    elapsedMs: number
    fencingToken: null
    graph.reads: number
    graph.requestIds: []
    graph.starts: number
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    message: string
    observed: null
    outcome: string
    reason: string
    retryAfterSeconds: number
    ");
    assert_eq!(outcome(&answer), "deferred/cooldown");
    let wait = answer["retryAfterSeconds"].as_u64().unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_used_up_budget_names_the_way_out() {
    let desk = Desk::paused().await;
    let call = |args: &[&str]| {
        desk.call(args)
            .env("STARTGUARD_GUARD_COOLDOWN", "1ms")
            .env("STARTGUARD_GUARD_MAX_STARTS", "1")
    };
    call(&["start", &job("job")]).run().await.ended(0);
    desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    assert_eq!(desk.cost(), A_START);
    let ran = call(&["start", &job("job")]).run().await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (budgetExhausted)
      budget used up: 1 of 1 starts within 1day (by tester@[host])
      retry: after [time], in [span]
      next: `startguard reset 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job --reason TEXT` gives the budget back
    --- stderr
    warning: STARTGUARD_GUARD_COOLDOWN (1ms) is below 281 s, the shortest cool-down with which no start can reach a job that an earlier start set running (docs/guarantees.md)
    ");
    let ran = call(&["start", &job("job"), "-o", "json"]).run().await;
    assert_eq!(ran.ended(4).outcome(), "deferred/budgetExhausted");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_tenants_budget_holds_over_its_jobs() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("one", "Paused"))
            .job(SP, JobConfig::new("two", "Paused")),
    )
    .await;
    let call =
        |args: &[&str]| desk.call(args).env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "1");
    call(&["start", &job("one")]).run().await.ended(0);
    assert_eq!(desk.cost(), A_START);
    let ran = call(&["start", &job("two")]).run().await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/two: deferred (tenantBudgetExhausted)
      the tenant's 1 starts for this minute are used up
      retry: after [time], in [span]
      next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/two` then
    ");
    let ran = call(&["start", &job("two"), "-o", "json"]).run().await;
    assert_eq!(ran.ended(4).outcome(), "deferred/tenantBudgetExhausted");
    assert!((1..=60).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_dry_run_decides_and_spends_nothing() {
    let desk = Desk::paused().await;
    let dry = ["start", "--dry-run", &job("job")];
    let ran = desk.run(&dry).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: wouldStart
      the job reads Paused
      next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` starts it
    ");
    assert_eq!(desk.cost(), ONE_READ);
    assert!(!desk.host.ledger().exists(), "a dry run makes no ledger");
    let answer = desk.json(&dry).await.ended(0).only();
    assert_eq!(outcome(&answer), "wouldStart");
    assert_eq!(answer["fencingToken"], json!(null));
    assert_eq!(answer["graph"]["starts"], 0);

    desk.run(&["start", &job("job")]).await.ended(0);
    desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    let (before, _) = (desk.host.rows(), desk.cost());
    assert_eq!(desk.json(&dry).await.ended(4).outcome(), "deferred/cooldown");
    assert_eq!(desk.cost(), NOTHING);
    assert_eq!(desk.host.rows(), before);
}

#[tokio::test]
async fn a_dry_run_of_a_denial_writes_nothing() {
    let desk = Desk::with(JobConfig::new("job", "NotConfigured")).await;
    let ran = desk.json(&["start", "--dry-run", &job("job")]).await;
    assert_eq!(ran.ended(3).outcome(), "denied/notConfigured");
    assert!(!desk.host.ledger().exists());
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn wait_stays_until_the_job_has_left_its_state() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["start", "--wait", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: started
      was Paused, now Active
      next: `startguard status 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` shows how it goes
    ");
    let cost = desk.cost();
    assert_eq!(cost.starts, 1);
    assert!(cost.requests >= 3, "the wait reads: {cost:?}");
}

#[tokio::test]
async fn a_wait_that_runs_out_ends_with_seven_and_keeps_its_outcome() {
    let never = Timing { start_delay: Duration::from_hours(1), ..Timing::default() };
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).timing(never)).await;
    let ran = desk.json(&["start", "--wait=700ms", &job("job")]).await;
    assert_eq!(ran.ended(7).outcome(), "started");
    assert_eq!(desk.cost().starts, 1);
}

#[tokio::test]
async fn a_wait_adds_nothing_to_an_answer_that_is_no_start() {
    let desk = Desk::with(JobConfig::new("job", "Active")).await;
    let ran = desk.json(&["start", "--wait=1h", &job("job")]).await;
    assert_eq!(ran.ended(0).outcome(), "alreadyRunning");
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn a_reason_is_kept_in_the_journal() {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job"), "--reason", "secret rotated, ticket 4711"]).await.ended(0);
    let entries = desk.json(&["history"]).await.ended(0).lines();
    let notes: Vec<_> = entries.iter().map(|entry| (&entry["kind"], &entry["note"])).collect();
    let note = json!("secret rotated, ticket 4711");
    assert_eq!(notes, [(&json!("outcome"), &note), (&json!("intent"), &note)]);
}

#[tokio::test]
async fn another_holder_is_named_and_can_be_waited_for() {
    // The first caller holds the job until its slow read is answered, and that answer is a denial.
    let never_ran = json!({"status": {"code": "NotRun"}, "schedule": {"state": "Disabled"}});
    let slow = FaultRule::on(OperationKind::GetJob, Effect::Rewrite { merge: never_ran })
        .times(1)
        .delayed_before(Duration::from_secs(3));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(slow)).await;
    let first = desk.call(&["start", &job("job"), "-o", "json"]).spawn();
    until("the first read", || desk.emulator.counts().in_flight > 0).await;

    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 4
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: deferred (leaseHeld)
      tester@[host] (pid [pid]) is at this job right now
      retry: after [time], in [span]
      next: `--lease-wait DURATION` waits for it
    ");
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/leaseHeld");
    assert!((1..=60).contains(&ran.only()["retryAfterSeconds"].as_u64().unwrap()));
    assert_eq!(desk.emulator.counts().graph_requests, 1, "who is deferred asks nothing");

    let patient = desk.json(&["start", "--lease-wait", "20s", &job("job")]).await;
    assert_eq!(patient.ended(0).outcome(), "started");
    assert_eq!(first.end().await.ended(3).outcome(), "denied/notRun");
    assert_eq!(desk.cost(), Cost { requests: 3, starts: 1 });
}

#[tokio::test]
async fn quarantine_facts_are_told_with_the_answer() {
    let quarantine = QuarantineConfig { series_count: 7, ..QuarantineConfig::default() };
    let quarantined =
        JobConfig { quarantine: Some(quarantine), ..JobConfig::new("job", "Quarantine") };
    let desk = Desk::with(quarantined).await;
    let answer = desk.json(&["start", &job("job")]).await.ended(0).only();
    let facts = &answer["observed"]["quarantine"];
    assert_eq!(facts["reason"], "EncounteredQuarantineException");
    assert_eq!(facts["seriesCount"], 7);
    for date in ["since", "nextAttempt", "seriesBegan"] {
        assert!(facts[date].as_str().unwrap().ends_with('Z'), "{date}: {facts}");
    }
}
