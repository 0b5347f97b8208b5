//! What the ledger says of itself to `doctor`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{ledger::Ledger, schema, turn::beside};
use crate::{
    ports::{Finding, StoreReport},
    store::fault::Fault,
};

/// File systems on which locks, or the memory that WAL shares between processes, cannot be trusted:
/// `f_type` of statfs(2) and what it is.
const NETWORK: &[(i64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
];

/// The report on a ledger that is not there yet.
pub(super) fn of_nothing(path: &Path) -> StoreReport {
    let facts = vec![fact("file", "not there yet; the first start makes it, for this user alone")];
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    StoreReport { facts, findings: folder.and_then(on_network).into_iter().collect() }
}

/// The report on an open ledger. Reads every page: SQLite's own check is part of it.
pub(super) fn of_ledger(ledger: &Ledger, path: &Path) -> Result<StoreReport, Fault> {
    let connection = &ledger.connection;
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(Fault::damaged(format!("is damaged: {}", check.replace('\n', "; "))));
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let facts = vec![
        fact("schema", schema::version(connection)?),
        fact("journal mode", mode),
        fact("synchronous", if synchronous == 2 { "full" } else { "NOT full" }),
        fact("size", format!("{} bytes", size(path))),
        fact("log size", format!("{} bytes", size(&beside(path, "-wal")))),
        fact("jobs", number("SELECT count(*) FROM jobs")?),
        fact("entries", number("SELECT count(*) FROM journal")?),
        fact("integrity", "ok"),
    ];
    let findings = on_network(path).into_iter().chain(open_file(path)).chain(open_folder(path));
    Ok(StoreReport { facts, findings: findings.collect() })
}

fn fact(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn open_file(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let problem = format!("others may touch the ledger (mode {mode:04o})");
        Finding::notice(problem, format!("`chmod 600 '{}'`", path.display()))
    })
}

/// Who may write the folder may replace the ledger. A sticky folder such as /tmp lets nobody
/// replace another's file.
fn open_folder(path: &Path) -> Option<Finding> {
    let folder = path.parent()?;
    let mode = fs::metadata(folder).ok()?.permissions().mode();
    (mode & 0o022 != 0 && mode & 0o1000 == 0).then(|| {
        let problem = format!("others may replace the ledger (folder mode {:04o})", mode & 0o777);
        Finding::notice(problem, format!("`chmod go-w '{}'`", folder.display()))
    })
}

#[cfg(target_os = "linux")]
fn on_network(path: &Path) -> Option<Finding> {
    let found = rustix::fs::statfs(path).ok()?;
    // The field's type differs by platform; only its low 32 bits mean anything.
    #[cfg_attr(
        all(target_pointer_width = "64", target_env = "gnu"),
        expect(clippy::useless_conversion, reason = "it is an i64 already on this platform alone")
    )]
    let magic = i64::from(found.f_type) & 0xffff_ffff;
    let (_, name) = NETWORK.iter().find(|(known, _)| *known == magic)?;
    Some(Finding::grave(
        format!("it is on {name}, where file locks are not to be trusted"),
        "move it to a local disk, or use postgres:// to share it between machines",
    ))
}

#[cfg(not(target_os = "linux"))]
fn on_network(_: &Path) -> Option<Finding> {
    None
}
