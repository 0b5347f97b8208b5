use std::path::Path;

use super::*;
use crate::model::AuthKind;

fn settings(token: Option<&str>, file: Option<&Path>) -> IdentitySettings {
    IdentitySettings {
        kind: AuthKind::Token,
        tenant_id: None,
        client_id: None,
        client_secret: None,
        client_certificate_path: None,
        federated_token_file: None,
        authority_host: String::new(),
        scope: String::new(),
        token: token.map(SecretString::from),
        token_file: file.map(Path::to_owned),
        managed_identity_hint: false,
        connect_timeout: Duration::from_secs(5),
        deadline: super::super::TOKEN_DEADLINE,
    }
}

async fn held(given: &Given) -> String {
    let token = given.token(Duration::ZERO).await.unwrap();
    assert_eq!(token.expires_at, None);
    token.secret.expose_secret().to_owned()
}

#[tokio::test]
async fn a_token_in_the_variable_is_all_there_is() {
    let given = Given::new(&settings(Some(" canary\n"), Some(Path::new("/nowhere")))).unwrap();
    assert_eq!(held(&given).await, "canary");
    assert!(!given.refresh().await);
    assert_eq!(given.describe(), "the token in STARTGUARD_TOKEN");
    assert!(!format!("{given:?}").contains("canary"));
}

#[tokio::test]
async fn a_refresh_reads_the_file_again_and_tells_whether_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let given = Given::new(&settings(Some(""), Some(&path))).unwrap();
    assert_eq!(held(&given).await, "first");
    assert!(!given.refresh().await);
    std::fs::write(&path, "second").unwrap();
    assert_eq!(held(&given).await, "first");
    assert!(given.refresh().await);
    assert_eq!(held(&given).await, "second");
    for spoiled in ["", "half a"] {
        std::fs::write(&path, spoiled).unwrap();
        assert!(!given.refresh().await, "{spoiled:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(!given.refresh().await);
    assert_eq!(held(&given).await, "second");
}

#[test]
fn a_token_that_is_missing_or_unusable_is_refused_with_the_variable_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "canary canary").unwrap();
    for (token, file, word) in [
        (None, None, "set STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE"),
        (Some(""), None, "set STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE"),
        (Some("Bearer canary"), None, "STARTGUARD_TOKEN"),
        (Some("canary\u{7}"), None, "STARTGUARD_TOKEN"),
        (None, Some(path.as_path()), "STARTGUARD_TOKEN_FILE"),
        (None, Some(dir.path()), "STARTGUARD_TOKEN_FILE"),
    ] {
        let failure = Given::new(&settings(token, file)).unwrap_err();
        let error = IdentityError::from(failure);
        assert!(error.remedy.contains(word), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert!(!error.transient);
    }
}
