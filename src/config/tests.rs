//! The configuration as a whole, from files and variables to settings.

use std::fs;

use tempfile::TempDir;

use super::*;

mod documents;
mod files;
mod jobs;
mod mistakes;
mod precedence;

/// A folder with a configuration file, and an environment.
struct Bench {
    folder: TempDir,
    flags: Flags,
    variables: Vec<(String, String)>,
}

/// A bench whose file says `text`.
fn with(text: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    fs::write(&path, text).unwrap();
    Bench {
        folder,
        flags: Flags { config: Some(path), ..Flags::default() },
        variables: vec![("HOME".to_owned(), "/home/me".to_owned())],
    }
}

/// A bench without a file.
fn bare() -> Bench {
    let mut bench = with("");
    bench.flags = Flags::default();
    bench
}

impl Bench {
    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flags(mut self, change: impl FnOnce(&mut Flags)) -> Self {
        change(&mut self.flags);
        self
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        let environment = Environment::of(self.variables.iter().cloned());
        load_with(&self.flags, &environment, &self.folder.path().join("none.toml"))
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|error| panic!("{error}; {}", error.remedy()))
    }

    /// The error without the folder's name.
    fn error(&self) -> (String, String) {
        let error = self.load().err().unwrap_or_else(|| panic!("was accepted"));
        let folder = format!("{}/", self.folder.path().display());
        let said = error.to_string();
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(!error.remedy().is_empty(), "{said}");
        (said.replace(&folder, ""), error.remedy().to_owned())
    }
}
