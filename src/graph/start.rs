//! The POST: at most one on the wire per permit, and what its answer proves.

use std::time::Duration;

use reqwest::{
    Method,
    header::{CONTENT_LENGTH, HeaderValue},
};

use super::{HttpGraph, call::Head, credential::Unsigned, fault::Fault};
use crate::{
    decide::{Permit, StartReply},
    model::Reply,
    ports::{Cost, Token},
};

impl HttpGraph {
    /// POSTs start under `permit`, which it uses up.
    pub(super) async fn post_start(&self, permit: Permit) -> (StartReply, Cost) {
        let mut cost = Cost::default();
        let reply = self.post(&permit, &mut cost).await;
        (reply, cost)
    }

    async fn post(&self, permit: &Permit, cost: &mut Cost) -> StartReply {
        let unsent = |problem: &str| StartReply::NotSent { problem: problem.to_owned() };
        let Some(token) = self.credential.in_hand() else {
            return unsent("there is no token in hand");
        };
        let url = self.origin.start(permit.key());
        let mut request = match self.request(Method::POST, url, &token, permit.attempt().0) {
            Ok(request) => request,
            Err(Unsigned::Elsewhere) => return unsent("the token is for another origin"),
            Err(Unsigned::Character) => {
                return unsent("the token has a character that no header can carry");
            }
        };
        // Start takes no body, and says so: some gateways refuse a POST that leaves it open.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let now = self.clock.tick();
        if let Some((status, wait)) = self.quiet.left(now) {
            return StartReply::HeldBack { status, wait };
        }
        let Ok(client) = self.clients.starts.client(permit.time_to_leave(now)) else {
            return unsent("there is no HTTP client for it");
        };
        // Nothing that takes time may come between this check and the request. Connecting does take
        // time, and ends when the permit does.
        let Some(time) = permit.time_left(self.clock.tick()) else {
            return StartReply::TooLate;
        };
        *request.timeout_mut() = Some(time);
        match client.execute(request).await {
            Ok(response) => {
                cost.requests = 1;
                self.answered(response, &token, cost).await
            }
            Err(error) => match Fault::of(error, time) {
                Fault::NotSent(problem) | Fault::Untrusted(problem) => {
                    StartReply::NotSent { problem }
                }
                Fault::Late(problem) | Fault::Broken(problem) => {
                    cost.requests = 1;
                    StartReply::Unclear { problem }
                }
            },
        }
    }

    async fn answered(
        &self,
        response: reqwest::Response,
        token: &Token,
        cost: &mut Cost,
    ) -> StartReply {
        let head = Head::of(&response, self.clock.wall(), token, cost);
        let meaning = Meaning::of(head.status, head.retry_after);
        match meaning {
            Meaning::Accepted => StartReply::Accepted,
            Meaning::Redirect => StartReply::Unclear { problem: self.redirected(&head) },
            Meaning::Rejected | Meaning::Throttled | Meaning::Unclear => {
                // Before the body, which may be slow: others must not ask on meanwhile.
                let _wait: Option<(u16, Duration)> = self.hush(&head);
                let reply = head.reply(response, token).await;
                meaning.with(reply, head.retry_after)
            }
        }
    }
}

/// What the status of the POST's answer proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Accepted,
    Rejected,
    Throttled,
    Redirect,
    Unclear,
}

impl Meaning {
    /// Only what proves a yes or a no is one.
    ///
    /// - 204 is the success that is documented. Any other 2xx is somebody else's: a sign-in page of
    ///   a proxy comes as 200, and taken for a yes it would be a start that never ran. If Graph
    ///   should change its mind, the reads that follow an unclear answer see the job run.
    /// - 4xx is the server's word that it did not do it, 409 and 425 included. 408 is not: what
    ///   gave up waiting may be a gateway behind which the request went on; nor is 499, which a
    ///   gateway writes for a caller that it believes gone.
    /// - 429 is never acted on, whoever sends it. 503 is a plain no only where it names a time;
    ///   without one it may come from a gateway that lost the answer.
    fn of(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            204 => Self::Accepted,
            300..=399 => Self::Redirect,
            408 | 499 => Self::Unclear,
            429 => Self::Throttled,
            503 if retry_after.is_some() => Self::Throttled,
            400..=498 => Self::Rejected,
            _ => Self::Unclear,
        }
    }

    fn with(self, reply: Reply, retry_after: Option<Duration>) -> StartReply {
        match self {
            Self::Accepted => StartReply::Accepted,
            Self::Rejected => StartReply::Rejected(reply),
            Self::Throttled => StartReply::Throttled { reply, retry_after },
            Self::Redirect | Self::Unclear => StartReply::Unclear { problem: reply.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_204_is_a_yes_and_only_a_clear_no_is_a_no() {
        let named = Some(Duration::from_secs(7));
        for status in 200..=599 {
            let (plain, with_time) = (Meaning::of(status, None), Meaning::of(status, named));
            let expected = match status {
                204 => Meaning::Accepted,
                300..=399 => Meaning::Redirect,
                408 | 499 => Meaning::Unclear,
                429 => Meaning::Throttled,
                400..=498 => Meaning::Rejected,
                _ => Meaning::Unclear,
            };
            assert_eq!(plain, expected, "{status}");
            let expected = if status == 503 { Meaning::Throttled } else { expected };
            assert_eq!(with_time, expected, "{status} with Retry-After");
        }
    }
}
