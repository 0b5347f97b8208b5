//! What an answer that was not a success said.

use std::fmt;

/// What an answer that was not a success said. Its texts are the service's own words, cleaned of
/// control characters and cut to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `error.code`.
    pub code: Option<String>,
    /// `error.message`.
    pub message: Option<String>,
    /// `request-id`.
    pub request_id: Option<String>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = self.code.as_deref().filter(|code| !code.is_empty()) {
            write!(f, " {code}")?;
        }
        if let Some(message) = self.message.as_deref().filter(|message| !message.is_empty()) {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}
