//! Dates as Graph writes them, and has been seen to write them.

use jiff::{civil::DateTime, tz::TimeZone};

use crate::model::Timestamp;

/// Up to this year a date means "none": Graph writes 1 January of the year 1, in UTC, and a
/// rewriting in another zone can make the last day of the year 0 of it.
const NO_YEAR: i16 = 1;

/// A date; `None` for "none", and for what is no date.
///
/// No offset means UTC, which Microsoft says all dates are in.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let date = match text.parse::<Timestamp>() {
        Ok(date) => date,
        Err(_) => TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    (TimeZone::UTC.to_datetime(date).year() > NO_YEAR).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_any_length_and_offsets_are_read() {
        for (text, read) in [
            ("2026-11-23T03:00:00Z", "2026-11-23T03:00:00Z"),
            ("2026-11-23T03:00:00.123456Z", "2026-11-23T03:00:00.123456Z"),
            ("2026-11-23T03:00:00.1234567Z", "2026-11-23T03:00:00.1234567Z"),
            ("2026-11-23T03:00:00.123456789Z", "2026-11-23T03:00:00.123456789Z"),
            ("2026-11-23T05:00:00+02:00", "2026-11-23T03:00:00Z"),
            ("2026-11-23T03:00:00.0000000+00:00", "2026-11-23T03:00:00Z"),
            ("2026-11-23t03:00:00z", "2026-11-23T03:00:00Z"),
            ("2026-11-23T03:00:00", "2026-11-23T03:00:00Z"),
            ("2026-11-23T03:00:00.1234567", "2026-11-23T03:00:00.1234567Z"),
            (" 2026-11-23T03:00:00Z ", "2026-11-23T03:00:00Z"),
        ] {
            assert_eq!(parse(text).map(|date| date.to_string()).as_deref(), Some(read), "{text}");
        }
    }

    #[test]
    fn the_year_1_is_no_date() {
        for text in [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00",
            "0001-01-01T00:00:00.0000000Z",
            "0001-01-01T00:00:00+01:00",
            "0001-01-01T08:00:00-08:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", " ", "tomorrow", "2026-13-45T00:00:00Z", "1764000000", "99999-01-01T00:00:00Z"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
