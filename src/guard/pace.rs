//! Pace in this process: governor stands before the store and before Graph.
//!
//! These limiters forget everything with the process; the pace that holds over all processes and
//! hosts is the store's (`share`). What they do is make a storm inside one process cost nothing, and
//! keep its pace while the store is away.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock as GovernorClock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};

use crate::{
    model::{JobKey, Tick},
    ports::Clock,
};

/// How fast Graph may be asked, by all who share the store. Source: `[graph]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSettings {
    /// Requests per second in the long run.
    pub requests_per_second: NonZeroU32,
    /// Requests that may go out back to back.
    pub burst: NonZeroU32,
    /// Longest wait for a turn; beyond it, "ask again" is the better answer. A command that was
    /// handed a long list waits for its own requests; a server with callers of its own should not.
    pub patience: Duration,
}

/// Attempts at one job that one process may lead back to back. A person repeats a command some
/// times; a loop repeats it without end.
const ATTEMPTS_BURST: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");

/// After a burst, so many attempts at a job in a second.
const ATTEMPTS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;

/// Requests that a guarded start makes: its read and its POST.
pub(super) const REQUESTS_PER_START: u32 = 2;

/// Above so many keys the limiter drops those that have recovered, so that a process that lives
/// for months does not grow with every job it ever saw.
const KEYS_BEFORE_SWEEP: usize = 1_024;

type PerJob = RateLimiter<String, DashMapStateStore<String>, PortClock, NoOpMiddleware<Nanos>>;
type PerTenant = RateLimiter<NotKeyed, InMemoryState, PortClock, NoOpMiddleware<Nanos>>;

/// governor's clock over ours: it goes on in suspend, and tests own it.
#[derive(Debug, Clone)]
struct PortClock(Arc<dyn Clock>);

impl GovernorClock for PortClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.tick().0)
    }
}

/// The limiters of one guard.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    burst: NonZeroU32,
    patience: Duration,
    per_job: PerJob,
    per_tenant: PerTenant,
}

impl Pace {
    pub(super) fn new(settings: &PaceSettings, clock: Arc<dyn Clock>) -> Self {
        let port = PortClock(Arc::clone(&clock));
        let attempts = Quota::per_second(ATTEMPTS_PER_SECOND).allow_burst(ATTEMPTS_BURST);
        let requests = Quota::per_second(settings.requests_per_second).allow_burst(settings.burst);
        Self {
            burst: settings.burst,
            patience: settings.patience,
            per_job: RateLimiter::new(attempts, DashMapStateStore::default(), port.clone()),
            per_tenant: RateLimiter::direct_with_clock(requests, port),
            clock,
        }
    }

    /// Whether another attempt at this job may be led now.
    ///
    /// # Errors
    /// How long until one may.
    pub(super) fn attempt(&self, key: &JobKey) -> Result<(), Duration> {
        if self.per_job.len() > KEYS_BEFORE_SWEEP {
            self.per_job.retain_recent();
        }
        let now = self.now();
        self.per_job.check_key(&key.store_key()).map_err(|until| until.wait_time_from(now))
    }

    /// Waits for the turn of a guarded start's requests.
    ///
    /// # Errors
    /// How long it would take, when that is more than the patience.
    pub(super) async fn start(&self) -> Result<(), Duration> {
        let cells = NonZeroU32::new(REQUESTS_PER_START).unwrap_or(NonZeroU32::MIN);
        self.turn(cells.min(self.burst)).await
    }

    /// Waits for the turn of one read.
    ///
    /// # Errors
    /// How long it would take, when that is more than the patience.
    pub(super) async fn read(&self) -> Result<(), Duration> {
        self.turn(NonZeroU32::MIN).await
    }

    async fn turn(&self, cells: NonZeroU32) -> Result<(), Duration> {
        let until = self.clock.tick().after(self.patience);
        loop {
            let wait = match self.per_tenant.check_n(cells) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(not_until)) => not_until.wait_time_from(self.now()),
                // More cells than the burst ever holds: `cells` is at most the burst.
                Err(_) => return Err(self.patience),
            };
            if wait > self.clock.tick().until(until) {
                return Err(wait);
            }
            self.clock.sleep(wait).await;
        }
    }

    fn now(&self) -> Nanos {
        let Tick(now) = self.clock.tick();
        Nanos::from(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{JobId, ServicePrincipalId, Timestamp},
        testing::ManualClock,
    };

    fn key(job: usize) -> JobKey {
        let sp = ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b");
        let (Ok(service_principal_id), Ok(job_id)) = (sp, JobId::parse(&format!("job{job}")))
        else {
            panic!("ids")
        };
        JobKey { service_principal_id, job_id }
    }

    #[test]
    fn a_process_that_lives_long_forgets_the_jobs_it_no_longer_asks_about() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let one = NonZeroU32::MIN;
        let settings =
            PaceSettings { requests_per_second: one, burst: one, patience: Duration::ZERO };
        let pace = Pace::new(&settings, clock.clone());
        for job in 0..=KEYS_BEFORE_SWEEP {
            assert_eq!(pace.attempt(&key(job)), Ok(()));
        }
        assert_eq!(pace.per_job.len(), KEYS_BEFORE_SWEEP + 1);
        for _ in 1..ATTEMPTS_BURST.get() {
            assert_eq!(pace.attempt(&key(0)), Ok(()));
        }
        assert_eq!(pace.attempt(&key(0)), Err(Duration::from_secs(1)), "what is recent stays");
        clock.advance(Duration::from_secs(60));
        assert_eq!(pace.attempt(&key(0)), Ok(()));
        assert!(pace.per_job.len() <= 1, "{}", pace.per_job.len());
    }
}
