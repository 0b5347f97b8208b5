//! Managed identity and Azure CLI, each in a process with an environment of its own, and `auto`
//! between them.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use startguard::emulator::Effect;
use tokio::io::AsyncReadExt as _;

use super::{child::Question, *};

/// A folder with a program called `az`, which notes each run before it does what it is told.
struct Az(tempfile::TempDir);

impl Az {
    fn that(does: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let az = dir.path().join("az");
        let runs = dir.path().join("runs");
        let script = format!("#!/bin/sh\necho \"$@\" >> {}\n{does}\n", runs.display());
        std::fs::write(&az, script).unwrap();
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    /// One that gives a token named after its run.
    fn that_works() -> Self {
        Self::that(
            "n=$(wc -l < \"$(dirname \"$0\")/runs\")\n\
             echo \"{\\\"accessToken\\\":\\\"az-token-$n\\\",\\\"expires_on\\\":4102444800,\
             \\\"tokenType\\\":\\\"Bearer\\\"}\"",
        )
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn search(&self) -> String {
        format!("{}:/usr/bin:/bin", self.path().display())
    }

    fn runs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/msi/token", listener.local_addr().unwrap())
}

async fn emulator() -> Emulator {
    Emulator::builder().start().await.unwrap()
}

fn asked(emulator: &Emulator) -> u64 {
    emulator.counts().of(OperationKind::Token)
}

/// A process on App Service whose managed identity is at `endpoint`, with this `az` besides.
fn on_app_service(kind: AuthKind, endpoint: &str, az: &Az) -> Question {
    Question { hint: true, ..Question::of(kind) }
        .set("IDENTITY_ENDPOINT", endpoint)
        .set("IDENTITY_HEADER", "canary-header")
        .set("PATH", az.search())
}

#[tokio::test]
async fn a_managed_identity_gets_a_token() {
    let emulator = emulator().await;
    let endpoint = format!("{}/msi/token", emulator.base_url());
    let question = on_app_service(AuthKind::ManagedIdentity, &endpoint, &Az::that_works());
    let told = Question { refreshes: 1, client_id: Some("mine"), ..question }.ask().await;
    assert_eq!(told.described.1, "the managed identity mine");
    assert!(told.calls.iter().all(Result::is_ok), "{:?}", told.calls);
    assert_eq!(told.calls[0], told.calls[1]);
    assert_ne!(told.calls[1], told.calls[2]);
    assert_eq!(asked(&emulator), 2);
    let target = &emulator.requests()[0].target;
    assert!(target.contains("resource=https%3A%2F%2Fgraph.microsoft.com&"), "{target}");
    assert!(target.contains("client_id=mine"), "{target}");
}

#[tokio::test]
async fn the_azure_cli_is_run_once_and_its_token_kept() {
    let az = Az::that_works();
    let question = Question { refreshes: 1, ..Question::of(AuthKind::AzureCli) };
    let told = question.set("PATH", az.search()).ask().await;
    let tokens: Vec<_> = told.calls.into_iter().map(Result::unwrap).collect();
    assert_eq!(tokens, ["az-token-1", "az-token-1", "az-token-2", "az-token-2"]);
    assert_eq!(told.described.1, "the Azure CLI");
    let wanted = "account get-access-token -o json --scope https://graph.microsoft.com/.default";
    assert_eq!(az.runs(), [wanted, wanted]);
}

#[tokio::test]
async fn what_is_wrong_with_the_azure_cli_is_told_with_its_remedy() {
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().display().to_string();
    let login = Az::that("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let factor = Az::that("echo 'ERROR: AADSTS50076: more\\033[31m is needed' >&2; exit 1");
    let old = Az::that("echo '{\"accessToken\":\"canary-token\",\"tokenType\":\"Bearer\"}'");
    let chatty = Az::that("echo 'canary-token, not JSON'");
    for (path, problem, remedy) in [
        (missing, "az is not on the PATH", "az login"),
        (login.search(), "nobody is logged in to the Azure CLI", "az login"),
        (factor.search(), "AADSTS50076: more", "multi-factor"),
        (old.search(), "az answered something that is not a token", "2.54"),
        (chatty.search(), "az answered something that is not a token", "2.54"),
    ] {
        let told = Question::of(AuthKind::AzureCli).set("PATH", path).ask().await;
        let error = told.calls[0].as_ref().unwrap_err();
        let told_problem = error["problem"].as_str().unwrap();
        assert!(told_problem.starts_with(problem), "{error}");
        assert!(!told_problem.contains(char::is_control), "{error}");
        assert!(error["remedy"].as_str().unwrap().contains(remedy), "{error}");
        assert_eq!(error["transient"], false);
        assert!(!told.output.contains("canary"), "{}", told.output);
    }
}

#[tokio::test]
async fn an_azure_cli_that_hangs_is_ended_with_all_that_it_started() {
    let az = Az::that("sleep 600 & echo $! > \"$(dirname \"$0\")/pid\"; wait");
    let question =
        Question { deadline: Duration::from_secs(2), ..Question::of(AuthKind::AzureCli) };
    let told = question.set("PATH", az.search()).ask().await;
    let error = told.calls[0].as_ref().unwrap_err();
    assert_eq!(error["problem"], "no answer within 2 s", "{error}");
    // The second call was answered from the kept failure.
    assert_eq!(az.runs().len(), 1);
    let pid = std::fs::read_to_string(az.path().join("pid")).unwrap();
    let gone = async {
        while is_running(pid.trim()) {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok(), "{pid} still runs");
}

/// Whether a process is there and not merely waiting to be collected.
fn is_running(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

/// The first line that reaches a proxy, which then hangs up; none if nothing does.
async fn first_line(listener: tokio::net::TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    while !heard.contains(&b'\n') {
        assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "no line");
    }
    String::from_utf8(heard).unwrap().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_authority_elsewhere_is_reached_through_the_proxy_and_one_on_this_machine_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://user:canary-pass@{}", listener.local_addr().unwrap());
    let heard = tokio::spawn(first_line(listener));
    let question = |authority: &str| {
        let question = Question::of(AuthKind::ClientSecret).set("HTTPS_PROXY", &proxy);
        Question { authority: authority.to_owned(), client_id: Some(CLIENT), ..question }
    };
    let here = question("https://127.0.0.1:1").ask().await;
    assert!(!heard.is_finished(), "the proxy was asked for this machine");
    let there = question("https://login.example.test").ask().await;
    assert_eq!(heard.await.unwrap(), "CONNECT login.example.test:443 HTTP/1.1");
    for told in [here, there] {
        let error = told.calls[0].as_ref().unwrap_err();
        assert!(error["problem"].as_str().unwrap().contains("could not be reached"), "{error}");
        assert!(!told.output.contains("canary"), "{}", told.output);
    }
}

#[tokio::test]
async fn auto_takes_the_managed_identity_and_leaves_the_azure_cli_alone() {
    let emulator = emulator().await;
    let endpoint = format!("{}/msi/token", emulator.base_url());
    let az = Az::that_works();
    let told = on_app_service(AuthKind::Auto, &endpoint, &az).ask().await;
    assert_eq!(told.described.0, "auto (not asked yet)");
    assert_eq!(told.described.1, "auto, answered by the managed identity");
    assert!(told.calls.iter().all(Result::is_ok), "{:?}", told.calls);
    assert_eq!(az.runs().len(), 0);
}

#[tokio::test]
async fn auto_goes_on_to_the_azure_cli_where_no_managed_identity_is() {
    let az = Az::that_works();
    let told = on_app_service(AuthKind::Auto, &nobody().await, &az).ask().await;
    assert_eq!(told.described.1, "auto, answered by the Azure CLI");
    assert_eq!(told.calls[0], Ok("az-token-1".to_owned()));
    // Azure Arc has an endpoint that azure_identity cannot use.
    let arc = Question { hint: true, ..Question::of(AuthKind::Auto) }
        .set("IDENTITY_ENDPOINT", nobody().await)
        .set("IMDS_ENDPOINT", nobody().await)
        .set("PATH", az.search());
    assert_eq!(arc.ask().await.described.1, "auto, answered by the Azure CLI");
}

#[tokio::test]
async fn auto_keeps_to_the_one_that_answered() {
    let emulator = emulator().await;
    // At first it is no managed identity, as another cloud's metadata service is none.
    let refused = FaultRule::on(OperationKind::Token, Effect::Html { status: 403 }).times(1);
    emulator.add_fault(refused).unwrap();
    let endpoint = format!("{}/msi/token", emulator.base_url());
    let az = Az::that_works();
    let question = on_app_service(AuthKind::Auto, &endpoint, &az);
    let told = Question { hint: false, refreshes: 2, ..question }.ask().await;
    let tokens: Vec<_> = told.calls.into_iter().map(Result::unwrap).collect();
    assert_eq!(tokens[0], "az-token-1");
    assert_eq!(tokens[5], "az-token-3");
    assert_eq!(told.described.1, "auto, answered by the Azure CLI");
    assert_eq!(asked(&emulator), 1);
}

#[tokio::test]
async fn auto_does_not_become_somebody_else_when_the_managed_identity_fails() {
    let faults = [Effect::status(500), Effect::Html { status: 403 }, Effect::Malformed];
    for effect in faults {
        let emulator = emulator().await;
        emulator.add_fault(FaultRule::on(OperationKind::Token, effect.clone())).unwrap();
        let endpoint = format!("{}/msi/token", emulator.base_url());
        let az = Az::that_works();
        let told = on_app_service(AuthKind::Auto, &endpoint, &az).ask().await;
        let error = told.calls[0].as_ref().unwrap_err();
        let text = error["error"].as_str().unwrap();
        assert!(text.starts_with("no access token from the managed identity: "), "{error}");
        assert_eq!(asked(&emulator), 1, "{effect:?}");
        assert_eq!(az.runs().len(), 0);
        assert!(!told.output.contains("canary"), "{}", told.output);
    }
}

#[tokio::test]
async fn where_nobody_is_there_every_one_that_was_tried_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let question = Question { hint: true, ..Question::of(AuthKind::Auto) }
        .set("IDENTITY_ENDPOINT", nobody().await)
        .set("IDENTITY_HEADER", "canary-header")
        .set("PATH", empty.path().display().to_string());
    let told = question.ask().await;
    let error = told.calls[0].as_ref().unwrap_err();
    let problem = error["problem"].as_str().unwrap();
    for part in [
        "The environment: holds none",
        "the managed identity: http://127.0.0.1:",
        "could not be reached",
        "the Azure CLI: az is not on the PATH",
    ] {
        assert!(problem.contains(part), "{problem}");
    }
    assert!(error["remedy"].as_str().unwrap().contains("az login"), "{error}");
    assert_eq!(error["transient"], true, "the environment promises an endpoint: {error}");
    assert_eq!(told.described.1, "auto (not asked yet)");
    assert!(!told.output.contains("canary"), "{}", told.output);
}
