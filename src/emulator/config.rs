//! What an emulator is told: its service principals and jobs, its delays, who may call it, and which faults it plays.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fault::FaultRule;
use super::fleet;
pub use super::job::{ExecutionConfig, JobConfig, QuarantineConfig};
pub use auth::{Auth, Client, TokenRule};
pub(super) use written::{duration, optional_duration};

mod auth;
mod written;

/// Everything that shapes an emulator; every field may be left out of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmulatorConfig {
    /// Where to listen: a loopback address, port 0 for any free one.
    pub listen: SocketAddr,
    /// The origin that nextLinks carry, for an emulator behind a proxy; otherwise the `Host` that the caller sent.
    pub public_origin: Option<String>,
    /// Seeds request ids, tokens and the order of batch answers.
    pub seed: u64,
    /// The most items on one page of a list.
    pub page_size: usize,
    /// Delays of the service.
    pub timing: Timing,
    /// What counts as starting a job continuously, and what then happens.
    pub storm: Storm,
    /// Who may call.
    pub auth: Auth,
    /// Faults that are played from the beginning; the control endpoint can replace them.
    pub faults: Vec<FaultRule>,
    /// The directory; left out, the default fleet (see [`EmulatorConfig::default`]).
    pub service_principals: Vec<ServicePrincipalConfig>,
}

impl Default for EmulatorConfig {
    /// One job in every state that matters: `paused`, `quarantined`, `too-many-deletes`, `running`, `never-run`, `not-configured`,
    /// and a service principal with two jobs and a name that is not unique.
    fn default() -> Self {
        Self { service_principals: fleet::service_principals(), ..Self::empty() }
    }
}

impl EmulatorConfig {
    /// The defaults with no service principal at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_origin: None,
            seed: 1,
            // Graph's own default page for directory objects.
            page_size: 100,
            timing: Timing::default(),
            storm: Storm::default(),
            auth: Auth::default(),
            faults: Vec::new(),
            service_principals: Vec::new(),
        }
    }

    /// Where the job with this `name` is: its service principal's object id and its own id.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<JobAddress> {
        self.service_principals.iter().find_map(|principal| {
            let job = principal.jobs.iter().find(|job| job.name.as_deref() == Some(name))?;
            Some(JobAddress { service_principal: principal.id.clone(), job: job.id.clone() })
        })
    }

    /// Adds a job, and its service principal where that is new.
    pub fn add_job(&mut self, service_principal: &str, job: JobConfig) {
        let principals = &mut self.service_principals;
        let known = principals
            .iter()
            .position(|principal| principal.id.eq_ignore_ascii_case(service_principal));
        let at = known.unwrap_or_else(|| {
            principals.push(ServicePrincipalConfig::new(service_principal));
            principals.len() - 1
        });
        if let Some(principal) = principals.get_mut(at) {
            principal.jobs.retain(|other| other.id != job.id);
            principal.jobs.push(job);
        }
    }

    /// Adds a job written as `SERVICE_PRINCIPAL/JOB_ID=CODE[:QUARANTINE_REASON]`, as a command line flag would.
    ///
    /// # Errors
    /// When the text does not have that form.
    pub fn add_job_written(&mut self, text: &str) -> Result<(), ConfigError> {
        let malformed = || ConfigError::MalformedJob { text: text.to_owned() };
        let (address, state) = text.rsplit_once('=').ok_or_else(malformed)?;
        let (service_principal, job) = address.split_once('/').ok_or_else(malformed)?;
        let (code, reason) =
            state.split_once(':').map_or((state, None), |(code, reason)| (code, Some(reason)));
        if service_principal.is_empty() || job.is_empty() || code.is_empty() {
            return Err(malformed());
        }
        let mut job = JobConfig::new(job, code);
        if let Some(reason) = reason {
            job = job.quarantined(reason);
        }
        self.add_job(service_principal, job);
        Ok(())
    }

    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// Names the first thing that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() {
            return Err(ConfigError::NotLoopback { address: self.listen });
        }
        if self.page_size == 0 {
            return Err(ConfigError::NoPageSize);
        }
        for (at, principal) in self.service_principals.iter().enumerate() {
            if principal.id.is_empty() {
                return Err(ConfigError::NoServicePrincipalId);
            }
            let twin =
                |other: &ServicePrincipalConfig| other.id.eq_ignore_ascii_case(&principal.id);
            if self.service_principals.iter().take(at).any(twin) {
                return Err(ConfigError::DuplicateServicePrincipal { id: principal.id.clone() });
            }
            for (at, job) in principal.jobs.iter().enumerate() {
                if job.id.is_empty() {
                    return Err(ConfigError::NoJobId { service_principal: principal.id.clone() });
                }
                if principal.jobs.iter().take(at).any(|other| other.id == job.id) {
                    return Err(ConfigError::DuplicateJob {
                        service_principal: principal.id.clone(),
                        job: job.id.clone(),
                    });
                }
            }
        }
        self.faults.iter().try_for_each(FaultRule::validate)
    }
}

/// Which job of which service principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobAddress {
    /// The service principal's object id.
    pub service_principal: String,
    /// The job's id.
    pub job: String,
}

/// One service principal and its jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePrincipalConfig {
    /// The object id.
    pub id: String,
    /// The application id; left out, the object id stands in.
    #[serde(default)]
    pub app_id: Option<String>,
    /// The display name; left out, the object id stands in.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The provisioning jobs.
    #[serde(default)]
    pub jobs: Vec<JobConfig>,
}

impl ServicePrincipalConfig {
    /// A service principal without jobs.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), app_id: None, display_name: None, jobs: Vec::new() }
    }

    /// Sets application id and display name.
    #[must_use]
    pub fn called(mut self, app_id: impl Into<String>, display_name: impl Into<String>) -> Self {
        self.app_id = Some(app_id.into());
        self.display_name = Some(display_name.into());
        self
    }

    /// Adds a job.
    #[must_use]
    pub fn with_job(mut self, job: JobConfig) -> Self {
        self.jobs.push(job);
        self
    }
}

/// Delays of the service. Microsoft publishes none of them: the defaults are chosen to be visible and short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// From an accepted start to the job being Active.
    #[serde(with = "duration")]
    pub start_delay: Duration,
    /// How long a first cycle takes: a job that never ran is `NotRun` with an Active schedule until then.
    #[serde(with = "duration")]
    pub first_cycle: Duration,
    /// From an accepted pause to the job being Paused.
    #[serde(with = "duration")]
    pub pause_delay: Duration,
    /// How far reads stay behind the truth.
    #[serde(with = "duration")]
    pub read_lag: Duration,
    /// Time that every read takes.
    #[serde(with = "duration")]
    pub read_latency: Duration,
    /// Time that every action (start, pause, restart, validateCredentials) takes: half before its effect, half after.
    #[serde(with = "duration")]
    pub action_latency: Duration,
    /// What the `Date` header is off by, in seconds: a service whose clock disagrees with the caller's.
    pub date_skew_seconds: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // Long enough that a read right after the start still sees the old state, short enough for tests.
            start_delay: Duration::from_millis(300),
            first_cycle: Duration::from_secs(2),
            pause_delay: Duration::ZERO,
            read_lag: Duration::ZERO,
            read_latency: Duration::ZERO,
            action_latency: Duration::ZERO,
            date_skew_seconds: 0,
        }
    }
}

/// What counts as starting a job continuously while it runs. The real service may then stop it; so does the emulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storm {
    /// Starts of a running job, within the window, at which the job is stopped; 0 never stops it.
    pub threshold: u32,
    /// The window in which they are counted.
    #[serde(with = "duration")]
    pub window: Duration,
}

impl Default for Storm {
    fn default() -> Self {
        Self {
            // One is a slip and two may be a race; three in a minute is a script.
            threshold: 3,
            window: Duration::from_secs(60),
        }
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The emulator hands out tokens to anyone: it stays on this machine.
    #[error(
        "the emulator listens on loopback addresses only, not on {address}; use 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The refused address.
        address: SocketAddr,
    },
    /// A page must hold something.
    #[error("page_size is 0; a page holds at least one item")]
    NoPageSize,
    /// A service principal without an id.
    #[error("a service principal has an empty id")]
    NoServicePrincipalId,
    /// Two service principals with one id.
    #[error("service principal {id} is configured twice")]
    DuplicateServicePrincipal {
        /// The id.
        id: String,
    },
    /// A job without an id.
    #[error("a job of service principal {service_principal} has an empty id")]
    NoJobId {
        /// The service principal's id.
        service_principal: String,
    },
    /// Two jobs with one id.
    #[error("job {job} of service principal {service_principal} is configured twice")]
    DuplicateJob {
        /// The service principal's id.
        service_principal: String,
        /// The job's id.
        job: String,
    },
    /// A job flag that does not parse.
    #[error(
        "{text:?} does not name a job; write SERVICE_PRINCIPAL/JOB_ID=CODE or SERVICE_PRINCIPAL/JOB_ID=Quarantine:REASON"
    )]
    MalformedJob {
        /// What was written.
        text: String,
    },
    /// A fault rule that cannot be played.
    #[error("fault {fault}: {problem}")]
    Fault {
        /// The rule's name, or what it does.
        fault: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[cfg(test)]
mod tests;
