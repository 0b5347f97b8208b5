//! A configuration file's text.

use std::time::Duration;

use startguard::{
    config::{self, ConfigError, Environment, Settings, parse_duration},
    model::Policy,
};
use url::{Host, Url};

use super::text::fit_to_show;

/// No real name, so that it is found again in an error.
const FILE: &str = "fuzz.toml";

/// A value is cut after 80 characters, each of which may be escaped, within a sentence or two; some
/// repeat two values, or all known words.
const LONGEST: usize = 3_000;

const TEN_YEARS: Duration = Duration::from_hours(10 * 8_766);

/// Checks one file.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    duration(text.lines().next().unwrap_or_default());
    match read(text) {
        Err(error) => one_line_that_says_where(text, &error),
        Ok(settings) => {
            within_bounds(&settings);
            for warning in &settings.warnings {
                fit_to_show("a warning", warning, LONGEST);
            }
            means_the_same_in_another_spelling(text, &settings);
        }
    }
}

fn read(text: &str) -> Result<Settings, ConfigError> {
    config::fuzz::settings(FILE, text, &Environment::of([("HOME", "/home/me")]))
}

fn one_line_that_says_where(text: &str, error: &ConfigError) {
    let said = error.to_string();
    fit_to_show("an error", &said, LONGEST);
    fit_to_show("its remedy", error.remedy(), LONGEST);
    assert!(!error.remedy().is_empty(), "{said}");
    // Line and column, and they are in the file; a default that a file's setting makes wrong is named.
    let Some(place) = said.strip_prefix(&format!("{FILE}:")) else {
        assert!(said.starts_with('[') && said.contains(" (the default)"), "{said}");
        return;
    };
    let mut numbers =
        place.splitn(3, ':').map(|number| number.parse::<usize>().unwrap_or_default());
    let (line, column) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let lines: Vec<&str> = text.split('\n').collect();
    let width = line.checked_sub(1).and_then(|line| lines.get(line)).map(|it| it.chars().count());
    assert!(column >= 1 && width.is_some_and(|width| column <= width + 1), "{said}\n{text}");
}

/// What a guard relies on, whatever was written.
fn within_bounds(settings: &Settings) {
    let origin = Url::parse(&settings.graph.origin);
    let is_safe = origin.is_ok_and(|url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(host))) => host.is_loopback(),
        ("http", Some(Host::Ipv6(host))) => host.is_loopback(),
        ("http", Some(Host::Domain(host))) => host == "localhost",
        _ => false,
    });
    assert!(is_safe, "{}", settings.graph.origin);
    assert!(settings.auth.authority_host.starts_with("https://"));
    assert!(settings.graph.connect_timeout <= settings.graph.request_timeout);
    for policy in settings.jobs.values().map(|job| &job.policy).chain([&settings.guard]) {
        let Policy { cooldown, window, lease, status_max_age, request_timeout, .. } = policy;
        assert_eq!(*request_timeout, settings.graph.request_timeout);
        assert!(*lease >= *request_timeout + Policy::LEASE_SLACK, "{policy:?}");
        for span in [cooldown, window, lease, status_max_age, request_timeout] {
            assert!(!span.is_zero() && *span <= TEN_YEARS, "{policy:?}");
        }
        // The journal must not forget starts that still count.
        assert!(settings.store.keep >= *cooldown && settings.store.keep >= *window, "{policy:?}");
    }
    for (name, job) in &settings.jobs {
        assert_eq!(*name, job.name);
        fit_to_show("a job's name", name, 256);
    }
}

/// Read and written anew by a TOML library, it gives the same settings.
fn means_the_same_in_another_spelling(text: &str, settings: &Settings) {
    let table = text.parse::<toml::Table>();
    assert!(table.is_ok(), "{table:?}");
    table.iter().for_each(has_known_keys_alone);
    let again = table.ok().and_then(|table| toml::to_string(&table).ok());
    let again = read(&again.unwrap_or_default());
    assert!(again.is_ok(), "{again:?}");
    let Ok(again) = again else { return };
    let meaning = |of: &Settings| {
        format!("{:?} {:?} {:?} {:?} {:?}", of.graph, of.auth, of.store, of.guard, of.jobs)
    };
    assert_eq!(meaning(&again), meaning(settings));
}

/// A misspelt limit must not pass for none: each key is one that the defaults speak of.
fn has_known_keys_alone(file: &toml::Table) {
    for (name, table) in file {
        let jobs =
            (name == "jobs").then(|| table.as_table().into_iter().flat_map(toml::Table::values));
        let tables = jobs.map_or_else(|| vec![table], Iterator::collect);
        for key in tables.into_iter().filter_map(toml::Value::as_table).flat_map(toml::Table::keys)
        {
            let known = config::DEFAULTS
                .lines()
                .any(|line| line.trim_start_matches(['#', ' ']).split(' ').next() == Some(key));
            assert!(known, "{key} of {name}");
        }
    }
}

fn duration(text: &str) {
    match parse_duration(text) {
        Ok(span) => {
            assert!(span <= TEN_YEARS, "{text:?}");
            // Said back, it is the same span.
            let said = humantime::format_duration(span).to_string();
            assert_eq!(parse_duration(&said), Ok(span), "{text:?} is {said}");
        }
        Err(error) => {
            fit_to_show("an error about a duration", &error.to_string(), LONGEST);
            fit_to_show("its remedy", &error.remedy(), LONGEST);
        }
    }
}
