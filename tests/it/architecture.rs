//! Who may import whom, held by reading the source itself. A breach is named by file and line.
//!
//! The table is DESIGN's. What it cannot say in types is checked here as text: `use` trees and plain
//! paths, `crate::`, `self::` and chains of `super::` alike, in macros' arguments too.
//!
//! Unit tests (`#[cfg(test)]` modules and the files that they declare) may import any module of
//! ours, since they put together what they test; the rules about crates and about the environment
//! hold for them as well.

mod rules;
mod source;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use rules::{breaches, custody};
use source::{File, Import};

/// The files below a folder, as paths relative to it.
fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn imports_run_one_way() -> io::Result<()> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for path in rust_files(&src)? {
        let text = fs::read_to_string(src.join(&path))?;
        files.push(File::read(&path.to_string_lossy(), &text));
    }
    assert!(files.len() > 50, "found {} files only: is this the right folder?", files.len());
    let found = breaches(&files);
    assert!(found.is_empty(), "forbidden imports:\n{}", found.join("\n"));
    Ok(())
}

/// A small house with one file changed.
fn house(path: &str, text: &str) -> Vec<String> {
    let decide = "mod outcome; mod permit; mod start;\n\
                  pub use outcome::{StartReply, settle};\n\
                  pub use permit::{Permit, Receipt};\n\
                  pub use start::start;";
    let mut files = vec![File::read("decide.rs", decide)];
    files.push(File::read(path, text));
    breaches(&files)
}

/// What is planted where, and the words of the breach; none where it is allowed.
const PLANTED: &[(&str, &str, Option<&str>)] = &[
    // The table, one row and one hole each.
    (
        "model/job.rs",
        "use crate::decide::start;",
        Some("model/job.rs:1: model may not import decide"),
    ),
    ("model/job.rs", "use super::id::JobId; use crate::model::Job;", None),
    ("decide/start.rs", "use crate::model::Policy;", None),
    ("decide/start.rs", "use crate::ports::Clock;", Some("decide may not import ports")),
    ("ports/store.rs", "use crate::{decide::Receipt, model::JobKey};", None),
    (
        "ports/store.rs",
        "use crate::decide::{\n  Permit,\n  start};",
        Some("ports/store.rs:3: ports may"),
    ),
    ("guard/attempt.rs", "use crate::{decide::start, model::Job, ports::Store};", None),
    ("guard/attempt.rs", "use crate::store::SqliteStore;", Some("guard may not import store")),
    ("graph/client.rs", "use crate::{model::Job, ports::Graph, decide::StartReply};", None),
    ("graph/client.rs", "use crate::decide::start;", Some("graph may not import decide::start")),
    ("graph/client.rs", "use crate::identity::Fixed;", Some("graph may not import identity")),
    ("graph/client.rs", "use crate::tls;", None),
    ("store/sqlite/desk.rs", "use crate::store::fault::Fault;", None),
    ("store/sqlite/desk.rs", "use crate::clock::SystemClock;", Some("store may not import clock")),
    ("tls.rs", "use crate::model::Cloud;", Some("tls may not import model")),
    ("config/file.rs", "use crate::model::Policy;", None),
    ("config/file.rs", "use crate::guard::Request;", Some("config may not import guard")),
    ("emulator/job.rs", "use crate::model::JobKey;", Some("emulator may not import model")),
    ("emulator/job.rs", "use crate::emulator::path::Path;", None),
    ("telemetry.rs", "use crate::model::Cloud;", None),
    ("telemetry.rs", "use crate::config::Settings;", Some("telemetry may not import config")),
    ("cli/commands/start.rs", "use crate::{guard::Guard, store::SqliteStore, graph};", None),
    ("main.rs", "fn main() { startguard::cli::main() }", None),
    ("main.rs", "use startguard::guard::Guard;", Some("main may not import guard")),
    ("helpers.rs", "use crate::model::Job;", Some("helpers is not in the table")),
    // Every way to write it.
    (
        "model.rs",
        "use crate::{model::{Job}, guard};",
        Some("model.rs:1: model may not import guard"),
    ),
    (
        "model.rs",
        "use crate::{\n    model::Job,\n    ports::{\n        Store,\n    },\n};",
        Some("model.rs:4:"),
    ),
    ("model/a/b.rs", "use super::super::super::guard::Guard;", Some("model may not import guard")),
    ("model/a/b.rs", "use super::super::Job;", None),
    ("model/a.rs", "mod inner { use super::super::super::guard; }", Some("may not import guard")),
    ("model/a.rs", "mod inner { use super::super::Job; }", None),
    ("model.rs", "use self::job::Job; use crate as root;", Some("imports the whole crate")),
    ("model.rs", "use crate::*;", Some("imports the whole crate")),
    ("model.rs", "use ::startguard::guard;", Some("model may not import guard")),
    (
        "model.rs",
        "fn f() { let _ = crate::guard::Guard::new; }",
        Some("model may not import guard"),
    ),
    (
        "model.rs",
        "macro_rules! m { () => { $crate::guard::f() } }",
        Some("model may not import guard"),
    ),
    ("model.rs", "fn f(x: Vec<crate::ports::Token>) {}", Some("model may not import ports")),
    ("model.rs", "pub(crate) fn f() {} pub(in crate::model) fn g() {} pub(super) mod h {}", None),
    ("model.rs", "#[path = \"../guard.rs\"] mod job;", Some("#[path]")),
    // Not code.
    ("model.rs", "// use crate::guard::Guard;\n/* crate::guard /* crate::guard */ */", None),
    ("model.rs", "const A: &str = \"crate::guard\"; const B: &str = r#\"crate::guard \"#;", None),
    (
        "model.rs",
        "fn f<'a>(x: &'a str) { g('\"'); crate::guard::f() }",
        Some("may not import guard"),
    ),
    // Crates and the environment.
    ("guard.rs", "use reqwest::Client;", Some("guard.rs:1: reqwest belongs in")),
    ("graph/client.rs", "use reqwest::Client;", None),
    ("guard.rs", "fn f() -> rusqlite::Connection {}", Some("rusqlite belongs in")),
    ("store/sqlite.rs", "use rusqlite::Connection;", None),
    ("store/memory.rs", "use tokio_postgres::Client;", None),
    ("cli.rs", "use tokio_postgres::Client;", Some("tokio_postgres belongs in")),
    ("guard.rs", "fn f() { std::env::var(\"HOME\"); }", Some("std::env belongs in")),
    ("guard.rs", "use std::{env, fmt};", Some("std::env belongs in")),
    ("guard.rs", "use std::*;", Some("std::env belongs in")),
    ("config/env.rs", "use std::env;", None),
    ("guard.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\"); let env = 1; x.env();", None),
    // Clocks and chance.
    ("guard.rs", "use std::time::{Duration, Instant};", Some("a clock belongs in")),
    ("guard.rs", "use std::time::Duration;", None),
    ("guard.rs", "fn f() { jiff::Timestamp::now() }", Some("a clock belongs in")),
    ("guard.rs", "use tokio::time::Instant as I;", Some("a clock belongs in")),
    ("clock.rs", "use std::time::{Duration, Instant};", None),
    ("guard.rs", "fn f() { uuid::Uuid::new_v4(); }", Some("chance belongs in")),
    ("entropy.rs", "fn f() { uuid::Uuid::new_v4(); }", None),
    // Unit tests put together what they test.
    ("guard.rs", "#[cfg(test)] mod tests { use crate::store::MemoryStore; }", None),
    (
        "guard.rs",
        "#[cfg(not(test))] mod x { use crate::store::S; }",
        Some("guard may not import store"),
    ),
    (
        "guard.rs",
        "#[cfg(test)] mod tests { } use crate::store::S;",
        Some("guard may not import store"),
    ),
    ("guard.rs", "#[cfg(test)] mod tests { use reqwest::Client; }", Some("reqwest belongs in")),
];

#[test]
fn what_is_planted_is_found() {
    for (path, text, expected) in PLANTED {
        let found = house(path, text);
        match expected {
            None => assert!(found.is_empty(), "{path}: {text}\nis allowed, but: {found:?}"),
            Some(words) => {
                assert!(
                    found.iter().any(|breach| breach.contains(words)),
                    "{path}: {text}\nexpected {words:?} in {found:?}"
                );
            }
        }
    }
}

#[test]
fn a_file_declared_by_a_test_module_is_a_test() {
    let tests = File::read("guard/end/tests.rs", "use crate::store::MemoryStore;");
    let declared = File::read("guard/end.rs", "#[cfg(test)]\nmod tests;");
    let plain = File::read("guard/end.rs", "mod tests;");
    assert!(breaches(&[declared, tests.clone()]).is_empty());
    let found = breaches(&[plain, tests]);
    assert_eq!(found, ["guard/end/tests.rs:1: guard may not import store"]);
}

#[test]
fn a_use_tree_is_read_leaf_by_leaf() {
    let text = "use a::{b, c::{self, d as e, *},\n f};";
    let file = File::read("guard.rs", text);
    let leaf = |(line, path): (usize, &str)| (line, path.to_owned());
    let found: Vec<(usize, String)> =
        file.imports.iter().map(|Import { line, path, .. }| (*line, path.join("::"))).collect();
    let expected =
        [(1, "a::b"), (1, "a::c"), (1, "a::c::d"), (1, "a::c::*"), (2, "a::f")].map(leaf);
    assert_eq!(found, expected);
}

#[test]
fn the_names_in_the_chain_of_custody_are_read_from_decide() {
    let decide = File::read(
        "decide.rs",
        "pub use permit::{Permit, Receipt as R};\npub use outcome::StartReply;\npub use start::start;",
    );
    let expected = ["Permit", "Receipt", "StartReply"].map(str::to_owned);
    assert_eq!(custody(&[decide]), BTreeSet::from(expected));
}
