use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::model::{Quarantine, Tick, Timestamp};

fn policy() -> Policy {
    Policy {
        cooldown: Duration::from_secs(600),
        max_starts: NonZeroU32::MIN,
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: NonZeroU32::MIN,
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        needs_consent: ["TooManyDeletes", "QuarantinedOnDemand", "escrowsPruned"]
            .map(str::to_owned)
            .to_vec(),
        auto_reasons: Vec::new(),
    }
}

fn observation(code: &str, schedule: &str, reason: Option<&str>, pruned: bool) -> Observation {
    Observation {
        code: StatusCode::parse(Some(code)),
        schedule: ScheduleState::parse(Some(schedule)),
        quarantine: reason
            .map(|reason| Quarantine { reason: Some(reason.to_owned()), ..Quarantine::default() }),
        escrows_pruned: pruned,
        read_at: Timestamp::UNIX_EPOCH,
        began: Tick(Duration::ZERO),
    }
}

/// The answer in one word, for the table.
fn word(preflight: &Preflight) -> &'static str {
    match preflight {
        Preflight::Eligible => "eligible",
        Preflight::Running => "running",
        Preflight::Denied(denial) => denial.reason.as_str(),
    }
}

#[test]
fn every_pair_of_states_has_its_row() {
    let codes = ["NotConfigured", "NotRun", "Active", "Paused", "Quarantine", "Waiting", ""];
    for schedule in ["Active", "Disabled", "Paused", "Standby", ""] {
        for code in codes {
            let expected = match (code, schedule) {
                ("NotConfigured", _) => "notConfigured",
                ("NotRun", "Active") | ("Active", _) => "running",
                ("NotRun", _) => "notRun",
                ("Paused" | "Quarantine", _) => "eligible",
                (_, _) => "unknownState",
            };
            let got = preflight(&policy(), &observation(code, schedule, None, false), &[]);
            assert_eq!(word(&got), expected, "{code:?} with schedule {schedule:?}");
        }
    }
}

#[test]
fn reasons_on_the_list_need_to_be_accepted_by_name() {
    let table = [
        (Some("EncounteredQuarantineException"), false, &[][..], "eligible"),
        (Some("TooManyDeletes"), false, &[], "needsConsent"),
        (Some("toomanydeletes"), false, &[], "needsConsent"),
        (Some("TooManyDeletes"), false, &["TooManyDeletes"], "eligible"),
        (Some("TooManyDeletes"), false, &["TOOMANYDELETES"], "eligible"),
        (Some("TooManyDeletes"), false, &["escrowsPruned"], "needsConsent"),
        (None, true, &[], "needsConsent"),
        (None, true, &["escrowsPruned"], "eligible"),
        (Some("TooManyDeletes"), true, &["TooManyDeletes"], "needsConsent"),
        (Some("TooManyDeletes"), true, &["TooManyDeletes", "escrowsPruned"], "eligible"),
        (Some("Unknown"), false, &[], "eligible"),
    ];
    for (reason, pruned, accept, expected) in table {
        let accept: Vec<String> = accept.iter().map(|&reason| reason.to_owned()).collect();
        for code in ["Paused", "Quarantine"] {
            let seen = observation(code, "Active", reason, pruned);
            let got = preflight(&policy(), &seen, &accept);
            assert_eq!(word(&got), expected, "{code} {reason:?} {pruned} {accept:?}");
        }
    }
}

#[test]
fn a_denial_names_the_consent_that_is_missing() {
    let seen = observation("Quarantine", "Active", Some("TooManyDeletes"), true);
    let accept = ["TooManyDeletes".to_owned()];
    let got = preflight(&policy(), &seen, &accept);
    let Preflight::Denied(denial) = got else { panic!("{got:?}") };
    assert_eq!(denial.consent, ["escrowsPruned"]);
    assert!(denial.remedy.contains("--accept escrowsPruned"), "{}", denial.remedy);
}

proptest! {
    #[test]
    fn only_paused_and_quarantine_are_ever_eligible(
        code in "[A-Za-z]{0,14}|Paused|Quarantine|Active|NotRun|NotConfigured",
        schedule in "[A-Za-z]{0,10}|Active|Disabled|Paused",
        reason in proptest::option::of("[A-Za-z]{0,20}"),
        pruned: bool,
        accept in proptest::collection::vec("[A-Za-z]{0,20}", 0..3),
    ) {
        let seen = observation(&code, &schedule, reason.as_deref(), pruned);
        if preflight(&policy(), &seen, &accept) == Preflight::Eligible {
            prop_assert!(["paused", "quarantine"].contains(&code.to_lowercase().as_str()));
        }
    }
}

#[test]
fn a_reason_that_is_no_word_may_hide_one_that_needs_consent() {
    for reason in [r#"[{"reason":"TooManyDeletes"}]"#, "Too Many", "TooManyDeletes\u{fffd}", "{}"] {
        let got =
            preflight(&policy(), &observation("Quarantine", "Active", Some(reason), false), &[]);
        assert_eq!(word(&got), "unknownState", "{reason}");
    }
    for reason in ["EncounteredQuarantineException", "SomethingNew2"] {
        let got =
            preflight(&policy(), &observation("Quarantine", "Active", Some(reason), false), &[]);
        assert_eq!(word(&got), "eligible", "{reason}");
    }
}
