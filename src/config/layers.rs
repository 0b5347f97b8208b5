//! Flag beats variable beats file beats default.

use std::collections::BTreeMap;

use super::{
    ConfigError, Environment, Flags,
    document::{Document, WrittenJob},
    keys::{SHORT, Table},
    written::{Layer, Origin, Raw, Written},
};

/// The defaults, each with its reason. They are read like any other file, so that what the file
/// says is what holds.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What every source says, the weakest first.
#[derive(Debug)]
pub(super) struct Layers {
    defaults: BTreeMap<Table, Layer>,
    file: BTreeMap<Table, Layer>,
    variables: BTreeMap<Table, Layer>,
    flags: BTreeMap<Table, Layer>,
    pub(super) jobs: BTreeMap<String, WrittenJob>,
}

impl Layers {
    /// Collects them.
    pub(super) fn collect(
        flags: &Flags,
        environment: &Environment,
        file: Document,
    ) -> Result<Self, ConfigError> {
        let mut defaults =
            Document::parse(DEFAULTS.to_owned(), "config/default.toml".into())?.tables;
        for written in defaults.values_mut().flat_map(BTreeMap::values_mut) {
            written.origin = Origin::Default;
        }
        Ok(Self {
            defaults,
            file: file.tables,
            variables: variables(environment)?,
            flags: spoken(flags),
            jobs: file.jobs,
        })
    }

    /// What holds for a table.
    pub(super) fn table(&self, table: Table) -> Layer {
        over(over(self.below_job(table), self.variables.get(&table)), self.flags.get(&table))
    }

    /// What holds for one job: its own keys replace those of `[guard]` in the file, and a variable,
    /// which is set for one call, beats both.
    pub(super) fn job(&self, job: &WrittenJob) -> Layer {
        let own = over(self.below_job(Table::Guard), Some(&job.keys));
        over(own, self.variables.get(&Table::Guard))
    }

    /// The variable that beats a job's own `key`, if one is set.
    pub(super) fn variable_over_job(&self, key: &str) -> Option<String> {
        self.variables.get(&Table::Guard)?.get(key).map(Written::place)
    }

    fn below_job(&self, table: Table) -> Layer {
        over(over(Layer::new(), self.defaults.get(&table)), self.file.get(&table))
    }
}

fn over(mut lower: Layer, upper: Option<&Layer>) -> Layer {
    lower.extend(upper.into_iter().flatten().map(|(key, written)| (*key, written.clone())));
    lower
}

/// A setting that a key must have; `config/default.toml` gives one to each that is asked for here.
pub(super) fn required<'a>(layer: &'a Layer, key: &str) -> Result<&'a Written, ConfigError> {
    layer.get(key).ok_or_else(|| {
        ConfigError::new(
            format!("there is no value for `{key}` and no default"),
            format!("set `{key}` in the configuration file"),
        )
    })
}

fn bare(table: Table, key: &str, value: &str, origin: Origin) -> Written {
    Written { setting: format!("{table} {key}"), raw: Raw::Bare(value.to_owned()), origin }
}

fn variables(environment: &Environment) -> Result<BTreeMap<Table, Layer>, ConfigError> {
    let mut layers: BTreeMap<Table, Layer> = BTreeMap::new();
    for table in Table::ALL {
        let layer = layers.entry(table).or_default();
        for &key in table.keys() {
            let long = table.variable(key);
            let short = SHORT.iter().find(|(_, of, named)| (*of, *named) == (table, key));
            let found = match short {
                Some((short, ..)) => environment.either(short, &long)?,
                None => environment.get(&long).map(|value| (long.as_str(), value)),
            };
            // azure_identity's own variables stand in where ours are not set.
            let azure = match (table, key) {
                (Table::Auth, "tenant_id") => Some("AZURE_TENANT_ID"),
                (Table::Auth, "client_id") => Some("AZURE_CLIENT_ID"),
                _ => None,
            };
            let found =
                found.or_else(|| azure.and_then(|name| Some((name, environment.get(name)?))));
            if let Some((name, value)) = found {
                layer.insert(key, bare(table, key, value, Origin::Variable(name.to_owned())));
            }
        }
    }
    Ok(layers)
}

fn spoken(flags: &Flags) -> BTreeMap<Table, Layer> {
    let all = [
        (Table::Graph, "cloud", "--cloud", &flags.cloud),
        (Table::Graph, "endpoint", "--graph-endpoint", &flags.graph_endpoint),
        (Table::Auth, "kind", "--auth", &flags.auth),
        (Table::Store, "url", "--store", &flags.store),
    ];
    let mut layers: BTreeMap<Table, Layer> = BTreeMap::new();
    for (table, key, flag, value) in all {
        if let Some(value) = value {
            layers
                .entry(table)
                .or_default()
                .insert(key, bare(table, key, value, Origin::Flag(flag)));
        }
    }
    layers
}
