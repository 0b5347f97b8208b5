//! Commits whose answer was lost.
//!
//! A connection that is cut after COMMIT was sent leaves open whether it was done. What such a
//! commit would have left behind is noted here **before** COMMIT is sent, and taken out once it is
//! known what became of it. The next try finds it: as soon as it holds the row's lock, the one in
//! doubt has ended, one way or the other.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::{JournalHash, NewEntry},
    ports::Version,
};

/// What a commit in doubt would have left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// This hash at this place of the job's chain. It covers the attempt's id, the time and all
    /// entries before it, so no other commit leaves the same.
    Entry { place: u64, hash: JournalHash },
    /// This record under this version.
    Record { version: Version, record: String },
}

/// Most jobs whose commits may be in doubt at once. Each is forgotten when its job is written next;
/// a process that is cut off from its server gives up long before it has so many.
const MOST: usize = 1024;

/// The commits in doubt of one store, by job.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<BTreeMap<String, Vec<Doubt>>>);

#[derive(Debug)]
struct Doubt {
    entries: Vec<NewEntry>,
    mark: Mark,
}

impl Doubts {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Doubt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a commit that is about to be sent.
    pub(super) fn note(&self, job: &str, entries: &[NewEntry], mark: Mark) {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(job) {
            all.pop_first();
        }
        all.entry(job.to_owned()).or_default().push(Doubt { entries: entries.to_vec(), mark });
    }

    /// The marks of earlier tries at writing these very entries. A caller that asks again after an
    /// error asks with the same entries.
    pub(super) fn recall(&self, job: &str, entries: &[NewEntry]) -> Vec<Mark> {
        if entries.is_empty() {
            return Vec::new();
        }
        let all = self.all();
        let of_job = all.get(job).into_iter().flatten();
        of_job.filter(|doubt| doubt.entries == entries).map(|doubt| doubt.mark.clone()).collect()
    }

    /// Takes back what was noted last: the server said that it did not do it.
    pub(super) fn take_back(&self, job: &str, mark: &Mark) {
        if let Some(of_job) = self.all().get_mut(job) {
            of_job.retain(|doubt| doubt.mark != *mark);
        }
    }

    /// Forgets a job's commits: it is known what became of them, or nobody will ask again.
    pub(super) fn forget(&self, job: &str) {
        self.all().remove(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(place: u64) -> Mark {
        Mark::Entry { place, hash: JournalHash::genesis() }
    }

    #[test]
    fn a_doubt_is_recalled_by_its_entries_until_it_is_forgotten() {
        let doubts = Doubts::default();
        doubts.note("a", &[], mark(1));
        assert_eq!(doubts.recall("a", &[]), [], "nothing tells commits without entries apart");
        doubts.forget("a");
        assert!(doubts.all().is_empty());
    }

    #[test]
    fn doubts_do_not_pile_up() {
        let doubts = Doubts::default();
        for number in 0..MOST + 10 {
            doubts.note(&format!("job {number}"), &[], mark(1));
        }
        assert_eq!(doubts.all().len(), MOST);
    }
}
