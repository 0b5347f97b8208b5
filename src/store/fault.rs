//! What went wrong in a store, before it is said which store it was.

use std::error::Error;

use crate::ports::StoreError;

/// What to do about a store whose content cannot be trusted.
pub(super) const RESTORE: &str = "restore it from a backup, or move it away to begin a new one \
                                  (which forgets every start made so far); starts stay off until \
                                  then";

/// What to do about a program older than its store.
pub(super) const UPGRADE: &str =
    "use a startguard at least as new as the one that wrote it; starts stay off until then";

/// A failure inside an adapter.
#[derive(Debug)]
pub(super) struct Fault {
    problem: String,
    remedy: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A failure: `problem` continues the sentence "the store X …".
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into(), source: None }
    }

    /// Content that cannot be what this program wrote.
    pub(super) fn damaged(problem: impl Into<String>) -> Self {
        Self::new(problem, RESTORE)
    }

    /// The same, with the error behind it.
    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The failure as callers see it.
    pub(super) fn at(self, store: &str) -> StoreError {
        StoreError {
            store: store.to_owned(),
            problem: self.problem,
            remedy: self.remedy,
            source: self.source,
        }
    }
}
