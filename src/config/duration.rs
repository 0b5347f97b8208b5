//! Durations as people write them: `10m`, `60s`, `1500ms`, `1h 30m`, `24h`.

use std::time::Duration;

use super::{
    ConfigError,
    error::quoted,
    written::{Raw, Written},
};

/// Longest text read as a duration; `1h 30m 15s 500ms` has sixteen characters.
const LONGEST_TEXT: usize = 64;

/// Most digits of one number in it: more than three centuries of seconds. It keeps the sum of what
/// [`LONGEST_TEXT`] can hold far from the end of 64 bits, where humantime's addition panics.
const MOST_DIGITS: usize = 10;

/// Longest duration that means anything here. Beyond ten years it is a slip, or means "never",
/// which `startguard hold` says better.
pub(super) const TEN_YEARS: Duration = Duration::from_hours(10 * 8_766);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit.
    #[error("{text:?} has no unit")]
    NoUnit {
        /// What was given.
        text: String,
    },
    /// Not a duration.
    #[error("{} is not a duration", quoted(.text))]
    Unreadable {
        /// What was given.
        text: String,
    },
    /// Longer than ten years.
    #[error("{} is longer than ten years", quoted(.text))]
    TooLong {
        /// What was given.
        text: String,
    },
}

impl DurationError {
    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoUnit { text } => {
                format!("write a unit: {text}s, {text}m or {text}h (ms, s, m, h, d)")
            }
            Self::Unreadable { .. } | Self::TooLong { .. } => {
                "write a number with its unit (ms, s, m, h, d), such as 500ms, 10m or 1h 30m"
                    .to_owned()
            }
        }
    }
}

/// Reads a duration. Flags, variables and the file all read durations here.
///
/// # Errors
/// [`DurationError`], with the remedy.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let unreadable = || DurationError::Unreadable { text: text.to_owned() };
    let trimmed = text.trim();
    if trimmed.len() > LONGEST_TEXT || trimmed.is_empty() {
        return Err(unreadable());
    }
    if trimmed.starts_with(|c: char| c.is_ascii_digit())
        && trimmed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(DurationError::NoUnit { text: trimmed.to_owned() });
    }
    let longest_number = trimmed
        .split(|c: char| c.is_alphabetic())
        .map(|number| number.chars().filter(char::is_ascii_digit).count())
        .max();
    if longest_number > Some(MOST_DIGITS) {
        return Err(DurationError::TooLong { text: text.to_owned() });
    }
    // humantime reads `M` as months, which hardly anybody means who writes `10M`.
    if trimmed.contains('M') {
        return Err(unreadable());
    }
    match humantime::parse_duration(trimmed) {
        Ok(span) if span > TEN_YEARS => Err(DurationError::TooLong { text: text.to_owned() }),
        Ok(span) => Ok(span),
        Err(_) => Err(unreadable()),
    }
}

/// What a duration may be, and why not beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) less_because: &'static str,
    pub(super) most: Duration,
    pub(super) more_because: &'static str,
}

impl Written {
    /// The value as a duration within `bounds`.
    pub(super) fn duration(&self, bounds: &Bounds) -> Result<Duration, ConfigError> {
        let text = match &self.raw {
            Raw::Text(text) | Raw::Bare(text) => text,
            Raw::Number(Some(number)) => {
                return Err(self.refuse(
                    "has no unit",
                    format!("write a unit, in quotation marks: \"{number}s\", \"{number}m\""),
                ));
            }
            Raw::Number(None) | Raw::List(_) | Raw::Other(_) => {
                return Err(self.refuse(
                    "is not a duration",
                    "write a number with its unit in quotation marks, such as \"10m\"",
                ));
            }
        };
        let span = parse_duration(text).map_err(|error| match &error {
            DurationError::NoUnit { .. } => self.refuse("has no unit", error.remedy()),
            DurationError::Unreadable { .. } => self.refuse("is not a duration", error.remedy()),
            DurationError::TooLong { .. } => {
                self.refuse("is longer than ten years", bounds_remedy(bounds))
            }
        })?;
        if span < bounds.least {
            let least = humantime::format_duration(bounds.least);
            let problem = format!("is less than {least}: {}", bounds.less_because);
            return Err(self.refuse(problem, bounds_remedy(bounds)));
        }
        if span > bounds.most {
            let most = humantime::format_duration(bounds.most);
            let problem = format!("is more than {most}: {}", bounds.more_because);
            return Err(self.refuse(problem, bounds_remedy(bounds)));
        }
        Ok(span)
    }
}

fn bounds_remedy(bounds: &Bounds) -> String {
    if bounds.most == TEN_YEARS {
        return format!(
            "write at least {} and at most ten years",
            humantime::format_duration(bounds.least)
        );
    }
    format!(
        "write a duration from {} to {}",
        humantime::format_duration(bounds.least),
        humantime::format_duration(bounds.most)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, milliseconds) in [
            ("10m", 600_000),
            ("60s", 60_000),
            ("1500ms", 1_500),
            ("1h 30m", 5_400_000),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            (" 2s ", 2_000),
            ("1.5s", 1_500),
            ("10 minutes", 600_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_told_to_take_a_unit() {
        for text in ["10", "0", "1.5"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error, DurationError::NoUnit { text: text.to_owned() });
            assert!(error.remedy().contains(&format!("{text}s")));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", " ", "soon", "10x", "-5s", "m", "5 s 3", "10M", "1.s", "∞s", "1e3s", "."]
        {
            assert!(
                matches!(parse_duration(text), Err(DurationError::Unreadable { .. })),
                "{text:?}: {:?}",
                parse_duration(text)
            );
        }
        assert!(parse_duration(&"9".repeat(10_000)).is_err());
    }

    #[test]
    fn absurd_durations_are_refused_and_nothing_overflows() {
        for text in [
            "11y",
            "99999999999h",
            "18446744073709551615s 500ms 500ms",
            "584542046090y 20000000s 500ms500ms",
            "9999999999y 9999999999y 9999999999y 9999999999y",
        ] {
            assert!(matches!(parse_duration(text), Err(DurationError::TooLong { .. })), "{text}");
        }
        assert!(parse_duration("10y").is_ok());
    }
}
