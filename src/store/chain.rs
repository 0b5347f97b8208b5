//! A job's chain of journal entries while it grows.

use super::{fault::Fault, text};
use crate::model::{EntryKind, JournalHash, NewEntry, Timestamp};

/// The end of a job's chain: how many entries, and the hash of the last one. It is kept beside the
/// job's record, so that a chain which was cut short shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) entries: u64,
    pub(super) head: JournalHash,
}

/// One entry, placed and hashed, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u64,
    /// See [`text::nanoseconds`].
    pub(super) at: i64,
    pub(super) body: String,
    pub(super) hash: JournalHash,
}

/// When entries written together count as written, by a clock that says `now`, where the newest entry
/// of the whole journal was written at `newest`.
///
/// Never before that one: starts stay off while the clock stands behind the newest entry, and nothing
/// that is written meanwhile may make the wrong clock look right. But a reset takes the clock as it
/// is: by it a person says that the clock is right, and the newest entry's was not.
pub(super) fn written_at(
    entries: &[NewEntry],
    now: Timestamp,
    newest: Option<Timestamp>,
) -> Timestamp {
    let is_reset = entries.iter().any(|entry| entry.kind == EntryKind::Reset);
    newest.filter(|_| !is_reset).map_or(now, |newest| newest.max(now))
}

impl Default for Chain {
    fn default() -> Self {
        Self { entries: 0, head: JournalHash::genesis() }
    }
}

impl Chain {
    /// Adds an entry of the job whose store key is `job`, written at `at`.
    pub(super) fn append(
        &mut self,
        job: &str,
        entry: NewEntry,
        at: Timestamp,
    ) -> Result<Link, Fault> {
        if entry.job.key.store_key() != job {
            // Under another job's key the entry would break that job's chain.
            return Err(Fault::new(
                format!("was handed an entry of {} together with the record of {job}", entry.job),
                "report this as a defect",
            ));
        }
        let index = self.entries.saturating_add(1);
        let body = text::write("a journal entry", &entry.placed(index, at))?;
        let hash = self.head.of_next(&body);
        *self = Self { entries: index, head: hash.clone() };
        Ok(Link { index, at: text::nanoseconds(at)?, body, hash })
    }
}
