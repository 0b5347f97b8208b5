//! Graph's JSON: jobs, service principals, errors.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::config::{QuarantineConfig, ServicePrincipalConfig};
use super::job::{ExecutionConfig, JobConfig};
use super::machine::Condition;
use super::time::{earlier, graph_date, later};

/// How Graph writes "no date".
pub(super) const NO_DATE: &str = "0001-01-01T00:00:00Z";
/// Documented cycles take a while; this one took four minutes.
const RUN: Duration = Duration::from_secs(240);

/// A job as `GET …/jobs/{id}` answers it, in a condition that holds since `since`.
pub(super) fn job(config: &JobConfig, condition: &Condition, since: Timestamp) -> Value {
    let last = execution(condition.last_execution, &config.id, since);
    let succeeded = matches!(
        condition.last_execution,
        ExecutionConfig::Succeeded | ExecutionConfig::EntryLevelErrors
    );
    let steady = if succeeded { graph_date(earlier(since, RUN)) } else { NO_DATE.to_owned() };
    let template = config.template_id.as_deref().unwrap_or_else(|| template_of(&config.id));
    let mut job = json!({
        "id": config.id,
        "templateId": template,
        "schedule": {
            "expiration": null,
            "interval": condition.interval,
            "state": condition.schedule,
        },
        "status": {
            "code": condition.code,
            "countSuccessiveCompleteFailures": condition.successive_failures,
            "escrowsPruned": condition.escrows_pruned,
            "steadyStateFirstAchievedTime": steady,
            "steadyStateLastAchievedTime": steady,
            "quarantine": condition.quarantine.as_ref().map(|config| quarantine(config, since)),
            "troubleshootingUrl": condition.quarantine.as_ref().map(|_| ""),
            "lastExecution": last,
            "lastSuccessfulExecution": if succeeded { last.clone() } else { Value::Null },
            "lastSuccessfulExecutionWithExports": null,
            "progress": [],
            "synchronizedEntryCountByType": if succeeded { json!([{"key": "User to User", "value": 114}]) } else { json!([]) },
        },
        "synchronizationJobSettings": [
            {"name": "AzureIngestionAttributeOptimization", "value": "False"},
            {"name": "LookaheadQueryEnabled", "value": "False"},
            {"name": "QuarantineTooManyDeletesThreshold", "value": "500"},
        ],
    });
    if condition.as_configured {
        merge(&mut job, &config.overlay);
    }
    job
}

/// The template an id was made from: `BoxOutDelta` of `BoxOutDelta.e4bbf445…`.
fn template_of(id: &str) -> &str {
    id.split_once('.').map_or("customappsso", |(template, _)| template)
}

fn quarantine(config: &QuarantineConfig, since: Timestamp) -> Value {
    let next_attempt = if config.next_attempt_in.is_zero() {
        NO_DATE.to_owned()
    } else {
        graph_date(later(since, config.next_attempt_in))
    };
    let mut quarantine = json!({
        "currentBegan": graph_date(earlier(since, config.began_ago)),
        "nextAttempt": next_attempt,
        "reason": config.reason,
        "seriesBegan": graph_date(earlier(since, config.series_began_ago)),
        "seriesCount": config.series_count,
    });
    if let (false, Some(fields)) = (config.error_code.is_empty(), quarantine.as_object_mut()) {
        let error = json!({
            "code": config.error_code,
            "message": config.error_message,
            "tenantActionable": true,
        });
        fields.insert("error".to_owned(), error);
    }
    quarantine
}

fn execution(kind: ExecutionConfig, job: &str, since: Timestamp) -> Value {
    let (state, error) = match kind {
        ExecutionConfig::None => return Value::Null,
        ExecutionConfig::Succeeded => ("Succeeded", Value::Null),
        ExecutionConfig::EntryLevelErrors => ("EntryLevelErrors", Value::Null),
        ExecutionConfig::Failed => {
            let message = "The connection to the target could not be made.";
            (
                "Failed",
                json!({"code": "SystemForCrossDomainIdentityManagementServiceIncompatible", "message": message, "tenantActionable": true}),
            )
        }
        ExecutionConfig::FirstCycle => {
            ("Failed", json!({"code": "None", "message": "", "tenantActionable": false}))
        }
    };
    let under_way = kind == ExecutionConfig::FirstCycle;
    json!({
        "activityIdentifier": activity(job),
        "countEntitled": 5,
        "countEntitledForProvisioning": 5,
        "countEscrowed": u8::from(kind == ExecutionConfig::EntryLevelErrors),
        "countEscrowedRaw": u8::from(kind == ExecutionConfig::EntryLevelErrors),
        "countExported": if kind == ExecutionConfig::Succeeded { 5 } else { 0 },
        "countExports": 5,
        "countImported": 13,
        "countImportedDeltas": 0,
        "countImportedReferenceDeltas": 0,
        "state": state,
        "error": error,
        "timeBegan": graph_date(earlier(since, RUN)),
        "timeEnded": if under_way { NO_DATE.to_owned() } else { graph_date(since) },
    })
}

/// A GUID that stays the same for a job; Graph names each run by one.
fn activity(job: &str) -> String {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in job.bytes() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    super::seed::Seed::new(sum).guid().to_string()
}

/// A service principal as Graph lists it, with the members that clients look at.
pub(super) fn service_principal(config: &ServicePrincipalConfig) -> Value {
    let name = config.display_name.as_deref().unwrap_or(&config.id);
    json!({
        "id": config.id,
        "deletedDateTime": null,
        "accountEnabled": true,
        "alternativeNames": [],
        "appDisplayName": name,
        "appDescription": null,
        "appId": config.app_id.as_deref().unwrap_or(&config.id),
        "appOwnerOrganizationId": "72f988bf-86f1-41af-91ab-2d7cd011db47",
        "appRoleAssignmentRequired": true,
        "createdDateTime": "2024-02-29T11:22:33Z",
        "displayName": name,
        "homepage": null,
        "loginUrl": null,
        "notes": null,
        "preferredSingleSignOnMode": "saml",
        "servicePrincipalNames": [config.app_id.as_deref().unwrap_or(&config.id)],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
    })
}

/// Graph's error object.
pub(super) fn error(
    code: &str,
    message: &str,
    at: Timestamp,
    request_id: &str,
    client_request_id: &str,
) -> Value {
    json!({
        "error": {
            "code": code,
            "message": message,
            "innerError": {
                "date": at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "request-id": request_id,
                "client-request-id": client_request_id,
            },
        },
    })
}

/// Lays `over` onto `base`: objects member by member, anything else (null too) in place of what was there.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// The members named by `$select`; annotations stay.
pub(super) fn select(item: Value, names: &[String]) -> Value {
    let Value::Object(fields) = item else { return item };
    let kept: Map<String, Value> = fields
        .into_iter()
        .filter(|(key, _)| {
            key.starts_with('@') || names.iter().any(|name| name.eq_ignore_ascii_case(key))
        })
        .collect();
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::super::machine::Job;
    use super::*;

    const SINCE: &str = "2026-11-23T09:00:00Z";

    fn rendered(config: &JobConfig) -> Value {
        let job_at = Job::new(config.clone(), Duration::ZERO);
        let (_, condition) = job_at.at(Duration::ZERO).unwrap();
        job(config, condition, SINCE.parse().unwrap())
    }

    #[test]
    fn a_quarantine_carries_its_dates_and_its_error() {
        let job = rendered(&JobConfig::new("BoxOutDelta.e4bb", "Quarantine"));
        assert_eq!(job["templateId"], "BoxOutDelta");
        let quarantine = &job["status"]["quarantine"];
        assert_eq!(quarantine["currentBegan"], "2026-11-23T03:00:00.0000000Z");
        assert_eq!(quarantine["seriesBegan"], "2026-11-21T15:00:00.0000000Z");
        assert_eq!(quarantine["nextAttempt"], "2026-11-24T03:00:00.0000000Z");
        assert_eq!(quarantine["error"]["tenantActionable"], true);
    }

    #[test]
    fn a_job_that_never_ran_has_the_largest_interval_and_no_dates() {
        let job = rendered(&JobConfig::new("plain", "NotRun"));
        assert_eq!(job["schedule"]["interval"], "P10675199DT2H48M5.4775807S");
        assert_eq!(job["status"]["steadyStateFirstAchievedTime"], NO_DATE);
        assert_eq!(job["status"]["lastExecution"], Value::Null);
        assert_eq!(job["status"]["quarantine"], Value::Null);
    }

    #[test]
    fn a_first_cycle_looks_failed_without_an_error() {
        let config = JobConfig {
            last_execution: ExecutionConfig::FirstCycle,
            ..JobConfig::new("plain", "NotRun").scheduled("Active")
        };
        let job = rendered(&config);
        assert_eq!(job["status"]["lastExecution"]["state"], "Failed");
        assert_eq!(job["status"]["lastExecution"]["error"]["code"], "None");
        assert_eq!(job["status"]["lastExecution"]["timeEnded"], NO_DATE);
    }

    #[test]
    fn an_overlay_can_write_what_no_healthy_service_would() {
        let config = JobConfig {
            overlay: json!({"status": {"code": null, "quarantine": {"reason": "", "currentBegan": ""}}, "extra": 1}),
            ..JobConfig::new("plain", "Paused")
        };
        let job = rendered(&config);
        assert_eq!(job["status"]["code"], Value::Null);
        assert_eq!(job["status"]["quarantine"], json!({"reason": "", "currentBegan": ""}));
        assert_eq!(job["extra"], 1);
        assert_eq!(job["schedule"]["state"], "Disabled");
    }

    #[test]
    fn select_keeps_what_is_named_and_annotations() {
        let item = json!({"@odata.context": "c", "id": 1, "appId": 2, "displayName": 3});
        let names = ["ID".to_owned(), "appId".to_owned()];
        assert_eq!(select(item, &names), json!({"@odata.context": "c", "id": 1, "appId": 2}));
    }
}
