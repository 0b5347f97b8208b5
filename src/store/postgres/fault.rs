//! The server's and the network's errors in words, each with its remedy, and what they say about
//! work that was under way.

use std::{error::Error as _, fmt, io};

use tokio_postgres::{
    Error,
    error::{DbError, Severity, SqlState},
};

use crate::store::fault::{Fault, RESTORE};

/// Why a piece of work has no result, by what may be done next.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The tables are not there. Nothing was done.
    Unmade(Fault),
    /// The server undid the work, and the same may go well at once.
    Undone(Fault),
    /// The connection is gone. Whether the last thing sent was done is not known.
    Lost(Fault),
    /// The role may not do that. Nothing was done.
    Forbidden(Said),
    /// The server said no. Nothing was done.
    Refused(Fault),
}

impl Trouble {
    /// The failure as such.
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Unmade(fault)
            | Self::Undone(fault)
            | Self::Lost(fault)
            | Self::Refused(fault) => fault,
            Self::Forbidden(said) => {
                Fault::new("does not let this role do that", GRANT).because(said)
            }
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let fault = explain(&error);
        let Some(said) = error.as_db_error() else {
            let content = is_about_content(&error);
            return if content { Self::Refused(fault) } else { Self::Lost(fault) };
        };
        // A fatal error ends the session. Poolers say ERROR when they lost the server: class 08.
        let ended = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        let code = said.code();
        if ended || code.code().starts_with("08") || code.code().starts_with("57P") {
            Self::Lost(fault)
        } else if *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
        {
            Self::Undone(fault)
        } else if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME {
            Self::Unmade(fault)
        } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            Self::Forbidden(Said::of_server(said))
        } else {
            Self::Refused(fault)
        }
    }
}

/// Whether a server that gives this answer to a login may well give another in a moment.
pub(super) fn is_passing(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::TOO_MANY_CONNECTIONS
    })
}

/// An error in words.
pub(super) fn explain(error: &Error) -> Fault {
    match error.as_db_error() {
        Some(said) => {
            let (problem, remedy) = of_server(said);
            Fault::new(problem, remedy).because(Said::of_server(said))
        }
        None => of_connection(error).because(Said::of_connection(error)),
    }
}

const GRANT: &str = "grant it what docs/stores.md lists, or log in as the role that has it";

/// What the server said.
fn of_server(said: &DbError) -> (&'static str, &'static str) {
    let code = said.code();
    let table: &[(&SqlState, &str, &str)] = &[
        (
            &SqlState::INVALID_PASSWORD,
            "refused the login",
            "check the user in the URL and the password (PGPASSWORD, or the password file)",
        ),
        (
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "refused the login",
            "check the user in the URL, and the server's pg_hba.conf for this host",
        ),
        (
            &SqlState::UNDEFINED_DATABASE,
            "has no such database",
            "create it, or name another in the URL",
        ),
        (&SqlState::INSUFFICIENT_PRIVILEGE, "does not let this role do that", GRANT),
        (
            &SqlState::TOO_MANY_CONNECTIONS,
            "has no connection to spare",
            "raise the server's max_connections, or put a pooler in front of it",
        ),
        (&SqlState::CANNOT_CONNECT_NOW, "is starting up or shutting down", "ask again"),
        (&SqlState::ADMIN_SHUTDOWN, "was shut down, or ended the session", "ask again"),
        (&SqlState::CRASH_SHUTDOWN, "crashed and is starting again", "ask again"),
        (
            &SqlState::READ_ONLY_SQL_TRANSACTION,
            "takes no writes: it is a standby, or was made read-only",
            "name the primary in the URL (several hosts may be named: the one that takes writes is \
             used), or make it take writes again",
        ),
        (
            &SqlState::LOCK_NOT_AVAILABLE,
            "kept a row locked for another session",
            "see which one holds it (`select * from pg_locks where not granted`); sessions of \
             startguard let go within seconds",
        ),
        (
            &SqlState::QUERY_CANCELED,
            "could not do it in time, or was told to stop",
            "see what keeps it busy (pg_stat_activity)",
        ),
        (
            &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            "ended the session: this process stood still in the midst of a commit",
            "ask again",
        ),
        (&SqlState::DISK_FULL, "could not be written: its disk is full", "make room on its disk"),
        (&SqlState::OUT_OF_MEMORY, "ran out of memory", "give the server more memory"),
        (
            &SqlState::T_R_DEADLOCK_DETECTED,
            "was asked for two things that wait for each other",
            "see which other program locks startguard's tables",
        ),
        (
            &SqlState::T_R_SERIALIZATION_FAILURE,
            "could not put the change in order with others",
            "ask again",
        ),
        (&SqlState::UNDEFINED_TABLE, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::INVALID_SCHEMA_NAME, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::UNDEFINED_COLUMN, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::UNDEFINED_FUNCTION, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::DATATYPE_MISMATCH, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::WRONG_OBJECT_TYPE, "does not hold the tables of a ledger", RESTORE),
        (&SqlState::DATA_CORRUPTED, "is damaged", RESTORE),
        (&SqlState::INDEX_CORRUPTED, "has a damaged index", "`reindex` startguard's tables"),
        (
            &SqlState::IO_ERROR,
            "cannot read or write its own files",
            "see whether its disk is full or failing (the server's log tells)",
        ),
        (
            &SqlState::UNDEFINED_FILE,
            "misses files of its own",
            "see whether its disk is mounted (the server's log tells)",
        ),
    ];
    match table.iter().find(|(known, _, _)| *known == code) {
        Some((_, problem, remedy)) => (problem, remedy),
        None if code.code().starts_with("08") => {
            ("lost the connection", "see whether the server, or the pooler before it, runs")
        }
        None if code.code().starts_with("53") => {
            ("is out of something", "see the server's log, and give it more")
        }
        None => ("did not do what it was asked", "see what it said, and the server's log"),
    }
}

/// What became of the connection.
fn of_connection(error: &Error) -> Fault {
    if is_about_content(error) {
        return Fault::damaged("is damaged: a column holds what it never should");
    }
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    let tls = causes(error).any(|cause| cause.is::<rustls::Error>())
        || io.and_then(|io| io.get_ref()).is_some_and(|inner| inner.is::<rustls::Error>());
    if tls {
        return Fault::new(
            "could not prove who it is",
            "name the authority that signed its certificate in `sslrootcert`, and the host by the \
             name in the certificate (docs/stores.md, TLS)",
        );
    }
    if said_no_to_tls(error) {
        return Fault::new(
            "offers no TLS",
            "turn it on in the server (`ssl = on`), or say `sslmode=disable` in the URL if plain \
             text is meant",
        );
    }
    match io.map(io::Error::kind) {
        // tokio_postgres says it this way when a server is not what target_session_attrs asks for;
        // a socket that this user may not touch says it, too.
        Some(io::ErrorKind::PermissionDenied) => Fault::new(
            "takes no writes, or may not be connected to",
            "name the primary in the URL (is it a standby?), and let this user reach the socket",
        ),
        Some(io::ErrorKind::ConnectionRefused) => Fault::new(
            "could not be reached: nobody listens there",
            "start the server, or check host and port in the URL",
        ),
        Some(io::ErrorKind::NotFound) => Fault::new(
            "could not be reached: there is no such socket",
            "start the server, or check the socket's folder in the URL",
        ),
        Some(io::ErrorKind::TimedOut) => Fault::new(
            "could not be reached in time",
            "check host and port in the URL, and the firewalls on the way",
        ),
        Some(_) if is_connect(error) => Fault::new(
            "could not be reached",
            "check the host in the URL and this machine's name service and network",
        ),
        Some(_) | None => Fault::new(
            "lost the connection",
            "see whether the server runs, and what is on the way; the next call connects again",
        ),
    }
}

// tokio_postgres names its own errors only in their words. Our tests against real servers hold them.
fn said_no_to_tls(error: &Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "server does not support TLS")
}

/// The answer came, and is not what these tables give.
fn is_about_content(error: &Error) -> bool {
    let words = error.to_string();
    ["error deserializing column", "invalid column", "query returned an unexpected number"]
        .iter()
        .any(|beginning| words.starts_with(beginning))
}

fn is_connect(error: &Error) -> bool {
    error.to_string() == "error connecting to server"
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// What was said, in one line, for the end of the chain.
#[derive(Debug)]
pub(super) struct Said(String);

impl Said {
    fn of_server(said: &DbError) -> Self {
        // Not the detail: it may quote rows.
        Self(one_line(&format!("{} (SQLSTATE {})", said.message(), said.code().code())))
    }

    fn of_connection(error: &Error) -> Self {
        let mut said: Vec<String> = Vec::new();
        let own = error.to_string();
        for cause in std::iter::once(own).chain(causes(error).map(ToString::to_string)) {
            if said.iter().all(|known| !known.contains(&cause)) {
                said.push(cause);
            }
        }
        Self(one_line(&said.join(": ")))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "?")
}
