//! One ledger, one name.
//!
//! SQLite finds the log (`-wal`) and its index (`-shm`) by the ledger's name. Where one file has two
//! names (hard links, or a mount of the file itself), each has a log of its own: neither side sees the
//! other's starts, and both may start one job at once. SQLite resolves symbolic links, and a folder that
//! is mounted elsewhere brings the log along; those are one name.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::store::fault::Fault;

/// What the draft of a new ledger is called, at its beginning and its end.
pub(super) const DRAFT: (&str, &str) = (".startguard-", ".new");

/// Refuses the ledger at `path`, which was `found` there, if it may have another name.
pub(super) fn only_one(path: &Path, found: &Metadata) -> Result<(), Fault> {
    if found.nlink() > 1 && has_others(path, found) {
        return Err(Fault::new(
            "has several names (hard links), and each would have a log of its own: a start recorded \
             under one is not seen under another",
            format!(
                "give it one name: stop every startguard, keep the name that was used last, with its \
                 `-wal`, and remove the others (`find FOLDER -samefile '{}'` lists those below a \
                 folder)",
                path.display()
            ),
        ));
    }
    if is_mounted(path) {
        return Err(Fault::new(
            "is mounted as a file by itself, without the log beside it: a start recorded where it \
             comes from is not seen here",
            "mount the folder, not the file (for a container a volume for the folder, and no \
             `subPath` that ends in the file)",
        ));
    }
    Ok(())
}

/// Whether any of a file's names could be used as a ledger's. That of a draft could not: where a file
/// system renames nothing without replacing, a new ledger has both names for a moment, and keeps them
/// if its maker is killed right then.
fn has_others(path: &Path, found: &Metadata) -> bool {
    let drafts = fs::canonicalize(path)
        .ok()
        .and_then(|path| fs::read_dir(path.parent()?).ok())
        .map_or(0, |entries| {
            let same = entries.flatten().filter(|entry| {
                is_draft(&entry.file_name())
                    && entry.metadata().is_ok_and(|other| is_same(&other, found))
            });
            same.count()
        });
    let links = |found: &Metadata| usize::try_from(found.nlink()).unwrap_or(usize::MAX);
    // The draft may have lost its name since the first look.
    let now = fs::metadata(path).map_or_else(|_| links(found), |now| links(&now));
    links(found).min(now) > drafts.saturating_add(1)
}

fn is_draft(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(DRAFT.0.as_bytes()) && name.ends_with(DRAFT.1.as_bytes())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the file is the root of a mount. A kernel that does not tell (Linux before 5.8, or a sandbox
/// that refuses the call) leaves it open, and the ledger is taken for what it most likely is.
#[cfg(target_os = "linux")]
fn is_mounted(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE)
        .is_ok_and(|found| tells_a_mount(found.stx_attributes, found.stx_attributes_mask))
}

/// Elsewhere only folders can be mounted.
#[cfg(not(target_os = "linux"))]
fn is_mounted(_: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn tells_a_mount(
    attributes: rustix::fs::StatxAttributes,
    told: rustix::fs::StatxAttributes,
) -> bool {
    (attributes & told).contains(rustix::fs::StatxAttributes::MOUNT_ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mount_is_one_only_where_the_kernel_tells() {
        use rustix::fs::StatxAttributes as Attributes;
        let (root, none) = (Attributes::MOUNT_ROOT, Attributes::empty());
        assert!(tells_a_mount(root, root));
        assert!(tells_a_mount(root | Attributes::APPEND, root | Attributes::APPEND));
        assert!(!tells_a_mount(none, root));
        assert!(!tells_a_mount(root, none));
        assert!(!tells_a_mount(Attributes::APPEND, root | Attributes::APPEND));
        // The root of a real one, and what is none.
        assert!(is_mounted(Path::new("/proc")));
        assert!(!is_mounted(Path::new("/proc/self/status")));
    }

    #[test]
    fn the_name_of_a_draft_is_none_of_the_ledgers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let only = || only_one(&path, &fs::metadata(&path).unwrap());
        fs::write(&path, "x").unwrap();
        assert!(only().is_ok());
        fs::hard_link(&path, folder.path().join(".startguard-Xa7b.new")).unwrap();
        assert!(only().is_ok());
        // As a look finds it that was before the draft lost its name.
        let before = fs::metadata(&path).unwrap();
        fs::remove_file(folder.path().join(".startguard-Xa7b.new")).unwrap();
        assert!(only_one(&path, &before).is_ok());
        // Another file's draft hides nothing.
        fs::write(folder.path().join(".startguard-other.new"), "y").unwrap();
        fs::hard_link(&path, folder.path().join("second.db")).unwrap();
        assert!(only().is_err());
        assert!(only_one(&folder.path().join("second.db"), &before).is_err());
    }
}
