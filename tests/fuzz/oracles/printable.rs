//! Text from elsewhere on its way to a terminal or a log.

use startguard::{
    graph::fuzz,
    model::{ScheduleState, StatusCode, is_hidden, printable, printable_json},
};

use super::text::{acts, fit_to_show};

/// Longest text that is kept of an answer, and the mark that it was cut.
const LONGEST: usize = 513;

/// Checks what is shown of a text.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);

    // Every character is judged as Unicode has it, whichever list the code keeps.
    for c in text.chars() {
        assert_eq!(is_hidden(c), acts(c), "{c:?}");
    }
    let shown = printable(&text);
    fit_to_show("printable", &shown, usize::MAX);
    // What needs no escape is left as it is, in its order.
    let visible = |text: &str| text.chars().filter(|c| !acts(*c)).collect::<String>();
    if text.chars().any(acts) {
        assert!(is_within(&visible(&text), &shown), "{text:?} became {shown:?}");
    } else {
        assert_eq!(shown, text);
    }
    // What was shown is shown as it is.
    assert_eq!(printable(&shown), shown);

    // The same text in JSON still means the same.
    let json = serde_json::Value::from(text.as_ref()).to_string();
    let shown = printable_json(&json);
    fit_to_show("printable_json", &shown, usize::MAX);
    assert_eq!(serde_json::from_str::<String>(&shown).ok().as_deref(), Some(text.as_ref()));

    // The service's words: bounded as well, and never turned into a word that means something.
    let shown = fuzz::shown(&text);
    fit_to_show("the service's words", &shown, LONGEST);
    if shown != text {
        assert!(matches!(StatusCode::parse(Some(&shown)), StatusCode::Other(_)), "{text:?}");
        assert!(matches!(ScheduleState::parse(Some(&shown)), ScheduleState::Other(_)), "{text:?}");
    }
}

/// Whether the characters of `few` stand in `many` in the same order.
fn is_within(few: &str, many: &str) -> bool {
    let mut many = many.chars();
    few.chars().all(|c| many.any(|other| other == c))
}
