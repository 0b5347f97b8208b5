//! Making a ledger, and opening one.

use std::{path::Path, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, config::DbConfig};

use super::{file, names::DRAFT, schema, turn::Turnstile};
use crate::store::fault::Fault;

/// After so many pages the log is copied into the ledger (checkpoint). A commit adds about eight.
/// A log that a killed process left is read through by whoever opens the ledger next; 256 pages
/// (1 MiB) take under a millisecond.
const CHECKPOINT_PAGES: u32 = 256;

/// How often, and how far apart, the switch to WAL is tried on a file that others are reading:
/// SQLite answers "locked" here at once, whatever its busy timeout. Readers of a ledger are gone in
/// milliseconds; after two seconds it is something else.
const WAL_TRIES: u32 = 100;
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// Makes a new ledger at `path`, whole or not at all: it is built under another name and brought to
/// the disk before it gets its own. A crash on the way leaves no more than a file `.startguard-*`.
pub(super) fn create(path: &Path) -> Result<(), Fault> {
    let cannot = |error| file::cannot("could not be created", path, error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Readable by its owner alone from the first moment; SQLite gives its log the same mode.
    // The handle is closed before SQLite opens the file, see `file`.
    let draft = tempfile::Builder::new()
        .prefix(DRAFT.0)
        .suffix(DRAFT.1)
        .tempfile_in(folder)
        .map_err(cannot)?
        .into_temp_path();
    {
        let mut connection = Connection::open_with_flags(&draft, flags())?;
        // The draft is brought to the disk once, below, when it is whole.
        connection.pragma_update(None, "synchronous", "OFF")?;
        schema::create(&mut connection)?;
        // Nobody else knows this file, so nobody is in the way of the switch.
        switch_to_wal(&connection)?;
        connection.close().map_err(|(_, error)| error)?;
    }
    std::fs::File::open(&draft).and_then(|draft| draft.sync_all()).map_err(cannot)?;
    // First the way, then the name at its end: who sees the ledger may rely on the way to it.
    file::sync_way(folder)?;
    draft.persist_noclobber(path).map_err(|error| cannot(error.error))?;
    file::sync_folder(folder)
}

/// Opens the ledger at `path`. Refuses what is not one, and brings one up to date that is older.
/// Waits for its turn to do so: never call it in one's turn.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Connection, Fault> {
    let mut connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(patience)?;
    // Whatever else a hand may have put into the file is not run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    if connection.is_readonly(MAIN_DB)? {
        return Err(Fault::new(
            "cannot be written by this user",
            "let this user read and write the file and its folder, or name another file",
        ));
    }
    let current = schema::is_current(&connection)?;
    if !current || !is_wal(&connection)? {
        let turnstile = Turnstile::open(path).map_err(|error| file::cannot_lock(path, error))?;
        let _turn = turnstile.wait().map_err(|error| file::cannot_lock(path, error))?;
        schema::bring_up_to_date(&mut connection)?;
        switch_to_wal(&connection)?;
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // Elsewhere FULL says it all; on macOS the drive's own cache must be told as well.
    #[cfg(target_os = "macos")]
    connection.execute_batch("PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1;")?;
    Ok(connection)
}

/// Without CREATE: an open never makes a ledger. Without the mutex: one thread has the connection.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn is_wal(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// Switches to WAL: only a new ledger, or a copy made with SQLite's backup tools, is without it.
#[expect(
    clippy::disallowed_methods,
    reason = "the ledger's own thread, which only ever blocks; SQLite has no wait for this lock"
)]
fn switch_to_wal(connection: &Connection) -> Result<(), Fault> {
    let mut tries = 0;
    while !is_wal(connection)? {
        let switched = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
        match switched.map_err(|error| (error.sqlite_error_code(), error)) {
            Ok(()) => {}
            Err((Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _))
                if tries < WAL_TRIES => {}
            Err((_, error)) => return Err(error.into()),
        }
        if tries == WAL_TRIES {
            return Err(Fault::new(
                "cannot be switched to WAL",
                "see which program holds it (`fuser -v` with the file's name), and keep it on a \
                 local disk",
            ));
        }
        tries += 1;
        if !is_wal(connection)? {
            thread::sleep(WAL_PAUSE);
        }
    }
    Ok(())
}
