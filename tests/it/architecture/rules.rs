//! The table "Who may import whom" of DESIGN, and the rules about crates, clocks and chance.

use std::collections::BTreeSet;

use super::source::{File, Import};

/// What one module may import of ours.
enum May {
    /// These modules.
    These(&'static [&'static str]),
    /// These modules, and the permit's and the outcome's part of `decide`: the chain of custody that
    /// adapters pass on.
    TheseAndCustody(&'static [&'static str]),
    /// All of them.
    All,
}

/// The table. A module that is not in it must be put in before it can be used.
fn may(module: &str) -> Option<May> {
    Some(match module {
        "model" | "tls" | "emulator" => May::These(&[]),
        "decide" | "config" | "telemetry" => May::These(&["model"]),
        "ports" => May::TheseAndCustody(&["model"]),
        "guard" => May::These(&["model", "decide", "ports"]),
        "controller" => May::These(&["model", "decide", "ports", "guard"]),
        "server" => May::These(&["model", "ports", "guard", "controller", "telemetry"]),
        // Adapters never know one another. `tls` is no adapter but what those that open connections
        // have in common.
        "graph" | "identity" | "store" => May::TheseAndCustody(&["model", "ports", "tls"]),
        // The doubles are adapters as well, for tests.
        "clock" | "entropy" | "testing" => May::TheseAndCustody(&["model", "ports"]),
        // The whole program: it puts everything together.
        "cli" => May::All,
        "main" => May::These(&["cli"]),
        // The list of modules, and the example.
        "lib" => May::All,
        _ => return None,
    })
}

/// Crates, or parts of them, that belong in some modules alone; tests included. Why: the traps of an
/// HTTP client are closed in two places, SQL is one layer, and whoever reads the environment changes
/// what a program does behind its configuration.
const BELONGS: &[(&[&str], &[&str])] = &[
    (&["reqwest"], &["graph", "identity"]),
    (&["rusqlite"], &["store"]),
    (&["libsqlite3_sys"], &["store"]),
    (&["tokio_postgres"], &["store"]),
    (&["postgres_types"], &["store"]),
    (&["deadpool_postgres"], &["store"]),
    (&["std", "env"], &["config", "cli"]),
];

/// How a clock is read. The emulator may import nothing of ours, so it has a clock of its own, in one
/// file.
const CLOCKS: &[&[&str]] = &[
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tokio", "time", "Instant"],
    &["rustix", "time"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
];
const CLOCK_FILES: &[&str] = &["clock.rs", "emulator/time.rs"];

/// How chance comes in.
const CHANCE: &[&[&str]] =
    &[&["Uuid", "new_v4"], &["Uuid", "now_v7"], &["rand"], &["getrandom"], &["fastrand"]];
const CHANCE_FILES: &[&str] = &["entropy.rs"];

/// The names that `decide` takes from its permit and its outcome.
pub(super) fn custody(files: &[File]) -> BTreeSet<String> {
    let decide = files.iter().filter(|file| file.path == "decide.rs");
    decide
        .flat_map(|file| &file.imports)
        .filter_map(|import| match import.path.as_slice() {
            [from, name] if from == "permit" || from == "outcome" => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// Every breach, as `file:line: what`.
pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let custody = custody(files);
    let tests: BTreeSet<&[String]> =
        files.iter().flat_map(|file| &file.test_modules).map(Vec::as_slice).collect();
    let mut found = Vec::new();
    for file in files {
        // A file below one that is for tests is for tests as well.
        let for_tests = (1..=file.module.len())
            .filter_map(|length| file.module.get(..length))
            .any(|module| tests.contains(module));
        let module = match (file.module.first(), file.path.as_str()) {
            (Some(first), _) => first.as_str(),
            (None, "main.rs") => "main",
            (None, _) => "lib",
        };
        for line in &file.misplaced {
            found.push(format!("{}:{line}: #[path] hides a file from its place", file.path));
        }
        if may(module).is_none() {
            found.push(format!("{}:1: {module} is not in the table of imports", file.path));
            continue;
        }
        for import in &file.imports {
            let own_test = for_tests || import.in_test;
            let breach = foreign(module, import)
                .or_else(|| if own_test { None } else { unruly(&file.path, import) })
                .or_else(|| if own_test { None } else { ours(module, import, &custody) });
            found.extend(breach.map(|what| format!("{}:{}: {what}", file.path, import.line)));
        }
    }
    found
}

/// A crate where it does not belong.
fn foreign(module: &str, import: &Import) -> Option<String> {
    BELONGS.iter().find_map(|(what, places)| {
        let whole: Vec<&str> = what.iter().take(what.len() - 1).copied().chain(["*"]).collect();
        let is = starts_with(&import.path, what)
            // `use std::*` brings it in, too.
            || (what.len() > 1 && import.path == whole);
        (is && !places.contains(&module))
            .then(|| format!("{} belongs in {} alone", what.join("::"), places.join(" and ")))
    })
}

/// A clock or chance where it does not belong.
fn unruly(path: &str, import: &Import) -> Option<String> {
    let read = |ways: &[&[&str]]| {
        ways.iter().any(|way| {
            starts_with(&import.path, way) || (way.len() > 1 && ends_with(&import.path, way))
        })
    };
    let in_emulator = path.starts_with("emulator/") || path == "emulator.rs";
    if read(CLOCKS) && !CLOCK_FILES.contains(&path) {
        return Some(format!("a clock belongs in {} alone", CLOCK_FILES.join(" and ")));
    }
    // The emulator stands for a service that draws its own ids.
    (read(CHANCE) && !in_emulator && !CHANCE_FILES.contains(&path))
        .then(|| format!("chance belongs in {} alone", CHANCE_FILES.join(" and ")))
}

/// A module of ours that this one may not know.
fn ours(module: &str, import: &Import, custody: &BTreeSet<String>) -> Option<String> {
    let target = resolve(import)?;
    let Some(name) = target.first().filter(|name| name.as_str() != "*") else {
        return (module != "lib").then(|| format!("{module} imports the whole crate"));
    };
    if name == module {
        return None;
    }
    let no = || Some(format!("{module} may not import {name}"));
    match may(module)? {
        May::All => None,
        May::These(list) => {
            if list.contains(&name.as_str()) {
                None
            } else {
                no()
            }
        }
        May::TheseAndCustody(list) if list.contains(&name.as_str()) => None,
        May::TheseAndCustody(_) if name != "decide" => no(),
        May::TheseAndCustody(_) => match target.get(1) {
            Some(item) if custody.contains(item) => None,
            item => {
                let item = item.map_or("decide", String::as_str);
                Some(format!("{module} may not import decide::{item}, only permit and outcome"))
            }
        },
    }
}

/// Where in our crate an import leads, from its root; none if it leads elsewhere.
fn resolve(import: &Import) -> Option<Vec<String>> {
    let (first, rest) = import.path.split_first()?;
    let mut at = match first.as_str() {
        "crate" | "startguard" => return Some(rest.to_vec()),
        "self" => import.within.clone(),
        "super" => {
            let (_, outer) = import.within.split_last()?;
            outer.to_vec()
        }
        _ => return None,
    };
    for segment in rest {
        match segment.as_str() {
            "super" => drop(at.pop()),
            _ => at.push(segment.clone()),
        }
    }
    Some(at)
}

fn starts_with(path: &[String], what: &[&str]) -> bool {
    path.len() >= what.len() && path.iter().zip(what).all(|(a, b)| a == b)
}

fn ends_with(path: &[String], what: &[&str]) -> bool {
    path.len() >= what.len() && path.iter().rev().zip(what.iter().rev()).all(|(a, b)| a == b)
}
