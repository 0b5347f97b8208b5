//! The authority's token endpoint, and the managed identity's.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::config::Client;
use super::reply::Reply;
use super::service::{Call, Shared, State};

/// Tokens kept at once; the oldest to run out goes first. A test asks for a handful.
const KEPT: usize = 10_000;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers `POST /{tenant}/oauth2/v2.0/token`.
pub(super) fn issue(shared: &Shared, tenant: &str, call: &Call) -> Reply {
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| {
        form.iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    };
    let mut state = shared.state();
    let now = shared.clock.elapsed();
    let date = shared.clock.calendar(now).strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let Some(grant) = field("grant_type") else {
        return refuse(&mut state, &date, &Refusal::missing("grant_type"));
    };
    if grant != "client_credentials" {
        return refuse(&mut state, &date, &Refusal::UNSUPPORTED_GRANT);
    }
    let Some(client_id) = field("client_id") else {
        return refuse(&mut state, &date, &Refusal::missing("client_id"));
    };
    if field("scope").is_none() {
        return refuse(&mut state, &date, &Refusal::missing("scope"));
    }
    let proof =
        match (field("client_secret"), field("client_assertion"), field("client_assertion_type")) {
            (Some(secret), _, _) => Proof::Secret(secret),
            (None, Some(_), Some(ASSERTION)) => Proof::Assertion,
            _ => return refuse(&mut state, &date, &Refusal::NO_PROOF),
        };
    match check(&state.config.auth.clients, tenant, client_id, &proof) {
        Ok(()) => {
            let token = state.issue_token(now);
            let lifetime = state.config.auth.token_lifetime.as_secs();
            let body = json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token});
            Reply::json(200, body).header("Cache-Control", "no-store, no-cache")
        }
        Err(refusal) => refuse(&mut state, &date, &refusal),
    }
}

/// Answers the instance metadata service's and App Service's token requests.
pub(super) fn managed_identity(shared: &Shared, call: &Call) -> Reply {
    if !call.metadata {
        let body = json!({"error": "invalid_request", "error_description": "Required metadata header not specified"});
        return Reply::json(400, body);
    }
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
    let Some((_, resource)) = query.iter().find(|(key, _)| key == "resource") else {
        let body = json!({"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"});
        return Reply::json(400, body);
    };
    let mut state = shared.state();
    let now = shared.clock.elapsed();
    let token = state.issue_token(now);
    let lifetime = state.config.auth.token_lifetime;
    let ends = shared.clock.calendar(now.saturating_add(lifetime)).as_second();
    Reply::json(
        200,
        json!({
            "access_token": token,
            "client_id": "00000000-0000-0000-0000-00000000d00d",
            "expires_in": lifetime.as_secs().to_string(),
            "expires_on": ends.to_string(),
            "resource": resource,
            "token_type": "Bearer",
        }),
    )
}

/// Answers `GET /{tenant}/v2.0/.well-known/openid-configuration`.
pub(super) fn discovery(tenant: &str, call: &Call) -> Reply {
    let origin = &call.origin;
    Reply::json(
        200,
        json!({
            "issuer": format!("{origin}/{tenant}/v2.0"),
            "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        }),
    )
}

impl State {
    fn issue_token(&mut self, now: Duration) -> String {
        // Shaped like a JWT (three parts), so that nothing refuses it for its looks; the first part reads {"alg":"none"}.
        let token = format!(
            "eyJhbGciOiJub25lIn0.{}.{}",
            self.seed.guid().simple(),
            self.seed.guid().simple()
        );
        let ends = now.saturating_add(self.config.auth.token_lifetime);
        if self.tokens.len() >= KEPT {
            let oldest =
                self.tokens.iter().min_by_key(|(_, ends)| **ends).map(|(token, _)| token.clone());
            if let Some(oldest) = oldest {
                self.tokens.remove(&oldest);
            }
        }
        self.tokens.insert(token.clone(), ends);
        token
    }
}

enum Proof<'a> {
    Secret(&'a str),
    Assertion,
}

fn check(
    clients: &[Client],
    tenant: &str,
    client_id: &str,
    proof: &Proof<'_>,
) -> Result<(), Refusal> {
    if clients.is_empty() {
        return Ok(());
    }
    let known = clients.iter().find(|client| {
        let here = client.tenant.as_ref().is_none_or(|home| home.eq_ignore_ascii_case(tenant));
        here && client.client_id.eq_ignore_ascii_case(client_id)
    });
    let Some(client) = known else { return Err(Refusal::unknown_client(client_id, tenant)) };
    match proof {
        Proof::Assertion => Ok(()),
        Proof::Secret(secret) if client.client_secret.as_deref() == Some(secret) => Ok(()),
        Proof::Secret(_) => Err(Refusal::wrong_secret(client_id)),
    }
}

/// An error as the Microsoft identity platform words it.
struct Refusal {
    status: u16,
    error: &'static str,
    number: u32,
    description: Cow<'static, str>,
}

impl Refusal {
    const UNSUPPORTED_GRANT: Self = Self {
        status: 400,
        error: "unsupported_grant_type",
        number: 70_003,
        description: Cow::Borrowed("The app requested an unsupported grant type."),
    };
    const NO_PROOF: Self = Self {
        status: 401,
        error: "invalid_client",
        number: 7_000_216,
        description: Cow::Borrowed(
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        ),
    };

    fn missing(parameter: &str) -> Self {
        Self {
            status: 400,
            error: "invalid_request",
            number: 900_144,
            description: format!(
                "The request body must contain the following parameter: '{parameter}'."
            )
            .into(),
        }
    }

    fn unknown_client(client_id: &str, tenant: &str) -> Self {
        Self {
            status: 400,
            error: "unauthorized_client",
            number: 700_016,
            description: format!(
                "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the application \
                 has not been installed by the administrator of the tenant or consented to by any user in the tenant."
            )
            .into(),
        }
    }

    fn wrong_secret(client_id: &str) -> Self {
        Self {
            status: 401,
            error: "invalid_client",
            number: 7_000_215,
            description: format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client \
                 secret ID, for a secret added to app '{client_id}'."
            )
            .into(),
        }
    }
}

fn refuse(state: &mut State, date: &str, refusal: &Refusal) -> Reply {
    let (trace, correlation) = (state.seed.guid(), state.seed.guid());
    let (number, text) = (refusal.number, &refusal.description);
    // The real one separates its lines with CR LF, which naive readers of errors print raw.
    let description = format!(
        "AADSTS{number}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {date}"
    );
    let body: Value = json!({
        "error": refusal.error,
        "error_description": description,
        "error_codes": [number],
        "timestamp": date,
        "trace_id": trace.to_string(),
        "correlation_id": correlation.to_string(),
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    Reply::json(refusal.status, body)
}
