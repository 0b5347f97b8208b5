//! A job as a configuration describes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{duration, optional_duration};

/// The interval that Graph shows for a job that was never scheduled (the largest .NET time span).
pub(super) const NEVER_SCHEDULED: &str = "P10675199DT2H48M5.4775807S";
/// The usual interval between two cycles.
pub(super) const USUAL_INTERVAL: &str = "PT40M";

/// One provisioning job: its state when the emulator starts, and how it behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobConfig {
    /// A short name for this job, by which [`EmulatorConfig::named`](super::EmulatorConfig::named) finds it.
    pub name: Option<String>,
    /// The job's id.
    pub id: String,
    /// The template it was made from; left out, the id up to its first dot.
    pub template_id: Option<String>,
    /// `status.code`, any text.
    pub code: String,
    /// `schedule.state`, any text; left out, what goes with the code.
    pub schedule: Option<String>,
    /// `schedule.interval`; left out, what goes with the code.
    pub interval: Option<String>,
    /// `status.escrowsPruned`.
    pub escrows_pruned: bool,
    /// `status.countSuccessiveCompleteFailures`.
    pub successive_failures: u64,
    /// `status.quarantine`.
    pub quarantine: Option<QuarantineConfig>,
    /// `status.lastExecution`.
    pub last_execution: ExecutionConfig,
    /// Merged into the job's JSON until its state first changes: for payloads that no healthy service would write.
    pub overlay: Value,
    /// Whether validateCredentials finds the saved credentials good.
    pub credentials_valid: bool,
    /// How long after a start from quarantine the job is quarantined again, because nobody mended the cause.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub relapses_after: Option<Duration>,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            name: None,
            id: String::new(),
            template_id: None,
            code: "Paused".to_owned(),
            schedule: None,
            interval: None,
            escrows_pruned: false,
            successive_failures: 0,
            quarantine: None,
            last_execution: ExecutionConfig::None,
            overlay: Value::Object(serde_json::Map::new()),
            credentials_valid: true,
            relapses_after: None,
        }
    }
}

impl JobConfig {
    /// A job with this id and `status.code`, and everything else as it goes with the code.
    #[must_use]
    pub fn new(id: impl Into<String>, code: impl Into<String>) -> Self {
        let code = code.into();
        let quarantined = code.eq_ignore_ascii_case("Quarantine");
        let has_run = quarantined
            || code.eq_ignore_ascii_case("Active")
            || code.eq_ignore_ascii_case("Paused");
        Self {
            id: id.into(),
            quarantine: quarantined.then(QuarantineConfig::default),
            successive_failures: if quarantined { 3 } else { 0 },
            last_execution: match (quarantined, has_run) {
                (true, _) => ExecutionConfig::Failed,
                (false, true) => ExecutionConfig::Succeeded,
                (false, false) => ExecutionConfig::None,
            },
            code,
            ..Self::default()
        }
    }

    /// Gives the job a short name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Puts a quarantine of this reason on the job, whatever its code.
    #[must_use]
    pub fn quarantined(mut self, reason: impl Into<String>) -> Self {
        self.quarantine =
            Some(QuarantineConfig { reason: reason.into(), ..self.quarantine.unwrap_or_default() });
        self
    }

    /// Sets `schedule.state`.
    #[must_use]
    pub fn scheduled(mut self, state: impl Into<String>) -> Self {
        self.schedule = Some(state.into());
        self
    }
}

/// A quarantine, its dates as distances from the moment the job is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuarantineConfig {
    /// `reason`, any text.
    pub reason: String,
    /// How long ago it was last imposed.
    #[serde(with = "duration")]
    pub began_ago: Duration,
    /// How long ago the series began.
    #[serde(with = "duration")]
    pub series_began_ago: Duration,
    /// `seriesCount`.
    pub series_count: u64,
    /// When the service tries again by itself; zero means that no date is set, which Graph writes as the year 1.
    #[serde(with = "duration")]
    pub next_attempt_in: Duration,
    /// The error's code; an empty one leaves `error` out.
    pub error_code: String,
    /// The error's message.
    pub error_message: String,
}

impl Default for QuarantineConfig {
    fn default() -> Self {
        Self {
            reason: "EncounteredQuarantineException".to_owned(),
            began_ago: Duration::from_secs(6 * 3600),
            series_began_ago: Duration::from_secs(42 * 3600),
            series_count: 3,
            next_attempt_in: Duration::from_secs(18 * 3600),
            error_code: "InvalidCredentials".to_owned(),
            error_message: "The target answered 401 Unauthorized to the saved credentials."
                .to_owned(),
        }
    }
}

/// The last run of a job, as published payloads show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionConfig {
    /// Null: the job never ran.
    #[default]
    None,
    /// It went well.
    Succeeded,
    /// Nothing could be done.
    Failed,
    /// Some objects failed.
    EntryLevelErrors,
    /// A first cycle under way, which Graph shows as `Failed` with an error of code `None`.
    FirstCycle,
}
