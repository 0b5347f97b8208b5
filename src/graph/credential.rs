//! The token: asked for before an attempt, kept in hand for its POST.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Request,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::ExposeSecret as _;

use super::origin::Origin;
use crate::ports::{Identity, IdentityError, Token};

/// Where tokens come from, and the newest one.
#[derive(Debug)]
pub(super) struct Credential {
    identity: Arc<dyn Identity>,
    at_least: Duration,
    hand: Mutex<Option<Token>>,
}

impl Credential {
    pub(super) fn new(identity: Arc<dyn Identity>, at_least: Duration) -> Self {
        Self { identity, at_least, hand: Mutex::new(None) }
    }

    /// A token that outlives a POST; cheap while the identity has one in its cache.
    pub(super) async fn token(&self) -> Result<Token, IdentityError> {
        let token = self.identity.token(self.at_least).await?;
        *self.hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    /// The newest token, without asking anybody.
    pub(super) fn in_hand(&self) -> Option<Token> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Graph did not accept `refused`. Whether there may be another one.
    pub(super) async fn replace(&self, refused: &Token) -> bool {
        let newer = self.in_hand().is_some_and(|hand| !same(&hand, refused));
        // Of many reads that are refused at once, one refreshes and the others take what it got.
        newer || self.identity.refresh().await
    }

    /// Which credential this is, in words.
    pub(super) fn describe(&self) -> String {
        self.identity.describe()
    }
}

fn same(one: &Token, other: &Token) -> bool {
    one.secret.expose_secret() == other.secret.expose_secret()
}

/// Why a request could not carry the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// It is not for the configured origin.
    Elsewhere,
    /// The token has a character that no header can carry.
    Character,
}

/// Puts the token on a request: the last step before it is sent, and for the configured origin only.
pub(super) fn sign(request: &mut Request, token: &Token, origin: &Origin) -> Result<(), Unsigned> {
    if !origin.owns(request.url()) {
        return Err(Unsigned::Elsewhere);
    }
    let bearer = format!("Bearer {}", token.secret.expose_secret());
    let mut value = HeaderValue::from_str(&bearer).map_err(|_| Unsigned::Character)?;
    // Otherwise it shows wherever the request is printed.
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, Url};

    use super::*;

    fn token(secret: &str) -> Token {
        Token { secret: secret.to_owned().into(), expires_at: None }
    }

    #[test]
    fn only_a_request_for_the_origin_is_signed() {
        let origin = Origin::parse("https://graph.microsoft.com").unwrap();
        for (url, signed) in [
            ("https://graph.microsoft.com/v1.0/x", Ok(())),
            ("https://graph.microsoft.com:444/v1.0/x", Err(Unsigned::Elsewhere)),
            ("http://graph.microsoft.com/v1.0/x", Err(Unsigned::Elsewhere)),
            ("https://graph.microsoft.us/v1.0/x", Err(Unsigned::Elsewhere)),
        ] {
            let mut request = Request::new(Method::GET, Url::parse(url).unwrap());
            assert_eq!(sign(&mut request, &token("s3cret"), &origin), signed, "{url}");
            assert_eq!(request.headers().contains_key(AUTHORIZATION), signed.is_ok(), "{url}");
            assert!(!format!("{request:?}").contains("s3cret"), "{request:?}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_is_not_sent() {
        let origin = Origin::parse("https://graph.microsoft.com").unwrap();
        let url = Url::parse("https://graph.microsoft.com/v1.0/x").unwrap();
        let mut request = Request::new(Method::GET, url);
        let broken = token("abc\r\nX-Evil: 1");
        assert_eq!(sign(&mut request, &broken, &origin), Err(Unsigned::Character));
    }
}
