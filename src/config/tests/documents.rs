//! The files that ship with startguard say what holds.

use std::time::Duration;

use super::*;
use crate::model::{AuthKind, Cloud, OnState};

const EXAMPLE: &str = include_str!("../../../config/example.toml");
const TEMPLATE: &str = include_str!("../../../config/startguard.toml");
const GUIDE: &str = include_str!("../../../docs/configuration.md");

/// Keys that have no default: the cloud, the credential or the service principal knows.
const WITHOUT_DEFAULT: [&str; 7] =
    ["endpoint", "ca_file", "tenant_id", "client_id", "scope", "service_principal", "job"];

/// Takes the comment sign from every line that is a setting or a table.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest,
        Some(_) | None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every key of every table, jobs included, with its table's name.
fn every_key() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tables = Table::ALL
        .into_iter()
        .flat_map(|table| table.keys().iter().map(move |key| (table.as_str(), *key)));
    tables.chain(keys::JOB_KEYS.map(|key| (keys::JOBS, key)))
}

fn defaults() -> Document {
    Document::parse(DEFAULTS.to_owned(), "default.toml".into()).unwrap()
}

#[test]
fn the_defaults_are_the_contracts() {
    let settings = bare().settings();
    let graph = settings.graph;
    assert_eq!(graph.cloud, Cloud::Global);
    assert_eq!(graph.request_timeout, Duration::from_secs(10));
    assert_eq!(graph.connect_timeout, Duration::from_secs(5));
    assert_eq!(graph.ca_file, None);
    assert_eq!(
        (graph.requests_per_second.get(), graph.burst.get(), graph.read_retries),
        (5, 10, 3)
    );
    assert_eq!(settings.auth.kind, AuthKind::Auto);
    assert_eq!(settings.store.keep, Duration::from_hours(24 * 400));
    let guard = settings.guard;
    assert_eq!(guard.cooldown, Duration::from_mins(10));
    assert_eq!(guard.max_starts.get(), 3);
    assert_eq!(guard.window, Duration::from_hours(24));
    assert_eq!(guard.tenant_starts_per_minute.get(), 10);
    assert_eq!(guard.lease, Duration::from_mins(1));
    assert_eq!(guard.status_max_age, Duration::from_secs(5));
    assert_eq!(guard.needs_consent, ["TooManyDeletes", "QuarantinedOnDemand", "escrowsPruned"]);
    assert_eq!(guard.auto_reasons, ["EncounteredQuarantineException"]);
}

#[test]
fn every_key_has_a_default_or_a_line_that_says_it_has_none() {
    let document = defaults();
    for (table, key) in every_key().filter(|(table, _)| *table != keys::JOBS) {
        let of = Table::ALL.into_iter().find(|known| known.as_str() == table).unwrap();
        let is_set = document.tables.get(&of).is_some_and(|layer| layer.contains_key(key));
        assert_eq!(is_set, !WITHOUT_DEFAULT.contains(&key), "[{table}] {key}");
    }
    for (table, key) in every_key() {
        let is_there = DEFAULTS
            .lines()
            .any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} = ")));
        assert!(is_there, "default.toml does not say anything about [{table}] {key}");
    }
}

#[test]
fn every_default_has_its_reason_above_it() {
    let mut before = "";
    for (index, line) in DEFAULTS.lines().enumerate() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || before.starts_with("# "), "default.toml:{}: {line}", index + 1);
        before = line;
    }
}

#[test]
fn a_jobs_own_defaults_are_the_ones_that_are_written_down() {
    let written: String = DEFAULTS
        .lines()
        .skip_while(|line| *line != "# [jobs.NAME]")
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = \""))
        .map(|line| format!("{line}\n"))
        .collect();
    let explicit = with(&written).settings();
    let owner: String = written
        .lines()
        .filter(|line| !line.starts_with("on_"))
        .map(|line| format!("{line}\n"))
        .collect();
    let implied = with(&owner).settings();
    assert_eq!(explicit.job("NAME").unwrap(), implied.job("NAME").unwrap());
    assert_eq!(written.matches("on_").count(), 2, "{written}");
}

#[test]
fn the_template_has_every_key_and_its_default() {
    let text = uncommented(TEMPLATE);
    // As it comes it changes nothing.
    assert_eq!(with(TEMPLATE).settings().guard, bare().settings().guard);
    let template = Document::parse(text.clone(), "startguard.toml".into()).unwrap();
    let defaults = defaults();
    for table in Table::ALL {
        for key in table.keys() {
            let said = template.tables.get(&table).and_then(|layer| layer.get(key));
            let said = said.unwrap_or_else(|| panic!("the template lacks {key} of {table}"));
            if let Some(default) = defaults.tables.get(&table).and_then(|layer| layer.get(key)) {
                assert_eq!(said.raw, default.raw, "{key} of {table}");
            }
        }
    }
    for key in keys::JOB_KEYS {
        let job = template.jobs.get("workday").unwrap();
        assert!(job.keys.contains_key(key), "the template lacks {key} of a job");
    }
    let settings = with(&text).settings();
    let job = settings.job("workday").unwrap();
    assert_eq!((job.on_quarantine, job.on_paused), (OnState::Start, OnState::Alert));
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn the_example_is_a_fleet_without_a_warning() {
    let settings = with(EXAMPLE).settings();
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert!(settings.jobs.len() >= 5);
    let used: Vec<OnState> =
        settings.jobs.values().flat_map(|job| [job.on_quarantine, job.on_paused]).collect();
    for choice in [OnState::Start, OnState::Alert, OnState::Ignore] {
        assert!(used.contains(&choice), "the example shows no {choice:?}");
    }
    assert!(settings.jobs.values().any(|job| job.policy != settings.guard));
}

#[test]
fn the_guide_explains_every_key_and_its_variable() {
    for (table, key) in every_key() {
        let section = GUIDE
            .split("\n## ")
            .find(|part| part.starts_with(&format!("`[{table}")))
            .unwrap_or_else(|| panic!("the guide has no section for [{table}]"));
        let entry = section
            .split("\n### ")
            .find(|part| part.starts_with(&format!("`{key}`\n")))
            .unwrap_or_else(|| panic!("the guide does not explain `{key}` of [{table}]"));
        let flat = entry.split_whitespace().collect::<Vec<_>>().join(" ");
        let says_default =
            ["Default `", "No default", "Required"].iter().any(|word| flat.contains(word));
        assert!(says_default, "the guide gives no default for `{key}` of [{table}]");
        if let Some((variable, ..)) =
            keys::variables().find(|(_, of, name)| of.as_str() == table && *name == key)
        {
            assert!(entry.contains(&variable), "the guide does not name {variable}");
        }
    }
    for (variable, ..) in keys::SHORT {
        assert!(GUIDE.contains(variable), "{variable}");
    }
    for variable in keys::OTHER_VARIABLES {
        assert!(GUIDE.contains(variable), "{variable}");
    }
}

#[test]
fn the_guide_gives_the_defaults_that_hold() {
    for (table, layer) in defaults().tables {
        for (key, written) in layer {
            let value = match &written.raw {
                written::Raw::Text(text) => format!("\"{text}\""),
                written::Raw::Number(Some(number)) => number.to_string(),
                written::Raw::List(items) => format!("{items:?}"),
                other @ (written::Raw::Bare(_)
                | written::Raw::Number(None)
                | written::Raw::Other(_)) => panic!("{other:?}"),
            };
            let start = GUIDE.find(&format!("### `{key}`")).unwrap();
            let entry = GUIDE.get(start..).unwrap().split("\n#").next().unwrap();
            let flat = entry.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&format!("Default `{value}`")), "{key} of {table}: {flat}");
        }
    }
}
