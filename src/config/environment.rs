//! The process environment, read once.

use std::{collections::BTreeMap, env, fmt};

use super::{ConfigError, error::quoted};
use crate::model::printable;

/// Prefix of the variables that are startguard's own.
pub(super) const PREFIX: &str = "STARTGUARD_";

/// The environment variables, as they were when they were read. Values never show in `Debug`: some
/// are secrets.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable that configuration depends on is not UTF-8. Others are left
    /// out.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_process() -> Result<Self, ConfigError> {
        let mut known = BTreeMap::new();
        for (name, value) in env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    known.insert(name, value);
                }
                Err(_) if concerns_us(&name) => {
                    return Err(ConfigError::new(
                        format!("the environment variable {} is not UTF-8", printable(&name)),
                        format!("set {} to UTF-8 text, or unset it", printable(&name)),
                    ));
                }
                Err(_) => {}
            }
        }
        Ok(Self(known))
    }

    /// An environment of exactly these variables.
    #[must_use]
    pub fn of<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a variable; an empty one counts as not set, since that is how shells and
    /// service files "unset" one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of our own variables that are set.
    pub(super) fn own(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// An absolute folder that a variable names. The XDG rules: a relative one is not valid and
    /// counts as not set.
    pub(super) fn folder(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|path| path.starts_with('/'))
    }

    /// Both spellings of one setting: the short one of the command line's options, and the one
    /// made of table and key.
    pub(super) fn either<'a>(
        &'a self,
        short: &'a str,
        long: &'a str,
    ) -> Result<Option<(&'a str, &'a str)>, ConfigError> {
        match (self.get(short), self.get(long)) {
            (Some(one), Some(other)) if one != other => Err(ConfigError::new(
                format!(
                    "{short} says {} and {long} says {}, which are the same setting",
                    shown_setting(one),
                    shown_setting(other)
                ),
                format!("unset {short} or {long}"),
            )),
            (Some(value), _) => Ok(Some((short, value))),
            (None, Some(value)) => Ok(Some((long, value))),
            (None, None) => Ok(None),
        }
    }
}

/// A setting's value in an error, unless it may hold a password.
fn shown_setting(value: &str) -> String {
    if value.contains('@') { "a URL with a login".to_owned() } else { quoted(value) }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether configuration reads a variable of this name.
fn concerns_us(name: &str) -> bool {
    name.starts_with(PREFIX)
        || name.starts_with("AZURE_")
        || matches!(name, "HOME" | "XDG_CONFIG_HOME" | "XDG_STATE_HOME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::of([("STARTGUARD_AUTH", ""), ("HOME", "/home/me")]);
        assert_eq!(environment.get("STARTGUARD_AUTH"), None);
        assert_eq!(environment.get("HOME"), Some("/home/me"));
        assert_eq!(environment.own().count(), 0);
    }

    #[test]
    fn a_relative_folder_is_not_set() {
        let environment = Environment::of([("XDG_STATE_HOME", "state")]);
        assert_eq!(environment.folder("XDG_STATE_HOME"), None);
    }

    #[test]
    fn the_process_has_an_environment() {
        let environment = Environment::from_process().unwrap();
        assert!(environment.get("PATH").is_some());
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::of([("STARTGUARD_TOKEN", "hush")]);
        assert_eq!(format!("{environment:?}"), "{\"STARTGUARD_TOKEN\"}");
    }

    #[test]
    fn what_configuration_reads_must_be_text() {
        for name in ["STARTGUARD_STORE", "AZURE_CLIENT_SECRET", "HOME", "XDG_CONFIG_HOME"] {
            assert!(concerns_us(name), "{name}");
        }
        assert!(!concerns_us("LS_COLORS"));
    }
}
