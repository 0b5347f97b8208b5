//! A door for fuzzing (feature `testing`): a file's text, without a file.

use super::{ConfigError, Environment, Flags, Settings, file::Found, settle, variables};

/// What [`load`](super::load) makes of a file `file` that says `text`.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong.
pub fn settings(
    file: &str,
    text: &str,
    environment: &Environment,
) -> Result<Settings, ConfigError> {
    let found = Found { path: file.into(), text: text.to_owned() };
    settle(&Flags::default(), environment, Some(found), variables::check(environment)?)
}
