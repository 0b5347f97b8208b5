//! What one read of a job said, and when.

use super::{Job, Quarantine, ScheduleState, StatusCode, Tick, Timestamp};

/// What one read said. It ages from the moment the read **began**.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// `status.code`.
    pub code: StatusCode,
    /// `schedule.state`.
    pub schedule: ScheduleState,
    /// The quarantine, where there is one.
    pub quarantine: Option<Quarantine>,
    /// `status.escrowsPruned`.
    pub escrows_pruned: bool,
    /// Civil time at which the read began, for people to read.
    pub read_at: Timestamp,
    /// Monotonic time at which the read began, for its age.
    pub began: Tick,
}

impl Observation {
    /// What `job` said to a read that began at `read_at` / `began`.
    #[must_use]
    pub fn of(job: &Job, read_at: Timestamp, began: Tick) -> Self {
        Self {
            code: job.code.clone(),
            schedule: job.schedule.clone(),
            quarantine: job.quarantine.clone(),
            escrows_pruned: job.escrows_pruned,
            read_at,
            began,
        }
    }

    /// Whether the job runs: it reads Active, or `NotRun` with its schedule Active (the first cycle is
    /// under way).
    #[must_use]
    pub fn runs(&self) -> bool {
        match (&self.code, &self.schedule) {
            (StatusCode::Active, _) | (StatusCode::NotRun, ScheduleState::Active) => true,
            (
                StatusCode::NotRun
                | StatusCode::NotConfigured
                | StatusCode::Paused
                | StatusCode::Quarantine
                | StatusCode::Other(_),
                _,
            ) => false,
        }
    }

    /// Whether the job is still where a start finds it: Paused or in Quarantine.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.code, StatusCode::Paused | StatusCode::Quarantine)
    }

    /// The code with what holds the job in brackets, as one line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let reason = self.quarantine.as_ref().and_then(|q| q.reason.as_deref());
        let pruned = self.escrows_pruned.then_some("escrowsPruned");
        let why: Vec<&str> = reason.into_iter().chain(pruned).collect();
        if why.is_empty() {
            return self.code.to_string();
        }
        format!("{} ({})", self.code, why.join(", "))
    }
}
