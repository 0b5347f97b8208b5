//! Commits whose answer was lost.
//!
//! A connection that is cut after COMMIT was sent leaves open whether it was done. What such a
//! commit would have left behind is marked **before** COMMIT is sent. The next try, of this call or
//! of the one that the caller makes after an error, looks for it: as soon as that try holds the
//! row's lock, the one in doubt has ended, one way or the other.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
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

/// Most calls remembered. A caller that asks again does so within seconds, and a process that is cut
/// off from its server for longer has no more attempts under way than this.
const MOST: usize = 256;

/// The calls of one store that ended in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<VecDeque<Doubt>>);

#[derive(Debug)]
struct Doubt {
    entries: Vec<NewEntry>,
    marks: Vec<Mark>,
}

/// The tries of one call. Should the call end, or be dropped, before it is known what became of
/// them, they are remembered.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    doubts: &'a Doubts,
    entries: &'a [NewEntry],
    pub(super) marks: Vec<Mark>,
    /// So many of them are those of an earlier call.
    recalled: usize,
}

impl Doubts {
    /// Begins a call that writes these entries, with the marks of an earlier one that ended in
    /// doubt. Entries carry their attempt's id: only a caller that asks again writes the same.
    pub(super) fn begin<'a>(&'a self, entries: &'a [NewEntry]) -> Tries<'a> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|doubt| doubt.entries == entries);
        let marks = known.and_then(|at| all.remove(at)).map(|doubt| doubt.marks);
        let marks = marks.unwrap_or_default();
        Tries { doubts: self, entries, recalled: marks.len(), marks }
    }

    fn remember(&self, doubt: Doubt) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(doubt);
    }
}

impl Tries<'_> {
    /// Whether a try of this call is in doubt.
    pub(super) fn in_doubt(&self) -> bool {
        self.marks.len() > self.recalled
    }

    /// It is known what became of all of them.
    pub(super) fn settle(mut self) {
        self.marks.clear();
    }
}

impl Drop for Tries<'_> {
    fn drop(&mut self) {
        // Without entries nothing tells one call from another; who made it reads again.
        if !self.marks.is_empty() && !self.entries.is_empty() {
            let marks = std::mem::take(&mut self.marks);
            self.doubts.remember(Doubt { entries: self.entries.to_vec(), marks });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, AttemptId, EntryKind, JobId, JobKey, JobRef, ServicePrincipalId};

    fn entries(attempt: u128) -> Vec<NewEntry> {
        let sp = ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b").unwrap();
        let key = JobKey { service_principal_id: sp, job_id: JobId::parse("a").unwrap() };
        vec![NewEntry {
            attempt: Some(AttemptId(uuid::Uuid::from_u128(attempt))),
            job: JobRef { key, name: None },
            kind: EntryKind::Outcome,
            actor: Actor("ann".to_owned()),
            observed: None,
            outcome: None,
            reason: None,
            note: None,
            token: None,
            request_ids: Vec::new(),
        }]
    }

    fn mark() -> Mark {
        Mark::Entry { place: 1, hash: JournalHash::genesis() }
    }

    #[test]
    fn a_call_left_in_doubt_is_remembered_for_the_next_with_the_same_entries() {
        let (doubts, ours, others) = (Doubts::default(), entries(1), entries(2));
        doubts.begin(&ours).marks.push(mark());
        assert!(doubts.begin(&others).marks.is_empty());
        let again = doubts.begin(&ours);
        assert_eq!(again.marks, [mark()]);
        assert!(!again.in_doubt(), "no try of this call is");
        assert!(doubts.begin(&ours).marks.is_empty(), "one caller at a time");
        again.settle();
        assert!(doubts.begin(&ours).marks.is_empty());
    }

    #[test]
    fn a_call_under_way_is_in_doubt_to_nobody_else() {
        let (doubts, ours) = (Doubts::default(), entries(1));
        let mut under_way = doubts.begin(&ours);
        under_way.marks.push(mark());
        assert!(doubts.begin(&ours).marks.is_empty());
        under_way.settle();
    }

    #[test]
    fn doubts_do_not_pile_up() {
        let doubts = Doubts::default();
        for number in 0..1_000 {
            doubts.begin(&entries(number)).marks.push(mark());
        }
        assert_eq!(doubts.0.lock().unwrap().len(), MOST);
        assert!(doubts.begin(&entries(0)).marks.is_empty());
        assert_eq!(doubts.begin(&entries(999)).marks, [mark()]);
    }
}
