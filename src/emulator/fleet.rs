//! The default fleet: one job in every state that matters, with payloads as Microsoft publishes them.

use std::time::Duration;

use super::config::{JobConfig, QuarantineConfig, ServicePrincipalConfig};
use super::job::ExecutionConfig;

/// The service principals of an emulator that was told of none.
pub(super) fn service_principals() -> Vec<ServicePrincipalConfig> {
    vec![
        ServicePrincipalConfig::new("60443998-8cf7-4e61-b05c-a53b658cb5e1")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01", "Box")
            .with_job(
                JobConfig::new("BoxOutDelta.e4bbf44533ea4eabb17027f3a92e92aa", "Paused")
                    .named("paused"),
            ),
        ServicePrincipalConfig::new("3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02", "Databricks")
            .with_job(quarantined()),
        ServicePrincipalConfig::new("a5bd3b9f-11b9-4b62-8b3e-9a1c5b7d0c03")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d03", "Salesforce")
            .with_job(too_many_deletes()),
        ServicePrincipalConfig::new("c2d4e6f8-0a1b-4c3d-8e5f-7a9b1c3d5e04")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d04", "ServiceNow")
            .with_job(
                JobConfig::new("ServiceNowOutDelta.9cf1c3f4a2a04a5a8b0d6e7f81920a4b", "Active")
                    .named("running"),
            ),
        ServicePrincipalConfig::new("d1e2f3a4-b5c6-47d8-89ea-fb0c1d2e3f05")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d05", "Slack")
            .with_job(
                JobConfig::new("slackOutDelta.0a6f3b9d2f5c4e1e8a7b6c5d4e3f2a1b", "NotRun")
                    .named("never-run"),
            ),
        ServicePrincipalConfig::new("e0f1a2b3-c4d5-46e7-98f9-0a1b2c3d4e06")
            .called("6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d06", "Zoom")
            .with_job(
                JobConfig::new("8b1025e4-1dd2-430b-a150-2ef79cd700f5", "NotConfigured")
                    .named("not-configured"),
            ),
        // Two jobs, so that the service principal alone names none; and a display name that the next one has too.
        ServicePrincipalConfig::new("f9e8d7c6-b5a4-4392-8170-6f5e4d3c2b07")
            .called(
                "6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d07",
                "Workday to Active Directory User Provisioning",
            )
            .with_job(first_cycle())
            .with_job(pruned()),
        ServicePrincipalConfig::new("f9e8d7c6-b5a4-4392-8170-6f5e4d3c2b08").called(
            "6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d08",
            "Workday to Active Directory User Provisioning",
        ),
    ]
}

fn quarantined() -> JobConfig {
    let id = "dataBricks.f5532fc709734b1a90e8a1fa9fd03a82.8442fd39-2183-419c-8732-74b6ce866bd5";
    JobConfig::new(id, "Quarantine").named("quarantined")
}

fn too_many_deletes() -> JobConfig {
    let id = "salesforce.7d1f8f9a2b3c4d5e9f0a1b2c3d4e5f60";
    JobConfig {
        // Accidental-deletion quarantines carry no error, and no date is set for another try.
        quarantine: Some(QuarantineConfig {
            reason: "TooManyDeletes".to_owned(),
            began_ago: Duration::from_secs(2 * 3600),
            series_began_ago: Duration::from_secs(2 * 3600),
            series_count: 1,
            next_attempt_in: Duration::ZERO,
            error_code: String::new(),
            error_message: String::new(),
        }),
        last_execution: ExecutionConfig::EntryLevelErrors,
        ..JobConfig::new(id, "Quarantine").named("too-many-deletes")
    }
}

fn first_cycle() -> JobConfig {
    JobConfig {
        last_execution: ExecutionConfig::FirstCycle,
        ..JobConfig::new("Workday2AD.1f2e3d4c5b6a47988776655443322110", "NotRun")
            .named("first-cycle")
    }
    .scheduled("Active")
}

fn pruned() -> JobConfig {
    JobConfig {
        escrows_pruned: true,
        last_execution: ExecutionConfig::EntryLevelErrors,
        ..JobConfig::new("WorkdayOutbound.00112233445566778899aabbccddeeff", "Paused")
            .named("escrows-pruned")
    }
}
