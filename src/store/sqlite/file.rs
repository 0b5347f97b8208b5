//! The ledger as a file: is it there, is it what it should be, who may read it.
//!
//! **Never open the ledger file here.** Closing any handle of a file drops every POSIX lock that the
//! process holds on it, those of SQLite's open connections included; another process could then take
//! the log away from under them. A look at the name is enough.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

use super::{names, turn::beside};
use crate::store::fault::Fault;

/// Which file a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(feature = "testing")]
impl Identity {
    /// That of a ledger in memory, which no name leads to.
    pub(super) fn of_nothing() -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// Whether there is a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is a file that may be one.
    There(Identity),
    /// There is nothing, and nothing says that there ever was.
    Missing,
}

/// Looks what is at `path`.
pub(super) fn look(path: &Path) -> Result<Presence, Fault> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Fault::new("is a folder", "name a file in it, such as `ledger.db`"))
        }
        Ok(found) if !found.is_file() => {
            Err(Fault::new("is not a regular file", "name another path"))
        }
        // A ledger gets its name only once it is whole, so no crash of ours leaves an empty one.
        Ok(found) if found.len() == 0 => Err(Fault::damaged("is empty, which no ledger ever is")),
        Ok(found) => {
            names::only_one(path, &found)?;
            Ok(Presence::There(Identity { device: found.dev(), inode: found.ino() }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(path),
        Err(error) => Err(cannot("could not be looked at", path, error)),
    }
}

/// Nothing is there. Did something go missing?
fn missing(path: &Path) -> Result<Presence, Fault> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            return Err(Fault::new(
                "is a link to a file that is not there",
                "bring its target back (is a disk not mounted?) or remove the link",
            ));
        }
        // Somebody made it between the two looks.
        Ok(_) => return look(path),
        Err(_) => {}
    }
    if fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        // A ledger has its name before it has a log, so one that somebody made between the looks is
        // there by now.
        if fs::metadata(path).is_ok() {
            return look(path);
        }
        return Err(Fault::damaged("is gone, and its log (-wal) with the last commits is there"));
    }
    Ok(Presence::Missing)
}

/// Creates the folder of the ledger where it is missing, for its owner alone.
pub(super) fn create_folder(path: &Path) -> Result<(), Fault> {
    let Some(folder) = path.parent() else { return Ok(()) };
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| cannot("could not be given a folder", folder, error))
}

/// Whether the first commit could create the ledger, as far as can be told without trying.
pub(super) fn may_be_created(path: &Path) -> Result<(), Fault> {
    let Some(folder) = path.ancestors().skip(1).find(|folder| folder.exists()) else {
        return Ok(());
    };
    if !folder.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(cannot("could not be given a folder", folder, error));
    }
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| cannot("could not be given a file", folder, error.into()))
}

/// Brings the names in a folder to the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Fault> {
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| cannot("could not be brought to the disk", folder, error))
}

/// Brings the way to a folder to the disk: its own name, and those of the folders that it is in. Some of
/// them may be new, made by this process or by one that was killed before it came to this. They are
/// all on one file system, so the way ends where another one begins; and at a folder that this user may
/// not read, which no process of this user's has made.
pub(super) fn sync_way(folder: &Path) -> Result<(), Fault> {
    let device = |folder: &Path| fs::metadata(folder).map(|found| found.dev());
    let failed = |above: &Path, error| cannot("could not be brought to the disk", above, error);
    let own = device(folder).map_err(|error| failed(folder, error))?;
    for above in folder.ancestors().skip(1) {
        match device(above).and_then(|device| Ok((device, fs::File::open(above)?))) {
            Ok((device, opened)) if device == own => {
                opened.sync_all().map_err(|error| failed(above, error))?;
            }
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(error) => return Err(failed(above, error)),
        }
    }
    Ok(())
}

/// The locks beside the ledger could not be opened or taken.
pub(super) fn cannot_lock(path: &Path, error: io::Error) -> Fault {
    cannot("could not be locked", path, error)
}

/// A failed call to the system, with what to do about the usual causes.
pub(super) fn cannot(problem: &str, path: &Path, error: io::Error) -> Fault {
    let path = path.display();
    #[expect(clippy::wildcard_enum_match_arm, reason = "there are dozens, and more to come")]
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("let this user read and write {path} and its folder, or name another file")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("mount the file system of {path} for writing, or name another file")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("make room on the disk of {path}")
        }
        io::ErrorKind::NotADirectory => format!("a part of {path} is a file: name another path"),
        _ => format!("check {path} and the disk under it, or name another file"),
    };
    Fault::new(problem, remedy).because(error)
}
