//! `[store]`: where the ledger is.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    ConfigError, Environment, bounds,
    error::quoted,
    layers::required,
    written::{Layer, Origin, Raw, Written},
};
use crate::model::Policy;

/// What stands in for a password.
const HIDDEN: &str = "***";

const FORMS: &str = "write sqlite:PATH for one machine, or postgres://HOST/DATABASE for several";

/// `[store]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSection {
    /// Where the ledger is.
    pub url: StoreUrl,
    /// How long entries of the journal are kept.
    pub keep: Duration,
}

/// Where a ledger is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file. A relative path is taken from the working folder.
    Sqlite(PathBuf),
    /// A database, by its whole URL, which may hold a password.
    Postgres(String),
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(url) => f.debug_tuple("Postgres").field(&without_password(url)).finish(),
        }
    }
}

impl StoreSection {
    pub(super) fn read(
        layer: &Layer,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let written = required(layer, "url")?;
        let url = StoreUrl::read(written, environment)?;
        warnings.extend(doubts(written, &url));
        Ok(Self { url, keep: required(layer, "keep")?.duration(&bounds::KEEP)? })
    }

    /// Refuses a `keep` with which the journal would forget starts that still count.
    pub(super) fn check_keep<'a>(
        &self,
        layer: &Layer,
        policies: impl Iterator<Item = (String, &'a Policy)>,
    ) -> Result<(), ConfigError> {
        let counted = policies.flat_map(|(table, policy)| {
            [(policy.window, "window", table.clone()), (policy.cooldown, "cooldown", table)]
        });
        let Some((longest, key, table)) = counted.max_by_key(|(span, ..)| *span) else {
            return Ok(());
        };
        if self.keep >= longest {
            return Ok(());
        }
        let say = humantime::format_duration;
        Err(ConfigError::new(
            format!(
                "{} ({}) is shorter than `{key}` of {table} ({}): the journal would forget starts \
                 that still count",
                required(layer, "keep")?.place(),
                say(self.keep),
                say(longest)
            ),
            format!("set `keep` to at least {}", say(longest)),
        ))
    }
}

impl StoreUrl {
    /// The URL that a flag of its own names, by the rules of `[store] url`, and what may come of it.
    ///
    /// # Errors
    /// [`ConfigError`] where it names no store, with its remedy.
    pub fn of_flag(
        flag: &'static str,
        text: &str,
        environment: &Environment,
    ) -> Result<(Self, Option<String>), ConfigError> {
        let written = Written {
            setting: flag.to_owned(),
            raw: Raw::Bare(text.to_owned()),
            origin: Origin::Flag(flag),
        };
        let url = Self::read(&written, environment)?;
        let doubts = doubts(&written, &url);
        Ok((url, doubts))
    }

    fn read(written: &Written, environment: &Environment) -> Result<Self, ConfigError> {
        let text = written.text()?;
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(written.refuse("has no scheme", FORMS));
        };
        // Taken as a part of the path it would quietly make another ledger, in a folder that is called
        // " " or beside the one that was meant. The value may hold a password: it is not repeated.
        let at_edge = |text: &str| text.trim() != text;
        if at_edge(text) || at_edge(rest) || at_edge(rest.strip_prefix("//").unwrap_or(rest)) {
            return Err(written.problem(
                "has white space before or after the path or URL, which would name another ledger",
                "take the white space out",
            ));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => sqlite(written, rest, environment).map(Self::Sqlite),
            "postgres" | "postgresql" => postgres(written, text, rest).map(Self::Postgres),
            _ => Err(written.problem(
                format_args!(
                    "{} is not a kind of store; there are sqlite and postgres",
                    quoted(scheme)
                ),
                FORMS,
            )),
        }
    }
}

fn sqlite(
    written: &Written,
    rest: &str,
    environment: &Environment,
) -> Result<PathBuf, ConfigError> {
    const REMEDY: &str = "name a file, as in sqlite:/var/lib/startguard/ledger.db";
    let path = rest.strip_prefix("//").unwrap_or(rest);
    // SQLite's and other libraries' spellings that are no paths. Taken as paths they would quietly
    // make a ledger beside the one that was meant, with a budget of its own.
    if path == ":memory:" {
        return Err(written.refuse("would forget every start at exit", REMEDY));
    }
    if path.contains('?') || path.starts_with("file:") {
        return Err(written.refuse("has parameters, which a path has not", REMEDY));
    }
    if path.is_empty() || path.ends_with('/') || matches!(path, "." | ".." | "~") {
        return Err(written.refuse("names no file", REMEDY));
    }
    Ok(PathBuf::from(written.expanded(path, environment)?))
}

fn postgres(written: &Written, text: &str, rest: &str) -> Result<String, ConfigError> {
    // The value may hold a password: no error repeats it.
    let is_url = rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty());
    if !is_url || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            written.problem("is not the URL of a database", "write postgres://USER@HOST/DATABASE")
        );
    }
    Ok(text.to_owned())
}

/// What may come of a URL that is not wrong in itself.
fn doubts(written: &Written, url: &StoreUrl) -> Option<String> {
    match url {
        StoreUrl::Sqlite(path) => (path.is_relative() && matches!(written.origin, Origin::File(_)))
            .then(|| {
                format!(
                    "{} is relative, so each working folder has a ledger and a budget of its own; \
                     write an absolute path",
                    written.place()
                )
            }),
        StoreUrl::Postgres(url) => {
            let is_public = match written.origin {
                // Flags show in every list of processes.
                Origin::File(_) | Origin::Flag(_) => true,
                Origin::Variable(_) | Origin::Default => false,
            };
            (is_public && without_password(url) != *url).then(|| {
                format!(
                    "{} holds a password that others may read; leave it out and set PGPASSWORD",
                    written.place()
                )
            })
        }
    }
}

/// The URL with its passwords hidden.
///
/// It is not parsed for that: a password with a stray `@` or `/` makes a URL that means something
/// else to a parser than to its writer. Rather too much is hidden than too little.
fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (head, tail) = url.split_at(start);
    let shown = match tail.rsplit_once('@') {
        Some((login, place)) => match login.split_once(':') {
            Some((user, _)) => format!("{head}{user}:{HIDDEN}@{place}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    };
    let mut parts = shown.split('&');
    let mut hidden = parts.next().map(hide_parameter).unwrap_or_default();
    for part in parts {
        hidden.push('&');
        hidden.push_str(&hide_parameter(part));
    }
    hidden
}

/// Hides the value of `password=` (and of `sslpassword=`) at the end of `part`.
fn hide_parameter(part: &str) -> String {
    const NAME: &str = "password=";
    match part.to_ascii_lowercase().find(NAME) {
        Some(at) => format!("{}{HIDDEN}", part.get(..at + NAME.len()).unwrap_or_default()),
        None => part.to_owned(),
    }
}

#[cfg(test)]
mod tests;
