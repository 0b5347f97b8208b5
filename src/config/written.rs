//! What was written, and where, before it means anything.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use super::{ConfigError, error::quoted};
use crate::model::printable;

/// The text of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A place in a file. Line and column are worked out only for who asks: a file has many places and
/// at most a few mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// In bytes.
    pub(super) offset: usize,
}

impl fmt::Display for Place {
    /// Lines and columns count from one, columns in characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.text.as_str();
        let before = text.get(..self.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        write!(f, "{}:{line}:{column}", printable(&self.source.path.to_string_lossy()))
    }
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// `config/default.toml`.
    Default,
    /// The operator's file.
    File(Place),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

/// A value as it stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// A text of a file.
    Text(String),
    /// A text of a variable or flag, where numbers and lists are written as text as well.
    Bare(String),
    /// A whole number; `None` when it does not fit 64 bits.
    Number(Option<i64>),
    /// A list of texts.
    List(Vec<String>),
    /// Anything else; no setting is one.
    Other(&'static str),
}

/// One setting as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// As people call it: `[guard] cooldown`, `[jobs.workday] cooldown`.
    pub(super) setting: String,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Settings by key; a later layer replaces what an earlier one said.
pub(super) type Layer = BTreeMap<&'static str, Written>;

impl Written {
    /// Whether somebody said so, rather than nobody saying otherwise.
    pub(super) fn is_explicit(&self) -> bool {
        self.origin != Origin::Default
    }

    /// Where and what, for the head of an error.
    pub(super) fn place(&self) -> String {
        match &self.origin {
            Origin::Default => format!("{} (the default)", self.setting),
            Origin::File(place) => format!("{place}: {}", self.setting),
            Origin::Variable(name) => name.clone(),
            Origin::Flag(flag) => (*flag).to_owned(),
        }
    }

    /// An error about this setting that does not repeat its value.
    pub(super) fn problem(
        &self,
        problem: impl fmt::Display,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError::new(format!("{}: {problem}", self.place()), remedy)
    }

    /// An error about this setting and its value: "`[guard] lease` = "x" is not …".
    pub(super) fn refuse(
        &self,
        problem: impl fmt::Display,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError::new(format!("{} = {} {problem}", self.place(), self.value()), remedy)
    }

    /// The value as an error shows it.
    fn value(&self) -> String {
        match &self.raw {
            Raw::Text(text) | Raw::Bare(text) => quoted(text),
            Raw::Number(Some(number)) => number.to_string(),
            Raw::Number(None) => "a number beyond 64 bits".to_owned(),
            Raw::List(items) => quoted(&items.join(", ")),
            Raw::Other(what) => format!("({what})"),
        }
    }

    /// The value as a text.
    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        match &self.raw {
            Raw::Text(text) | Raw::Bare(text) => Ok(text),
            Raw::Number(_) | Raw::List(_) | Raw::Other(_) => {
                Err(self.refuse("is not a text", "write it in quotation marks"))
            }
        }
    }

    /// The value as a list of texts.
    ///
    /// In a variable the items stand between commas; a lone comma is the empty list, since an
    /// empty variable counts as not set.
    pub(super) fn list(&self) -> Result<Vec<String>, ConfigError> {
        match &self.raw {
            Raw::List(items) => Ok(items.clone()),
            Raw::Bare(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            Raw::Text(_) | Raw::Number(_) | Raw::Other(_) => {
                Err(self.refuse("is not a list of texts", "write [\"one\", \"two\"]"))
            }
        }
    }

    /// The value as a whole number within `least` and `most`; `because` is why not beyond.
    pub(super) fn count(&self, bounds: CountBounds) -> Result<u32, ConfigError> {
        let CountBounds { least, most, because } = bounds;
        let number = match &self.raw {
            Raw::Number(number) => *number,
            Raw::Bare(text) => match text.trim().parse::<i64>() {
                Ok(number) => Some(number),
                Err(_) => {
                    return Err(self.refuse("is not a whole number", range_remedy(least, most)));
                }
            },
            Raw::Text(_) => {
                return Err(self.refuse(
                    "is a text where a whole number belongs",
                    "write the number without quotation marks",
                ));
            }
            Raw::List(_) | Raw::Other(_) => {
                return Err(self.refuse("is not a whole number", range_remedy(least, most)));
            }
        };
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            Some(_) | None => Err(self.refuse(
                format_args!("is not within {least} and {most}: {because}"),
                range_remedy(least, most),
            )),
        }
    }
}

/// What a count may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountBounds {
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) because: &'static str,
}

fn range_remedy(least: u32, most: u32) -> String {
    format!("write a whole number from {least} to {most}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> Written {
        Written {
            setting: "[guard] x".to_owned(),
            raw: Raw::Bare(text.to_owned()),
            origin: Origin::Variable("STARTGUARD_GUARD_X".to_owned()),
        }
    }

    const ANY: CountBounds = CountBounds { least: 1, most: 10, because: "ten fingers" };

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a = 1\nä = 2\n";
        let source = Arc::new(Source { path: "/a.toml".into(), text: text.to_owned() });
        let place = |offset| Place { source: Arc::clone(&source), offset }.to_string();
        assert_eq!(place(0), "/a.toml:1:1");
        assert_eq!(place(text.find('2').unwrap()), "/a.toml:2:5");
        assert_eq!(place(9_999), "/a.toml:3:1");
    }

    #[test]
    fn a_variable_spells_lists_with_commas() {
        assert_eq!(bare("A, B ,C").list().unwrap(), ["A", "B", "C"]);
        assert_eq!(bare(",").list().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_count_beyond_its_bounds_says_why() {
        assert_eq!(bare(" 10 ").count(ANY).unwrap(), 10);
        for text in ["0", "11", "-1", "99999999999", "1.5", "ten", "0x5"] {
            let error = bare(text).count(ANY).unwrap_err();
            assert!(error.to_string().starts_with("STARTGUARD_GUARD_X = "), "{error}");
            assert_eq!(error.remedy(), "write a whole number from 1 to 10");
        }
        assert!(bare("0").count(ANY).unwrap_err().to_string().contains("ten fingers"));
    }

    #[test]
    fn a_number_in_quotation_marks_is_told_to_lose_them() {
        let written = Written { raw: Raw::Text("5".to_owned()), ..bare("") };
        assert!(written.count(ANY).unwrap_err().remedy().contains("without quotation marks"));
    }
}
