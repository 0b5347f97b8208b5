//! The emulator over real sockets: its endpoints, its faults and its counts, asked by an ordinary HTTP client.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails in a helper fails its test")]

mod batch;
mod counts;
mod endpoints;
mod faults;
mod identity;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use startguard::emulator::{Emulator, EmulatorBuilder, JobConfig, JobCounts};

const SP: &str = "60443998-8cf7-4e61-b05c-a53b658cb5e1";
const JOB: &str = "BoxOutDelta.e4bbf44533ea4eabb17027f3a92e92aa";

/// An emulator and a client that speaks to it.
struct Bench {
    emulator: Emulator,
    client: Client,
}

impl Bench {
    /// One job in this state.
    async fn with(code: &str) -> Self {
        Self::of(Emulator::builder().job(SP, JobConfig::new(JOB, code))).await
    }

    async fn of(builder: EmulatorBuilder) -> Self {
        Self { emulator: builder.start().await.unwrap(), client: client() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.base_url())
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth("token")
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth("token")
    }

    /// Reads the job.
    async fn read(&self) -> reqwest::Result<Response> {
        self.get(&job_path("")).send().await
    }

    /// Starts the job.
    async fn start(&self) -> reqwest::Result<Response> {
        self.post(&job_path("/start")).send().await
    }

    /// The job's code as a read shows it.
    async fn code(&self) -> String {
        let job: Value = json(self.read().await.unwrap()).await;
        job["status"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The job's true code.
    fn true_code(&self) -> String {
        self.emulator.condition(SP, JOB).unwrap().code
    }

    /// Waits until a read shows this code.
    async fn until(&self, code: &str) {
        let shown = async {
            while self.code().await != code {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(10);
        assert!(tokio::time::timeout(limit, shown).await.is_ok(), "never {code}");
    }

    /// Waits until the emulator counted this of the job.
    async fn until_counted(&self, wanted: impl Fn(&JobCounts) -> bool) {
        let counted = async {
            while !wanted(&self.emulator.job(SP, JOB)) {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(10);
        let job = || self.emulator.job(SP, JOB);
        assert!(tokio::time::timeout(limit, counted).await.is_ok(), "never counted: {:?}", job());
    }
}

fn job_path(rest: &str) -> String {
    format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/{JOB}{rest}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a plain client, with the traps that matter here closed"
)]
fn client() -> Client {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.retry(reqwest::retry::never()).no_proxy().build().unwrap()
}

async fn json(response: Response) -> Value {
    let bytes = response.bytes().await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
}
