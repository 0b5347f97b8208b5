//! Where the password comes from.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, path::PathBuf};

use secrecy::SecretString;
use tokio_postgres::config::Host;

use super::address::Target;
use crate::store::fault::Fault;

/// Where the password of a PostgreSQL store comes from.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// There is none: the server trusts this user, or knows it by a certificate or its login.
    #[default]
    None,
    /// It was given, in PGPASSWORD for example.
    Given(SecretString),
    /// It is in a file of lines `host:port:database:user:password`, as PGPASSFILE names one. The
    /// file is read again for every connection, so a new password needs no restart.
    File(PathBuf),
}

/// Longest password file read: thousands of lines.
const LONGEST_FILE: u64 = 1024 * 1024;

/// The password for a server in a password file; `None` where no line is for it.
pub(super) fn from_file(
    path: &Path,
    target: &Target,
    database: &str,
    user: &str,
) -> Result<Option<SecretString>, Fault> {
    let cannot = |error: io::Error| {
        let path = path.display();
        Fault::new(
            format!("cannot be asked: the password file {path} cannot be read"),
            format!("let this user read {path}, or name another file"),
        )
        .because(error)
    };
    let found = fs::metadata(path).map_err(cannot)?;
    if found.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        return Err(Fault::new(
            format!("cannot be asked: others may read the password file {path}"),
            format!("`chmod 600 '{path}'`, and change the password if anyone did"),
        ));
    }
    if found.len() > LONGEST_FILE {
        let path = path.display();
        return Err(Fault::new(
            format!("cannot be asked: {path} is too long for a password file"),
            "name another file",
        ));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    Ok(find(&text, target, database, user))
}

fn find(text: &str, target: &Target, database: &str, user: &str) -> Option<SecretString> {
    let port = target.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line).into_iter();
        let mut matches = |value: &str, other: Option<&str>| {
            fields.next().is_some_and(|field| {
                field == "*" || field == value || other.is_some_and(|other| field == other)
            })
        };
        let host = match &target.host {
            Host::Tcp(host) => (host.clone(), None),
            // What libpq writes for a socket of the file system.
            Host::Unix(path) => (path.display().to_string(), Some("localhost")),
        };
        let fits = matches(&host.0, host.1)
            && matches(&port, None)
            && matches(database, None)
            && matches(user, None);
        if fits { fields.next().map(SecretString::from) } else { None }
    })
}

/// The five fields of a line. `\` makes the next character an ordinary one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            // The password is the rest, colons included.
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next(),
            other => Some(other),
        };
        if let Some(field) = fields.last_mut() {
            field.extend(literal);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn tcp(host: &str, port: u16) -> Target {
        Target { host: Host::Tcp(host.to_owned()), address: None, port }
    }

    fn found(text: &str, target: &Target) -> Option<String> {
        find(text, target, "ledger", "ann").map(|found| found.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# a comment\nother:*:*:*:no\ndb:5432:ledger:bob:no\n\
                    db:5432:ledger:ann:yes\n*:*:*:*:late\n";
        assert_eq!(found(text, &tcp("db", 5432)).as_deref(), Some("yes"));
        assert_eq!(found(text, &tcp("db", 5433)).as_deref(), Some("late"));
        assert_eq!(found("db:5432:ledger:bob:no", &tcp("db", 5432)), None);
        assert_eq!(found("nonsense", &tcp("db", 5432)), None);
    }

    #[test]
    fn colons_and_backslashes_are_written_with_a_backslash() {
        let text = r"\:\:1:*:*:*:a\:b\\c:d";
        assert_eq!(found(text, &tcp("::1", 1)).as_deref(), Some(r"a:b\c:d"));
    }

    #[test]
    fn a_socket_is_found_by_its_folder_or_as_localhost() {
        let socket = Target { host: Host::Unix("/run/pg".into()), address: None, port: 5432 };
        assert_eq!(found("/run/pg:*:*:*:a", &socket).as_deref(), Some("a"));
        assert_eq!(found("localhost:*:*:*:b", &socket).as_deref(), Some("b"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        fs::write(&path, "*:*:*:*:s3cr3t\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let fault = from_file(&path, &tcp("db", 1), "ledger", "ann").unwrap_err().at("s");
        assert!(fault.remedy.contains("chmod 600"), "{fault:?}");
        assert!(!format!("{fault:?}").contains("s3cr3t"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(from_file(&path, &tcp("db", 1), "ledger", "ann").unwrap().is_some());
        assert!(from_file(&folder.path().join("none"), &tcp("db", 1), "l", "a").is_err());
    }
}
