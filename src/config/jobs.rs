//! `[jobs.NAME]`: the jobs that the operator names.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ConfigError,
    document::{WrittenJob, title_of},
    guard,
    keys::{JOB_KEYS, Table},
    layers::Layers,
};
use crate::model::{JobId, JobKey, OnState, Policy, ServicePrincipalRef};

/// What the controller does about a quarantine unless told otherwise: start it. `auto_reasons`
/// still says which, and the budget how often.
const ON_QUARANTINE: OnState = OnState::Start;

/// What the controller does about a pause unless told otherwise: tell a person. Somebody may have
/// paused the job on purpose, for a bulk load or a repair.
const ON_PAUSED: OnState = OnState::Alert;

/// One job of the configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSection {
    /// NAME of `[jobs.NAME]`.
    pub name: String,
    /// Who owns it.
    pub service_principal: ServicePrincipalRef,
    /// Which of the owner's jobs; `None` for its only one.
    pub job: Option<JobId>,
    /// What is allowed: the job's own settings over those of `[guard]`.
    pub policy: Policy,
    /// What the controller does when it finds the job in quarantine.
    pub on_quarantine: OnState,
    /// What the controller does when it finds the job paused.
    pub on_paused: OnState,
}

impl JobSection {
    /// The job's key, where the configuration says it whole: by object id and job id.
    #[must_use]
    pub fn key(&self) -> Option<JobKey> {
        match (&self.service_principal, &self.job) {
            (ServicePrincipalRef::Id(id), Some(job)) => {
                Some(JobKey { service_principal_id: id.clone(), job_id: job.clone() })
            }
            (ServicePrincipalRef::Id(_), None)
            | (ServicePrincipalRef::AppId(_) | ServicePrincipalRef::DisplayName(_), _) => None,
        }
    }

    /// Whether the configuration says that this is the job `key`.
    pub(super) fn is_for(&self, key: &JobKey) -> bool {
        // The owner first: it tells most jobs of a large fleet apart without a copy.
        matches!(&self.service_principal, ServicePrincipalRef::Id(id) if *id == key.service_principal_id)
            && self.key().is_some_and(|own| own.store_key() == key.store_key())
    }

    /// What is named, in one spelling; two entries that share it name one job.
    fn identity(&self) -> (String, Option<String>) {
        let owner = self.service_principal.to_string().to_lowercase();
        (owner, self.job.as_ref().map(|job| job.as_str().to_lowercase()))
    }
}

/// Reads every job.
pub(super) fn read(
    layers: &Layers,
    request_timeout: Duration,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, JobSection>, ConfigError> {
    let mut jobs = BTreeMap::new();
    let mut in_order: Vec<_> = layers.jobs.iter().collect();
    in_order.sort_by_key(|(_, written)| written.place.offset);
    let mut named = BTreeMap::new();
    for (name, written) in in_order {
        let job = read_one(name, written, layers, request_timeout, warnings)?;
        if let Some(twin) = named.insert(job.identity(), name) {
            return Err(ConfigError::new(
                format!(
                    "{}: {} names the same job as {}",
                    written.place,
                    title_of(name),
                    title_of(twin)
                ),
                "remove one of the two, so that the job has one policy",
            ));
        }
        jobs.insert(name.clone(), job);
    }
    Ok(jobs)
}

fn read_one(
    name: &str,
    written: &WrittenJob,
    layers: &Layers,
    request_timeout: Duration,
    warnings: &mut Vec<String>,
) -> Result<JobSection, ConfigError> {
    let title = title_of(name);
    let owner = written.keys.get("service_principal").ok_or_else(|| {
        ConfigError::new(
            format!("{}: {title} names no service_principal", written.place),
            "add service_principal = \"...\": an object id, appid:GUID or a display name",
        )
    })?;
    let service_principal =
        ServicePrincipalRef::parse(owner.text()?).map_err(|error| {
            owner.refuse(
            "names no service principal",
            "write an object id, appid:GUID (GUIDs with hyphens and nothing around them), or a \
             display name",
        ).because(error)
        })?;
    let job = written
        .keys
        .get("job")
        .map(|id| {
            JobId::parse(id.text()?).map_err(|error| {
                id.refuse("is not a job id", "copy the id that `startguard list` shows")
                    .because(error)
            })
        })
        .transpose()?;
    let on = |key, default| written.keys.get(key).map_or(Ok(default), super::Written::choice);

    let layer = layers.job(written);
    let policy = guard::policy(&layer, request_timeout)?;
    let is_own = |key: &str| written.keys.contains_key(key);
    warnings.extend(guard::doubts(&layer, &policy, |key| {
        is_own(key) && layers.variable_over_job(key).is_none()
    }));
    for key in Table::Guard.keys().iter().filter(|key| is_own(key)) {
        if let Some(variable) = layers.variable_over_job(key) {
            warnings.push(format!("{variable} is set and overrides `{key}` of {title}"));
        }
    }
    Ok(JobSection {
        name: name.to_owned(),
        service_principal,
        job,
        policy,
        on_quarantine: on("on_quarantine", ON_QUARANTINE)?,
        on_paused: on("on_paused", ON_PAUSED)?,
    })
}

/// The keys that a job may have.
pub(super) fn known_keys() -> Vec<&'static str> {
    JOB_KEYS.iter().chain(Table::Guard.keys()).copied().collect()
}
