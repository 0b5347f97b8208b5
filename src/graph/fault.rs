//! Transport faults, in words and by kind.

use std::{error::Error, time::Duration};

use super::text::clean;

/// What went wrong on the way to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Name look-up, connecting or TLS failed: not a byte of the request left.
    NotSent(String),
    /// The same, because the other side's certificate is not trusted: that does not pass by itself.
    Untrusted(String),
    /// The request's deadline passed.
    Late(String),
    /// The connection ended or made no sense.
    Broken(String),
}

impl Fault {
    /// Reads an error of a request that was given `time`.
    pub(super) fn of(error: reqwest::Error, time: Duration) -> Self {
        // The URL's query may hold names; the host is known to whoever reads this.
        let error = error.without_url();
        let cause = clean(&root(&error).to_string());
        if error.is_connect() && cause.contains("peer certificate") {
            return Self::Untrusted(format!("its certificate is not trusted ({cause})"));
        }
        if error.is_connect() {
            return Self::NotSent(if error.is_dns() {
                format!("the name of the host could not be looked up ({cause})")
            } else if error.is_timeout() {
                "connecting took too long".to_owned()
            } else {
                format!("connecting failed ({cause})")
            });
        }
        if error.is_builder() {
            return Self::NotSent(format!("the request could not be made ({cause})"));
        }
        if error.is_timeout() {
            return Self::Late(format!("no whole answer within {}", in_words(time)));
        }
        Self::Broken(format!("the connection failed before the whole answer was there ({cause})"))
    }
}

/// The innermost cause: what the system or the TLS library said, without the layers in between.
fn root(error: &reqwest::Error) -> &dyn Error {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

/// A duration as people say it, to the millisecond.
pub(super) fn in_words(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}
