//! Which operation a request asks for.
//!
//! Graph reads a path segment by segment, each percent-decoded on its own, with keys either as a segment (`jobs/ID`) or in
//! parentheses (`jobs('ID')`). Words are matched whatever their letters' case; ids are not.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// Operations, as fault rules and the request log name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// `GET …/synchronization/jobs`
    ListJobs,
    /// `GET …/synchronization/jobs/{id}`
    GetJob,
    /// `POST …/jobs/{id}/start`
    Start,
    /// `POST …/jobs/{id}/pause`
    Pause,
    /// `POST …/jobs/{id}/restart`
    Restart,
    /// `POST …/jobs/{id}/validateCredentials`
    ValidateCredentials,
    /// `POST /$batch`
    Batch,
    /// `GET /servicePrincipals`
    ListServicePrincipals,
    /// `GET /servicePrincipals/{id}`, `GET /servicePrincipals(appId='…')`
    GetServicePrincipal,
    /// A token, from the authority or from the managed identity endpoint.
    Token,
    /// Anything else.
    Other,
}

/// What a request asks for, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    ListJobs {
        principal: String,
    },
    OnJob {
        principal: String,
        job: String,
        verb: JobVerb,
    },
    Batch,
    ListServicePrincipals,
    GetServicePrincipal(PrincipalKey),
    Token {
        tenant: String,
    },
    Discovery {
        tenant: String,
    },
    ManagedIdentity,
    /// The path exists, but not with this method.
    WrongMethod,
    /// A segment that no path has.
    UnknownSegment(String),
    /// Not below `/v1.0` or `/beta`.
    Elsewhere,
}

/// What can be done with one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobVerb {
    Get,
    Start,
    Pause,
    Restart,
    ValidateCredentials,
}

/// How a service principal is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PrincipalKey {
    Id(String),
    AppId(String),
}

impl Operation {
    pub(super) const fn kind(&self) -> OperationKind {
        match self {
            Self::ListJobs { .. } => OperationKind::ListJobs,
            Self::OnJob { verb, .. } => match verb {
                JobVerb::Get => OperationKind::GetJob,
                JobVerb::Start => OperationKind::Start,
                JobVerb::Pause => OperationKind::Pause,
                JobVerb::Restart => OperationKind::Restart,
                JobVerb::ValidateCredentials => OperationKind::ValidateCredentials,
            },
            Self::Batch => OperationKind::Batch,
            Self::ListServicePrincipals => OperationKind::ListServicePrincipals,
            Self::GetServicePrincipal(_) => OperationKind::GetServicePrincipal,
            Self::Token { .. } | Self::ManagedIdentity => OperationKind::Token,
            Self::Discovery { .. }
            | Self::WrongMethod
            | Self::UnknownSegment(_)
            | Self::Elsewhere => OperationKind::Other,
        }
    }

    /// Whether this belongs to Graph proper, which wants a bearer token.
    pub(super) const fn is_graph(&self) -> bool {
        !matches!(
            self,
            Self::Token { .. } | Self::Discovery { .. } | Self::ManagedIdentity | Self::Elsewhere
        )
    }

    /// The service principal and job that are addressed, where they are.
    pub(super) fn address(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::OnJob { principal, job, .. } => (Some(principal), Some(job)),
            Self::ListJobs { principal }
            | Self::GetServicePrincipal(PrincipalKey::Id(principal)) => (Some(principal), None),
            Self::GetServicePrincipal(PrincipalKey::AppId(_))
            | Self::Batch
            | Self::ListServicePrincipals
            | Self::Token { .. }
            | Self::Discovery { .. }
            | Self::ManagedIdentity
            | Self::WrongMethod
            | Self::UnknownSegment(_)
            | Self::Elsewhere => (None, None),
        }
    }

    /// Reads the path of a whole request.
    pub(super) fn of_request(method: &str, path: &str) -> Self {
        let segments = segments(path);
        let Some((root, rest)) = segments.split_first() else { return Self::Elsewhere };
        if matches!(root.as_str(), "v1.0" | "beta") {
            return Self::below_version(method, rest);
        }
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        match words.as_slice() {
            [tenant, "oauth2", "v2.0", "token"] => {
                only("POST", method, Self::Token { tenant: (*tenant).to_owned() })
            }
            [tenant, "v2.0", ".well-known", "openid-configuration"] => {
                only("GET", method, Self::Discovery { tenant: (*tenant).to_owned() })
            }
            ["metadata", "identity", "oauth2", "token"] | ["msi", "token"] => {
                only("GET", method, Self::ManagedIdentity)
            }
            _ => Self::Elsewhere,
        }
    }

    /// Reads the URL of one request inside a batch, which is relative to the version.
    pub(super) fn of_batched(method: &str, path: &str) -> Self {
        Self::below_version(method, &segments(path))
    }

    fn below_version(method: &str, segments: &[String]) -> Self {
        let segments = keys_as_segments(segments);
        let words: Vec<String> =
            segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let of = |at: usize| segments.get(at).cloned().unwrap_or_default();
        match words.as_slice() {
            ["$batch"] => only("POST", method, Self::Batch),
            ["serviceprincipals"] => only("GET", method, Self::ListServicePrincipals),
            ["serviceprincipals", key] => match key.strip_prefix("appid=") {
                Some(_) => {
                    let written = of(1);
                    let app_id = written.get("appid=".len()..).unwrap_or_default();
                    let key =
                        PrincipalKey::AppId(unquoted(app_id).unwrap_or(app_id).replace("''", "'"));
                    only("GET", method, Self::GetServicePrincipal(key))
                }
                None => only("GET", method, Self::GetServicePrincipal(PrincipalKey::Id(of(1)))),
            },
            // Microsoft's metadata knows no such path for jobs, so a caller must not count on it.
            ["serviceprincipals", key, ..] if key.starts_with("appid=") => {
                Self::UnknownSegment(of(1))
            }
            ["serviceprincipals", _, "synchronization", "jobs"] => {
                only("GET", method, Self::ListJobs { principal: of(1) })
            }
            ["serviceprincipals", _, "synchronization", "jobs", rest @ ..] => {
                let on_job = |verb| Self::OnJob { principal: of(1), job: of(4), verb };
                match rest {
                    [_] => only("GET", method, on_job(JobVerb::Get)),
                    [_, action] => {
                        match action.strip_prefix("microsoft.graph.").unwrap_or(action) {
                            "start" => only("POST", method, on_job(JobVerb::Start)),
                            "pause" => only("POST", method, on_job(JobVerb::Pause)),
                            "restart" => only("POST", method, on_job(JobVerb::Restart)),
                            "validatecredentials" => {
                                only("POST", method, on_job(JobVerb::ValidateCredentials))
                            }
                            _ => Self::UnknownSegment(of(5)),
                        }
                    }
                    _ => Self::UnknownSegment(of(5)),
                }
            }
            // Graph names the first segment that leads nowhere, which in a batch is what tells a URL that is not relative.
            ["serviceprincipals", _, "synchronization", _, ..] => Self::UnknownSegment(of(3)),
            ["serviceprincipals", ..] => Self::UnknownSegment(of(2)),
            _ => Self::UnknownSegment(of(0)),
        }
    }
}

fn only(wanted: &str, method: &str, operation: Operation) -> Operation {
    if method.eq_ignore_ascii_case(wanted) { operation } else { Operation::WrongMethod }
}

/// The decoded segments; a trailing slash adds none.
fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Vec::new();
    }
    let decoded =
        path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned());
    decoded.collect()
}

/// `jobs('ID')` as `jobs`, `ID`; `servicePrincipals(appId='A')` as `servicePrincipals`, `appId='A'`.
fn keys_as_segments(segments: &[String]) -> Vec<String> {
    let mut plain = Vec::with_capacity(segments.len());
    for segment in segments {
        let parts =
            segment.split_once('(').and_then(|(set, key)| Some((set, key.strip_suffix(')')?)));
        match parts {
            Some((set, key)) if is_set(set) => {
                plain.push(set.to_owned());
                plain.push(
                    unquoted(key).map_or_else(|| key.to_owned(), |key| key.replace("''", "'")),
                );
            }
            _ => plain.push(segment.clone()),
        }
    }
    plain
}

const fn is_set(word: &str) -> bool {
    word.eq_ignore_ascii_case("servicePrincipals") || word.eq_ignore_ascii_case("jobs")
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_job(principal: &str, job: &str, verb: JobVerb) -> Operation {
        Operation::OnJob { principal: principal.to_owned(), job: job.to_owned(), verb }
    }

    #[test]
    fn reads_the_documented_paths() {
        let base = "/v1.0/servicePrincipals/SP/synchronization/jobs";
        let principal = "SP".to_owned();
        assert_eq!(Operation::of_request("GET", base), Operation::ListJobs { principal });
        for (method, rest, verb) in [
            ("GET", "/a.b", JobVerb::Get),
            ("GET", "/a.b/", JobVerb::Get),
            ("POST", "/a.b/start", JobVerb::Start),
            ("POST", "/a.b/microsoft.graph.start", JobVerb::Start),
            ("POST", "/a.b/pause", JobVerb::Pause),
            ("POST", "/a.b/restart", JobVerb::Restart),
            ("POST", "/a.b/validateCredentials", JobVerb::ValidateCredentials),
        ] {
            assert_eq!(
                Operation::of_request(method, &format!("{base}{rest}")),
                on_job("SP", "a.b", verb),
                "{rest}"
            );
        }
        assert_eq!(Operation::of_request("POST", "/beta/$batch"), Operation::Batch);
        assert_eq!(Operation::of_request("POST", "/v1.0/%24batch"), Operation::Batch);
        let token = Operation::Token { tenant: "t".to_owned() };
        assert_eq!(Operation::of_request("POST", "/t/oauth2/v2.0/token"), token);
    }

    #[test]
    fn an_encoded_id_is_one_segment() {
        let path = "/v1.0/servicePrincipals/SP/synchronization/jobs/a%2Fb%20c%28d%29/start";
        assert_eq!(Operation::of_request("POST", path), on_job("SP", "a/b c(d)", JobVerb::Start));
        let path = "/v1.0/servicePrincipals/SP/synchronization/jobs/a/b/start";
        assert!(matches!(Operation::of_request("POST", path), Operation::UnknownSegment(_)));
    }

    #[test]
    fn keys_may_stand_in_parentheses() {
        let path = "/v1.0/servicePrincipals('SP')/synchronization/jobs('it''s')/start";
        assert_eq!(Operation::of_request("POST", path), on_job("SP", "it's", JobVerb::Start));
        let path = "/v1.0/servicePrincipals(%27SP%27)/synchronization/jobs(%27x%27)";
        assert_eq!(Operation::of_request("GET", path), on_job("SP", "x", JobVerb::Get));
        let path = "/v1.0/servicePrincipals(appId='A-1')";
        let key = PrincipalKey::AppId("A-1".to_owned());
        assert_eq!(Operation::of_request("GET", path), Operation::GetServicePrincipal(key));
    }

    #[test]
    fn jobs_are_not_addressed_by_app_id() {
        let path = "/v1.0/servicePrincipals(appId='A')/synchronization/jobs";
        assert!(matches!(Operation::of_request("GET", path), Operation::UnknownSegment(_)));
    }

    #[test]
    fn words_are_read_in_any_case() {
        let path = "/v1.0/serviceprincipals/SP/Synchronization/JOBS/Ab/Start";
        assert_eq!(Operation::of_request("POST", path), on_job("SP", "Ab", JobVerb::Start));
    }

    #[test]
    fn a_wrong_method_is_told_apart_from_a_wrong_path() {
        let job = "/v1.0/servicePrincipals/SP/synchronization/jobs/a";
        assert_eq!(Operation::of_request("GET", &format!("{job}/start")), Operation::WrongMethod);
        assert_eq!(Operation::of_request("POST", job), Operation::WrongMethod);
        assert!(matches!(
            Operation::of_request("POST", &format!("{job}/begin")),
            Operation::UnknownSegment(_)
        ));
        assert_eq!(Operation::of_request("GET", "/servicePrincipals"), Operation::Elsewhere);
    }

    #[test]
    fn the_first_segment_that_leads_nowhere_is_named() {
        for (path, segment) in [
            ("servicePrincipals/SP/sync/jobs/a", "sync"),
            ("servicePrincipals/SP/synchronization/tasks/a", "tasks"),
            ("servicePrincipals/SP/synchronization", "synchronization"),
            ("servicePrincipals/SP/synchronization/jobs/a/b/start", "b"),
            ("users/me/servicePrincipals", "users"),
            ("/v1.0/servicePrincipals/SP", "v1.0"),
            ("https://graph.microsoft.com/v1.0/servicePrincipals/SP", "https:"),
        ] {
            let unknown = Operation::UnknownSegment(segment.to_owned());
            assert_eq!(Operation::of_batched("GET", path), unknown, "{path}");
        }
    }

    #[test]
    fn a_batched_url_is_relative_to_the_version() {
        let path = "servicePrincipals/SP/synchronization/jobs/a";
        assert_eq!(Operation::of_batched("GET", path), on_job("SP", "a", JobVerb::Get));
        assert_eq!(
            Operation::of_batched("GET", &format!("/{path}")),
            on_job("SP", "a", JobVerb::Get)
        );
        assert!(matches!(
            Operation::of_batched("GET", &format!("/v1.0/{path}")),
            Operation::UnknownSegment(_)
        ));
    }
}
