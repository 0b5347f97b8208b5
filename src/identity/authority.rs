//! Who issues the tokens.

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use url::{Host, Url};

use super::{refusal::Refusal, text::one_line};

/// The authority: an https origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    origin: String,
    loopback: bool,
}

impl Authority {
    /// Reads an authority host as configuration gives it: `https://HOST[:PORT]`, with or without a
    /// slash behind it.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = |problem: &str| {
            Refusal::lasting(
                format!("the authority {} {problem}", one_line(text)),
                "set AZURE_AUTHORITY_HOST to https://HOST[:PORT] (or leave it out: `--cloud` \
                 implies it)",
            )
        };
        let url = Url::parse(text.trim()).map_err(|_| wrong("is not a URL"))?;
        if url.scheme() != "https" {
            return Err(wrong("is not https: a secret would travel in the clear"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Not shown: the part before the @ may be a password.
            return Err(Refusal::lasting(
                "the authority holds a user name or password",
                "set AZURE_AUTHORITY_HOST to https://HOST[:PORT]",
            ));
        }
        // azure_identity puts the tenant in place of a path, so a path would be lost in silence.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a path, which is not part of an authority"));
        }
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("has no host")),
        };
        Ok(Self { origin: url.origin().ascii_serialization(), loopback })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The token endpoint of a tenant, which is also the audience of an assertion for it.
    pub(super) fn token_endpoint(&self, tenant_id: &str) -> String {
        format!("{}/{tenant_id}/oauth2/v2.0/token", self.origin)
    }

    /// What `azure_identity` calls it.
    pub(super) fn cloud(&self) -> CloudConfiguration {
        match self.origin.as_str() {
            "https://login.microsoftonline.com" => CloudConfiguration::AzurePublic,
            "https://login.microsoftonline.us" => CloudConfiguration::AzureGovernment,
            "https://login.chinacloudapi.cn" => CloudConfiguration::AzureChina,
            _ => {
                let mut custom = CustomConfiguration::default();
                custom.authority_host.clone_from(&self.origin);
                custom.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cloud;

    #[test]
    fn the_well_known_authorities_are_azures_clouds() {
        for (cloud, wanted) in [
            (Cloud::Global, CloudConfiguration::AzurePublic),
            (Cloud::UsGov, CloudConfiguration::AzureGovernment),
            (Cloud::UsGovDod, CloudConfiguration::AzureGovernment),
            (Cloud::China, CloudConfiguration::AzureChina),
        ] {
            assert_eq!(Authority::parse(cloud.authority()).unwrap().cloud(), wanted);
            let slashed = format!("{}/", cloud.authority());
            assert_eq!(Authority::parse(&slashed).unwrap().cloud(), wanted);
        }
    }

    #[test]
    fn any_other_https_origin_is_a_cloud_of_its_own() {
        let authority = Authority::parse("https://LOGIN.example.test:8443/").unwrap();
        assert_eq!(
            authority.token_endpoint("contoso"),
            "https://login.example.test:8443/contoso/oauth2/v2.0/token"
        );
        let CloudConfiguration::Custom(custom) = authority.cloud() else { panic!("not custom") };
        assert_eq!(custom.authority_host, "https://login.example.test:8443");
        assert!(!authority.is_loopback());
        for here in ["https://127.0.0.1:1", "https://[::1]:1", "https://localhost:1"] {
            assert!(Authority::parse(here).unwrap().is_loopback(), "{here}");
        }
    }

    #[test]
    fn an_authority_that_would_leak_or_lose_something_is_refused() {
        for (text, word) in [
            ("http://login.example.test", "not https"),
            ("http://127.0.0.1:8080", "not https"),
            ("login.example.test", "not a URL"),
            ("https://login.example.test/adfs", "path"),
            ("https://login.example.test/?x", "path"),
            ("https://me:canary@login.example.test", "password"),
            ("", "not a URL"),
        ] {
            let refusal = Authority::parse(text).unwrap_err();
            assert!(refusal.problem.contains(word), "{text}: {}", refusal.problem);
            assert!(!refusal.problem.contains("canary"));
            assert!(!refusal.transient);
        }
    }
}
