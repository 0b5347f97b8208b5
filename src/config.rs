//! What was written (file, environment, flags) and what it means: [`Settings`], checked.
//!
//! A flag beats a variable beats the file beats the defaults, which `config/default.toml` holds with
//! their reasons. [`load`] reads one file and the environment it is given, and nothing else: no
//! network, no clock, no store.
//!
//! # Guarantees
//! - A key, a table or a guard variable that is not known is an error, never passed over: a
//!   misspelt limit must not leave the guard laxer than its operator thinks.
//! - Every error is one line, says where (file, line and column, variable or flag) and carries a
//!   remedy. What a terminal would act on is escaped in it.
//! - No secret is read from the file or from a flag, and none shows in an error or in `Debug`.
//!
//! # Caveats
//! Only the first mistake is reported.

mod auth;
pub mod bounds;
mod choice;
mod document;
mod duration;
mod environment;
mod error;
mod file;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod guard;
mod job_name;
mod jobs;
mod keys;
mod layers;
mod origin;
mod paths;
mod store;
mod variables;
mod written;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use auth::AuthSection;
pub use duration::{DurationError, parse_duration};
pub use environment::Environment;
pub use error::ConfigError;
pub use graph::GraphSection;
pub use jobs::JobSection;
pub use layers::DEFAULTS;
pub use store::{StoreSection, StoreUrl};

use crate::model::{JobKey, Policy};
use document::Document;
use file::Found;
use keys::Table;
use layers::Layers;
use written::Written;

/// The machine's file, read when the user has none.
const SYSTEM_FILE: &str = "/etc/startguard/startguard.toml";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--cloud`
    pub cloud: Option<String>,
    /// `--graph-endpoint`
    pub graph_endpoint: Option<String>,
    /// `--auth`
    pub auth: Option<String>,
    /// `--store`
    pub store: Option<String>,
}

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Which Graph, and how it is asked.
    pub graph: GraphSection,
    /// Who asks.
    pub auth: AuthSection,
    /// Where the ledger is.
    pub store: StoreSection,
    /// What is allowed for jobs that the configuration does not name.
    pub guard: Policy,
    /// The jobs that it names.
    pub jobs: BTreeMap<String, JobSection>,
    /// What is allowed and probably not meant, a line each.
    pub warnings: Vec<String>,
}

impl Settings {
    /// The job that the configuration calls `name`.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&JobSection> {
        self.jobs.get(name)
    }

    /// What is allowed for the job `key`, and what the configuration calls it.
    ///
    /// An entry that gives object id and job id holds for its job however a person names it. One
    /// that names its service principal by application id or display name, or gives no job id,
    /// cannot be told apart from others without asking Graph: it holds only where a person uses its
    /// name, and a person who names the same job by ids gets the settings of `[guard]`.
    #[must_use]
    pub fn policy_for(&self, key: &JobKey) -> (&Policy, Option<&str>) {
        self.jobs
            .values()
            .find(|job| job.is_for(key))
            .map_or((&self.guard, None), |job| (&job.policy, Some(job.name.as_str())))
    }
}

/// Reads the configuration.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong, with its remedy.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Settings, ConfigError> {
    load_with(flags, environment, Path::new(SYSTEM_FILE))
}

fn load_with(
    flags: &Flags,
    environment: &Environment,
    system_file: &Path,
) -> Result<Settings, ConfigError> {
    let warnings = variables::check(environment)?;
    let found = file::find(flags.config.as_deref(), environment, system_file)?;
    settle(flags, environment, found, warnings)
}

/// What all of it means together.
fn settle(
    flags: &Flags,
    environment: &Environment,
    found: Option<Found>,
    mut warnings: Vec<String>,
) -> Result<Settings, ConfigError> {
    let (file, document) = match found {
        Some(Found { path, text }) => (Some(path.clone()), Document::parse(text, path)?),
        None => (None, Document::default()),
    };
    let layers = Layers::collect(flags, environment, document)?;

    let graph = GraphSection::read(&layers.table(Table::Graph), environment, &mut warnings)?;
    let auth =
        AuthSection::read(&layers.table(Table::Auth), graph.cloud, environment, &mut warnings)?;
    let store_layer = layers.table(Table::Store);
    let store = StoreSection::read(&store_layer, environment, &mut warnings)?;
    let guard_layer = layers.table(Table::Guard);
    let guard = guard::policy(&guard_layer, graph.request_timeout)?;
    warnings.extend(guard::doubts(&guard_layer, &guard, |_| true));
    let jobs = jobs::read(&layers, graph.request_timeout, &mut warnings)?;
    let of_jobs = jobs.values().map(|job| (document::title_of(&job.name), &job.policy));
    let policies = std::iter::once((Table::Guard.to_string(), &guard)).chain(of_jobs);
    store.check_keep(&store_layer, policies)?;

    Ok(Settings { file, graph, auth, store, guard, jobs, warnings })
}

#[cfg(test)]
mod tests;
