//! No secret, token or assertion shows anywhere: canaries through every error and every log line.

use std::io::{self, Write};

use startguard::emulator::{Effect, RetryAfter};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const APPLICATION: &str = include_str!("../fixtures/identity/application.pem");
const FEDERATED: &str = "canary.federated.token";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Answers that a careless or hostile endpoint might give: they repeat what they were `sent`.
fn answers(sent: &str) -> Vec<Option<(u16, String)>> {
    vec![
        None,
        Some((401, format!("{{\"error\":\"x\",\"error_description\":\"AADSTS50027: {sent}\"}}"))),
        Some((400, format!("{{\"error\":\"{sent}\"}}"))),
        Some((502, format!("<html>{sent}</html>"))),
        Some((200, format!("{{\"access_token\":\"{FEDERATED}\",\"expires_in\":\"canary\"}}"))),
        Some((200, "{\"access_token\":\"canary \\u0007\",\"expires_in\":3599}".to_owned())),
        Some((307, sent.to_owned())),
    ]
}

async fn bench_that_answers(answer: Option<(u16, String)>) -> Bench {
    let Some((status, body)) = answer else { return Bench::new().await };
    Bench::with_fault(FaultRule::on(
        OperationKind::Token,
        Effect::Status {
            status,
            retry_after: RetryAfter::Absent,
            code: None,
            message: None,
            body: Some(body),
            applied: false,
        },
    ))
    .await
}

// One thread, so that the log of this thread is the log of everything that the test runs.
#[tokio::test(flavor = "current_thread")]
async fn no_error_no_log_line_and_no_debug_shows_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (pem, federated) = (dir.path().join("app.pem"), dir.path().join("federated"));
    std::fs::write(&pem, APPLICATION).unwrap();
    std::fs::write(&federated, FEDERATED).unwrap();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let mut shown = String::new();
    let mut hidden = Vec::new();
    for (kind, sent) in [
        (AuthKind::ClientSecret, "canary~secret, encoded canary%7Esecret"),
        (AuthKind::ClientCertificate, "an assertion, eyJjYW5hcnki.eyJjYW5hcnki.canary"),
        (AuthKind::WorkloadIdentity, FEDERATED),
    ] {
        for answer in answers(sent) {
            let bench = bench_that_answers(answer).await;
            let settings = IdentitySettings {
                client_certificate_path: Some(pem.clone()),
                federated_token_file: Some(federated.clone()),
                ..bench.settings(kind)
            };
            shown.push_str(&format!("{settings:?}\n"));
            let identity = bench.identity(settings);
            match token(&identity).await {
                Ok(token) => hidden.push(token),
                Err(error) => shown.push_str(&format!("{error} {error:?}\n")),
            }
            shown.push_str(&format!("{identity:?} {}\n", identity.describe()));
            hidden.extend(bench.front.last_field("client_assertion"));
        }
    }
    drop(logging);
    let logged = log.text();
    assert!(logged.contains("azure_core") || logged.contains("typespec"), "nothing was logged");
    assert_eq!(hidden.len(), 3 + 2 * answers("").len());
    shown.push_str(&logged);
    for secret in hidden.iter().map(String::as_str).chain(["canary", "PRIVATE KEY"]) {
        let at = shown.find(secret).map(|at| {
            let start = shown.floor_char_boundary(at.saturating_sub(200));
            shown[start..shown.ceil_char_boundary(at + 200)].to_owned()
        });
        assert_eq!(at, None, "{secret} shows");
    }
}
