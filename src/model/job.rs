//! A provisioning job as Graph shows it: the two states that look alike, and the quarantine.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{JobId, ServicePrincipalId, Timestamp};

/// `status.code`: the verdict on the job, and the only thing a start depends on.
///
/// Source: Microsoft Graph `synchronizationStatusCode`. Members may appear without notice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// Created, never configured.
    NotConfigured,
    /// Configured; no cycle has finished yet.
    NotRun,
    /// Running at its usual pace.
    Active,
    /// Stopped; a start goes on where it stopped.
    Paused,
    /// Slowed by the service after failures; a start lifts it.
    Quarantine,
    /// Missing, null, or a word this version does not know. Never permits a start.
    Other(String),
}

impl StatusCode {
    /// Reads the code; letters' case does not matter.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "notconfigured" => Self::NotConfigured,
            "notrun" => Self::NotRun,
            "active" => Self::Active,
            "paused" => Self::Paused,
            "quarantine" => Self::Quarantine,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// The code as Graph spells it; `None` when there was none.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::NotConfigured => Some("NotConfigured"),
            Self::NotRun => Some("NotRun"),
            Self::Active => Some("Active"),
            Self::Paused => Some("Paused"),
            Self::Quarantine => Some("Quarantine"),
            Self::Other(text) if text.is_empty() => None,
            Self::Other(text) => Some(text),
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str().unwrap_or("(no status code)"))
    }
}

impl Serialize for StatusCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| Self::parse(text.as_deref()))
    }
}

/// `schedule.state`: the scheduler's switch. It is not the job's state.
///
/// Source: Microsoft Graph `synchronizationScheduleState`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ScheduleState {
    /// Cycles are scheduled.
    Active,
    /// No cycle is scheduled.
    Disabled,
    /// Scheduling is paused.
    Paused,
    /// Missing, null, or a word this version does not know.
    Other(String),
}

impl ScheduleState {
    /// Reads the state; letters' case does not matter.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "active" => Self::Active,
            "disabled" => Self::Disabled,
            "paused" => Self::Paused,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// The state as Graph spells it; `None` when there was none.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Active => Some("Active"),
            Self::Disabled => Some("Disabled"),
            Self::Paused => Some("Paused"),
            Self::Other(text) if text.is_empty() => None,
            Self::Other(text) => Some(text),
        }
    }
}

impl fmt::Display for ScheduleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str().unwrap_or("(no schedule state)"))
    }
}

impl Serialize for ScheduleState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ScheduleState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| Self::parse(text.as_deref()))
    }
}

/// `status.quarantine`: why the service slowed the job, and since when. Absent texts and the date
/// `0001-01-01` are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// `reason`, as Graph spells it.
    pub reason: Option<String>,
    /// `currentBegan`: when this quarantine began.
    pub since: Option<Timestamp>,
    /// `nextAttempt`: when the service tries by itself. `None` is unknown, not overdue.
    pub next_attempt: Option<Timestamp>,
    /// `seriesBegan`: when the series of quarantines began; a start wipes it.
    pub series_began: Option<Timestamp>,
    /// `seriesCount`: how many there were in the series; a start wipes it.
    pub series_count: Option<u64>,
    /// `error.code`.
    pub error_code: Option<String>,
    /// `error.message`; the service's words, to be escaped before they are shown.
    pub error_message: Option<String>,
}

/// One `synchronizationJob`, as far as a start, a status or a list needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `id`; `None` when the payload had none.
    pub id: Option<JobId>,
    /// `templateId`: which connector the job was made from.
    pub template_id: Option<String>,
    /// `status.code`.
    pub code: StatusCode,
    /// `schedule.state`.
    pub schedule: ScheduleState,
    /// `status.quarantine`, where there is one that says anything.
    pub quarantine: Option<Quarantine>,
    /// `status.escrowsPruned`: the service itself paused the job after too many object errors.
    pub escrows_pruned: bool,
    /// `status.lastExecution.state`, for people to read.
    pub last_execution: Option<String>,
}

/// A service principal, as far as naming one needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// Object id.
    pub id: ServicePrincipalId,
    /// The id of the application it stands for.
    pub app_id: Option<String>,
    /// Display name; the tenant's words, to be escaped before they are shown.
    pub display_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_of_a_code_does_not_matter() {
        assert_eq!(StatusCode::parse(Some("pAUSED")), StatusCode::Paused);
        assert_eq!(ScheduleState::parse(Some("ACTIVE")), ScheduleState::Active);
    }

    #[test]
    fn unknown_codes_are_kept_as_they_came() {
        assert_eq!(StatusCode::parse(Some("Waiting")), StatusCode::Other("Waiting".to_owned()));
        assert_eq!(StatusCode::parse(None), StatusCode::Other(String::new()));
        assert_eq!(StatusCode::parse(Some(" Paused")).as_str(), Some(" Paused"));
        assert_eq!(StatusCode::parse(None).as_str(), None);
    }
}
