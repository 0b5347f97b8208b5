//! Why an endpoint could not be asked: what reqwest knows, without the URL.

use std::error::Error;

use super::{refusal::Refusal, text::one_line};

/// An exchange that did not come about.
#[derive(Debug)]
pub(super) struct Fault {
    problem: String,
    /// Nobody was met at the address: refused, unreachable, no such name, or silence.
    pub(super) never_met: bool,
    /// Somebody was met whose certificate this machine does not trust.
    untrusted: bool,
}

impl Fault {
    pub(super) fn of(from: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let cause = root(&error);
        let untrusted = cause.contains("certificate");
        let never_met = error.is_connect() && !untrusted;
        let problem = if error.is_timeout() {
            format!("{from} did not answer in time")
        } else if untrusted {
            format!("the certificate of {from} is not trusted: {cause}")
        } else if error.is_connect() {
            format!("{from} could not be reached: {cause}")
        } else {
            format!("the exchange with {from} broke off: {cause}")
        };
        Self { problem, never_met, untrusted }
    }

    /// As a refusal, with the remedy for an endpoint that is away.
    pub(super) fn refusal(&self, remedy: &'static str) -> Refusal {
        if self.untrusted {
            Refusal::lasting(
                self.problem.clone(),
                "name the CA that signed it (the inspecting proxy's, perhaps) in `[graph] ca_file`",
            )
        } else {
            Refusal::transient(self.problem.clone(), remedy)
        }
    }
}

/// The last cause of the chain: what was really met.
fn root(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    one_line(&last.to_string())
}
