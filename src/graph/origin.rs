//! The one origin that may see the token, and the paths below it.

use std::{fmt, net::IpAddr};

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::{GraphSetupError, text::clean};
use crate::{
    model::{JobKey, ServicePrincipalId},
    ports::SpLookup,
};

/// Everything but RFC 3986's unreserved characters: the strictest reading of a path segment and of
/// a query value, so that no id can add a segment, a query or a fragment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The version of the API, and the only folder that a next page may be in.
const VERSION: &str = "/v1.0/";

/// Scheme, host and port of the Graph that is configured.
#[derive(Clone)]
pub(super) struct Origin {
    base: Url,
    loopback: bool,
}

impl Origin {
    /// Reads an origin. Plain http is accepted for loopback addresses only: elsewhere the token
    /// would cross a network in the clear.
    pub(super) fn parse(text: &str) -> Result<Self, GraphSetupError> {
        let fault = |problem| GraphSetupError::Origin { origin: text.to_owned(), problem };
        let base = Url::parse(text).map_err(|_| fault("is not a URL"))?;
        if !base.username().is_empty() || base.password().is_some() {
            let origin = format!("{}://…@{}", base.scheme(), base.host_str().unwrap_or_default());
            let problem = "carries a user name or a password";
            return Err(GraphSetupError::Origin { origin, problem });
        }
        if !matches!(base.scheme(), "https" | "http") {
            return Err(fault("is neither https nor http"));
        }
        if base.path() != "/" || base.query().is_some() || base.fragment().is_some() {
            return Err(fault("has more than scheme, host and port"));
        }
        let loopback = match base.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => return Err(fault("has no host")),
        };
        if base.scheme() == "http" && !loopback {
            return Err(fault("is plain http to another machine"));
        }
        Ok(Self { base, loopback })
    }

    /// Whether the origin is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether the origin speaks TLS.
    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether a URL is at this origin: the same scheme, host and port.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.scheme() == self.base.scheme()
            && url.host() == self.base.host()
            && url.port_or_known_default() == self.base.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
    }

    /// `GET …/jobs/{id}`.
    pub(super) fn job(&self, key: &JobKey) -> Url {
        let job = utf8_percent_encode(key.job_id.as_str(), ENCODED);
        self.at(&format!("{}/{job}", jobs_of(&key.service_principal_id)), None)
    }

    /// `GET …/jobs`.
    pub(super) fn jobs(&self, service_principal: &ServicePrincipalId) -> Url {
        self.at(&jobs_of(service_principal), None)
    }

    /// `POST …/jobs/{id}/start`.
    pub(super) fn start(&self, key: &JobKey) -> Url {
        let job = utf8_percent_encode(key.job_id.as_str(), ENCODED);
        self.at(&format!("{}/{job}/start", jobs_of(&key.service_principal_id)), None)
    }

    /// `GET /servicePrincipals` with a filter.
    pub(super) fn find(&self, lookup: &SpLookup) -> Url {
        let (property, value) = match lookup {
            SpLookup::AppId(id) => ("appId", id),
            SpLookup::DisplayName(name) => ("displayName", name),
        };
        // OData writes a quote inside a text as two.
        let filter = format!("{property} eq '{}'", value.replace('\'', "''"));
        let filter = utf8_percent_encode(&filter, ENCODED);
        let query = format!("$filter={filter}&$select=id,appId,displayName");
        self.at("servicePrincipals", Some(&query))
    }

    /// The cheapest call that needs a token, for `doctor`.
    pub(super) fn probe(&self) -> Url {
        self.at("servicePrincipals", Some("$top=1&$select=id"))
    }

    /// Where a list goes on, if that is a place where the token may go.
    ///
    /// # Errors
    /// Says what is wrong, in one line, without the link's query.
    pub(super) fn next(&self, link: &str) -> Result<Url, String> {
        let url = self.base.join(link).map_err(|_| "its next page is not at a URL".to_owned())?;
        if !self.owns(&url) {
            return Err(format!("its next page is at {}, not at {self}", origin_of(&url)));
        }
        if !url.path().starts_with(VERSION) {
            return Err(format!("its next page is not below {VERSION}"));
        }
        Ok(url)
    }

    /// Where a redirect points, without path and query.
    pub(super) fn redirect(&self, location: &str) -> String {
        self.base.join(location).map_or_else(|_| "nowhere".to_owned(), |url| origin_of(&url))
    }

    /// The proxy that the environment sets for this origin, without credentials.
    pub(super) fn proxy(&self) -> Option<String> {
        if self.loopback {
            return None;
        }
        let proxy = Matcher::from_system().intercept(&self.base.as_str().parse().ok()?)?;
        Some(proxy.uri().to_string().trim_end_matches('/').to_owned())
    }

    fn at(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{VERSION}{path}"));
        url.set_query(query);
        url
    }
}

fn jobs_of(service_principal: &ServicePrincipalId) -> String {
    format!("servicePrincipals/{service_principal}/synchronization/jobs")
}

/// Cut: a server may send a host of megabytes, since only those of http and https have a bound.
fn origin_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    clean(&match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&origin_of(&self.base))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobId;

    const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

    fn graph() -> Origin {
        Origin::parse("https://graph.microsoft.com").unwrap()
    }

    fn key(job: &str) -> JobKey {
        JobKey {
            service_principal_id: ServicePrincipalId::parse(SP).unwrap(),
            job_id: JobId::parse(job).unwrap(),
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for text in
            ["http://127.0.0.1:8080", "http://[::1]:1", "http://localhost", "http://127.9.9.9"]
        {
            assert!(Origin::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://graph.microsoft.com", "http://10.0.0.1", "http://localhost.example"] {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.to_string().ends_with("is plain http to another machine"), "{error}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for text in [
            "graph.microsoft.com",
            "ftp://graph.microsoft.com",
            "https://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com?x",
            "https://graph.microsoft.com#x",
            "https://",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
        let error = Origin::parse("https://ann:secret@graph.microsoft.com").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn an_id_stays_one_segment() {
        let jobs = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs");
        for (id, path) in [
            ("BoxOutDelta.e4bb-1_~", "BoxOutDelta.e4bb-1_~"),
            ("a%2Fb?c#d&e", "a%252Fb%3Fc%23d%26e"),
            ("%2e%2e", "%252e%252e"),
            ("jób", "j%C3%B3b"),
        ] {
            assert_eq!(graph().job(&key(id)).path(), format!("{jobs}/{path}"));
            let start = graph().start(&key(id));
            assert_eq!(start.path(), format!("{jobs}/{path}/start"));
            assert_eq!((start.query(), start.fragment()), (None, None));
        }
    }

    #[test]
    fn a_name_cannot_leave_its_filter() {
        let url = graph().find(&SpLookup::DisplayName("O'Neil & Co' or 'a' eq 'a".to_owned()));
        let query: Vec<_> = url.query_pairs().collect();
        assert_eq!(query.len(), 2);
        assert_eq!(query[0].0, "$filter");
        assert_eq!(query[0].1, "displayName eq 'O''Neil & Co'' or ''a'' eq ''a'");
        assert_eq!(query[1].1, "id,appId,displayName");
    }

    #[test]
    fn a_next_page_is_at_the_same_origin_and_version() {
        for link in [
            "https://graph.microsoft.com/v1.0/servicePrincipals?$skiptoken=x",
            "https://GRAPH.microsoft.com:443/v1.0/x",
            "/v1.0/servicePrincipals?$skiptoken=x",
        ] {
            assert!(graph().next(link).is_ok(), "{link}");
        }
        for link in [
            "http://graph.microsoft.com/v1.0/x",
            "https://graph.microsoft.com:8443/v1.0/x",
            "https://graph.microsoft.com.evil.example/v1.0/x",
            "https://graph.microsoft.com@evil.example/v1.0/x",
            "https://ann:b@graph.microsoft.com/v1.0/x",
            "//evil.example/v1.0/x",
            "\\\\evil.example/v1.0/x",
            "https://graph.microsoft.com/beta/x",
            "https://graph.microsoft.com/v1.0/../beta/x",
            "https://graph.microsoft.com/v1.0/%2e%2e/beta/x",
            "javascript:alert(1)",
            "https://",
        ] {
            assert!(graph().next(link).is_err(), "{link}");
        }
        let told = graph().next("https://evil.example/v1.0/x?token=s3cret").unwrap_err();
        assert_eq!(
            told,
            "its next page is at https://evil.example, not at https://graph.microsoft.com"
        );
    }

    #[test]
    fn a_host_without_end_is_told_cut() {
        // Found by fuzzing.
        let endless = format!("x://{}/v1.0/x", "é".repeat(1_000_000));
        for told in [graph().next(&endless).unwrap_err(), graph().redirect(&endless)] {
            assert!(told.contains('…') && told.chars().count() < 600, "{}", told.len());
        }
    }

    #[test]
    fn a_loopback_origin_has_no_proxy() {
        assert_eq!(Origin::parse("http://127.0.0.1:1").unwrap().proxy(), None);
    }
}
