//! `Retry-After`, in both its forms.

use std::time::Duration;

use crate::model::Timestamp;

/// The longest wait that is obeyed. Graph asks for seconds to minutes; a broken proxy's "come back
/// next year" must not stop a fleet for good. The store's throttle has the same bound.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a `Retry-After` says to wait, at most [`LONGEST`]; `None` for what is neither seconds nor an HTTP-date.
///
/// A date counts from the answer's own `Date`, where it has one: the difference of two readings of
/// the server's clock is right even where ours is wrong. `now` stands in for it. A date that has
/// passed is a wait of zero.
pub(super) fn parse(value: &str, date: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "long".
        let seconds = value.parse::<u32>().unwrap_or(u32::MAX);
        return Some(Duration::from_secs(seconds.into()).min(LONGEST));
    }
    let until = http_date(value)?;
    let wait = until.duration_since(date.unwrap_or(now));
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(LONGEST))
}

/// An HTTP-date, as `Date` and `Retry-After` write it.
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(value.trim()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str, date: Option<&str>) -> Option<Duration> {
        let now = "2026-11-23T09:00:00Z".parse().unwrap();
        parse(value, date.map(|date| http_date(date).unwrap()), now)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait("120", None), seconds(120));
        assert_eq!(wait(" 0 ", None), seconds(0));
        assert_eq!(wait("99999999999999999999999", None), Some(LONGEST));
        assert_eq!(wait("Mon, 23 Nov 2026 09:02:00 GMT", None), seconds(120));
        assert_eq!(wait("Mon, 23 Nov 2026 08:00:00 GMT", None), seconds(0));
        // RFC 850 and asctime, which HTTP still knows.
        assert_eq!(wait("Monday, 23-Nov-26 09:02:00 GMT", None), seconds(120));
        assert_eq!(wait("Mon Nov 23 09:02:00 2026", None), seconds(120));
    }

    #[test]
    fn a_date_counts_from_the_answers_own_clock() {
        let date = Some("Mon, 23 Nov 2026 10:00:00 GMT");
        assert_eq!(wait("Mon, 23 Nov 2026 10:00:30 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(wait("30", date), Some(Duration::from_secs(30)));
    }

    #[test]
    fn garbage_is_absent() {
        for value in ["", "soon", "-5", "1.5", "1e3", "+3", "12 seconds", "2026-11-23T09:02:00Z"] {
            assert_eq!(wait(value, None), None, "{value:?}");
        }
    }
}
