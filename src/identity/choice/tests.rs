use std::time::Duration;

use secrecy::SecretString;

use super::*;

fn settings(kind: AuthKind) -> IdentitySettings {
    IdentitySettings {
        kind,
        tenant_id: Some("contoso".to_owned()),
        client_id: Some("client".to_owned()),
        client_secret: None,
        client_certificate_path: None,
        federated_token_file: None,
        authority_host: "https://login.microsoftonline.com".to_owned(),
        scope: "https://graph.microsoft.com/.default".to_owned(),
        token: None,
        token_file: None,
        managed_identity_hint: false,
        connect_timeout: Duration::from_secs(5),
        deadline: super::super::TOKEN_DEADLINE,
    }
}

fn full(kind: AuthKind) -> IdentitySettings {
    IdentitySettings {
        client_secret: Some(SecretString::from("canary")),
        client_certificate_path: Some("app.pem".into()),
        federated_token_file: Some("federated".into()),
        ..settings(kind)
    }
}

fn words(settings: &IdentitySettings) -> Vec<String> {
    candidates(settings).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn the_environment_is_asked_for_secret_certificate_and_federated_token_in_this_order() {
    for kind in [AuthKind::Auto, AuthKind::Environment] {
        let mut settings = full(kind);
        assert_eq!(words(&settings), ["the client secret of application client in tenant contoso"]);
        settings.client_secret = Some(SecretString::from(""));
        assert!(words(&settings)[0].starts_with("the client certificate of"));
        settings.client_certificate_path = Some(PathBuf::new());
        assert!(words(&settings)[0].starts_with("the workload identity of"));
    }
}

#[test]
fn auto_goes_on_to_managed_identity_and_azure_cli_only_where_the_environment_holds_no_proof() {
    // Tenant and client alone are no proof: the client may be a user-assigned managed identity.
    assert_eq!(words(&settings(AuthKind::Auto)), ["the managed identity client", "the Azure CLI"]);
}

#[test]
fn a_proof_without_tenant_or_client_is_an_error_even_in_auto() {
    for kind in [AuthKind::Auto, AuthKind::Environment, AuthKind::ClientSecret] {
        let no_tenant = IdentitySettings { tenant_id: None, ..full(kind) };
        assert_eq!(candidates(&no_tenant).unwrap_err().problem, "AZURE_TENANT_ID is not set");
        let no_client = IdentitySettings { client_id: Some(" ".to_owned()), ..full(kind) };
        assert_eq!(candidates(&no_client).unwrap_err().problem, "AZURE_CLIENT_ID is not set");
    }
}

#[test]
fn a_kind_asked_for_by_name_wants_its_own_proof() {
    for (kind, variable) in [
        (AuthKind::ClientSecret, "AZURE_CLIENT_SECRET"),
        (AuthKind::ClientCertificate, "AZURE_CLIENT_CERTIFICATE_PATH"),
        (AuthKind::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE"),
        (AuthKind::Environment, "AZURE_CLIENT_SECRET"),
    ] {
        let refusal = candidates(&settings(kind)).unwrap_err();
        assert!(refusal.remedy.contains(variable), "{kind}: {}", refusal.remedy);
        assert_eq!(words(&full(kind)).len(), 1, "{kind}");
    }
}

#[test]
fn a_tenant_that_a_shell_or_a_url_would_read_otherwise_is_refused() {
    for tenant in ["a;b", "a b", "a/../b", "$(x)", "ä", "a\nb"] {
        for kind in [AuthKind::AzureCli, AuthKind::ClientSecret, AuthKind::Auto] {
            let settings = IdentitySettings { tenant_id: Some(tenant.to_owned()), ..full(kind) };
            let refusal = candidates(&settings).unwrap_err();
            assert!(refusal.problem.ends_with("is no tenant"), "{}", refusal.problem);
            assert!(!refusal.problem.contains('\n'));
        }
    }
}

#[test]
fn a_token_by_hand_has_no_tenant_and_the_others_have_the_one_that_is_set() {
    assert_eq!(settings(AuthKind::Token).tenant(), None);
    assert_eq!(settings(AuthKind::Auto).tenant().as_deref(), Some("contoso"));
    let unset = IdentitySettings { tenant_id: None, ..settings(AuthKind::AzureCli) };
    assert_eq!(unset.tenant(), None);
}

#[test]
fn settings_and_credentials_show_no_secret_in_debug() {
    let settings = IdentitySettings {
        token: Some(SecretString::from("canary")),
        ..full(AuthKind::ClientSecret)
    };
    let shown = format!("{settings:?} {:?}", candidates(&settings).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}
