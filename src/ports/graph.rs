//! The Graph port: reads that may be repeated, and the one call that must not.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{
    decide::{Permit, StartReply},
    model::{Job, JobKey, Reply, ServicePrincipal, ServicePrincipalId, Tick, Timestamp},
    ports::IdentityError,
};

/// How to find a service principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpLookup {
    /// By the id of its application (a GUID).
    AppId(String),
    /// By its display name, exactly.
    DisplayName(String),
}

impl fmt::Display for SpLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppId(id) => write!(f, "appid:{id}"),
            Self::DisplayName(name) => f.write_str(name),
        }
    }
}

/// What a call cost: requests that went out, and Graph's ids for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests sent, repeats included.
    pub requests: u32,
    /// `request-id`s of the answers, in order.
    pub request_ids: Vec<String>,
}

/// A result together with what it cost, whichever way it ended.
#[derive(Debug)]
pub struct Told<T> {
    /// The result.
    pub result: Result<T, GraphError>,
    /// What it cost.
    pub cost: Cost,
    /// When the last try began, by the monotonic clock: an observation ages from here.
    pub began: Tick,
    /// The same in civil time.
    pub read_at: Timestamp,
    /// A Retry-After that Graph sent on the way, in full, counted from when the call returns:
    /// everyone who shares the store must obey it, even where the read was repeated and worked.
    pub throttle: Option<(u16, Duration)>,
}

/// Why a read has no result.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// There was no token to send.
    #[error("no token for Microsoft Graph")]
    NoToken(#[source] IdentityError),
    /// 401: the token was not accepted, nor a fresh one.
    #[error("Graph did not accept the token ({0})")]
    Unauthorized(Reply),
    /// 403.
    #[error("Graph refused the call ({0})")]
    Forbidden(Reply),
    /// 404.
    #[error("Graph knows no such object ({0})")]
    NotFound(Reply),
    /// 429, or 503 with Retry-After: told to wait longer than this call could.
    #[error("Graph said to wait ({reply})")]
    Throttled {
        /// What it said.
        reply: Reply,
        /// For how long, where it said so.
        retry_after: Option<Duration>,
    },
    /// Not reached, or 5xx, after all repeats.
    #[error("Graph could not be reached or could not answer: {problem}")]
    Unavailable {
        /// What the last try showed, in one line.
        problem: String,
    },
    /// Out of time.
    #[error("Graph did not answer in time: {problem}")]
    Timeout {
        /// What the last try showed, in one line.
        problem: String,
    },
    /// An answer that makes no sense, or that is not followed (a redirect, another origin).
    #[error("Graph's answer cannot be used: {problem}")]
    BadResponse {
        /// What is wrong with it, in one line.
        problem: String,
    },
}

/// Microsoft Graph, as far as the guard needs it.
#[async_trait]
pub trait Graph: Send + Sync + fmt::Debug {
    /// Makes sure that a token is in hand which outlives a POST, so that none has to be fetched
    /// between the intent and the POST. Costs no Graph request.
    ///
    /// # Errors
    /// Why there is none.
    async fn authorize(&self) -> Result<(), GraphError>;

    /// Reads one job. Repeated on faults that pass, until `deadline` at the latest.
    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job>;

    /// Lists a service principal's jobs, page by page.
    async fn jobs(&self, service_principal: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>>;

    /// Finds service principals.
    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>>;

    /// POSTs start. Once: no retry, no redirect, no reuse of a connection; dropped when the
    /// permit's deadline has passed before it is sent.
    async fn start(&self, permit: Permit) -> (StartReply, Cost);
}
