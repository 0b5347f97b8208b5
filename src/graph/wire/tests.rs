use proptest::prelude::*;

use super::*;

fn read(json: &str) -> Job {
    job(text(json.as_bytes()).unwrap()).unwrap()
}

fn status(status: &str) -> Job {
    read(&format!(r#"{{"id":"a.b","status":{status}}}"#))
}

#[test]
fn a_code_is_read_in_any_case_and_kept_when_it_is_new() {
    for (code, expected) in [
        (r#""pAuSeD""#, StatusCode::Paused),
        (r#""QUARANTINE""#, StatusCode::Quarantine),
        (r#""Hibernating""#, StatusCode::Other("Hibernating".to_owned())),
        (r#""""#, StatusCode::Other(String::new())),
        ("null", StatusCode::Other(String::new())),
        ("5", StatusCode::Other("5".to_owned())),
        (r#"["Paused"]"#, StatusCode::Other(r#"["Paused"]"#.to_owned())),
        (r#"{"code":"Paused"}"#, StatusCode::Other(r#"{"code":"Paused"}"#.to_owned())),
        (r#"" Paused""#, StatusCode::Other(" Paused".to_owned())),
        (r#""Pau\u200bsed""#, StatusCode::Other("Pau\u{fffd}sed".to_owned())),
        (r#""\ud800""#, StatusCode::Other(r#""\ud800""#.to_owned())),
    ] {
        assert_eq!(status(&format!(r#"{{"code":{code}}}"#)).code, expected, "{code}");
    }
}

#[test]
fn a_status_that_is_none_is_no_known_code() {
    for status_text in
        ["null", r#""Paused""#, "[]", r#"["Paused"]"#, "7", "{}", r#"{"CODE":"Paused"}"#]
    {
        assert_eq!(status(status_text).code, StatusCode::Other(String::new()), "{status_text}");
    }
    assert_eq!(read(r#"{"id":"a.b"}"#).code, StatusCode::Other(String::new()));
    // Two codes are none: which one counts would depend on the reader.
    let twice = status(r#"{"code":"Active","code":"Paused"}"#);
    assert_eq!(twice.code, StatusCode::Other(String::new()));
}

#[test]
fn a_member_that_is_not_needed_may_be_anything() {
    for odd in ["null", "5", "[]", "{}", r#""x""#, "[[1,2],{}]", "1e400", "true"] {
        let job = read(&format!(
            r#"{{"id":"a.b","templateId":{odd},"schedule":{{"state":"Active","interval":{odd},"expiration":{odd}}},
                "status":{{"code":"Active","countSuccessiveCompleteFailures":{odd},"quarantine":{odd},
                "lastExecution":{odd},"progress":{odd},"troubleshootingUrl":{odd},"steadyStateFirstAchievedTime":{odd}}},
                "synchronizationJobSettings":{odd},"new":{odd},"@odata.context":{odd}}}"#
        ));
        assert_eq!((job.code, job.schedule), (StatusCode::Active, ScheduleState::Active), "{odd}");
    }
}

#[test]
fn a_quarantine_that_says_nothing_is_none() {
    for quarantine in [
        "null",
        "{}",
        r#"{"reason":"","currentBegan":"","nextAttempt":"0001-01-01T00:00:00Z","seriesBegan":null}"#,
        r#"{"error":null}"#,
        r#"{"error":{"code":"","message":""}}"#,
    ] {
        let job = status(&format!(r#"{{"code":"Paused","quarantine":{quarantine}}}"#));
        assert_eq!(job.quarantine, None, "{quarantine}");
    }
}

#[test]
fn a_reason_that_cannot_be_read_is_still_a_reason() {
    for (quarantine, reason) in [
        (r#"{"reason":["TooManyDeletes"]}"#, r#"["TooManyDeletes"]"#),
        (r#"["TooManyDeletes"]"#, r#"["TooManyDeletes"]"#),
        (r#"{"reason":"A","reason":""}"#, r#"{"reason":"A","reason":""}"#),
    ] {
        let job = status(&format!(r#"{{"code":"Quarantine","quarantine":{quarantine}}}"#));
        assert_eq!(job.quarantine.unwrap().reason.as_deref(), Some(reason));
    }
}

#[test]
fn a_series_count_may_be_a_text() {
    for (count, expected) in [
        ("3", Some(3)),
        (r#""3""#, Some(3)),
        (r#"" 3 ""#, Some(3)),
        ("-1", None),
        (r#""three""#, None),
        ("3.5", None),
    ] {
        let job = status(&format!(
            r#"{{"code":"Quarantine","quarantine":{{"reason":"Unknown","seriesCount":{count}}}}}"#
        ));
        assert_eq!(job.quarantine.unwrap().series_count, expected, "{count}");
    }
}

#[test]
fn a_pruning_flag_that_does_not_say_no_says_yes() {
    for (flag, expected) in [
        ("true", true),
        ("false", false),
        ("null", false),
        (r#""False""#, false),
        (r#""True""#, true),
        (r#""""#, false),
        ("0", false),
        ("1", true),
        ("{}", true),
    ] {
        let job = status(&format!(r#"{{"code":"Paused","escrowsPruned":{flag}}}"#));
        assert_eq!(job.escrows_pruned, expected, "{flag}");
    }
    assert!(!status(r#"{"code":"Paused"}"#).escrows_pruned);
}

#[test]
fn an_id_that_is_none_is_left_out() {
    for id in ["null", "5", r#""""#, r#""a/b""#, r#""..""#, r#""a\u202eb""#, r#""a\u0007""#] {
        assert_eq!(
            read(&format!(r#"{{"id":{id},"status":{{"code":"Paused"}}}}"#)).id,
            None,
            "{id}"
        );
    }
}

#[test]
fn words_of_the_service_are_fit_to_be_shown() {
    let job = read(
        r#"{"id":"a.b","templateId":"t\u001b]0;x","status":{"code":"Quarantine",
            "quarantine":{"reason":"Odd\u202e","error":{"code":"c\n","message":"m\u0000"}},
            "lastExecution":{"state":"s\u009b"}}}"#,
    );
    let quarantine = job.quarantine.unwrap();
    assert_eq!(job.template_id.as_deref(), Some("t\u{fffd}]0;x"));
    assert_eq!(job.last_execution.as_deref(), Some("s\u{fffd}"));
    assert_eq!(quarantine.reason.as_deref(), Some("Odd\u{fffd}"));
    assert_eq!(quarantine.error_code.as_deref(), Some("c "));
    assert_eq!(quarantine.error_message.as_deref(), Some("m\u{fffd}"));
}

#[test]
fn what_is_no_object_is_no_job() {
    for body in ["[]", "5", "null", r#""Paused""#, r#"["a.b","t",{},{"code":"Paused"}]"#] {
        assert!(job(text(body.as_bytes()).unwrap()).is_err(), "{body}");
    }
    for body in ["{", "{},", "{}{}", r#"{"id":"#, r#"{"status":{"code":"Paused"}"#] {
        assert!(job(body).is_err(), "{body}");
    }
    for (body, problem) in [
        (&b""[..], "its body is empty"),
        (b" \r\n", "its body is empty"),
        (b"\xff\xfe{\0}\0", "its body is not text"),
        (
            b"<!DOCTYPE html>",
            "its body is a page of HTML or XML, as a proxy or a sign-in page sends",
        ),
    ] {
        assert_eq!(text(body), Err(problem.to_owned()));
    }
    assert_eq!(text(b"\xef\xbb\xbf{} "), Ok("{}"));
}

#[test]
fn a_deep_or_doubled_body_is_an_error() {
    let deep = format!("{}{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert!(job(&deep).is_err());
    assert!(job(r#"{"status":{"code":"Active"},"status":{"code":"Paused"}}"#).is_err());
}

#[test]
fn a_page_tells_where_it_goes_on() {
    let (items, next) = page(r#"{"value":[{},1],"@odata.nextLink":"https://x/y"}"#).unwrap();
    assert_eq!((items.len(), next.as_deref()), (2, Some("https://x/y")));
    for last in [
        r#"{"value":[]}"#,
        r#"{"value":[],"@odata.nextLink":null}"#,
        r#"{"value":[],"@odata.nextLink":""}"#,
    ] {
        assert_eq!(page(last).unwrap().1, None, "{last}");
    }
    for bad in
        ["[]", "{}", r#"{"value":null}"#, r#"{"value":{}}"#, r#"{"value":[],"@odata.nextLink":5}"#]
    {
        assert!(page(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_item_that_cannot_be_read_is_still_a_job() {
    let (items, _) = page(r#"{"value":[5,{"id":"a.b","status":{"code":"Paused"}}]}"#).unwrap();
    let jobs: Vec<Job> = items.into_iter().map(listed_job).collect();
    assert_eq!(jobs.len(), 2);
    assert_eq!((&jobs[0].id, &jobs[0].code), (&None, &StatusCode::Other(String::new())));
    assert_eq!(jobs[1].code, StatusCode::Paused);
}

#[test]
fn a_service_principal_without_an_object_id_is_an_error() {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let good = raw(
        r#"{"id":"8A41D2C7-30B1-4B62-9F5A-0C7D1E2F3A4B","appId":null,"displayName":"Box\u0007"}"#,
    );
    let found = service_principal(&good).unwrap();
    assert_eq!(found.id.as_str(), "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b");
    assert_eq!((found.app_id, found.display_name.as_deref()), (None, Some("Box\u{fffd}")));
    for bad in ["{}", "5", r#"{"id":"x"}"#, r#"{"id":null}"#] {
        assert!(service_principal(&raw(bad)).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_reads_as_startable_but_the_two_words(code in "\\PC{0,20}") {
        let json = serde_json::json!({"status": {"code": code}}).to_string();
        let startable = matches!(read(&json).code, StatusCode::Paused | StatusCode::Quarantine);
        let lower = code.to_ascii_lowercase();
        prop_assert_eq!(startable, lower == "paused" || lower == "quarantine");
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = text(&body) {
            drop(job(text));
            drop(page(text));
        }
    }
}
