//! `Retry-After`: how long an answer says to wait.
//!
//! The input's lines: the value, the status, the answer's `Date`, our clock in seconds since 1970.

use std::time::Duration;

use startguard::{
    graph::fuzz::{LONGEST_WAIT, http_date, told_to_wait},
    model::Timestamp,
};

/// 23 November 2026, 09:00:00.
const NOW: i64 = 1_795_424_400;

/// Checks one answer's headers.
pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let value = lines.next().unwrap_or_default();
    let mut word = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let status = word().parse().unwrap_or(429);
    let date = http_date(word());
    let second = word().parse().unwrap_or(NOW);
    let now = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);

    assert_eq!(told_to_wait(status, None, date, now), None, "nobody said to wait");
    // Only what a header can hold arrives at all.
    let can_arrive = value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    let wait = told_to_wait(status, Some(value), date, now);
    if !can_arrive {
        assert_eq!(wait, None);
        return;
    }
    let told = wait.unwrap_or_default();
    assert!(told <= LONGEST_WAIT, "{told:?}");
    assert!(wait.is_some() || !matches!(status, 429 | 503), "told to wait, and does not");

    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        // Digits beyond a count of seconds mean longer than anyone waits.
        let seconds = text.parse::<u64>().unwrap_or(u64::MAX);
        assert_eq!(wait, Some(Duration::from_secs(seconds).min(LONGEST_WAIT)));
    } else if let Ok(until) =
        Timestamp::strptime("%a, %d %b %Y %H:%M:%S GMT %z", format!("{text} +0000"))
        && let Some(read) = http_date(text)
    {
        // The form that everybody writes, read by another parser.
        assert_eq!(until, read, "{text:?}");
        let wait_by = Duration::try_from(until.duration_since(date.unwrap_or(now)));
        assert_eq!(wait, Some(wait_by.unwrap_or_default().min(LONGEST_WAIT)));
    } else if !text.is_ascii() || http_date(text).is_none() {
        let minute = matches!(status, 429 | 503).then_some(Duration::from_secs(60));
        assert_eq!(wait, minute, "unreadable, so a minute where told to wait");
    }

    // Time goes on, and the wait gets no longer by it.
    for later in [1, 3_600, 86_400] {
        let later = now.saturating_add(Duration::from_secs(later)).unwrap_or(Timestamp::MAX);
        let then = told_to_wait(status, Some(value), date, later);
        assert_eq!(then.is_some(), wait.is_some());
        assert!(then <= wait, "{then:?} after {wait:?}");
        assert!(date.is_none() || then == wait, "counted by our clock, not by the server's");
    }
}
