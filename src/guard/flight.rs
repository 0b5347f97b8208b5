//! Single-flight: callers of this process that ask for the same start share one attempt.
//!
//! The attempt runs in a task of its own, so a caller who leaves cancels nothing; the crates that
//! offer single-flight run it in the leader's future and repeat it when the leader is dropped, which
//! for a POST means twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::task::JoinError;

use super::{Core, Request, attempt::Attempt};
use crate::model::Answer;

/// What makes two asks the same: the job, and everything that could change the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    job: String,
    accept: Vec<String>,
    dry_run: bool,
    lease_wait: Duration,
    wait: Option<Duration>,
    policy: String,
}

impl Key {
    pub(super) fn of(request: &Request) -> Self {
        let mut accept: Vec<String> =
            request.accept.iter().map(|reason| reason.to_ascii_lowercase()).collect();
        accept.sort_unstable();
        accept.dedup();
        Self {
            job: request.job.key.store_key(),
            accept,
            dry_run: request.dry_run,
            // Who will not wait for another holder does not wait with one who will.
            lease_wait: request.lease_wait,
            wait: request.wait,
            policy: format!("{:?}", request.policy),
        }
    }
}

type Flight = Shared<BoxFuture<'static, Answer>>;

/// The attempts under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, Flight>>>);

impl Flights {
    /// Joins the attempt under way for `key`, or leads a new one.
    pub(super) async fn join_or_lead(&self, key: Key, request: Request, core: Arc<Core>) -> Answer {
        let (flight, joined) = self.board(key, request, core);
        let mut answer = flight.await;
        answer.coalesced = joined;
        answer
    }

    fn board(&self, key: Key, request: Request, core: Arc<Core>) -> (Flight, bool) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return (flight.clone(), true);
        }
        let attempt = Attempt::new(core, request);
        let lost = attempt.lost();
        let landing = Landing { flights: self.clone(), key: key.clone() };
        let task = tokio::spawn(async move {
            let answer = attempt.run().await;
            drop(landing);
            answer
        });
        // The task ends without an answer only if it panicked or the runtime went down. What it left
        // in the store, a lease or an open intent, is dealt with as that of any holder that died.
        let landed = move |landed: Result<Answer, JoinError>| {
            landed.unwrap_or_else(|error| {
                tracing::error!(%error, "an attempt was lost");
                lost()
            })
        };
        let flight = task.map(landed).boxed().shared();
        flights.insert(key, flight.clone());
        (flight, false)
    }
}

/// Takes a flight off the board when it lands, however it lands.
struct Landing {
    flights: Flights,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.key);
    }
}
