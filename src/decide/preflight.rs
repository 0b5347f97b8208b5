//! May a job in this state be started? The table of the whole project.

use crate::model::{Observation, Policy, Reason, ScheduleState, StatusCode};

/// What the job's state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// Paused or in quarantine, and policy or a person permits it.
    Eligible,
    /// Runs already, or its first cycle is under way.
    Running,
    /// Must not be started until a person acts.
    Denied(Denial),
}

/// A no that asking again does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why, for scripts.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// What `--accept` would take.
    pub consent: Vec<String>,
}

/// The consent that Paused jobs need whose service-side pruning has not been cleaned up.
const ESCROWS_PRUNED: &str = "escrowsPruned";

/// Decides by state alone. Total over every code and schedule state: a new member of either enum
/// does not compile until it has a row here.
#[must_use]
pub fn preflight(policy: &Policy, observation: &Observation, accept: &[String]) -> Preflight {
    match &observation.code {
        StatusCode::Paused | StatusCode::Quarantine => consented(policy, observation, accept),
        StatusCode::Active => Preflight::Running,
        StatusCode::NotRun => match &observation.schedule {
            ScheduleState::Active => Preflight::Running,
            ScheduleState::Disabled | ScheduleState::Paused | ScheduleState::Other(_) => {
                Preflight::Denied(Denial {
                    reason: Reason::NotRun,
                    message: format!(
                        "the job has never run and its schedule is {}",
                        observation.schedule
                    ),
                    remedy: "turn provisioning on in the Entra admin centre; a guarded start is \
                             for jobs that ran before"
                        .to_owned(),
                    consent: Vec::new(),
                })
            }
        },
        StatusCode::NotConfigured => Preflight::Denied(Denial {
            reason: Reason::NotConfigured,
            message: "the job is not configured".to_owned(),
            remedy: "finish its provisioning setup (credentials and mappings) in the Entra admin \
                     centre"
                .to_owned(),
            consent: Vec::new(),
        }),
        StatusCode::Other(_) => Preflight::Denied(Denial {
            reason: Reason::UnknownState,
            message: match observation.code.as_str() {
                None => "Graph gave no status code for the job".to_owned(),
                Some(code) => format!("the job's status code {code:?} is not one startguard knows"),
            },
            remedy: "look at the job in the Entra admin centre; a newer startguard may know the \
                     code"
                .to_owned(),
            consent: Vec::new(),
        }),
    }
}

/// Paused or in quarantine: does policy leave this start to a person, and has one said so?
fn consented(policy: &Policy, observation: &Observation, accept: &[String]) -> Preflight {
    let named = |list: &[String], reason: &str| list.iter().any(|r| r.eq_ignore_ascii_case(reason));
    let reason = observation.quarantine.as_ref().and_then(|q| q.reason.as_deref());
    if let Some(reason) = reason.filter(|reason| !reason.chars().all(|c| c.is_ascii_alphanumeric()))
    {
        // Every reason that Graph publishes is one word. What is none may hide one that needs consent.
        return Preflight::Denied(Denial {
            reason: Reason::UnknownState,
            message: format!(
                "the job is {}, and its quarantine's reason {reason:?} is none that Graph gives",
                observation.code
            ),
            remedy: "look at the job in the Entra admin centre, and at what lies between here and \
                     Graph"
                .to_owned(),
            consent: Vec::new(),
        });
    }
    let pruned = observation.escrows_pruned.then_some(ESCROWS_PRUNED);
    let missing: Vec<String> = reason
        .into_iter()
        .chain(pruned)
        .filter(|reason| named(&policy.needs_consent, reason) && !named(accept, reason))
        .map(str::to_owned)
        .collect();
    if missing.is_empty() {
        return Preflight::Eligible;
    }
    let flags: Vec<String> = missing.iter().map(|reason| format!("--accept {reason}")).collect();
    Preflight::Denied(Denial {
        reason: Reason::NeedsConsent,
        message: format!(
            "the job is {}, and policy leaves that start to a person",
            observation.summary()
        ),
        remedy: format!("when the cause is understood: `startguard start JOB {}`", flags.join(" ")),
        consent: missing,
    })
}

#[cfg(test)]
mod tests;
