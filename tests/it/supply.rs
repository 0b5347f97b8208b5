//! What is built is what `Cargo.lock` says: every command that could resolve it anew is told not to.

use std::{fs, io, path::Path};

type Outcome = Result<(), io::Error>;

/// What of cargo reads the lock file, and could write it.
const RESOLVES: [&str; 10] =
    ["bench", "build", "check", "clippy", "doc", "fetch", "install", "nextest", "run", "test"];

/// What says so, by its own name or by that of the list of options that has it.
const LOCKED: [&str; 2] = ["--locked", "\"${features[@]}\""];

/// The first command of the README is what a newcomer types. A fresh clone has the lock file that goes
/// with its manifest, so there is nothing to resolve.
const AS_IT_IS: &str = "cargo run --release -- demo";

/// The lines of scripts that are commands, and those of a document that a reader copies.
fn commands(path: &Path, text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let is_document = path.extension().is_some_and(|extension| extension == "md");
    let mut inside = !is_document;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if is_document && line.starts_with("```") {
            inside = line == "```sh" || line == "```bash";
        } else if inside && !line.starts_with('#') {
            found.push(line.split(" # ").next().unwrap_or(line).to_owned());
        }
    }
    found
}

fn is_unlocked(command: &str) -> bool {
    command.split("cargo ").skip(1).any(|rest| {
        // `cargo nextest --version` asks for nothing but itself.
        let mut words = rest.split([' ', '"', ';']);
        let resolves = words.next().is_some_and(|word| RESOLVES.contains(&word));
        resolves && words.next() != Some("--version")
    }) && !LOCKED.iter().any(|word| command.contains(word))
}

fn below(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[test]
fn every_command_of_scripts_and_documents_keeps_to_the_lock_file() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [".ci", "docs", "tests"] {
        below(&root.join(folder), &mut files)?;
    }
    files.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    let (mut seen, mut unlocked) = (0, Vec::new());
    for path in files {
        // Scripts have no extension and say what runs them; the fuzzers' inputs are not text.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_script = path.extension().is_none() && text.starts_with("#");
        if !is_script && path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for command in commands(&path, &text) {
            seen += usize::from(command.contains("cargo "));
            if is_unlocked(&command) && command != AS_IT_IS {
                unlocked.push(format!("{}: {command}", path.display()));
            }
        }
    }
    // Fewer means that the files are read wrongly.
    assert!(seen >= 15, "only {seen} commands were found");
    assert_eq!(unlocked, Vec::<String>::new());
    Ok(())
}

#[test]
fn an_unlocked_command_is_noticed() {
    for command in
        ["cargo build", "exec cargo test --all", "x || cargo nextest run", "cargo install a"]
    {
        assert!(is_unlocked(command), "{command}");
    }
    for command in
        ["cargo fmt --check", "cargo nextest --version", "cargo test --locked", "echo cargo"]
    {
        assert!(!is_unlocked(command), "{command}");
    }
}
