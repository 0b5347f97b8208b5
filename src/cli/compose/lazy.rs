//! Graph and the credential, made when they are first asked: a command that asks neither needs
//! neither to be well.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;

use super::{Failure, Reach, reach};
use crate::{
    config::Settings,
    decide::{Permit, StartReply},
    model::{Job, JobKey, ServicePrincipal, ServicePrincipalId, Tick, Timestamp},
    ports::{Cost, Graph, GraphError, Identity, IdentityError, SpLookup, Token, Told},
};

/// Graph, made at its first use.
#[derive(Debug)]
pub(super) struct LazyGraph {
    settings: Settings,
    made: OnceLock<Result<Reach, String>>,
}

impl LazyGraph {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, made: OnceLock::new() }
    }

    /// Graph, or why it cannot be set up.
    pub(super) fn reach(&self) -> Result<&Reach, Failure> {
        let mut failed = None;
        let made = self.made.get_or_init(|| {
            reach(&self.settings).map_err(|failure| {
                let problem = failure.message.clone();
                failed = Some(failure);
                problem
            })
        });
        match (made, failed) {
            (Ok(reach), _) => Ok(reach),
            (Err(_), Some(failure)) => Err(failure),
            (Err(problem), None) => {
                Err(Failure::usage(problem.clone(), "mend the `[graph]` configuration"))
            }
        }
    }

    fn graph(&self) -> Result<&dyn Graph, GraphError> {
        match self.reach() {
            Ok(reach) => Ok(&*reach.graph),
            Err(failure) => Err(GraphError::Unavailable { problem: failure.message }),
        }
    }
}

/// What a read that was never made tells.
fn unmade<T>(error: GraphError) -> Told<T> {
    Told {
        result: Err(error),
        cost: Cost::default(),
        began: Tick(Duration::ZERO),
        read_at: Timestamp::UNIX_EPOCH,
        throttle: None,
    }
}

#[async_trait]
impl Graph for LazyGraph {
    async fn authorize(&self) -> Result<(), GraphError> {
        self.graph()?.authorize().await
    }

    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        match self.graph() {
            Ok(graph) => graph.job(key, deadline).await,
            Err(error) => unmade(error),
        }
    }

    async fn jobs(&self, service_principal: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>> {
        match self.graph() {
            Ok(graph) => graph.jobs(service_principal, deadline).await,
            Err(error) => unmade(error),
        }
    }

    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        match self.graph() {
            Ok(graph) => graph.find(lookup, deadline).await,
            Err(error) => unmade(error),
        }
    }

    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        match self.graph() {
            Ok(graph) => graph.start(permit).await,
            Err(error) => (StartReply::NotSent { problem: error.to_string() }, Cost::default()),
        }
    }
}

/// A credential that could not be set up. It tells so when it is asked.
#[derive(Debug)]
pub(super) struct NoIdentity(pub(super) IdentityError);

#[async_trait]
impl Identity for NoIdentity {
    async fn token(&self, _at_least: Duration) -> Result<Token, IdentityError> {
        let Self(error) = self;
        Err(IdentityError {
            credential: error.credential.clone(),
            problem: error.problem.clone(),
            remedy: error.remedy.clone(),
            transient: error.transient,
        })
    }

    async fn refresh(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        self.0.credential.clone()
    }
}
