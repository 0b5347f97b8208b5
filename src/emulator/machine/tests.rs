use super::*;

const NOW: Duration = Duration::from_secs(100);

fn timing() -> Timing {
    Timing {
        start_delay: Duration::from_millis(300),
        first_cycle: Duration::from_secs(2),
        pause_delay: Duration::ZERO,
        ..Timing::default()
    }
}

fn job(code: &str) -> Job {
    Job::new(JobConfig::new("job", code), Duration::ZERO)
}

fn start(job: &mut Job, now: Duration) -> Option<ViolationKind> {
    job.start(now, &timing(), &Storm::default())
}

fn state(job: &Job, moment: Duration) -> (String, String) {
    let (_, condition) = job.at(moment).unwrap();
    (condition.code.clone(), condition.schedule.clone())
}

fn pair(code: &str, schedule: &str) -> (String, String) {
    (code.to_owned(), schedule.to_owned())
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_paused_job_turns_active_after_the_delay() {
    let mut job = job("Paused");
    assert_eq!(state(&job, NOW), pair("Paused", "Disabled"));
    assert_eq!(start(&mut job, NOW), None);
    assert_eq!(state(&job, NOW + ms(299)), pair("Paused", "Disabled"));
    assert_eq!(state(&job, NOW + ms(300)), pair("Active", "Active"));
}

#[test]
fn a_start_clears_the_quarantine_and_its_series() {
    let mut job = job("Quarantine");
    assert_eq!(state(&job, NOW), pair("Quarantine", "Active"));
    assert_eq!(start(&mut job, NOW), None);
    let (_, after) = job.at(NOW + ms(300)).unwrap();
    assert_eq!((after.code.as_str(), after.quarantine.as_ref()), ("Active", None));
    assert_eq!(after.successive_failures, 0);
}

#[test]
fn letters_case_in_a_code_does_not_matter() {
    assert_eq!(job("paused").violation(NOW), None);
    assert_eq!(job("ACTIVE").violation(NOW), Some(ViolationKind::Running));
}

#[test]
fn every_other_state_is_a_violation_of_its_own_kind() {
    for (code, schedule, kind) in [
        ("Active", "Active", ViolationKind::Running),
        ("NotRun", "Active", ViolationKind::Running),
        ("NotRun", "Disabled", ViolationKind::NeverRun),
        ("NotConfigured", "Disabled", ViolationKind::NotConfigured),
        ("Zombie", "Disabled", ViolationKind::UnknownState),
        ("", "Active", ViolationKind::UnknownState),
    ] {
        let mut job = Job::new(JobConfig::new("job", code).scheduled(schedule), Duration::ZERO);
        assert_eq!(start(&mut job, NOW), Some(kind), "{code}/{schedule}");
    }
}

#[test]
fn a_second_start_before_the_first_one_shows_is_a_violation() {
    let mut job = job("Paused");
    assert_eq!(start(&mut job, NOW), None);
    assert_eq!(start(&mut job, NOW + ms(1)), Some(ViolationKind::Starting));
    assert_eq!(start(&mut job, NOW + ms(300)), Some(ViolationKind::Running));
}

#[test]
fn a_job_that_never_ran_begins_with_a_first_cycle() {
    for code in ["NotRun", "NotConfigured"] {
        let mut job = job(code);
        assert_eq!(job.at(NOW).unwrap().1.interval, NEVER_SCHEDULED);
        assert!(start(&mut job, NOW).is_some());
        assert_eq!(state(&job, NOW + ms(300)), pair("NotRun", "Active"));
        assert_eq!(job.at(NOW + ms(300)).unwrap().1.last_execution, ExecutionConfig::FirstCycle);
        assert_eq!(state(&job, NOW + ms(2300)), pair("Active", "Active"));
        assert_eq!(job.at(NOW + ms(2300)).unwrap().1.interval, USUAL_INTERVAL);
    }
}

#[test]
fn a_job_started_continuously_is_stopped() {
    let mut job = job("Active");
    for _ in 0..2 {
        assert_eq!(start(&mut job, NOW), Some(ViolationKind::Running));
        assert!(!job.stopped_by_storm());
    }
    assert_eq!(start(&mut job, NOW), Some(ViolationKind::Running));
    assert!(job.stopped_by_storm());
    assert_eq!(state(&job, NOW), pair("Paused", "Disabled"));
    // It is a paused job from now on: the next start is in order, and wakes it.
    assert_eq!(start(&mut job, NOW), None);
    assert!(!job.stopped_by_storm());
}

#[test]
fn starts_of_a_starting_job_count_towards_the_storm_too() {
    let mut job = job("Paused");
    for _ in 0..4 {
        start(&mut job, NOW);
    }
    assert!(job.stopped_by_storm());
    assert_eq!(state(&job, NOW + Duration::from_secs(9)), pair("Paused", "Disabled"));
}

#[test]
fn starts_spread_beyond_the_window_stop_nothing() {
    let mut job = job("Active");
    for minute in 0..10 {
        start(&mut job, NOW + Duration::from_secs(31 * minute));
    }
    assert!(!job.stopped_by_storm());
}

#[test]
fn a_threshold_of_zero_stops_nothing() {
    let mut job = job("Active");
    let never = Storm { threshold: 0, ..Storm::default() };
    for _ in 0..50 {
        job.start(NOW, &timing(), &never);
    }
    assert!(!job.stopped_by_storm());
}

#[test]
fn a_pause_keeps_the_quarantine_on_the_job() {
    let mut job = job("Quarantine");
    job.pause(NOW, &timing());
    assert_eq!(state(&job, NOW), pair("Paused", "Disabled"));
    assert!(job.at(NOW).unwrap().1.quarantine.is_some());
    assert_eq!(start(&mut job, NOW), None);
    assert_eq!(job.at(NOW + ms(300)).unwrap().1.quarantine, None);
}

#[test]
fn a_pause_takes_back_a_start_that_has_not_shown_yet() {
    let mut job = job("Paused");
    start(&mut job, NOW);
    job.pause(NOW + ms(100), &timing());
    assert_eq!(state(&job, NOW + Duration::from_secs(10)), pair("Paused", "Disabled"));
    assert_eq!(job.violation(NOW + ms(101)), None);
}

#[test]
fn a_cause_that_nobody_mended_comes_back() {
    let config = JobConfig {
        relapses_after: Some(Duration::from_secs(5)),
        ..JobConfig::new("job", "Quarantine")
    };
    let mut job = Job::new(config, Duration::ZERO);
    start(&mut job, NOW);
    assert_eq!(state(&job, NOW + ms(5000)), pair("Active", "Active"));
    let (_, relapsed) = job.at(NOW + ms(5300)).unwrap();
    assert_eq!(relapsed.code, "Quarantine");
    assert_eq!(relapsed.quarantine.as_ref().map(|quarantine| quarantine.series_count), Some(1));
    assert_eq!(job.violation(NOW + ms(5300)), None);
}

#[test]
fn a_lagging_read_shows_the_old_state() {
    let mut job = job("Paused");
    start(&mut job, NOW);
    let lag = Duration::from_secs(3);
    let seen = |now: Duration| state(&job, now.saturating_sub(lag)).0;
    assert_eq!(seen(NOW + ms(3299)), "Paused");
    assert_eq!(seen(NOW + ms(3300)), "Active");
}

#[test]
fn a_lag_cannot_look_back_beyond_the_set_up() {
    let job = Job::new(JobConfig::new("job", "Active"), NOW);
    assert_eq!(state(&job, Duration::ZERO).0, "Active");
}

#[test]
fn a_restart_forgets_what_its_scope_names() {
    let full = ResetScope::parse("Full").unwrap();
    let mut restarted = job("Quarantine");
    restarted.restart(NOW, full, &timing());
    assert_eq!(state(&restarted, NOW + ms(300)), pair("NotRun", "Active"));
    assert_eq!(state(&restarted, NOW + ms(2300)), pair("Active", "Active"));

    let mut kept = job("Quarantine");
    kept.restart(NOW, ResetScope::parse("Watermark").unwrap(), &timing());
    assert_eq!(state(&kept, NOW + ms(300)), pair("Quarantine", "Active"));

    let mut cleared = job("Quarantine");
    cleared.restart(NOW, ResetScope::parse("QuarantineState, Escrows").unwrap(), &timing());
    assert_eq!(state(&cleared, NOW + ms(300)), pair("Active", "Active"));
}

#[test]
fn a_restart_without_a_scope_is_the_portals_restart() {
    let mut restarted = job("Quarantine");
    restarted.restart(NOW, ResetScope::usual(), &timing());
    assert_eq!(state(&restarted, NOW + ms(300)), pair("NotRun", "Active"));
    assert_eq!(state(&restarted, NOW + ms(2300)), pair("Active", "Active"));
}

#[test]
fn a_restart_that_resets_nothing_lifts_a_quarantine_as_a_start_does() {
    let mut resumed = job("Quarantine");
    resumed.restart(NOW, ResetScope::parse("None").unwrap(), &timing());
    assert_eq!(state(&resumed, NOW + ms(300)), pair("Active", "Active"));
}

#[test]
fn a_reset_scope_is_a_comma_list_of_known_members() {
    assert_eq!(ResetScope::parse(""), Some(ResetScope::usual()));
    assert_eq!(ResetScope::parse(" , "), Some(ResetScope::usual()));
    assert_ne!(ResetScope::parse("None"), Some(ResetScope::usual()));
    assert_eq!(ResetScope::parse("Watermark,escrows, QuarantineState"), ResetScope::parse("Full"));
    assert_eq!(ResetScope::parse("Everything"), None);
}

#[test]
fn a_long_history_is_cut_and_stays_true() {
    let mut job = job("Paused");
    let mut now = NOW;
    for _ in 0..1000 {
        start(&mut job, now);
        now += Duration::from_secs(1);
        job.pause(now, &timing());
        now += Duration::from_secs(1);
    }
    assert!(job.history.len() <= HISTORY + 1);
    assert_eq!(state(&job, now), pair("Paused", "Disabled"));
}
