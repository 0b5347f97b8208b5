//! An access token given by hand, in a variable or in a file.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    IdentitySettings,
    file::{SecretFile, bearer, bearer_of},
    refusal::{Failure, Refusal},
    text::one_line,
};
use crate::ports::{Identity, IdentityError, Token};

/// A token that nobody issues anew; only whoever writes the file can.
#[derive(Debug)]
pub(super) struct Given {
    file: Option<SecretFile>,
    held: Mutex<SecretString>,
}

impl Given {
    /// Takes the token of the variable, or else the file's.
    ///
    /// A file that others may read is taken all the same: in containers it often is one, and
    /// refusing it would only teach people to use the variable.
    pub(super) fn new(settings: &IdentitySettings) -> Result<Self, Failure> {
        let variable = settings.token.as_ref().filter(|it| !it.expose_secret().is_empty());
        if let Some(token) = variable {
            let token = bearer(token.expose_secret().as_bytes()).map_err(|problem| {
                let problem = format!("the token {problem}");
                let remedy = "set STARTGUARD_TOKEN to a whole access token and nothing else";
                Failure::new(VARIABLE, Refusal::lasting(problem, remedy))
            })?;
            return Ok(Self { file: None, held: Mutex::new(token) });
        }
        let path = settings.token_file.clone().filter(|path| !path.as_os_str().is_empty());
        let Some(path) = path else {
            let problem = "no token was given";
            let remedy = "set STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE";
            return Err(Failure::new(
                "`[auth] kind = \"token\"`",
                Refusal::lasting(problem, remedy),
            ));
        };
        let file = SecretFile { path, what: "the token file", variable: "STARTGUARD_TOKEN_FILE" };
        let token = file
            .read_blocking()
            .and_then(|content| bearer_of(&file, &content))
            .map_err(|refusal| Failure::new(words(Some(&file)), refusal))?;
        Ok(Self { file: Some(file), held: Mutex::new(token) })
    }

    fn held(&self) -> MutexGuard<'_, SecretString> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const VARIABLE: &str = "STARTGUARD_TOKEN";

fn words(file: Option<&SecretFile>) -> String {
    match file {
        None => format!("the token in {VARIABLE}"),
        Some(file) => format!("the token in {}", one_line(&file.path.display().to_string())),
    }
}

#[async_trait]
impl Identity for Given {
    async fn token(&self, _at_least: Duration) -> Result<Token, IdentityError> {
        // When it ends is not known: a Graph token is opaque to everybody but Graph.
        Ok(Token { secret: self.held().clone(), expires_at: None })
    }

    /// Reads the file again. A file that is gone, half written or unchanged gives no other token.
    async fn refresh(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let Ok(content) = file.read().await else { return false };
        let Ok(token) = bearer_of(file, &content) else { return false };
        let mut held = self.held();
        let other = held.expose_secret() != token.expose_secret();
        *held = token;
        other
    }

    fn describe(&self) -> String {
        words(self.file.as_ref())
    }
}

#[cfg(test)]
mod tests;
