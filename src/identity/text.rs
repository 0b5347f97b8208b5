//! Other people's words, made fit to be shown: one line, no control characters, no secrets.

use crate::model::is_hidden;

/// Enough for Microsoft's longest sentences; the rest would scroll the remedy off the screen.
const LONGEST: usize = 300;

/// A JSON web token begins with `{"` in Base64, and no sentence does.
const JWT_BEGINS: &str = "eyJ";

/// Shorter runs than this are words that merely begin like a token.
const JWT_SHORTEST: usize = 20;

/// What replaces a secret.
const HIDDEN: &str = "[hidden]";

/// Makes `text` one line of at most 300 characters: whatever acts on a terminal or a log
/// becomes a space. A sentence reads better so than with everything written out.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in plain.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

/// `text` with every one of `secrets`, and whatever looks like a JSON web token, hidden: a server
/// may repeat in its error what it was sent.
pub(super) fn without_secrets(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), HIDDEN);
    }
    without_jwts(&text)
}

fn without_jwts(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(JWT_BEGINS) {
        let (before, token) = rest.split_at(at);
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        let end = token.find(|c| !part(c)).unwrap_or(token.len());
        let (token, after) = token.split_at(end);
        kept.push_str(before);
        kept.push_str(if end < JWT_SHORTEST { token } else { HIDDEN });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_becomes_a_space() {
        let hostile = "a\u{1b}[2J\r\nb\u{202e}c\u{2028}d\u{0}e\u{200b}f\u{9b}g\t h ";
        assert_eq!(one_line(hostile), "a [2J b c d e f g h");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let line = one_line(&"ü".repeat(1_000));
        assert_eq!(line.chars().count(), LONGEST + 1);
        assert!(line.ends_with('…'));
        assert_eq!(one_line(&"ü".repeat(LONGEST)).chars().count(), LONGEST);
    }

    #[test]
    fn secrets_and_tokens_are_hidden_and_words_stay() {
        let jwt = format!("eyJ{}.eyJ{}.x-_", "a".repeat(30), "b".repeat(30));
        let text = format!("sent hunter2 and {jwt}, eyJust a word, end {jwt}");
        let shown = without_secrets(&text, &["hunter2".to_owned(), String::new()]);
        assert_eq!(shown, "sent [hidden] and [hidden], eyJust a word, end [hidden]");
    }
}
