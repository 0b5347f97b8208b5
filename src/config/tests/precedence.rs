//! Who wins, and what follows from what.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;
use crate::model::{AuthKind, Cloud};

#[test]
fn without_anything_the_defaults_hold() {
    let settings = bare().settings();
    assert_eq!(settings.file, None);
    assert_eq!(settings.graph.origin, "https://graph.microsoft.com");
    assert_eq!(settings.auth.authority_host, "https://login.microsoftonline.com");
    assert_eq!(settings.auth.scope, "https://graph.microsoft.com/.default");
    assert_eq!(settings.store.url.to_string(), "sqlite:/home/me/.local/state/startguard/ledger.db");
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let file = with("[graph]\ncloud = 'usgov'");
    assert_eq!(file.settings().graph.cloud, Cloud::UsGov);
    let variable = file.set("STARTGUARD_GRAPH_CLOUD", "china");
    assert_eq!(variable.settings().graph.cloud, Cloud::China);
    let flag = variable.flags(|flags| flags.cloud = Some("usgov-dod".to_owned()));
    assert_eq!(flag.settings().graph.cloud, Cloud::UsGovDod);
}

#[test]
fn every_flag_reaches_its_setting() {
    let settings = bare()
        .flags(|flags| {
            flags.cloud = Some("china".to_owned());
            flags.graph_endpoint = Some("http://127.0.0.1:9/".to_owned());
            flags.auth = Some("token".to_owned());
            flags.store = Some("sqlite:/l.db".to_owned());
        })
        .settings();
    assert_eq!(settings.graph.origin, "http://127.0.0.1:9");
    assert_eq!(settings.auth.kind, AuthKind::Token);
    assert_eq!(settings.store.url, StoreUrl::Sqlite("/l.db".into()));
    // Tokens follow the cloud, whatever the endpoint.
    assert_eq!(settings.auth.authority_host, "https://login.chinacloudapi.cn");
    assert_eq!(settings.auth.scope, "https://microsoftgraph.chinacloudapi.cn/.default");
}

#[test]
fn every_key_has_a_variable_that_sets_it() {
    // A value that is neither the default nor acceptable: the error names the variable, so the
    // variable was read.
    for (variable, table, key) in keys::variables() {
        let bench = bare().set(&variable, "\u{1}");
        let read = match bench.load() {
            Err(error) => error.to_string().starts_with(&variable),
            Ok(_) => false,
        };
        assert!(read, "{variable} does not set {key} of {table}");
    }
}

#[test]
fn variables_spell_counts_and_lists_as_text() {
    let settings = bare()
        .set("STARTGUARD_GUARD_COOLDOWN", "20m")
        .set("STARTGUARD_GUARD_MAX_STARTS", "7")
        .set("STARTGUARD_GUARD_AUTO_REASONS", "Unknown, IngestionInterrupted")
        .set("STARTGUARD_GUARD_NEEDS_CONSENT", ",")
        .set("STARTGUARD_GRAPH_READ_RETRIES", "0")
        .settings();
    assert_eq!(settings.guard.cooldown, Duration::from_mins(20));
    assert_eq!(settings.guard.max_starts.get(), 7);
    assert_eq!(settings.guard.auto_reasons, ["Unknown", "IngestionInterrupted"]);
    assert_eq!(settings.guard.needs_consent, Vec::<String>::new());
    assert_eq!(settings.graph.read_retries, 0);
}

#[test]
fn an_empty_variable_is_not_set() {
    let settings = with("[graph]\ncloud = 'usgov'").set("STARTGUARD_CLOUD", "").settings();
    assert_eq!(settings.graph.cloud, Cloud::UsGov);
}

#[test]
fn short_and_long_form_must_agree() {
    let both = |short: &str, long: &str| {
        bare().set("STARTGUARD_AUTH", short).set("STARTGUARD_AUTH_KIND", long)
    };
    assert_eq!(both("token", "token").settings().auth.kind, AuthKind::Token);
    let (said, remedy) = both("token", "auto").error();
    assert!(said.contains("STARTGUARD_AUTH says \"token\""), "{said}");
    assert_eq!(remedy, "unset STARTGUARD_AUTH or STARTGUARD_AUTH_KIND");
    assert_eq!(bare().set("STARTGUARD_AUTH", "token").settings().auth.kind, AuthKind::Token);
}

#[test]
fn a_disagreement_about_stores_shows_no_password() {
    let (said, _) = bare()
        .set("STARTGUARD_STORE", "postgres://me:hush@db/x")
        .set("STARTGUARD_STORE_URL", "postgres://me:shh@db/x")
        .error();
    assert!(!said.contains("hush") && !said.contains("shh"), "{said}");
}

#[test]
fn the_three_second_lease_works() {
    let settings = bare()
        .set("STARTGUARD_GUARD_LEASE", "3s")
        .set("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "2s")
        .settings();
    assert_eq!(settings.guard.lease, Duration::from_secs(3));
    assert_eq!(settings.guard.request_timeout, Duration::from_secs(2));
    // The default gives way without a word.
    assert_eq!(settings.graph.connect_timeout, Duration::from_secs(2));
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn a_lease_must_outlast_a_request_by_the_slack() {
    let lease = |text: &str| {
        bare().set("STARTGUARD_GUARD_LEASE", text).set("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "2s")
    };
    assert_eq!(lease("2500ms").settings().guard.lease, Duration::from_millis(2_500));
    let (said, remedy) = lease("2499ms").error();
    assert!(said.contains("does not exceed `[graph] request_timeout` (2s) by 500ms"), "{said}");
    assert!(remedy.contains("at least 2s 500ms"), "{remedy}");
}

#[test]
fn a_chosen_connect_timeout_does_not_give_way() {
    let (said, remedy) = with("[graph]\nconnect_timeout = '6s'\nrequest_timeout = '4s'").error();
    assert!(said.starts_with("c.toml:2:19: [graph] connect_timeout"), "{said}");
    assert!(remedy.contains("at most 4s"), "{remedy}");
}

#[test]
fn a_short_cooldown_is_a_warning_that_names_the_bound() {
    let cooldown = |text: &str| bare().set("STARTGUARD_GUARD_COOLDOWN", text).settings();
    assert_eq!(cooldown("281s").warnings, Vec::<String>::new());
    let settings = cooldown("280s");
    assert_eq!(settings.guard.cooldown, Duration::from_secs(280));
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("STARTGUARD_GUARD_COOLDOWN (4m 40s) is below 281 s"), "{warning}");
}

#[test]
fn azure_variables_stand_in_for_ours() {
    let azure = || {
        with("[auth]\ntenant_id = 'from-the-file'")
            .set("AZURE_TENANT_ID", "from-azure")
            .set("AZURE_CLIENT_ID", "client")
    };
    let settings = azure().settings();
    assert_eq!(settings.auth.tenant_id.as_deref(), Some("from-azure"));
    assert_eq!(settings.auth.client_id.as_deref(), Some("client"));
    let settings = azure().set("STARTGUARD_AUTH_TENANT_ID", "ours").settings();
    assert_eq!(settings.auth.tenant_id.as_deref(), Some("ours"));
}

#[test]
fn secrets_come_from_the_environment_and_stay_hidden() {
    let settings = bare()
        .set("AZURE_CLIENT_SECRET", "hush")
        .set("STARTGUARD_TOKEN", "hush")
        .set("STARTGUARD_AUTH", "token")
        .set("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem")
        .set("AZURE_FEDERATED_TOKEN_FILE", "/f")
        .set("IDENTITY_ENDPOINT", "http://127.0.0.1")
        .settings();
    assert!(!format!("{settings:?}").contains("hush"));
    let auth = settings.auth;
    assert_eq!(
        auth.client_secret.map(|secret| secret.expose_secret().to_owned()).as_deref(),
        Some("hush")
    );
    assert_eq!(auth.token.map(|token| token.expose_secret().to_owned()).as_deref(), Some("hush"));
    assert_eq!(auth.client_certificate_path, Some("/c.pem".into()));
    assert_eq!(auth.federated_token_file, Some("/f".into()));
    assert!(auth.managed_identity_hint);
    assert!(!bare().settings().auth.managed_identity_hint);
}

#[test]
fn a_token_that_nobody_uses_is_a_warning() {
    let settings = bare().set("STARTGUARD_TOKEN", "hush").settings();
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("set --auth token") && !warning.contains("hush"), "{warning}");
}

#[test]
fn two_tokens_contradict() {
    let two = |kind| {
        bare()
            .set("STARTGUARD_AUTH", kind)
            .set("STARTGUARD_TOKEN", "hush")
            .set("STARTGUARD_TOKEN_FILE", "/t")
    };
    let (said, _) = two("token").error();
    assert!(said.contains("both set"), "{said}");
    assert_eq!(two("auto").settings().warnings.len(), 2);
}

#[test]
fn the_authority_can_be_replaced() {
    let set = |value| bare().set("AZURE_AUTHORITY_HOST", value);
    let settings = set("https://login.example.com/").settings();
    assert_eq!(settings.auth.authority_host, "https://login.example.com");
    let (said, _) = set("http://127.0.0.1:1").error();
    assert!(said.starts_with("AZURE_AUTHORITY_HOST = "), "{said}");
}

#[test]
fn a_newer_cloud_can_be_reached() {
    let settings = with(
        "[graph]\nendpoint = 'https://graph.new.example'\n\
         [auth]\nscope = 'https://graph.new.example/.default'",
    )
    .set("AZURE_AUTHORITY_HOST", "https://login.new.example")
    .settings();
    assert_eq!(settings.auth.scope, "https://graph.new.example/.default");
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn the_graph_of_another_cloud_is_a_warning() {
    let endpoint = bare().set("STARTGUARD_GRAPH_ENDPOINT", "https://graph.microsoft.us");
    let settings = endpoint.settings();
    assert_eq!(settings.graph.cloud, Cloud::Global);
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.ends_with("set `cloud` to usgov"), "{warning}");
    assert_eq!(endpoint.set("STARTGUARD_CLOUD", "usgov").settings().warnings, Vec::<String>::new());
}

#[test]
fn the_default_store_follows_the_state_folder() {
    let settings = bare().set("XDG_STATE_HOME", "/state").settings();
    assert_eq!(settings.store.url.to_string(), "sqlite:/state/startguard/ledger.db");
}

#[test]
fn without_a_home_the_default_store_has_a_remedy() {
    let mut bench = bare();
    bench.variables.clear();
    let (said, remedy) = bench.error();
    assert!(said.starts_with("[store] url (the default)"), "{said}");
    assert!(remedy.contains("--store"), "{remedy}");
}

#[test]
fn a_relative_ledger_in_the_file_is_a_warning() {
    let settings = with("[store]\nurl = 'sqlite:ledger.db'").settings();
    assert!(settings.warnings.iter().any(|line| line.contains("absolute path")));
    let settings =
        bare().flags(|flags| flags.store = Some("sqlite:ledger.db".to_owned())).settings();
    assert_eq!(settings.warnings, Vec::<String>::new());
}
