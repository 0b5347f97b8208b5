//! One GET: signed, sent, counted, and what its answer means.

use std::time::Duration;

use reqwest::{
    Method, Request, Response, Url,
    header::{AGE, CACHE_CONTROL, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::{
    HttpGraph,
    body::{self, BodyFault, LONGEST_BODY, LONGEST_ERROR},
    credential::{self, Unsigned},
    fault::Fault,
    reply, retry_after,
};
use crate::{
    model::{Reply, Tick, Timestamp},
    ports::{Cost, GraphError, IdentityError, Token, Told},
};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// What a call leaves behind while it goes on.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) cost: Cost,
    pub(super) began: Tick,
    pub(super) read_at: Timestamp,
    pub(super) throttle: Option<(u16, Duration)>,
}

impl Trail {
    pub(super) fn new(began: Tick, read_at: Timestamp) -> Self {
        Self { cost: Cost::default(), began, read_at, throttle: None }
    }

    pub(super) fn told<T>(self, result: Result<T, GraphError>) -> Told<T> {
        let Self { cost, began, read_at, throttle } = self;
        Told { result, cost, began, read_at, throttle }
    }
}

/// How one try ended, where that is not the end of the call.
#[derive(Debug)]
pub(super) enum Tried {
    /// 200, and its body.
    Done(Vec<u8>),
    /// It may be tried again, after this long at least.
    Again { fault: GraphError, least: Duration },
    /// 401: this token was not accepted.
    Refused(Reply, Token),
}

/// What the head of an answer says.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) date: Option<Timestamp>,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<String>,
    /// How long a cache had it; nothing where it came straight from Graph.
    pub(super) age: Duration,
    request_id: Option<String>,
}

impl Head {
    /// Reads the head of an answer, and notes its `request-id`.
    pub(super) fn of(response: &Response, now: Timestamp, token: &Token, cost: &mut Cost) -> Self {
        let headers = response.headers();
        let date = text(headers, &DATE).and_then(retry_after::http_date);
        let request_id = text(headers, &HeaderName::from_static("request-id"))
            .filter(|id| !id.is_empty())
            .map(|id| reply::told(id, token.secret.expose_secret()));
        cost.request_ids.extend(request_id.clone());
        let status = response.status().as_u16();
        Self {
            status,
            date,
            retry_after: wait(headers, status, date, now),
            location: text(headers, &LOCATION).map(str::to_owned),
            age: age(headers),
            request_id,
        }
    }

    /// What the answer said, with its body where that can be had.
    pub(super) async fn reply(&self, response: Response, token: &Token) -> Reply {
        let body = body::read(response, LONGEST_ERROR).await.unwrap_or_default();
        let request_id = self.request_id.clone();
        reply::read(self.status, request_id, &body, token.secret.expose_secret())
    }
}

/// What an `Age` says; one that is there and cannot be read is older than any read may be.
fn age(headers: &HeaderMap) -> Duration {
    let Some(age) = headers.get(AGE) else { return Duration::ZERO };
    let seconds = age.to_str().ok().and_then(|age| age.trim().parse().ok());
    seconds.map_or(Duration::MAX, Duration::from_secs)
}

/// Told to wait, and not told how long in a way that can be read: a minute, which is what Graph's
/// guidance falls back to. Asking on would be to disobey.
fn unreadable_wait(status: u16) -> Option<Duration> {
    matches!(status, 429 | 503).then_some(Duration::from_secs(60))
}

/// How long the answer says to wait. Of several words the longest counts, and a word that is no text
/// is one that cannot be read.
pub(super) fn wait(
    headers: &HeaderMap,
    status: u16,
    date: Option<Timestamp>,
    now: Timestamp,
) -> Option<Duration> {
    let words = headers.get_all(RETRY_AFTER).iter();
    words
        .filter_map(|word| {
            let read = word.to_str().ok().and_then(|word| retry_after::parse(word, date, now));
            read.or_else(|| unreadable_wait(status))
        })
        .max()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl HttpGraph {
    /// A request with an id of its own, signed.
    ///
    /// # Errors
    /// Why it cannot be signed.
    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        token: &Token,
        id: Uuid,
    ) -> Result<Request, Unsigned> {
        let mut request = Request::new(method, url);
        let id = id.hyphenated().to_string();
        if let Ok(id) = HeaderValue::from_str(&id) {
            request.headers_mut().insert(CLIENT_REQUEST_ID, id);
        }
        credential::sign(&mut request, token, &self.origin)?;
        Ok(request)
    }

    /// Sends one GET, unless told to wait, and reads its answer.
    ///
    /// # Errors
    /// What ends the call.
    pub(super) async fn try_once(
        &self,
        url: &Url,
        deadline: Tick,
        trail: &mut Trail,
    ) -> Result<Tried, GraphError> {
        let token = self.token_within(deadline).await?;
        self.not_told_to_wait(trail)?;
        let (began, now) = (self.clock.tick(), self.clock.wall());
        let time = began.until(deadline).min(self.request_timeout);
        if time.is_zero() {
            return Err(out_of_time());
        }
        (trail.began, trail.read_at) = (began, now);
        let id = self.entropy.uuid(now);
        let mut request = self
            .request(Method::GET, url.clone(), &token, id)
            .map_err(|unsigned| self.unsigned(unsigned))?;
        // A start may rest on no cache's memory.
        request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        *request.timeout_mut() = Some(time);
        let response = match self.clients.reads.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                let fault = Fault::of(error, time);
                if let Fault::Untrusted(problem) = fault {
                    return Err(GraphError::Unavailable { problem });
                }
                if !matches!(fault, Fault::NotSent(_)) {
                    trail.cost.requests = trail.cost.requests.saturating_add(1);
                }
                return Ok(again(fault));
            }
        };
        trail.cost.requests = trail.cost.requests.saturating_add(1);
        let head = Head::of(&response, self.clock.wall(), &token, &mut trail.cost);
        trail.began = began.before(head.age);
        if head.status == 200 {
            return match body::read(response, LONGEST_BODY).await {
                Ok(body) => Ok(Tried::Done(body)),
                Err(BodyFault::Broken(error)) => Ok(again(Fault::of(error, time))),
                Err(BodyFault::TooLong) => Err(GraphError::BadResponse {
                    problem: format!("its body is longer than {} MiB", LONGEST_BODY >> 20),
                }),
            };
        }
        self.note_wait(&head, trail);
        let reply = head.reply(response, &token).await;
        self.not_a_success(&head, reply, token)
    }

    /// What an answer other than 200 means for a read.
    fn not_a_success(&self, head: &Head, reply: Reply, token: Token) -> Result<Tried, GraphError> {
        let wait = head.retry_after.unwrap_or_default();
        let unavailable = |reply: &Reply| GraphError::Unavailable { problem: reply.to_string() };
        match head.status {
            401 => Ok(Tried::Refused(reply, token)),
            403 => Err(GraphError::Forbidden(reply)),
            404 => Err(GraphError::NotFound(reply)),
            // To wait here would leave every other process asking on: only the caller can tell them.
            429 | 503 if !wait.is_zero() => {
                Err(GraphError::Throttled { reply, retry_after: Some(wait) })
            }
            429 => Ok(Tried::Again {
                fault: GraphError::Throttled { reply, retry_after: None },
                least: Duration::ZERO,
            }),
            502..=504 => Ok(Tried::Again { fault: unavailable(&reply), least: wait }),
            500..=599 => Err(unavailable(&reply)),
            300..=399 => Err(GraphError::BadResponse { problem: self.redirected(head) }),
            _ => Err(GraphError::BadResponse { problem: reply.to_string() }),
        }
    }

    /// A redirect, in words.
    pub(super) fn redirected(&self, head: &Head) -> String {
        let to = head
            .location
            .as_deref()
            .map_or_else(|| "nowhere".to_owned(), |location| self.origin.redirect(location));
        format!("HTTP {} redirects to {to}, and no redirect is followed", head.status)
    }

    /// Keeps a wait that an answer asked for, so that nothing more goes out of this process.
    pub(super) fn hush(&self, head: &Head) -> Option<(u16, Duration)> {
        let wait = head.retry_after.filter(|wait| !wait.is_zero())?;
        if !matches!(head.status, 429 | 503) {
            return None;
        }
        self.quiet.told(head.status, self.clock.tick(), wait);
        Some((head.status, wait))
    }

    fn note_wait(&self, head: &Head, trail: &mut Trail) {
        if let Some(throttle) = self.hush(head) {
            trail.throttle = Some(throttle);
        }
    }

    /// Whether this process may send anything now.
    pub(super) fn not_told_to_wait(&self, trail: &mut Trail) -> Result<(), GraphError> {
        let Some((status, left)) = self.quiet.left(self.clock.tick()) else {
            return Ok(());
        };
        trail.throttle = Some((status, left));
        let reply = Reply { status, code: None, message: None, request_id: None };
        Err(GraphError::Throttled { reply, retry_after: Some(left) })
    }

    async fn token_within(&self, deadline: Tick) -> Result<Token, GraphError> {
        match self.within(deadline, self.credential.token()).await {
            Some(token) => token.map_err(GraphError::NoToken),
            None => Err(out_of_time()),
        }
    }

    /// Awaits `future`, until `deadline` at the latest.
    pub(super) async fn within<T>(
        &self,
        deadline: Tick,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let left = self.clock.tick().until(deadline);
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep(left) => None,
        }
    }

    /// Why a request of ours could not be signed, as an error of a read.
    pub(super) fn unsigned(&self, unsigned: Unsigned) -> GraphError {
        match unsigned {
            Unsigned::Elsewhere => GraphError::BadResponse {
                problem: format!("the token is for {} alone", self.origin),
            },
            Unsigned::Character => GraphError::NoToken(IdentityError {
                credential: self.credential.describe(),
                problem: "the token has a character that no header can carry".to_owned(),
                remedy: "give the token alone, on one line".to_owned(),
                transient: false,
            }),
        }
    }
}

fn again(fault: Fault) -> Tried {
    let fault = match fault {
        Fault::NotSent(problem) | Fault::Untrusted(problem) | Fault::Broken(problem) => {
            GraphError::Unavailable { problem }
        }
        Fault::Late(problem) => GraphError::Timeout { problem },
    };
    Tried::Again { fault, least: Duration::ZERO }
}

fn out_of_time() -> GraphError {
    GraphError::Timeout { problem: "no time was left to ask".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_word_about_waiting_counts_and_one_that_is_no_text_is_a_minute() {
        let told = |status, words: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for word in words {
                headers.append(RETRY_AFTER, HeaderValue::from_bytes(word).unwrap());
            }
            wait(&headers, status, None, "2026-11-23T09:00:00Z".parse().unwrap())
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(told(429, &[]), None);
        assert_eq!(told(429, &[b"0", b"120", b"7"]), seconds(120));
        for unreadable in [&b"\xfc\xe9"[..], b"soon", b""] {
            assert_eq!(told(429, &[unreadable]), seconds(60));
            assert_eq!(told(503, &[b"5", unreadable]), seconds(60));
            assert_eq!(told(504, &[b"5", unreadable]), seconds(5));
            assert_eq!(told(504, &[unreadable]), None);
        }
    }
}
