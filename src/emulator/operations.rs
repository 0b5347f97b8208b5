//! What the operations do, and what Graph answers to them.

use std::time::Duration;

use serde_json::{Value, json};

use super::judge::{Sender, StartFlight};
use super::machine::{Job, ResetScope};
use super::odata::{Query, QueryError};
use super::path::{JobVerb, Operation, PrincipalKey};
use super::payload;
use super::reply::Reply;
use super::service::{Call, Shared, State};

/// Carries out one operation on the directory.
pub(super) fn carry_out(
    shared: &Shared,
    operation: &Operation,
    call: &Call,
    flight: Option<&mut StartFlight>,
    sender: Sender<'_>,
) -> Reply {
    let mut guard = shared.state();
    let state = &mut *guard;
    // Read under the lock, so that no two changes of a job are ever out of order.
    let now = shared.clock.elapsed();
    match operation {
        Operation::ListServicePrincipals => list_principals(state, call),
        Operation::GetServicePrincipal(key) => get_principal(state, key, call),
        Operation::ListJobs { principal } => list_jobs(shared, state, principal, call, now),
        Operation::OnJob { principal, job, verb } => {
            if state.directory.principal(principal).is_none() {
                return no_principal(principal);
            }
            if state.directory.job(principal, job).is_none() {
                return no_job(job);
            }
            match verb {
                JobVerb::Get => get_job(shared, state, principal, job, call, now),
                JobVerb::Start => start(state, principal, job, flight, sender, now),
                JobVerb::Pause => {
                    let timing = state.config.timing.clone();
                    change(state, principal, job, |job| job.pause(now, &timing))
                }
                JobVerb::Restart => restart(state, principal, job, call, now),
                JobVerb::ValidateCredentials => validate_credentials(state, principal, job, call),
            }
        }
        Operation::WrongMethod => Reply::usual_problem(405),
        Operation::UnknownSegment(segment) => Reply::problem(
            400,
            "BadRequest",
            format!("Resource not found for the segment '{segment}'."),
        ),
        Operation::Batch
        | Operation::Token { .. }
        | Operation::Discovery { .. }
        | Operation::ManagedIdentity
        | Operation::Elsewhere => Reply::empty(404),
    }
}

fn start(
    state: &mut State,
    principal: &str,
    job: &str,
    flight: Option<&mut StartFlight>,
    sender: Sender<'_>,
    now: Duration,
) -> Reply {
    let (timing, storm) = (state.config.timing.clone(), state.config.storm.clone());
    let Some(found) = state.directory.job_mut(principal, job) else { return no_job(job) };
    let was_stopped = found.stopped_by_storm();
    let violation = found.start(now, &timing, &storm);
    let stopped = !was_stopped && found.stopped_by_storm();
    if let Some(flight) = flight {
        state.judge.start_effective(now, flight, violation, stopped, sender);
    }
    Reply::empty(204)
}

fn restart(state: &mut State, principal: &str, job: &str, call: &Call, now: Duration) -> Reply {
    let body: Option<Value> = serde_json::from_slice(&call.body).ok();
    let Some(criteria) =
        body.as_ref().and_then(|body| body.get("criteria")).and_then(Value::as_object)
    else {
        return Reply::problem(
            400,
            "Request_BadRequest",
            "Write requests must contain the parameter 'criteria'.",
        );
    };
    let scope = match criteria.get("resetScope") {
        None | Some(Value::Null) => Some(ResetScope::usual()),
        Some(Value::String(scope)) => ResetScope::parse(scope),
        Some(_) => None,
    };
    let Some(scope) = scope else {
        return Reply::problem(
            400,
            "Request_BadRequest",
            "Invalid value specified for property 'resetScope'.",
        );
    };
    let timing = state.config.timing.clone();
    change(state, principal, job, |job| job.restart(now, scope, &timing))
}

fn validate_credentials(state: &State, principal: &str, job: &str, call: &Call) -> Reply {
    let body: Option<Value> = serde_json::from_slice(&call.body).ok();
    if !body.is_some_and(|body| body.is_object()) {
        return Reply::problem(
            400,
            "Request_BadRequest",
            "A JSON object is expected in the body of the request.",
        );
    }
    let Some((_, job)) = state.directory.job(principal, job) else { return no_job(job) };
    if job.config.credentials_valid {
        return Reply::empty(204);
    }
    let message =
        "We received this unexpected response from your application: StatusCode: Unauthorized.";
    Reply::problem(400, "CredentialValidationUnavailable", message)
}

fn change(state: &mut State, principal: &str, job: &str, change: impl FnOnce(&mut Job)) -> Reply {
    match state.directory.job_mut(principal, job) {
        Some(found) => {
            change(found);
            Reply::empty(204)
        }
        None => no_job(job),
    }
}

fn get_job(
    shared: &Shared,
    state: &State,
    principal: &str,
    job: &str,
    call: &Call,
    now: Duration,
) -> Reply {
    let query = match Query::parse(&call.query) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let Some((_, found)) = state.directory.job(principal, job) else { return no_job(job) };
    let Some(shown) = show(shared, state, found, now) else { return no_job(job) };
    let context = format!("servicePrincipals('{principal}')/synchronization/jobs/$entity");
    Reply::json(200, entity(shown, &context, &query, call))
}

fn list_jobs(shared: &Shared, state: &State, principal: &str, call: &Call, now: Duration) -> Reply {
    let Some(found) = state.directory.principal(principal) else { return no_principal(principal) };
    let shown = found.jobs.iter().filter_map(|job| show(shared, state, job, now));
    let context = format!("servicePrincipals('{principal}')/synchronization/jobs");
    list(shown.collect(), &context, state, call)
}

/// A job as a read shows it: as it was one read lag ago.
fn show(shared: &Shared, state: &State, job: &Job, now: Duration) -> Option<Value> {
    let moment = now.saturating_sub(state.config.timing.read_lag);
    let (since, condition) = job.at(moment)?;
    Some(payload::job(&job.config, condition, shared.clock.calendar(*since)))
}

fn list_principals(state: &State, call: &Call) -> Reply {
    let shown = state
        .directory
        .principals()
        .iter()
        .map(|principal| payload::service_principal(&principal.config));
    list(shown.collect(), "servicePrincipals", state, call)
}

fn get_principal(state: &State, key: &PrincipalKey, call: &Call) -> Reply {
    let query = match Query::parse(&call.query) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let (found, wanted) = match key {
        PrincipalKey::Id(id) => (state.directory.principal(id), id),
        PrincipalKey::AppId(app_id) => (state.directory.by_app_id(app_id), app_id),
    };
    match found {
        Some(principal) => {
            let shown = payload::service_principal(&principal.config);
            Reply::json(200, entity(shown, "servicePrincipals/$entity", &query, call))
        }
        None => no_principal(wanted),
    }
}

fn entity(item: Value, context: &str, query: &Query, call: &Call) -> Value {
    let mut item =
        if query.select.is_empty() { item } else { payload::select(item, &query.select) };
    if let Some(fields) = item.as_object_mut() {
        fields.insert("@odata.context".to_owned(), metadata(call, context).into());
    }
    item
}

fn list(items: Vec<Value>, context: &str, state: &State, call: &Call) -> Reply {
    let query = match Query::parse(&call.query) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let page = query.page(items, state.config.page_size);
    let select =
        |item| if query.select.is_empty() { item } else { payload::select(item, &query.select) };
    let items: Vec<Value> = page.items.into_iter().map(select).collect();
    let mut body = json!({"@odata.context": metadata(call, context)});
    if let Some(fields) = body.as_object_mut() {
        if query.count {
            fields.insert("@odata.count".to_owned(), page.total.into());
        }
        if let Some(next) = page.next {
            let link = format!("{}{}?{next}", call.origin, call.path);
            fields.insert("@odata.nextLink".to_owned(), link.into());
        }
        fields.insert("value".to_owned(), items.into());
    }
    Reply::json(200, body)
}

fn metadata(call: &Call, context: &str) -> String {
    format!("{}/{}/$metadata#{context}", call.origin, call.version)
}

fn no_principal(id: &str) -> Reply {
    let message = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    Reply::problem(404, "Request_ResourceNotFound", message)
}

fn no_job(id: &str) -> Reply {
    Reply::problem(
        404,
        "ResourceNotFound",
        format!("The synchronization job '{id}' was not found."),
    )
}

fn bad_query(error: &QueryError) -> Reply {
    let code = match error {
        QueryError::Filter(_) | QueryError::Top(_) | QueryError::SkipToken(_) => {
            "Request_BadRequest"
        }
        QueryError::Twice(_) | QueryError::Unknown(_) => "BadRequest",
    };
    Reply::problem(400, code, error.to_string())
}
