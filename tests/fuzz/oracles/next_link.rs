//! `@odata.nextLink` and `Location`: where a server says to go on, and where the token may go.

use startguard::graph::fuzz::Door;
use url::Url;

use super::text::fit_to_show;

const ORIGINS: [&str; 4] = [
    "https://graph.microsoft.com",
    "https://graph.example:8443",
    "http://127.0.0.1:8080",
    "https://[2001:db8::1]",
];

/// Stands for what a link's path and query may hold.
const CANARY: &str = "s3cret-canary";

/// A host has at most 253 characters; the rest is our own words.
const LONGEST: usize = 700;

/// Checks one link against several origins.
pub fn check(input: &[u8]) {
    let link = String::from_utf8_lossy(input);
    for origin in ORIGINS {
        let door = Door::new(origin);
        assert!(door.is_ok(), "{door:?}");
        let (Ok(door), Ok(base)) = (door, Url::parse(origin)) else { return };
        let told = match door.next_page(&link) {
            Ok(url) => {
                stays(&base, &url);
                String::new()
            }
            Err(problem) => problem,
        };
        for told in [told, door.redirect(&link)] {
            fit_to_show("where a link leads", &told, LONGEST);
            let leads_to_canary = base.join(&link).is_ok_and(|url| {
                url.scheme().contains(CANARY)
                    || url.host_str().is_some_and(|host| host.contains(CANARY))
            });
            assert!(leads_to_canary || !told.contains(CANARY), "{link:?} is told: {told}");
        }
    }
}

/// The URL is at the same origin, by the rules of two parsers and by the eye.
fn stays(base: &Url, url: &Url) {
    assert_eq!(url.origin(), base.origin(), "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    assert!(url.as_str().starts_with(&format!("{base}v1.0/")), "{url}");
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url), "reads back otherwise");
    // What the HTTP client makes of it; what it cannot read it does not send.
    if let Ok(sent) = url.as_str().parse::<http::Uri>() {
        assert_eq!(sent.scheme_str(), Some(base.scheme()), "{url}");
        assert_eq!(sent.host(), base.host_str(), "{url}");
        let usual = if base.scheme() == "https" { 443 } else { 80 };
        assert_eq!(sent.port_u16().or(Some(usual)), base.port_or_known_default(), "{url}");
        assert!(sent.path().starts_with("/v1.0/"), "{url}");
        assert!(sent.authority().is_some_and(|authority| !authority.as_str().contains('@')));
    }
    assert!(url.path_segments().is_some_and(|mut path| path.all(|it| it != ".." && it != ".")));
}
