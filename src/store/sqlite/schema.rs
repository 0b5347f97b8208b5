//! The ledger's tables, and how an older ledger is brought up to date.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::fault::{Fault, UPGRADE};

/// `PRAGMA application_id` of a ledger ("SGLD"): what tells it from other SQLite files.
pub(super) const APPLICATION_ID: i64 = 0x5347_4c44;

/// What leads from each schema version to the next, from nothing to the newest. `PRAGMA
/// user_version` is the number of steps that a file has taken. Steps are only ever added.
///
/// `jobs.entries` and `jobs.head` are the end of the job's chain, `jobs.checkpoint` is where it begins
/// once entries were pruned. `journal.seq` never skips a number
/// (a transaction that fails gives its numbers back), so a number that is missing is an entry that
/// was removed. `journal.at` is in nanoseconds since 1970.
const STEPS: &[&str] = &[
    "
    CREATE TABLE jobs (
        key TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        record TEXT NOT NULL,
        entries INTEGER NOT NULL,
        head TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE tenants (
        key TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL,
        place INTEGER NOT NULL,
        at INTEGER NOT NULL,
        body TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX journal_by_job ON journal (job, place);
",
    "
    ALTER TABLE jobs ADD COLUMN checkpoint TEXT;
",
];

/// The schema version that this program writes.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Makes an empty database a ledger.
pub(super) fn create(connection: &mut Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    take_steps(connection, STEPS)
}

/// Refuses what is no ledger of a version that this program knows; else says whether it is current.
pub(super) fn is_current(connection: &Connection) -> Result<bool, Fault> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version = version(connection)?;
    if application != APPLICATION_ID {
        return Err(Fault::new(
            "is a database of another program, not a ledger",
            "name another file; starts stay off until then",
        ));
    }
    if version > newest() {
        return Err(Fault::new(
            format!("has schema {version}, and this program knows schemas up to {}", newest()),
            UPGRADE,
        ));
    }
    if version < 1 {
        return Err(Fault::damaged(format!("is damaged: it claims to have schema {version}")));
    }
    Ok(version == newest())
}

/// Brings an older ledger up to date. Processes may do so at once.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), Fault> {
    take_steps(connection, STEPS)
}

/// The schema version of a file.
pub(super) fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Takes the steps that a file has not taken yet, all or none. Who comes second sees, inside its
/// transaction, that they are taken.
fn take_steps(connection: &mut Connection, steps: &[&str]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = usize::try_from(version(&transaction)?).unwrap_or(usize::MAX);
    for step in steps.iter().skip(taken) {
        transaction.execute_batch(step)?;
    }
    if taken < steps.len() {
        let now = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", now)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_ledger_takes_the_steps_it_lacks() -> Result<(), Fault> {
        let mut connection = Connection::open_in_memory()?;
        take_steps(&mut connection, &["CREATE TABLE a (x)"])?;
        assert_eq!(version(&connection)?, 1);
        let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD y; INSERT INTO a VALUES (1, 2)"];
        take_steps(&mut connection, &steps)?;
        take_steps(&mut connection, &steps)?;
        assert_eq!(version(&connection)?, 2);
        let rows: i64 = connection.query_row("SELECT sum(y) FROM a", [], |row| row.get(0))?;
        assert_eq!(rows, 2);
        Ok(())
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() -> Result<(), Fault> {
        let mut connection = Connection::open_in_memory()?;
        assert!(
            take_steps(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE a (x)"]).is_err()
        );
        assert_eq!(version(&connection)?, 0);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        assert_eq!(tables, 0);
        Ok(())
    }
}
