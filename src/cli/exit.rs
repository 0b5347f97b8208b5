//! Exit codes. They are part of the contract: scripts branch on them.

use crate::model::{Answer, OutcomeKind, Reason};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exit(pub u8);

impl Exit {
    /// Done, or there was nothing to do.
    pub const OK: Self = Self(0);
    /// Something failed; nothing was started.
    pub const FAILED: Self = Self(1);
    /// Wrong usage or configuration, found before anything was changed.
    pub const USAGE: Self = Self(2);
    /// The job's state forbids a start.
    pub const DENIED: Self = Self(3);
    /// Not now.
    pub const DEFERRED: Self = Self(4);
    /// The credential or a permission is missing.
    pub const REFUSED: Self = Self(5);
    /// A start went out, and nobody knows whether it worked.
    pub const IN_DOUBT: Self = Self(6);
    /// `--wait` ran out.
    pub const WAIT_RAN_OUT: Self = Self(7);
    /// SIGINT.
    pub const INTERRUPTED: Self = Self(130);
    /// SIGTERM.
    pub const TERMINATED: Self = Self(143);

    /// The code of an outcome.
    #[must_use]
    pub fn of_outcome(outcome: OutcomeKind, reason: Option<Reason>) -> Self {
        match outcome {
            OutcomeKind::Started | OutcomeKind::AlreadyRunning | OutcomeKind::WouldStart => {
                Self::OK
            }
            OutcomeKind::Denied => Self::DENIED,
            OutcomeKind::Deferred => Self::DEFERRED,
            OutcomeKind::Failed => match reason {
                Some(Reason::Authentication | Reason::Forbidden) => Self::REFUSED,
                Some(_) | None => Self::FAILED,
            },
            OutcomeKind::InDoubt => Self::IN_DOUBT,
        }
    }

    /// The code of an answer.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        if answer.wait_ran_out {
            return Self::WAIT_RAN_OUT;
        }
        Self::of_outcome(answer.outcome, answer.reason)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_codes_of_the_contract() {
        let code = |outcome, reason| Exit::of_outcome(outcome, reason).0;
        assert_eq!(code(OutcomeKind::Started, None), 0);
        assert_eq!(code(OutcomeKind::AlreadyRunning, None), 0);
        assert_eq!(code(OutcomeKind::WouldStart, None), 0);
        assert_eq!(code(OutcomeKind::Denied, Some(Reason::NotRun)), 3);
        assert_eq!(code(OutcomeKind::Deferred, Some(Reason::Cooldown)), 4);
        assert_eq!(code(OutcomeKind::Failed, Some(Reason::Authentication)), 5);
        assert_eq!(code(OutcomeKind::Failed, Some(Reason::Forbidden)), 5);
        assert_eq!(code(OutcomeKind::Failed, Some(Reason::StoreUnavailable)), 1);
        assert_eq!(code(OutcomeKind::InDoubt, None), 6);
    }
}
