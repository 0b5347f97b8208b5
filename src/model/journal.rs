//! The journal: an append-only record of decisions and outcomes, each entry's hash covering the one
//! before it. There is one chain per job, so that hosts working on different jobs never wait for
//! each other's chain.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Actor, AttemptId, FencingToken, JobKey, JobRef, ObservedFacts, OutcomeKind, Reason, Timestamp,
};

/// What kind of event an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// A start is about to go out. Written, durably, before it does.
    Intent,
    /// What became of an intent.
    Outcome,
    /// The job was read, and no start was made: denied, already running, or the read failed.
    Decision,
    /// An intent left open by a holder that died, or left in doubt, was settled by a later read.
    Settled,
    /// An operator put the job on hold.
    Hold,
    /// An operator lifted a hold.
    Release,
    /// An operator gave the job its start budget back.
    Reset,
}

impl EntryKind {
    /// The kind as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Decision => "decision",
            Self::Settled => "settled",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entry as the guard hands it to a store; the store adds time, place and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The attempt it belongs to; none for what an operator did.
    pub attempt: Option<AttemptId>,
    /// The job.
    pub job: JobRef,
    /// What kind of event.
    pub kind: EntryKind,
    /// Who asked.
    pub actor: Actor,
    /// What the read under this attempt said.
    pub observed: Option<ObservedFacts>,
    /// The outcome, where there is one yet.
    pub outcome: Option<OutcomeKind>,
    /// Its reason.
    pub reason: Option<Reason>,
    /// The operator's words (`--reason`), or what happened in one line.
    pub note: Option<String>,
    /// The lease under which it was written.
    pub token: Option<FencingToken>,
    /// Graph's `request-id`s of the requests made so far under this attempt.
    pub request_ids: Vec<String>,
}

/// What an entry says: exactly what its hash covers, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryFacts {
    /// Place in the job's chain, from 1.
    pub index: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// The attempt it belongs to.
    pub attempt_id: Option<AttemptId>,
    /// The job.
    pub job: JobRef,
    /// What kind of event.
    pub kind: EntryKind,
    /// Who asked.
    pub actor: Actor,
    /// What the read said.
    pub observed: Option<ObservedFacts>,
    /// The outcome.
    pub outcome: Option<OutcomeKind>,
    /// Its reason.
    pub reason: Option<Reason>,
    /// The operator's words, or what happened in one line.
    pub note: Option<String>,
    /// The lease under which it was written.
    pub fencing_token: Option<FencingToken>,
    /// Graph's `request-id`s.
    pub request_ids: Vec<String>,
}

impl NewEntry {
    /// The entry at its place in the chain and in time.
    #[must_use]
    pub fn placed(self, index: u64, at: Timestamp) -> EntryFacts {
        EntryFacts {
            index,
            at,
            attempt_id: self.attempt,
            job: self.job,
            kind: self.kind,
            actor: self.actor,
            observed: self.observed,
            outcome: self.outcome,
            reason: self.reason,
            note: self.note,
            fencing_token: self.token,
            request_ids: self.request_ids,
        }
    }
}

/// A link of the chain: SHA-256 in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalHash(pub String);

impl JournalHash {
    /// What the first entry of a chain follows.
    #[must_use]
    pub fn genesis() -> Self {
        Self("0".repeat(64))
    }

    /// The hash of an entry whose stored text is `body` and which follows `self`.
    ///
    /// It covers the text as stored, so verifying never depends on how a later version would
    /// write the same facts.
    #[must_use]
    pub fn of_next(&self, body: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0.as_bytes());
        hasher.update(b"\n");
        hasher.update(body.as_bytes());
        let digest = hasher.finalize();
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for JournalHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry as read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// Place in the whole journal; grows, and never repeats.
    pub seq: u64,
    /// What it says.
    #[serde(flatten)]
    pub facts: EntryFacts,
    /// Its hash.
    pub hash: JournalHash,
}

/// Which entries to read, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only this job's.
    pub job: Option<JobKey>,
    /// At most so many.
    pub limit: Option<u32>,
    /// None older than this.
    pub since: Option<Timestamp>,
}

/// What checking the chains showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Entries that were pruned before them; each job's checkpoint stands for its own.
    pub pruned: u64,
    /// Chains (jobs) read.
    pub jobs: u64,
    /// The first place at which a chain does not hold.
    pub broken: Option<BrokenLink>,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// The entry's place in the journal; for a missing tail, the last place that is there.
    pub seq: u64,
    /// The job's store key.
    pub job: String,
    /// What is wrong with it.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_the_entry_and_the_one_before() {
        let first = JournalHash::genesis().of_next("a");
        assert_eq!(first.0.len(), 64);
        assert_ne!(first.of_next("b"), first.of_next("c"));
        assert_ne!(first.of_next("b"), JournalHash::genesis().of_next("b"));
    }
}
