//! This process's share of the tenant's pace, which the hosts that share a store keep together.
//!
//! Only where the store serves many hosts: processes of one machine keep their pace each for itself.
//! Requests are granted by the tenant's record ([`decide::take_turn`]): a start's together with its
//! lease, in a commit that is made anyway; those of other reads by commits of their own, a few
//! requests at a time where they come in quick succession. What was granted and is not sent within
//! a second is let go: budget wasted, never granted twice.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Conflicts, Core, end, end::End};
use crate::{
    decide::{self, Quota, Turn},
    model::{Moment, TenantRecord, Tick},
    ports::{Change, Commit, StoreError, TenantWrite, Versioned},
};

/// How long a grant may be used. With this, requests in any span are at most the burst and what the
/// pace brings in that span and one second more, each time a process uses its grant late.
const USE_WITHIN: Duration = Duration::from_secs(1);

/// How long before its time a turn is taken. Turns of those who are gone by then are wasted, so a
/// crowd that was killed keeps the others waiting no longer than this.
const AHEAD: Duration = Duration::from_secs(1);

/// Turns that are granted, and not used yet.
#[derive(Debug, Default)]
pub(super) struct Share(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Granted and not used.
    spare: u32,
    /// Used and not granted: repeats of a read that failed, further pages of a list.
    owed: u32,
    /// Size of the last grant, and until when what is spare may be used.
    last: u32,
    until: Option<Tick>,
}

/// What an ask for requests takes: from what is spare, and from the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draw {
    spare: u32,
    owed: u32,
    missing: u32,
    /// What to ask the record for, if that passes at once: more than is missing where the last
    /// grant was used up in no time.
    wished: u32,
}

impl Draw {
    /// What the record has to grant; `None` where it is all there.
    fn missing(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.missing)
    }
}

impl Share {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is spare, up to `requests`. `most` is the largest grant worth asking for.
    fn draw(&self, now: Tick, requests: u32, most: u32) -> Draw {
        let mut state = self.state();
        let recent = state.until.is_some_and(|until| now < until);
        if !recent {
            state.spare = 0;
        }
        let needed = requests.saturating_add(state.owed);
        let spare = state.spare.min(needed);
        let missing = needed.saturating_sub(spare);
        let doubled = if recent { state.last.saturating_mul(2).min(most) } else { 0 };
        let draw = Draw { spare, owed: state.owed, missing, wished: missing.max(doubled) };
        state.spare = state.spare.saturating_sub(spare);
        state.owed = 0;
        draw
    }

    /// The record has granted so many to this draw.
    fn granted(&self, now: Tick, draw: &Draw, granted: u32) {
        let mut state = self.state();
        state.spare = state.spare.saturating_add(granted.saturating_sub(draw.missing));
        state.last = granted;
        state.until = Some(now.after(USE_WITHIN));
    }

    /// The record has granted nothing to this draw.
    fn put_back(&self, draw: &Draw) {
        let mut state = self.state();
        state.spare = state.spare.saturating_add(draw.spare);
        state.owed = state.owed.saturating_add(draw.owed);
    }

    /// Of `granted` requests so many were sent.
    fn settle(&self, granted: u32, sent: u32) {
        let mut state = self.state();
        state.spare = state.spare.saturating_add(granted.saturating_sub(sent));
        state.owed = state.owed.saturating_add(sent.saturating_sub(granted));
    }
}

/// Requests granted, in a record that is to be committed.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) record: TenantRecord,
    wait: Duration,
    requests: u32,
}

impl Core {
    /// Takes what is spare for so many requests.
    pub(super) fn draw(&self, requests: u32) -> Draw {
        if !self.parts.store.many_hosts() {
            return Draw::default();
        }
        let pace = &self.parts.pace;
        // A second's worth at the most, so that nobody keeps others waiting for longer.
        let most = pace.requests_per_second.min(pace.burst).get();
        self.share.draw(self.parts.clock.tick(), requests, most)
    }

    /// What is missing to a draw, where it may go out at once: the tenant's record to commit.
    /// `Ok(None)`: nothing is missing. `Err`: it has to wait for its turn.
    pub(super) fn at_once(
        &self,
        tenant: &TenantRecord,
        as_of: &Moment,
        draw: &Draw,
    ) -> Result<Option<Granted>, ()> {
        match draw.missing() {
            None => Ok(None),
            Some(missing) => self.granted_at_once(tenant, as_of, draw, missing).map(Some).ok_or(()),
        }
    }

    fn granted_at_once(
        &self,
        tenant: &TenantRecord,
        as_of: &Moment,
        draw: &Draw,
        missing: NonZeroU32,
    ) -> Option<Granted> {
        let wished = NonZeroU32::new(draw.wished).unwrap_or(missing);
        [wished, missing].into_iter().find_map(|requests| {
            match decide::take_turn(tenant, as_of, &self.quota(), requests, Duration::ZERO) {
                Turn::Granted { record, wait } => {
                    Some(Granted { record, wait, requests: requests.get() })
                }
                Turn::Full { .. } => None,
            }
        })
    }

    /// The record that grants these is durable.
    pub(super) fn granted(&self, draw: &Draw, granted: &Granted) {
        self.share.granted(self.parts.clock.tick(), draw, granted.requests);
    }

    pub(super) fn put_back(&self, draw: &Draw) {
        self.share.put_back(draw);
    }

    pub(super) fn settle_requests(&self, granted: u32, sent: u32) {
        if self.parts.store.many_hosts() {
            self.share.settle(granted, sent);
        }
    }

    /// Waits for a turn at the pace that all share. Where the store is away, the pace of this
    /// process is what is left: an outage of the store delays starts, never `status`.
    ///
    /// # Errors
    /// That it would take longer than the patience.
    pub(super) async fn turn(
        &self,
        draw: &Draw,
        loaded: Option<(Versioned<TenantRecord>, Moment)>,
        until: Tick,
    ) -> Result<Waited, End> {
        match self.take_turn(draw, loaded, until).await {
            Ok(Ok(waited)) => Ok(waited),
            Ok(Err(wait)) => {
                self.put_back(draw);
                Err(End::paced(wait))
            }
            Err(error) => {
                tracing::debug!(error = %end::chain(&error), "asking without the store's pace");
                self.put_back(draw);
                Ok(Waited::No)
            }
        }
    }

    async fn take_turn(
        &self,
        draw: &Draw,
        mut loaded: Option<(Versioned<TenantRecord>, Moment)>,
        until: Tick,
    ) -> Result<Result<Waited, Duration>, StoreError> {
        let (store, clock) = (&self.parts.store, &self.parts.clock);
        let Some(missing) = draw.missing() else { return Ok(Ok(Waited::No)) };
        let mut conflicts = Conflicts::default();
        let mut slept = false;
        loop {
            let (tenant, as_of) = match loaded.take() {
                Some(loaded) => loaded,
                None => store.load_tenant(&self.parts.tenant).await?,
            };
            let turn = match self.granted_at_once(&tenant.record, &as_of, draw, missing) {
                Some(granted) => Ok(granted),
                None => {
                    match decide::take_turn(&tenant.record, &as_of, &self.quota(), missing, AHEAD) {
                        Turn::Granted { record, wait } => {
                            Ok(Granted { record, wait, requests: missing.get() })
                        }
                        Turn::Full { wait, mended } => Err((wait, mended)),
                    }
                }
            };
            let left = clock.tick().until(until);
            let (Ok(Granted { wait, .. }) | Err((wait, _))) = &turn;
            if *wait > left {
                return Ok(Err(*wait));
            }
            let record = match &turn {
                Ok(granted) => Some(granted.record.clone()),
                Err((_, mended)) => mended.clone(),
            };
            if let Some(record) = record {
                let key = self.parts.tenant.clone();
                let write = TenantWrite { key, expected: tenant.version, record };
                match store.commit(Change { job: None, tenant: Some(write) }).await? {
                    Commit::Done(_) => {}
                    Commit::Conflict => {
                        conflicts.one_more(&**store)?;
                        self.step_aside(&conflicts).await;
                        continue;
                    }
                }
            }
            match turn {
                Ok(granted) => {
                    self.granted(draw, &granted);
                    slept |= !granted.wait.is_zero();
                    clock.sleep(granted.wait).await;
                    return Ok(Ok(if slept { Waited::Yes } else { Waited::No }));
                }
                Err((wait, _)) => {
                    slept = true;
                    clock.sleep(self.with_jitter(wait.saturating_sub(AHEAD)).min(left)).await;
                }
            }
        }
    }

    /// Longer by up to half a second, so that a crowd does not look in step.
    fn with_jitter(&self, span: Duration) -> Duration {
        span.saturating_add(Duration::from_millis(self.parts.entropy.number() % 500))
    }

    fn quota(&self) -> Quota {
        let pace = &self.parts.pace;
        Quota::per_second(pace.requests_per_second, pace.burst)
    }
}

/// Whether time has passed in which the records may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    No,
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(millis: u64) -> Tick {
        Tick(Duration::from_millis(millis))
    }

    /// Draws one, and has the record grant what is wished for. Returns that.
    fn take(share: &Share, now: u64) -> u32 {
        let draw = share.draw(tick(now), 1, 5);
        if draw.missing == 0 {
            return 0;
        }
        share.granted(tick(now), &draw, draw.wished);
        draw.wished
    }

    #[test]
    fn quick_asks_are_granted_more_at_a_time_and_slow_ones_are_not() {
        let share = Share::default();
        let quick: Vec<u32> = (0..13).map(|at| take(&share, at * 10)).collect();
        assert_eq!(quick, [1, 2, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0, 5]);
        let slow: Vec<u32> = (1..4).map(|at| take(&share, at * 5_000)).collect();
        assert_eq!(slow, [1, 1, 1]);
    }

    #[test]
    fn what_is_not_used_in_time_is_gone() {
        let share = Share::default();
        let draw = share.draw(tick(0), 2, 5);
        share.granted(tick(0), &draw, 2);
        share.settle(2, 1);
        assert_eq!(share.draw(tick(999), 1, 5).missing, 0);
        share.settle(1, 0);
        assert_eq!(share.draw(tick(1_000), 1, 5).missing, 1);
    }

    #[test]
    fn what_was_sent_beyond_the_grant_is_paid_by_the_next() {
        let share = Share::default();
        share.settle(1, 4);
        let draw = share.draw(tick(0), 1, 5);
        assert_eq!(draw.missing, 4);
        share.put_back(&draw);
        assert_eq!(share.draw(tick(0), 1, 5).missing, 4, "it was not granted");
        assert_eq!(share.draw(tick(0), 1, 5).missing, 1, "and is asked for once");
    }
}
