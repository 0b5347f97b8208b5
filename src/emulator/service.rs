//! One request from arrival to answer: counted, judged, checked for its token, played a fault on, carried out, recorded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;

use super::config::{EmulatorConfig, JobAddress, TokenRule};
use super::directory::Directory;
use super::fault::{Fault, Faults};
use super::judge::{Judge, Sender, StartFlight, milliseconds, push_bounded};
use super::path::{JobVerb, Operation, OperationKind};
use super::reply::{Payload, Reply, Wire};
use super::seed::Seed;
use super::time::Clock;
use super::{batch, operations, payload, spoil, token};

/// A request as it arrived, alone or inside a batch.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: String,
    /// The raw path, for the log.
    pub(super) path: String,
    /// The raw query string.
    pub(super) query: String,
    pub(super) operation: Operation,
    /// Scheme and authority that nextLinks carry.
    pub(super) origin: String,
    /// `v1.0` or `beta`.
    pub(super) version: String,
    pub(super) body: Bytes,
    /// The whole `Authorization` header.
    pub(super) authorization: Option<String>,
    pub(super) client_request_id: Option<String>,
    pub(super) user_agent: Option<String>,
    /// `Metadata: true` or `X-IDENTITY-HEADER`, which managed identity endpoints ask for.
    pub(super) metadata: bool,
    pub(super) batched: bool,
}

/// One line of the request log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// When it arrived, in milliseconds since the emulator started.
    pub at_ms: u64,
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// What it asked for.
    pub operation: OperationKind,
    /// Whether it came inside a batch.
    pub batched: bool,
    /// The answer's status; none when no answer was sent.
    pub status: Option<u16>,
    /// The fault that was played on it.
    pub fault: Option<String>,
    /// Whether it carried an `Authorization` header; the header itself is not kept.
    pub authorization: bool,
    /// The `User-Agent`.
    pub user_agent: Option<String>,
    /// The `client-request-id` that the caller sent.
    pub client_request_id: Option<String>,
    /// The `request-id` that the emulator gave.
    pub request_id: String,
}

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// What a reset goes back to.
    pub(super) configured: EmulatorConfig,
    state: Mutex<State>,
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: EmulatorConfig,
    pub(super) directory: Directory,
    pub(super) faults: Faults,
    pub(super) judge: Judge,
    pub(super) seed: Seed,
    /// Issued tokens and when they run out.
    pub(super) tokens: HashMap<String, Duration>,
    pub(super) log: VecDeque<RequestRecord>,
}

impl State {
    /// The state that `config` describes, at `now`.
    pub(super) fn new(config: EmulatorConfig, now: Duration) -> Self {
        Self {
            directory: Directory::new(&config.service_principals, now),
            faults: Faults::new(&config.faults),
            judge: Judge::default(),
            seed: Seed::new(config.seed),
            tokens: HashMap::new(),
            log: VecDeque::new(),
            config,
        }
    }

    fn refuses(&self, now: Duration, authorization: Option<&str>) -> Option<&'static str> {
        let scheme_and_token = authorization.and_then(|header| header.trim().split_once(' '));
        let token = match scheme_and_token {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token.trim(),
            _ => "",
        };
        if token.is_empty() {
            return Some("Access token is empty.");
        }
        match self.config.auth.accept {
            TokenRule::Any => None,
            TokenRule::Known if self.config.auth.tokens.iter().any(|known| known == token) => None,
            TokenRule::Known => match self.tokens.get(token) {
                Some(ends) if now < *ends => None,
                Some(_) => Some("Lifetime validation failed, the token is expired."),
                None => Some("IDX14100: JWT is not well formed, there are no dots (.)."),
            },
        }
    }
}

impl Shared {
    pub(super) fn new(config: EmulatorConfig, clock: Clock) -> Self {
        let state = Mutex::new(State::new(config.clone(), clock.elapsed()));
        Self { clock, configured: config, state }
    }

    /// The state. Nothing in here panics while it holds the lock; were it to, the counts would still be the best there are.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Dropping it says that the emulator is done with it.
struct Visit {
    shared: Arc<Shared>,
    generation: u64,
    arrived: Duration,
    request_id: String,
    flight: Option<StartFlight>,
    refused: Option<&'static str>,
    fault: Option<Fault>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.judge.request_done(self.generation);
        if let Some(flight) = &self.flight {
            state.judge.start_done(flight);
        }
    }
}

/// Carries one request out and answers it.
pub(super) async fn handle(shared: Arc<Shared>, call: Call) -> Reply {
    let mut visit = Visit::begin(shared, &call);
    let mut reply = match visit.refused {
        Some(why) => Reply::problem(401, "InvalidAuthenticationToken", why)
            .header("WWW-Authenticate", challenge()),
        None => visit.answer(&call).await,
    };
    visit.finish(&call, &mut reply);
    reply
}

impl Visit {
    /// Counts and judges a request before anything can go wrong with it.
    fn begin(shared: Arc<Shared>, call: &Call) -> Self {
        let mut guard = shared.state();
        let state = &mut *guard;
        let now = shared.clock.elapsed();
        let request_id = state.seed.guid().to_string();
        let kind = call.operation.kind();
        let generation = state.judge.request_arrived(kind, call.operation.is_graph(), call.batched);
        let mut flight = None;
        if let Operation::OnJob { principal, job, verb } = &call.operation {
            let found = state
                .directory
                .job(principal, job)
                .map(|(address, job)| (address, job.violation(now)));
            match (found, verb) {
                (Some((address, violation)), JobVerb::Start) => {
                    let sender = sender(&request_id, call);
                    flight = Some(state.judge.start_arrived(now, address, violation, sender));
                }
                (None, JobVerb::Start) => state.judge.start_of_unknown_job(),
                (Some((address, _)), _) => state.judge.job_asked(&address, kind),
                (None, _) => {}
            }
        }
        // The parts of a batch travel under the batch's own token.
        let wants_token = call.operation.is_graph() && !call.batched;
        let refused =
            if wants_token { state.refuses(now, call.authorization.as_deref()) } else { None };
        let mut fault = None;
        if refused.is_some() {
            state.judge.unauthorized();
        } else {
            fault = state.faults.choose(now, &call.method, &call.operation);
            if fault.is_some() {
                state.judge.fault_played();
            }
        }
        drop(guard);
        Self { shared, generation, arrived: now, request_id, flight, refused, fault }
    }

    /// Waits, lets the fault have its way, carries out, waits.
    async fn answer(&mut self, call: &Call) -> Reply {
        let (before, after) = self.latency(call);
        let clock = self.shared.clock.clone();
        let fault = self.fault.clone();
        let (more_before, more_after) = fault
            .as_ref()
            .map_or_else(Default::default, |fault| (fault.delay_before, fault.delay_after));
        clock.wait(before.saturating_add(more_before)).await;
        let instead = fault.as_ref().and_then(|fault| spoil::instead(fault, &clock));
        let reply = match instead {
            Some(reply) => reply,
            None => {
                let reply = self.carry_out(call).await;
                match &fault {
                    Some(fault) => spoil::afterwards(&fault.effect, reply, &clock),
                    None => reply,
                }
            }
        };
        clock.wait(after.saturating_add(more_after)).await;
        reply
    }

    fn latency(&self, call: &Call) -> (Duration, Duration) {
        let timing = self.shared.state().config.timing.clone();
        match call.operation.kind() {
            OperationKind::Start
            | OperationKind::Pause
            | OperationKind::Restart
            | OperationKind::ValidateCredentials => {
                let before = timing.action_latency / 2;
                (before, timing.action_latency.saturating_sub(before))
            }
            OperationKind::ListJobs
            | OperationKind::GetJob
            | OperationKind::ListServicePrincipals
            | OperationKind::GetServicePrincipal => (timing.read_latency, Duration::ZERO),
            // A batch takes as long as its parts.
            OperationKind::Batch | OperationKind::Token | OperationKind::Other => {
                (Duration::ZERO, Duration::ZERO)
            }
        }
    }

    async fn carry_out(&mut self, call: &Call) -> Reply {
        match &call.operation {
            Operation::Batch => batch::run(&self.shared, call).await,
            Operation::Token { tenant } => token::issue(&self.shared, tenant, call),
            Operation::Discovery { tenant } => token::discovery(tenant, call),
            Operation::ManagedIdentity => token::managed_identity(&self.shared, call),
            operation @ (Operation::ListJobs { .. }
            | Operation::OnJob { .. }
            | Operation::ListServicePrincipals
            | Operation::GetServicePrincipal(_)
            | Operation::WrongMethod
            | Operation::UnknownSegment(_)
            | Operation::Elsewhere) => {
                let sender = sender(&self.request_id, call);
                operations::carry_out(&self.shared, operation, call, self.flight.as_mut(), sender)
            }
        }
    }

    /// Completes the answer with the request's ids, and writes the log.
    fn finish(self, call: &Call, reply: &mut Reply) {
        let given = call.client_request_id.as_deref().unwrap_or(&self.request_id);
        let mut state = self.shared.state();
        let now = self.shared.clock.elapsed();
        if let Payload::Problem { code, message } = &reply.payload {
            let at = self.shared.clock.calendar(now);
            reply.payload =
                Payload::Json(payload::error(code, message, at, &self.request_id, given));
        }
        if matches!(reply.wire, Wire::Whole | Wire::Trickle(_)) && reply.status == 200 {
            note_shown(&mut state, now, call, &reply.payload);
        }
        reply.headers.push(("request-id", self.request_id.clone()));
        reply.headers.push(("client-request-id", given.to_owned()));
        let separator = if call.query.is_empty() { "" } else { "?" };
        let record = RequestRecord {
            at_ms: milliseconds(self.arrived),
            method: call.method.clone(),
            target: format!("{}{separator}{}", call.path, call.query),
            operation: call.operation.kind(),
            batched: call.batched,
            status: if matches!(reply.wire, Wire::Lost(_)) { None } else { Some(reply.status) },
            fault: self.fault.as_ref().map(|fault| fault.name.clone()),
            authorization: call.authorization.is_some(),
            user_agent: call.user_agent.clone(),
            client_request_id: call.client_request_id.clone(),
            request_id: self.request_id.clone(),
        };
        push_bounded(&mut state.log, record);
        drop(state);
        drop(self);
    }
}

/// Tells the judge which jobs were shown, and how: as the caller reads them, faults included.
fn note_shown(state: &mut State, now: Duration, call: &Call, payload: &Payload) {
    let Payload::Json(body) = payload else { return };
    let (principal, shown) = match &call.operation {
        Operation::OnJob { principal, job, verb: JobVerb::Get } => {
            (principal, vec![(job.as_str(), body)])
        }
        Operation::ListJobs { principal } => {
            let items = body.get("value").and_then(serde_json::Value::as_array);
            let items = items.into_iter().flatten();
            let named = items.filter_map(|item| Some((item.get("id")?.as_str()?, item)));
            (principal, named.collect())
        }
        Operation::OnJob { .. }
        | Operation::Batch
        | Operation::ListServicePrincipals
        | Operation::GetServicePrincipal(_)
        | Operation::Token { .. }
        | Operation::Discovery { .. }
        | Operation::ManagedIdentity
        | Operation::WrongMethod
        | Operation::UnknownSegment(_)
        | Operation::Elsewhere => return,
    };
    for (job, item) in shown {
        let code =
            item.pointer("/status/code").and_then(serde_json::Value::as_str).unwrap_or_default();
        let startable =
            code.eq_ignore_ascii_case("Paused") || code.eq_ignore_ascii_case("Quarantine");
        let address = JobAddress { service_principal: principal.clone(), job: job.to_owned() };
        state.judge.job_shown(now, &address, startable);
    }
}

fn sender<'a>(request_id: &'a str, call: &'a Call) -> Sender<'a> {
    Sender { request_id, client_request_id: call.client_request_id.as_deref() }
}

fn challenge() -> &'static str {
    r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000""#
}
