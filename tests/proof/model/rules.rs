//! `decide`'s functions as the guard's shell calls them, and, where a fault is planted, as a guard
//! without one of its rules would.

use std::{num::NonZeroU32, time::Duration};

use startguard::{
    decide::{self, Decision, Permit, Refusal, Settlement, StartReply, View},
    model::{
        JobRecord, Lease, Moment, Observation, Policy, ScheduleState, StartResult, StatusCode,
        TenantRecord, Term,
    },
    testing::acknowledged,
};

use super::{
    fault::Fault,
    records::{CURRENT, Scene},
    world::{Holder, Outcome, Saw, Seen, Who},
};

/// By how much a clock that was set back is off: more than `decide` tolerates.
const SET_BACK: Duration = Duration::from_secs(3);

/// The holder of another job's lease.
const ELSEWHERE: Who = 100;

/// Both records of one ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) job: JobRecord,
    pub(super) tenant: TenantRecord,
}

impl Scene {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.bounds.fault == Some(fault)
    }

    /// The store's clock as a snapshot told it that was loaded so long ago.
    fn as_of(&self, who: Who, age: u8, set_back: bool) -> Moment {
        let mut told = self.moment(age).at;
        if set_back {
            told = told.saturating_sub(SET_BACK).expect("a time");
        }
        if self.has(Fault::ReadersClock) {
            // Everybody's own clock, and they stand a tick apart.
            told = told.saturating_add(self.bounds.span(who)).expect("a time");
        }
        Moment::civil(told)
    }

    fn view<'a>(&self, was: &'a Records, as_of: &'a Moment, age: u8) -> View<'a> {
        let newest = self.moment(age).at;
        let latest_entry = (!self.has(Fault::ClockMayRunBackwards)).then_some(newest);
        View { job: &was.job, tenant: &was.tenant, as_of, latest_entry }
    }

    fn rules(&self) -> Policy {
        let mut policy = self.policy.clone();
        match self.bounds.fault {
            Some(Fault::NoCooldown) => policy.cooldown = Duration::ZERO,
            Some(Fault::NoWindow) => policy.max_starts = NonZeroU32::MAX,
            Some(Fault::OldReadWillDo) => policy.status_max_age = Duration::MAX,
            _ => {}
        }
        policy
    }

    fn observation(&self, who: Who, seen: Seen) -> Observation {
        let (code, schedule) = match seen.saw {
            Saw::Stopped | Saw::Nothing => (StatusCode::Paused, ScheduleState::Disabled),
            Saw::Runs => (StatusCode::Active, ScheduleState::Active),
            Saw::Odd if self.has(Fault::UnknownIsPaused) => {
                (StatusCode::Paused, ScheduleState::Disabled)
            }
            Saw::Odd => (StatusCode::Other("Upgrading".to_owned()), ScheduleState::Active),
        };
        Observation {
            code,
            schedule,
            quarantine: None,
            escrows_pruned: false,
            read_at: self.now,
            began: self.tick(who, seen.age),
        }
    }

    /// What the decisions get to see of the record.
    fn shown(&self, was: &Records, who: Who, as_of: &Moment) -> Records {
        let mut records = was.clone();
        let record = &mut records.job;
        match self.bounds.fault {
            Some(Fault::ForgetInDoubt) => record.starts.retain(|mark| match mark.result {
                StartResult::Open | StartResult::InDoubt => false,
                StartResult::Started | StartResult::Rejected => true,
            }),
            Some(Fault::IgnoreTheLease) => record.lease = Some(self.lease(who, as_of)),
            Some(Fault::HoldAskedOnce) => record.hold = None,
            _ => {}
        }
        records
    }

    fn lease(&self, who: Who, from: &Moment) -> Lease {
        Lease {
            holder: String::new(),
            attempt: Self::attempt(who),
            token: CURRENT,
            term: Term { from: from.clone(), lasts: self.policy.lease },
        }
    }

    /// Records of a job of which nothing is known but that this holder has the lease.
    fn only_leased(&self, who: Who, from: &Moment) -> Records {
        let job = JobRecord {
            lease: Some(self.lease(who, from)),
            token: CURRENT,
            ..JobRecord::default()
        };
        Records { job, tenant: TenantRecord::default() }
    }

    /// The tenant's record after another job's attempt, at a moment at which only the tenant could
    /// hinder it; `None`: the tenant does.
    pub(super) fn elsewhere(&self, tenant: TenantRecord, set_back: bool) -> Option<TenantRecord> {
        let other = Records { tenant, ..self.only_leased(ELSEWHERE, &self.moment(0)) };
        let seen = Seen { saw: Saw::Stopped, age: 0, under_lease: true };
        self.intend(ELSEWHERE, &other, 0, set_back, seen).map(|records| records.tenant)
    }

    /// Steps 3 and 4: the record that grants the lease, if the record as it was allows that.
    pub(super) fn acquire(
        &self,
        who: Who,
        was: &Records,
        age: u8,
        set_back: bool,
    ) -> Option<JobRecord> {
        let as_of = self.as_of(who, age, set_back);
        let shown = match self.bounds.fault {
            // These look away when they decide, not when they ask for the lease.
            Some(Fault::IgnoreTheLease | Fault::HoldAskedOnce) => was.clone(),
            _ => self.shown(was, who, &as_of),
        };
        let view = self.view(&shown, &as_of, age);
        let grant = decide::acquire(&self.rules(), view, &self.ask(who)).ok()?;
        if self.bounds.fault.is_none() {
            return Some(grant.record);
        }
        let mut record = JobRecord { lease: grant.record.lease, ..was.job.clone() };
        if self.has(Fault::RefundByAnother) {
            record.starts.retain(|mark| mark.result != StartResult::Open);
        }
        Some(record)
    }

    /// For how long an ask for the lease is deferred, as its answer would say; `None`: it is not.
    pub(super) fn deferral(&self, was: &Records) -> Option<Duration> {
        let as_of = self.moment(0);
        match decide::look_back(&self.rules(), self.view(was, &as_of, 0), None) {
            Ok(()) => None,
            Err(Refusal::Defer(deferral)) => Some(deferral.retry_after.unwrap_or(Duration::MAX)),
            Err(Refusal::ClockBehind(_)) => Some(Duration::MAX),
        }
    }

    /// Steps 6 and 7: the records with the intent, if the decision is to start.
    pub(super) fn intend(
        &self,
        who: Who,
        was: &Records,
        age: u8,
        set_back: bool,
        seen: Seen,
    ) -> Option<Records> {
        let as_of = self.as_of(who, age, set_back);
        let told = match self.bounds.fault {
            Some(Fault::LookFromBefore) if seen.age <= self.bounds.status_max_age => {
                Seen { age, ..seen }
            }
            _ => seen,
        };
        let observation = self.observation(who, told);
        let attempt = Self::attempt(who);
        let (job, _) = decide::look_again(was.job.clone(), &as_of, attempt, &observation);
        let was = Records { job, tenant: was.tenant.clone() };
        let shown = self.shown(&was, who, &as_of);
        let view = self.view(&shown, &as_of, age);
        let now = self.tick(who, age);
        let decision =
            decide::start(&self.rules(), view, &self.ask(who), CURRENT, &observation, now);
        let Decision::Start(intent) = decision else { return None };
        let (job, tenant) = intent.records();
        let mut records = Records { job: job.clone(), tenant: tenant.clone() };
        if self.bounds.fault.is_none() {
            return Some(records);
        }
        records.job = JobRecord { lease: job.lease.clone(), ..was.job.clone() };
        match self.bounds.fault {
            Some(Fault::LeaseNotRenewed) => records.job.lease.clone_from(&was.job.lease),
            Some(Fault::TenantNotCharged) => records.tenant = was.tenant,
            _ => {}
        }
        if !self.has(Fault::CountAtCompletion) {
            records.job.starts.extend(job.starts.last().cloned());
        }
        Some(records)
    }

    /// The permit of an intent whose mark was taken so long ago.
    ///
    /// It is made by the same chain of custody as the guard's. A permit depends on the policy, the
    /// mark and the read, and not on the rest of the record, which is therefore left empty here.
    pub(super) fn permit(&self, who: Who, mark: u8, seen: Seen) -> Option<Permit> {
        let mut policy = self.rules();
        if self.has(Fault::NoMargin) {
            policy.lease = policy.lease.saturating_add(Policy::MARGIN);
        }
        let as_of = self.moment(mark);
        let seen = match self.bounds.fault {
            Some(Fault::FreshWhenDecidedOnly) => Seen { age: mark, ..seen },
            _ => seen,
        };
        let records = self.only_leased(who, &as_of);
        let stopped = Seen { saw: Saw::Stopped, ..seen };
        let (observation, now) = (self.observation(who, stopped), self.tick(who, mark));
        let view = self.view(&records, &as_of, mark);
        match decide::start(&policy, view, &self.ask(who), CURRENT, &observation, now) {
            Decision::Start(intent) => intent.permit(acknowledged(Self::attempt(who)), now),
            Decision::Deny(_)
            | Decision::Defer(_)
            | Decision::Nothing
            | Decision::ClockBehind(_)
            | Decision::TooLate(_) => None,
        }
    }

    /// Step 8, the line before the POST: whether there is time, by a clock that is so slow.
    pub(super) fn may_send(&self, who: Who, mark: u8, seen: Seen, slow: u8) -> bool {
        if self.has(Fault::IgnoreTheDeadline) {
            return true;
        }
        let now = self.tick(who, slow);
        self.permit(who, mark, seen).is_some_and(|permit| permit.time_left(now).is_some())
    }

    /// Step 9: where an answer leads.
    pub(super) fn settle(&self, reply: &StartReply) -> Holder {
        match decide::settle(reply) {
            Settlement::Started => Holder::Closing(Some(Outcome::Started)),
            Settlement::Refused(..) | Settlement::Throttled(..) => {
                Holder::Closing(Some(Outcome::Rejected))
            }
            Settlement::LookAgain(_) if self.has(Fault::RefundOnUnclear) => Holder::Closing(None),
            Settlement::LookAgain(_) => Holder::Looking,
            Settlement::GiveBack(_) => Holder::Closing(None),
        }
    }

    /// Step 10: the record with the outcome, released.
    pub(super) fn close(&self, who: Who, was: JobRecord, result: Option<Outcome>) -> JobRecord {
        let attempt = Self::attempt(who);
        let mut record = was;
        if self.has(Fault::CountAtCompletion) && result.is_some() {
            let scratch = self.only_leased(who, &self.moment(0));
            let seen = Seen { saw: Saw::Stopped, age: 0, under_lease: true };
            let counted = self.intend(who, &scratch, 0, false, seen).unwrap_or_default();
            record.starts.extend(counted.job.starts);
        }
        if self.has(Fault::CooldownFromCompletion) && result.is_some() {
            let own = record.starts.iter_mut().filter(|mark| mark.attempt == attempt);
            own.for_each(|mark| mark.at = self.moment(0));
        }
        decide::record_outcome(record, attempt, result.map(StartResult::from))
    }

    /// The end of an attempt that decided against a start: what its read says of an earlier one,
    /// and the release.
    pub(super) fn renounce(&self, who: Who, was: JobRecord, saw: Saw) -> JobRecord {
        let observation = self.observation(who, Seen { saw, age: 0, under_lease: true });
        let attempt = Self::attempt(who);
        let (mut record, _) = decide::look_again(was, &self.moment(0), attempt, &observation);
        if self.has(Fault::LookBeginsCooldown) {
            let looked = record.starts.iter_mut().filter(|mark| mark.looked.is_some());
            looked.for_each(|mark| mark.at = self.moment(0));
        }
        decide::record_outcome(record, attempt, None)
    }
}
