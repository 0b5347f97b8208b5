use super::*;

const NOW: Duration = Duration::from_secs(1);

fn start_of(job: &str) -> Operation {
    Operation::of_request(
        "POST",
        &format!("/v1.0/servicePrincipals/SP/synchronization/jobs/{job}/start"),
    )
}

fn names(faults: &mut Faults, method: &str, operation: &Operation, count: usize) -> Vec<String> {
    let chosen = std::iter::repeat_with(|| {
        faults.choose(NOW, method, operation).map_or_else(String::new, |fault| fault.name)
    });
    chosen.take(count).collect()
}

#[test]
fn a_rule_skips_and_runs_out() {
    let rule = FaultRule::on(OperationKind::Start, Effect::status(503)).after(1).times(2);
    let mut faults = Faults::new(&[rule]);
    assert_eq!(names(&mut faults, "POST", &start_of("a"), 5), ["", "status", "status", "", ""]);
    let progress = faults.progress().first().unwrap();
    assert_eq!((progress.matched, progress.played), (3, 2));
}

#[test]
fn the_first_rule_that_is_not_used_up_is_played_alone() {
    let first = FaultRule::on(OperationKind::Start, Effect::lost_before()).times(1);
    let second = FaultRule::on(OperationKind::Start, Effect::status(500));
    let mut faults = Faults::new(&[first, second]);
    assert_eq!(names(&mut faults, "POST", &start_of("a"), 3), ["lost", "status", "status"]);
}

#[test]
fn a_rule_matches_on_everything_that_it_names() {
    let rule = FaultRule::on(OperationKind::Start, Effect::Truncated).on_job("sp", "a");
    let mut faults = Faults::new(std::slice::from_ref(&rule));
    assert_eq!(names(&mut faults, "POST", &start_of("a"), 1), ["truncated"]);
    assert_eq!(names(&mut faults, "POST", &start_of("A"), 1), [""]);
    let read = Operation::of_request("GET", "/v1.0/servicePrincipals/SP/synchronization/jobs/a");
    assert_eq!(names(&mut faults, "GET", &read, 1), [""]);
    assert_eq!(names(&mut faults, "POST", &Operation::Batch, 1), [""]);

    let by_method = FaultRule {
        method: Some("get".to_owned()),
        effect: Effect::Malformed,
        ..FaultRule::default()
    };
    let mut faults = Faults::new(&[by_method]);
    assert_eq!(names(&mut faults, "GET", &read, 1), ["malformed"]);
    assert_eq!(names(&mut faults, "POST", &start_of("a"), 1), [""]);
}

#[test]
fn a_bucket_empties_and_fills() {
    let effect = Effect::Throttle { permits: 2, per: Duration::from_secs(10), retry_after: None };
    let mut faults = Faults::new(&[FaultRule { effect, ..FaultRule::default() }]);
    let mut limited = |seconds: u64| {
        faults.choose(Duration::from_secs(seconds), "POST", &start_of("a")).unwrap().limited
    };
    assert_eq!(limited(100), None);
    assert_eq!(limited(100), None);
    assert_eq!(limited(100), Some(Duration::from_secs(5)));
    assert_eq!(limited(104), Some(Duration::from_secs(1)));
    assert_eq!(limited(105), None);
    // A long rest fills the bucket, and no further than its size.
    assert_eq!(limited(1000), None);
    assert_eq!(limited(1000), None);
    assert!(limited(1000).is_some());
}

#[test]
fn rules_read_as_people_write_them() {
    let rules: Vec<FaultRule> = serde_json::from_value(serde_json::json!([
        {"operation": "get_job", "effect": {"kind": "status", "status": 503, "retry_after": {"seconds": 2}}},
        {"operation": "start", "effect": {"kind": "status", "status": 429, "retry_after": {"date_in": 2}}},
        {"effect": {"kind": "status", "status": 504, "retry_after": "absent", "applied": true}},
        {"operation": "start", "times": 1, "effect": {"kind": "lost", "when": "after", "by": "reset"}},
        {"method": "GET", "delay_before": "5s"},
        {"effect": {"kind": "trickle", "interval": "1s"}},
        {"effect": {"kind": "truncated"}},
        {"effect": {"kind": "html"}},
        {"effect": {"kind": "huge", "bytes": 536_870_912}},
        {"effect": {"kind": "null_status"}},
        {"effect": {"kind": "rewrite", "merge": {"status": {"code": "Zombie"}}}},
        {"effect": {"kind": "redirect", "location": "https://example.com/"}},
        {"effect": {"kind": "throttle", "permits": 1, "per": "1s"}},
    ]))
    .unwrap();
    for rule in &rules {
        rule.validate().unwrap();
        let again: FaultRule = serde_json::from_value(serde_json::to_value(rule).unwrap()).unwrap();
        assert_eq!(&again, rule);
    }
}

#[test]
fn a_rule_that_cannot_be_played_is_refused() {
    for effect in [
        Effect::status(99),
        Effect::Redirect { status: 200, location: String::new() },
        Effect::Throttle { permits: 0, per: Duration::from_secs(1), retry_after: None },
        Effect::Throttle { permits: 1, per: Duration::ZERO, retry_after: None },
    ] {
        let rule = FaultRule { effect, ..FaultRule::default() };
        assert!(rule.validate().is_err(), "{rule:?}");
    }
}
