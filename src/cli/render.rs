//! Answers in text: one line of answer, then why, when to ask again, and what to type next.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::ui::{Tone, Ui, toned};
use crate::model::{Answer, OutcomeKind, QuarantineFacts, Timestamp};

/// What of an answer is shown, whether a job was found or not.
#[derive(Debug)]
pub(super) struct Told<'a> {
    /// The job, as the person calls it.
    pub(super) job: &'a str,
    pub(super) outcome: OutcomeKind,
    pub(super) reason: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) remedy: Option<&'a str>,
    pub(super) retry_after: Option<Duration>,
}

impl<'a> Told<'a> {
    pub(super) fn of(job: &'a str, answer: &'a Answer) -> Self {
        Self {
            job,
            outcome: answer.outcome,
            reason: answer.reason.map(|reason| reason.as_str()),
            message: &answer.message,
            remedy: answer.remedy.as_deref(),
            retry_after: answer.retry_after_seconds.map(Duration::from_secs),
        }
    }
}

/// An answer as a person reads it.
pub(super) fn answer(ui: Ui, told: &Told<'_>, now: Timestamp) -> String {
    let tone = match told.outcome {
        OutcomeKind::Started | OutcomeKind::AlreadyRunning | OutcomeKind::WouldStart => Tone::Good,
        OutcomeKind::Deferred => Tone::Notice,
        OutcomeKind::Denied | OutcomeKind::Failed | OutcomeKind::InDoubt => Tone::Bad,
    };
    let mut text =
        format!("{}: {}", toned(told.job, Tone::Strong), toned(told.outcome.as_str(), tone));
    if let Some(reason) = told.reason {
        text.push_str(&format!(" ({})", toned(reason, tone)));
    }
    text.push('\n');
    text.push_str(&ui.paragraph(without_outcome(told.message), "  "));
    if let Some(wait) = told.retry_after {
        text.push_str(&ui.paragraph(&format!("retry: {}", when(now, wait)), "  "));
    }
    let next = match (told.remedy, told.outcome) {
        (Some(remedy), _) => Some(for_job(remedy, told.job)),
        (None, OutcomeKind::Started) => {
            Some(format!("`startguard status {}` shows how it goes", quoted(told.job)))
        }
        (None, OutcomeKind::WouldStart) => {
            Some(format!("`startguard start {}` starts it", quoted(told.job)))
        }
        (None, OutcomeKind::Deferred) => {
            Some(format!("`startguard start {}` then", quoted(told.job)))
        }
        (
            None,
            OutcomeKind::AlreadyRunning
            | OutcomeKind::Denied
            | OutcomeKind::Failed
            | OutcomeKind::InDoubt,
        ) => None,
    };
    if let Some(next) = next {
        text.push_str(&ui.paragraph(&format!("next: {next}"), "  "));
    }
    text
}

/// The message without the outcome's own words, which the line above has said.
pub(super) fn without_outcome(message: &str) -> &str {
    ["deferred: ", "denied: ", "started: ", "in doubt: ", "already running: ", "would start: "]
        .into_iter()
        .find_map(|words| message.strip_prefix(words))
        .unwrap_or(message)
}

/// A remedy speaks of `JOB`; a person wants to paste it.
pub(super) fn for_job(remedy: &str, job: &str) -> String {
    let job = quoted(job);
    remedy.replace(" JOB`", &format!(" {job}`")).replace(" JOB ", &format!(" {job} "))
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A time to come, in local and relative form.
pub(super) fn when(now: Timestamp, wait: Duration) -> String {
    let at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    format!("after {}, in {}", local(at, now), span(wait))
}

/// A time that was, in local and relative form.
pub(super) fn since(at: Timestamp, now: Timestamp) -> String {
    match Duration::try_from(now.duration_since(at)) {
        Ok(ago) => format!("{}, {} ago", local(at, now), span(ago)),
        Err(_) => {
            let ahead = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            format!("{}, in {}", local(at, now), span(ahead))
        }
    }
}

/// A time on the operator's clock; with its date where that is not today's.
pub(super) fn local(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let (at, now) = (at.to_zoned_datetime(zone.clone()), now.to_zoned_datetime(zone));
    let format = if at.date() == now.date() { "%H:%M:%S %Z" } else { "%Y-%m-%d %H:%M:%S %Z" };
    at.strftime(format).to_string()
}

/// A time span as people say it: its two largest units.
pub(super) fn span(span: Duration) -> String {
    let (seconds, mut parts) = (seconds(span), Vec::new());
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    for (count, unit) in [(days, "d"), (hours, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")]
    {
        // The unit after the largest one counts too, and no smaller one.
        if count > 0 || !parts.is_empty() {
            parts.push((count, unit));
        }
    }
    let shown: Vec<String> = parts
        .into_iter()
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Whole seconds, rounded up: asking again after them is never too early.
pub(super) fn seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

/// The state in one line: code, and the quarantine's reason.
pub(super) fn state(code: Option<&str>, quarantine: Option<&QuarantineFacts>) -> String {
    let code = code.unwrap_or("(no status code)");
    match quarantine.and_then(|quarantine| quarantine.reason.as_deref()) {
        Some(reason) => format!("{code} ({reason})"),
        None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(told(0), "0s");
        assert_eq!(told(59), "59s");
        assert_eq!(told(60), "1m");
        assert_eq!(told(3_725), "1h 2m");
        assert_eq!(told(86_400 + 61), "1d");
        assert_eq!(told(90_000), "1d 1h");
        assert_eq!(span(Duration::from_millis(1)), "1s");
    }

    #[test]
    fn remedies_name_the_job_as_it_was_typed() {
        let remedy = "`startguard release JOB` lifts it, `startguard reset JOB --reason TEXT` too";
        assert_eq!(
            for_job(remedy, "My App"),
            "`startguard release 'My App'` lifts it, `startguard reset 'My App' --reason TEXT` too"
        );
    }

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        assert_eq!(quoted("workday"), "workday");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a;b"), "'a;b'");
    }
}
