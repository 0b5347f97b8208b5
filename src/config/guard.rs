//! `[guard]`: what is allowed.

use std::{collections::BTreeSet, time::Duration};

use super::{
    ConfigError, bounds,
    error::quoted,
    graph::at_least_one,
    keys::nearest,
    layers::required,
    written::{Layer, Written},
};
use crate::model::Policy;

/// Longest reason accepted, in characters; Microsoft's longest has 34.
const LONGEST_REASON: usize = 64;

/// The quarantine reasons of Microsoft Graph's `quarantineReason`, and the one stop that is no
/// quarantine and still a person's to lift.
const REASONS: [&str; 9] = [
    "EncounteredBaseEscrowThreshold",
    "EncounteredTotalEscrowThreshold",
    "EncounteredEscrowProportionThreshold",
    "EncounteredQuarantineException",
    "Unknown",
    "QuarantinedOnDemand",
    "TooManyDeletes",
    "IngestionInterrupted",
    "escrowsPruned",
];

/// Reads the policy that a layer of guard settings describes.
pub(super) fn policy(layer: &Layer, request_timeout: Duration) -> Result<Policy, ConfigError> {
    let lease = required(layer, "lease")?;
    Ok(Policy {
        cooldown: required(layer, "cooldown")?.duration(&bounds::COOLDOWN)?,
        max_starts: at_least_one(layer, "max_starts", bounds::MAX_STARTS)?,
        window: required(layer, "window")?.duration(&bounds::WINDOW)?,
        tenant_starts_per_minute: at_least_one(
            layer,
            "tenant_starts_per_minute",
            bounds::TENANT_STARTS,
        )?,
        lease: long_enough(lease, lease.duration(&bounds::LEASE)?, request_timeout)?,
        status_max_age: required(layer, "status_max_age")?.duration(&bounds::STATUS_MAX_AGE)?,
        request_timeout,
        needs_consent: reasons(required(layer, "needs_consent")?)?,
        auto_reasons: reasons(required(layer, "auto_reasons")?)?,
    })
}

/// A holder must be able to await its POST's answer while the job is still its own.
fn long_enough(
    written: &Written,
    lease: Duration,
    request_timeout: Duration,
) -> Result<Duration, ConfigError> {
    let least = request_timeout.saturating_add(Policy::LEASE_SLACK);
    if lease >= least {
        return Ok(lease);
    }
    let say = humantime::format_duration;
    Err(ConfigError::new(
        format!(
            "{} ({}) does not exceed `[graph] request_timeout` ({}) by {}, so that a start could \
             outlast its lease",
            written.place(),
            say(lease),
            say(request_timeout),
            say(Policy::LEASE_SLACK)
        ),
        format!("set `lease` to at least {}, or lower `request_timeout`", say(least)),
    ))
}

/// A list of reasons: words, as Graph spells them, each once.
fn reasons(written: &Written) -> Result<Vec<String>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for reason in written.list()? {
        let is_word = !reason.is_empty()
            && reason.chars().count() <= LONGEST_REASON
            && reason.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !is_word {
            return Err(written.problem(
                format_args!("{} is not a reason", quoted(&reason)),
                "write reasons as Graph spells them, such as TooManyDeletes",
            ));
        }
        if seen.insert(reason.to_ascii_lowercase()) {
            kept.push(reason);
        }
    }
    Ok(kept)
}

/// What may come of guard settings that are not wrong in themselves. Only keys that `chosen` holds
/// for are looked at, so that a job does not repeat what was said of `[guard]`.
pub(super) fn doubts(layer: &Layer, policy: &Policy, chosen: impl Fn(&str) -> bool) -> Vec<String> {
    let place = |key: &str| layer.get(key).map_or_else(|| key.to_owned(), Written::place);
    let mut doubts = Vec::new();
    let safe = bounds::shortest_safe_cooldown(policy.request_timeout);
    if chosen("cooldown") && policy.cooldown < safe {
        doubts.push(format!(
            "{} ({}) is below {} s, the shortest cool-down with which no start can reach a job that \
             an earlier start set running (docs/guarantees.md)",
            place("cooldown"),
            humantime::format_duration(policy.cooldown),
            safe.as_secs()
        ));
    }
    for (key, list) in
        [("needs_consent", &policy.needs_consent), ("auto_reasons", &policy.auto_reasons)]
    {
        for reason in list.iter().filter(|reason| chosen(key) && !is_known(reason)) {
            doubts.push(format!(
                "{}: {} is no reason that Microsoft documents; the nearest one is {}",
                place(key),
                quoted(reason),
                nearest(reason, REASONS).unwrap_or_default()
            ));
        }
    }
    let either = chosen("needs_consent") || chosen("auto_reasons");
    for reason in policy.auto_reasons.iter().filter(|_| either) {
        if policy.needs_consent.iter().any(|other| other.eq_ignore_ascii_case(reason)) {
            doubts.push(format!(
                "{}: {} also stands in `needs_consent`, so the controller will not start it",
                place("auto_reasons"),
                quoted(reason)
            ));
        }
    }
    doubts
}

fn is_known(reason: &str) -> bool {
    REASONS.iter().any(|known| known.eq_ignore_ascii_case(reason))
}
