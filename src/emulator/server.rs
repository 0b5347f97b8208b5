//! The HTTP side: from a request to a call, from a reply to a response, and the life of the listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, USER_AGENT};
use axum::http::{HeaderMap, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, CuttableListener};
use super::path::Operation;
use super::reply::Reply;
use super::service::{Call, Shared, handle};
use super::{control, time, wire};

/// The largest request body: a batch of 20 with bodies is a few kilobytes.
const LARGEST_BODY: usize = 1024 * 1024;
/// How long connections may take to end in order before they are broken. Everything is on this machine.
const GRACE: Duration = Duration::from_secs(1);

/// A listener at work.
#[derive(Debug)]
pub(super) struct Server {
    stopping: CancellationToken,
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `shared` on `listener`; ends in order when `stopping` is cancelled.
    pub(super) fn serve(
        listener: TcpListener,
        shared: Arc<Shared>,
        stopping: CancellationToken,
    ) -> Self {
        let ended = CancellationToken::new();
        let listener = CuttableListener::new(listener, ended.clone());
        let routes: Router = control::routes().fallback(graph).with_state(shared);
        let service = routes.into_make_service_with_connect_info::<Connection>();
        let signal = stopping.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(signal).await
            {
                tracing::error!(%error, "emulator: the server ended");
            }
        });
        Self { stopping, ended, task }
    }

    /// Stops listening, lets connections end, breaks those that do not.
    pub(super) async fn stop(&mut self) {
        self.stopping.cancel();
        if time::within(GRACE, &mut self.task).await.is_none() {
            self.ended.cancel();
            if let Err(error) = (&mut self.task).await {
                tracing::debug!(%error, "emulator: the server's task failed");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.ended.cancel();
    }
}

/// Everything that is not the control endpoint.
async fn graph(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let operation = Operation::of_request(head.method.as_str(), head.uri.path());
    let is_graph = operation.is_graph();
    let reply = match to_bytes(body, LARGEST_BODY).await {
        Err(_) => Reply::problem(
            413,
            "RequestEntityTooLarge",
            "The body of the request is too large or incomplete.",
        ),
        Ok(body) => {
            let text = |name: &str| text(&head.headers, name);
            let version =
                head.uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
            let call = Call {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                operation,
                origin: origin(&shared, &head.headers),
                version: version.to_owned(),
                body,
                authorization: text(AUTHORIZATION.as_str()),
                client_request_id: text("client-request-id"),
                user_agent: text(USER_AGENT.as_str()),
                metadata: text("metadata").is_some() || text("x-identity-header").is_some(),
                batched: false,
            };
            // In a task of its own: a caller that goes away takes back nothing that it asked for, as with the real service.
            let task = tokio::spawn(handle(Arc::clone(&shared), call));
            task.await.unwrap_or_else(|_| Reply::usual_problem(500))
        }
    };
    let skew = shared.state().config.timing.date_skew_seconds;
    let now = shared.clock.calendar(shared.clock.elapsed());
    let distance = Duration::from_secs(skew.unsigned_abs());
    let date = if skew < 0 { time::earlier(now, distance) } else { time::later(now, distance) };
    wire::respond(reply, &connection, &shared.clock, date, is_graph)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The origin that links in answers begin with: where the caller thinks it is talking to.
fn origin(shared: &Shared, headers: &HeaderMap) -> String {
    if let Some(origin) = &shared.state().config.public_origin {
        return origin.trim_end_matches('/').to_owned();
    }
    text(headers, HOST.as_str())
        .map_or_else(|| "http://localhost".to_owned(), |host| format!("http://{host}"))
}

/// Binds a loopback address.
pub(super) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
