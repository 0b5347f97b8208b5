//! What an operator does to a job's record: hold, release, reset. All journalled, none asks Graph.

use std::time::Duration;

use super::{Conflicts, Guard, end};
use crate::{
    decide,
    model::{Actor, EntryKind, JobRecord, JobRef, NewEntry, Timestamp},
    ports::{Change, Commit, JobWrite, Snapshot, StoreError},
};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operated {
    /// The job is on hold, until then (`None`: until it is released).
    Held(Option<Timestamp>),
    /// The hold is lifted.
    Released,
    /// There was no hold to lift.
    NotHeld,
    /// The budget is given back.
    Reset {
        /// So many starts no longer count.
        forgiven: usize,
        /// The clock stood so far before the newest entry, which kept all starts off. It counts as
        /// right from now on.
        clock_was_behind: Option<Duration>,
    },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[error("nothing was changed")]
pub struct OperateError(#[from] pub StoreError);

impl OperateError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        end::chain(&self.0)
    }
}

impl Guard {
    /// Forbids every start of the job until it is released or `lasts` has passed.
    ///
    /// # Errors
    /// When the store cannot take it; the job is then not on hold.
    pub async fn hold(
        &self,
        job: &JobRef,
        actor: &Actor,
        reason: &str,
        lasts: Option<Duration>,
    ) -> Result<Operated, OperateError> {
        self.operate(job, actor, EntryKind::Hold, Some(reason), |snapshot| {
            let (record, as_of) = (snapshot.job.record.clone(), &snapshot.as_of);
            let held = decide::hold(record, as_of, actor.clone(), reason.to_owned(), lasts);
            let until = lasts.map(|span| as_of.at.saturating_add(span).unwrap_or(Timestamp::MAX));
            (Some(held), Operated::Held(until))
        })
        .await
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// When the store cannot take it; the hold then stands.
    pub async fn release(&self, job: &JobRef, actor: &Actor) -> Result<Operated, OperateError> {
        self.operate(job, actor, EntryKind::Release, None, |snapshot| {
            match decide::release(snapshot.job.record.clone(), &snapshot.as_of) {
                Some(released) => (Some(released), Operated::Released),
                None => (None, Operated::NotHeld),
            }
        })
        .await
    }

    /// Gives the job its start budget back; never the cool-down, a hold or the journal.
    ///
    /// It is a person's word, so its entry is dated by the clock as it is, also where that stands
    /// before the newest entry: for every job of the store the clock then counts as right.
    ///
    /// # Errors
    /// When the store cannot take it; the budget is then as it was.
    pub async fn reset(
        &self,
        job: &JobRef,
        actor: &Actor,
        reason: &str,
    ) -> Result<Operated, OperateError> {
        self.operate(job, actor, EntryKind::Reset, Some(reason), |snapshot| {
            let (record, forgiven) = decide::reset(snapshot.job.record.clone());
            let clock_was_behind = decide::clock_behind(&snapshot.as_of, snapshot.latest_entry);
            (Some(record), Operated::Reset { forgiven, clock_was_behind })
        })
        .await
    }

    async fn operate(
        &self,
        job: &JobRef,
        actor: &Actor,
        kind: EntryKind,
        note: Option<&str>,
        rewrite: impl Fn(&Snapshot) -> (Option<JobRecord>, Operated) + Send,
    ) -> Result<Operated, OperateError> {
        let parts = &self.core.parts;
        let mut conflicts = Conflicts::default();
        loop {
            let snapshot = parts.store.load(&job.key, &parts.tenant).await?;
            let (record, operated) = rewrite(&snapshot);
            let Some(record) = record else {
                return Ok(operated);
            };
            let entry = NewEntry {
                attempt: None,
                job: job.clone(),
                kind,
                actor: actor.clone(),
                observed: None,
                outcome: None,
                reason: None,
                note: note.map(str::to_owned),
                token: None,
                request_ids: Vec::new(),
            };
            let write = JobWrite {
                key: job.key.clone(),
                expected: snapshot.job.version,
                record,
                entries: vec![entry],
            };
            match parts.store.commit(Change { job: Some(write), tenant: None }).await? {
                Commit::Done(_) => return Ok(operated),
                Commit::Conflict => conflicts.one_more(&*parts.store)?,
            }
        }
    }
}
