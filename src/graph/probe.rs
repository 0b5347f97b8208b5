//! One request, for `doctor` to show how far it gets.

use std::time::Duration;

use reqwest::Method;

use super::{HttpGraph, call::Head, fault::Fault};
use crate::{
    model::{Tick, Timestamp},
    ports::GraphError,
};

/// What an answer to the probe showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its status.
    pub status: u16,
    /// `error.code`, where it was an error.
    pub code: Option<String>,
    /// Its `Date`: Graph's clock, to the second.
    pub date: Option<Timestamp>,
    /// From the request to the end of the answer, connecting included.
    pub round_trip: Duration,
    /// A wait that it asked for with 429 or 503; everyone who shares the store must obey it.
    pub retry_after: Option<Duration>,
}

impl HttpGraph {
    /// One authenticated GET, not repeated. Any answer is a result; that the service principal
    /// list may be refused does not matter, what comes back does.
    ///
    /// # Errors
    /// There is no token, no answer, or no time; or an earlier answer said to wait.
    pub async fn probe(&self, deadline: Tick) -> Result<Probe, GraphError> {
        let mut trail = self.trail();
        let token = match self.within(deadline, self.credential.token()).await {
            Some(token) => token.map_err(GraphError::NoToken)?,
            None => {
                let problem = "the credential gave no token in time".to_owned();
                return Err(GraphError::Timeout { problem });
            }
        };
        self.not_told_to_wait(&mut trail)?;
        let began = self.clock.tick();
        let time = began.until(deadline).min(self.request_timeout);
        let id = self.entropy.uuid(self.clock.wall());
        let mut request = self
            .request(Method::GET, self.origin.probe(), &token, id)
            .map_err(|unsigned| self.unsigned(unsigned))?;
        *request.timeout_mut() = Some(time);
        let response = match self.clients.reads.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                return Err(match Fault::of(error, time) {
                    Fault::NotSent(problem)
                    | Fault::Untrusted(problem)
                    | Fault::Broken(problem) => GraphError::Unavailable { problem },
                    Fault::Late(problem) => GraphError::Timeout { problem },
                });
            }
        };
        let head = Head::of(&response, self.clock.wall(), &token, &mut trail.cost);
        let retry_after = self.hush(&head).map(|(_, wait)| wait);
        let reply = head.reply(response, &token).await;
        Ok(Probe {
            status: head.status,
            code: reply.code,
            date: head.date,
            round_trip: began.until(self.clock.tick()),
            retry_after,
        })
    }
}
