use serde_json::Value;

use super::*;
use crate::{model::Timestamp, testing::ManualClock};

/// Another certificate, then the key, then the certificate that belongs to it.
const APPLICATION: &str = include_str!("../../../tests/it/fixtures/identity/application.pem");

/// The key's public half, in PKCS #1 form; made by openssl.
const PUBLIC: &[u8] = include_bytes!("../../../tests/it/fixtures/identity/application.pub.der");

/// The certificate's SHA-256 thumbprint; made by openssl.
const THUMBPRINT: &str = "dr1pN9MUFQ6JzWRVN5dsx6r3IUXotdTUCv9TTpT-lLE";

const AUDIENCE: &str = "https://login.example.test/contoso/oauth2/v2.0/token";

fn certificate() -> Certificate {
    let now = Timestamp::from_second(1_795_000_000).unwrap();
    Certificate {
        file: SecretFile {
            path: "app.pem".into(),
            what: "the certificate file",
            variable: "AZURE_CLIENT_CERTIFICATE_PATH",
        },
        client_id: "client\"1".to_owned(),
        audience: AUDIENCE.to_owned(),
        clock: Arc::new(ManualClock::new(now)),
    }
}

fn json(part: &str) -> Value {
    let bytes = azure_core::base64::decode_url_safe(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn an_assertion_says_what_microsoft_asks_for_and_verifies() {
    let assertion = certificate().sign(APPLICATION.as_bytes()).unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("{assertion}") };
    assert!(!assertion.contains('='), "padding has no place in a JWT");
    assert_eq!(
        json(head),
        serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": THUMBPRINT})
    );
    let mut claims = json(body);
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(id.as_str().unwrap().len() > 20);
    assert_eq!(
        claims,
        serde_json::json!({
            "aud": AUDIENCE, "iss": "client\"1", "sub": "client\"1",
            "nbf": 1_795_000_000, "iat": 1_795_000_000, "exp": 1_795_000_600,
        })
    );
    let signature = azure_core::base64::decode_url_safe(signature).unwrap();
    let key =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, PUBLIC);
    key.verify(format!("{head}.{body}").as_bytes(), &signature).unwrap();
    key.verify(format!("{head}x.{body}").as_bytes(), &signature).unwrap_err();
}

#[test]
fn no_two_assertions_have_the_same_id() {
    let certificate = certificate();
    let id = || {
        let assertion = certificate.sign(APPLICATION.as_bytes()).unwrap();
        json(assertion.split('.').nth(1).unwrap())["jti"].clone()
    };
    assert_ne!(id(), id());
}

#[test]
fn a_file_without_a_usable_pair_is_refused_with_the_way_to_make_one() {
    let made = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
    let (elliptic, other) = (made.signing_key.serialize_pem(), made.cert.pem());
    let key_at = APPLICATION.find("-----BEGIN PRIVATE").unwrap();
    let key_end = APPLICATION.find("-----END PRIVATE KEY-----").unwrap() + 25;
    let key = &APPLICATION[key_at..key_end];
    let cases = [
        ("hello".to_owned(), "no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_owned(), "not PEM"),
        (other.clone(), "no private key"),
        (format!("{other}\n{}", key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "encrypted"),
        (format!("{other}\n{key}"), "belongs to no certificate"),
        (format!("{other}\n{elliptic}"), "not RSA"),
        (
            format!("{other}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
            "cannot be read",
        ),
    ];
    for (pem, word) in cases {
        let refusal = certificate().sign(pem.as_bytes()).unwrap_err();
        assert!(refusal.problem.contains(word), "{word}: {}", refusal.problem);
        assert!(refusal.problem.contains("app.pem"), "{}", refusal.problem);
        assert!(refusal.remedy.contains("AZURE_CLIENT_CERTIFICATE_PATH"));
        assert!(!refusal.transient);
    }
}
