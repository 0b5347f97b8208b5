//! From a state of the world to the values that `decide` takes, and back.

use std::time::Duration;

use startguard::{
    decide::Ask,
    model::{
        Actor, AttemptId, FencingToken, Hold, JobId, JobKey, JobRecord, Lease, Moment, Policy,
        ServicePrincipalId, StartMark, TenantRecord, Term, Tick, Timestamp,
    },
};
use uuid::Uuid;

use super::{
    bounds::Bounds,
    world::{GONE, LeaseMark, MOST_MARKS, MOST_TENANT, Mark, Rec, Who},
};

/// The store's clock now. Every state is "now"; only ages differ.
const NOW: i64 = 1_000_000;

/// Everything that does not change over a run.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) bounds: Bounds,
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
    key: JobKey,
}

impl Scene {
    pub(super) fn new(bounds: Bounds) -> Self {
        let key = JobKey {
            service_principal_id: ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b")
                .expect("an id"),
            job_id: JobId::parse("j").expect("an id"),
        };
        Self {
            policy: bounds.policy(),
            bounds,
            key,
            now: Timestamp::from_second(NOW).expect("a time"),
        }
    }

    pub(super) fn attempt(who: Who) -> AttemptId {
        AttemptId(Uuid::from_u128(u128::from(who)))
    }

    pub(super) fn ask(&self, who: Who) -> Ask {
        Ask {
            key: self.key.clone(),
            attempt: Self::attempt(who),
            actor: Actor(String::new()),
            holder: String::new(),
            accept: Vec::new(),
        }
    }

    /// The store's clock, so many ticks ago.
    pub(super) fn moment(&self, age: u8) -> Moment {
        Moment::civil(self.now.saturating_sub(self.bounds.span(age)).expect("a time"))
    }

    /// A holder's monotonic clock, so many ticks ago. No two holders' clocks agree.
    pub(super) fn tick(&self, who: Who, age: u8) -> Tick {
        let own = Duration::from_secs(10_000 * (u64::from(who) + 1));
        Tick(own.saturating_sub(self.bounds.span(age)))
    }

    /// The record as `decide` takes it.
    pub(super) fn inflate(&self, record: &Rec) -> JobRecord {
        let hold = record.held.then(|| Hold {
            by: Actor(String::new()),
            reason: String::new(),
            from: self.moment(0),
            lasts: None,
        });
        let starts = record.marks.iter().flatten().enumerate().map(|(place, mark)| StartMark {
            attempt: owner(mark.who, place),
            token: FencingToken(1),
            at: self.moment(mark.age),
            by: Actor(String::new()),
            result: mark.result.into(),
            looked: mark.looked.map(|age| self.moment(age)),
            forgiven: mark.forgiven,
        });
        JobRecord {
            lease: record.lease.map(|lease| Lease {
                holder: String::new(),
                attempt: owner(lease.who, MOST_MARKS),
                token: CURRENT,
                term: Term { from: self.moment(lease.age), lasts: self.bounds.lease_in_record() },
            }),
            token: CURRENT,
            starts: starts.collect(),
            hold,
        }
    }

    /// The tenant's record as `decide` takes it.
    pub(super) fn inflate_tenant(&self, ages: &[Option<u8>; MOST_TENANT]) -> TenantRecord {
        let starts = ages.iter().flatten().map(|age| self.moment(*age)).collect();
        TenantRecord { starts, ..TenantRecord::default() }
    }

    /// The tenant's record as a state keeps it; nothing of it where no budget is set.
    pub(super) fn deflate_tenant(&self, record: &TenantRecord) -> [Option<u8>; MOST_TENANT] {
        let mut ages = [None; MOST_TENANT];
        if self.bounds.tenant.is_some() {
            for (slot, at) in ages.iter_mut().zip(&record.starts) {
                let ticks = self.moment(0).since(at).as_nanos() / self.bounds.tick.as_nanos();
                *slot = Some(u8::try_from(ticks).unwrap_or(u8::MAX));
            }
        }
        ages
    }

    /// The record as a state keeps it.
    pub(super) fn deflate(&self, record: &JobRecord) -> Rec {
        let mut marks = [None; MOST_MARKS];
        let surplus = record.starts.len().saturating_sub(MOST_MARKS);
        assert!(surplus == 0 || self.bounds.fault.is_some(), "a state holds too few: {record:?}");
        for (slot, mark) in marks.iter_mut().zip(record.starts.iter().skip(surplus)) {
            *slot = Some(Mark {
                who: who(mark.attempt),
                age: self.age(&mark.at),
                result: mark.result.into(),
                looked: mark.looked.as_ref().map(|at| self.age(at)),
                forgiven: mark.forgiven,
            });
        }
        let lease = record.lease.as_ref();
        Rec {
            lease: lease.map(|l| LeaseMark { who: who(l.attempt), age: self.age(&l.term.from) }),
            marks,
            held: record.hold.is_some(),
        }
    }

    fn age(&self, at: &Moment) -> u8 {
        let span = self.moment(0).since(at);
        let ticks = span.as_nanos() / self.bounds.tick.as_nanos();
        u8::try_from(ticks).unwrap_or(u8::MAX).min(self.bounds.horizon())
    }
}

/// The token of the lease in the record, which its holder has.
pub(super) const CURRENT: FencingToken = FencingToken(7);

/// Attempts that are over, each with an id of its own.
const PAST: u128 = 1_000;

fn owner(who: Who, place: usize) -> AttemptId {
    match who {
        GONE => AttemptId(Uuid::from_u128(PAST + place as u128)),
        who => Scene::attempt(who),
    }
}

fn who(attempt: AttemptId) -> Who {
    u8::try_from(attempt.0.as_u128()).unwrap_or(GONE)
}
