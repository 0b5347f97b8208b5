//! Answers before they become bytes.

use std::time::Duration;

use serde_json::Value;

use super::connection::CutBy;

/// An answer: what it says, and what happens to it on the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload,
    pub(super) wire: Wire,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Payload {
    Empty,
    Json(Value),
    /// Graph's error object, which is completed with the ids of the request.
    Problem {
        code: String,
        message: String,
    },
    Text {
        content_type: &'static str,
        text: String,
    },
}

/// What happens to an answer on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Whole,
    Lost(CutBy),
    Truncated,
    Trickle(Duration),
    Huge(u64),
}

impl Reply {
    pub(super) const fn empty(status: u16) -> Self {
        Self::with(status, Payload::Empty)
    }

    pub(super) const fn json(status: u16, value: Value) -> Self {
        Self::with(status, Payload::Json(value))
    }

    pub(super) fn text(status: u16, content_type: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self::with(status, Payload::Text { content_type, text })
    }

    pub(super) fn problem(
        status: u16,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Self::with(status, Payload::Problem { code, message })
    }

    /// The error that this status usually comes with.
    pub(super) fn usual_problem(status: u16) -> Self {
        let (code, message) = usual_error(status);
        Self::problem(status, code, message)
    }

    /// No answer at all.
    pub(super) const fn lost(by: CutBy) -> Self {
        let mut reply = Self::empty(500);
        reply.wire = Wire::Lost(by);
        reply
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    const fn with(status: u16, payload: Payload) -> Self {
        Self { status, headers: Vec::new(), payload, wire: Wire::Whole }
    }
}

/// Code and message that Graph usually writes with a status.
pub(super) const fn usual_error(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
        403 => {
            ("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        }
        404 => (
            "Request_ResourceNotFound",
            "The resource does not exist or one of its queried reference-property objects are not present.",
        ),
        405 => {
            ("Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        }
        409 => ("Conflict", "Another operation on this resource is in progress."),
        429 => ("TooManyRequests", "Too many requests. Try again later."),
        500 => (
            "InternalServerError",
            "An internal server error occurred while processing the request.",
        ),
        502 => ("BadGateway", "Failed to execute backend request."),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable. Try again later."),
        504 => ("GatewayTimeout", "The backend did not answer in time."),
        _ => ("UnknownError", ""),
    }
}
