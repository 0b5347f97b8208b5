//! Text that came from elsewhere, made fit to be shown.
//!
//! A server's message, an operator's note or a path may hold escape sequences that repaint a
//! terminal, newlines that forge a log line, or marks that turn the direction of writing. Everything
//! that is printed or logged passes one of these two functions.

use std::{borrow::Cow, fmt::Write as _};

/// Whether a character does something to a terminal or a log line other than showing itself.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, Mongolian vowel separator, zero-width marks, line and paragraph separators.
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}'
            // Marks that turn the direction of writing or mirror brackets; invisible operators.
            | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations, tag characters.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            // Formats of shorthand and of musical notation.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        )
}

/// The text with everything hidden written out, as `\n`, `\t` or `\u{1b}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// JSON text with everything hidden inside its strings written as JSON escapes. `json` is a
/// serialized value on one line: outside of strings it has no such characters.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len().saturating_add(16));
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let written = write!(shown, "\\u{unit:04x}");
                debug_assert!(written.is_ok(), "a string takes everything");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_characters_are_written_out() {
        assert_eq!(printable("plain – text"), "plain – text");
        assert_eq!(printable("a\u{1b}[31mb\nc"), r"a\u{1b}[31mb\nc");
        // Found by fuzzing: deprecated marks of Unicode act as well.
        assert_eq!(printable("a\u{206a}b\u{180e}\u{1d173}"), r"a\u{206a}b\u{180e}\u{1d173}");
        assert_eq!(printable("abc\u{202e}cba\u{9b}1m\u{7f}"), r"abc\u{202e}cba\u{9b}1m\u{7f}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_json_means_the_same(text in any::<String>()) {
            prop_assert!(!printable(&text).contains(is_hidden));
            let json = serde_json::to_string(&text).unwrap();
            let shown = printable_json(&json);
            prop_assert!(!shown.contains(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
