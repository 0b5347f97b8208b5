//! What people get wrong in a file, and what they are told.

use super::*;

/// Each text with the error it gets.
fn assert_said(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (said, remedy) = with(text).error();
        assert_eq!(&said, expected, "for {text:?}, remedy {remedy:?}");
    }
}

#[test]
fn an_unknown_key_is_told_its_place_and_the_nearest() {
    assert_said(&[
        (
            "[guard]\nlease = '1m'\ncooldwn = '5m'",
            "c.toml:3:1: unknown key \"cooldwn\" in [guard]; the nearest known key is `cooldown`",
        ),
        (
            "[graph]\n  cooldown = '5m'",
            "c.toml:2:3: unknown key \"cooldown\" in [graph]; the nearest known key is `cooldown` of \
             [guard]",
        ),
        (
            "[jobs.a]\nservice_principle = 'x'",
            "c.toml:2:1: unknown key \"service_principle\" in [jobs.a]; the nearest known key is \
             `service_principal`",
        ),
        (
            "store = { ulr = 'sqlite:x' }",
            "c.toml:1:11: unknown key \"ulr\" in [store]; the nearest known key is `url`",
        ),
        (
            "guard.\"le\\u001Base\" = '1m'",
            "c.toml:1:7: unknown key \"le\\u{1b}ase\" in [guard]; the nearest known key is `lease`",
        ),
    ]);
}

#[test]
fn an_unknown_table_is_told_the_nearest() {
    assert_said(&[
        ("[gaurd]", "c.toml:1:2: unknown table \"gaurd\"; the nearest known one is [guard]"),
        ("[job.workday]", "c.toml:1:2: unknown table \"job\"; the nearest known one is [jobs]"),
        (
            "[api]\nlisten = 'x'",
            "c.toml:1:2: unknown table \"api\"; the nearest known one is [graph]",
        ),
        (
            "cooldown = '1m'",
            "c.toml:1:1: unknown key outside of any table \"cooldown\"; the nearest known one is \
             `cooldown` of [guard]",
        ),
        ("[guard.x]", "c.toml:1:8: unknown table \"x\" in [guard]"),
    ]);
}

#[test]
fn the_first_mistake_of_the_file_is_named() {
    assert_said(&[(
        "[store]\nzzz = 1\n[auth]\naaa = 1",
        "c.toml:2:1: unknown key \"zzz\" in [store]; the nearest known key is `url`",
    )]);
}

#[test]
fn secrets_in_the_file_are_refused_and_not_repeated() {
    for (text, variable) in [
        ("[auth]\nclient_secret = 'hush'", "AZURE_CLIENT_SECRET"),
        ("[auth]\ntoken = 'hush'", "STARTGUARD_TOKEN"),
        ("[store]\npassword = 'hush'", "PGPASSWORD"),
    ] {
        let (said, remedy) = with(text).error();
        assert!(said.contains("secrets never live in the file"), "{said}");
        assert!(remedy.contains(variable) && !format!("{said}{remedy}").contains("hush"));
    }
}

#[test]
fn broken_toml_is_told_its_line_and_column() {
    for (text, place) in [
        ("[guard", "c.toml:1:7: not TOML: "),
        ("[guard]\ncooldown = ", "c.toml:2:12: not TOML: "),
        ("[guard]\nlease = '1m'\nlease = '2m'", "c.toml:3:1: not TOML: "),
        ("[guard]\n[guard]", "c.toml:2:2: not TOML: "),
        ("\u{1b}[2J", "c.toml:1:2: not TOML: "),
    ] {
        let (said, _) = with(text).error();
        assert!(said.starts_with(place), "{text:?}: {said}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let (said, _) = with(&format!("a = {}", "[".repeat(500_000))).error();
    assert!(said.contains("not TOML"), "{said}");
    let (said, _) = with(&format!("[{}a]", "a.".repeat(200_000))).error();
    assert!(said.starts_with("c.toml:1:"), "{said}");
}

#[test]
fn values_of_the_wrong_kind_are_told_the_right_one() {
    for (text, said_start, remedy_part) in [
        ("[guard]\ncooldown = 10", "c.toml:2:12: [guard] cooldown = 10 has no unit", "\"10s\""),
        ("[guard]\ncooldown = '10'", "c.toml:2:12: [guard] cooldown = \"10\" has no unit", "10m"),
        ("[guard]\ncooldown = 1.5", "c.toml:2:12: [guard] cooldown = (float)", "\"10m\""),
        ("[guard]\ncooldown = 'soon'", "c.toml:2:12: [guard] cooldown = \"soon\" is not", "10m"),
        (
            "[guard]\nmax_starts = '3'",
            "c.toml:2:14: [guard] max_starts = \"3\"",
            "without quotation",
        ),
        ("[guard]\nmax_starts = 2.5", "c.toml:2:14: [guard] max_starts = (float)", "whole number"),
        (
            "[guard]\nneeds_consent = 'A'",
            "c.toml:2:17: [guard] needs_consent",
            "[\"one\", \"two\"]",
        ),
        ("[guard]\nauto_reasons = [1]", "c.toml:2:16: [guard] auto_reasons = (array)", "[\"one\""),
        ("[guard]\nauto_reasons = ['a b']", "c.toml:2:16: [guard] auto_reasons: \"a b\"", "spells"),
        ("[graph]\ncloud = 1", "c.toml:2:9: [graph] cloud = 1 is not a text", "quotation marks"),
        ("[graph]\nca_file = ''", "c.toml:2:11: [graph] ca_file = \"\"", "PEM"),
        ("guard = 1", "c.toml:1:1: [guard] is not a table", "on a line of its own"),
        ("[[guard]]", "c.toml:1:3: [guard] is not a table", "on a line of its own"),
        ("jobs = []", "c.toml:1:1: [jobs] is not a table", "on a line of its own"),
    ] {
        let (said, remedy) = with(text).error();
        assert!(said.starts_with(said_start), "{text:?}: {said}");
        assert!(remedy.contains(remedy_part), "{text:?}: {remedy}");
    }
}

#[test]
fn limits_are_refused_beyond_their_bounds_with_the_reason() {
    for (key, value, reason) in [
        ("guard.cooldown", "'0s'", "two starts could follow one another"),
        ("guard.cooldown", "'11y'", "longer than ten years"),
        ("guard.window", "'999ms'", "bounds nothing"),
        ("guard.lease", "'25h'", "a holder that crashed"),
        ("guard.lease", "'0s'", "it must exceed"),
        ("guard.status_max_age", "'0ms'", "stale"),
        ("guard.status_max_age", "'2m'", "what the job is now"),
        ("guard.max_starts", "0", "startguard hold"),
        ("guard.max_starts", "-1", "startguard hold"),
        ("guard.max_starts", "99999999999999999999", "startguard hold"),
        ("guard.tenant_starts_per_minute", "0", "startguard hold"),
        ("graph.request_timeout", "'0s'", "end in doubt"),
        ("graph.request_timeout", "'2h'", "block the job"),
        ("graph.connect_timeout", "'1ms'", "next router"),
        ("graph.requests_per_second", "0", "nothing could be read"),
        ("graph.burst", "0", "nothing could be read"),
        ("graph.read_retries", "11", "no read's deadline"),
    ] {
        let (said, _) = with(&format!("{key} = {value}")).error();
        assert!(said.contains(reason), "{key} = {value}: {said}");
    }
}

#[test]
fn a_word_that_is_no_choice_is_told_the_choices() {
    for (text, choices, near) in [
        ("[graph]\ncloud = 'us-gov'", "global, usgov, usgov-dod, china", "usgov"),
        ("[auth]\nkind = 'client_secret'", "auto, environment, client-secret", "client-secret"),
        ("[jobs.a]\nservice_principal='x'\non_paused = 'begin'", "start, alert, ignore", "start"),
    ] {
        let (said, remedy) = with(text).error();
        assert!(said.contains(choices), "{said}");
        assert!(remedy.ends_with(near), "{text}: {remedy}");
    }
}

#[test]
fn a_guard_variable_that_is_no_key_is_an_error() {
    let (said, _) = bare().set("STARTGUARD_GUARD_COOLDWN", "1m").error();
    assert_eq!(
        said,
        "the variable STARTGUARD_GUARD_COOLDWN sets nothing; the nearest known one is \
         STARTGUARD_GUARD_COOLDOWN"
    );
}

#[test]
fn ids_that_could_be_paths_are_refused() {
    for id in ["..", "a/b", " ", "a b", "-a", "a?b", "a\u{1b}"] {
        let (said, _) = bare().set("STARTGUARD_AUTH_TENANT_ID", id).error();
        assert!(said.ends_with("is not an id"), "{id:?}: {said}");
    }
    for scope in ["", "graph", "http://graph/.default", "https://a b", "https://a\n"] {
        let text = format!("[auth]\nscope = {scope:?}");
        let (said, _) = with(&text).error();
        assert!(said.contains("is not a scope"), "{said}");
    }
}

#[test]
fn a_reason_that_nobody_documents_is_a_warning() {
    let settings = with("[guard]\nneeds_consent = ['ToManyDeletes', 'toomanydeletes']").settings();
    assert_eq!(settings.guard.needs_consent, ["ToManyDeletes", "toomanydeletes"]);
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("\"ToManyDeletes\"") && warning.ends_with("TooManyDeletes"));
}

#[test]
fn a_reason_in_both_lists_is_a_warning() {
    let settings = with("[guard]\nauto_reasons = ['TooManyDeletes', 'TOOMANYDELETES']").settings();
    assert_eq!(settings.guard.auto_reasons, ["TooManyDeletes"]);
    assert!(settings.warnings.iter().any(|line| line.contains("will not start it")));
}

/// Pieces that files and values are made of, to get further than noise does.
const PIECES: &str = r"(\[guard\]|\[jobs\.a\]|\[graph\]|service_principal|cooldown|lease|cloud|url|job| = |\n|'|\x22|1m|0|9{1,30}|h|ms|y |\.|\[|\]|\{|\}|/|\$\{|~|:|@|\PC|\x1b|\x00){0,30}";

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic_or_say_more_than_a_line(text in PIECES) {
        if let Err(error) = with(&text).load() {
            let said = format!("{error}{}", error.remedy());
            proptest::prop_assert!(!said.chars().any(char::is_control), "{:?}", said);
        }
    }

    #[test]
    fn no_value_makes_it_panic_or_say_more_than_a_line(text in PIECES, pick: usize) {
        let all: Vec<String> = keys::variables().map(|(name, ..)| name).collect();
        let variable = all.get(pick % all.len()).map_or("", String::as_str);
        if let Err(error) = bare().set(variable, &text).load() {
            let said = format!("{error}{}", error.remedy());
            proptest::prop_assert!(!said.chars().any(char::is_control), "{:?}", said);
        }
    }

    #[test]
    fn a_duration_never_panics(text in r"([0-9]{1,21}(\.[0-9]{1,3})?(ns|us|ms|s|m|h|d|w|y|M)? ?){1,5}") {
        if let Ok(span) = parse_duration(&text) {
            proptest::prop_assert!(span <= duration::TEN_YEARS);
        }
    }
}

#[test]
fn a_journal_that_forgets_starts_that_count_is_refused() {
    for (text, key) in [
        ("[store]\nkeep = \"2d\"\n[guard]\nwindow = \"3d\"\n", "`window` of [guard]"),
        ("[store]\nkeep = \"2d\"\n[guard]\ncooldown = \"3d\"\n", "`cooldown` of [guard]"),
        (
            "[store]\nkeep = \"2d\"\n[jobs.hr]\nservice_principal = \"x\"\nwindow = \"3d\"\n",
            "`window` of [jobs.hr]",
        ),
    ] {
        let (said, remedy) = with(text).error();
        assert!(said.contains("[store] keep (2days)") && said.contains(key), "{said}");
        assert_eq!(remedy, "set `keep` to at least 3days");
    }
    let long_enough = with("[store]\nkeep = \"3d\"\n[guard]\nwindow = \"3d\"\n").settings();
    assert_eq!(long_enough.store.keep, std::time::Duration::from_hours(72));
}
