//! The judge: counts that are right, and hard to fool.

use std::time::Duration;

use startguard::emulator::{
    Effect, Emulator, FaultRule, JobConfig, OperationKind, Storm, Timing, ViolationKind,
};

use super::{Bench, JOB, SP, job_path};

#[tokio::test]
async fn a_start_of_a_running_job_is_a_violation_and_answered_204() {
    let bench = Bench::with("Active").await;
    assert_eq!(bench.start().await.unwrap().status(), 204);
    let counts = bench.emulator.counts();
    assert_eq!((counts.violations, counts.violations_by_kind[&ViolationKind::Running]), (1, 1));
    assert_eq!(counts.job(SP, JOB).violations, 1);
}

#[tokio::test]
async fn every_forbidden_state_has_its_own_kind() {
    for (code, kind) in [
        ("NotRun", ViolationKind::NeverRun),
        ("NotConfigured", ViolationKind::NotConfigured),
        ("Zombie", ViolationKind::UnknownState),
    ] {
        let bench = Bench::with(code).await;
        assert_eq!(bench.start().await.unwrap().status(), 204);
        assert_eq!(bench.emulator.counts().violations_by_kind[&kind], 1, "{code}");
    }
}

#[tokio::test]
async fn a_job_started_continuously_is_stopped() {
    let bench = Bench::with("Active").await;
    for _ in 0..3 {
        assert_eq!(bench.start().await.unwrap().status(), 204);
    }
    assert_eq!(bench.code().await, "Paused");
    let counts = bench.emulator.job(SP, JOB);
    assert_eq!((counts.starts, counts.violations, counts.stopped_by_storm), (3, 3, 1));
    assert_eq!(bench.emulator.condition(SP, JOB).unwrap().schedule, "Disabled");
}

#[tokio::test]
async fn no_fault_hides_a_violation() {
    for effect in
        [Effect::status(503), Effect::lost_before(), Effect::lost_after(), Effect::Truncated]
    {
        let bench = Bench::with("Active").await;
        bench.emulator.add_fault(FaultRule::on(OperationKind::Start, effect.clone())).unwrap();
        drop(bench.start().await);
        assert_eq!(bench.emulator.violations(), 1, "{effect:?}");
        assert_eq!(bench.emulator.job(SP, JOB).starts, 1, "{effect:?}");
    }
    let bench = Bench::with("Active").await;
    assert_eq!(
        bench.client.post(bench.url(&job_path("/start"))).send().await.unwrap().status(),
        401
    );
    let counts = bench.emulator.counts();
    assert_eq!((counts.violations, counts.job(SP, JOB).starts_effective), (1, 0));
}

#[tokio::test]
async fn two_hundred_starts_at_once_are_all_seen() {
    let timing = Timing { action_latency: Duration::from_millis(200), ..Timing::default() };
    let storm = Storm { threshold: 0, ..Storm::default() };
    let builder =
        Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing).storm(storm);
    let bench = Bench::of(builder).await;
    let starts = (0..200).map(|_| bench.start());
    for answer in futures_util::future::join_all(starts).await {
        assert_eq!(answer.unwrap().status(), 204);
    }
    let counts = bench.emulator.counts();
    let job = counts.job(SP, JOB);
    // One of them was in order; all the others met a job that was starting.
    assert_eq!((job.starts, job.starts_effective, job.violations), (200, 200, 199));
    assert_eq!(counts.violations_by_kind.values().sum::<u64>(), 199);
    assert!(job.overlapping_starts >= 1);
    assert_eq!((job.starts_in_flight, counts.in_flight), (0, 0));
    assert!(job.starts_in_flight_max >= 2);
    assert_eq!(job.start_arrivals_ms.len(), 200);
    assert_eq!(job.most_starts_within(Duration::from_secs(3600)), 200);
}

#[tokio::test]
async fn a_start_whose_caller_left_takes_effect_and_stays_in_flight_until_then() {
    let timing = Timing { start_delay: Duration::ZERO, ..Timing::default() };
    let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing);
    let slow = FaultRule::on(OperationKind::Start, Effect::None).times(1);
    let bench = Bench::of(builder.fault(slow.delayed_before(Duration::from_secs(1)))).await;
    let left = tokio::spawn(bench.post(&job_path("/start")).send());
    bench.until_counted(|job| job.starts_in_flight == 1).await;
    left.abort();
    assert!(left.await.is_err_and(|ended| ended.is_cancelled()));
    // A second start overlaps it, and the first one then meets a running job.
    assert_eq!(bench.start().await.unwrap().status(), 204);
    bench.until_counted(|job| job.starts_in_flight == 0).await;
    let job = bench.emulator.job(SP, JOB);
    assert_eq!((job.starts, job.starts_effective), (2, 2));
    assert_eq!((job.overlapping_starts, job.violations), (1, 1));
    assert_eq!(bench.true_code(), "Active");
}

#[tokio::test]
async fn starts_one_after_the_other_do_not_overlap() {
    let bench = Bench::with("Active").await;
    for _ in 0..20 {
        assert_eq!(bench.start().await.unwrap().status(), 204);
    }
    let job = bench.emulator.job(SP, JOB);
    assert_eq!((job.overlapping_starts, job.starts_in_flight_max), (0, 1));
}

#[tokio::test]
async fn a_start_without_a_look_first_is_noticed() {
    let bench = Bench::with("Paused").await;
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(bench.emulator.job(SP, JOB).starts_without_fresh_read, 1);

    let bench = Bench::with("Paused").await;
    assert_eq!(bench.code().await, "Paused");
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(bench.emulator.job(SP, JOB).starts_without_fresh_read, 0);

    // A read that showed no state was no look.
    let bench = Bench::with("Paused").await;
    bench.emulator.add_fault(FaultRule::on(OperationKind::GetJob, Effect::NullStatus)).unwrap();
    drop(bench.read().await.unwrap());
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(bench.emulator.job(SP, JOB).starts_without_fresh_read, 1);
}

#[tokio::test]
async fn a_list_is_a_look_at_each_of_its_jobs() {
    let bench = Bench::with("Quarantine").await;
    let path = format!("/v1.0/servicePrincipals/{}/synchronization/jobs", SP.to_uppercase());
    assert_eq!(bench.get(&path).send().await.unwrap().status(), 200);
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(bench.emulator.job(SP, JOB).starts_without_fresh_read, 0);
}

#[tokio::test]
async fn the_request_log_tells_who_sent_what_and_keeps_no_token() {
    let bench = Bench::with("Paused").await;
    let request = bench.get(&job_path("?a=b")).header("User-Agent", "startguard/0.1.0");
    drop(request.header("client-request-id", "mine").send().await.unwrap());
    drop(bench.client.get(bench.url(&job_path(""))).send().await.unwrap());
    let log = bench.emulator.requests();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].target, job_path("?a=b"));
    assert_eq!(
        (log[0].status, log[0].authorization, log[1].status, log[1].authorization),
        (Some(200), true, Some(401), false)
    );
    assert_eq!(log[0].user_agent.as_deref(), Some("startguard/0.1.0"));
    assert_eq!(log[0].client_request_id.as_deref(), Some("mine"));
    assert!(!format!("{log:?}").contains("Bearer"));
}
