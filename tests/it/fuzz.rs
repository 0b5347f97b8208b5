//! The fuzz targets' corpus, replayed: what was published, and what fuzzing found.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

#[path = "../fuzz/oracles/lib.rs"]
#[expect(unreachable_pub, reason = "where they are fuzzed they are a crate of their own")]
mod oracles;

type Outcome = Result<(), std::io::Error>;

/// Runs every input of a target through its oracle, and names those that fail.
fn replay(target: &str, check: fn(&[u8])) -> Outcome {
    // What `tests/fuzz/run` begins with as well.
    let also = match target {
        "job_payload" => Some(("tests/it/fixtures", "json")),
        "config_file" => Some(("config", "toml")),
        _ => None,
    };
    let mut inputs = files(&format!("tests/fuzz/corpus/{target}"))?;
    assert!(!inputs.is_empty(), "there is nothing to replay");
    if let Some((folder, kind)) = also {
        let found = files(folder)?;
        inputs
            .extend(found.into_iter().filter(|path| path.extension().is_some_and(|it| it == kind)));
    }
    let mut failed = Vec::new();
    for path in inputs {
        let input = fs::read(&path)?;
        if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            failed.push(path);
        }
    }
    assert_eq!(failed, Vec::<PathBuf>::new());
    Ok(())
}

fn files(folder: &str) -> Result<Vec<PathBuf>, std::io::Error> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?
        .map(|file| Ok(file?.path()))
        .filter(|path| path.as_ref().map_or(true, |path| path.is_file()))
        .collect()
}

macro_rules! replays {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() -> Outcome {
                replay(stringify!($target), oracles::$target::check)
            }
        )*
    };
}

replays! {
    config_file
    error_body
    job_payload
    job_reference
    journal
    next_link
    printable
    retry_after
    stored_row
    token_answer
}

#[test]
fn every_target_is_replayed() -> Outcome {
    let mut targets = Vec::new();
    for target in files("tests/fuzz/targets")? {
        targets.extend(target.file_stem().map(|it| it.to_string_lossy().into_owned()));
    }
    targets.sort();
    assert_eq!(targets, TARGETS);
    Ok(())
}
