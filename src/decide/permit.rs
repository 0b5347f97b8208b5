//! The chain of custody of a start: [`Intent`] → (durable commit) → [`Receipt`] → [`Permit`].
//!
//! Each can be made only from the one before and is consumed by the next, so a start without a
//! state check, without a durable intent, or twice under one intent does not compile. A permit
//! cannot be forged:
//!
//! ```compile_fail
//! # use startguard::{decide::Permit, model::*};
//! # fn f(key: JobKey, token: FencingToken, attempt: AttemptId, tick: Tick) {
//! let permit = Permit { key, token, attempt, send_before: tick, not_after: tick };
//! # }
//! ```
//!
//! nor copied:
//!
//! ```compile_fail
//! # use startguard::decide::Permit;
//! # fn f(permit: Permit) -> (Permit, Permit) {
//! (permit.clone(), permit)
//! # }
//! ```
//!
//! nor used twice:
//!
//! ```compile_fail
//! # use startguard::{decide::Permit, ports::Graph};
//! # async fn f(graph: &dyn Graph, permit: Permit) {
//! graph.start(permit).await;
//! graph.start(permit).await;
//! # }
//! ```
//!
//! nor made of an intent that is not durable, since only a store issues receipts:
//!
//! ```compile_fail
//! # use startguard::decide::{Intent, Permit, Receipt};
//! # fn f(intent: Intent, tick: startguard::model::Tick) -> Option<Permit> {
//! intent.permit(Receipt::issue(None), tick)
//! # }
//! ```
//!
//! and an intent comes from [`crate::decide::start`] alone:
//!
//! ```compile_fail
//! # use startguard::{decide::Intent, model::{JobRecord, TenantRecord}};
//! # fn f(job: JobRecord, tenant: TenantRecord) {
//! let intent = Intent { job, tenant };
//! # }
//! ```

use std::time::Duration;

use crate::model::{AttemptId, FencingToken, JobKey, JobRecord, Policy, TenantRecord, Tick};

/// A start that was decided, and the records that say so; nothing may happen before they are durable.
#[derive(Debug)]
#[must_use]
pub struct Intent {
    pub(super) key: JobKey,
    pub(super) attempt: AttemptId,
    pub(super) token: FencingToken,
    pub(super) lease: Duration,
    pub(super) request_timeout: Duration,
    /// When the read that the start rests on becomes too old.
    pub(super) fresh_until: Tick,
    pub(super) job: JobRecord,
    pub(super) tenant: TenantRecord,
}

impl Intent {
    /// Longest time from the mark before the commit to the first byte of the POST (D in the
    /// cool-down bound of docs/guarantees.md). A commit takes milliseconds; a process that needs
    /// longer than this was paused, and what it read may no longer hold.
    pub const SEND_WITHIN: Duration = Duration::from_secs(5);

    /// The records to commit: the job's, with the start counted and the lease renewed, and the
    /// tenant's.
    #[must_use]
    pub fn records(&self) -> (&JobRecord, &TenantRecord) {
        (&self.job, &self.tenant)
    }

    /// The permit, once a store has acknowledged the intent; `None` if the receipt is for
    /// something else. `mark` is monotonic time taken **before** the records were read: the lease
    /// cannot have begun earlier.
    #[must_use]
    pub fn permit(self, receipt: Receipt, mark: Tick) -> Option<Permit> {
        if receipt.attempt != Some(self.attempt) {
            return None;
        }
        let alone = self.lease.saturating_sub(Policy::MARGIN);
        let send_within = alone.saturating_sub(self.request_timeout).min(Self::SEND_WITHIN);
        // A slow commit must not turn a fresh read into an old one.
        let send_before = mark.after(send_within).min(self.fresh_until);
        Some(Permit {
            key: self.key,
            token: self.token,
            attempt: self.attempt,
            send_before,
            not_after: mark.after(alone),
            request_timeout: self.request_timeout,
        })
    }
}

/// A store's word that a change is on stable storage. Only stores issue it.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    attempt: Option<AttemptId>,
}

impl Receipt {
    /// Issued by a store adapter, after the commit was acknowledged, for the attempt of the
    /// change's entry.
    pub(crate) fn issue(attempt: Option<AttemptId>) -> Self {
        Self { attempt }
    }
}

/// The right to POST start once, for one job, for a while.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    key: JobKey,
    token: FencingToken,
    attempt: AttemptId,
    send_before: Tick,
    not_after: Tick,
    request_timeout: Duration,
}

impl Permit {
    /// The job it is for.
    #[must_use]
    pub fn key(&self) -> &JobKey {
        &self.key
    }

    /// The attempt it belongs to.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The fencing token under which the intent was written.
    #[must_use]
    pub fn token(&self) -> FencingToken {
        self.token
    }

    /// How long from now the POST may still leave: nothing, once it is too late. What comes before
    /// its first byte, such as connecting, has to be over by then.
    #[must_use]
    pub fn time_to_leave(&self, now: Tick) -> Duration {
        now.until(self.send_before)
    }

    /// How long the POST may take if it is sent now; `None` when it is too late to send it.
    ///
    /// The lease must outlast the POST's deadline, whole: `Some` is never less than the request
    /// timeout and never reaches past the lease's end less the margin. And the read that the start
    /// rests on must still be fresh when it goes out, not only when it was decided on.
    #[must_use]
    pub fn time_left(&self, now: Tick) -> Option<Duration> {
        if now > self.send_before {
            return None;
        }
        let left = now.until(self.not_after);
        (left >= self.request_timeout).then_some(self.request_timeout)
    }
}
