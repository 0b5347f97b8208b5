//! The decision: take the lease, then start, deny, defer or leave alone.

use std::time::Duration;

use super::{
    breaker, budget,
    look_back::{self, Deferral, Refusal, View, whole_seconds},
    permit::Intent,
    preflight::{Denial, Preflight, preflight},
};
use crate::model::{
    Actor, AttemptId, FencingToken, JobKey, JobRecord, Lease, Moment, Observation, OutcomeKind,
    Policy, StartMark, StartResult, TenantRecord, Term, Tick,
};

/// Who asks for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The job.
    pub key: JobKey,
    /// The attempt.
    pub attempt: AttemptId,
    /// Who asks.
    pub actor: Actor,
    /// Who will hold the lease, in words: the actor and the process.
    pub holder: String,
    /// What a person has consented to by name.
    pub accept: Vec<String>,
}

/// The lease, granted: commit these records, then read the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The job's new record, which holds the lease.
    pub record: JobRecord,
    /// The fencing token drawn with it.
    pub token: FencingToken,
    /// The tenant's new record, where this caller's read is to probe a tripped breaker.
    pub tenant: Option<TenantRecord>,
}

/// What happens, now that the job has been read.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// Start it: commit the intent, then POST.
    Start(Box<Intent>),
    /// The state forbids it.
    Deny(Denial),
    /// Not now.
    Defer(Deferral),
    /// It runs already.
    Nothing,
    /// The clock stands before the newest entry.
    ClockBehind(Duration),
    /// The lease ran out, or the read is too old: this process was held up. Nothing was sent.
    TooLate(String),
}

/// Asks for the lease. Refused without a write when the records say no.
///
/// # Errors
/// The [`Refusal`].
pub fn acquire(policy: &Policy, view: View<'_>, ask: &Ask) -> Result<Grant, Refusal> {
    // An attempt that asks for the lease has none: one that bears its id is somebody else's.
    look_back::look_back(policy, view, None)?;
    let token = view.job.token.next();
    let mut record = view.job.clone();
    record.token = token;
    record.lease = Some(lease(policy, view, ask, token));
    Ok(Grant { record, token, tenant: breaker::probe(view.tenant, view.as_of) })
}

fn lease(policy: &Policy, view: View<'_>, ask: &Ask, token: FencingToken) -> Lease {
    Lease {
        holder: ask.holder.clone(),
        attempt: ask.attempt,
        token,
        term: Term { from: view.as_of.clone(), lasts: policy.lease },
    }
}

/// Decides on what was read under the lease. The only place that says start.
pub fn start(
    policy: &Policy,
    view: View<'_>,
    ask: &Ask,
    token: FencingToken,
    observation: &Observation,
    now: Tick,
) -> Decision {
    if let Err(no) = eligible(policy, view, &ask.accept, observation) {
        return no;
    }
    if let Err(refusal) = look_back::look_back(policy, view, Some(ask.attempt)) {
        return refusal.into();
    }
    let ours = view.job.lease.as_ref().is_some_and(|lease| {
        lease.attempt == ask.attempt
            && lease.token == token
            && lease.term.remaining(view.as_of).is_some()
    });
    if !ours {
        return Decision::TooLate("the lease ran out before the start was decided".to_owned());
    }
    let age = observation.began.until(now);
    // An earlier start that is in doubt is looked at inside its cool-down. A read that began before
    // the cool-down's end may show the job as it was before that start took effect.
    let past_the_read = policy.cooldown.saturating_add(age);
    if let Some((left, mark)) = budget::cooldown_wait(view.job, view.as_of, past_the_read) {
        let ago = whole_seconds(view.as_of.since(&mark.at));
        return Decision::Defer(look_back::in_doubt(mark, left, &ago));
    }
    if age > policy.status_max_age {
        return Decision::TooLate(format!(
            "the job was read {} ago, and a start may rest on a read of at most {}",
            whole_seconds(age),
            whole_seconds(policy.status_max_age)
        ));
    }
    let fresh_until = observation.began.after(policy.status_max_age);
    Decision::Start(Box::new(intend(policy, view, ask, token, fresh_until)))
}

/// Decides as [`start`] would, for a caller that holds no lease and changes nothing. `Ok`: a start
/// would go out now.
///
/// # Errors
/// The decision that is not a start.
pub fn rehearse(
    policy: &Policy,
    view: View<'_>,
    accept: &[String],
    observation: &Observation,
) -> Result<(), Decision> {
    look_back::look_back(policy, view, None)?;
    eligible(policy, view, accept, observation)
}

/// What the read adds to what the records say: the state, and an earlier start still in doubt.
fn eligible(
    policy: &Policy,
    view: View<'_>,
    accept: &[String],
    observation: &Observation,
) -> Result<(), Decision> {
    match preflight(policy, observation, accept) {
        Preflight::Running => return Err(Decision::Nothing),
        Preflight::Denied(denial) => return Err(Decision::Deny(denial)),
        Preflight::Eligible => {}
    }
    match look_back::unsettled(policy, view) {
        Some((mark, left)) => {
            let ago = whole_seconds(view.as_of.since(&mark.at));
            Err(Decision::Defer(look_back::in_doubt(mark, left, &ago)))
        }
        None => Ok(()),
    }
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Defer(deferral) => Self::Defer(deferral),
            Refusal::ClockBehind(behind) => Self::ClockBehind(behind),
        }
    }
}

/// The records with this start counted in them, the lease renewed for the POST.
fn intend(
    policy: &Policy,
    view: View<'_>,
    ask: &Ask,
    token: FencingToken,
    fresh_until: Tick,
) -> Intent {
    let mut job = view.job.clone();
    let mark = StartMark {
        attempt: ask.attempt,
        token,
        at: view.as_of.clone(),
        by: ask.actor.clone(),
        result: StartResult::Open,
        looked: None,
        forgiven: false,
    };
    budget::count_start(&mut job, mark, policy.window.max(policy.cooldown));
    job.lease = Some(lease(policy, view, ask, token));
    let mut tenant = view.tenant.clone();
    budget::count_tenant_start(&mut tenant, view.as_of);
    Intent {
        key: ask.key.clone(),
        attempt: ask.attempt,
        token,
        lease: policy.lease,
        request_timeout: policy.request_timeout,
        fresh_until,
        job,
        tenant,
    }
}

/// What a read says of an intent whose outcome was never recorded, or is in doubt: the record with
/// that written down, and, where it is news, the attempt and its outcome for the journal.
///
/// A job that runs: the start worked. One that is still stopped: still in doubt, looked at now.
#[must_use]
pub fn look_again(
    mut record: JobRecord,
    as_of: &Moment,
    own: AttemptId,
    observation: &Observation,
) -> (JobRecord, Option<(AttemptId, OutcomeKind)>) {
    let newest = record.starts.iter_mut().rfind(|mark| mark.attempt != own);
    let Some(mark) = newest else { return (record, None) };
    match mark.result {
        StartResult::Started | StartResult::Rejected => return (record, None),
        StartResult::Open | StartResult::InDoubt => {}
    }
    mark.looked = Some(as_of.clone());
    let result = match observation.runs() {
        true => StartResult::Started,
        false => StartResult::InDoubt,
    };
    let news = (mark.result != result).then(|| {
        let outcome = match observation.runs() {
            true => OutcomeKind::Started,
            false => OutcomeKind::InDoubt,
        };
        (mark.attempt, outcome)
    });
    mark.result = result;
    (record, news)
}

#[cfg(test)]
mod tests;
