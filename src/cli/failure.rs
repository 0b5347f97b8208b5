//! Why a command ended without its answer, as the edge prints it.

use std::{error::Error, fmt};

use super::{Exit, render::span};
use crate::guard::{OperateError, ReadError};

/// What failed and why, what to do about it, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// What failed, with its causes, in one line.
    pub(super) message: String,
    /// What to do next.
    pub(super) remedy: Option<String>,
}

impl Failure {
    /// Wrong usage: nothing was asked and nothing was changed.
    pub(super) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::USAGE, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// Something failed.
    pub(super) fn failed(error: &dyn Error, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::FAILED, message: chain(error), remedy: Some(remedy.into()) }
    }

    /// Standard output would not take the answer. A reader that left early is no failure.
    pub(super) fn output(error: &std::io::Error) -> Option<Self> {
        (error.kind() != std::io::ErrorKind::BrokenPipe).then(|| Self {
            exit: Exit::FAILED,
            message: format!("standard output could not be written: {error}"),
            remedy: Some("`startguard history` shows what was done".to_owned()),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<OperateError> for Failure {
    fn from(error: OperateError) -> Self {
        Self {
            exit: Exit::FAILED,
            message: format!("{error}: {}", error.chain()),
            remedy: Some(error.remedy().to_owned()),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let again = |wait| format!("ask again in {}", span(wait));
        Self {
            exit: Exit::of_outcome(error.outcome, error.reason),
            message: error.message,
            remedy: error.remedy.or_else(|| error.retry_after.map(again)),
        }
    }
}

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
