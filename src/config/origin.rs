//! Origins: scheme, host and port of the services that get tokens.

use url::{Host, Url};

use super::{ConfigError, written::Written};

/// What an origin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Graph, which an emulator on this machine may play over plain http.
    Graph,
    /// Who issues tokens: https without exception, as the credential library has it.
    Authority,
}

impl For {
    fn remedy(self) -> &'static str {
        match self {
            Self::Graph => {
                "write scheme, host and port alone, such as https://graph.microsoft.com or, for an \
                 emulator on this machine, http://127.0.0.1:8418"
            }
            Self::Authority => {
                "write scheme and host alone, such as https://login.microsoftonline.com"
            }
        }
    }
}

impl Written {
    /// The value as an origin, in lower case and without a slash at its end.
    pub(super) fn origin_of(&self, purpose: For) -> Result<String, ConfigError> {
        let text = self.text()?;
        // A login in it is a secret, so from here on no error repeats the value.
        if text.contains('@') {
            return Err(
                self.problem("holds a login, which a URL here never does", purpose.remedy())
            );
        }
        // The URL standard drops tabs and newlines and reads `\` as `/`; a person who wrote one
        // made a slip, and what it was is not guessed.
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(self.refuse("is not a URL", purpose.remedy()));
        }
        let url = match Url::parse(text) {
            Ok(url) if text.contains("://") => url,
            Ok(_) | Err(_) => {
                return Err(self.refuse("is not a URL with scheme and host", purpose.remedy()));
            }
        };
        let Some(host) = url.host() else {
            return Err(self.refuse("names no host", purpose.remedy()));
        };
        match (url.scheme(), purpose) {
            ("https", _) => {}
            ("http", For::Graph) if is_loopback(&host) => {}
            ("http", For::Graph) => {
                return Err(self.refuse(
                    "would send the token over the network in the clear: plain http is for \
                     loopback addresses only",
                    "write https://, or use an address of this machine (127.0.0.1, [::1], localhost)",
                ));
            }
            ("http", For::Authority) => {
                return Err(self.refuse("is not https, and secrets go there", purpose.remedy()));
            }
            (_, _) => return Err(self.refuse("is neither https nor http", purpose.remedy())),
        }
        if url.path() != "/" {
            let why = match purpose {
                For::Graph => "has a path; startguard itself appends /v1.0/...",
                For::Authority => "has a path; the tenant is appended to it",
            };
            return Err(self.refuse(why, purpose.remedy()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.refuse("has a query or fragment", purpose.remedy()));
        }
        Ok(url.origin().ascii_serialization())
    }
}

/// Whether what is sent there stays on this machine.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // Only this name: whether others below `localhost` are local is the resolver's choice.
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::written::{Origin, Raw};

    fn read(text: &str, purpose: For) -> Result<String, ConfigError> {
        Written {
            setting: "[graph] endpoint".to_owned(),
            raw: Raw::Bare(text.to_owned()),
            origin: Origin::Flag("--graph-endpoint"),
        }
        .origin_of(purpose)
    }

    #[test]
    fn an_origin_is_kept_in_one_spelling() {
        for (text, origin) in [
            ("https://graph.microsoft.com", "https://graph.microsoft.com"),
            ("https://Graph.Microsoft.com/", "https://graph.microsoft.com"),
            ("https://graph.microsoft.com:443", "https://graph.microsoft.com"),
            ("https://10.0.0.1:8443", "https://10.0.0.1:8443"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(read(text, For::Graph).unwrap(), origin, "{text}");
        }
    }

    #[test]
    fn plain_http_stays_on_the_machine() {
        for text in [
            "http://graph.microsoft.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://localhost.example.com",
            "http://a.localhost",
            "http://[::ffff:10.0.0.1]",
            "http://127.0.0.1.nip.io",
        ] {
            let error = read(text, For::Graph).unwrap_err();
            assert!(error.to_string().contains("loopback addresses only"), "{error}");
            assert!(error.remedy().contains("https://"), "{}", error.remedy());
        }
    }

    #[test]
    fn more_than_an_origin_is_refused() {
        for text in [
            "",
            "graph.microsoft.com",
            "graph.microsoft.com:443",
            "https:graph.microsoft.com",
            "https://",
            "https://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com/?x",
            "https://graph.microsoft.com?",
            "https://graph.microsoft.com#",
            "https://graph.microsoft.com\\v1.0",
            "https://graph .microsoft.com",
            "https://graph.micro\tsoft.com",
            " https://graph.microsoft.com",
            "ftp://graph.microsoft.com",
            "file:///etc/passwd",
            "https://graph.microsoft.com:99999",
        ] {
            let error = read(text, For::Graph).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("--graph-endpoint = "), "{said}");
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
    }

    #[test]
    fn a_login_in_a_url_is_not_repeated() {
        let error = read("https://me:hush@graph.microsoft.com", For::Graph).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"));
        assert!(read("https://@graph.microsoft.com", For::Graph).is_err());
    }

    #[test]
    fn an_authority_is_https_even_on_loopback() {
        assert!(read("http://127.0.0.1:9", For::Authority).is_err());
        assert_eq!(read("https://127.0.0.1:9/", For::Authority).unwrap(), "https://127.0.0.1:9");
        assert!(read("https://login.microsoftonline.com/common", For::Authority).is_err());
    }
}
