//! `status`: one read, nothing written.

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind};

use super::{Cost, Desk, NOTHING, ONE_READ, SP, job, shape};

#[tokio::test]
async fn a_quarantine_is_told_with_its_facts() {
    let desk = Desk::with(JobConfig::new("job", "Quarantine")).await;
    let ran = desk.run(&["status", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      state: Quarantine (EncounteredQuarantineException), schedule Active
      in quarantine since: [time], [span] ago
      the service tries again: [time], in [span]
      series: 3, the first [time], [span] ago
      service says: The target answered 401 Unauthorized to the saved credentials.
      start: would go out now
    ");
    assert_eq!(desk.cost(), ONE_READ);
    assert!(!desk.host.ledger().exists(), "status writes nothing");
}

#[tokio::test]
async fn a_status_has_exactly_these_fields() {
    let deletes = JobConfig::new("job", "Quarantine").quarantined("TooManyDeletes");
    let desk = Desk::with(deletes).await;
    let status = desk.json(&["status", &job("job")]).await.ended(0).only();
    assert_snapshot!(shape(&status), @r"
    code: string
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    quarantine.nextAttempt: string
    quarantine.reason: string
    quarantine.seriesBegan: string
    quarantine.seriesCount: number
    quarantine.since: string
    readAt: string
    schedule: string
    start.consent: [string]
    start.message: string
    start.outcome: string
    start.reason: string
    start.retryAfterSeconds: null
    ");
    assert_eq!(status["job"], json!({"servicePrincipalId": SP, "jobId": "job", "name": null}));
    assert_eq!(status["code"], "Quarantine");
    assert_eq!(status["schedule"], "Active");
    assert_eq!(status["start"]["outcome"], "denied");
    assert_eq!(status["start"]["reason"], "needsConsent");
    assert_eq!(status["start"]["consent"], json!(["TooManyDeletes"]));
}

#[tokio::test]
async fn every_job_that_was_asked_is_told_in_order() {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("paused", "Paused"))
            .job(SP, JobConfig::new("active", "Active"))
            .job(SP, JobConfig::new("never", "NotRun").scheduled("Disabled")),
    )
    .await;
    let jobs = ["paused", "active", "never"].map(job);
    let ran = desk.run(&["status", &jobs[0], &jobs[1], &jobs[2]]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/paused
      state: Paused, schedule Disabled
      start: would go out now

    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/active
      state: Active, schedule Active
      start: alreadyRunning: the job reads Active; no start was made

    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/never
      state: NotRun, schedule Disabled
      start: denied (notRun): the job has never run and its schedule is Disabled
      next: turn provisioning on in the Entra admin centre; a guarded start is for jobs that ran before
    ");
    assert_eq!(desk.cost(), Cost { requests: 3, starts: 0 });
}

#[tokio::test]
async fn a_deferral_is_foretold() {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job")]).await.ended(0);
    desk.emulator.set_job(SP, JobConfig::new("job", "Paused"));
    // The read is counted against the pace that all share, in the tenant's record; the job's record
    // and the journal stay as they are.
    let rows = || {
        let mut rows = desk.host.rows();
        rows.retain(|row| !row.starts_with("tenants: "));
        rows
    };
    let (before, _) = (rows(), desk.cost());
    let ran = desk.run(&["status", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      state: Paused, schedule Disabled
      start: deferred (cooldown): cooling down: tester@[host] asked for a start [span] ago, and policy wants 10m between two
      retry: after [time], in [span]
    ");
    assert_eq!(desk.cost(), ONE_READ);
    assert_eq!(rows(), before);
}

#[tokio::test]
async fn an_outage_of_the_store_delays_no_status() {
    let desk = Desk::paused().await;
    std::fs::write(desk.host.home.path().join("file"), "").unwrap();
    let store = format!("sqlite:{}/file/ledger.db", desk.host.home.path().display());
    let ran = desk.call(&["status", &job("job")]).env("STARTGUARD_STORE", &store).run().await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      state: Paused, schedule Disabled
      start: failed (storeUnavailable): the store sqlite:[home]/file/ledger.db could not be looked at: Not a directory (os error 20)
      next: a part of [home]/file/ledger.db is a file: name another path
    ");
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn a_read_that_fails_has_the_code_of_its_reason() {
    let forbidden =
        FaultRule::on(OperationKind::GetJob, Effect::status(403)).on_job(SP, "forbidden");
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("job", "Paused"))
            .job(SP, JobConfig::new("forbidden", "Paused"))
            .fault(forbidden),
    )
    .await;
    let ran = desk.run(&["status", &job("missing"), &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/missing
      start: failed (notFound): Graph knows no such object (HTTP 404 ResourceNotFound: The synchronization job 'missing' was not found.)
      next: check the ids with `startguard list SERVICE_PRINCIPAL`; a job made a moment ago may take a while to appear

    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      state: Paused, schedule Disabled
      start: would go out now
    ");
    let ran = desk.json(&["status", &job("job"), &job("forbidden")]).await;
    let lines = ran.ended(5).lines();
    assert_eq!(lines[0]["code"], "Paused");
    assert_eq!(lines[1]["code"], json!(null));
    assert_eq!(lines[1]["readAt"], json!(null));
    assert_eq!(lines[1]["start"]["reason"], "forbidden");
    assert_eq!(desk.cost(), Cost { requests: 4, starts: 0 });
}

#[tokio::test]
async fn a_hold_is_shown_with_its_reason() {
    let desk = Desk::paused().await;
    desk.run(&["hold", &job("job"), "--reason", "bulk load until Monday"]).await.ended(0);
    let ran = desk.run(&["status", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      state: Paused, schedule Disabled
      start: deferred (onHold): on hold by tester@[host]: bulk load until Monday
      next: `startguard release 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job` lifts it
    ");
    assert_eq!(desk.cost(), ONE_READ);
    desk.run(&["release", &job("job")]).await.ended(0);
    assert_eq!(desk.cost(), NOTHING);
}
