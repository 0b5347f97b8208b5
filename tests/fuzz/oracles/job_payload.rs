//! A job, or a page of jobs, as Graph sends it.

use std::{sync::LazyLock, time::Duration};

use serde_json::Value;
use startguard::{
    config::{self, Environment, Settings},
    decide::{Preflight, preflight},
    graph::fuzz,
    model::{Job, JobId, Observation, ScheduleState, StatusCode, Tick, Timestamp},
};

use super::text::fit_to_show;

/// Longest text that is kept of an answer, and the mark that it was cut.
const LONGEST: usize = 513;

static SETTINGS: LazyLock<Option<Settings>> = LazyLock::new(|| {
    config::fuzz::settings("none.toml", "", &Environment::of([("HOME", "/home/me")])).ok()
});

/// Checks one body, as that of a job and as that of a list.
pub fn check(input: &[u8]) {
    let body = std::str::from_utf8(input).unwrap_or_default();
    let body = body.strip_prefix('\u{feff}').unwrap_or(body).trim();
    let value = serde_json::from_str::<Value>(body).ok();

    let job = fuzz::job(input);
    match &job {
        Ok(job) => {
            showable(job);
            // Whatever the body is, it permits a start only if it says so in so many words.
            if let Some(value) = &value {
                permits_no_more_than_it_says(job, value);
            }
        }
        Err(problem) => fit_to_show("a bad body", problem, LONGEST + 60),
    }
    if let Some(value @ Value::Object(_)) = &value {
        says_what_it_says(value);
    }

    as_an_item(body, job.ok());
    as_a_list(input, value.as_ref());
}

fn showable(job: &Job) {
    let quarantine = job.quarantine.as_ref();
    let texts = [
        job.template_id.as_deref(),
        job.last_execution.as_deref(),
        job.code.as_str(),
        job.schedule.as_str(),
        job.id.as_ref().map(JobId::as_str),
        quarantine.and_then(|quarantine| quarantine.reason.as_deref()),
        quarantine.and_then(|quarantine| quarantine.error_code.as_deref()),
        quarantine.and_then(|quarantine| quarantine.error_message.as_deref()),
    ];
    for text in texts.into_iter().flatten() {
        fit_to_show("a job", text, LONGEST);
    }
    for date in quarantine.into_iter().flat_map(|it| [it.since, it.next_attempt, it.series_began]) {
        // The year 1 means "none", and years before it do not occur.
        assert!(
            date.is_none_or(|date| date.as_second() > -62_135_596_800 + 366 * 86_400 - 86_400 * 2)
        );
    }
}

fn word<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}

/// A start needs a code that says so and a reason that policy does not leave to a person.
fn permits_no_more_than_it_says(job: &Job, value: &Value) {
    let Some(settings) = SETTINGS.as_ref() else { return };
    let policy = &settings.guard;
    let read = Observation::of(job, Timestamp::UNIX_EPOCH, Tick(Duration::ZERO));
    match preflight(policy, &read, &[]) {
        Preflight::Eligible => {}
        Preflight::Running => {
            let code = word(value, &["status", "code"]).unwrap_or_default().to_lowercase();
            assert!(code == "active" || code == "notrun", "{value}");
            return;
        }
        Preflight::Denied(denial) => {
            fit_to_show("a denial", &denial.message, 2 * LONGEST + 200);
            fit_to_show("a remedy", &denial.remedy, 2 * LONGEST + 200);
            return;
        }
    }
    let code = word(value, &["status", "code"]).unwrap_or_default().to_lowercase();
    assert!(code == "paused" || code == "quarantine", "{value}");
    let reason = word(value, &["status", "quarantine", "reason"]).unwrap_or_default();
    for needs in &policy.needs_consent {
        let letters = |text: &str| {
            text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
        };
        assert_ne!(letters(reason), letters(needs), "{value}");
    }
    let pruned = value.get("status").and_then(|status| status.get("escrowsPruned"));
    assert_ne!(pruned, Some(&Value::Bool(true)), "{value}");
}

/// Written anew by another library, so that no member is there twice, it says the same to both.
fn says_what_it_says(value: &Value) {
    let job = fuzz::job(value.to_string().as_bytes());
    assert!(job.is_ok(), "{job:?}");
    let Ok(job) = job else { return };
    permits_no_more_than_it_says(&job, value);
    let code = StatusCode::parse(word(value, &["status", "code"]));
    if matches!(code, StatusCode::Other(_)) {
        assert!(matches!(job.code, StatusCode::Other(_)), "{value}");
    } else {
        assert_eq!(job.code, code, "{value}");
    }
    let state = ScheduleState::parse(word(value, &["schedule", "state"]));
    if matches!(state, ScheduleState::Other(_)) {
        assert!(matches!(job.schedule, ScheduleState::Other(_)), "{value}");
    } else {
        assert_eq!(job.schedule, state, "{value}");
    }
    let reason = word(value, &["status", "quarantine", "reason"]).filter(|it| !it.is_empty());
    if let Some(reason) = reason {
        let read = job.quarantine.as_ref().and_then(|quarantine| quarantine.reason.as_deref());
        assert_eq!(read, Some(fuzz::shown(reason).as_str()), "{value}");
    }
    let id = word(value, &["id"]).and_then(|id| JobId::parse(id).ok());
    assert_eq!(job.id, id, "{value}");
}

/// A job of a list is read as it is read alone.
fn as_an_item(body: &str, alone: Option<Job>) {
    let page = format!("{{\"value\":[{body}]}}");
    let (Some(alone), Ok((listed, None))) = (alone, fuzz::jobs(page.as_bytes())) else { return };
    // A body that ends the list and goes on after it is no item of one.
    if let [listed] = listed.as_slice() {
        assert_eq!(*listed, alone, "{body}");
    }
}

fn as_a_list(input: &[u8], value: Option<&Value>) {
    match fuzz::jobs(input) {
        Err(problem) => fit_to_show("a bad list", &problem, LONGEST + 60),
        Ok((jobs, next)) => {
            jobs.iter().for_each(showable);
            let Some(value) = value else { return };
            let items = value.get("value").and_then(Value::as_array);
            // None is left out: one that is missing could make another look like the only one.
            assert_eq!(items.map(Vec::len).or(Some(0)), Some(jobs.len()), "{value}");
            for (job, item) in jobs.iter().zip(items.into_iter().flatten()) {
                permits_no_more_than_it_says(job, item);
            }
            let link = word(value, &["@odata.nextLink"]).filter(|link| !link.is_empty());
            assert_eq!(next.as_deref(), link, "{value}");
        }
    }
    match fuzz::service_principals(input) {
        Err(problem) => fit_to_show("a bad list", &problem, LONGEST + 60),
        Ok(found) => {
            let Some(value) = value else { return };
            let items = value.get("value").and_then(Value::as_array);
            assert_eq!(items.map(Vec::len).or(Some(0)), Some(found.len()), "{value}");
            for (found, item) in found.iter().zip(items.into_iter().flatten()) {
                let id = word(item, &["id"]).unwrap_or_default();
                assert_eq!(found.id.as_str(), id.to_lowercase(), "{value}");
                for text in [&found.app_id, &found.display_name].into_iter().flatten() {
                    fit_to_show("a service principal", text, LONGEST);
                }
            }
        }
    }
}
