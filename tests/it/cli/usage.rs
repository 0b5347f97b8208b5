//! Wrong usage and wrong configuration: told in one line with its remedy, before any request.

use std::fs;

use insta::assert_snapshot;

use super::{Call, Desk, NOTHING, Ran, job};

/// Asserts that a call was refused before it did anything.
fn refused(desk: &Desk, ran: &Ran) {
    ran.ended(2);
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert_eq!(desk.cost(), NOTHING, "{ran:?}");
    assert!(!desk.host.ledger().exists(), "{ran:?}");
    assert!(!ran.stderr.chars().any(|c| c.is_control() && c != '\n'), "{ran:?}");
}

#[tokio::test]
async fn the_program_alone_shows_its_help() {
    let desk = Desk::paused().await;
    let ran = desk.run(&[]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Usage: startguard"), "{ran:?}");
    for args in [&["--help"][..], &["start", "--help"], &["help", "hold"], &["--version"]] {
        let ran = desk.run(args).await;
        ran.ended(0);
        assert_eq!(ran.stderr, "");
        assert_ne!(ran.stdout, "");
    }
    assert_eq!(desk.run(&["--version"]).await.stdout, "startguard 0.1.0\n");
}

#[tokio::test]
async fn wrong_flags_are_told_with_what_was_meant() {
    let desk = Desk::paused().await;
    let job = job("job");
    for (args, complaint) in [
        (&["strat", "x"][..], "start"),
        (&["start"], "<JOB>"),
        (&["start", &job, "--force"], "--force"),
        (&["start", &job, "--dryrun"], "--dry-run"),
        (&["start", &job, "--wait=soon"], "not a duration"),
        (&["start", &job, "--wait=10"], "has no unit"),
        (&["start", &job, "--wait=99999y"], "ten years"),
        (&["start", &job, "--lease-wait", "-1s"], "-1"),
        (&["start", &job, "--lease-wait", "soon"], "not a duration"),
        (&["start", &job, "--reason", ""], "empty"),
        (&["start", &job, "--reason"], "--reason"),
        (&["hold", &job], "--reason"),
        (&["hold", &job, "--reason", "x", "--for", "0"], "holds nothing"),
        (&["hold", &job, "--reason", "x", "--for", "10"], "has no unit"),
        (&["hold", &job, &job, "--reason", "x"], "unexpected"),
        (&["reset", &job], "--reason"),
        (&["release"], "<JOB>"),
        (&["history", "--limit", "0"], "--limit"),
        (&["history", "--limit", "many"], "--limit"),
        (&["history", "--since", "yesterday"], "2026-11-23"),
        (&["history", "--verify", &job], "cannot be used with"),
        (&["store", "chekc"], "check"),
        (&["store", "migrate", "--from", "sqlite:a.db"], "--to"),
        (&["store", "migrate", "--from", "a.db", "--to", "sqlite:b.db"], "--from = \"a.db\""),
        (&["store", "migrate", "--from", "sqlite:a.db", "--to", "mysql:b"], "--to: \"mysql\""),
        (&["store", "migrate", "--from", "sqlite:a.db", "--to", "sqlite:./a.db"], "one store"),
        (&["store", "migrate", "--from", "sqlite:a.db", "--to", "postgres://db/x?ssl=1"], "ssl"),
        (&["-o", "yaml", "history"], "yaml"),
        (&["-v", "-q", "history"], "cannot be used with"),
        (&["completions", "basic"], "basic"),
        (&["emulator", "--listen", "nowhere"], "--listen"),
        (&["emulator", "--listen", "0.0.0.0:0"], "loopback"),
        (&["emulator", "--job", "nonsense"], "SERVICE_PRINCIPAL/JOB_ID=CODE"),
        (&["emulator", "--fleet", "missing.toml"], "missing.toml"),
    ] {
        let ran = desk.run(args).await;
        refused(&desk, &ran);
        assert!(ran.stderr.contains(complaint), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {ran:?}");
    }
}

#[tokio::test]
async fn hidden_characters_in_what_is_typed_are_refused_and_never_shown() {
    let desk = Desk::paused().await;
    let job = job("job");
    for args in [
        &["start", &job, "--reason", "a\u{1b}[2Jb"][..],
        &["start", &job, "--reason", "a\nINFO forged"],
        &["start", &job, "--reason", "a\u{202e}b"],
        &["start", &job, "--accept", "Too\u{200b}ManyDeletes"],
        &["hold", &job, "--reason", "\u{9b}2J"],
        &["reset", &job, "--reason", "\u{7}"],
        &["st\u{1b}[2Jart", &job],
        &["start", &job, "--w\u{1b}[2Jait"],
        &["--graph-endpoint", "https://x\u{1b}[2J", "history"],
        &["--store", "sqlite:/a\u{1b}[2J", "history"],
        &["--cloud", "\u{202e}", "history"],
        &["--auth", "to\u{2066}ken", "history"],
    ] {
        let ran = desk.run(args).await;
        refused(&desk, &ran);
        let shown = ran.stderr.replace('\n', "");
        assert!(!shown.contains(startguard::model::is_hidden), "{ran:?}");
    }
    let long = "x".repeat(1_001);
    let ran = desk.run(&["start", &job, "--reason", &long]).await;
    refused(&desk, &ran);
}

/// A desk whose configuration file says this.
async fn configured(text: &str) -> Desk {
    let desk = Desk::paused().await;
    desk.host.configure(text);
    desk
}

#[tokio::test]
async fn unknown_keys_name_the_nearest_known_one() {
    for (text, near) in [
        ("[guard]\ncooldwon = \"5m\"\n", "`cooldown`"),
        ("[grpah]\ncloud = \"global\"\n", "[graph]"),
        ("[graph]\nlease = \"60s\"\n", "`lease` of [guard]"),
        ("cooldown = \"5m\"\n", "`cooldown` of [guard]"),
        ("[jobs.hr]\nservice_principle = \"x\"\n", "`service_principal`"),
        ("[auth]\nclient_secret = \"hush-hush-secret\"\n", "AZURE_CLIENT_SECRET"),
    ] {
        let desk = configured(text).await;
        let ran = desk.run(&["start", &job("job")]).await;
        refused(&desk, &ran);
        assert!(ran.stderr.contains(near), "{text}: {ran:?}");
        assert!(!ran.stderr.contains("hush-hush"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 2, "{text}: {ran:?}");
    }
    let desk = configured("[guard]\ncooldwon = \"5m\"\n").await;
    assert_snapshot!(desk.run(&["start", &job("job")]).await.told(), @r#"
    exit 2
    --- stderr
    error: [home]/.config/startguard/startguard.toml:2:1: unknown key "cooldwon" in [guard]; the nearest known key is `cooldown`
      next: correct or remove it; docs/configuration.md lists every key
    "#);
}

#[tokio::test]
async fn wrong_values_are_told_with_their_place() {
    for (text, complaint) in [
        ("[guard]\ncooldown = \"10\"\n", "unit"),
        ("[guard]\ncooldown = \"soon\"\n", "duration"),
        ("[guard]\ncooldown = 600\n", "cooldown"),
        ("[guard]\ncooldown = \"0s\"\n", "cooldown"),
        ("[guard]\nmax_starts = 0\n", "max_starts"),
        ("[guard]\nmax_starts = \"3\"\n", "quotation marks"),
        ("[guard]\nlease = \"10s\"\n", "request_timeout"),
        ("[graph]\ncloud = \"mars\"\n", "global"),
        ("[graph]\nrequest_timeout = \"1ms\"\n", "request_timeout"),
        ("[auth]\nkind = \"tokn\"\n", "token"),
        ("[auth]\nkind = \"password\"\n", "kind"),
        ("[store]\nurl = \"ledger.db\"\n", "sqlite:"),
        ("[store]\nurl = \"mysql://x\"\n", "sqlite"),
        ("[store]\nurl = \"sqlite::memory:\"\n", "forget"),
        ("[jobs.hr]\njob = \"x\"\n", "service_principal"),
        ("[jobs.hr]\nservice_principal = \"x\"\njob = \"a/b\"\n", "job id"),
        ("[jobs.hr]\nservice_principal = \"x\"\non_paused = \"stop\"\n", "on_paused"),
        ("[guard\n", "startguard.toml:1"),
        ("[guard]\ncooldown = \"5m\"\ncooldown = \"6m\"\n", "startguard.toml:3"),
    ] {
        let desk = configured(text).await;
        let ran = desk
            .call(&["start", &job("job")])
            .without("STARTGUARD_AUTH")
            .without("STARTGUARD_STORE");
        let ran = ran.run().await;
        refused(&desk, &ran);
        assert!(ran.stderr.contains(complaint), "{text}: {ran:?}");
        assert!(ran.stderr.contains("next: "), "{text}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 2, "{text}: {ran:?}");
    }
    let desk = configured("[guard]\nlease = \"10s\"\n").await;
    assert_snapshot!(desk.run(&["start", &job("job")]).await.told(), @r"
    exit 2
    --- stderr
    error: [home]/.config/startguard/startguard.toml:2:9: [guard] lease (10s) does not exceed `[graph] request_timeout` (10s) by 500ms, so that a start could outlast its lease
      next: set `lease` to at least 10s 500ms, or lower `request_timeout`
    ");
    let desk = configured("[guard]\ncooldown = \"10\"\n").await;
    assert_snapshot!(desk.run(&["start", &job("job")]).await.told(), @r#"
    exit 2
    --- stderr
    error: [home]/.config/startguard/startguard.toml:2:12: [guard] cooldown = "10" has no unit
      next: write a unit: 10s, 10m or 10h (ms, s, m, h, d)
    "#);
}

#[tokio::test]
async fn wrong_flags_and_variables_of_the_configuration() {
    let desk = Desk::paused().await;
    let start = job("job");
    let start = ["start", start.as_str()];
    let with = |name: &str, value: &str| desk.call(&start).env(name, value);
    let flag = |flag: &str, value: &str| desk.call(&["start", &job("job"), flag, value]);
    let calls: Vec<(Call, &str)> = vec![
        (flag("--graph-endpoint", "http://graph.microsoft.com"), "loopback"),
        (flag("--graph-endpoint", "http://10.0.0.1:80"), "loopback"),
        (flag("--graph-endpoint", "https://graph.microsoft.com/v1.0"), "--graph-endpoint"),
        (flag("--graph-endpoint", "https://me:hush-hush@host"), "login"),
        (flag("--graph-endpoint", "ftp://host"), "https"),
        (flag("--graph-endpoint", "host"), "--graph-endpoint"),
        (flag("--cloud", "moon"), "usgov"),
        (flag("--auth", "magic"), "managed-identity"),
        (flag("--store", "sqlite:"), "names no file"),
        (flag("--store", "postgres://u@h/d?sslmod=require"), "sslmode"),
        (flag("--config", "/nowhere/startguard.toml"), "/nowhere/startguard.toml"),
        (with("STARTGUARD_GRAPH_ENDPOINT", "http://192.0.2.1"), "STARTGUARD_GRAPH_ENDPOINT"),
        (with("STARTGUARD_GUARD_COOLDWON", "5m"), "STARTGUARD_GUARD_COOLDOWN"),
        (with("STARTGUARD_GUARD_COOLDOWN", "5"), "unit"),
        (with("STARTGUARD_GUARD_MAX_STARTS", "many"), "STARTGUARD_GUARD_MAX_STARTS"),
        (with("STARTGUARD_OUTPUT", "yaml"), "text or json"),
        (with("STARTGUARD_LOG_FORMAT", "yaml"), "text or json"),
        (with("STARTGUARD_LOG", "startguard=shout"), "STARTGUARD_LOG"),
        (with("STARTGUARD_TOKEN_FILE", "/tmp/token"), "STARTGUARD_TOKEN_FILE"),
        (with("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1"), "https"),
    ];
    for (call, complaint) in calls {
        let ran = call.run().await;
        refused(&desk, &ran);
        assert!(ran.stderr.contains(complaint), "{complaint}: {ran:?}");
        assert!(ran.stderr.contains("next: "), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 2, "{ran:?}");
        assert!(!ran.stderr.contains("hush-hush"), "{ran:?}");
    }
    let ran = flag("--graph-endpoint", "http://graph.microsoft.com").run().await;
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: --graph-endpoint = "http://graph.microsoft.com" would send the token over the network in the clear: plain http is for loopback addresses only
      next: write https://, or use an address of this machine (127.0.0.1, [::1], localhost)
    "#);
}

#[tokio::test]
async fn a_flag_beats_a_variable_beats_the_file() {
    let desk =
        configured("[guard]\ncooldown = \"1h\"\n[graph]\nendpoint = \"https://nowhere.example\"\n")
            .await;
    // The variable names the emulator, and the file does not.
    desk.json(&["start", &job("job")]).await.ended(0);
    let wait = async |call: Call| {
        let answer = call.env("STARTGUARD_OUTPUT", "json").run().await;
        answer.only()["retryAfterSeconds"].as_u64().unwrap()
    };
    let start = ["start", &job("job")];
    assert!((3_500..=3_600).contains(&wait(desk.call(&start)).await));
    let shorter = desk.call(&start).env("STARTGUARD_GUARD_COOLDOWN", "30m");
    assert!((1_700..=1_800).contains(&wait(shorter).await));
    let ran = desk.call(&["history", "-o", "text"]).env("STARTGUARD_OUTPUT", "json").run().await;
    assert!(!ran.ended(0).stdout.starts_with('{'), "{ran:?}");
}

#[tokio::test]
async fn stores_that_cannot_be_used() {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job")]).await.ended(0);
    desk.emulator.set_job(super::SP, startguard::emulator::JobConfig::new("job", "Paused"));
    desk.cost();
    let home = desk.host.home.path();
    let sound = fs::read(desk.host.ledger()).unwrap();
    let damage: [(&str, Vec<u8>); 4] = [
        ("text", b"not a ledger, but a text that somebody saved here\n".repeat(100)),
        ("empty", Vec::new()),
        ("cut", sound[..sound.len() / 2].to_vec()),
        ("zeroed", [&sound[..100], &vec![0; sound.len() - 100][..]].concat()),
    ];
    for (name, bytes) in &damage {
        let path = home.join(format!("{name}.db"));
        fs::write(&path, bytes).unwrap();
        let call = |args: &[&str]| {
            desk.call(args).env("STARTGUARD_STORE", &format!("sqlite:{}", path.display()))
        };
        let ran = call(&["start", &job("job"), "-o", "json"]).run().await;
        assert_eq!(ran.ended(1).outcome(), "failed/storeUnavailable", "{name}: {ran:?}");
        assert_eq!(desk.cost().starts, 0, "{name}");
        assert_eq!(&fs::read(&path).unwrap(), bytes, "{name}: never a fresh start");
        let ran = call(&["start", &job("job")]).run().await;
        assert!(ran.stdout.contains("next: restore it from a backup"), "{name}: {ran:?}");
    }
    // A ledger of a newer version, and a database of somebody else's.
    desk.host.tamper("PRAGMA user_version = 99");
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (storeUnavailable)
      the store sqlite:[home]/state/ledger.db has schema 99, and this program knows schemas up to 2
      next: use a startguard at least as new as the one that wrote it; starts stay off until then
    ");
    desk.host.tamper("PRAGMA user_version = 2; PRAGMA application_id = 7");
    let ran = desk.run(&["start", &job("job")]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (storeUnavailable)
      the store sqlite:[home]/state/ledger.db is a database of another program, not a ledger
      next: name another file; starts stay off until then
    ");
    assert_eq!(desk.cost(), NOTHING);
    let folder = format!("sqlite:{}", home.display());
    let ran = desk.call(&["start", &job("job")]).env("STARTGUARD_STORE", &folder).run().await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: failed (storeUnavailable)
      the store sqlite:[home] is a folder
      next: name a file in it, such as `ledger.db`
    ");
    assert_eq!(desk.cost(), NOTHING);
}
