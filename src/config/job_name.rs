//! What a job may be called in the configuration.

use uuid::Uuid;

/// Longest name, in characters: it heads a line of every table and log.
const LONGEST: usize = 64;

/// Checks the NAME of `[jobs.NAME]`; the error continues "the job name … ".
///
/// A name must be told apart from everything else that names a job on the command line, typed into
/// a shell without quotation marks, and never taken for a flag.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.chars().count() > LONGEST {
        return Err("is longer than 64 characters");
    }
    if name.contains('/') {
        return Err("contains a slash, which parts a service principal from its job");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err("contains a character other than letters, digits, `-`, `_` and `.`");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("does not begin with a letter or digit");
    }
    if Uuid::try_parse(name).is_ok() {
        return Err("looks like a GUID, which names a service principal");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for name in ["workday", "sap-hr.eu", "Box_2", "9"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "a/b",
            "a b",
            "büro",
            "-x",
            "..",
            ".hidden",
            "a\u{1b}",
            "appid:x",
            "0f0c0a1b-1111-2222-3333-444455556666",
            "0f0c0a1b111122223333444455556666",
            &"x".repeat(65),
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }
}
