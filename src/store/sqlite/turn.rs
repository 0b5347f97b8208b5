//! Whose turn it is to write.
//!
//! SQLite's writers do not queue: each tries, sleeps and tries again, so one that is unlucky waits
//! for seconds beside others that write without pause. Here they queue at two kernel file locks
//! beside the ledger. Who wants to write takes `-next`, waits for `-turn` while it holds `-next`,
//! and lets go of `-next` once it has `-turn`. So only one at a time waits for `-turn`, and a writer
//! that comes straight back finds `-next` held and waits in line behind it; the kernel wakes waiters
//! in the order in which they came.
//!
//! The locks are about fairness alone. If they are deleted, or a program that does not know them
//! writes, SQLite's own lock still keeps writers apart. The kernel drops them with their process.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Both locks of a ledger, opened but not held.
#[derive(Debug)]
pub(super) struct Turnstile {
    next: File,
    turn: File,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a> {
    held: &'a File,
}

impl Turnstile {
    /// Opens the locks beside `ledger`, and creates them where they are missing.
    pub(super) fn open(ledger: &Path) -> io::Result<Self> {
        let open = |suffix| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(beside(ledger, suffix))
        };
        Ok(Self { next: open("-next")?, turn: open("-turn")? })
    }

    /// Waits, for as long as it takes, until it is this one's turn.
    pub(super) fn wait(&self) -> io::Result<Turn<'_>> {
        lock(&self.next)?;
        let turn = lock(&self.turn);
        let free = self.next.unlock();
        turn?;
        let turn = Turn { held: &self.turn };
        free?;
        Ok(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Unlocking an open file that is locked cannot fail; closing it would unlock it as well.
        drop(self.held.unlock());
    }
}

/// Takes a lock, however often a signal interrupts the wait.
fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The name of a file that lies beside the ledger.
pub(super) fn beside(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(ledger);
    name.push(suffix);
    PathBuf::from(name)
}
