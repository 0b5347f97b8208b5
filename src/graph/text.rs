//! Words of the service, made fit to be shown.

use crate::model::is_hidden;

/// Longest text kept of an answer, in characters. An error message is a sentence; what is longer is
/// a page of HTML or an attack on a log.
const LONGEST: usize = 512;

/// A text of the service's, on one line, without anything that a terminal or a log acts on, and cut.
///
/// What is taken out leaves a mark (U+FFFD; a space for a line break), so that no text can turn into
/// a word that startguard knows.
pub(super) fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(LONGEST));
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            kept.push('…');
            break;
        }
        kept.push(match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        assert_eq!(clean("a\u{1b}[31mb\u{7}"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(clean("one\r\ntwo\u{2028}three"), "one  two three");
        assert_eq!(
            clean("\u{9b}31m \u{202e}evil\u{2066} \u{200b}x"),
            "\u{fffd}31m \u{fffd}evil\u{fffd} \u{fffd}x"
        );
        assert_eq!(clean("grün 漢字 🔑"), "grün 漢字 🔑");
    }

    #[test]
    fn no_text_turns_into_a_known_word() {
        assert_ne!(clean("Pau\u{200b}sed"), "Paused");
        assert_ne!(clean("Paused\u{0}"), "Paused");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let cut = clean(&"é".repeat(600));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with("é…"));
        assert_eq!(clean(&"x".repeat(LONGEST)).len(), LONGEST);
    }
}
