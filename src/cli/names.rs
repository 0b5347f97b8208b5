//! Which job a person means. A name that could mean two things is an error; nothing is guessed.

use super::{Exit, compose::Session, failure::Failure};
use crate::{
    config::{JobSection, Settings},
    guard::ReadError,
    model::{
        Job, JobArg, JobId, JobKey, JobRef, OutcomeKind, Policy, Reason, ServicePrincipal,
        ServicePrincipalId, ServicePrincipalRef, StatusCode,
    },
    ports::SpLookup,
};

/// A job as it was named. Made before any request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// What was typed.
    pub(super) typed: String,
    service_principal: ServicePrincipalRef,
    job: Option<JobId>,
    /// The configured name and policy, where the name is one of the configuration's.
    configured: Option<(String, Policy)>,
}

/// A job that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// What was typed.
    pub(super) typed: String,
    pub(super) job: JobRef,
    pub(super) policy: Policy,
}

/// Why no job was found.
#[derive(Debug)]
pub(super) enum NotFound {
    /// The name means no job, or several: wrong usage.
    Usage(Failure),
    /// Graph could not tell.
    Unknown {
        typed: String,
        service_principal: Option<ServicePrincipalId>,
        job: Option<JobId>,
        error: ReadError,
    },
}

impl Asked {
    /// Reads a name. Costs no request.
    pub(super) fn parse(settings: &Settings, typed: &str) -> Result<Self, Failure> {
        if let Some(section) = settings.job(typed) {
            return Ok(Self {
                typed: typed.to_owned(),
                service_principal: section.service_principal.clone(),
                job: section.job.clone(),
                configured: Some((section.name.clone(), section.policy.clone())),
            });
        }
        let arg = JobArg::parse(typed).map_err(|error| Failure {
            exit: Exit::USAGE,
            ..Failure::failed(&error, error.remedy())
        })?;
        Ok(Self {
            typed: typed.to_owned(),
            service_principal: arg.service_principal,
            job: arg.job,
            configured: None,
        })
    }

    /// Reads names, all or none.
    pub(super) fn parse_all(settings: &Settings, typed: &[String]) -> Result<Vec<Self>, Failure> {
        typed.iter().map(|typed| Self::parse(settings, typed)).collect()
    }

    /// Whether finding the job takes a request.
    pub(super) fn needs_graph(&self) -> bool {
        !matches!((&self.service_principal, &self.job), (ServicePrincipalRef::Id(_), Some(_)))
    }

    /// Finds the job.
    pub(super) async fn find(self, session: &Session) -> Result<Found, NotFound> {
        let service_principal = match self.find_principal(session).await? {
            Ok(id) => id,
            Err(error) => return Err(self.unknown(None, error)),
        };
        let job_id = match &self.job {
            Some(id) => id.clone(),
            None => match session.guard.jobs(&service_principal).await {
                Ok(jobs) => {
                    only_job(&self.typed, &service_principal, &jobs).map_err(NotFound::Usage)?
                }
                Err(error) => return Err(self.unknown(Some(service_principal), error)),
            },
        };
        let key = JobKey { service_principal_id: service_principal, job_id };
        let (name, policy) = match self.configured {
            Some((name, policy)) => (Some(name), policy),
            None => match same_words(&session.settings, &self.service_principal, &key.job_id) {
                Some(section) => (Some(section.name.clone()), section.policy.clone()),
                None => {
                    let (policy, name) = session.settings.policy_for(&key);
                    (name.map(str::to_owned), policy.clone())
                }
            },
        };
        Ok(Found { typed: self.typed, job: JobRef { key, name }, policy })
    }

    /// The outer error is wrong usage, the inner one Graph's.
    async fn find_principal(
        &self,
        session: &Session,
    ) -> Result<Result<ServicePrincipalId, ReadError>, NotFound> {
        let found = principal(session, &self.service_principal).await;
        match found {
            Ok(Ok(principal)) => Ok(Ok(principal)),
            Ok(Err(error)) => Ok(Err(error)),
            Err(failure) => Err(NotFound::Usage(failure)),
        }
    }

    fn unknown(&self, service_principal: Option<ServicePrincipalId>, error: ReadError) -> NotFound {
        NotFound::Unknown {
            typed: self.typed.clone(),
            service_principal,
            job: self.job.clone(),
            error,
        }
    }
}

/// The configuration's job that names the service principal in the same words and means this job.
fn same_words<'a>(
    settings: &'a Settings,
    service_principal: &ServicePrincipalRef,
    job: &JobId,
) -> Option<&'a JobSection> {
    settings.jobs.values().find(|section| {
        section.service_principal == *service_principal
            && section
                .job
                .as_ref()
                .is_none_or(|named| named.as_str().eq_ignore_ascii_case(job.as_str()))
    })
}

/// Finds a service principal. A GUID costs no request; the outer error is wrong usage.
pub(super) async fn principal(
    session: &Session,
    named: &ServicePrincipalRef,
) -> Result<Result<ServicePrincipalId, ReadError>, Failure> {
    let lookup = match named {
        ServicePrincipalRef::Id(id) => return Ok(Ok(id.clone())),
        ServicePrincipalRef::AppId(id) => SpLookup::AppId(id.clone()),
        ServicePrincipalRef::DisplayName(name) => SpLookup::DisplayName(name.clone()),
    };
    let found = match session.guard.find(&lookup).await {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    match found.as_slice() {
        [only] => Ok(Ok(only.id.clone())),
        [] => Ok(Err(no_principal(session, named))),
        several => Err(ambiguous(named, several)),
    }
}

fn no_principal(session: &Session, named: &ServicePrincipalRef) -> ReadError {
    let typed = named.to_string();
    let near = session
        .settings
        .jobs
        .keys()
        .filter(|name| strsim::jaro_winkler(name, &typed) > 0.8)
        .max_by_key(|name| similarity(name, &typed));
    let remedy = match near {
        Some(near) => format!("the configuration has a job called {near}; is it that one?"),
        None => "check the name, or use the object id (a GUID), which costs no look-up".to_owned(),
    };
    let message = match named {
        ServicePrincipalRef::AppId(id) => {
            format!("no service principal has the application id {id}")
        }
        ServicePrincipalRef::Id(_) | ServicePrincipalRef::DisplayName(_) => {
            format!("no service principal is called {typed:?}, nor a job in the configuration")
        }
    };
    ReadError {
        outcome: OutcomeKind::Failed,
        reason: Some(Reason::NotFound),
        message,
        remedy: Some(remedy),
        retry_after: None,
    }
}

/// Similarity in whole thousandths, so that it can be compared.
fn similarity(a: &str, b: &str) -> u64 {
    let thousandths = strsim::jaro_winkler(a, b) * 1_000.0;
    // Between 0 and 1,000 by definition.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
    let whole = thousandths as u64;
    whole
}

fn ambiguous(named: &ServicePrincipalRef, several: &[ServicePrincipal]) -> Failure {
    let list: Vec<String> = several
        .iter()
        .map(|principal| match &principal.app_id {
            Some(app) => format!("{} (appid:{app})", principal.id),
            None => principal.id.to_string(),
        })
        .collect();
    let name = named.to_string();
    Failure::usage(
        format!("{} service principals are called {name:?}: {}", several.len(), list.join(", ")),
        "use the object id of the one you mean",
    )
}

/// What to do about jobs whose ids are missing or are none.
pub(super) const NO_IDS: &str =
    "look at the jobs in the Entra admin centre, and at what lies between here and Graph";

/// The service principal's only job.
fn only_job(typed: &str, sp: &ServicePrincipalId, jobs: &[Job]) -> Result<JobId, Failure> {
    let named: Vec<(&JobId, &StatusCode)> =
        jobs.iter().filter_map(|job| Some((job.id.as_ref()?, &job.code))).collect();
    match (named.as_slice(), jobs.len()) {
        ([(id, _)], 1) => Ok((*id).clone()),
        ([], 0) => Err(Failure::usage(
            format!("{typed:?} has no provisioning job"),
            "set provisioning up in the Entra admin centre, or check which service principal you mean",
        )),
        ([], _) => Err(Failure {
            exit: Exit::FAILED,
            message: format!("{typed:?} has jobs, and Graph gave no usable id of any"),
            remedy: Some(NO_IDS.to_owned()),
        }),
        (several, all) => {
            let mut list: Vec<String> =
                several.iter().map(|(id, code)| format!("{id} ({code})")).collect();
            let hidden = all.saturating_sub(several.len());
            if hidden > 0 {
                list.push(format!("{hidden} without a usable id"));
            }
            let first = several.first().map(|(id, _)| id.to_string()).unwrap_or_default();
            Err(Failure::usage(
                format!("{typed:?} has {} jobs: {}", jobs.len(), list.join(", ")),
                format!("name one of them, as in {sp}/{first}"),
            ))
        }
    }
}

impl NotFound {
    /// The failure, where there is no answer to put it into.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Usage(failure) => failure,
            Self::Unknown { typed, error, .. } => {
                let failure = Failure::from(error);
                Failure { message: format!("{typed}: {}", failure.message), ..failure }
            }
        }
    }
}
