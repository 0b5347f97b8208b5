//! `$batch`: up to 20 requests in one, each answered for itself, in an order that tells nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::path::Operation;
use super::reply::{Payload, Reply, Wire};
use super::service::{Call, Shared, handle};

/// Graph's limit on the requests in a batch.
const MOST: usize = 20;

#[derive(Debug, Deserialize)]
struct Envelope {
    requests: Vec<Part>,
}

/// One request; unknown members are ignored, as Graph does.
#[derive(Debug, Deserialize)]
struct Part {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default, rename = "dependsOn")]
    depends_on: Vec<String>,
}

/// Carries out a batch.
pub(super) async fn run(shared: &Arc<Shared>, call: &Call) -> Reply {
    let parts = match serde_json::from_slice::<Envelope>(&call.body) {
        Ok(envelope) => envelope.requests,
        Err(error) => {
            return Reply::problem(
                400,
                "BadRequest",
                format!("Invalid batch payload format: {error}."),
            );
        }
    };
    if let Some(refusal) = refuse(&parts) {
        return refusal;
    }
    let mut answers = if parts.iter().all(|part| part.depends_on.is_empty()) {
        let answers =
            parts.iter().map(|part| async { (part.id.clone(), one(shared, call, part).await) });
        join_all(answers).await
    } else {
        in_turn(shared, call, &parts).await
    };
    // What happens to a part's answer on the wire happens to the batch's: they share the connection.
    let wire = answers.iter().map(|(_, reply)| reply.wire).find(|wire| *wire != Wire::Whole);
    shared.state().seed.shuffle(&mut answers);
    let responses: Vec<Value> =
        answers.into_iter().map(|(id, reply)| response(&id, reply)).collect();
    let mut reply = Reply::json(200, json!({"responses": responses}));
    reply.wire = wire.unwrap_or(Wire::Whole);
    reply
}

fn refuse(parts: &[Part]) -> Option<Reply> {
    if parts.is_empty() || parts.len() > MOST {
        let message = format!(
            "Number of batch request steps must be between 1 and {MOST}; {} were sent.",
            parts.len()
        );
        return Some(Reply::problem(400, "BadRequest", message));
    }
    for (at, part) in parts.iter().enumerate() {
        let earlier = parts.get(..at).unwrap_or_default();
        if part.id.is_empty() || earlier.iter().any(|other| other.id.eq_ignore_ascii_case(&part.id))
        {
            return Some(Reply::problem(
                400,
                "BadRequest",
                format!("Batch request id '{}' is empty or not unique.", part.id),
            ));
        }
        if !part.depends_on.iter().all(|id| earlier.iter().any(|other| other.id == *id)) {
            let message = format!(
                "Batch request '{}' depends on a request that does not come before it.",
                part.id
            );
            return Some(Reply::problem(400, "BadRequest", message));
        }
    }
    None
}

/// One after the other; what depends on a failure fails too.
async fn in_turn(shared: &Arc<Shared>, call: &Call, parts: &[Part]) -> Vec<(String, Reply)> {
    let mut answers: Vec<(String, Reply)> = Vec::with_capacity(parts.len());
    for part in parts {
        let failed =
            answers.iter().any(|(id, reply)| reply.status >= 400 && part.depends_on.contains(id));
        let reply = if failed { Reply::empty(424) } else { one(shared, call, part).await };
        answers.push((part.id.clone(), reply));
    }
    answers
}

async fn one(shared: &Arc<Shared>, batch: &Call, part: &Part) -> Reply {
    let (path, query) = part.url.split_once('?').unwrap_or((&part.url, ""));
    let operation = Operation::of_batched(&part.method, path);
    if operation == Operation::Batch {
        return Reply::empty(400);
    }
    let header = |name: &str| {
        let found = part.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let body = match &part.body {
        None => Bytes::new(),
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(value) => Bytes::from(value.to_string()),
    };
    let call = Call {
        method: part.method.to_ascii_uppercase(),
        path: format!("/{}/{}", batch.version, path.trim_start_matches('/')),
        query: query.to_owned(),
        operation,
        origin: batch.origin.clone(),
        version: batch.version.clone(),
        body,
        authorization: header("Authorization"),
        client_request_id: header("client-request-id"),
        user_agent: batch.user_agent.clone(),
        metadata: false,
        batched: true,
    };
    // Boxed, because a batch is itself a request; it holds no further batch.
    Box::pin(handle(Arc::clone(shared), call)).await
}

fn response(id: &str, reply: Reply) -> Value {
    let mut headers = Map::new();
    for (name, value) in reply.headers {
        // Parts carry no ids of their own in their headers.
        if name != "request-id" && name != "client-request-id" {
            headers.insert(name.to_owned(), value.into());
        }
    }
    let body = match reply.payload {
        Payload::Json(value) => {
            headers.insert("Content-Type".to_owned(), "application/json".into());
            value
        }
        Payload::Text { content_type, text } => {
            headers.insert("Content-Type".to_owned(), content_type.into());
            text.into()
        }
        Payload::Empty | Payload::Problem { .. } => Value::Null,
    };
    let mut response = json!({"id": id, "status": reply.status, "headers": headers});
    if let (Some(fields), false) = (response.as_object_mut(), body.is_null()) {
        fields.insert("body".to_owned(), body);
    }
    response
}
