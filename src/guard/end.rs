//! How an attempt ends, before it is put into an answer.

use std::{borrow::Cow, error::Error, time::Duration};

use crate::{
    decide::{Decision, Deferral, Denial},
    model::{OutcomeKind, Reason, StatusCode, printable},
    ports::{GraphError, StoreError},
};

/// How an attempt ended, and what to tell about it.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) outcome: OutcomeKind,
    pub(super) reason: Option<Reason>,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
    pub(super) consent: Option<Vec<String>>,
    pub(super) retry_after: Option<Duration>,
}

impl End {
    pub(super) fn new(outcome: OutcomeKind, message: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: None,
            message: message.into(),
            remedy: None,
            consent: None,
            retry_after: None,
        }
    }

    pub(super) fn failed(reason: Reason, message: impl Into<String>, remedy: &str) -> Self {
        Self {
            reason: Some(reason),
            remedy: Some(remedy.to_owned()),
            ..Self::new(OutcomeKind::Failed, message)
        }
    }

    /// This process asks faster than its pace allows.
    pub(super) fn rate_limited(wait: Duration) -> Self {
        Self {
            reason: Some(Reason::RateLimited),
            retry_after: Some(wait),
            ..Self::new(OutcomeKind::Deferred, "deferred: this process asks too often")
        }
    }

    /// The tenant's requests, this process's and others', are at their pace.
    pub(super) fn paced(wait: Duration) -> Self {
        Self {
            reason: Some(Reason::RateLimited),
            retry_after: Some(wait),
            ..Self::new(
                OutcomeKind::Deferred,
                "deferred: all who share the store are at the tenant's pace of requests",
            )
        }
    }

    /// The program was told to stop before a start went out.
    pub(super) fn interrupted() -> Self {
        Self::failed(
            Reason::Timeout,
            "interrupted before a start went out",
            "nothing was started; ask again",
        )
    }

    /// The ends of decisions other than a start.
    pub(super) fn of_decision(decision: Decision, state: &str) -> Option<Self> {
        match decision {
            Decision::Start(_) => None,
            Decision::Nothing => Some(Self::new(
                OutcomeKind::AlreadyRunning,
                format!("already running: the job reads {state}; no start was made"),
            )),
            Decision::Deny(denial) => Some(denial.into()),
            Decision::Defer(deferral) => Some(deferral.into()),
            Decision::ClockBehind(behind) => Some(Self::clock_behind(behind)),
            Decision::TooLate(why) => Some(Self::failed(
                Reason::Timeout,
                format!("out of time: {why}; nothing was sent"),
                "ask again; if it happens often, this host or Graph is too slow for `lease` and \
                 `status_max_age`",
            )),
        }
    }

    pub(super) fn clock_behind(behind: Duration) -> Self {
        let seconds = behind.as_secs().saturating_add(1);
        let by = humantime::format_duration(Duration::from_secs(seconds));
        Self::failed(
            Reason::StoreUnavailable,
            format!("the clock stands {by} before the newest journal entry: it ran backwards"),
            "set the clock right (`startguard doctor` compares it with Graph's); starts stay off \
             until it has passed that entry; if it is right now, and was wrong then, \
             `startguard reset JOB --reason TEXT` says so",
        )
    }
}

impl From<Denial> for End {
    fn from(denial: Denial) -> Self {
        Self {
            reason: Some(denial.reason),
            remedy: Some(denial.remedy),
            consent: (!denial.consent.is_empty()).then_some(denial.consent),
            ..Self::new(OutcomeKind::Denied, format!("denied: {}", denial.message))
        }
    }
}

impl From<Deferral> for End {
    fn from(deferral: Deferral) -> Self {
        Self {
            reason: Some(deferral.reason),
            remedy: deferral.remedy,
            retry_after: deferral.retry_after,
            ..Self::new(OutcomeKind::Deferred, format!("deferred: {}", deferral.message))
        }
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::failed(Reason::StoreUnavailable, chain(&error), &error.remedy)
    }
}

impl From<GraphError> for End {
    fn from(error: GraphError) -> Self {
        let message = chain(&error);
        match error {
            GraphError::NoToken(identity) => {
                Self::failed(Reason::Authentication, message, &identity.remedy)
            }
            GraphError::Unauthorized(_) => {
                Self::failed(Reason::Authentication, message, PERMISSIONS)
            }
            GraphError::Forbidden(_) => Self::failed(Reason::Forbidden, message, PERMISSIONS),
            GraphError::NotFound(_) => Self::failed(
                Reason::NotFound,
                message,
                "check the ids with `startguard list SERVICE_PRINCIPAL`; a job made a moment ago \
                 may take a while to appear",
            ),
            GraphError::Throttled { retry_after, .. } => Self {
                reason: Some(Reason::Throttled),
                retry_after: Some(retry_after.unwrap_or(THROTTLED_WITHOUT_A_WORD)),
                ..Self::new(OutcomeKind::Deferred, format!("deferred: {message}"))
            },
            GraphError::Unavailable { problem } => Self::failed(
                Reason::GraphUnavailable,
                message,
                if problem.contains("certificate") {
                    "name the certificate of the authority that vouches for it in `[graph] ca_file`"
                } else {
                    "`startguard doctor` shows how far a request gets; ask again later"
                },
            ),
            GraphError::Timeout { .. } => Self::failed(
                Reason::Timeout,
                message,
                "ask again later; `[graph] request_timeout` sets how long an answer may take",
            ),
            GraphError::BadResponse { .. } => Self::failed(
                Reason::BadResponse,
                message,
                "check `[graph] endpoint` and the proxies on the way: this is not how Microsoft \
                 Graph answers",
            ),
        }
    }
}

/// How long to wait when Graph said 429 and not for how long: its own published limits are counted
/// over ten seconds, and a minute is what its guidance falls back to.
pub(super) const THROTTLED_WITHOUT_A_WORD: Duration = Duration::from_secs(60);

/// What a 401 or 403 usually lacks. Graph often answers 401 with an empty `UnknownError` for a missing
/// permission, so both say the same.
const PERMISSIONS: &str = "the caller needs Application.ReadWrite.OwnedBy (for apps it owns) or \
    Synchronization.ReadWrite.All, with admin consent; a signed-in user also needs to own the app \
    or hold Application Administrator or Cloud Application Administrator";

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

/// A text for people with nothing in it that could move a cursor or turn the line around: operators'
/// reasons and the service's words go into messages as they came.
pub(super) fn one_line(text: String) -> String {
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(line) => line,
    }
}

/// The state in words, for "already running".
pub(super) fn state_in_words(code: &StatusCode) -> String {
    match code {
        StatusCode::NotRun => "NotRun with its schedule Active (first cycle under way)".to_owned(),
        StatusCode::NotConfigured
        | StatusCode::Active
        | StatusCode::Paused
        | StatusCode::Quarantine
        | StatusCode::Other(_) => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Reply, ports::IdentityError};

    fn reply(status: u16) -> Reply {
        Reply { status, code: None, message: None, request_id: None }
    }

    #[test]
    fn every_failure_of_a_read_has_its_reason_and_its_remedy() {
        let problem = || "it broke".to_owned();
        let no_token = IdentityError {
            credential: "a secret".to_owned(),
            problem: problem(),
            remedy: "renew the secret".to_owned(),
            transient: false,
        };
        let certificate = "invalid peer certificate: UnknownIssuer".to_owned();
        let table = [
            (GraphError::NoToken(no_token), Reason::Authentication, "renew the secret"),
            (GraphError::Unauthorized(reply(401)), Reason::Authentication, "admin consent"),
            (GraphError::Forbidden(reply(403)), Reason::Forbidden, "admin consent"),
            (GraphError::NotFound(reply(404)), Reason::NotFound, "startguard list"),
            (
                GraphError::Unavailable { problem: problem() },
                Reason::GraphUnavailable,
                "startguard doctor",
            ),
            (GraphError::Unavailable { problem: certificate }, Reason::GraphUnavailable, "ca_file"),
            (GraphError::Timeout { problem: problem() }, Reason::Timeout, "request_timeout"),
            (GraphError::BadResponse { problem: problem() }, Reason::BadResponse, "endpoint"),
        ];
        for (error, reason, remedy) in table {
            let message = chain(&error);
            let end = End::from(error);
            assert_eq!((end.outcome, end.reason), (OutcomeKind::Failed, Some(reason)), "{message}");
            assert_eq!(end.message, message);
            let told = end.remedy.unwrap_or_default();
            assert!(told.contains(remedy), "{message}: {told}");
        }
    }

    #[test]
    fn told_to_wait_without_a_time_is_a_minute() {
        for (retry_after, expected) in [(Some(5), 5), (None, 60)] {
            let retry_after = retry_after.map(Duration::from_secs);
            let end = End::from(GraphError::Throttled { reply: reply(429), retry_after });
            let told = (OutcomeKind::Deferred, Some(Reason::Throttled));
            assert_eq!((end.outcome, end.reason), told);
            assert_eq!(end.retry_after, Some(Duration::from_secs(expected)));
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let cause = std::io::Error::other("permission denied");
        let error = StoreError {
            store: "sqlite:ledger.db".to_owned(),
            problem: "cannot be opened".to_owned(),
            remedy: "make it readable".to_owned(),
            source: Some(Box::new(cause)),
        };
        let alone = error.to_string();
        let end = End::from(error);
        assert_eq!(end.message, format!("{alone}: permission denied"));
        assert_eq!(end.remedy.as_deref(), Some("make it readable"));
    }

    #[test]
    fn a_message_is_one_plain_line() {
        let hostile = "held: \u{1b}[2J\r\nfine\u{202e}txt \u{e9}";
        assert_eq!(one_line(hostile.to_owned()), "held: \\u{1b}[2J\\r\\nfine\\u{202e}txt \u{e9}");
        assert_eq!(one_line("denied: fine".to_owned()), "denied: fine");
        for turns in [
            "\u{61c}", "\u{200e}", "\u{200f}", "\u{2028}", "\u{202e}", "\u{2066}", "\u{2069}",
            "\u{feff}",
        ] {
            let line = one_line(format!("a{turns}b"));
            assert_eq!(line, format!("a{}b", turns.escape_default()));
        }
    }
}
