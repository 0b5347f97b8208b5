//! The one shell that may start a job.
//!
//! A start walks through these steps, and every path that can POST walks through all of them:
//!
//! 1. **Join or lead** (`flight`): callers of this process that want the same share one attempt.
//! 2. **Pace** (`pace`): a storm is refused before it costs a store call or a request.
//! 3. **Lease** and 4. **look back** (`attempt`): the records say no, or grant the lease.
//! 5. **Observe**: one read of the job.
//! 6. **Decide** ([`crate::decide::start`]): pure and total; the only place that says start.
//! 7. **Intend**: the intent is made durable, together with what was observed.
//! 8. **POST once** (`settle`), while the permit's time lasts.
//! 9. **Settle**: a lost answer is followed by reads, never by a second POST.
//! 10. **Record and release** (`record`), in one commit.
//!
//! # Guarantees
//! S1 to S8 of docs/guarantees.md, for every caller that shares the store.
//!
//! # Assumptions
//! The store keeps the promises of [`crate::ports::Store`]; all who start the job ask a guard.
//!
//! # Caveats
//! Graph's start takes no fencing token: that the job is still stopped when the POST arrives
//! cannot be promised.

mod attempt;
mod end;
mod flight;
mod operate;
mod pace;
mod read;
mod record;
mod settle;
mod share;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    model::{Actor, Answer, JobRef, Policy, TenantKey},
    ports::{Clock, Entropy, Graph, Store, StoreError},
};

pub use operate::{OperateError, Operated};
pub use pace::PaceSettings;
pub use read::{ReadError, StatusReport};

/// What a guard is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The store that all who guard the same jobs share.
    pub store: Arc<dyn Store>,
    /// Microsoft Graph.
    pub graph: Arc<dyn Graph>,
    /// Clocks and sleep.
    pub clock: Arc<dyn Clock>,
    /// Random numbers and ids.
    pub entropy: Arc<dyn Entropy>,
    /// Whose budget and throttling the calls belong to.
    pub tenant: TenantKey,
    /// Pace of the tenant's requests, over all who share the store.
    pub pace: PaceSettings,
    /// This process, in words, for those who find its lease (`pid 4711`).
    pub process: String,
    /// Cancelled when the program is told to stop: attempts end before their next step; a POST in
    /// flight is given its answer or its deadline first.
    pub stop: CancellationToken,
}

/// One ask to start one job.
#[derive(Debug, Clone)]
pub struct Request {
    /// The job.
    pub job: JobRef,
    /// What the operator's configuration allows for it.
    pub policy: Policy,
    /// Who asks.
    pub actor: Actor,
    /// What a person consents to by name (`--accept`).
    pub accept: Vec<String>,
    /// Why, in the caller's words; kept in the journal.
    pub reason: Option<String>,
    /// Read and decide, change nothing, spend nothing.
    pub dry_run: bool,
    /// How long to wait for another holder of the lease.
    pub lease_wait: Duration,
    /// Stay until the job has left Paused and Quarantine, at most so long.
    pub wait: Option<Duration>,
}

/// The guard. Cheap to clone; clones share flights and pace.
#[derive(Debug, Clone)]
pub struct Guard {
    core: Arc<Core>,
    flights: flight::Flights,
}

/// What every step of an attempt uses.
#[derive(Debug)]
struct Core {
    parts: Parts,
    pace: pace::Pace,
    share: share::Share,
}

impl Guard {
    /// A guard over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let pace = pace::Pace::new(&parts.pace, Arc::clone(&parts.clock));
        Self {
            core: Arc::new(Core { parts, pace, share: share::Share::default() }),
            flights: flight::Flights::default(),
        }
    }

    /// The guarded start. Concurrent callers that ask for the same share one attempt; a caller that
    /// drops this future cancels nothing.
    pub async fn start(&self, request: Request) -> Answer {
        let began = self.core.parts.clock.tick();
        let core = Arc::clone(&self.core);
        let mut answer = self.flights.join_or_lead(flight::Key::of(&request), request, core).await;
        // As this caller saw it, which may have joined late.
        let elapsed = began.until(self.core.parts.clock.tick());
        answer.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        answer
    }

    /// The store, for what only reads or checks it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.core.parts.store
    }
}

/// Most conflicts in a row that one commit takes. Each means that somebody else's commit went
/// through, so a few are usual and hundreds are not: a store that only ever answers "conflict" must
/// not keep an attempt for ever.
const MOST_CONFLICTS: u32 = 1_000;

/// Longest pause after a conflict. Jobs of one tenant share its record: a crowd that reads again at once
/// would meet there again. Some commits' worth of time spreads out as many as can well come together.
const STEP_ASIDE_AT_MOST: Duration = Duration::from_millis(32);

/// Counts how often somebody else was first.
#[derive(Debug, Default)]
struct Conflicts(u32);

impl Core {
    /// Pauses after a conflict: for a random time, which may be twice as long after each in a row.
    async fn step_aside(&self, conflicts: &Conflicts) {
        let most = Duration::from_millis(1_u64.checked_shl(conflicts.0).unwrap_or(u64::MAX));
        let most = most.min(STEP_ASIDE_AT_MOST).as_micros();
        let span = u128::from(self.parts.entropy.number()).checked_rem(most).unwrap_or_default();
        let span = Duration::from_micros(u64::try_from(span).unwrap_or_default());
        self.parts.clock.sleep(span).await;
    }
}

impl Conflicts {
    /// Once more.
    ///
    /// # Errors
    /// That this was once too often.
    fn one_more(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        self.0 = self.0.saturating_add(1);
        if self.0 < MOST_CONFLICTS {
            return Ok(());
        }
        Err(StoreError {
            store: store.describe(),
            problem: format!("was changed by others {MOST_CONFLICTS} times before each commit"),
            remedy: "ask again; if it happens twice, see who writes to it".to_owned(),
            source: None,
        })
    }
}
