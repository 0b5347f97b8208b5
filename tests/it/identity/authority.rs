//! Credentials that the authority checks: secret, certificate, federated token; and an authority
//! that does not do what it should.

use std::time::Instant;

use serde_json::{Value, json};
use startguard::emulator::Effect;

use super::*;

/// Made by openssl: another certificate, the key, and the certificate that belongs to it.
const APPLICATION: &str = include_str!("../fixtures/identity/application.pem");

/// The key's public half.
const PUBLIC: &[u8] = include_bytes!("../fixtures/identity/application.pub.der");

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn fault(effect: Effect) -> FaultRule {
    FaultRule::on(OperationKind::Token, effect)
}

fn answer(status: u16, body: &str) -> FaultRule {
    fault(Effect::Status {
        status,
        retry_after: startguard::emulator::RetryAfter::Absent,
        code: None,
        message: None,
        body: Some(body.to_owned()),
        applied: false,
    })
}

#[tokio::test]
async fn a_client_secret_gets_a_token_and_keeps_it() {
    let bench = Bench::new().await;
    let identity = bench.identity(bench.settings(AuthKind::ClientSecret));
    let words = format!("the client secret of application {CLIENT} in tenant {TENANT}");
    assert_eq!(identity.describe(), words);
    let first = token(&identity).await.unwrap();
    for _ in 0..3 {
        assert_eq!(token(&identity).await.unwrap(), first);
    }
    assert_eq!(bench.asked(), 1);
    assert!(identity.refresh().await);
    assert_ne!(token(&identity).await.unwrap(), first);
    assert_eq!(bench.asked(), 2);
    assert_eq!(bench.front.last_field("client_secret").as_deref(), Some(SECRET));
    let scope = "https://graph.microsoft.com/.default";
    assert_eq!(bench.front.last_field("scope").as_deref(), Some(scope));
    // A connection that is used twice may be one that the server has just closed.
    assert_eq!(bench.front.connections(), 2);
}

#[tokio::test]
async fn a_client_certificate_gets_a_token_with_an_assertion_that_verifies() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.pem");
    std::fs::write(&path, APPLICATION).unwrap();
    let identity = bench.identity(IdentitySettings {
        client_certificate_path: Some(path),
        ..bench.settings(AuthKind::ClientCertificate)
    });
    token(&identity).await.unwrap();
    assert_eq!(bench.front.last_field("client_secret"), None);
    assert_eq!(bench.front.last_field("client_assertion_type").as_deref(), Some(ASSERTION_TYPE));
    let assertion = bench.front.last_field("client_assertion").unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("{assertion}") };
    let bytes = |part: &str| azure_core::base64::decode_url_safe(part).unwrap();
    let key =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, PUBLIC);
    key.verify(format!("{head}.{body}").as_bytes(), &bytes(signature)).unwrap();
    let head: Value = serde_json::from_slice(&bytes(head)).unwrap();
    assert_eq!((&head["alg"], &head["typ"]), (&json!("PS256"), &json!("JWT")));
    assert!(head["x5t#S256"].is_string());
    let claims: Value = serde_json::from_slice(&bytes(body)).unwrap();
    let audience = format!("{}/{TENANT}/oauth2/v2.0/token", bench.front.url());
    assert_eq!(claims["aud"], audience);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 600);
}

#[tokio::test]
async fn a_federated_token_is_read_anew_for_every_request_and_sent_without_its_line_break() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("federated");
    std::fs::write(&path, "first.federated.token\n").unwrap();
    let identity = bench.identity(IdentitySettings {
        federated_token_file: Some(path.clone()),
        client_secret: None,
        ..bench.settings(AuthKind::Environment)
    });
    token(&identity).await.unwrap();
    let sent = || bench.front.last_field("client_assertion").unwrap();
    assert_eq!(sent(), "first.federated.token");
    std::fs::write(&path, "second.federated.token").unwrap();
    assert!(identity.refresh().await);
    token(&identity).await.unwrap();
    assert_eq!(sent(), "second.federated.token");
    assert_eq!(bench.front.last_field("client_assertion_type").as_deref(), Some(ASSERTION_TYPE));
}

#[tokio::test]
async fn a_file_that_is_not_there_costs_no_request() {
    let bench = Bench::new().await;
    let missing = Some("/nonexistent/startguard/file".into());
    for (settings, variable) in [
        (
            IdentitySettings {
                federated_token_file: missing.clone(),
                ..bench.settings(AuthKind::WorkloadIdentity)
            },
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
        (
            IdentitySettings {
                client_certificate_path: missing.clone(),
                ..bench.settings(AuthKind::ClientCertificate)
            },
            "AZURE_CLIENT_CERTIFICATE_PATH",
        ),
    ] {
        let error = token(&bench.identity(settings)).await.unwrap_err();
        assert!(error.problem.contains("/nonexistent/startguard/file cannot be read"), "{error}");
        assert!(error.remedy.contains(variable), "{error:?}");
    }
    assert_eq!(bench.front.connections(), 0);
}

#[tokio::test]
async fn auto_uses_the_environment_and_tells_so_once_it_answered() {
    let bench = Bench::new().await;
    let identity = bench.identity(bench.settings(AuthKind::Auto));
    assert_eq!(identity.describe(), "auto (not asked yet)");
    token(&identity).await.unwrap();
    let words = "auto, answered by the client secret of application";
    assert!(identity.describe().starts_with(words), "{}", identity.describe());
}

#[tokio::test]
async fn auto_does_not_go_on_when_the_environments_secret_is_wrong() {
    let bench = Bench::new().await;
    let identity = bench.identity(IdentitySettings {
        client_secret: Some(SecretString::from("canary-wrong")),
        ..bench.settings(AuthKind::Auto)
    });
    let error = token(&identity).await.unwrap_err();
    assert!(error.problem.starts_with("AADSTS7000215: Invalid client secret"), "{error}");
    assert!(error.problem.contains("HTTP 401"), "{error}");
    assert!(error.credential.starts_with("the client secret of"), "{error}");
    assert_eq!(identity.describe(), "auto (not asked yet)");
}

#[tokio::test]
async fn a_refusal_tells_code_status_and_remedy() {
    let bench = Bench::new().await;
    let good = || bench.settings(AuthKind::ClientSecret);
    let wrong = Some(SecretString::from("canary-wrong"));
    for (settings, code, word) in [
        (IdentitySettings { client_secret: wrong, ..good() }, "AADSTS7000215", "CLIENT_SECRET"),
        (
            IdentitySettings { client_id: Some("nobody".to_owned()), ..good() },
            "AADSTS700016",
            "AZURE_CLIENT_ID",
        ),
        (
            IdentitySettings { tenant_id: Some("elsewhere".to_owned()), ..good() },
            "AADSTS700016",
            "AZURE_TENANT_ID",
        ),
    ] {
        let error = token(&bench.identity(settings)).await.unwrap_err();
        assert!(error.problem.contains(code) && error.problem.contains("HTTP 40"), "{error}");
        assert!(error.remedy.contains(word), "{error:?}");
        assert!(!error.transient && !error.problem.contains(char::is_control), "{error}");
    }
}

#[tokio::test]
async fn callers_at_once_cost_one_request_whether_it_works_or_not() {
    let bench = Bench::new().await;
    for (secret, works) in [(SECRET, true), ("canary-wrong", false)] {
        let before = bench.asked();
        let identity = bench.identity(IdentitySettings {
            client_secret: Some(SecretString::from(secret)),
            ..bench.settings(AuthKind::ClientSecret)
        });
        let told = futures_util::future::join_all((0..50).map(|_| token(&identity))).await;
        assert!(told.iter().all(|one| one.is_ok() == works));
        assert_eq!(token(&identity).await.is_ok(), works);
        assert_eq!(bench.asked() - before, 1);
    }
}

#[tokio::test]
async fn a_short_lived_token_is_kept_too() {
    let client = Client {
        client_id: CLIENT.to_owned(),
        client_secret: Some(SECRET.to_owned()),
        tenant: None,
    };
    let auth =
        Auth { clients: vec![client], token_lifetime: Duration::from_secs(120), ..Auth::default() };
    let emulator = Emulator::builder().auth(auth).start().await.unwrap();
    let front = Front::before(emulator.address()).await;
    let bench = Bench { emulator, front };
    let identity = bench.identity(bench.settings(AuthKind::ClientSecret));
    let first = token(&identity).await.unwrap();
    assert_eq!(token(&identity).await.unwrap(), first);
    let error = identity.token(Duration::from_secs(130)).await.unwrap_err();
    assert!(error.problem.contains("a fresh token ends"), "{error}");
    // azure_identity would have asked three times.
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn an_endpoint_that_fails_is_asked_once_and_its_status_survives() {
    let html = |status| fault(Effect::Html { status });
    for (rule, word, transient) in [
        (fault(Effect::status(503)), "HTTP 503", true),
        (fault(Effect::status_retry_after(429, 30)), "HTTP 429", true),
        (html(502), "HTTP 502", true),
        (html(404), "HTTP 404", false),
        (html(200), "not a token", true),
        (answer(200, "{}"), "not a token", true),
        (
            answer(400, r#"{"error_description":"AADSTS90002: \"no\"\r\ntenant","error":"x"}"#),
            "AADSTS90002: \"no\" tenant (HTTP 400",
            false,
        ),
        (fault(Effect::Malformed), "not a token", true),
        (fault(Effect::lost_before()), "broke off", true),
        (fault(Effect::Truncated), "broke off", true),
        (fault(Effect::Huge { bytes: 50_000_000 }), "not a token", true),
    ] {
        let name = format!("{rule:?}");
        let bench = Bench::with_fault(rule).await;
        let identity = bench.identity(bench.settings(AuthKind::ClientSecret));
        let error = token(&identity).await.unwrap_err();
        assert!(error.problem.contains(word), "{name}: {error}");
        assert_eq!(error.transient, transient, "{name}: {error}");
        assert!(!error.problem.contains(char::is_control), "{name}: {error}");
        assert_eq!(bench.asked(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_redirect_takes_the_secret_nowhere() {
    let elsewhere = Bench::new().await;
    let location = format!("{}/{TENANT}/oauth2/v2.0/token", elsewhere.front.url());
    for status in [301, 302, 303, 307, 308] {
        let effect = Effect::Redirect { status, location: location.clone() };
        let bench = Bench::with_fault(fault(effect)).await;
        let error =
            token(&bench.identity(bench.settings(AuthKind::ClientSecret))).await.unwrap_err();
        assert!(error.problem.contains("not followed"), "{error}");
        assert_eq!(bench.asked(), 1);
    }
    assert_eq!(elsewhere.front.connections(), 0);
}

#[tokio::test]
async fn an_endpoint_that_hangs_or_trickles_ends_with_the_deadline() {
    let slow = Duration::from_secs(3_600);
    for rule in [
        fault(Effect::None).delayed_before(slow),
        fault(Effect::Trickle { interval: Duration::from_millis(200) }),
    ] {
        let bench = Bench::with_fault(rule).await;
        let deadline = Duration::from_millis(400);
        let settings = IdentitySettings { deadline, ..bench.settings(AuthKind::ClientSecret) };
        let identity = bench.identity(settings);
        let began = now();
        let error = token(&identity).await.unwrap_err();
        assert!(began.elapsed() >= deadline && began.elapsed() < Duration::from_secs(10));
        assert_eq!(error.problem, "no answer within 0.4 s");
        assert!(error.transient);
        assert_eq!(bench.asked(), 1);
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline of real traffic is measured")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_transient_and_one_that_is_not_trusted_is_not() {
    let bench = Bench::new().await;
    let untrusted = identity(
        bench.settings(AuthKind::ClientSecret),
        startguard::tls::trusting_nobody,
        Arc::new(SystemClock),
    );
    let error = token(&untrusted.unwrap()).await.unwrap_err();
    assert!(error.problem.contains("is not trusted"), "{error}");
    assert!(error.remedy.contains("ca_file") && !error.transient, "{error:?}");
    assert_eq!(bench.asked(), 0);

    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = IdentitySettings {
        authority_host: format!("https://{free}"),
        ..bench.settings(AuthKind::ClientSecret)
    };
    let error = token(&bench.identity(away)).await.unwrap_err();
    assert!(error.problem.contains("could not be reached"), "{error}");
    assert!(error.transient);
}

#[test]
fn a_ca_file_that_is_missing_is_told_with_its_remedy() {
    let told = identity(
        settings(AuthKind::ClientSecret),
        || startguard::tls::client_config(Some(std::path::Path::new("/nonexistent/ca.pem"))),
        Arc::new(SystemClock),
    );
    let error = told.unwrap_err();
    assert!(error.problem.contains("/nonexistent/ca.pem cannot be read"), "{error}");
    assert!(error.remedy.contains("ca_file"), "{error:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_request() {
    let good = || settings(AuthKind::ClientSecret);
    for (settings, word) in [
        (IdentitySettings { authority_host: "http://127.0.0.1:1".to_owned(), ..good() }, "https"),
        (IdentitySettings { tenant_id: None, ..good() }, "AZURE_TENANT_ID"),
        (IdentitySettings { scope: "a;b".to_owned(), ..good() }, "scope"),
        (settings(AuthKind::Token), "STARTGUARD_TOKEN"),
    ] {
        let tls = || panic!("no TLS for what cannot work");
        let error = identity(settings, tls, Arc::new(SystemClock)).unwrap_err();
        let told = format!("{error} {}", error.remedy);
        assert!(told.contains(word), "{told}");
        assert!(error.credential.contains("[auth] kind"), "{error}");
    }
}
