//! A configuration file: tables, keys and values with their places, and no key that is not known.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    ConfigError,
    error::quoted,
    job_name, jobs,
    keys::{self, JOBS, Table},
    written::{Layer, Origin, Place, Raw, Source, Written},
};
use crate::model::printable;

/// Where a person finds the right spelling.
const SEE_DOCS: &str = "correct or remove it; docs/configuration.md lists every key";

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) tables: BTreeMap<Table, Layer>,
    pub(super) jobs: BTreeMap<String, WrittenJob>,
}

/// One `[jobs.NAME]`.
#[derive(Debug)]
pub(super) struct WrittenJob {
    pub(super) place: Place,
    pub(super) keys: Layer,
}

impl Document {
    /// Reads the `text` of the file at `path`.
    pub(super) fn parse(text: String, path: PathBuf) -> Result<Self, ConfigError> {
        let source = Arc::new(Source { path, text });
        let reader = Reader { source: Arc::clone(&source) };
        let root = DeTable::parse(&source.text).map_err(|error| reader.broken(&error))?;
        reader.document(root.get_ref())
    }
}

type Entry<'a, 'i> = (&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>);

struct Reader {
    source: Arc<Source>,
}

impl Reader {
    fn place(&self, offset: usize) -> Place {
        Place { source: Arc::clone(&self.source), offset }
    }

    fn broken(&self, error: &toml::de::Error) -> ConfigError {
        let place = self.place(error.span().map_or(0, |span| span.start));
        ConfigError::new(
            format!("{place}: not TOML: {}", printable(error.message())),
            "correct the file at that place; config/startguard.toml is a template",
        )
    }

    fn document(&self, root: &DeTable<'_>) -> Result<Document, ConfigError> {
        let mut document = Document::default();
        for entry in in_order(root) {
            let name = entry.0.get_ref().as_ref();
            if name == JOBS {
                document.jobs = self.jobs(entry)?;
                continue;
            }
            let Some(table) = Table::ALL.into_iter().find(|table| table.as_str() == name) else {
                return Err(self.unknown_at_root(entry));
            };
            let keys = self.table(&table.to_string(), entry)?;
            let layer = self.keys(&table.to_string(), table.keys(), keys)?;
            document.tables.insert(table, layer);
        }
        Ok(document)
    }

    fn unknown_at_root(&self, (key, value): Entry<'_, '_>) -> ConfigError {
        let name = key.get_ref().as_ref();
        let tables = Table::ALL.into_iter().map(Table::as_str).chain([JOBS]);
        let (what, nearest) = if value.get_ref().is_table() {
            (
                "table",
                keys::nearest(name, tables).map_or_else(String::new, |near| format!("[{near}]")),
            )
        } else {
            ("key outside of any table", keys::nearest_anywhere(name))
        };
        ConfigError::new(
            format!(
                "{}: unknown {what} {}; the nearest known one is {nearest}",
                self.place(key.span().start),
                quoted(name)
            ),
            SEE_DOCS,
        )
    }

    fn jobs(&self, entry: Entry<'_, '_>) -> Result<BTreeMap<String, WrittenJob>, ConfigError> {
        let known = jobs::known_keys();
        let mut jobs = BTreeMap::new();
        for (key, value) in in_order(self.table("[jobs]", entry)?) {
            let name = key.get_ref().as_ref();
            let place = self.place(key.span().start);
            job_name::check(name).map_err(|problem| {
                ConfigError::new(
                    format!("{place}: the job name {} {problem}", quoted(name)),
                    "name it with letters, digits, `-`, `_` and `.`, such as [jobs.workday]",
                )
            })?;
            let title = title_of(name);
            let keys = self.keys(&title, &known, self.table(&title, (key, value))?)?;
            jobs.insert(name.to_owned(), WrittenJob { place, keys });
        }
        Ok(jobs)
    }

    fn table<'a, 'i>(
        &self,
        title: &str,
        (key, value): Entry<'a, 'i>,
    ) -> Result<&'a DeTable<'i>, ConfigError> {
        value.get_ref().as_table().ok_or_else(|| {
            ConfigError::new(
                format!("{}: {title} is not a table", self.place(key.span().start)),
                format!("write {title} on a line of its own and its keys below it"),
            )
        })
    }

    fn keys(
        &self,
        title: &str,
        known: &[&'static str],
        table: &DeTable<'_>,
    ) -> Result<Layer, ConfigError> {
        let mut layer = Layer::new();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            let Some(known_key) = known.iter().copied().find(|known| *known == name) else {
                return Err(self.unknown(title, known, (key, value)));
            };
            let written = Written {
                setting: format!("{title} {known_key}"),
                raw: raw(value.get_ref()),
                origin: Origin::File(self.place(value.span().start)),
            };
            layer.insert(known_key, written);
        }
        Ok(layer)
    }

    fn unknown(&self, title: &str, known: &[&str], (key, value): Entry<'_, '_>) -> ConfigError {
        let name = key.get_ref().as_ref();
        let place = self.place(key.span().start);
        if value.get_ref().is_table() {
            // No setting is a table, so this is most likely a name with a dot.
            return ConfigError::new(
                format!("{place}: unknown table {} in {title}", quoted(name)),
                "remove it; a job's name with a dot is quoted, as in [jobs.\"sap.eu\"]",
            );
        }
        if let Some(variable) = secret(title, name) {
            // The value stays out of the message: it is what must not be seen.
            return ConfigError::new(
                format!(
                    "{place}: {title} takes no {}: secrets never live in the file",
                    quoted(name)
                ),
                format!(
                    "remove it, renew the secret if others could read the file, and set {variable}"
                ),
            );
        }
        ConfigError::new(
            format!(
                "{place}: unknown key {} in {title}; the nearest known key is {}",
                quoted(name),
                keys::nearest_key(name, known.iter().copied())
            ),
            SEE_DOCS,
        )
    }
}

/// The head of a job's table as it stands in the file.
pub(super) fn title_of(name: &str) -> String {
    // A dot parts tables unless it is quoted.
    if name.contains('.') { format!("[jobs.\"{name}\"]") } else { format!("[jobs.{name}]") }
}

/// The variable that a secret belongs in, if the key means one.
fn secret(title: &str, key: &str) -> Option<&'static str> {
    let is_auth = title == Table::Auth.to_string();
    let is_store = title == Table::Store.to_string();
    match key {
        "client_secret" | "secret" if is_auth => Some("AZURE_CLIENT_SECRET"),
        "token" | "access_token" if is_auth => Some("STARTGUARD_TOKEN or STARTGUARD_TOKEN_FILE"),
        "password" if is_store => Some("PGPASSWORD"),
        _ => None,
    }
}

/// A table's entries in the order of the file, so that the first mistake is the one that is named.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<Entry<'a, 'i>> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            Raw::Number(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other("array"), Raw::List)
        }
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Raw::Other(value.type_str())
        }
    }
}
