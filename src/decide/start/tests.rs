use std::num::NonZeroU32;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{JobId, Reason, ScheduleState, ServicePrincipalId, StatusCode, Timestamp};

fn policy() -> Policy {
    Policy {
        cooldown: Duration::from_secs(600),
        max_starts: NonZeroU32::MIN.saturating_add(2),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: NonZeroU32::MIN.saturating_add(9),
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        needs_consent: Vec::new(),
        auto_reasons: Vec::new(),
    }
}

fn at(second: i64) -> Moment {
    Moment::civil(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn ask(n: u128) -> Ask {
    let sp = ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b");
    let job = JobId::parse("BoxOutDelta.1");
    let (Ok(service_principal_id), Ok(job_id)) = (sp, job) else { panic!("ids") };
    Ask {
        key: JobKey { service_principal_id, job_id },
        attempt: AttemptId(Uuid::from_u128(n)),
        actor: Actor("alice@ops1".to_owned()),
        holder: "alice@ops1 (pid 1)".to_owned(),
        accept: Vec::new(),
    }
}

fn seen(code: StatusCode, began: u64) -> Observation {
    Observation {
        code,
        schedule: ScheduleState::Disabled,
        quarantine: None,
        escrows_pruned: false,
        read_at: Timestamp::UNIX_EPOCH,
        began: Tick(Duration::from_secs(began)),
    }
}

fn tick(second: u64) -> Tick {
    Tick(Duration::from_secs(second))
}

/// Takes the lease at `now` and decides `later` seconds after it.
fn walk(
    record: &JobRecord,
    tenant: &TenantRecord,
    now: i64,
    later: i64,
    observation: &Observation,
    ticks: Tick,
) -> Decision {
    let ask = ask(1);
    let as_of = at(now);
    let view = View { job: record, tenant, as_of: &as_of, latest_entry: None };
    match acquire(&policy(), view, &ask) {
        Err(refusal) => refusal.into(),
        Ok(grant) => {
            let as_of = at(now + later);
            let view = View { job: &grant.record, tenant, as_of: &as_of, latest_entry: None };
            start(&policy(), view, &ask, grant.token, observation, ticks)
        }
    }
}

fn deferred(decision: &Decision) -> Option<Reason> {
    if let Decision::Defer(deferral) = decision { Some(deferral.reason) } else { None }
}

fn fresh(code: StatusCode) -> Decision {
    let (record, tenant) = (JobRecord::default(), TenantRecord::default());
    walk(&record, &tenant, 1_000, 1, &seen(code, 10), tick(11))
}

#[test]
fn a_paused_job_is_started_and_counted() {
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let (job, tenant) = intent.records();
    assert_eq!(job.starts.len(), 1);
    assert_eq!(job.starts[0].result, StartResult::Open);
    assert_eq!(job.starts[0].at, at(1_001));
    assert_eq!(tenant.starts, [at(1_001)]);
    assert_eq!(job.lease.as_ref().map(|lease| lease.token), Some(FencingToken(1)));
    assert_eq!(job.lease.as_ref().map(|lease| lease.term.from.clone()), Some(at(1_001)));
}

#[test]
fn a_running_job_is_left_alone() {
    assert!(matches!(fresh(StatusCode::Active), Decision::Nothing));
}

#[test]
fn a_read_that_is_too_old_decides_nothing() {
    let (record, tenant) = (JobRecord::default(), TenantRecord::default());
    let paused = seen(StatusCode::Paused, 10);
    let young = walk(&record, &tenant, 1_000, 1, &paused, tick(15));
    assert!(matches!(young, Decision::Start(_)));
    let old = walk(&record, &tenant, 1_000, 1, &paused, tick(16));
    assert!(matches!(old, Decision::TooLate(_)));
}

#[test]
fn a_lease_that_ran_out_decides_nothing() {
    let (record, tenant) = (JobRecord::default(), TenantRecord::default());
    let paused = seen(StatusCode::Paused, 10);
    assert!(matches!(walk(&record, &tenant, 0, 59, &paused, tick(10)), Decision::Start(_)));
    assert!(matches!(walk(&record, &tenant, 0, 60, &paused, tick(10)), Decision::TooLate(_)));
}

#[test]
fn a_lease_taken_by_another_decides_nothing() {
    let tenant = TenantRecord::default();
    let as_of = at(0);
    let empty = JobRecord::default();
    let view = View { job: &empty, tenant: &tenant, as_of: &as_of, latest_entry: None };
    let mine = acquire(&policy(), view, &ask(1)).expect("granted");
    let later = at(61);
    let view = View { job: &mine.record, tenant: &tenant, as_of: &later, latest_entry: None };
    let theirs = acquire(&policy(), view, &ask(2)).expect("granted after the lease ran out");
    assert!(theirs.token > mine.token);
    let view = View { job: &theirs.record, tenant: &tenant, as_of: &later, latest_entry: None };
    let paused = seen(StatusCode::Paused, 10);
    let decision = start(&policy(), view, &ask(1), mine.token, &paused, tick(10));
    assert_eq!(deferred(&decision), Some(Reason::LeaseHeld), "{decision:?}");
}

#[test]
fn a_lease_that_is_not_this_attempts_decides_nothing_even_when_it_is_over() {
    let (tenant, paused, as_of) = (TenantRecord::default(), seen(StatusCode::Paused, 10), at(0));
    let empty = JobRecord::default();
    let view = View { job: &empty, tenant: &tenant, as_of: &as_of, latest_entry: None };
    let mine = acquire(&policy(), view, &ask(1)).expect("granted");
    let decide = |record: &JobRecord, second, token| {
        let as_of = at(second);
        let view = View { job: record, tenant: &tenant, as_of: &as_of, latest_entry: None };
        start(&policy(), view, &ask(1), token, &paused, tick(10))
    };
    assert!(matches!(decide(&mine.record, 59, mine.token), Decision::Start(_)));
    let other_token = decide(&mine.record, 59, mine.token.next());
    assert!(matches!(other_token, Decision::TooLate(_)), "{other_token:?}");
    let mut taken = mine.record.clone();
    if let Some(lease) = &mut taken.lease {
        lease.attempt = ask(2).attempt;
    }
    let over = decide(&taken, 60, mine.token);
    assert!(matches!(over, Decision::TooLate(_)), "{over:?}");
    let released = decide(&empty, 1, mine.token);
    assert!(matches!(released, Decision::TooLate(_)), "{released:?}");
}

#[test]
fn a_rehearsal_says_what_a_start_would_and_needs_no_lease() {
    let (tenant, paused) = (TenantRecord::default(), seen(StatusCode::Paused, 10));
    let rehearsed = |record: &JobRecord, second, observation: &Observation| {
        let as_of = at(second);
        let view = View { job: record, tenant: &tenant, as_of: &as_of, latest_entry: None };
        rehearse(&policy(), view, &[], observation)
    };
    let empty = JobRecord::default();
    assert!(rehearsed(&empty, 0, &paused).is_ok());
    let running = rehearsed(&empty, 0, &seen(StatusCode::Active, 10));
    assert!(matches!(running, Err(Decision::Nothing)), "{running:?}");
    let denied = rehearsed(&empty, 0, &seen(StatusCode::NotConfigured, 10));
    assert!(matches!(denied, Err(Decision::Deny(_))), "{denied:?}");
    let as_of = at(0);
    let view = View { job: &empty, tenant: &tenant, as_of: &as_of, latest_entry: None };
    let leased = acquire(&policy(), view, &ask(1)).expect("granted").record;
    let held = rehearsed(&leased, 1, &paused).expect_err("another holds the lease");
    assert_eq!(deferred(&held), Some(Reason::LeaseHeld));
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let mut open = intent.records().0.clone();
    open.lease = None;
    let doubt = rehearsed(&open, 1_100, &paused).expect_err("in doubt");
    assert_eq!(deferred(&doubt), Some(Reason::InDoubt));
}

#[test]
fn an_earlier_start_in_doubt_is_not_repeated_inside_its_cooldown() {
    let (tenant, paused) = (TenantRecord::default(), seen(StatusCode::Paused, 10));
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let mut left_open = intent.records().0.clone();
    left_open.starts[0].attempt = AttemptId(Uuid::from_u128(7));
    left_open.lease = None;
    let inside = walk(&left_open, &tenant, 1_300, 0, &paused, tick(10));
    assert_eq!(deferred(&inside), Some(Reason::InDoubt), "{inside:?}");
    let after = walk(&left_open, &tenant, 1_601, 0, &paused, tick(10));
    assert!(matches!(after, Decision::Start(_)));
}

#[test]
fn a_read_from_before_the_cooldowns_end_starts_nothing_after_it() {
    // In doubt since 1,000 s: the cool-down ends at 1,600 s. The read began at tick 10, and the
    // decision falls on 1,601 s at tick 12: the read began at 1,599 s.
    let mut record = JobRecord::default();
    record.starts.push(StartMark {
        attempt: AttemptId(Uuid::from_u128(7)),
        token: FencingToken(1),
        at: at(1_000),
        by: Actor("bob@ops2".to_owned()),
        result: StartResult::InDoubt,
        looked: None,
        forgiven: false,
    });
    let tenant = TenantRecord::default();
    let paused = seen(StatusCode::Paused, 10);
    let early = walk(&record, &tenant, 1_598, 3, &paused, tick(12));
    assert_eq!(deferred(&early), Some(Reason::InDoubt));
    let late = walk(&record, &tenant, 1_598, 4, &paused, tick(12));
    assert!(matches!(late, Decision::Start(_)), "the read began as the cool-down ended");
}

#[test]
fn a_later_read_settles_what_was_left_open() {
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let open = intent.records().0.clone();
    let other = AttemptId(Uuid::from_u128(9));
    let (record, news) = look_again(open.clone(), &at(1_100), other, &seen(StatusCode::Active, 10));
    assert_eq!(news, Some((AttemptId(Uuid::from_u128(1)), OutcomeKind::Started)));
    assert_eq!(record.starts[0].result, StartResult::Started);
    let (record, news) = look_again(open.clone(), &at(1_100), other, &seen(StatusCode::Paused, 10));
    assert_eq!(news, Some((AttemptId(Uuid::from_u128(1)), OutcomeKind::InDoubt)));
    assert_eq!(record.starts[0].looked, Some(at(1_100)));
    let (_, again) = look_again(record, &at(1_110), other, &seen(StatusCode::Paused, 10));
    assert_eq!(again, None, "nothing new is not told twice");
}

#[test]
fn a_permit_needs_the_receipt_of_its_own_intent() {
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let other = crate::decide::Receipt::issue(Some(AttemptId(Uuid::from_u128(2))));
    assert!(intent.permit(other, tick(0)).is_none());
}

#[test]
fn a_permit_lasts_while_the_lease_outlasts_the_post() {
    let (record, tenant) = (JobRecord::default(), TenantRecord::default());
    let paused = seen(StatusCode::Paused, 100);
    let decision = walk(&record, &tenant, 1_000, 1, &paused, tick(100));
    let Decision::Start(intent) = decision else { panic!("no start") };
    let permit = intent.permit(own(), tick(100)).expect("a permit");
    assert_eq!(permit.key(), &ask(1).key);
    assert_eq!((permit.attempt(), permit.token()), (ask(1).attempt, FencingToken(1)));
    assert_eq!(permit.time_left(tick(100)), Some(Duration::from_secs(10)));
    assert_eq!(permit.time_left(tick(105)), Some(Duration::from_secs(10)));
    assert_eq!(permit.time_left(tick(106)), None, "later than D after the mark");
}

#[test]
fn a_permit_ends_when_the_read_it_rests_on_is_too_old() {
    // Read at 10, decided at 11; the commit then took its time.
    let Decision::Start(intent) = fresh(StatusCode::Paused) else { panic!("no start") };
    let permit = intent.permit(own(), tick(11)).expect("a permit");
    assert!(permit.time_left(tick(15)).is_some());
    assert_eq!(permit.time_left(tick(16)), None, "the read is six seconds old");
    assert_eq!(permit.time_to_leave(tick(12)), Duration::from_secs(3));
    assert_eq!(permit.time_to_leave(tick(16)), Duration::ZERO);
}

#[test]
fn a_lease_under_the_same_id_is_somebody_elses() {
    let (tenant, as_of) = (TenantRecord::default(), at(0));
    let empty = JobRecord::default();
    let view = View { job: &empty, tenant: &tenant, as_of: &as_of, latest_entry: None };
    let first = acquire(&policy(), view, &ask(1)).expect("granted");
    let view = View { job: &first.record, tenant: &tenant, as_of: &as_of, latest_entry: None };
    match acquire(&policy(), view, &ask(1)) {
        Err(Refusal::Defer(deferral)) => assert_eq!(deferral.reason, Reason::LeaseHeld),
        other => panic!("{other:?}"),
    }
}

fn own() -> crate::decide::Receipt {
    crate::decide::Receipt::issue(Some(AttemptId(Uuid::from_u128(1))))
}

proptest! {
    /// Whatever is asked when, whatever the job reads, and whoever dies in between: starts never
    /// come closer than the cool-down, never more than `max_starts` fall into a window, never
    /// without Paused or Quarantine, and tokens only grow.
    #[test]
    fn no_history_of_asks_breaks_the_bounds(
        steps in proptest::collection::vec((0_i64..400, 0_u8..6, any::<bool>(), any::<bool>()), 1..60),
        cooldown in 1_u64..300, max_starts in 1_u32..4, window in 1_u64..2_000,
    ) {
        let policy = Policy {
            cooldown: Duration::from_secs(cooldown),
            max_starts: NonZeroU32::new(max_starts).unwrap_or(NonZeroU32::MIN),
            window: Duration::from_secs(window),
            ..policy()
        };
        let (mut record, mut tenant) = (JobRecord::default(), TenantRecord::default());
        let (mut now, mut starts, mut token) = (0_i64, Vec::new(), FencingToken(0));
        for (n, (pause, code, dies, works)) in steps.into_iter().enumerate() {
            now += pause;
            let as_of = at(now);
            let ask = ask(n as u128 + 1);
            let code = [
                StatusCode::Paused, StatusCode::Quarantine, StatusCode::Active, StatusCode::NotRun,
                StatusCode::NotConfigured, StatusCode::Other(String::new()),
            ][usize::from(code)].clone();
            let view = View { job: &record, tenant: &tenant, as_of: &as_of, latest_entry: None };
            let Ok(grant) = acquire(&policy, view, &ask) else { continue };
            prop_assert!(grant.token > token);
            token = grant.token;
            let seen = seen(code.clone(), 0);
            let (looked, _) = look_again(grant.record, &as_of, ask.attempt, &seen);
            record = looked;
            let view = View { job: &record, tenant: &tenant, as_of: &as_of, latest_entry: None };
            let decision = start(&policy, view, &ask, grant.token, &seen, tick(0));
            let mut result = None;
            if let Decision::Start(intent) = decision {
                prop_assert!(matches!(code, StatusCode::Paused | StatusCode::Quarantine));
                let (job, new_tenant) = intent.records();
                (record, tenant) = (job.clone(), new_tenant.clone());
                starts.push(now);
                result = Some(if works { StartResult::Started } else { StartResult::InDoubt });
            }
            if !dies {
                record = crate::decide::record_outcome(record, ask.attempt, result);
            }
        }
        for pair in starts.windows(2) {
            prop_assert!(pair[1] - pair[0] >= i64::try_from(cooldown).unwrap_or(0));
        }
        for run in starts.windows(max_starts as usize + 1) {
            prop_assert!(run[max_starts as usize] - run[0] >= i64::try_from(window).unwrap_or(0));
        }
    }
}
