//! Finding and reading the configuration file.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use super::{ConfigError, Environment};
use crate::model::printable;

/// Largest file read, in bytes: thousands of jobs fit, and a mistaken path to a log or a device ends
/// before memory does.
const LARGEST: u64 = 1 << 20;

/// The file's place below a configuration folder.
const BELOW: &str = "startguard/startguard.toml";

/// The variable that names the file.
const VARIABLE: &str = "STARTGUARD_CONFIG";

/// A file that was found and read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the file that the flag or the variable names, or else the first that exists: the user's,
/// then the machine's at `system`. They are never mixed.
pub(super) fn find(
    flag: Option<&Path>,
    environment: &Environment,
    system: &Path,
) -> Result<Option<Found>, ConfigError> {
    let named = match flag {
        Some(path) => Some((path.to_owned(), "--config")),
        None => environment.get(VARIABLE).map(|path| (PathBuf::from(path), VARIABLE)),
    };
    if let Some((path, by)) = named {
        return match read(&path) {
            Ok(text) => Ok(Some(Found { path, text })),
            Err(problem) if problem.is_absence() => Err(ConfigError::new(
                format!("the configuration file {} that {by} names is not there", shown(&path)),
                format!("correct {by}, or make the file: config/startguard.toml is a template"),
            )),
            Err(problem) => Err(problem.of(&path)),
        };
    }
    for path in user_file(environment).into_iter().chain([system.to_owned()]) {
        match read(&path) {
            Ok(text) => return Ok(Some(Found { path, text })),
            Err(problem) if problem.is_absence() => {}
            // A file that is there and cannot be read may ask for more care than the defaults.
            Err(problem) => return Err(problem.of(&path)),
        }
    }
    Ok(None)
}

fn user_file(environment: &Environment) -> Option<PathBuf> {
    let folder = match environment.folder("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(environment.folder("HOME")?).join(".config"),
    };
    Some(folder.join(BELOW))
}

/// Why a file was not read.
#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Folder,
    TooLarge,
    NotUtf8 { line: usize },
}

impl Problem {
    /// Whether there simply is no such file.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    }

    fn of(self, path: &Path) -> ConfigError {
        let path = shown(path);
        match self {
            Self::Io(error) => ConfigError::new(
                format!("the configuration file {path} cannot be read"),
                "make it readable for this user, or name another with --config",
            )
            .because(error),
            Self::Folder => ConfigError::new(
                format!("the configuration file {path} is a folder"),
                format!("name the file in it: {path}/startguard.toml"),
            ),
            Self::TooLarge => ConfigError::new(
                format!("the configuration file {path} is larger than 1 MiB"),
                "check that the path is right; a configuration has some kilobytes",
            ),
            Self::NotUtf8 { line } => ConfigError::new(
                format!("{path}:{line}: the configuration file is not UTF-8"),
                "save it as UTF-8 text",
            ),
        }
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let file = File::open(path).map_err(Problem::Io)?;
    if file.metadata().map_err(Problem::Io)?.is_dir() {
        return Err(Problem::Folder);
    }
    let mut bytes = Vec::new();
    // The length is not asked for: a pipe has none.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(Problem::Io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(Problem::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        Problem::NotUtf8 { line: good.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
