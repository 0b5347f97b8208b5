//! What may be shown to a person, said anew from Unicode's own properties.

/// Whether a character does something else than show itself. Of Unicode's properties: `Cc`, `Zl`, `Zp`,
/// `Bidi_Control`, and those of `Default_Ignorable_Code_Point` that are no part of how a word is written
/// (`Cf`, and what is reserved among them), with the interlinear annotations.
pub fn acts(c: char) -> bool {
    let controls = matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}');
    let separators = matches!(c, '\u{2028}' | '\u{2029}');
    let directions = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let unseen = matches!(c,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}');
    controls || separators || directions || unseen
}

/// Fails unless `text` is one line that a terminal shows as it is, of at most `longest` characters.
pub fn fit_to_show(what: &str, text: &str, longest: usize) {
    if let Some(found) = text.chars().find(|c| acts(*c)) {
        assert!(!acts(found), "{what} shows {found:?}: {text:?}");
    }
    let length = text.chars().count();
    assert!(length <= longest, "{what} has {length} characters: {text:?}");
}
