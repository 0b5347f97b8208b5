//! What was checked: a line each, with what to do where something is not well.

use serde::Serialize;

use super::{
    failure::{Failure, chain},
    ui::{Tone, Ui, toned},
};
use crate::ports::{Finding, Store};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Health {
    /// It is as it should be.
    Ok,
    /// A person should know.
    Warning,
    /// Something is wrong.
    Failed,
    /// It could not be looked at.
    Skipped,
}

/// One line of a report.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: &'static str,
    pub(super) status: Health,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn new(check: &'static str, status: Health, message: impl Into<String>) -> Self {
        Self { check, status, message: message.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Prints it.
    pub(super) fn tell(&self, ui: Ui) -> Result<(), Failure> {
        if ui.is_json() {
            return ui.json(self);
        }
        let (word, tone) = match self.status {
            Health::Ok => ("ok", Tone::Good),
            Health::Warning => ("warning", Tone::Notice),
            Health::Failed => ("FAILED", Tone::Bad),
            Health::Skipped => ("skipped", Tone::Faint),
        };
        let mut text = format!("{} {}\n", toned(self.check, Tone::Strong), toned(word, tone));
        text.push_str(&ui.paragraph(&self.message, "  "));
        if let Some(remedy) = &self.remedy {
            text.push_str(&ui.paragraph(&format!("next: {remedy}"), "  "));
        }
        ui.text(&text)
    }
}

/// What a store says of itself: its facts, then a line for everything that should be changed.
pub(super) async fn of_store(store: &dyn Store) -> Vec<Check> {
    match store.report().await {
        Ok(report) => {
            let facts: Vec<String> =
                report.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
            let message = format!("{}: {}", store.describe(), facts.join(", "));
            let findings = report.findings.into_iter().map(found);
            std::iter::once(Check::new("store", Health::Ok, message)).chain(findings).collect()
        }
        Err(error) => {
            vec![Check::new("store", Health::Failed, chain(&error)).remedy(error.remedy.clone())]
        }
    }
}

fn found(finding: Finding) -> Check {
    let status = if finding.grave { Health::Failed } else { Health::Warning };
    Check::new("store", status, finding.problem).remedy(finding.remedy)
}
