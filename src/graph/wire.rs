//! Graph's JSON, read tolerantly: what a start does not need may be missing, null, of another type or
//! new, and never fails a read. What it does need is then "not known", which never permits a start.
//!
//! Each member is kept as raw text until it is asked for, so a member that nobody asks for is
//! skipped without being built in memory, whatever it holds (settings carry tenants' names).

mod date;

use serde::{Deserialize, de::Error as _};
use serde_json::value::RawValue;

use super::text::clean;
use crate::model::{
    Job, JobId, Quarantine, ScheduleState, ServicePrincipal, ServicePrincipalId, StatusCode,
    Timestamp,
};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireJob<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    schedule: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSchedule<'a> {
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    escrows_pruned: Option<&'a RawValue>,
    #[serde(borrow, default)]
    quarantine: Option<&'a RawValue>,
    #[serde(borrow, default)]
    last_execution: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireQuarantine<'a> {
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    current_began: Option<&'a RawValue>,
    #[serde(borrow, default)]
    next_attempt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    series_began: Option<&'a RawValue>,
    #[serde(borrow, default)]
    series_count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireExecution<'a> {
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireCause<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WirePage<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "@odata.nextLink")]
    next_link: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePrincipal<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    app_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    display_name: Option<&'a RawValue>,
}

/// The body as text.
///
/// # Errors
/// Why it cannot be JSON, in one line.
pub(super) fn text(body: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(body).map_err(|_| "its body is not text".to_owned())?;
    // A byte order mark is no part of JSON; .NET gateways have written one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    match text.chars().next() {
        None => Err("its body is empty".to_owned()),
        Some('<') => {
            Err("its body is a page of HTML or XML, as a proxy or a sign-in page sends".to_owned())
        }
        Some(_) => Ok(text),
    }
}

/// One job.
///
/// # Errors
/// The text is not an object.
pub(super) fn job(json: &str) -> Result<Job, String> {
    object(json).map(|job| read_job(&job)).map_err(not_json)
}

/// A job of a list. One that cannot be read is a job of which nothing is known: leaving it out could
/// make another look like the only one.
pub(super) fn listed_job(item: &RawValue) -> Job {
    read_job(&object(item.get()).unwrap_or_default())
}

/// A page of a list: its items, and where it goes on.
///
/// # Errors
/// The text is not a page.
pub(super) fn page(json: &str) -> Result<(Vec<&RawValue>, Option<String>), String> {
    let page: WirePage<'_> = object(json).map_err(not_json)?;
    let value = page.value.ok_or("the list has no items, not even none")?;
    let items = serde_json::from_str(value.get()).map_err(|_| "the list's items are no list")?;
    let next = match page.next_link {
        None => None,
        Some(link) => {
            let link: String = serde_json::from_str(link.get())
                .map_err(|_| "the list's next page is not at a URL")?;
            Some(link).filter(|link| !link.is_empty())
        }
    };
    Ok((items, next))
}

/// A service principal of a list.
///
/// # Errors
/// It has no object id. Leaving it out could make another of the same name look like the only one.
pub(super) fn service_principal(item: &RawValue) -> Result<ServicePrincipal, String> {
    let wire: WirePrincipal<'_> = object(item.get()).unwrap_or_default();
    let id = string(wire.id)
        .and_then(|id| ServicePrincipalId::parse(&id).ok())
        .ok_or("a service principal of the list has no object id")?;
    let (app_id, display_name) = (shown(wire.app_id), shown(wire.display_name));
    Ok(ServicePrincipal { id, app_id, display_name })
}

fn read_job(wire: &WireJob<'_>) -> Job {
    let status: WireStatus<'_> = member(wire.status);
    let schedule: WireSchedule<'_> = member(wire.schedule);
    let execution: WireExecution<'_> = member(status.last_execution);
    Job {
        id: string(wire.id).filter(|id| clean(id) == *id).and_then(|id| JobId::parse(&id).ok()),
        template_id: shown(wire.template_id),
        code: code(status.code),
        schedule: schedule_state(schedule.state),
        quarantine: quarantine(status.quarantine),
        escrows_pruned: flag(status.escrows_pruned),
        last_execution: last_execution(&execution),
    }
}

/// Read before it is cleaned: what cleaning leaves of a hostile text must not be a known code.
fn code(raw: Option<&RawValue>) -> StatusCode {
    match string(raw) {
        Some(text) => match StatusCode::parse(Some(&text)) {
            StatusCode::Other(text) => StatusCode::Other(clean(&text)),
            known @ (StatusCode::NotConfigured
            | StatusCode::NotRun
            | StatusCode::Active
            | StatusCode::Paused
            | StatusCode::Quarantine) => known,
        },
        None => StatusCode::Other(verbatim(raw)),
    }
}

fn schedule_state(raw: Option<&RawValue>) -> ScheduleState {
    match string(raw) {
        Some(text) => match ScheduleState::parse(Some(&text)) {
            ScheduleState::Other(text) => ScheduleState::Other(clean(&text)),
            known @ (ScheduleState::Active | ScheduleState::Disabled | ScheduleState::Paused) => {
                known
            }
        },
        None => ScheduleState::Other(verbatim(raw)),
    }
}

/// The quarantine, if there is anything in it: a job that is not in one may carry an empty object.
fn quarantine(raw: Option<&RawValue>) -> Option<Quarantine> {
    let Ok(wire) = object::<WireQuarantine<'_>>(raw?.get()) else {
        // Something is there and cannot be read: a reason that nobody has consented to.
        let reason = Some(verbatim(raw)).filter(|reason| !reason.is_empty())?;
        return Some(Quarantine { reason: Some(reason), ..Quarantine::default() });
    };
    let error: WireCause<'_> = member(wire.error);
    let quarantine = Quarantine {
        reason: shown(wire.reason)
            .or_else(|| Some(verbatim(wire.reason)).filter(|reason| !reason.is_empty())),
        since: date(wire.current_began),
        next_attempt: date(wire.next_attempt),
        series_began: date(wire.series_began),
        series_count: count(wire.series_count),
        error_code: shown(error.code),
        error_message: shown(error.message),
    };
    (quarantine != Quarantine::default()).then_some(quarantine)
}

/// The state of the last execution. A first cycle under way says that it has "Failed", with "None"
/// for an error; that is no news to tell anyone.
fn last_execution(wire: &WireExecution<'_>) -> Option<String> {
    let error: WireCause<'_> = member(wire.error);
    let harmless = string(error.code).is_some_and(|code| code.eq_ignore_ascii_case("None"));
    shown(wire.state).filter(|state| !(harmless && state.eq_ignore_ascii_case("Failed")))
}

/// An object, or what nothing is known of.
fn member<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| object(raw.get()).ok()).unwrap_or_default()
}

/// An object. (serde would read a list as the members in order, too.)
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
    if !json.starts_with('{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_str(json)
}

/// A text that says anything.
pub(super) fn string(raw: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(raw?.get()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// A text, fit to be shown.
fn shown(raw: Option<&RawValue>) -> Option<String> {
    string(raw).map(|text| clean(&text))
}

/// What stands where a text should, as it stands there; empty for `""`, null and nothing.
fn verbatim(raw: Option<&RawValue>) -> String {
    raw.map(RawValue::get).filter(|raw| *raw != "\"\"").map(clean).unwrap_or_default()
}

fn date(raw: Option<&RawValue>) -> Option<Timestamp> {
    date::parse(&string(raw)?)
}

/// A number, or a text that is one.
fn count(raw: Option<&RawValue>) -> Option<u64> {
    match string(raw) {
        Some(text) => text.trim().parse().ok(),
        None => serde_json::from_str(raw?.get()).ok(),
    }
}

/// Whether a flag is set. What is there and does not say no counts as yes: this flag asks for a
/// person.
fn flag(raw: Option<&RawValue>) -> bool {
    match string(raw) {
        Some(text) => !text.eq_ignore_ascii_case("false"),
        None => raw.is_some_and(|raw| !matches!(raw.get(), "false" | "0" | "\"\"")),
    }
}

/// The parser's words name a place and a kind, never the text.
fn not_json(error: serde_json::Error) -> String {
    format!("its body is not the JSON of Graph ({})", clean(&error.to_string()))
}

#[cfg(test)]
mod tests;
