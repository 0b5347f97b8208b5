//! The control endpoint below `/_emulator`: look at the counts, set faults, jobs and delays, begin anew. JSON, without a token.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::config::{ConfigError, JobConfig, Timing};
use super::fault::{FaultRule, Faults};
use super::service::{self, Shared};

/// The routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_emulator/counts", get(counts).merge(delete(forget_counts)))
        .route("/_emulator/requests", get(requests))
        .route(
            "/_emulator/faults",
            get(faults).merge(put(set_faults)).merge(post(add_fault)).merge(delete(clear_faults)),
        )
        .route("/_emulator/jobs/{service_principal}/{job}", get(job).merge(put(set_job)))
        .route("/_emulator/timing", get(timing).merge(put(set_timing)))
        .route("/_emulator/reset", post(reset))
}

async fn counts(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.state().judge.counts())
}

async fn forget_counts(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.forget_counts();
    StatusCode::NO_CONTENT
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared.state().log)
}

async fn faults(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.state().faults.progress())
}

async fn set_faults(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<StatusCode, BadRequest> {
    let rules: Vec<FaultRule> = read(&body)?;
    rules.iter().try_for_each(FaultRule::validate)?;
    shared.state().faults = Faults::new(&rules);
    Ok(StatusCode::NO_CONTENT)
}

async fn add_fault(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<StatusCode, BadRequest> {
    let rule: FaultRule = read(&body)?;
    rule.validate()?;
    shared.state().faults.push(rule);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.state().faults = Faults::default();
    StatusCode::NO_CONTENT
}

async fn job(
    State(shared): State<Arc<Shared>>,
    Path((principal, job)): Path<(String, String)>,
) -> Response {
    let state = shared.state();
    let now = shared.clock.elapsed();
    let found = state
        .directory
        .job(&principal, &job)
        .and_then(|(address, job)| Some((address, job.at(now)?)));
    match found {
        Some((address, (_, condition))) => {
            let counts = state.judge.counts().job(&address.service_principal, &address.job);
            answer(&json!({"address": address, "condition": condition, "counts": counts}))
        }
        None => refuse(
            StatusCode::NOT_FOUND,
            &format!("service principal {principal} has no job {job}"),
        ),
    }
}

async fn set_job(
    State(shared): State<Arc<Shared>>,
    Path((principal, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, BadRequest> {
    let config: JobConfig = read(&body)?;
    shared.set_job(&principal, JobConfig { id, ..config });
    Ok(StatusCode::NO_CONTENT)
}

async fn timing(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared.state().config.timing)
}

async fn set_timing(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<StatusCode, BadRequest> {
    let timing: Timing = read(&body)?;
    shared.state().config.timing = timing;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

impl Shared {
    /// Zeroes the counts and empties the request log.
    pub(super) fn forget_counts(&self) {
        let mut state = self.state();
        state.judge.reset();
        state.log.clear();
    }

    /// Sets a job up anew.
    pub(super) fn set_job(&self, principal: &str, config: JobConfig) {
        let mut state = self.state();
        let now = self.clock.elapsed();
        state.directory.set_job(principal, config, now);
    }

    /// Goes back to the configuration; no count, token or fault survives.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        let now = self.clock.elapsed();
        let fresh = service::State::new(self.configured.clone(), now);
        let mut judge = std::mem::take(&mut state.judge);
        judge.reset();
        *state = service::State { judge, ..fresh };
    }
}

/// A control request that cannot be carried out, and why.
struct BadRequest(String);

impl From<ConfigError> for BadRequest {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        refuse(StatusCode::BAD_REQUEST, &self.0)
    }
}

/// Reads JSON whatever its Content-Type, so that `curl -d` will do.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(body).map_err(|error| BadRequest(error.to_string()))
}

fn answer<T: Serialize + ?Sized>(value: &T) -> Response {
    match serde_json::to_vec_pretty(value) {
        Ok(bytes) => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refuse(status: StatusCode, problem: &str) -> Response {
    let body = json!({"error": problem}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
