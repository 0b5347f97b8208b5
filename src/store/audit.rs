//! Checks a journal, entry by entry in the order in which it was written, holding no more of it
//! than the end of each chain.
//!
//! What it finds: a changed text, a changed column, a changed hash, an entry removed, moved or put
//! in, a chain cut short, a job removed as a whole. What no chain can show: a journal that was
//! written anew from some entry on, ends of chains included, by someone who may write the store.

use std::collections::BTreeMap;

use super::{chain::Chain, checkpoint::Checkpoint, text};
use crate::model::{BrokenLink, EntryFacts, JobRecord, JournalHash, Verification};

/// An entry as the store holds it, nothing of it believed yet.
#[derive(Debug)]
pub(super) struct StoredEntry<'a> {
    pub(super) seq: u64,
    pub(super) job: &'a str,
    pub(super) index: u64,
    /// See [`text::nanoseconds`].
    pub(super) at: i64,
    pub(super) body: &'a str,
    pub(super) hash: &'a str,
}

/// A check under way.
#[derive(Debug)]
pub(super) struct Audit {
    /// Whether the store numbers entries without gaps, so that a gap is a removed entry.
    gapless: bool,
    entries: u64,
    pruned: u64,
    last_seq: u64,
    /// The first run of numbers that are missing.
    hole: Option<Hole>,
    jobs: BTreeMap<String, Seen>,
    found: Vec<Found>,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    /// Where it shows: the first missing number, or for a missing end the last one that is there.
    seq: u64,
    from: u64,
    to: u64,
}

/// What was seen of one job's chain.
#[derive(Debug, Default)]
struct Seen {
    chain: Chain,
    last_seq: u64,
    broken: bool,
    ended: bool,
}

#[derive(Debug)]
struct Found {
    link: BrokenLink,
    /// Whether entries of this job are missing, as opposed to changed.
    missing: bool,
}

impl Audit {
    /// For a store that numbers entries without gaps.
    pub(super) fn gapless() -> Self {
        Self {
            gapless: true,
            entries: 0,
            pruned: 0,
            last_seq: 0,
            hole: None,
            jobs: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// For a store whose numbers may skip: what was removed shows in the chain of its job alone, so
    /// a job that was removed together with its record does not show.
    pub(super) fn with_gaps() -> Self {
        Self { gapless: false, ..Self::gapless() }
    }

    /// Takes what stands for a job's pruned entries. Before all entries.
    ///
    /// Where numbers have no gaps, the first entry that is left has the number after all that were
    /// pruned: so a checkpoint that is gone together with its job leaves a hole.
    pub(super) fn checkpoint(&mut self, job: &str, sealed: &str) {
        let seen = self.jobs.entry(job.to_owned()).or_default();
        match Checkpoint::read(job, Some(sealed)) {
            Ok(chain) => {
                self.pruned = self.pruned.saturating_add(chain.entries);
                self.last_seq = self.pruned;
                seen.chain = chain;
            }
            Err(_) => {
                seen.broken = true;
                let problem = "the checkpoint that stands for its pruned entries was changed";
                let link = BrokenLink { seq: 0, job: job.to_owned(), problem: problem.to_owned() };
                self.found.push(Found { link, missing: false });
            }
        }
    }

    /// Takes the next entry, in the order of `seq`.
    pub(super) fn entry(&mut self, entry: &StoredEntry<'_>) {
        let due = self.last_seq.saturating_add(1);
        if self.gapless && self.hole.is_none() && entry.seq > due {
            self.hole = Some(Hole { seq: due, from: due, to: entry.seq.saturating_sub(1) });
        }
        self.entries = self.entries.saturating_add(1);
        self.last_seq = entry.seq;
        if !self.jobs.contains_key(entry.job) {
            self.jobs.insert(entry.job.to_owned(), Seen::default());
        }
        let Some(seen) = self.jobs.get_mut(entry.job) else { return };
        seen.last_seq = entry.seq;
        if seen.broken {
            // What follows a break says nothing new.
            return;
        }
        match problem_with(entry, &seen.chain) {
            None => {
                seen.chain =
                    Chain { entries: entry.index, head: JournalHash(entry.hash.to_owned()) };
            }
            Some((problem, missing)) => {
                seen.broken = true;
                let (seq, job) = (entry.seq, entry.job.to_owned());
                self.found.push(Found { link: BrokenLink { seq, job, problem }, missing });
            }
        }
    }

    /// Takes a job's record, and the end of its chain that is kept beside it. After all entries.
    pub(super) fn head(&mut self, job: &str, end: &Chain, record: &str) {
        if text::unseal::<JobRecord>(job, record).is_err() {
            let seq = self.jobs.get(job).map(|seen| seen.last_seq).unwrap_or_default();
            let problem = "the job's record, which budget and cool-down are read from, was changed";
            let link = BrokenLink { seq, job: job.to_owned(), problem: problem.to_owned() };
            self.found.push(Found { link, missing: false });
        }
        if *end == Chain::default() && !self.jobs.contains_key(job) {
            // A record without entries has no chain.
            return;
        }
        let seen = self.jobs.entry(job.to_owned()).or_default();
        seen.ended = true;
        if seen.broken || seen.chain == *end {
            return;
        }
        seen.broken = true;
        let there = seen.chain.entries;
        let problem = if end.entries > there {
            let missing = end.entries.saturating_sub(there);
            format!("the last {missing} of the job's {} entries are missing", end.entries)
        } else {
            format!(
                "the job's record says that its chain ends otherwise (after {} entries, not {there})",
                end.entries
            )
        };
        let (seq, job) = (seen.last_seq, job.to_owned());
        let missing = end.entries > there;
        self.found.push(Found { link: BrokenLink { seq, job, problem }, missing });
    }

    /// Ends the check. `issued` is the last number that the store gave out, where it knows.
    pub(super) fn finish(mut self, issued: Option<u64>) -> Verification {
        for (job, seen) in self.jobs.iter().filter(|(_, seen)| !seen.ended && !seen.broken) {
            let problem = "the job's record, which holds the end of its chain, is missing";
            let (seq, job) = (seen.last_seq, job.clone());
            let link = BrokenLink { seq, job, problem: problem.to_owned() };
            self.found.push(Found { link, missing: false });
        }
        let last = self.last_seq;
        if let Some(issued) = issued.filter(|issued| *issued > last && self.hole.is_none()) {
            self.hole = Some(Hole { seq: last, from: last.saturating_add(1), to: issued });
        }
        self.found.sort_by_key(|found| found.link.seq);
        let jobs = u64::try_from(self.jobs.len()).unwrap_or(u64::MAX);
        let hole = self.hole.map(|hole| self.name_hole(hole));
        let first = self.found.into_iter().map(|found| found.link).next();
        // A hole comes first where both show at one place: it is the cause.
        let broken = match (hole, first) {
            (Some(hole), Some(first)) if first.seq < hole.seq => Some(first),
            (Some(hole), _) => Some(hole),
            (None, first) => first,
        };
        Verification { entries: self.entries, pruned: self.pruned, jobs, broken }
    }

    /// A hole as a broken link: the job whose chain misses entries is the one they were of.
    fn name_hole(&self, hole: Hole) -> BrokenLink {
        let range = match hole.to.saturating_sub(hole.from) {
            0 => format!("entry {} is missing", hole.from),
            _ => format!("entries {} to {} are missing", hole.from, hole.to),
        };
        match self.found.iter().find(|found| found.missing) {
            Some(found) => {
                BrokenLink { seq: hole.seq, job: found.link.job.clone(), problem: range }
            }
            None => BrokenLink {
                seq: hole.seq,
                job: String::new(),
                problem: format!("{range}, and the record of the job they were of"),
            },
        }
    }
}

/// What is wrong with an entry that should follow `chain`, and whether entries before it are missing.
pub(super) fn problem_with(entry: &StoredEntry<'_>, chain: &Chain) -> Option<(String, bool)> {
    let due = chain.entries.saturating_add(1);
    if entry.index != due {
        let problem = format!(
            "it is entry {} of its job where entry {due} is due: entries were removed or moved",
            entry.index
        );
        return Some((problem, entry.index > due));
    }
    if chain.head.of_next(entry.body).0 != entry.hash {
        let problem = "its text does not match its hash: it, or the job's entry before it, was \
                       changed";
        return Some((problem.to_owned(), false));
    }
    let facts: EntryFacts = match serde_json::from_str(entry.body) {
        Ok(facts) => facts,
        Err(error) => return Some((format!("its text is no entry ({error})"), false)),
    };
    let column = if facts.index != entry.index {
        "place in the chain"
    } else if facts.job.key.store_key() != entry.job {
        "job"
    } else if text::nanoseconds(facts.at).ok() != Some(entry.at) {
        "time"
    } else {
        return None;
    };
    Some((format!("it is filed under another {column} than its text says"), false))
}
