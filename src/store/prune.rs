//! Which entries may go, and what stays in their place.
//!
//! Entries go from the front of the whole journal, in the order of their numbers: what is left has no
//! holes, and of each job the oldest go first. Nothing is removed that does not hold: a journal that
//! was changed is evidence.

use std::{collections::BTreeMap, time::Duration};

use super::{
    audit::{StoredEntry, problem_with},
    chain::Chain,
    checkpoint::Checkpoint,
    fault::Fault,
};
use crate::model::JournalHash;

/// The time before which entries may go, in a store whose clock says `now` and whose newest entry was
/// written at `newest` (see [`super::text::nanoseconds`]).
///
/// Both must agree that an entry is old: a clock that was set years ahead must not empty a journal
/// before anything was written by it.
pub(super) fn cutoff(now: i64, newest: i64, keep: Duration) -> i64 {
    let keep = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    now.min(newest).saturating_sub(keep)
}

/// What is to be removed, and the checkpoints to be written in the same transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// The numbers of the entries.
    pub(super) seqs: Vec<u64>,
    /// Sealed, by job.
    pub(super) checkpoints: BTreeMap<String, String>,
}

/// Decides about the oldest entries of a journal, in the order of their numbers. `newest` is the
/// number of the newest, which stays whatever its age: the clock is checked by it. `chains` is where
/// the chain of each of their jobs begins.
pub(super) fn cut(
    entries: &[StoredEntry<'_>],
    cutoff: i64,
    newest: u64,
    mut chains: BTreeMap<String, Chain>,
) -> Result<Cut, Fault> {
    let mut cut = Cut::default();
    let mut last = BTreeMap::new();
    for entry in entries {
        // One that is not old enough ends it, even if older ones follow (the clock was set back).
        if entry.at >= cutoff || entry.seq >= newest {
            break;
        }
        let chain = chains.entry(entry.job.to_owned()).or_default();
        if let Some((problem, _)) = problem_with(entry, chain) {
            return Err(Fault::new(
                format!("has a journal that does not hold at entry {}: {problem}", entry.seq),
                "nothing of it is pruned; keep it as it is for whoever looks into it \
                 (`startguard store check`)",
            ));
        }
        *chain = Chain { entries: entry.index, head: JournalHash(entry.hash.to_owned()) };
        last.insert(entry.job, entry.at);
        cut.seqs.push(entry.seq);
    }
    for (job, at) in last {
        if let Some(chain) = chains.get(job) {
            let sealed = Checkpoint::new(job, chain, at).seal()?;
            cut.checkpoints.insert(job.to_owned(), sealed);
        }
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_old_by_the_clock_and_by_the_newest_entry() {
        let keep = Duration::from_nanos(10);
        assert_eq!(cutoff(100, 90, keep), 80);
        assert_eq!(cutoff(90, 100, keep), 80);
        assert_eq!(cutoff(i64::MIN, 0, keep), i64::MIN);
        assert_eq!(cutoff(0, 0, Duration::MAX), -i64::MAX);
    }
}
