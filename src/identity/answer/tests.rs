use serde_json::json;

use super::*;

const FROM: &str = "https://login.example.test";

fn authority(status: u16, body: &str) -> Refusal {
    refused_by_authority(FROM, status, body.as_bytes(), &["hunter2".to_owned()])
}

fn metadata(status: u16, body: &str, hinted: bool) -> Refusal {
    refused_by_metadata("http://169.254.169.254", status, body.as_bytes(), &[], hinted)
}

/// As Microsoft sends it, escapes and all.
fn entra(number: u32, text: &str) -> String {
    json!({
        "error": "invalid_client",
        "error_description": format!("AADSTS{number}: {text}\r\nTrace ID: 0\r\nTimestamp: now"),
        "error_codes": [number],
    })
    .to_string()
}

#[test]
fn escapes_in_a_description_hide_neither_code_nor_status() {
    let refusal = authority(401, &entra(7_000_215, "Invalid client \"secret\" provided."));
    assert_eq!(
        refusal.problem,
        "AADSTS7000215: Invalid client \"secret\" provided. (HTTP 401 from https://login.example.test)"
    );
    assert!(refusal.remedy.contains("AZURE_CLIENT_SECRET"));
    assert!(!refusal.transient);
}

#[test]
fn each_class_has_its_remedy_and_only_faults_of_the_service_are_transient() {
    for (status, number, transient, word) in [
        (401, 7_000_222, false, "expired"),
        (400, 700_016, false, "AZURE_CLIENT_ID"),
        (400, 90_002, false, "AZURE_TENANT_ID"),
        (400, 65_001, false, "consent"),
        (400, 50_076, false, "az login"),
        (400, 90_033, true, "later"),
        (429, 7_000_215, true, "later"),
        (503, 700_016, true, "later"),
    ] {
        let refusal = authority(status, &entra(number, "Words."));
        assert_eq!(refusal.transient, transient, "{number}");
        assert!(refusal.remedy.contains(word), "{number}: {}", refusal.remedy);
        assert!(refusal.problem.contains(&format!("AADSTS{number}: Words.")));
        assert!(!refusal.absent);
    }
}

#[test]
fn whatever_shape_an_error_has_its_status_survives() {
    let shapes = [
        "<html><body>Bad \u{1b}[31mgateway</body></html>",
        "",
        "[]",
        "{\"error_description\": {\"x\": 1}, \"error\": 5, \"error_codes\": \"7\"}",
        "{\"error_codes\": [99999999999]}",
        "\u{0}\u{fffd}",
    ];
    for body in shapes {
        let refusal = authority(502, body);
        assert!(refusal.problem.contains("HTTP 502"), "{}", refusal.problem);
        assert!(refusal.transient);
        assert!(!refusal.problem.contains(char::is_control), "{}", refusal.problem);
    }
    assert!(authority(307, "").problem.contains("not followed"));
    assert!(authority(407, "").remedy.contains("HTTPS_PROXY"));
    assert!(authority(404, "{\"error\":\"nothing\"}").problem.starts_with("nothing (HTTP 404"));
    let bare = authority(400, "{\"error_codes\":[700016]}");
    assert!(bare.problem.starts_with("AADSTS700016 (HTTP 400"), "{}", bare.problem);
}

#[test]
fn an_error_that_repeats_what_it_was_sent_is_shown_without_it() {
    let jwt = format!("eyJ{}.eyJ{}.c2ln", "hbGciOiJQUzI1NiJ9", "hdWQiOiJ4In0");
    let refusal = authority(401, &entra(50_027, &format!("got hunter2 and {jwt}")));
    assert!(refusal.problem.contains("got [hidden] and [hidden]"), "{}", refusal.problem);
}

#[test]
fn only_a_whole_token_is_granted() {
    let body = |token: &str, life: i64| {
        json!({"token_type": "Bearer", "access_token": token, "expires_in": life}).to_string()
    };
    assert!(granted(FROM, body("t", 3_599).as_bytes()).is_ok());
    for bad in [
        body("", 3_599),
        body("t", -1),
        // Added to a date, this would overflow.
        body("t", i64::MAX),
        "{}".to_owned(),
        "<html>".to_owned(),
        "{\"access_token\":\"canary\",\"expires_in\":\"canary\"}".to_owned(),
    ] {
        let refusal = granted(FROM, bad.as_bytes()).unwrap_err();
        assert!(!refusal.problem.contains("canary"), "{}", refusal.problem);
        assert!(refusal.problem.contains(FROM));
    }
}

#[test]
fn what_azure_identity_would_read_otherwise_is_no_token() {
    for bad in [
        // The fields in an order of ours; `azure_identity` has another.
        r#"["canary",3599]"#,
        r#"{"access_token":"canary","expires_in":3599,"ext_expires_in":"3599"}"#,
        r#"{"access_token":"canary","expires_in":3599,"token_type":5}"#,
        r#"{"access_token":"canary","expires_in":3599,"token_type":"a","token_type":"b"}"#,
    ] {
        let refusal = granted(FROM, bad.as_bytes()).unwrap_err();
        assert_eq!(refusal, no_token(FROM), "{bad}");
    }
    let least = r#" {"access_token":"canary","expires_in":3599}"#;
    assert_eq!(granted(FROM, least.as_bytes()), Ok(()));
}

#[test]
fn a_code_is_told_where_the_sentence_has_one_that_begins_like_it() {
    let body = json!({"error_description": "AADSTS7000215: Words.", "error_codes": [70_002]});
    let refusal = authority(400, &body.to_string());
    assert!(refusal.problem.starts_with("AADSTS70002: AADSTS7000215: Words."), "{refusal:?}");
}

#[test]
fn a_metadata_service_that_is_not_azures_is_no_managed_identity() {
    for status in [401, 403, 404, 405] {
        assert!(metadata(status, "<html>", false).absent, "{status}");
        assert!(!metadata(status, "<html>", true).absent, "{status}");
    }
    let none = "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}";
    assert!(metadata(400, none, false).absent);
    let promised = metadata(400, none, true);
    assert!(!promised.absent && !promised.transient);
    assert!(promised.problem.contains("Identity not found (HTTP 400"));
}

#[test]
fn a_busy_managed_identity_is_never_a_reason_to_be_somebody_else() {
    for status in [410, 429, 500, 503, 504] {
        for hinted in [true, false] {
            let refusal = metadata(status, "", hinted);
            assert!(refusal.transient && !refusal.absent, "{status}");
        }
    }
    let updating = metadata(404, "{\"error\":\"x\",\"error_description\":\"updating\"}", false);
    assert!(updating.transient && !updating.absent);
}
