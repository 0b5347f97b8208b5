//! Why a credential gave no token: what went wrong, what to do, and whether waiting may help.

use std::{borrow::Cow, error::Error, io};

use crate::ports::IdentityError;

/// Why one credential gave no token.
///
/// It travels through `azure_identity` as the source of that crate's error. Cloned, because callers
/// who share a fetch share its failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Refusal {
    /// What went wrong, in one clean line without secrets.
    pub(super) problem: String,
    /// What to do about it.
    pub(super) remedy: Cow<'static, str>,
    /// Whether asking again later may help.
    pub(super) transient: bool,
    /// Whether the credential is not there at all, so that `auto` may ask the next one.
    pub(super) absent: bool,
}

impl Refusal {
    /// Something that a person has to mend.
    pub(super) fn lasting(
        problem: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { problem: problem.into(), remedy: remedy.into(), transient: false, absent: false }
    }

    /// Something that may pass by itself.
    pub(super) fn transient(
        problem: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { transient: true, ..Self::lasting(problem, remedy) }
    }

    /// The same, from a credential that turned out not to be there.
    pub(super) fn absent(self) -> Self {
        Self { absent: true, ..self }
    }

    /// The refusal that an error of `azure_identity` carries, if one of ours is at its root.
    ///
    /// An `io::Error` hides what it was made of from `source`, so it is asked by name.
    pub(super) fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            if let Some(refusal) = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
                .and_then(|inner| inner.downcast_ref())
            {
                return Some(refusal);
            }
            next = error.source();
        }
        None
    }
}

/// A refusal and who gave it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The credential, in words.
    pub(super) credential: String,
    /// What it said.
    pub(super) refusal: Refusal,
}

impl Failure {
    pub(super) fn new(credential: impl Into<String>, refusal: Refusal) -> Self {
        Self { credential: credential.into(), refusal }
    }
}

impl From<Failure> for IdentityError {
    fn from(failure: Failure) -> Self {
        let Refusal { problem, remedy, transient, absent: _ } = failure.refusal;
        Self { credential: failure.credential, problem, remedy: remedy.into_owned(), transient }
    }
}

#[cfg(test)]
mod tests {
    use azure_core::error::ErrorKind;

    use super::*;

    #[test]
    fn a_refusal_is_found_at_the_root_of_a_chain() {
        let refusal = Refusal::transient("away", "wait").absent();
        let root = azure_core::Error::new(ErrorKind::Other, refusal.clone());
        let wrapped = azure_core::Error::with_error(ErrorKind::Credential, root, "outer");
        assert_eq!(Refusal::inside(&wrapped), Some(&refusal));
        let io = io::Error::other(refusal.clone());
        let wrapped = azure_core::Error::with_error(ErrorKind::Credential, io, "outer");
        assert_eq!(Refusal::inside(&wrapped), Some(&refusal));
        assert_eq!(Refusal::inside(&io::Error::other("else")), None);
    }
}
