//! Keeping tokens: served while they live long enough, fetched by one for all.
//!
//! `azure_identity` has a cache of its own, which is not used: it holds no token that lives less than
//! five minutes, keeps none of the Azure CLI's, lets every waiting caller repeat a failed request,
//! and cannot be told that a token is no good.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

use super::refusal::{Failure, Refusal};
use crate::{
    model::{Tick, Timestamp},
    ports::{Clock, Identity, IdentityError, Token},
};

/// How long a failure answers for the calls after it, and how long one refresh counts for all.
///
/// One start asks several times, and a sweep over a fleet once per job: all of them are told of one
/// failed request, since the authority locks out clients that repeat a refused one (AADSTS50196).
/// Yet a person who has mended the cause and asks again must not wait, and the controller's next
/// round, seconds later, must really ask.
pub(super) const REST: Duration = Duration::from_secs(5);

/// Where fresh tokens come from.
#[async_trait]
pub(super) trait Source: Send + Sync + fmt::Debug {
    /// A fresh token. Bounded in time.
    async fn fetch(&self) -> Result<Token, Failure>;

    /// Which credential it is, in words.
    fn describe(&self) -> String;
}

/// A source and the token it gave last.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<(Tick, Failure)>,
    refreshed: Option<Tick>,
    flight: Option<Flight>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("held", &self.held).finish_non_exhaustive()
    }
}

type Flight = Shared<BoxFuture<'static, Result<Held, Failure>>>;

/// A token and how long it lives. By the monotonic clock: setting the civil one neither prolongs
/// nor ends it.
#[derive(Debug, Clone)]
struct Held {
    token: Token,
    fetched: Tick,
    ends: Tick,
}

impl Held {
    fn new(token: Token, clock: &dyn Clock) -> Self {
        let fetched = clock.tick();
        let life = token.expires_at.map(|end| left(end, clock.wall()));
        // An end that nobody told: good until Graph says otherwise.
        let ends = life.map_or(Tick(Duration::MAX), |life| fetched.after(life));
        Self { token, fetched, ends }
    }

    fn outlives(&self, now: Tick, at_least: Duration) -> bool {
        now.until(self.ends) > at_least
    }
}

fn left(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// What to do about a call.
enum Step {
    Serve(Token),
    Fail(Failure),
    Board(Flight),
}

impl Keeper {
    pub(super) fn new(source: Arc<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, at_least: Duration) -> Step {
        let mut state = self.state();
        let now = self.clock.tick();
        if let Some(flight) = &state.flight {
            // Whoever holds a good token need not wait for a better one.
            return match &state.held {
                Some(held) if held.outlives(now, at_least) => Step::Serve(held.token.clone()),
                Some(_) | None => Step::Board(flight.clone()),
            };
        }
        if let Some(held) = &state.held {
            if held.outlives(now, at_least) {
                return Step::Serve(held.token.clone());
            }
            if held.fetched.until(now) < REST {
                return Step::Fail(self.too_short(held, at_least));
            }
        }
        if let Some((at, failure)) = &state.failed
            && at.until(now) < REST
        {
            return Step::Fail(failure.clone());
        }
        let flight = self.take_off();
        state.flight = Some(flight.clone());
        Step::Board(flight)
    }

    /// Fetches in a task of its own, so that a caller who goes away takes nothing from the others.
    fn take_off(&self) -> Flight {
        let keeper = self.clone();
        let task = tokio::spawn(async move {
            let landing = Landing(keeper.clone());
            let fetched = keeper.source.fetch().await;
            let result = fetched.map(|token| Held::new(token, keeper.clock.as_ref()));
            let mut state = keeper.state();
            match &result {
                Ok(held) => {
                    state.held = Some(held.clone());
                    state.failed = None;
                }
                Err(failure) => state.failed = Some((keeper.clock.tick(), failure.clone())),
            }
            drop(state);
            drop(landing);
            result
        });
        let name = self.source.describe();
        let lost = move |_| {
            let refusal = Refusal::transient("the request for it was cut off", "ask again");
            Err(Failure::new(name, refusal))
        };
        task.map(|landed| landed.unwrap_or_else(lost)).boxed().shared()
    }

    /// A token that was just fetched ends before the caller is done: it is not handed out, since
    /// what is sent with it may be refused half-way.
    fn too_short(&self, held: &Held, at_least: Duration) -> Failure {
        let left = held.fetched.until(held.ends).as_secs();
        let problem = format!(
            "a fresh token ends {left} s after it was given, and more than {} s are needed",
            at_least.as_secs()
        );
        let remedy = "check this machine's clock; if it is right, ask again when the token has \
                      ended and its issuer makes a new one";
        Failure::new(self.source.describe(), Refusal::transient(problem, remedy))
    }
}

/// Takes the flight off the board when it lands, however it lands.
struct Landing(Keeper);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.state().flight = None;
    }
}

#[async_trait]
impl Identity for Keeper {
    async fn token(&self, at_least: Duration) -> Result<Token, IdentityError> {
        let flight = match self.step(at_least) {
            Step::Serve(token) => return Ok(token),
            Step::Fail(failure) => return Err(failure.into()),
            Step::Board(flight) => flight,
        };
        let held = flight.await?;
        if held.outlives(self.clock.tick(), at_least) {
            Ok(held.token)
        } else {
            Err(self.too_short(&held, at_least).into())
        }
    }

    async fn refresh(&self) -> bool {
        let mut state = self.state();
        let now = self.clock.tick();
        // Many calls meet a 401 at once, and only the first of them is about the token that is held
        // now; the others would throw away the fresh one, each in turn.
        if state.refreshed.is_none_or(|at| at.until(now) >= REST) {
            state.refreshed = Some(now);
            state.held = None;
        }
        true
    }

    fn describe(&self) -> String {
        self.source.describe()
    }
}

#[cfg(test)]
mod tests;
