//! Payloads as Microsoft's pages and public threads show them, through the whole read.

use startguard::{
    model::{Job, Quarantine, ScheduleState, StatusCode, Timestamp},
    ports::{Graph as _, GraphError},
};

use super::{
    JOB, graph, key,
    server::{Server, answer},
    settings, soon,
};

async fn read(body: &str) -> Result<Job, GraphError> {
    let server =
        Server::answering(answer(200, &[("Content-Type", "application/json")], body)).await;
    graph(settings(&server.origin())).job(&key(), soon()).await.result
}

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a date"))
}

#[tokio::test]
async fn the_year_1_is_no_date() {
    let job = read(include_str!("../fixtures/quarantine_without_next_attempt.json")).await.unwrap();
    assert_eq!((job.code, job.schedule), (StatusCode::Quarantine, ScheduleState::Active));
    let expected = Quarantine {
        reason: Some("EncounteredQuarantineException".to_owned()),
        since: at("2026-11-20T22:15:34.1198731Z"),
        next_attempt: None,
        series_began: at("2026-11-18T10:15:11.903Z"),
        series_count: Some(5),
        error_code: Some(
            "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable".to_owned(),
        ),
        error_message: Some("The credentials could not be validated.".to_owned()),
    };
    assert_eq!(job.quarantine, Some(expected));
    assert_eq!(job.last_execution.as_deref(), Some("Failed"));
}

#[tokio::test]
async fn a_paused_job_may_carry_a_quarantine_of_empty_texts() {
    let job = read(include_str!("../fixtures/paused_with_empty_quarantine.json")).await.unwrap();
    assert_eq!((job.code, job.schedule), (StatusCode::Paused, ScheduleState::Disabled));
    let expected = Quarantine { series_count: Some(0), ..Quarantine::default() };
    assert_eq!(job.quarantine, Some(expected));
}

#[tokio::test]
async fn a_paused_job_may_carry_a_real_quarantine() {
    let job = read(include_str!("../fixtures/paused_with_quarantine.json")).await.unwrap();
    assert_eq!(job.code, StatusCode::Paused);
    let quarantine = job.quarantine.unwrap();
    assert_eq!(quarantine.reason.as_deref(), Some("TooManyDeletes"));
    // A count written as a text, dates without an offset, and no error at all.
    assert_eq!(quarantine.series_count, Some(2));
    assert_eq!(quarantine.since, at("2026-11-20T22:15:34.119873Z"));
    assert_eq!((quarantine.error_code, quarantine.error_message), (None, None));
}

#[tokio::test]
async fn an_interval_beyond_any_clock_is_no_obstacle() {
    let job = read(include_str!("../fixtures/never_scheduled.json")).await.unwrap();
    assert_eq!((job.code, job.schedule), (StatusCode::NotConfigured, ScheduleState::Disabled));
    assert_eq!((job.quarantine, job.last_execution), (None, None));
}

#[tokio::test]
async fn a_first_cycle_that_says_failed_is_under_way() {
    let job = read(include_str!("../fixtures/first_cycle.json")).await.unwrap();
    assert_eq!((job.code, job.schedule), (StatusCode::NotRun, ScheduleState::Active));
    assert_eq!(job.last_execution, None);
}

#[tokio::test]
async fn fractions_settings_and_empty_links_are_read_over() {
    let job = read(include_str!("../fixtures/active_with_settings.json")).await.unwrap();
    assert_eq!((&job.code, &job.schedule), (&StatusCode::Active, &ScheduleState::Active));
    assert_eq!(job.id.as_ref().map(|id| id.as_str()), Some(JOB));
    assert_eq!(job.template_id.as_deref(), Some("BoxOutDelta"));
    assert_eq!(job.last_execution.as_deref(), Some("EntryLevelErrors"));
    // Settings hold tenants' names: nothing of them may be kept.
    assert!(!format!("{job:?}").contains("Contoso"), "{job:?}");
}

#[tokio::test]
async fn the_services_own_pause_is_seen() {
    let job = read(include_str!("../fixtures/paused_escrows_pruned.json")).await.unwrap();
    assert_eq!(job.code, StatusCode::Paused);
    assert!(job.escrows_pruned);
}

#[tokio::test]
async fn a_new_code_and_other_letters_case_are_read() {
    let job = read(include_str!("../fixtures/new_members.json")).await.unwrap();
    assert_eq!(job.code, StatusCode::Other("Hibernating".to_owned()));
    assert_eq!(job.schedule, ScheduleState::Other("Suspended".to_owned()));
    assert_eq!(job.quarantine.unwrap().reason.as_deref(), Some("PlanetsMisaligned"));
    let lower = include_str!("../fixtures/new_members.json").replace("Hibernating", "pAUSED");
    assert_eq!(read(&lower).await.unwrap().code, StatusCode::Paused);
}

#[tokio::test]
async fn bodies_that_are_no_job_are_bad_answers() {
    for (body, problem) in [
        ("", "its body is empty"),
        ("<html><body>Sign in</body></html>", "its body is a page of HTML or XML"),
        ("[]", "its body is not the JSON of Graph"),
        (r#"{"id":"#, "its body is not the JSON of Graph"),
        ("\u{1b}[2J", "its body is not the JSON of Graph"),
    ] {
        match read(body).await {
            Err(GraphError::BadResponse { problem: told }) => {
                assert!(told.starts_with(problem), "{told}");
                assert!(!told.chars().any(char::is_control), "{told:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }
}
