//! Faults: rules that say which requests go wrong, when, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{ConfigError, duration};
use super::connection::CutBy;
use super::path::{Operation, OperationKind};
pub use play::FaultProgress;
pub(super) use play::{Fault, Faults};

mod play;

/// One rule. The first rule that matches a request and is neither skipping nor used up is played on it, and no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultRule {
    /// A name for logs and counts.
    pub name: Option<String>,
    /// Only this operation.
    pub operation: Option<OperationKind>,
    /// Only this HTTP method.
    pub method: Option<String>,
    /// Only requests below this service principal (object id).
    pub service_principal: Option<String>,
    /// Only requests for this job.
    pub job: Option<String>,
    /// Matching requests to let pass first.
    pub after: u64,
    /// How many times to play; left out, always.
    pub times: Option<u64>,
    /// Wait this long before the request takes effect.
    #[serde(with = "duration")]
    pub delay_before: Duration,
    /// Wait this long between the effect and the answer.
    #[serde(with = "duration")]
    pub delay_after: Duration,
    /// What goes wrong; left out, nothing but the delays.
    pub effect: Effect,
}

impl Default for FaultRule {
    fn default() -> Self {
        Self {
            name: None,
            operation: None,
            method: None,
            service_principal: None,
            job: None,
            after: 0,
            times: None,
            delay_before: Duration::ZERO,
            delay_after: Duration::ZERO,
            effect: Effect::None,
        }
    }
}

impl FaultRule {
    /// Plays `effect` on every request for `operation`.
    #[must_use]
    pub fn on(operation: OperationKind, effect: Effect) -> Self {
        Self { operation: Some(operation), effect, ..Self::default() }
    }

    /// Plays it on the first `times` matches only.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets `count` matching requests pass first.
    #[must_use]
    pub const fn after(mut self, count: u64) -> Self {
        self.after = count;
        self
    }

    /// Confines the rule to one job.
    #[must_use]
    pub fn on_job(mut self, service_principal: impl Into<String>, job: impl Into<String>) -> Self {
        self.service_principal = Some(service_principal.into());
        self.job = Some(job.into());
        self
    }

    /// Waits before the effect.
    #[must_use]
    pub const fn delayed_before(mut self, delay: Duration) -> Self {
        self.delay_before = delay;
        self
    }

    /// Waits between effect and answer.
    #[must_use]
    pub const fn delayed_after(mut self, delay: Duration) -> Self {
        self.delay_after = delay;
        self
    }

    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// When the effect could not be written as HTTP, or would never end.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problem = if let Effect::Status { status, .. } | Effect::Html { status } = &self.effect
            && !(200..=599).contains(status)
        {
            "status is not between 200 and 599"
        } else if let Effect::Redirect { status, .. } = &self.effect
            && !(300..=399).contains(status)
        {
            "status of a redirect is not between 300 and 399"
        } else if let Effect::Throttle { permits: 0, .. } = self.effect {
            "permits is 0; use kind = \"status\" with status = 429 to refuse everything"
        } else if let Effect::Throttle { per: Duration::ZERO, .. } = self.effect {
            "per is 0"
        } else {
            return Ok(());
        };
        Err(ConfigError::Fault {
            fault: self.name.clone().unwrap_or_else(|| self.effect.word().to_owned()),
            problem,
        })
    }

    pub(super) fn matches(&self, method: &str, operation: &Operation) -> bool {
        let (principal, job) = operation.address();
        let same =
            |wanted: &Option<String>, given: Option<&str>, equal: fn(&str, &str) -> bool| match (
                wanted, given,
            ) {
                (None, _) => true,
                (Some(wanted), Some(given)) => equal(wanted, given),
                (Some(_), None) => false,
            };
        self.operation.is_none_or(|kind| kind == operation.kind())
            && same(&self.method, Some(method), str::eq_ignore_ascii_case)
            && same(&self.service_principal, principal, str::eq_ignore_ascii_case)
            && same(&self.job, job, |a, b| a == b)
    }
}

/// What goes wrong. Unless it says otherwise, the request takes its effect and only the answer suffers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// Another status, with an error in Graph's shape or a body of one's own.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: RetryAfter,
        /// Graph's error code; left out, the usual one of this status.
        #[serde(default)]
        code: Option<String>,
        /// Graph's error message; left out, the usual one of this status.
        #[serde(default)]
        message: Option<String>,
        /// The whole body, in place of Graph's error object.
        #[serde(default)]
        body: Option<String>,
        /// Whether the request takes its effect all the same (a 504 whose start worked).
        #[serde(default)]
        applied: bool,
    },
    /// The connection ends without an answer.
    Lost {
        /// Before or after the request took its effect.
        when: LostWhen,
        /// How the connection ends.
        #[serde(default)]
        by: CutBy,
    },
    /// The body comes one byte at a time.
    Trickle {
        /// Time between two bytes.
        #[serde(with = "duration")]
        interval: Duration,
    },
    /// The body ends half-way, against its Content-Length.
    Truncated,
    /// The body is whole and is not JSON.
    Malformed,
    /// A page of HTML, as a proxy in between would send.
    Html {
        /// Its status.
        #[serde(default = "ok")]
        status: u16,
    },
    /// A body that goes on and on.
    Huge {
        /// Its size.
        bytes: u64,
    },
    /// `status` of a job is null.
    NullStatus,
    /// `status` of a job is left out.
    MissingStatus,
    /// The answer's JSON, or each item of a list, with `merge` laid over it.
    Rewrite {
        /// Laid over.
        merge: Value,
    },
    /// Sends the caller elsewhere; the request has no effect.
    Redirect {
        /// The status.
        #[serde(default = "temporary_redirect")]
        status: u16,
        /// The `Location` header.
        location: String,
    },
    /// A list's `@odata.nextLink` points here.
    NextLink {
        /// The URL.
        url: String,
    },
    /// A token bucket: requests beyond it get 429 and have no effect.
    Throttle {
        /// The bucket's size, and what flows in during `per`.
        permits: u32,
        /// The time in which the bucket fills.
        #[serde(with = "duration")]
        per: Duration,
        /// The `Retry-After` header; left out, the seconds until the next permit.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
}

impl Effect {
    /// An error status without `Retry-After`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: RetryAfter::Absent,
            code: None,
            message: None,
            body: None,
            applied: false,
        }
    }

    /// An error status with `Retry-After` in seconds.
    #[must_use]
    pub const fn status_retry_after(status: u16, seconds: u64) -> Self {
        Self::Status {
            status,
            retry_after: RetryAfter::Seconds(seconds),
            code: None,
            message: None,
            body: None,
            applied: false,
        }
    }

    /// An answer lost before the request took its effect.
    #[must_use]
    pub const fn lost_before() -> Self {
        Self::Lost { when: LostWhen::Before, by: CutBy::Close }
    }

    /// An answer lost after the request took its effect.
    #[must_use]
    pub const fn lost_after() -> Self {
        Self::Lost { when: LostWhen::After, by: CutBy::Close }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::None => "delay",
            Self::Status { .. } => "status",
            Self::Lost { .. } => "lost",
            Self::Trickle { .. } => "trickle",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Html { .. } => "html",
            Self::Huge { .. } => "huge",
            Self::NullStatus => "null_status",
            Self::MissingStatus => "missing_status",
            Self::Rewrite { .. } => "rewrite",
            Self::Redirect { .. } => "redirect",
            Self::NextLink { .. } => "next_link",
            Self::Throttle { .. } => "throttle",
        }
    }
}

const fn ok() -> u16 {
    200
}

const fn temporary_redirect() -> u16 {
    307
}

/// When an answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostWhen {
    /// The request had no effect.
    Before,
    /// The request took its effect, and the caller cannot know.
    After,
}

/// A `Retry-After` header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// None.
    #[default]
    Absent,
    /// So many seconds.
    Seconds(u64),
    /// The HTTP-date that lies so many seconds ahead.
    DateIn(u64),
    /// This text, whatever it is.
    Raw(String),
}

#[cfg(test)]
mod tests;
