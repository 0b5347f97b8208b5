//! Every key there is, and the nearest one to a key that there is not.

use std::fmt;

use super::environment::PREFIX;

/// A table of the file whose keys can also be set by variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// `[graph]`
    Graph,
    /// `[auth]`
    Auth,
    /// `[store]`
    Store,
    /// `[guard]`
    Guard,
}

impl Table {
    /// Every such table.
    pub(super) const ALL: [Self; 4] = [Self::Graph, Self::Auth, Self::Store, Self::Guard];

    /// Its name in the file.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Auth => "auth",
            Self::Store => "store",
            Self::Guard => "guard",
        }
    }

    /// Its keys.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Graph => &[
                "cloud",
                "endpoint",
                "request_timeout",
                "connect_timeout",
                "ca_file",
                "requests_per_second",
                "burst",
                "read_retries",
            ],
            Self::Auth => &["kind", "tenant_id", "client_id", "scope"],
            Self::Store => &["url", "keep"],
            Self::Guard => &[
                "cooldown",
                "max_starts",
                "window",
                "tenant_starts_per_minute",
                "lease",
                "status_max_age",
                "needs_consent",
                "auto_reasons",
            ],
        }
    }

    /// The variable that sets `key` of this table.
    pub(super) fn variable(self, key: &str) -> String {
        format!("{PREFIX}{}_{}", self.as_str(), key).to_uppercase()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.as_str())
    }
}

/// The name of the table of jobs.
pub(super) const JOBS: &str = "jobs";

/// The keys of a job, beside those of `[guard]`.
pub(super) const JOB_KEYS: [&str; 4] = ["service_principal", "job", "on_quarantine", "on_paused"];

/// Variables that stand for a setting without being made of table and key, with that setting.
pub(super) const SHORT: [(&str, Table, &str); 3] = [
    ("STARTGUARD_CLOUD", Table::Graph, "cloud"),
    ("STARTGUARD_AUTH", Table::Auth, "kind"),
    ("STARTGUARD_STORE", Table::Store, "url"),
];

/// Our other variables: the file, the secrets, and what belongs to the command line.
pub(super) const OTHER_VARIABLES: [&str; 6] = [
    "STARTGUARD_CONFIG",
    "STARTGUARD_OUTPUT",
    "STARTGUARD_LOG",
    "STARTGUARD_LOG_FORMAT",
    "STARTGUARD_TOKEN",
    "STARTGUARD_TOKEN_FILE",
];

/// The variables of every key, with the key.
pub(super) fn variables() -> impl Iterator<Item = (String, Table, &'static str)> {
    Table::ALL
        .into_iter()
        .flat_map(|table| table.keys().iter().map(move |&key| (table.variable(key), table, key)))
}

/// How much of a wrong key is compared, in characters; twice the longest key there is.
const LONGEST_COMPARED: usize = 64;

/// The one of `known` that is spelt most like `text`.
///
/// Edit distance with swaps: it is what slips of the finger do.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Letters' case and `-` for `_` are slips that cost nothing. The cut keeps a hostile key of a
    // megabyte from costing its square.
    let folded: String = text.chars().take(LONGEST_COMPARED).collect();
    let folded = folded.to_lowercase().replace('-', "_");
    known.into_iter().min_by_key(|candidate| {
        strsim::damerau_levenshtein(&folded, &candidate.to_lowercase().replace('-', "_"))
    })
}

/// The key of any table that is spelt most like `wrong`, with its table.
pub(super) fn nearest_anywhere(wrong: &str) -> String {
    let all = Table::ALL.into_iter().flat_map(|table| table.keys().iter().copied());
    let near = nearest(wrong, all).unwrap_or_default();
    match Table::ALL.into_iter().find(|table| table.keys().contains(&near)) {
        Some(table) => format!("`{near}` of {table}"),
        None => format!("`{near}`"),
    }
}

/// The key that `wrong` was meant to be, when it stands in a table whose keys are `here`.
pub(super) fn nearest_key<'a>(wrong: &str, here: impl Iterator<Item = &'a str>) -> String {
    // The right key in the wrong table is a commoner slip than a wrong letter.
    let elsewhere = Table::ALL.into_iter().find(|table| table.keys().contains(&wrong));
    match (elsewhere, nearest(wrong, here)) {
        (Some(table), _) => format!("`{wrong}` of {table}"),
        (None, Some(key)) => format!("`{key}`"),
        // No table is without keys.
        (None, None) => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_key() {
        let guard = || Table::Guard.keys().iter().copied();
        for (slip, key) in [
            ("cooldwon", "`cooldown`"),
            ("cool-down", "`cooldown`"),
            ("max-starts", "`max_starts`"),
            ("Lease", "`lease`"),
            ("request_timeout", "`request_timeout` of [graph]"),
        ] {
            assert_eq!(nearest_key(slip, guard()), key, "{slip}");
        }
    }

    #[test]
    fn variables_are_made_of_table_and_key() {
        assert_eq!(Table::Guard.variable("max_starts"), "STARTGUARD_GUARD_MAX_STARTS");
        assert!(variables().any(|(name, ..)| name == "STARTGUARD_GRAPH_REQUEST_TIMEOUT"));
    }

    #[test]
    fn no_variable_has_two_meanings() {
        let mut names: Vec<String> = variables().map(|(name, ..)| name).collect();
        names.extend(SHORT.iter().map(|(name, ..)| (*name).to_owned()));
        names.extend(OTHER_VARIABLES.iter().map(|name| (*name).to_owned()));
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
