//! The service principals and their jobs.

use std::time::Duration;

use super::config::{JobAddress, JobConfig, ServicePrincipalConfig};
use super::machine::Job;

/// A service principal and its jobs as they are now.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) config: ServicePrincipalConfig,
    pub(super) jobs: Vec<Job>,
}

/// All of them, in the order in which they were configured.
#[derive(Debug)]
pub(super) struct Directory {
    principals: Vec<Principal>,
}

impl Directory {
    pub(super) fn new(configs: &[ServicePrincipalConfig], now: Duration) -> Self {
        let principals = configs.iter().map(|config| Principal {
            config: config.clone(),
            jobs: config.jobs.iter().map(|job| Job::new(job.clone(), now)).collect(),
        });
        Self { principals: principals.collect() }
    }

    pub(super) fn principals(&self) -> &[Principal] {
        &self.principals
    }

    /// A service principal by its object id; GUIDs are the same in capitals.
    pub(super) fn principal(&self, id: &str) -> Option<&Principal> {
        self.principals.iter().find(|principal| principal.config.id.eq_ignore_ascii_case(id))
    }

    /// A service principal by its application id.
    pub(super) fn by_app_id(&self, app_id: &str) -> Option<&Principal> {
        let has = |principal: &&Principal| {
            principal.config.app_id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(app_id))
        };
        self.principals.iter().find(has)
    }

    /// A job, and its address as configured.
    pub(super) fn job(&self, principal: &str, job: &str) -> Option<(JobAddress, &Job)> {
        let principal = self.principal(principal)?;
        let job = principal.jobs.iter().find(|other| other.config.id == job)?;
        Some((address(&principal.config.id, &job.config.id), job))
    }

    pub(super) fn job_mut(&mut self, principal: &str, job: &str) -> Option<&mut Job> {
        let has = |other: &&mut Principal| other.config.id.eq_ignore_ascii_case(principal);
        let principal = self.principals.iter_mut().find(has)?;
        principal.jobs.iter_mut().find(|other| other.config.id == job)
    }

    /// Sets a job up anew, with its service principal where that is new.
    pub(super) fn set_job(&mut self, principal: &str, config: JobConfig, now: Duration) {
        let known = self
            .principals
            .iter()
            .position(|other| other.config.id.eq_ignore_ascii_case(principal));
        let at = known.unwrap_or_else(|| {
            self.principals.push(Principal {
                config: ServicePrincipalConfig::new(principal),
                jobs: Vec::new(),
            });
            self.principals.len() - 1
        });
        let Some(principal) = self.principals.get_mut(at) else { return };
        let job = Job::new(config, now);
        match principal.jobs.iter_mut().find(|other| other.config.id == job.config.id) {
            Some(known) => *known = job,
            None => principal.jobs.push(job),
        }
    }
}

fn address(service_principal: &str, job: &str) -> JobAddress {
    JobAddress { service_principal: service_principal.to_owned(), job: job.to_owned() }
}
