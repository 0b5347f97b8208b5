//! Settings that are one of a few words.

use super::{ConfigError, keys::nearest, written::Written};
use crate::model::{AuthKind, Cloud, OnState};

/// A setting with a fixed set of words.
pub(super) trait Choice: Copy + 'static {
    /// Every word with its meaning.
    fn all() -> impl Iterator<Item = (&'static str, Self)>;
}

impl Choice for Cloud {
    fn all() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ALL.into_iter().map(|cloud| (cloud.as_str(), cloud))
    }
}

impl Choice for AuthKind {
    fn all() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ALL.into_iter().map(|kind| (kind.as_str(), kind))
    }
}

impl Choice for OnState {
    fn all() -> impl Iterator<Item = (&'static str, Self)> {
        [("start", Self::Start), ("alert", Self::Alert), ("ignore", Self::Ignore)].into_iter()
    }
}

impl Written {
    /// The value as one of the words of `T`.
    pub(super) fn choice<T: Choice>(&self) -> Result<T, ConfigError> {
        let text = self.text()?;
        if let Some((_, meaning)) = T::all().find(|(word, _)| *word == text) {
            return Ok(meaning);
        }
        let words: Vec<&str> = T::all().map(|(word, _)| word).collect();
        let near = nearest(text, words.iter().copied()).unwrap_or_default();
        Err(self.refuse(
            format_args!("is not one of {}", words.join(", ")),
            format!("the nearest of them is {near}"),
        ))
    }
}
