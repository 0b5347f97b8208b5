//! Doors for fuzzing (feature `testing`): what reads a server's bytes, without a network between. No
//! reading is done here; each door leads to what [`HttpGraph`](super::HttpGraph) itself calls.

use std::time::Duration;

use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};

use super::{GraphSetupError, call, origin::Origin, reply, retry_after, text, wire};
use crate::{
    model::{Job, JobKey, Reply, ServicePrincipal, ServicePrincipalId, Timestamp},
    ports::SpLookup,
};

/// The longest wait that is obeyed.
pub const LONGEST_WAIT: Duration = retry_after::LONGEST;

/// A job, from the body of an answer.
///
/// # Errors
/// What is wrong with the body, in one line.
pub fn job(body: &[u8]) -> Result<Job, String> {
    wire::text(body).and_then(wire::job)
}

/// The jobs of a page, and where the list goes on.
///
/// # Errors
/// What is wrong with the body, in one line.
pub fn jobs(body: &[u8]) -> Result<(Vec<Job>, Option<String>), String> {
    let (items, next) = wire::text(body).and_then(wire::page)?;
    Ok((items.into_iter().map(wire::listed_job).collect(), next))
}

/// The service principals of a page.
///
/// # Errors
/// What is wrong with the body, in one line.
pub fn service_principals(body: &[u8]) -> Result<Vec<ServicePrincipal>, String> {
    let (items, _) = wire::text(body).and_then(wire::page)?;
    items.into_iter().map(wire::service_principal).collect()
}

/// What an answer that is no success said to a caller whose token is `secret`.
#[must_use]
pub fn refusal(status: u16, body: &[u8], secret: &str) -> Reply {
    reply::read(status, None, body, secret)
}

/// Words of the service, as they are shown.
#[must_use]
pub fn shown(words: &str) -> String {
    text::clean(words)
}

/// How long an answer says to wait. `None` as well where a header cannot hold these bytes.
#[must_use]
pub fn told_to_wait(
    status: u16,
    retry_after: Option<&[u8]>,
    date: Option<Timestamp>,
    now: Timestamp,
) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).ok()?);
    }
    call::wait(&headers, status, date, now)
}

/// A date as headers write it.
#[must_use]
pub fn http_date(value: &str) -> Option<Timestamp> {
    retry_after::http_date(value)
}

/// The one origin that may see the token.
#[derive(Debug)]
pub struct Door(Origin);

impl Door {
    /// The door to the Graph at `origin`.
    ///
    /// # Errors
    /// [`GraphSetupError`] where it is no origin.
    pub fn new(origin: &str) -> Result<Self, GraphSetupError> {
        Origin::parse(origin).map(Self)
    }

    /// Where a list goes on.
    ///
    /// # Errors
    /// Why the token may not go there, in one line.
    pub fn next_page(&self, link: &str) -> Result<Url, String> {
        self.0.next(link)
    }

    /// Where a redirect points, as it is told.
    #[must_use]
    pub fn redirect(&self, location: &str) -> String {
        self.0.redirect(location)
    }

    /// Where a job is read, and where it is started.
    #[must_use]
    pub fn job(&self, key: &JobKey) -> [Url; 2] {
        [self.0.job(key), self.0.start(key)]
    }

    /// Where a service principal's jobs are listed.
    #[must_use]
    pub fn jobs(&self, service_principal: &ServicePrincipalId) -> Url {
        self.0.jobs(service_principal)
    }

    /// Where a service principal is looked for.
    #[must_use]
    pub fn find(&self, lookup: &SpLookup) -> Url {
        self.0.find(lookup)
    }
}
