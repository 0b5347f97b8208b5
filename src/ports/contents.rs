//! Everything a store holds, for moving it to another.

use crate::{
    model::{JournalHash, Moment},
    ports::Version,
};

/// What a store holds, as it holds it: texts, of which hashes were taken, not values. It is held in
/// memory whole; a million journal entries take about a gigabyte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The **store's** clock when it was read.
    pub as_of: Moment,
    /// Records of jobs, in the order of their keys.
    pub jobs: Vec<StoredJob>,
    /// Records of tenants, in the order of their keys.
    pub tenants: Vec<StoredTenant>,
    /// The journal, oldest first. Its numbers are the store's own; places within jobs stay.
    pub journal: Vec<StoredLink>,
}

/// A job's record and the end of its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// The job's store key.
    pub key: String,
    /// The record's version.
    pub version: Version,
    /// The record's text.
    pub record: String,
    /// How many entries the chain has.
    pub entries: u64,
    /// The hash of the last one.
    pub head: JournalHash,
    /// The text that stands for entries which were pruned, if any were.
    pub checkpoint: Option<String>,
}

/// A tenant's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTenant {
    /// The tenant's store key.
    pub key: String,
    /// The record's version.
    pub version: Version,
    /// The record's text.
    pub record: String,
}

/// A journal entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLink {
    /// The job's store key.
    pub job: String,
    /// Its place in the job's chain, from 1.
    pub place: u64,
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// The text that the hash covers.
    pub body: String,
    /// The hash.
    pub hash: JournalHash,
}

/// What pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// So many entries were removed.
    pub entries: u64,
    /// More may be due: as many were removed as one call may remove.
    pub more: bool,
}

/// How filling a store ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Filled {
    /// Everything is in it, durably.
    Yes,
    /// It holds something already. Nothing was written.
    InUse,
}
