use super::*;

const GUID: &str = "0F0C0A1B-1111-2222-3333-444455556666";

fn lower() -> String {
    GUID.to_lowercase()
}

#[test]
fn a_guid_is_an_object_id() {
    let read = ServicePrincipalRef::parse(GUID).unwrap();
    assert_eq!(read, ServicePrincipalRef::Id(ServicePrincipalId::parse(GUID).unwrap()));
    assert_eq!(read.to_string(), lower());
}

#[test]
fn an_application_id_is_marked_and_folded() {
    for text in [format!("appid:{GUID}"), format!("AppId:{GUID}")] {
        assert_eq!(
            ServicePrincipalRef::parse(&text).unwrap(),
            ServicePrincipalRef::AppId(lower()),
            "{text}"
        );
    }
    assert_eq!(ServicePrincipalRef::AppId(lower()).to_string(), format!("appid:{}", lower()));
}

#[test]
fn everything_else_is_a_display_name() {
    for text in ["Workday to AD", "SAP / Success Factors", "appid", "Größe", "a.b", "it's"] {
        assert_eq!(
            ServicePrincipalRef::parse(text).unwrap(),
            ServicePrincipalRef::DisplayName(text.to_owned())
        );
    }
}

#[test]
fn a_reference_is_written_as_it_is_read() {
    for text in [lower(), format!("appid:{}", lower()), "Workday to AD".to_owned()] {
        let read: ServicePrincipalRef = serde_json::from_value(text.clone().into()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), text);
        assert_eq!(ServicePrincipalRef::parse(&read.to_string()).unwrap(), read);
    }
}

#[test]
fn a_guid_spelt_otherwise_is_told_how_to_be_spelt() {
    let bare = GUID.replace('-', "");
    let braced = format!("{{{GUID}}}");
    for text in [&bare, &braced, "appid:12", "appid:", &format!("appid:{bare}")] {
        let error = ServicePrincipalRef::parse(text).unwrap_err();
        assert_eq!(error, NamingError::NotGuid { text: text.to_owned() });
        assert!(error.remedy().contains("hyphens"));
    }
}

#[test]
fn the_last_slash_parts_owner_and_job() {
    let arg = JobArg::parse(&format!("{GUID}/Box.e4bb")).unwrap();
    assert_eq!(arg.job, Some(JobId::parse("Box.e4bb").unwrap()));
    assert_eq!(arg.to_string(), format!("{}/Box.e4bb", lower()));

    let arg = JobArg::parse("Sales/Marketing/Box.e4bb").unwrap();
    assert_eq!(
        arg.service_principal,
        ServicePrincipalRef::DisplayName("Sales/Marketing".to_owned())
    );

    let arg = JobArg::parse("workday").unwrap();
    assert_eq!(arg.job, None);
    assert_eq!(arg.to_string(), "workday");
}

#[test]
fn paths_name_no_job() {
    for text in
        ["..", ".", "/", "/x", "x/", "a/..", "../a", "a//b", "a/./b", "a/../b/c", "a/ /b", "..\\a"]
    {
        let error = JobArg::parse(text).unwrap_err();
        assert_eq!(error, NamingError::PathLike { text: text.to_owned() });
        assert!(error.remedy().contains("SERVICE_PRINCIPAL/JOB_ID"));
    }
}

#[test]
fn what_names_nothing_is_refused_in_one_printable_line() {
    let long = "x".repeat(257);
    for text in [
        "",
        " ",
        "\t",
        "a\nb",
        "a\u{1b}[31m",
        " a",
        "a ",
        "a/b c",
        "a/b\u{7}",
        "a\u{0}/b",
        &long,
        "a/b\\c",
    ] {
        let error = JobArg::parse(text).unwrap_err();
        let said = error.to_string();
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(!said.is_empty() && !error.remedy().is_empty());
    }
}

#[test]
fn no_error_repeats_a_novel() {
    let novel = format!("../{}", "x".repeat(100_000));
    assert!(JobArg::parse(&novel).unwrap_err().to_string().len() < 200);
}

#[test]
fn a_bad_job_id_says_why() {
    let error = JobArg::parse(&format!("a/{}", "x".repeat(300))).unwrap_err();
    assert!(matches!(
        error,
        NamingError::JobId { source: IdError::TooLong { length: 300, .. }, .. }
    ));
}
