//! Answers as bytes: whole, slow, short, endless, or not at all.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use futures_util::stream;
use jiff::Timestamp;

use super::connection::Connection;
use super::reply::{Payload, Reply, Wire};
use super::time::{self, Clock};

/// The piece in which an endless body is sent.
const PIECE: usize = 64 * 1024;

/// Graph's content type.
const GRAPH_JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// Writes `reply`, or cuts the connection that it should go out on.
pub(super) fn respond(
    reply: Reply,
    connection: &Connection,
    clock: &Clock,
    date: Timestamp,
    is_graph: bool,
) -> Response<Body> {
    let json = if is_graph { GRAPH_JSON } else { "application/json; charset=utf-8" };
    let (content_type, bytes) = match reply.payload {
        Payload::Empty => (None, Bytes::new()),
        Payload::Json(value) => (Some(json), Bytes::from(value.to_string())),
        // Problems are completed before they come here; a bare one still says what it is.
        Payload::Problem { code, message } => {
            (Some("text/plain; charset=utf-8"), Bytes::from(format!("{code}: {message}")))
        }
        Payload::Text { content_type, text } => (Some(content_type), Bytes::from(text)),
    };
    let (content_type, bytes) = match (reply.wire, content_type) {
        // These need a body to go wrong with.
        (Wire::Truncated | Wire::Trickle(_) | Wire::Huge(_), None) => {
            (Some(json), Bytes::from_static(br#"{"value":[]}"#))
        }
        (_, content_type) => (content_type, bytes),
    };
    let status = match (reply.status, bytes.is_empty()) {
        (204, false) => 200,
        (status, _) => status,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(date) = HeaderValue::try_from(time::http_date(date)) {
        headers.insert(DATE, date);
    }
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in reply.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            _ => tracing::warn!(
                header = name,
                "emulator: a header that HTTP cannot carry is left out"
            ),
        }
    }
    *response.body_mut() = match reply.wire {
        Wire::Whole => Body::from(bytes),
        Wire::Lost(by) => {
            connection.cut(by);
            Body::empty()
        }
        Wire::Truncated => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            half_of(bytes)
        }
        Wire::Trickle(interval) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            trickle(bytes, interval, clock.clone())
        }
        Wire::Huge(size) => huge(size),
    };
    response
}

fn half_of(bytes: Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    Body::from_stream(stream::unfold(Some(half), |half| async move {
        match half {
            Some(half) => Some((Ok(half), None)),
            None => {
                // What was handed over is written out while this waits; then the body fails, and the connection with it.
                tokio::task::yield_now().await;
                Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), None))
            }
        }
    }))
}

fn trickle(bytes: Bytes, interval: Duration, clock: Clock) -> Body {
    Body::from_stream(stream::unfold((bytes, clock), move |(mut rest, clock)| async move {
        if rest.is_empty() {
            return None;
        }
        clock.wait(interval).await;
        if clock.is_stopping() {
            let ended = io::Error::from(io::ErrorKind::ConnectionAborted);
            return Some((Err(ended), (Bytes::new(), clock)));
        }
        let byte = rest.split_to(1);
        Some((Ok(byte), (rest, clock)))
    }))
}

/// A string in a JSON object that goes on for `size` bytes, and ends in order should anyone read so far.
fn huge(size: u64) -> Body {
    const OPENING: &[u8] = br#"{"id":""#;
    const CLOSING: &[u8] = br#""}"#;
    let filling = Bytes::from(vec![b'a'; PIECE]);
    let frame = u64::try_from(OPENING.len() + CLOSING.len()).unwrap_or(u64::MAX);
    let pieces = (Some(Bytes::from_static(OPENING)), Some(size.saturating_sub(frame)));
    Body::from_stream(stream::unfold(pieces, move |(opening, left)| {
        let filling = filling.clone();
        async move {
            if let Some(opening) = opening {
                return Some((Ok::<_, io::Error>(opening), (None, left)));
            }
            let left = left?;
            if left == 0 {
                return Some((Ok(Bytes::from_static(CLOSING)), (None, None)));
            }
            let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let sent = u64::try_from(length).unwrap_or(left);
            Some((Ok(filling.slice(..length)), (None, Some(left - sent))))
        }
    }))
}
