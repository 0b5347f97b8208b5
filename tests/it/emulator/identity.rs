//! Who gets a token, and whose token passes.

use std::time::Duration;

use serde_json::{Value, json};
use startguard::emulator::{Auth, Client, Effect, Emulator, FaultRule, OperationKind, TokenRule};

use super::{Bench, json};

fn strict() -> Auth {
    Auth {
        accept: TokenRule::Known,
        tokens: vec!["fixed".to_owned()],
        clients: vec![Client {
            client_id: "client".to_owned(),
            client_secret: Some("right".to_owned()),
            tenant: Some("contoso".to_owned()),
        }],
        ..Auth::default()
    }
}

async fn ask(bench: &Bench, tenant: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = bench.client.post(bench.url(&format!("/{tenant}/oauth2/v2.0/token"))).form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), json(answer).await)
}

const SECRET: [(&str, &str); 4] = [
    ("grant_type", "client_credentials"),
    ("client_id", "client"),
    ("client_secret", "right"),
    ("scope", "https://graph.microsoft.com/.default"),
];

#[tokio::test]
async fn an_issued_token_passes_and_a_made_up_one_does_not() {
    let bench = Bench::of(Emulator::builder().auth(strict())).await;
    let (status, issued) = ask(&bench, "contoso", &SECRET).await;
    assert_eq!(status, 200);
    assert_eq!((&issued["token_type"], &issued["expires_in"]), (&json!("Bearer"), &json!(3599)));
    let issued = issued["access_token"].as_str().unwrap().to_owned();
    let url = bench.url("/v1.0/servicePrincipals");
    for (token, status) in [(issued.as_str(), 200), ("fixed", 200), ("made-up", 401)] {
        let answer = bench.client.get(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status, "{token}");
    }
    let none = bench.client.get(&url).send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert!(none.headers().contains_key("www-authenticate"));
    assert_eq!(json(none).await["error"]["code"], "InvalidAuthenticationToken");
    assert_eq!(bench.emulator.counts().unauthorized, 2);
    assert_eq!(bench.emulator.counts().of(OperationKind::Token), 1);
}

#[tokio::test]
async fn a_token_runs_out() {
    let auth = Auth { token_lifetime: Duration::ZERO, ..strict() };
    let bench = Bench::of(Emulator::builder().auth(auth)).await;
    let (_, issued) = ask(&bench, "contoso", &SECRET).await;
    let token = issued["access_token"].as_str().unwrap();
    let answer = bench
        .client
        .get(bench.url("/v1.0/servicePrincipals"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    assert!(json(answer).await["error"]["message"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn any_token_that_is_not_empty_passes_by_default() {
    let bench = Bench::of(Emulator::builder()).await;
    let url = bench.url("/v1.0/servicePrincipals");
    for (header, status) in
        [("Bearer x", 200), ("bearer x", 200), ("Bearer ", 401), ("Basic x", 401), ("x", 401)]
    {
        let answer = bench.client.get(&url).header("Authorization", header).send().await.unwrap();
        assert_eq!(answer.status(), status, "{header:?}");
    }
}

#[tokio::test]
async fn refusals_are_worded_as_the_identity_platform_words_them() {
    let bench = Bench::of(Emulator::builder().auth(strict())).await;
    let with = |name: &'static str, value: &'static str| {
        SECRET.map(|(key, old)| (key, if key == name { value } else { old }))
    };
    for (tenant, form, status, error, number) in [
        ("contoso", with("client_secret", "wrong"), 401, "invalid_client", 7_000_215),
        ("contoso", with("client_secret", ""), 401, "invalid_client", 7_000_216),
        ("contoso", with("client_id", "nobody"), 400, "unauthorized_client", 700_016),
        ("fabrikam", SECRET, 400, "unauthorized_client", 700_016),
        ("contoso", with("grant_type", "password"), 400, "unsupported_grant_type", 70_003),
        ("contoso", with("scope", ""), 400, "invalid_request", 900_144),
    ] {
        let (got, body) = ask(&bench, tenant, &form).await;
        assert_eq!((got, &body["error"]), (status, &json!(error)));
        assert_eq!(body["error_codes"], json!([number]));
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
        assert!(description.contains("\r\nTrace ID: "), "{description}");
    }
}

#[tokio::test]
async fn an_assertion_stands_in_for_a_secret() {
    let bench = Bench::of(Emulator::builder().auth(strict())).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "eyJ.e30.x"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(ask(&bench, "contoso", &form).await.0, 200);
}

#[tokio::test]
async fn a_managed_identity_gets_a_token() {
    let bench = Bench::of(Emulator::builder().auth(strict())).await;
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com";
    let answer = bench.client.get(bench.url(path)).header("Metadata", "true").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let issued = json(answer).await;
    assert_eq!(issued["resource"], "https://graph.microsoft.com");
    let token = issued["access_token"].as_str().unwrap();
    let read = bench.client.get(bench.url("/v1.0/servicePrincipals")).bearer_auth(token);
    assert_eq!(read.send().await.unwrap().status(), 200);
    assert_eq!(bench.client.get(bench.url(path)).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_token_endpoint_is_discovered_and_can_fail() {
    let bench = Bench::of(Emulator::builder()).await;
    let path = "/contoso/v2.0/.well-known/openid-configuration";
    let found = json(bench.client.get(bench.url(path)).send().await.unwrap()).await;
    assert_eq!(found["token_endpoint"], bench.url("/contoso/oauth2/v2.0/token"));
    let fault = FaultRule::on(OperationKind::Token, Effect::status(503)).times(1);
    bench.emulator.add_fault(fault).unwrap();
    assert_eq!(ask(&bench, "contoso", &SECRET).await.0, 503);
    assert_eq!(ask(&bench, "contoso", &SECRET).await.0, 200);
}
