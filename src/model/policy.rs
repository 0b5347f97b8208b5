//! What an operator allows for a job.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

/// What the controller does about a job that it finds stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnState {
    /// Start it, through the guard.
    Start,
    /// Tell a person.
    Alert,
    /// Leave it alone.
    Ignore,
}

/// The `[guard]` settings that hold for one job. Defaults and their reasons: `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Least time between two starts of the job, counted from the intent.
    pub cooldown: Duration,
    /// Most starts in any `window`.
    pub max_starts: NonZeroU32,
    /// Length of the window.
    pub window: Duration,
    /// Most starts of the whole tenant in any minute.
    pub tenant_starts_per_minute: NonZeroU32,
    /// How long a holder keeps a job to itself without a sign of life.
    pub lease: Duration,
    /// Oldest read that a start may rest on.
    pub status_max_age: Duration,
    /// Deadline of one Graph request, the POST included. Less than `lease`, see [`Policy::LEASE_SLACK`].
    pub request_timeout: Duration,
    /// Quarantine reasons (and `escrowsPruned`) that a person must accept by name.
    pub needs_consent: Vec<String>,
    /// The only quarantine reasons that the controller starts by itself.
    pub auto_reasons: Vec<String>,
}

impl Policy {
    /// By how much `lease` must exceed `request_timeout`: room for the read before the POST, the
    /// commit of the intent and [`Policy::MARGIN`].
    pub const LEASE_SLACK: Duration = Duration::from_millis(500);

    /// What a permit's deadline stays short of the lease's end: covers a monotonic clock that runs
    /// up to some tenths of a percent slower than the store's over the longest usual lease, and the
    /// time from the last check to the first byte on an idle machine.
    pub const MARGIN: Duration = Duration::from_millis(200);
}
