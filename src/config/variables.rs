//! Variables that start like ours and are none of ours.

use super::{
    ConfigError, Environment,
    environment::PREFIX,
    keys::{self, OTHER_VARIABLES, SHORT, Table},
};
use crate::model::printable;

/// Refuses guard variables that mean nothing, and warns of others.
///
/// A guard setting that is misspelt leaves the guard laxer than somebody thinks; the rest can at
/// worst be missed.
pub(super) fn check(environment: &Environment) -> Result<Vec<String>, ConfigError> {
    let table_keys: Vec<String> = keys::variables().map(|(name, ..)| name).collect();
    let known = || {
        table_keys
            .iter()
            .map(String::as_str)
            .chain(SHORT.iter().map(|(name, ..)| *name))
            .chain(OTHER_VARIABLES)
    };
    let guard = format!("{PREFIX}{}_", Table::Guard.as_str()).to_uppercase();
    let mut warnings = Vec::new();
    for name in environment.own().filter(|name| !is_kubernetes(name)) {
        if known().any(|known| known == name) {
            continue;
        }
        if name.starts_with(&guard) {
            let near = keys::nearest(name, known().filter(|known| known.starts_with(&guard)));
            return Err(ConfigError::new(
                format!(
                    "the variable {} sets nothing; the nearest known one is {}",
                    printable(name),
                    near.unwrap_or_default()
                ),
                format!("correct or unset {}", printable(name)),
            ));
        }
        let near = keys::nearest(name, known()).unwrap_or_default();
        warnings.push(format!(
            "the variable {} sets nothing and is ignored; the nearest known one is {near}",
            printable(name)
        ));
    }
    Ok(warnings)
}

/// Whether Kubernetes sets such a variable by itself in every pod beside a service named
/// `startguard` or `startguard-…`.
///
/// Source: Kubernetes documentation, "Accessing the Service: Environment Variables".
fn is_kubernetes(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(name: &str) -> Result<Vec<String>, ConfigError> {
        check(&Environment::of([(name, "x")]))
    }

    #[test]
    fn a_misspelt_guard_variable_is_an_error() {
        let error = warnings("STARTGUARD_GUARD_COOL_DOWN").unwrap_err();
        assert!(error.to_string().ends_with("nearest known one is STARTGUARD_GUARD_COOLDOWN"));
        assert!(error.remedy().contains("STARTGUARD_GUARD_COOL_DOWN"));
    }

    #[test]
    fn another_unknown_variable_is_a_warning() {
        let said = warnings("STARTGUARD_STOER").unwrap();
        assert_eq!(said.len(), 1);
        assert!(said.iter().all(|line| line.ends_with("STARTGUARD_STORE")), "{said:?}");
    }

    #[test]
    fn what_kubernetes_sets_is_passed_over() {
        for name in [
            "STARTGUARD_SERVICE_HOST",
            "STARTGUARD_SERVICE_PORT",
            "STARTGUARD_SERVICE_PORT_HTTP",
            "STARTGUARD_PORT",
            "STARTGUARD_PORT_8417_TCP_ADDR",
            "STARTGUARD_GUARD_PORT",
        ] {
            assert_eq!(warnings(name).unwrap(), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn every_variable_of_ours_is_known() {
        let all = keys::variables()
            .map(|(name, ..)| name)
            .chain(SHORT.iter().map(|(name, ..)| (*name).to_owned()))
            .chain(OTHER_VARIABLES.map(str::to_owned));
        for name in all {
            assert_eq!(warnings(&name).unwrap(), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_name_with_an_escape_is_shown_escaped() {
        let said = warnings("STARTGUARD_\u{1b}[2J").unwrap();
        assert!(said.iter().all(|line| !line.chars().any(char::is_control)));
    }
}
