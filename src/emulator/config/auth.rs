//! Who may call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// Who may call, and who gets a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Which bearer tokens pass.
    pub accept: TokenRule,
    /// Tokens that pass besides the issued ones, with `accept = "known"`.
    pub tokens: Vec<String>,
    /// The app registrations that may ask for a token; none means that any client id and secret will do.
    pub clients: Vec<Client>,
    /// How long an issued token lasts.
    #[serde(with = "duration")]
    pub token_lifetime: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            accept: TokenRule::Any,
            tokens: Vec::new(),
            clients: Vec::new(),
            // What the Microsoft identity platform hands out, within its random 60 to 90 minutes.
            token_lifetime: Duration::from_secs(3599),
        }
    }
}

/// Which bearer tokens pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRule {
    /// Any that is not empty.
    #[default]
    Any,
    /// Only those that this emulator issued and that have not run out, and the configured ones.
    Known,
}

/// An app registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The application id.
    pub client_id: String,
    /// The client secret; left out, only an assertion is accepted.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// The tenant it lives in; left out, any.
    #[serde(default)]
    pub tenant: Option<String>,
}
