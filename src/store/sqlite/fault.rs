//! SQLite's errors in words, each with its remedy.

use rusqlite::{Error, ErrorCode, types::FromSqlError};

use crate::store::fault::{Fault, RESTORE};

/// What an error of SQLite's means for the ledger.
fn explain(error: Error) -> Fault {
    let (problem, remedy) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => ("is not a ledger, or its first page is damaged", RESTORE),
        Some(ErrorCode::DatabaseCorrupt) => ("is damaged", RESTORE),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            "stayed locked by another program",
            "see which process holds it (`fuser -v` with the file's name) and let it finish",
        ),
        Some(ErrorCode::FileLockingProtocolFailed) => (
            "could not be locked",
            "keep it on a local disk: network file systems do not lock well enough",
        ),
        Some(ErrorCode::DiskFull) => {
            ("could not be written: the disk is full", "make room on its disk")
        }
        Some(ErrorCode::ReadOnly) => (
            "could not be written: it is read-only",
            "let this user write the file and its folder, on a file system mounted for writing",
        ),
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            ("could not be opened: permission denied", "let this user read and write it")
        }
        Some(ErrorCode::CannotOpen) => (
            "could not be opened",
            "let this user read and write the file and its folder, or name another file",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            "could not be read or written",
            "see whether the disk is full, over quota or failing (the kernel's log tells)",
        ),
        Some(ErrorCode::OutOfMemory) => ("ran out of memory", "give the process more memory"),
        Some(ErrorCode::ConstraintViolation) => {
            ("is damaged: its tables contradict each other", RESTORE)
        }
        Some(_) => ("does not hold the tables of a ledger", RESTORE),
        // Not SQLite's: a column of another type than was ever written.
        None => ("is damaged: a column holds what it never should", RESTORE),
    };
    // As text: its source says the same once more, with a number.
    Fault::new(problem, remedy).because(error.to_string())
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        explain(error)
    }
}

impl From<FromSqlError> for Fault {
    fn from(error: FromSqlError) -> Self {
        explain(error.into())
    }
}
