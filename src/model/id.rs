//! Names of things, each with a type of its own, parsed once at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::is_hidden;

/// Longest id accepted, in characters. Job ids seen in the wild have fewer than 80; a bound keeps a
/// hostile id out of URLs, store keys and log lines.
const LONGEST_ID: usize = 256;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or only white space.
    #[error("{what} is empty")]
    Empty {
        /// Which id was being read.
        what: &'static str,
    },
    /// The text is longer than any real id.
    #[error("{what} is {length} characters long; at most {LONGEST_ID} are accepted")]
    TooLong {
        /// Which id was being read.
        what: &'static str,
        /// How long the text was.
        length: usize,
    },
    /// The text has a character that no id has, such as a slash or a control character.
    #[error("{what} contains {found:?}, which no id has")]
    Character {
        /// Which id was being read.
        what: &'static str,
        /// The offending character.
        found: char,
    },
    /// The text is `.` or `..`, which URLs treat as steps of a path.
    #[error("{what} is a path step, not an id")]
    PathStep {
        /// Which id was being read.
        what: &'static str,
    },
    /// A service principal's object id is a GUID.
    #[error(
        "{text:?} is not a GUID (an object id looks like 00000000-0000-0000-0000-000000000000)"
    )]
    NotGuid {
        /// What was given.
        text: String,
    },
}

/// Checks what every id has in common: present, bounded, one path segment, printable.
fn checked(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.trim().is_empty() {
        return Err(IdError::Empty { what });
    }
    let length = text.chars().count();
    if length > LONGEST_ID {
        return Err(IdError::TooLong { what, length });
    }
    if text == "." || text == ".." {
        return Err(IdError::PathStep { what });
    }
    match text.chars().find(|c| matches!(c, '/' | '\\') || is_hidden(*c) || c.is_whitespace()) {
        Some(found) => Err(IdError::Character { what, found }),
        None => Ok(()),
    }
}

/// The object id of a service principal: a GUID, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServicePrincipalId(String);

impl ServicePrincipalId {
    /// Reads an object id.
    ///
    /// # Errors
    /// [`IdError::NotGuid`] when the text is not a GUID in its hyphenated form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        checked("the service principal", text)?;
        // Uuid also reads braces, URNs and the form without hyphens; Graph shows only this one.
        match Uuid::try_parse(text) {
            Ok(id) if text.len() == 36 => Ok(Self(id.hyphenated().to_string())),
            Ok(_) | Err(_) => Err(IdError::NotGuid { text: text.to_owned() }),
        }
    }

    /// The id as text, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServicePrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ServicePrincipalId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<ServicePrincipalId> for String {
    fn from(id: ServicePrincipalId) -> Self {
        id.0
    }
}

/// The id of a synchronization job, as Graph writes it (`BoxOutDelta.e4bb…`, or a bare GUID).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Reads a job id.
    ///
    /// # Errors
    /// An [`IdError`] when the text is empty, too long, path-like or not printable.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        checked("the job id", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The id as Graph spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// One job of one service principal: what a guarded start is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobKey {
    /// The service principal that owns the job.
    pub service_principal_id: ServicePrincipalId,
    /// The job.
    pub job_id: JobId,
}

impl JobKey {
    /// The key under which every store keeps this job's record.
    ///
    /// Letters' case is folded: whether Graph tells `Box.A` from `box.a` is not documented, and two
    /// spellings of one job must never get two budgets.
    #[must_use]
    pub fn store_key(&self) -> String {
        format!("{}/{}", self.service_principal_id, self.job_id.as_str().to_lowercase())
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service_principal_id, self.job_id)
    }
}

/// A job together with the name that the configuration gives it, if any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobRef {
    /// Which job.
    #[serde(flatten)]
    pub key: JobKey,
    /// Its name in the configuration.
    pub name: Option<String>,
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.key.fmt(f),
        }
    }
}

/// Whose budget and throttling a call belongs to: the Entra tenant, where known, and the Graph origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantKey(String);

impl TenantKey {
    /// The tenant `tenant` behind the Graph at `origin`; without a tenant, the origin alone.
    #[must_use]
    pub fn new(tenant: Option<&str>, origin: &str) -> Self {
        let origin = origin.to_lowercase();
        Self(match tenant {
            Some(tenant) => format!("{}@{origin}", tenant.to_lowercase()),
            None => origin,
        })
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One ask to start one job; every entry and request of that ask carries it (a version 7 UUID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Grows with every lease that is granted for a job; a record written under an older one is refused.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

impl FencingToken {
    /// The token that the next lease gets.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who asks: `user@host`, or the name of an API caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SP: &str = "8A41D2C7-30B1-4B62-9F5A-0C7D1E2F3A4B";

    #[test]
    fn object_ids_are_guids_in_lower_case() {
        assert_eq!(ServicePrincipalId::parse(SP).map(String::from), Ok(SP.to_lowercase()));
        for text in [
            "",
            "workday",
            "{8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b}",
            "8a41d2c730b14b629f5a0c7d1e2f3a4b",
        ] {
            assert!(ServicePrincipalId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn job_ids_are_one_printable_path_segment() {
        for text in ["BoxOutDelta.e4bbf445", "dataBricks.f553.8442fd39-1", SP, "a%b"] {
            assert!(JobId::parse(text).is_ok(), "{text}");
        }
        let long = "x".repeat(LONGEST_ID + 1);
        for text in
            ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\u{1b}[0m", "a\u{202e}b", "a b", &long]
        {
            assert!(JobId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn two_spellings_of_one_job_share_a_record() -> Result<(), IdError> {
        let key = |sp: &str, job: &str| {
            Ok::<_, IdError>(JobKey {
                service_principal_id: ServicePrincipalId::parse(sp)?,
                job_id: JobId::parse(job)?,
            })
        };
        assert_eq!(key(SP, "Box.A")?.store_key(), key(&SP.to_lowercase(), "box.a")?.store_key());
        Ok(())
    }
}
