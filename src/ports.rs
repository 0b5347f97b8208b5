//! What the guard needs of the world, as traits; the adapters implement them.

mod contents;
mod graph;
mod store;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::model::{BootTime, Tick, Timestamp};

pub use contents::{Contents, Filled, Pruned, StoredJob, StoredLink, StoredTenant};
pub use graph::{Cost, Graph, GraphError, SpLookup, Told};
pub use store::{
    Change, Commit, Finding, JobWrite, Snapshot, Store, StoreError, StoreReport, TenantWrite,
    Version, Versioned,
};

/// Clocks and sleep. The only implementation that reads the machine's clocks is `crate::clock`.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Civil time.
    fn wall(&self) -> Timestamp;
    /// Monotonic time that goes on in suspend.
    fn tick(&self) -> Tick;
    /// Time since boot with the boot's id, where the machine tells both.
    fn boot(&self) -> Option<BootTime>;
    /// Returns once `span` has passed.
    async fn sleep(&self, span: Duration);
}

/// Random numbers and unique ids. The only implementation that draws them is `crate::entropy`.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// A number drawn evenly from all.
    fn number(&self) -> u64;
    /// A version 7 UUID for the civil time `now`.
    fn uuid(&self, now: Timestamp) -> uuid::Uuid;
}

/// An access token and when it ends.
#[derive(Clone)]
pub struct Token {
    /// The bearer token. Never logged.
    pub secret: SecretString,
    /// When it ends, where that is known; a bare token does not tell.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("no access token from {credential}: {problem}")]
pub struct IdentityError {
    /// Which credential was asked, in words.
    pub credential: String,
    /// What went wrong, in one line, without secrets (with the AADSTS code where there is one).
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether asking again later may help (the endpoint was away), as opposed to a wrong secret.
    pub transient: bool,
}

/// Where tokens come from.
#[async_trait]
pub trait Identity: Send + Sync + fmt::Debug {
    /// A token; from the cache while that one lives longer than `at_least` from now.
    ///
    /// Bounded in time by the adapter's own deadline.
    ///
    /// # Errors
    /// [`IdentityError`] with the remedy.
    async fn token(&self, at_least: Duration) -> Result<Token, IdentityError>;

    /// Forgets the cached token, so that the next call gets a fresh one: Graph did not accept it.
    /// Returns false where no other token can be had (a token given by hand).
    async fn refresh(&self) -> bool;

    /// Which credential this is, in words; for `auto`, which one answered.
    fn describe(&self) -> String;
}
