//! What an answer that is not a success says: Graph's error object, and what stands in for it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    text::clean,
    wire::{object, string, text},
};
use crate::model::Reply;

/// Below so many characters a token is no secret, and taking it out of a text would only garble the
/// text.
const SHORTEST_SECRET: usize = 8;

#[derive(Debug, Default, Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireError<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "innerError")]
    inner_error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    innererror: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireInner<'a> {
    #[serde(borrow, default, rename = "request-id")]
    request_id: Option<&'a RawValue>,
}

/// Reads an error's body. A body that is none (a proxy's page, half an object) leaves the status to
/// speak for itself.
pub(super) fn read(status: u16, request_id: Option<String>, body: &[u8], secret: &str) -> Reply {
    let answer: WireAnswer<'_> =
        text(body).ok().and_then(|json| object(json).ok()).unwrap_or_default();
    let error = answer.error;
    let fields: WireError<'_> =
        error.and_then(|error| object(error.get()).ok()).unwrap_or_default();
    let inner: WireInner<'_> = fields
        .inner_error
        .or(fields.innererror)
        .and_then(|inner| object(inner.get()).ok())
        .unwrap_or_default();
    let words = |raw: Option<&RawValue>| string(raw).map(|words| told(&words, secret));
    Reply {
        status,
        // Token endpoints and some gateways write the code in place of the object.
        code: words(fields.code).or_else(|| words(error)),
        message: words(fields.message),
        request_id: request_id.or_else(|| words(inner.request_id)),
    }
}

/// The service's words, fit to be shown, without the token that it was sent: an echo must not carry
/// it into a log.
pub(super) fn told(words: &str, secret: &str) -> String {
    if secret.len() < SHORTEST_SECRET {
        return clean(words);
    }
    clean(&words.replace(secret, "(token)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> Reply {
        read(400, None, body.as_bytes(), "a-long-secret")
    }

    #[test]
    fn graphs_error_object_is_read_in_both_spellings() {
        for inner in ["innerError", "innererror"] {
            let body = format!(
                r#"{{"error":{{"code":"Request_BadRequest","message":"No.","{inner}":{{"date":"x","request-id":"r-1","client-request-id":"c-1"}}}}}}"#
            );
            let reply = reply(&body);
            assert_eq!(reply.code.as_deref(), Some("Request_BadRequest"));
            assert_eq!(reply.message.as_deref(), Some("No."));
            assert_eq!(reply.request_id.as_deref(), Some("r-1"));
        }
    }

    #[test]
    fn the_header_names_the_request_before_the_body_does() {
        let body = br#"{"error":{"innerError":{"request-id":"body"}}}"#;
        let reply = read(400, Some("header".to_owned()), body, "");
        assert_eq!(reply.request_id.as_deref(), Some("header"));
    }

    #[test]
    fn a_body_that_is_no_error_object_leaves_the_status() {
        for body in [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"error":null}"#,
            r#"{"error":{"code":5,"message":null}}"#,
            r#"{"error":{"code":"","message":"","innerError":[]}}"#,
            r#"{"error":{"code":"a","code":"b"}}"#,
            "{\"error\":{\"code\":\"half",
        ] {
            let reply = reply(body);
            assert_eq!((reply.code, reply.message, reply.request_id), (None, None, None), "{body}");
        }
        assert_eq!(reply(r#"{"error":"invalid_token"}"#).code.as_deref(), Some("invalid_token"));
    }

    #[test]
    fn an_echo_of_the_token_is_taken_out() {
        let reply =
            reply(r#"{"error":{"code":"x","message":"got Bearer a-long-secret\u001b[2J"}}"#);
        assert_eq!(reply.message.as_deref(), Some("got Bearer (token)\u{fffd}[2J"));
    }
}
