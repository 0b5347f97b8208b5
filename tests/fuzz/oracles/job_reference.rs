//! What a person types to name a job, and the URLs that come of it.

use percent_encoding::percent_decode_str;
use startguard::{
    graph::fuzz::Door,
    model::{IdError, JobArg, JobId, JobKey, ServicePrincipalId, ServicePrincipalRef},
    ports::SpLookup,
};
use url::Url;

use super::text::{acts, fit_to_show};

const ORIGIN: &str = "https://graph.microsoft.com";
const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// Two names, escaped, within a sentence.
const LONGEST: usize = 6_500;

/// Checks one name, and the same text as a job's id.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(door) = Door::new(ORIGIN) else { return };
    match JobArg::parse(&text) {
        Ok(named) => {
            // Said back it means the same.
            assert_eq!(JobArg::parse(&named.to_string()).as_ref(), Ok(&named), "{text:?}");
            owner(&door, &named.service_principal);
            if let (ServicePrincipalRef::Id(owner), Some(job)) =
                (&named.service_principal, &named.job)
            {
                job_urls(&door, owner, job);
            }
        }
        Err(error) => {
            fit_to_show("an error about a name", &error.to_string(), LONGEST);
            fit_to_show("its remedy", error.remedy(), LONGEST);
        }
    }
    match JobId::parse(&text) {
        Ok(job) => {
            assert!(!job.as_str().chars().any(|c| acts(c) || c.is_whitespace()), "{job:?}");
            let owner = ServicePrincipalId::parse(SP);
            assert!(owner.is_ok());
            if let Ok(owner) = owner {
                job_urls(&door, &owner, &job);
            }
        }
        Err(error) => shown(&error),
    }
    if let Err(error) = ServicePrincipalId::parse(&text) {
        shown(&error);
    }
}

fn shown(error: &IdError) {
    fit_to_show("an error about an id", &error.to_string(), LONGEST);
}

/// A job's id is one segment, and decodes to itself.
fn job_urls(door: &Door, owner: &ServicePrincipalId, job: &JobId) {
    let key = JobKey { service_principal_id: owner.clone(), job_id: job.clone() };
    let [read, start] = door.job(&key);
    let parent = door.jobs(owner);
    for (url, action) in [(&read, None), (&start, Some("start"))] {
        stays(url);
        assert_eq!((url.query(), url.fragment()), (None, None), "{url}");
        let path: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let mut expected =
            vec!["v1.0", "servicePrincipals", owner.as_str(), "synchronization", "jobs"];
        let id = path.get(expected.len()).copied().unwrap_or_default();
        expected.push(id);
        expected.extend(action);
        assert_eq!(path, expected, "{url}");
        assert_eq!(
            percent_decode_str(id).decode_utf8().ok().as_deref(),
            Some(job.as_str()),
            "{url}"
        );
        assert!(id.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._~%".contains(&it)), "{url}");
        assert!(url.path().starts_with(parent.path()));
        // The HTTP client sends the same path.
        let sent = url.as_str().parse::<http::Uri>();
        assert_eq!(sent.ok().as_ref().map(http::Uri::path), Some(url.path()), "{url}");
    }
    // Two spellings of one job share a record, and a slash parts owner and job once.
    assert_eq!(key.store_key().matches('/').count(), 1, "{key}");
    assert_eq!(key.store_key(), key.store_key().to_lowercase(), "{key}");
}

/// A name stays inside its filter.
fn owner(door: &Door, owner: &ServicePrincipalRef) {
    let (lookup, property, value) = match owner {
        ServicePrincipalRef::Id(id) => {
            stays(&door.jobs(id));
            return;
        }
        ServicePrincipalRef::AppId(id) => (SpLookup::AppId(id.clone()), "appId", id),
        ServicePrincipalRef::DisplayName(name) => {
            (SpLookup::DisplayName(name.clone()), "displayName", name)
        }
    };
    let url = door.find(&lookup);
    stays(&url);
    assert_eq!(url.path(), "/v1.0/servicePrincipals");
    assert_eq!(url.fragment(), None, "{url}");
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["$filter", "$select"], "{url}");
    let filter = query.first().map(|(_, filter)| filter.as_str()).unwrap_or_default();
    let literal =
        filter.strip_prefix(&format!("{property} eq '")).and_then(|it| it.strip_suffix('\''));
    // As OData reads a text: it ends at the first quote that is not doubled.
    let mut read = String::new();
    let mut quotes = literal.unwrap_or_default().chars();
    while let Some(c) = quotes.next() {
        if c == '\'' {
            assert_eq!(quotes.next(), Some('\''), "the filter goes on after its text: {filter}");
        }
        read.push(c);
    }
    assert_eq!(read, *value, "{filter}");
}

fn stays(url: &Url) {
    assert_eq!(url.origin().ascii_serialization(), ORIGIN, "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
}
