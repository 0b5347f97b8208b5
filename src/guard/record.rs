//! What an attempt writes: entries, outcomes, and step 10, the release.

use std::time::Duration;

use super::{
    Conflicts,
    attempt::Attempt,
    end::{self, End},
};
use crate::{
    decide,
    model::{
        EntryKind, HistoryQuery, JobRecord, NewEntry, Observation, ObservedFacts, StartResult,
    },
    ports::{Change, Commit, JobWrite, Snapshot, StoreError},
};

/// Tries at writing what must not be lost, the outcome after a start or Graph's word to wait: the
/// store may be restarting.
pub(super) const RECORD_TRIES: u32 = 5;

/// Pause between those tries.
pub(super) const RECORD_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// How many of the job's newest entries are searched for one whose commit was not answered: more
/// than can have been written to one job since.
const LOOK_FOR_ENTRY_AMONG: u32 = 16;

impl Attempt {
    /// What the read says of an earlier start whose outcome is not recorded: noted in the
    /// snapshot's record; the entry, where it is news.
    pub(super) fn look_again(
        &self,
        snapshot: &mut Snapshot,
        observation: &Observation,
    ) -> Option<NewEntry> {
        let record = std::mem::take(&mut snapshot.job.record);
        let (record, news) =
            decide::look_again(record, &snapshot.as_of, self.ask.attempt, observation);
        snapshot.job.record = record;
        news.map(|(attempt, outcome)| NewEntry {
            attempt: Some(attempt),
            outcome: Some(outcome),
            ..self.entry(EntryKind::Settled, None)
        })
    }

    /// Ends an attempt that made no start, in one commit.
    pub(super) async fn renounce(
        &self,
        snapshot: Snapshot,
        settled: Option<NewEntry>,
        decided: NewEntry,
        observation: &Observation,
    ) {
        let record = decide::record_outcome(snapshot.job.record.clone(), self.ask.attempt, None);
        let entries = settled.into_iter().chain([decided.clone()]).collect();
        let change = self.job_change(&snapshot, record, entries);
        match self.core.parts.store.commit(change).await {
            Ok(Commit::Done(_)) => {}
            // Somebody wrote meanwhile (a hold, say): look at what is there now.
            Ok(Commit::Conflict) => {
                self.close_with(RECORD_TRIES, |mut now| {
                    let settled = self.look_again(&mut now, observation);
                    let record = decide::record_outcome(now.job.record, self.ask.attempt, None);
                    (record, settled.into_iter().chain([decided.clone()]).collect())
                })
                .await;
            }
            Err(error) => {
                tracing::warn!(error = %end::chain(&error), "the decision could not be recorded");
            }
        }
    }

    /// Step 10: the outcome and the release, in one commit. False when the store would not take it:
    /// the intent then stays open and counts, and the next attempt settles it by reading.
    pub(super) async fn close(&self, result: Option<StartResult>, entries: Vec<NewEntry>) -> bool {
        // A mere release is not worth waiting for: the lease ends by itself.
        let tries = if entries.is_empty() { 1 } else { RECORD_TRIES };
        self.close_with(tries, |now| {
            let record = decide::record_outcome(now.job.record, self.ask.attempt, result);
            (record, entries.clone())
        })
        .await
    }

    /// Gives an intent back under which nothing was sent, and releases. Where its commit was not
    /// answered, it may or may not be there.
    pub(super) async fn give_back(&self, end: &End) {
        let outcome = self.entry(EntryKind::Outcome, Some(end));
        self.close_with(RECORD_TRIES, |now| {
            let record = now.job.record;
            let written = record.starts.iter().any(|mark| mark.attempt == self.ask.attempt);
            let record = decide::record_outcome(record, self.ask.attempt, None);
            (record, written.then(|| outcome.clone()).into_iter().collect())
        })
        .await;
    }

    async fn close_with(
        &self,
        tries: u32,
        rewrite: impl Fn(Snapshot) -> (JobRecord, Vec<NewEntry>) + Send + Sync,
    ) -> bool {
        let parts = &self.core.parts;
        let mut failed = 0_u32;
        let mut conflicts = Conflicts::default();
        loop {
            let error = match self.close_once(&rewrite, failed > 0).await {
                Ok(Commit::Done(_)) => return true,
                Ok(Commit::Conflict) => match conflicts.one_more(&*parts.store) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            failed = failed.saturating_add(1);
            tracing::warn!(error = %end::chain(&error), failed, "not recorded");
            if failed >= tries {
                return false;
            }
            parts.clock.sleep(RECORD_AGAIN_AFTER).await;
        }
    }

    async fn close_once(
        &self,
        rewrite: &(impl Fn(Snapshot) -> (JobRecord, Vec<NewEntry>) + Send + Sync),
        in_doubt: bool,
    ) -> Result<Commit, StoreError> {
        let parts = &self.core.parts;
        let snapshot = parts.store.load(&self.ask.key, &parts.tenant).await?;
        let (record, mut entries) = rewrite(snapshot.clone());
        // A commit whose answer was lost may have been made; nothing is told twice.
        if in_doubt
            && let Some(last) = entries.last()
            && self.is_written(last.kind).await?
        {
            entries.clear();
        }
        parts.store.commit(self.job_change(&snapshot, record, entries)).await
    }

    /// Whether this attempt's entry of that kind is in the journal.
    async fn is_written(&self, kind: EntryKind) -> Result<bool, StoreError> {
        let query = HistoryQuery {
            job: Some(self.ask.key.clone()),
            limit: Some(LOOK_FOR_ENTRY_AMONG),
            since: None,
        };
        let newest = self.core.parts.store.history(&query).await?;
        let own = Some(self.ask.attempt);
        Ok(newest.iter().any(|entry| entry.facts.kind == kind && entry.facts.attempt_id == own))
    }

    pub(super) fn job_change(
        &self,
        snapshot: &Snapshot,
        record: JobRecord,
        entries: Vec<NewEntry>,
    ) -> Change {
        Change {
            job: Some(JobWrite {
                key: self.ask.key.clone(),
                expected: snapshot.job.version,
                record,
                entries,
            }),
            tenant: None,
        }
    }

    /// An entry of this attempt, as things stand.
    pub(super) fn entry(&self, kind: EntryKind, end: Option<&End>) -> NewEntry {
        NewEntry {
            attempt: Some(self.ask.attempt),
            job: self.request.job.clone(),
            kind,
            actor: self.ask.actor.clone(),
            observed: self.observation.as_ref().map(ObservedFacts::from),
            outcome: end.map(|end| end.outcome),
            reason: end.and_then(|end| end.reason),
            note: self.request.reason.clone(),
            token: self.token,
            request_ids: self.cost.request_ids.clone(),
        }
    }
}
