//! What stands for the entries of a job that were pruned, so that the rest of its chain still has a
//! beginning to be checked from.

use serde::{Deserialize, Serialize};

use super::{chain::Chain, fault::Fault, text};
use crate::model::JournalHash;

/// The last entry of a job that was pruned: all before it went as well. Kept, sealed, beside the
/// job's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkpoint {
    /// The job's store key, so that no job's checkpoint stands for another's.
    job: String,
    /// The entry's place in the chain, and so how many were pruned.
    place: u64,
    /// Its hash, which the next entry's covers.
    hash: JournalHash,
    /// When it was written, see [`text::nanoseconds`].
    at: i64,
}

impl Checkpoint {
    pub(super) fn new(job: &str, chain: &Chain, at: i64) -> Self {
        Self { job: job.to_owned(), place: chain.entries, hash: chain.head.clone(), at }
    }

    /// Where the chain begins: nothing was pruned where there is no text.
    pub(super) fn read(job: &str, sealed: Option<&str>) -> Result<Chain, Fault> {
        let Some(sealed) = sealed else { return Ok(Chain::default()) };
        let found: Self = text::unseal(format_args!("the checkpoint of {job}"), sealed)?;
        if found.job != job {
            return Err(Fault::damaged(format!(
                "is damaged: the checkpoint of {job} is that of {}",
                found.job
            )));
        }
        Ok(Chain { entries: found.place, head: found.hash })
    }

    /// As it is kept.
    pub(super) fn seal(&self) -> Result<String, Fault> {
        text::seal(format_args!("the checkpoint of {}", self.job), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_for_its_own_job_alone() -> Result<(), Fault> {
        let chain = Chain { entries: 7, head: JournalHash::genesis().of_next("x") };
        let sealed = Checkpoint::new("a", &chain, 1).seal()?;
        assert_eq!(Checkpoint::read("a", Some(&sealed))?, chain);
        assert_eq!(Checkpoint::read("a", None)?, Chain::default());
        assert!(Checkpoint::read("b", Some(&sealed)).is_err());
        assert!(Checkpoint::read("a", Some(&sealed.replace(":7", ":8"))).is_err());
        Ok(())
    }
}
