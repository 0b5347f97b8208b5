//! A process of its own that asks for tokens: what `azure_identity` reads from the environment, and
//! the PATH on which `az` is found, belong to a process.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::*;

/// Names the question in the child's environment.
const QUESTION: &str = "STARTGUARD_TEST_QUESTION";

/// Marks the line with the answer, between what the test runner prints.
const ANSWER: &str = "startguard-test-answer ";

/// What the child is asked, and its environment.
pub(super) struct Question {
    pub(super) kind: AuthKind,
    pub(super) hint: bool,
    /// How often to ask; before each but the first, the token is forgotten.
    pub(super) refreshes: usize,
    pub(super) deadline: Duration,
    pub(super) client_id: Option<&'static str>,
    /// Where the application's secret is sent, for the kind that has one.
    pub(super) authority: String,
    pub(super) environment: Vec<(&'static str, String)>,
}

/// What it told.
pub(super) struct Told {
    /// `describe` before the first call and after the last.
    pub(super) described: (String, String),
    /// Each call's token, or its error.
    pub(super) calls: Vec<Result<String, Value>>,
    /// Everything that it wrote.
    pub(super) output: String,
}

impl Question {
    pub(super) fn of(kind: AuthKind) -> Self {
        Self {
            kind,
            hint: false,
            refreshes: 0,
            deadline: TOKEN_DEADLINE,
            client_id: None,
            authority: "https://127.0.0.1:1".to_owned(),
            environment: Vec::new(),
        }
    }

    pub(super) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(super) async fn ask(self) -> Told {
        let question = json!({
            "kind": self.kind, "hint": self.hint, "refreshes": self.refreshes,
            "deadline_ms": u64::try_from(self.deadline.as_millis()).unwrap(),
            "client_id": self.client_id, "authority": self.authority,
        });
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "identity::child::answers_the_question", "--ignored", "--nocapture"])
            .env_clear()
            .env(QUESTION, question.to_string())
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let output =
            tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let line = stdout.lines().find_map(|line| line.split_once(ANSWER)).map(|(_, json)| json);
        let line = line.unwrap_or_else(|| panic!("no answer: {stdout}{stderr}"));
        let answer: Value = serde_json::from_str(line).unwrap();
        let calls = answer["calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["token"].as_str().map(str::to_owned).ok_or_else(|| call.clone()));
        let words = |name: &str| answer[name].as_str().unwrap().to_owned();
        Told {
            described: (words("before"), words("after")),
            calls: calls.collect(),
            output: format!("{stdout}{stderr}"),
        }
    }
}

#[test]
#[ignore = "run by the tests in identity::environment, in a process whose environment they set"]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "that is how a child is told")]
fn answers_the_question() {
    let Ok(question) = std::env::var(QUESTION) else { return };
    let question: Value = serde_json::from_str(&question).unwrap();
    let kind: AuthKind = serde_json::from_value(question["kind"].clone()).unwrap();
    let has_secret = kind == AuthKind::ClientSecret;
    let settings = IdentitySettings {
        tenant_id: has_secret.then(|| TENANT.to_owned()),
        client_id: question["client_id"].as_str().map(str::to_owned),
        client_secret: has_secret.then(|| SecretString::from(SECRET)),
        authority_host: question["authority"].as_str().unwrap().to_owned(),
        managed_identity_hint: question["hint"].as_bool().unwrap(),
        deadline: Duration::from_millis(question["deadline_ms"].as_u64().unwrap()),
        ..settings(kind)
    };
    let tls = move || {
        assert!(has_secret, "neither a managed identity nor the Azure CLI needs TLS");
        startguard::tls::trusting_nobody()
    };
    let clock = Arc::new(Leaping::default());
    let identity = identity(settings, tls, Arc::<Leaping>::clone(&clock)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let before = identity.describe();
        let mut calls = Vec::new();
        for call in 0..=question["refreshes"].as_u64().unwrap() {
            if call > 0 {
                clock.leap();
                assert!(identity.refresh().await);
            }
            // The second ask of each round must be answered from what is kept.
            for _ in 0..2 {
                calls.push(match token(&identity).await {
                    Ok(token) => json!({ "token": token }),
                    Err(error) => json!({
                        "error": error.to_string(), "problem": error.problem,
                        "remedy": error.remedy, "transient": error.transient,
                        "debug": format!("{error:?} {identity:?}"),
                    }),
                });
            }
        }
        json!({ "before": before, "after": identity.describe(), "calls": calls })
    });
    println!("\n{ANSWER}{answer}");
}

/// The machine's clock, but for leaps over the rest between two failures or refreshes.
#[derive(Debug, Default)]
struct Leaping(std::sync::atomic::AtomicU64);

impl Leaping {
    fn leap(&self) {
        self.0.fetch_add(60, std::sync::atomic::Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl startguard::ports::Clock for Leaping {
    fn wall(&self) -> startguard::model::Timestamp {
        SystemClock.wall()
    }

    fn tick(&self) -> startguard::model::Tick {
        let leapt = self.0.load(std::sync::atomic::Ordering::SeqCst);
        SystemClock.tick().after(Duration::from_secs(leapt))
    }

    fn boot(&self) -> Option<startguard::model::BootTime> {
        SystemClock.boot()
    }

    // The program's own waiting, which the test only passes on.
    async fn sleep(&self, span: Duration) {
        SystemClock.sleep(span).await;
    }
}
