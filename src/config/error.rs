//! What is wrong with the configuration, and what to do about it.

use std::error::Error;

/// Longest piece of a value that an error repeats, in characters: enough to find it again.
const LONGEST_SHOWN: usize = 80;

/// A setting, a file or a variable that cannot be used. One line, with its remedy.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
    remedy: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConfigError {
    /// `message` says what failed on what, `remedy` what to do next.
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into(), source: None }
    }

    /// The same, with the cause.
    pub(super) fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// A value as an error shows it: quoted, escaped, and cut where it goes on for ever.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_hidden;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_shown_raw() {
        let shown = quoted("a\u{1b}[2Jb\r\nc\u{202e}d\u{0}e\u{ad}\u{200b}");
        assert!(!shown.contains(is_hidden), "{shown}");
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}\"...", "ä".repeat(80)));
        assert_eq!(quoted("ä"), "\"ä\"");
    }
}
