//! The body of an answer that is no success.

use serde_json::Value;
use startguard::graph::fuzz;

use super::text::fit_to_show;

/// The token that was sent; a body that echoes it must not carry it into a log.
const TOKEN: &str = "fuzz.eyJ0eXAiOiJKV1Qi.s3cret-canary";

/// Longest text that is kept of an answer, and the mark that it was cut.
const LONGEST: usize = 513;

/// Checks one body.
pub fn check(input: &[u8]) {
    let reply = fuzz::refusal(429, input, TOKEN);
    for text in [&reply.code, &reply.message, &reply.request_id].into_iter().flatten() {
        fit_to_show("an error", text, LONGEST);
        assert!(!text.contains(TOKEN), "{text}");
        assert!(!text.is_empty());
    }
    fit_to_show("an error", &reply.to_string(), 2 * LONGEST + 20);

    // A second reading. Written anew, so that no member is there twice.
    let body = std::str::from_utf8(input).unwrap_or_default();
    let body = body.strip_prefix('\u{feff}').unwrap_or(body).trim();
    let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(body) else {
        if reply.code.is_some() {
            // Ours reads over what it does not need; the other does not.
            assert!(body.contains("error"), "{body}");
        }
        return;
    };
    let again = fuzz::refusal(429, value.to_string().as_bytes(), TOKEN);
    let told = |value: Option<&Value>| {
        let words = value?.as_str().filter(|words| !words.is_empty())?;
        Some(fuzz::shown(&words.replace(TOKEN, "(token)")))
    };
    let error = value.get("error");
    let member = |name: &str| error.and_then(|error| error.get(name));
    assert_eq!(again.code, told(member("code")).or_else(|| told(error)));
    assert_eq!(again.message, told(member("message")));
    let inner = member("innerError").filter(|inner| !inner.is_null()).or(member("innererror"));
    if member("innerError").is_none_or(|inner| inner.is_object() || inner.is_null()) {
        assert_eq!(again.request_id, told(inner.and_then(|inner| inner.get("request-id"))));
    }
}
