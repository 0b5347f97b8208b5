//! `[jobs.NAME]`.

use std::time::Duration;

use super::*;
use crate::model::{JobId, OnState, ServicePrincipalId, ServicePrincipalRef};

const SP: &str = "9d0f6a37-2b84-4e59-a1c3-6f7e8d9c0b1a";

fn job(name: &str, rest: &str) -> String {
    format!("[jobs.{name}]\nservice_principal = '{SP}'\n{rest}\n")
}

fn key(sp: &str, job: &str) -> JobKey {
    JobKey {
        service_principal_id: ServicePrincipalId::parse(sp).unwrap(),
        job_id: JobId::parse(job).unwrap(),
    }
}

#[test]
fn a_job_has_the_guards_settings_and_its_own() {
    let settings = with(&format!(
        "[guard]\ncooldown = '20m'\nneeds_consent = ['Unknown']\n{}",
        job("a", "cooldown = '1h'\nauto_reasons = []\non_paused = 'start'")
    ))
    .settings();
    let job = settings.job("a").unwrap();
    assert_eq!(job.name, "a");
    assert_eq!(job.policy.cooldown, Duration::from_hours(1));
    assert_eq!(job.policy.needs_consent, ["Unknown"]);
    assert_eq!(job.policy.auto_reasons, Vec::<String>::new());
    assert_eq!((job.on_quarantine, job.on_paused), (OnState::Start, OnState::Start));
    assert_eq!(settings.guard.cooldown, Duration::from_mins(20));
    assert_eq!(settings.guard.auto_reasons, ["EncounteredQuarantineException"]);
    assert_eq!(settings.job("b"), None);
}

#[test]
fn a_pause_is_a_persons_unless_told_otherwise() {
    let settings = with(&job("a", "")).settings();
    let job = settings.job("a").unwrap();
    assert_eq!((job.on_quarantine, job.on_paused), (OnState::Start, OnState::Alert));
}

#[test]
fn a_variable_beats_a_jobs_own_key_and_says_so() {
    let settings =
        with(&job("a", "cooldown = '1h'")).set("STARTGUARD_GUARD_COOLDOWN", "20m").settings();
    assert_eq!(settings.job("a").unwrap().policy.cooldown, Duration::from_mins(20));
    assert_eq!(
        settings.warnings,
        ["STARTGUARD_GUARD_COOLDOWN is set and overrides `cooldown` of [jobs.a]"]
    );
}

#[test]
fn a_jobs_lease_must_outlast_a_request() {
    let (said, _) = with(&job("a", "lease = '10s'")).error();
    assert!(said.starts_with("c.toml:3:9: [jobs.a] lease (10s) does not exceed"), "{said}");
}

#[test]
fn a_jobs_short_cooldown_is_said_once() {
    let settings = with(&format!(
        "[guard]\ncooldown = '1m'\n{}{}",
        job("a", "job = 'x'"),
        job("b", "job='y'\ncooldown = '2m'")
    ))
    .settings();
    let [of_guard, of_job] = settings.warnings.as_slice() else {
        panic!("{:?}", settings.warnings)
    };
    assert!(of_guard.contains("[guard] cooldown (1m)"), "{of_guard}");
    assert!(of_job.contains("[jobs.b] cooldown (2m)"), "{of_job}");
}

#[test]
fn a_job_named_by_ids_gets_its_policy_and_name() {
    let settings = with(&job("a", "job = 'Box.A'\nmax_starts = 1")).settings();
    let (policy, name) = settings.policy_for(&key(&SP.to_uppercase(), "bOX.a"));
    assert_eq!((policy.max_starts.get(), name), (1, Some("a")));
    let (policy, name) = settings.policy_for(&key(SP, "Box.B"));
    assert_eq!((policy.max_starts.get(), name), (3, None));
}

#[test]
fn an_entry_without_ids_is_not_matched_by_guessing() {
    let settings = with(&format!(
        "{}[jobs.b]\nservice_principal = 'Box'\njob = 'Box.A'\nmax_starts = 1",
        job("a", "max_starts = 1")
    ))
    .settings();
    assert_eq!(settings.policy_for(&key(SP, "Box.A")), (&settings.guard, None));
    assert_eq!(settings.job("a").unwrap().key(), None);
    assert_eq!(
        settings.job("b").unwrap().service_principal,
        ServicePrincipalRef::DisplayName("Box".to_owned())
    );
}

#[test]
fn two_entries_for_one_job_are_refused() {
    for (first, second) in [
        (job("a", "job = 'Box.A'"), job("b", "job = 'box.a'")),
        (job("a", ""), job("b", "").replace(SP, &SP.to_uppercase())),
        (
            "[jobs.a]\nservice_principal = 'Box App'\n".to_owned(),
            "[jobs.b]\nservice_principal = 'box app'\n".to_owned(),
        ),
    ] {
        let (said, _) = with(&format!("{first}{second}")).error();
        assert!(said.ends_with("[jobs.b] names the same job as [jobs.a]"), "{said}");
        assert!(said.starts_with("c.toml:"), "{said}");
    }
    assert!(with(&format!("{}{}", job("a", "job='x'"), job("b", "job='y'"))).load().is_ok());
}

#[test]
fn a_job_without_an_owner_is_refused() {
    let (said, remedy) = with("[jobs.a]\ncooldown = '1h'").error();
    assert_eq!(said, "c.toml:1:7: [jobs.a] names no service_principal");
    assert!(remedy.contains("appid:GUID"), "{remedy}");
}

#[test]
fn what_names_no_job_is_refused_with_the_cause() {
    for text in [
        "[jobs.a]\nservice_principal = ''",
        "[jobs.a]\nservice_principal = '../x'",
        "[jobs.a]\nservice_principal = \"a\\u001Bb\"",
        "[jobs.a]\nservice_principal = 'appid:1'",
        "[jobs.a]\nservice_principal = 'x'\njob = 'a/b'",
        "[jobs.a]\nservice_principal = 'x'\njob = ''",
    ] {
        let bench = with(text);
        let (said, _) = bench.error();
        assert!(said.starts_with("c.toml:"), "{said}");
        assert!(std::error::Error::source(&bench.load().unwrap_err()).is_some(), "{text}");
    }
}

#[test]
fn names_that_could_mean_something_else_are_refused() {
    for name in [SP, "a/b", "", "-x", "a b", "x\\u001B"] {
        let (said, _) = with(&job(&format!("\"{name}\""), "")).error();
        assert!(said.starts_with("c.toml:1:7: the job name "), "{said}");
    }
}

#[test]
fn a_name_with_a_dot_is_quoted() {
    let settings = with(&job("\"sap.eu\"", "")).settings();
    assert!(settings.job("sap.eu").is_some());
    let (_, remedy) = with(&job("sap.eu", "")).error();
    assert!(remedy.contains("[jobs.\"sap.eu\"]"), "{remedy}");
    let (said, _) = with(&job("\"sap.eu\"", "lease = '1s'")).error();
    assert!(said.contains("[jobs.\"sap.eu\"] lease"), "{said}");
}

#[test]
fn a_fleet_of_thousands_fits() {
    let fleet: String = (0..6_000)
        .map(|index| job(&format!("j{index}"), &format!("job = 'Box.{index}'")))
        .collect();
    let settings = with(&fleet).settings();
    assert_eq!(settings.jobs.len(), 6_000);
    assert_eq!(settings.policy_for(&key(SP, "box.5999")).1, Some("j5999"));
}
