//! Moving everything from one store to another.

use std::time::Duration;

use super::text;
use crate::{
    model::{JobRecord, Moment, TenantKey},
    ports::{Contents, Filled, Store, StoreError},
};

/// By how much the clocks of two stores may differ. What is moved are times by the source's clock, and
/// from then on they are compared with the target's: one that is ahead shortens every cool-down by as
/// much. Synchronised clocks are far closer than this, and the shortest cool-down is far longer.
const MOST_SKEW: Duration = Duration::from_secs(2);

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Records of jobs.
    pub jobs: usize,
    /// Records of tenants.
    pub tenants: usize,
    /// Journal entries.
    pub entries: usize,
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A store has no answer.
    #[error("nothing was moved")]
    Store(#[from] StoreError),
    /// The source's journal does not hold.
    #[error("nothing was moved: the journal of {store} is broken at entry {seq}: {problem}")]
    Broken {
        /// The source.
        store: String,
        /// Where.
        seq: u64,
        /// What is wrong.
        problem: String,
    },
    /// The source holds nothing: most likely another one was meant.
    #[error("nothing was moved: {store} holds nothing")]
    SourceEmpty {
        /// The source.
        store: String,
    },
    /// Somebody works with the source.
    #[error("nothing was moved: {holder} holds a lease in {store}")]
    SourceInUse {
        /// The source.
        store: String,
        /// Who.
        holder: String,
    },
    /// The target's clock tells another time.
    #[error("nothing was moved: the clock of {to} is {} s {way} that of {from}", .skew.as_secs())]
    Clocks {
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// By how much they differ, at least.
        skew: Duration,
        /// In which direction.
        way: &'static str,
    },
    /// The target holds something already.
    #[error("nothing was moved: {store} is in use")]
    TargetInUse {
        /// The target.
        store: String,
    },
    /// Writing the target, or reading it back, gave no clear answer.
    #[error("the target gave no clear answer, and holds everything or nothing")]
    Unclear(#[source] StoreError),
    /// What was read back is not what was written.
    #[error("{store} does not hold what was moved to it")]
    Differs {
        /// The target.
        store: String,
    },
}

impl MigrateError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::Store(error) | Self::Unclear(error) => &error.remedy,
            Self::Broken { .. } => {
                "find out who changed it (`startguard history --verify`), or begin with an empty store"
            }
            Self::SourceEmpty { .. } => {
                "name the store that is in use so far (`startguard doctor` shows it)"
            }
            Self::SourceInUse { .. } => {
                "stop every startguard that uses it, and ask again once the lease has run out"
            }
            Self::Clocks { .. } => {
                "set both clocks right (time synchronisation, such as chrony), and ask again; or wait \
                 until every cool-down and window has passed, and begin with an empty store"
            }
            Self::TargetInUse { .. } => "name an empty store; nothing is ever written over",
            Self::Differs { .. } => "do not use it; report this as a defect",
        }
    }
}

/// Copies all records and the journal from `from` to the empty store `to`, and checks them there.
///
/// Every startguard that uses `from` must have been stopped, and must use `to` from then on: two
/// stores are two guards. A live lease in `from` shows that one was not. The clocks of both must agree,
/// since cool-downs and budgets go on by that of `to`.
///
/// # Errors
/// [`MigrateError`] with the remedy. Nothing was moved, except where it speaks of what the target
/// holds.
pub async fn migrate(from: &dyn Store, to: &dyn Store) -> Result<Migrated, MigrateError> {
    if let Some(broken) = from.verify().await?.broken {
        let store = from.describe();
        return Err(MigrateError::Broken { store, seq: broken.seq, problem: broken.problem });
    }
    let contents = from.contents().await?;
    if let Some(holder) = holder(&contents) {
        return Err(MigrateError::SourceInUse { store: from.describe(), holder });
    }
    if contents.jobs.is_empty() && contents.tenants.is_empty() && contents.journal.is_empty() {
        return Err(MigrateError::SourceEmpty { store: from.describe() });
    }
    same_time(from, to).await?;
    if to.fill(&contents).await.map_err(MigrateError::Unclear)? == Filled::InUse {
        return Err(MigrateError::TargetInUse { store: to.describe() });
    }
    let moved = to.contents().await.map_err(MigrateError::Unclear)?;
    let same = (&moved.jobs, &moved.tenants, &moved.journal)
        == (&contents.jobs, &contents.tenants, &contents.journal);
    let verified = to.verify().await.map_err(MigrateError::Unclear)?;
    if !same || verified.broken.is_some() {
        return Err(MigrateError::Differs { store: to.describe() });
    }
    Ok(Migrated {
        jobs: contents.jobs.len(),
        tenants: contents.tenants.len(),
        entries: contents.journal.len(),
    })
}

/// Refuses stores whose clocks differ. The source is asked before and after the target, so that the time
/// the answers take is not taken for a difference.
async fn same_time(from: &dyn Store, to: &dyn Store) -> Result<(), MigrateError> {
    let before = time_of(from).await?;
    let there = time_of(to).await?;
    let after = time_of(from).await?;
    let ahead = after.behind(there.at);
    let behind = there.behind(before.at);
    let (skew, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    if skew > MOST_SKEW {
        return Err(MigrateError::Clocks { from: from.describe(), to: to.describe(), skew, way });
    }
    Ok(())
}

/// What a store's clock says. Every read brings it along; that of a tenant is the smallest.
async fn time_of(store: &dyn Store) -> Result<Moment, StoreError> {
    let nobody = TenantKey::new(None, "clock");
    Ok(store.load_tenant(&nobody).await?.1)
}

/// Who holds a lease that has not run out.
fn holder(contents: &Contents) -> Option<String> {
    contents.jobs.iter().find_map(|job| {
        // A record that cannot be read stays as it is: the target refuses it as the source did.
        let record: JobRecord = text::unseal(&job.key, &job.record).ok()?;
        let lease = record.lease?;
        lease.term.remaining(&contents.as_of).map(|_| lease.holder)
    })
}
