//! What the records alone say: a deferral found here costs no request.

use std::time::Duration;

use super::budget;
use crate::model::{
    AttemptId, Hold, JobRecord, Lease, Moment, Policy, Reason, StartMark, StartResult,
    TenantRecord, Timestamp,
};

/// How far a clock may stand before the newest journal entry and still count as "now". Time
/// services slew by milliseconds and step back by fractions of a second; more is a clock set back.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// An intent in doubt is looked at again by a read, at most this often: often enough to notice soon
/// that it worked, seldom enough that a crowd of callers costs next to nothing.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Both records as of one moment of the store's clock.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The job's.
    pub job: &'a JobRecord,
    /// The tenant's.
    pub tenant: &'a TenantRecord,
    /// The store's clock.
    pub as_of: &'a Moment,
    /// When the journal's newest entry was written.
    pub latest_entry: Option<Timestamp>,
}

/// Not now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferral {
    /// Why, for scripts.
    pub reason: Reason,
    /// When to ask again; `None` when that is up to a person.
    pub retry_after: Option<Duration>,
    /// Why, for people.
    pub message: String,
    /// What to do other than wait.
    pub remedy: Option<String>,
}

/// Why the records forbid to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not now.
    Defer(Deferral),
    /// The clock stands before the newest entry: no time that is told from it can be trusted.
    ClockBehind(Duration),
}

/// Asks the records. `own` is the attempt that asks, whose own lease is no hindrance.
///
/// Of several hindrances an operator's hold is told first, whatever the clock says; then a clock
/// that stands wrong; then the one that lasts longest, so that the time to retry is one at which it
/// may work.
///
/// # Errors
/// The [`Refusal`].
pub fn look_back(policy: &Policy, view: View<'_>, own: Option<AttemptId>) -> Result<(), Refusal> {
    if let Some(held) = on_hold(view.job.hold.as_ref(), view.as_of) {
        return Err(Refusal::Defer(held));
    }
    if let Some(behind) = clock_behind(view.as_of, view.latest_entry) {
        return Err(Refusal::ClockBehind(behind));
    }
    let hindrances = [
        lease_held(view, own),
        cooling_down(policy, view, own),
        window_used_up(policy, view),
        throttled(view),
        breaker_tripped(view),
        tenant_used_up(policy, view),
    ];
    match hindrances.into_iter().flatten().max_by_key(|deferral| deferral.retry_after) {
        Some(deferral) => Err(Refusal::Defer(deferral)),
        None => Ok(()),
    }
}

/// By how much a clock stands before the newest entry; `None` where it is no more than time services
/// step back by.
#[must_use]
pub fn clock_behind(as_of: &Moment, latest_entry: Option<Timestamp>) -> Option<Duration> {
    latest_entry.map(|latest| as_of.behind(latest)).filter(|behind| *behind > CLOCK_TOLERANCE)
}

/// The job's newest intent, if what became of it is unknown and its cool-down is not over.
pub(super) fn unsettled<'a>(policy: &Policy, view: View<'a>) -> Option<(&'a StartMark, Duration)> {
    let (left, mark) = budget::cooldown_wait(view.job, view.as_of, policy.cooldown)?;
    match mark.result {
        StartResult::Open | StartResult::InDoubt => Some((mark, left)),
        StartResult::Started | StartResult::Rejected => None,
    }
}

fn on_hold(hold: Option<&Hold>, as_of: &Moment) -> Option<Deferral> {
    let hold = hold?;
    let left = hold.in_force(as_of)?;
    Some(Deferral {
        reason: Reason::OnHold,
        retry_after: left,
        message: format!("on hold by {}: {}", hold.by, hold.reason),
        remedy: Some("`startguard release JOB` lifts it".to_owned()),
    })
}

/// The lease of another attempt, while it lasts, and what is left of it.
#[must_use]
pub fn holder(view: View<'_>, own: Option<AttemptId>) -> Option<(&Lease, Duration)> {
    let lease = view.job.lease.as_ref().filter(|lease| Some(lease.attempt) != own)?;
    Some((lease, lease.term.remaining(view.as_of)?))
}

fn lease_held(view: View<'_>, own: Option<AttemptId>) -> Option<Deferral> {
    let (lease, left) = holder(view, own)?;
    Some(Deferral {
        reason: Reason::LeaseHeld,
        retry_after: Some(left),
        message: format!("{} is at this job right now", lease.holder),
        remedy: Some("`--lease-wait DURATION` waits for it".to_owned()),
    })
}

fn cooling_down(policy: &Policy, view: View<'_>, own: Option<AttemptId>) -> Option<Deferral> {
    let (left, mark) = budget::cooldown_wait(view.job, view.as_of, policy.cooldown)?;
    let ago = whole_seconds(view.as_of.since(&mark.at));
    if unsettled(policy, view).is_some() && holder(view, own).is_none() {
        // Its holder is gone, and a read may settle it; what the read shows is decided on then.
        let looked = mark.looked.as_ref().is_some_and(|at| view.as_of.since(at) < LOOK_AGAIN);
        return looked.then(|| in_doubt(mark, left, &ago));
    }
    Some(Deferral {
        reason: Reason::Cooldown,
        retry_after: Some(left),
        message: format!(
            "cooling down: {} asked for a start {ago} ago, and policy wants {} between two",
            mark.by,
            whole_seconds(policy.cooldown)
        ),
        remedy: None,
    })
}

/// The deferral for an intent whose fate is unknown.
pub(super) fn in_doubt(mark: &StartMark, left: Duration, ago: &str) -> Deferral {
    Deferral {
        reason: Reason::InDoubt,
        retry_after: Some(left),
        message: format!(
            "in doubt: what became of the start that {} asked for {ago} ago is not known, and it \
             may yet work",
            mark.by
        ),
        remedy: Some("`startguard status JOB` shows whether it worked".to_owned()),
    }
}

fn window_used_up(policy: &Policy, view: View<'_>) -> Option<Deferral> {
    let limit = policy.max_starts.get();
    let left = budget::job_wait(view.job, view.as_of, limit, policy.window)?;
    let mut users: Vec<&str> = view
        .job
        .starts
        .iter()
        .filter(|mark| !mark.forgiven && view.as_of.since(&mark.at) < policy.window)
        .map(|mark| mark.by.0.as_str())
        .collect();
    users.dedup();
    Some(Deferral {
        reason: Reason::BudgetExhausted,
        retry_after: Some(left),
        message: format!(
            "budget used up: {limit} of {limit} starts within {} (by {})",
            whole_seconds(policy.window),
            users.join(", ")
        ),
        remedy: Some("`startguard reset JOB --reason TEXT` gives the budget back".to_owned()),
    })
}

fn throttled(view: View<'_>) -> Option<Deferral> {
    let throttle = view.tenant.throttle.as_ref()?;
    Some(Deferral {
        reason: Reason::Throttled,
        retry_after: Some(throttle.term.remaining(view.as_of)?),
        message: format!("Graph said to wait (HTTP {} with Retry-After)", throttle.status),
        remedy: None,
    })
}

fn breaker_tripped(view: View<'_>) -> Option<Deferral> {
    let breaker = &view.tenant.breaker;
    Some(Deferral {
        reason: Reason::BreakerOpen,
        retry_after: Some(breaker.rest.as_ref()?.remaining(view.as_of)?),
        message: format!("Graph failed {} times in a row and is given a rest", breaker.failures),
        remedy: Some("`startguard doctor` shows whether Graph can be reached".to_owned()),
    })
}

fn tenant_used_up(policy: &Policy, view: View<'_>) -> Option<Deferral> {
    let limit = policy.tenant_starts_per_minute.get();
    Some(Deferral {
        reason: Reason::TenantBudgetExhausted,
        retry_after: Some(budget::tenant_wait(view.tenant, view.as_of, limit)?),
        message: format!("the tenant's {limit} starts for this minute are used up"),
        remedy: None,
    })
}

/// A duration as people say it, in whole seconds, rounded up.
pub(super) fn whole_seconds(span: Duration) -> String {
    let rounded = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

#[cfg(test)]
mod tests;
