//! What a worker's thread has before it: the ledger, open or not yet, and the way to get a turn.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    connect, contents,
    file::{self, Presence},
    journal,
    ledger::{self, Ledger},
    prune, report,
    turn::Turnstile,
    worker::Gone,
};
use crate::{
    model::{HistoryQuery, JobKey, JournalEntry, Moment, TenantKey, TenantRecord, Verification},
    ports::{Change, Clock, Contents, Filled, Pruned, Snapshot, StoreReport, Versioned},
    store::fault::Fault,
};

/// The work place of one thread.
#[derive(Debug)]
pub(super) struct Desk {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// How long SQLite waits for a lock that another program holds.
    patience: Duration,
    ledger: Option<Ledger>,
    turnstile: Option<Turnstile>,
}

impl Desk {
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { path, clock, patience, ledger: None, turnstile: None }
    }

    pub(super) fn load(&mut self, job: &JobKey, tenant: &TenantKey) -> Result<Snapshot, Fault> {
        let found = self.read(|ledger| ledger::load(ledger, job, tenant))?.unwrap_or_default();
        // Read after the records: no entry that they show can be newer than this, unless the clock
        // was set back.
        Ok(Snapshot {
            job: found.job,
            tenant: found.tenant,
            as_of: self.now(),
            latest_entry: found.latest_entry,
        })
    }

    pub(super) fn load_tenant(
        &mut self,
        tenant: &TenantKey,
    ) -> Result<(Versioned<TenantRecord>, Moment), Fault> {
        let found = self.read(|ledger| ledger::load_tenant(ledger, tenant))?.unwrap_or_default();
        Ok((found, self.now()))
    }

    /// Writes the change; false if someone else was first.
    pub(super) fn commit(&mut self, change: Change, gone: Gone<'_>) -> Result<bool, Fault> {
        let clock = Arc::clone(&self.clock);
        self.in_turn(gone, |ledger| ledger::commit(ledger, change, || clock.wall()))
    }

    /// Goes as far towards a commit as can be gone without changing anything.
    pub(super) fn try_to_write(&mut self, gone: Gone<'_>) -> Result<(), Fault> {
        if let Presence::Missing = self.look()? {
            return file::may_be_created(&self.path);
        }
        self.in_turn(gone, ledger::try_to_write)
    }

    pub(super) fn history(
        &mut self,
        query: &HistoryQuery,
        gone: Gone<'_>,
    ) -> Result<Vec<JournalEntry>, Fault> {
        Ok(self.read(|ledger| journal::history(ledger, query, gone))?.unwrap_or_default())
    }

    pub(super) fn verify(&mut self, gone: Gone<'_>) -> Result<Verification, Fault> {
        let found = self.read(|ledger| journal::verify(ledger, gone))?;
        Ok(found.unwrap_or_default())
    }

    pub(super) fn report(&mut self) -> Result<StoreReport, Fault> {
        let path = self.path.clone();
        let found = self.read(|ledger| report::of_ledger(ledger, &path))?;
        Ok(found.unwrap_or_else(|| report::of_nothing(&path)))
    }

    pub(super) fn contents(&mut self) -> Result<Contents, Fault> {
        let as_of = self.now();
        let found = self.read(|ledger| contents::contents(ledger, as_of.clone()))?;
        let (jobs, tenants, journal) = (Vec::new(), Vec::new(), Vec::new());
        Ok(found.unwrap_or(Contents { as_of, jobs, tenants, journal }))
    }

    pub(super) fn fill(&mut self, contents: &Contents, gone: Gone<'_>) -> Result<Filled, Fault> {
        self.in_turn(gone, |ledger| contents::fill(ledger, contents))
    }

    /// Removes entries that are past their time; takes no turn where there are none.
    pub(super) fn prune(
        &mut self,
        keep: Duration,
        most: u32,
        gone: Gone<'_>,
    ) -> Result<Pruned, Fault> {
        let now = self.clock.wall();
        let due = self.read(|ledger| prune::is_due(ledger, keep, now))?;
        if due != Some(true) {
            return Ok(Pruned::default());
        }
        let clock = Arc::clone(&self.clock);
        self.in_turn(gone, |ledger| prune::prune(ledger, keep, most, || clock.wall()))
    }

    fn now(&self) -> Moment {
        Moment { at: self.clock.wall(), boot: self.clock.boot() }
    }

    /// Reads from the ledger; `None` while there is no file.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Ledger) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        if let Presence::Missing = self.look()? {
            return Ok(None);
        }
        if self.ledger.is_none() {
            self.open()?;
        }
        let Some(ledger) = self.ledger.as_mut() else { return Ok(None) };
        let result = read(ledger);
        self.keep_if_well(result).map(Some)
    }

    /// Waits for a turn and writes in it, unless nobody waits for that any more.
    fn in_turn<T>(
        &mut self,
        gone: Gone<'_>,
        write: impl FnOnce(&mut Ledger) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.open_for_writing()?;
        let (Some(ledger), Some(turnstile)) = (self.ledger.as_mut(), self.turnstile.as_ref())
        else {
            return Err(Fault::new("could not be opened", "try again"));
        };
        let turn = turnstile.wait().map_err(|error| file::cannot_lock(&self.path, error))?;
        if gone() {
            return Err(Fault::new("was asked for something nobody waits for", "ask again"));
        }
        let written = write(ledger);
        drop(turn);
        self.keep_if_well(written)
    }

    fn open_for_writing(&mut self) -> Result<(), Fault> {
        let presence = self.look()?;
        if self.turnstile.is_none() {
            file::create_folder(&self.path)?;
            let turnstile = Turnstile::open(&self.path)
                .map_err(|error| file::cannot_lock(&self.path, error))?;
            self.turnstile = Some(turnstile);
        }
        if let (Presence::Missing, Some(turnstile)) = (presence, self.turnstile.as_ref()) {
            let _turn = turnstile.wait().map_err(|error| file::cannot_lock(&self.path, error))?;
            // Someone else may have made it while this one waited.
            if let Presence::Missing = file::look(&self.path)? {
                connect::create(&self.path)?;
            }
        }
        if self.ledger.is_none() { self.open() } else { Ok(()) }
    }

    /// Looks whether the ledger is there, and lets go of one that was since moved away or replaced:
    /// what is written to that would be seen by nobody.
    fn look(&mut self) -> Result<Presence, Fault> {
        let presence = file::look(&self.path)?;
        let open = self.ledger.as_ref().map(|ledger| ledger.identity);
        if open.is_some_and(|identity| presence != Presence::There(identity)) {
            self.ledger = None;
        }
        Ok(presence)
    }

    fn open(&mut self) -> Result<(), Fault> {
        let Presence::There(identity) = file::look(&self.path)? else {
            return Err(Fault::new("vanished while it was being opened", "see who moved it"));
        };
        let connection = connect::open(&self.path, self.patience)?;
        self.ledger = Some(Ledger { connection, identity });
        Ok(())
    }

    /// After a failure the connection is closed, so that the next call begins with a look at what
    /// is really there.
    fn keep_if_well<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        if result.is_err() {
            self.ledger = None;
        }
        result
    }
}
