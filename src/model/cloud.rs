//! Microsoft's national clouds: where Graph is and who issues its tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of Microsoft's clouds. A token of one is worth nothing in another.
///
/// Source: Microsoft Graph documentation, "National cloud deployments". Clouds that are newer than
/// this list are reached by setting the Graph endpoint and the authority by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// The worldwide service.
    #[default]
    Global,
    /// US Government L4.
    #[serde(rename = "usgov")]
    UsGov,
    /// US Government L5 (DOD).
    #[serde(rename = "usgov-dod")]
    UsGovDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Every cloud.
    pub const ALL: [Self; 4] = [Self::Global, Self::UsGov, Self::UsGovDod, Self::China];

    /// The cloud as it is written in configuration and flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "usgov",
            Self::UsGovDod => "usgov-dod",
            Self::China => "china",
        }
    }

    /// Graph's origin.
    #[must_use]
    pub fn graph_origin(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsGovDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// Who issues tokens.
    #[must_use]
    pub fn authority(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// The scope to ask a token for: everything that was granted to the caller on this Graph.
    #[must_use]
    pub fn scope(self) -> String {
        format!("{}/.default", self.graph_origin())
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_written_as_it_is_read() {
        for cloud in Cloud::ALL {
            let text = serde_json::to_value(cloud).unwrap();
            assert_eq!(text, cloud.as_str());
        }
    }
}
