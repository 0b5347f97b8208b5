use super::*;

#[test]
fn an_empty_file_means_the_default_fleet() {
    let config: EmulatorConfig = toml::from_str("").unwrap();
    assert_eq!(config, EmulatorConfig::default());
    config.validate().unwrap();
    for name in
        ["paused", "quarantined", "too-many-deletes", "running", "never-run", "not-configured"]
    {
        assert!(config.named(name).is_some(), "{name}");
    }
}

#[test]
fn a_file_survives_both_formats() {
    let text = r#"
        page_size = 2
        [timing]
        start_delay = "1s 500ms"
        [storm]
        threshold = 0
        [auth]
        accept = "known"
        tokens = ["t"]
        [[auth.clients]]
        client_id = "c"
        client_secret = "s"
        [[faults]]
        operation = "start"
        times = 1
        effect = { kind = "lost", when = "after" }
        [[service_principals]]
        id = "sp"
        [[service_principals.jobs]]
        id = "job"
        code = "Quarantine"
        quarantine = { reason = "TooManyDeletes", next_attempt_in = "6h" }
        overlay = { status = { escrowsPruned = true } }
    "#;
    let config: EmulatorConfig = toml::from_str(text).unwrap();
    config.validate().unwrap();
    assert_eq!(config.timing.start_delay, Duration::from_millis(1500));
    assert_eq!(config.timing.first_cycle, Timing::default().first_cycle);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<EmulatorConfig>(&json).unwrap(), config);
}

#[test]
fn the_default_fleet_survives_json() {
    let json = serde_json::to_string(&EmulatorConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<EmulatorConfig>(&json).unwrap(), EmulatorConfig::default());
}

#[test]
fn unknown_keys_are_errors_at_every_level() {
    for text in [
        "pagesize = 1",
        "[timing]\nstart = '1s'",
        "[[service_principals]]\nid = 'a'\nname = 'b'",
        "[[service_principals]]\nid = 'a'\n[[service_principals.jobs]]\nid = 'j'\nstate = 'x'",
        "[[faults]]\neffect = { kind = 'status', status = 503, retry = 1 }",
        "[[faults]]\noperation = 'begin'",
        "[timing]\nstart_delay = 5",
    ] {
        assert!(toml::from_str::<EmulatorConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn refuses_what_cannot_work() {
    let config =
        EmulatorConfig { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..EmulatorConfig::default() };
    assert!(matches!(config.validate(), Err(ConfigError::NotLoopback { .. })));

    let mut config = EmulatorConfig::empty();
    config.service_principals =
        vec![ServicePrincipalConfig::new("A"), ServicePrincipalConfig::new("a")];
    assert!(matches!(config.validate(), Err(ConfigError::DuplicateServicePrincipal { .. })));

    let mut config = EmulatorConfig::empty();
    let twice = ServicePrincipalConfig::new("a")
        .with_job(JobConfig::new("j", "Paused"))
        .with_job(JobConfig::new("j", "Active"));
    config.service_principals = vec![twice];
    assert!(matches!(config.validate(), Err(ConfigError::DuplicateJob { .. })));
}

#[test]
fn a_job_can_be_written_in_one_word() {
    let mut config = EmulatorConfig::empty();
    config.add_job_written("sp/job=Quarantine:TooManyDeletes").unwrap();
    config.add_job_written("sp/other=Active").unwrap();
    let principal = config.service_principals.first().unwrap();
    assert_eq!(config.service_principals.len(), 1);
    let reasons: Vec<_> = principal
        .jobs
        .iter()
        .map(|job| job.quarantine.as_ref().map(|q| q.reason.clone()))
        .collect();
    assert_eq!(reasons, [Some("TooManyDeletes".to_owned()), None]);
    for text in ["", "sp=Active", "sp/job", "/job=Active", "sp/=Active", "sp/job="] {
        assert!(config.add_job_written(text).is_err(), "{text}");
    }
}
