//! The name of the schema in which the tables are.

use std::fmt;

use crate::store::fault::Fault;

/// PostgreSQL cuts longer names off, so that two names would mean one schema.
const LONGEST: usize = 63;

/// A schema's name: lower-case letters, digits and `_`, so that it means the same quoted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Default for Name {
    fn default() -> Self {
        Self("startguard".to_owned())
    }
}

impl Name {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
        if text.is_empty()
            || text.len() > LONGEST
            || !text.chars().all(plain)
            || !begins_well
            || text.starts_with("pg_")
        {
            return Err(Fault::new(
                "has a URL whose `schema` is not a plain name",
                format!(
                    "use at most {LONGEST} lower-case letters, digits and `_`, not beginning with \
                     a digit or `pg_`"
                ),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it is.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_taken() {
        for good in ["startguard", "a", "_x9", "s_2"] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "Guard", "a b", "a\"b", "a;b", "1a", "pg_x", "ä", "a-b", long.as_str()] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
