//! `list`: the jobs of service principals, or of the configuration.

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::{Emulator, EmulatorConfig, JobConfig, ServicePrincipalConfig};

use super::{Cost, Desk, NOTHING, ONE_READ, SP, shape};

const OTHER: &str = "3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02";

async fn fleet() -> Desk {
    let pruned = JobConfig { escrows_pruned: true, ..JobConfig::new("pruned", "Paused") };
    Desk::of(
        Emulator::builder()
            .service_principal(
                ServicePrincipalConfig::new(SP)
                    .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01", "Workday")
                    .with_job(JobConfig::new("WD.1", "Paused"))
                    .with_job(JobConfig::new("WD.2", "Quarantine"))
                    .with_job(pruned),
            )
            .service_principal(
                ServicePrincipalConfig::new(OTHER)
                    .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02", "Databricks")
                    .with_job(JobConfig::new("DB.1", "Active")),
            ),
    )
    .await
}

#[tokio::test]
async fn the_jobs_of_service_principals_are_listed() {
    let desk = fleet().await;
    let ran = desk.run(&["list", SP, "Databricks"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    JOB                                          STATE                                        SCHEDULE  IN QUARANTINE SINCE
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/WD.1    Paused                                       Disabled
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/WD.2    Quarantine (EncounteredQuarantineException)  Active    [time], [span] ago
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/pruned  Paused (escrowsPruned)                       Disabled
    3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02/DB.1    Active                                       Active
    ");
    // A list each, and a look-up for the name.
    assert_eq!(desk.cost(), Cost { requests: 3, starts: 0 });
    assert!(!desk.host.ledger().exists(), "a list writes nothing");
}

#[tokio::test]
async fn a_line_of_a_list_has_exactly_these_fields() {
    let desk = fleet().await;
    let lines = desk.json(&["list", SP]).await.ended(0).lines();
    let codes: Vec<_> = lines.iter().map(|line| (&line["job"]["jobId"], &line["code"])).collect();
    let expected = [("WD.1", "Paused"), ("WD.2", "Quarantine"), ("pruned", "Paused")];
    let expected = expected.map(|(id, code)| (json!(id), json!(code)));
    assert_eq!(codes, expected.each_ref().map(|(id, code)| (id, code)));
    assert_snapshot!(shape(&lines[1]), @r"
    code: string
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    quarantine.nextAttempt: string
    quarantine.reason: string
    quarantine.seriesBegan: string
    quarantine.seriesCount: number
    quarantine.since: string
    schedule: string
    ");
    assert_eq!(lines[0]["quarantine"], json!(null));
    assert_eq!(desk.cost(), ONE_READ);
}

#[tokio::test]
async fn without_arguments_the_configurations_jobs_are_listed() {
    let desk = fleet().await;
    desk.host.configure(&format!(
        "[jobs.hr]\nservice_principal = \"{SP}\"\njob = \"wd.2\"\n\
         [jobs.bricks]\nservice_principal = \"Databricks\"\n"
    ));
    let ran = desk.run(&["list"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    JOB     STATE                                        SCHEDULE  IN QUARANTINE SINCE
    bricks  Active                                       Active
    hr      Quarantine (EncounteredQuarantineException)  Active    [time], [span] ago
    ");
    let names: Vec<_> =
        desk.json(&["list"]).await.lines().iter().map(|line| line["job"]["name"].clone()).collect();
    assert_eq!(names, [json!("bricks"), json!("hr")]);
}

#[tokio::test]
async fn jobs_of_the_configuration_that_are_not_there_are_named() {
    let desk = fleet().await;
    desk.host.configure(&format!(
        "[jobs.bricks]\nservice_principal = \"{OTHER}\"\n\
         [jobs.gone]\nservice_principal = \"{OTHER}\"\njob = \"DB.9\"\n\
         [jobs.hr]\nservice_principal = \"{SP}\"\n\
         [jobs.nobody]\nservice_principal = \"Nobody\"\n"
    ));
    let ran = desk.run(&["list"]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 1
    --- stdout
    JOB     STATE   SCHEDULE  IN QUARANTINE SINCE
    bricks  Active  Active
    --- stderr
    error: gone: 3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02 has no job DB.9
      next: `startguard list 3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02` shows its jobs; mend `[jobs.gone]`
    error: hr: 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b has 3 jobs, and `job` does not say which
      next: `startguard list 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b` shows its jobs; mend `[jobs.hr]`
    error: Nobody: no service principal is called "Nobody", nor a job in the configuration
      next: the configuration has a job called nobody; is it that one?
    "#);
}

#[tokio::test]
async fn nothing_to_list_is_wrong_usage() {
    let desk = fleet().await;
    let ran = desk.run(&["list"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 2
    --- stderr
    error: there is nothing to list: the configuration has no job, and no service principal was named
      next: name a service principal, or add a `[jobs.NAME]` table to the configuration
    ");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_service_principal_without_jobs_has_an_empty_list() {
    let desk =
        Desk::of(Emulator::builder().service_principal(ServicePrincipalConfig::new(SP))).await;
    let ran = desk.json(&["list", SP]).await;
    assert_eq!(ran.ended(0).stdout, "");
}

/// A job of which Graph gives this for an id.
fn nameless(id: serde_json::Value) -> JobConfig {
    JobConfig { overlay: json!({"id": id}), ..JobConfig::new("hidden", "Active") }
}

#[tokio::test]
async fn a_job_without_an_id_is_not_left_out_in_silence() {
    // Found by a mock server that leaves members out, as the description of Graph allows.
    let builder = Emulator::builder().job(SP, JobConfig::new("WD.1", "Paused"));
    let desk = Desk::of(builder.job(SP, nameless(json!(null)))).await;
    let ran = desk.run(&["list", SP]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    JOB                                        STATE   SCHEDULE  IN QUARANTINE SINCE
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/WD.1  Paused  Disabled
    --- stderr
    error: 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b: 1 of 2 jobs cannot be shown: Graph gave no usable id of them
      next: look at the jobs in the Entra admin centre, and at what lies between here and Graph
    ");
    let ran = desk.run(&["status", SP]).await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b" has 2 jobs: WD.1 (Paused), 1 without a usable id
      next: name one of them, as in 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/WD.1
    "#);
}

#[tokio::test]
async fn the_only_job_has_no_id_and_is_there_all_the_same() {
    for id in [json!(null), json!(""), json!("two words"), json!(7)] {
        let desk = Desk::of(Emulator::builder().job(SP, nameless(id))).await;
        for command in ["list", "status"] {
            let ran = desk.json(&[command, SP]).await;
            assert_eq!(ran.ended(1).stdout, "", "{command}");
            assert!(ran.stderr.contains("Graph gave no usable id"), "{}", ran.stderr);
        }
        desk.host.configure(&format!("[jobs.only]\nservice_principal = \"{SP}\"\n"));
        let ran = desk.json(&["list"]).await;
        let told = format!("only: Graph gave no usable id of {SP}'s only job");
        assert!(ran.ended(1).stderr.contains(&told), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let builder = (1..=5).fold(Emulator::builder().page_size(2), |builder, n| {
        builder.job(SP, JobConfig::new(format!("job{n}"), "Active"))
    });
    let desk = Desk::of(builder).await;
    assert_eq!(desk.json(&["list", SP]).await.ended(0).lines().len(), 5);
    assert_eq!(desk.cost(), Cost { requests: 3, starts: 0 });
}

#[tokio::test]
async fn the_emulators_own_fleet_is_listed() {
    let desk = Desk::of(Emulator::builder().config(EmulatorConfig::default())).await;
    let ran = desk.run(&["list", "Box", "Salesforce", "Zoom"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    JOB                                                                                STATE                        SCHEDULE  IN QUARANTINE SINCE
    60443998-8cf7-4e61-b05c-a53b658cb5e1/BoxOutDelta.e4bbf44533ea4eabb17027f3a92e92aa  Paused                       Disabled
    a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03/salesforce.7d1f8f9a2b3c4d5e9f0a1b2c3d4e5f60   Quarantine (TooManyDeletes)  Active    [time], [span] ago
    e0f1a2b3-c4d5-46e7-98f9-0a1b2c3d4e06/8b1025e4-1dd2-430b-a150-2ef79cd700f5          NotConfigured                Disabled
    ");
}
