//! What a fault makes of an answer.

use std::time::Duration;

use serde_json::Value;

use super::fault::{Effect, Fault, LostWhen, RetryAfter};
use super::payload;
use super::reply::{Payload, Reply, Wire, usual_error};
use super::time::{self, Clock};

/// The answer of a fault that keeps the request from taking effect.
pub(super) fn instead(fault: &Fault, clock: &Clock) -> Option<Reply> {
    match &fault.effect {
        Effect::Status { applied: false, .. } => Some(status(&fault.effect, clock)),
        Effect::Lost { when: LostWhen::Before, by } => Some(Reply::lost(*by)),
        Effect::Redirect { status, location } => {
            Some(Reply::empty(*status).header("Location", location.as_str()))
        }
        Effect::Throttle { retry_after, .. } => fault.limited.map(|wait| {
            let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            let retry_after = retry_after.clone().unwrap_or(RetryAfter::Seconds(whole));
            with_retry_after(Reply::usual_problem(429), &retry_after, clock)
        }),
        Effect::None
        | Effect::Status { .. }
        | Effect::Lost { when: LostWhen::After, .. }
        | Effect::Trickle { .. }
        | Effect::Truncated
        | Effect::Malformed
        | Effect::Html { .. }
        | Effect::Huge { .. }
        | Effect::NullStatus
        | Effect::MissingStatus
        | Effect::Rewrite { .. }
        | Effect::NextLink { .. } => None,
    }
}

/// What becomes of the answer to a request that took its effect.
pub(super) fn afterwards(effect: &Effect, mut reply: Reply, clock: &Clock) -> Reply {
    match effect {
        Effect::Status { .. } => return status(effect, clock),
        Effect::Lost { by, .. } => reply.wire = Wire::Lost(*by),
        Effect::Trickle { interval } => reply.wire = Wire::Trickle(*interval),
        Effect::Truncated => reply.wire = Wire::Truncated,
        Effect::Huge { bytes } => reply.wire = Wire::Huge(*bytes),
        Effect::Malformed => {
            // The last brace is missing and there is a comma too much: whole on the wire, and no JSON.
            let whole = match &reply.payload {
                Payload::Json(value) => value.to_string(),
                Payload::Empty | Payload::Problem { .. } | Payload::Text { .. } => "{}".to_owned(),
            };
            let broken = format!("{},", whole.strip_suffix('}').unwrap_or(&whole));
            return Reply::text(reply.status, "application/json", broken);
        }
        Effect::Html { status } => {
            let page = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Sign in to continue</h1></body></html>";
            return Reply::text(*status, "text/html; charset=utf-8", page);
        }
        Effect::NullStatus => each_item(&mut reply, |item| set_status(item, Some(Value::Null))),
        Effect::MissingStatus => each_item(&mut reply, |item| set_status(item, None)),
        Effect::Rewrite { merge } => each_item(&mut reply, |item| payload::merge(item, merge)),
        Effect::NextLink { url } => {
            if let Payload::Json(Value::Object(fields)) = &mut reply.payload {
                fields.insert("@odata.nextLink".to_owned(), url.as_str().into());
            }
        }
        Effect::None | Effect::Redirect { .. } | Effect::Throttle { .. } => {}
    }
    reply
}

fn status(effect: &Effect, clock: &Clock) -> Reply {
    let Effect::Status { status, retry_after, code, message, body, .. } = effect else {
        return Reply::usual_problem(500);
    };
    let (usual_code, usual_message) = usual_error(*status);
    let reply = match body {
        Some(body) => Reply::text(*status, "application/json", body.as_str()),
        None if *status < 300 => Reply::empty(*status),
        None => {
            let code = code.as_deref().unwrap_or(usual_code);
            Reply::problem(*status, code, message.as_deref().unwrap_or(usual_message))
        }
    };
    with_retry_after(reply, retry_after, clock)
}

fn with_retry_after(reply: Reply, retry_after: &RetryAfter, clock: &Clock) -> Reply {
    let value = match retry_after {
        RetryAfter::Absent => return reply,
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::DateIn(seconds) => {
            let at = clock.elapsed().saturating_add(Duration::from_secs(*seconds));
            time::http_date(clock.calendar(at))
        }
        RetryAfter::Raw(text) => text.clone(),
    };
    reply.header("Retry-After", value)
}

/// Changes the job of an answer, or each job of a list. Errors stay what they are.
fn each_item(reply: &mut Reply, change: impl FnMut(&mut Value)) {
    let Payload::Json(body) = &mut reply.payload else { return };
    match body.get_mut("value").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(change),
        None => Some(body).into_iter().for_each(change),
    }
}

fn set_status(item: &mut Value, status: Option<Value>) {
    let Some(fields) = item.as_object_mut() else { return };
    match status {
        Some(status) => drop(fields.insert("status".to_owned(), status)),
        None => drop(fields.remove("status")),
    }
}
