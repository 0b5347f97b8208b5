//! How people name service principals and jobs, before anything has been looked up.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{IdError, JobId, ServicePrincipalId};

/// Longest name accepted, in characters: Entra's own limit for a display name.
const LONGEST_NAME: usize = 256;

/// What marks an application id.
const APP_ID: &str = "appid:";

/// Why a text names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// Nothing was written.
    #[error("{what} is empty")]
    Empty {
        /// What should have been there.
        what: &'static str,
    },
    /// Longer than any real name.
    #[error("{what} is {length} characters long, and no name has more than {LONGEST_NAME}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// How long it was.
        length: usize,
    },
    /// A character that would not survive a terminal or a log.
    #[error("{what} contains the control character {found:?}")]
    Control {
        /// What was being read.
        what: &'static str,
        /// The character.
        found: char,
    },
    /// White space at an end: a slip of the pasting hand, and invisible in every list.
    #[error("{text:?} begins or ends with white space")]
    Spaces {
        /// What was given.
        text: String,
    },
    /// A path, not a name.
    #[error("{text:?} looks like a path, not like a job")]
    PathLike {
        /// What was given.
        text: String,
    },
    /// A GUID that is broken or spelt in another way than Graph does.
    #[error("{text:?} is not a GUID as Graph writes it")]
    NotGuid {
        /// What was given.
        text: String,
    },
    /// What stands behind the slash is no job id.
    #[error("{text:?} does not end in a job id")]
    JobId {
        /// What was given.
        text: String,
        /// What is wrong with the job id.
        #[source]
        source: IdError,
    },
}

impl NamingError {
    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotGuid { .. } => {
                "write it with its hyphens and nothing around it, as \
                 00000000-0000-0000-0000-000000000000"
            }
            Self::Empty { .. }
            | Self::TooLong { .. }
            | Self::Control { .. }
            | Self::Spaces { .. }
            | Self::PathLike { .. }
            | Self::JobId { .. } => {
                "name a job of the configuration file, SERVICE_PRINCIPAL/JOB_ID, or a service \
                 principal alone (its object id, appid:GUID, or its display name)"
            }
        }
    }
}

/// How a person names a service principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ServicePrincipalRef {
    /// By its object id, which costs no look-up.
    Id(ServicePrincipalId),
    /// By the id of its application, in lower case.
    AppId(String),
    /// By its display name, which may turn out to be no one's or several's.
    DisplayName(String),
}

impl ServicePrincipalRef {
    /// Reads an object id, `appid:GUID` or a display name.
    ///
    /// # Errors
    /// A [`NamingError`] when it can be none of the three.
    pub fn parse(text: &str) -> Result<Self, NamingError> {
        printable("the service principal", text)?;
        let prefix = text.get(..APP_ID.len());
        if prefix.is_some_and(|start| start.eq_ignore_ascii_case(APP_ID)) {
            let id = text.get(APP_ID.len()..).unwrap_or_default();
            return match ServicePrincipalId::parse(id) {
                Ok(id) => Ok(Self::AppId(id.as_str().to_owned())),
                Err(_) => Err(NamingError::NotGuid { text: text.to_owned() }),
            };
        }
        if let Ok(id) = ServicePrincipalId::parse(text) {
            return Ok(Self::Id(id));
        }
        // A GUID in braces, as a URN or without hyphens is meant as an id; looking for a service
        // principal of that name would only say "not found".
        if Uuid::try_parse(text).is_ok() {
            return Err(NamingError::NotGuid { text: text.to_owned() });
        }
        if is_path_like(text) {
            return Err(NamingError::PathLike { text: text.to_owned() });
        }
        Ok(Self::DisplayName(text.to_owned()))
    }
}

impl fmt::Display for ServicePrincipalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::AppId(id) => write!(f, "{APP_ID}{id}"),
            Self::DisplayName(name) => f.write_str(name),
        }
    }
}

impl TryFrom<String> for ServicePrincipalRef {
    type Error = NamingError;
    fn try_from(text: String) -> Result<Self, NamingError> {
        Self::parse(&text)
    }
}

impl From<ServicePrincipalRef> for String {
    fn from(name: ServicePrincipalRef) -> Self {
        name.to_string()
    }
}

/// How a person names a job on the command line, before the configuration is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobArg {
    /// The service principal that owns it.
    pub service_principal: ServicePrincipalRef,
    /// Which of its jobs; `None` for the only one.
    pub job: Option<JobId>,
}

impl JobArg {
    /// Reads `SERVICE_PRINCIPAL/JOB_ID` or `SERVICE_PRINCIPAL`.
    ///
    /// The last slash parts the two: a display name may have slashes, a job id has none.
    ///
    /// # Errors
    /// A [`NamingError`] when the text can name no job.
    pub fn parse(text: &str) -> Result<Self, NamingError> {
        if text.trim().is_empty() {
            return Err(NamingError::Empty { what: "the job" });
        }
        // Two names and a slash; said before anything is shown, so that no error repeats a novel.
        let length = text.chars().count();
        if length > 2 * LONGEST_NAME + 1 {
            return Err(NamingError::TooLong { what: "the job", length });
        }
        let Some((owner, job)) = text.rsplit_once('/') else {
            return Ok(Self { service_principal: ServicePrincipalRef::parse(text)?, job: None });
        };
        if is_path_like(text) {
            return Err(NamingError::PathLike { text: text.to_owned() });
        }
        let service_principal = ServicePrincipalRef::parse(owner)?;
        let job = JobId::parse(job)
            .map_err(|source| NamingError::JobId { text: text.to_owned(), source })?;
        Ok(Self { service_principal, job: Some(job) })
    }
}

impl fmt::Display for JobArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.job {
            Some(job) => write!(f, "{}/{job}", self.service_principal),
            None => self.service_principal.fmt(f),
        }
    }
}

/// Checks what every name has in common.
fn printable(what: &'static str, text: &str) -> Result<(), NamingError> {
    if text.trim().is_empty() {
        return Err(NamingError::Empty { what });
    }
    let length = text.chars().count();
    if length > LONGEST_NAME {
        return Err(NamingError::TooLong { what, length });
    }
    if let Some(found) = text.chars().find(|c| c.is_control()) {
        return Err(NamingError::Control { what, found });
    }
    if text.trim() != text {
        return Err(NamingError::Spaces { text: text.to_owned() });
    }
    Ok(())
}

/// Whether a step of it is empty, `.` or `..`.
fn is_path_like(text: &str) -> bool {
    text.split('/').any(|step| step.trim().is_empty())
        || text.split(['/', '\\']).any(|step| matches!(step, "." | ".."))
}

#[cfg(test)]
mod tests;
