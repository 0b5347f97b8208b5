//! The statements, with the schema's name in its place. Values never become part of a statement.

use tokio_postgres::types::Type;

use super::{name::Name, schema, transaction::SAID};
use crate::model::JournalHash;

/// The server's clock as stores keep time: nanoseconds since 1970. Not `now()`, which stands still
/// within a transaction. A test may put another time in its place.
const CLOCK: &str = "(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint * 1000";

/// A statement that the server may keep prepared, and the types of its values.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sql: String,
    pub(super) types: &'static [Type],
}

/// The statements of every ask.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) now: String,
    pub(super) load: String,
    pub(super) load_tenant: String,
    /// A place for a new record, so that its row can be locked.
    pub(super) place_job: String,
    pub(super) place_tenant: String,
    /// Locks a row if it still has the version expected, and the tables that of this program.
    pub(super) lock_job: String,
    pub(super) lock_tenant: String,
    /// Writes a row that is locked.
    pub(super) write_job: String,
    pub(super) write_tenant: String,
    pub(super) append: String,
    /// The clock, and when the newest entry was written, for those that are appended.
    pub(super) clock: String,
    /// Compare and swap in one statement, for a record that comes without entries.
    pub(super) swap_job: String,
    pub(super) swap_new_job: String,
    pub(super) swap_tenant: String,
    pub(super) swap_new_tenant: String,
    /// Both rows at once, if both have the versions expected: locked, and then written.
    pub(super) lock_both: String,
    pub(super) swap_both: String,
    /// For a commit in doubt: what is there, and a write that changes nothing.
    pub(super) hash_at: String,
    pub(super) job_now: String,
    pub(super) tenant_now: String,
    pub(super) touch_job: String,
    pub(super) touch_tenant: String,
    pub(super) of_one_job: String,
    pub(super) of_all: String,
    pub(super) entries: String,
    pub(super) heads: String,
    pub(super) checkpoints: String,
    pub(super) version: String,
    /// For pruning: both ends of the journal, one at a time, the oldest, and their removal.
    pub(super) ends: String,
    pub(super) one_pruner: String,
    pub(super) oldest: String,
    pub(super) checkpoints_of: String,
    pub(super) write_checkpoints: String,
    pub(super) remove: String,
}

impl Sql {
    pub(super) fn new(name: &Name) -> Self {
        let current = schema::newest();
        let genesis = JournalHash::genesis();
        let known = format!("EXISTS (SELECT FROM {name}.ledger WHERE version = {current})");
        let known_and_said = format!("{known} AND EXISTS (SELECT FROM said)");
        let swap = |table: &str| {
            format!(
                "{SAID} UPDATE {name}.{table} SET version = $2 + 1, record = $3
                 WHERE key = $1 AND version = $2 AND {known_and_said}"
            )
        };
        let swap_new = |table: &str, columns: &str, values: &str| {
            format!(
                "{SAID} INSERT INTO {name}.{table} AS old (key, version, record{columns})
                 SELECT $1, $2 + 1, $3{values} WHERE {known_and_said}
                 ON CONFLICT (key) DO UPDATE SET version = excluded.version, record = excluded.record
                 WHERE old.version = $2"
            )
        };
        let end_of_chain = format!(", 0, '{genesis}'");
        Self {
            now: format!("SELECT coalesce($1, {CLOCK})"),
            load: format!(
                "SELECT l.version, coalesce($3, {CLOCK}), j.version, j.record, t.version, t.record,
                        (SELECT at FROM {name}.journal ORDER BY seq DESC LIMIT 1)
                 FROM (SELECT) AS one
                 LEFT JOIN {name}.ledger AS l ON true
                 LEFT JOIN {name}.jobs AS j ON j.key = $1
                 LEFT JOIN {name}.tenants AS t ON t.key = $2"
            ),
            load_tenant: format!(
                "SELECT l.version, coalesce($2, {CLOCK}), t.version, t.record
                 FROM (SELECT) AS one
                 LEFT JOIN {name}.ledger AS l ON true
                 LEFT JOIN {name}.tenants AS t ON t.key = $1"
            ),
            place_job: format!(
                "INSERT INTO {name}.jobs (key, version, record, entries, head)
                 SELECT $1, 0, ''{end_of_chain} WHERE {known} ON CONFLICT DO NOTHING"
            ),
            place_tenant: format!(
                "INSERT INTO {name}.tenants (key, version, record)
                 SELECT $1, 0, '' WHERE {known} ON CONFLICT DO NOTHING"
            ),
            lock_job: format!(
                "SELECT entries, head FROM {name}.jobs
                 WHERE key = $1 AND version = $2 AND {known} FOR UPDATE"
            ),
            lock_tenant: format!(
                "SELECT FROM {name}.tenants WHERE key = $1 AND version = $2 FOR UPDATE"
            ),
            write_job: format!(
                "UPDATE {name}.jobs SET version = version + 1, record = $2, entries = $3, head = $4
                 WHERE key = $1"
            ),
            write_tenant: format!(
                "UPDATE {name}.tenants SET version = version + 1, record = $2 WHERE key = $1"
            ),
            clock: format!(
                "SELECT coalesce($1, {CLOCK}),
                        (SELECT at FROM {name}.journal ORDER BY seq DESC LIMIT 1)"
            ),
            append: format!(
                "INSERT INTO {name}.journal (job, place, at, body, hash)
                 SELECT $1, place, $2, body, hash
                 FROM unnest($3::bigint[], $4::text[], $5::text[]) AS entry (place, body, hash)
                 ORDER BY place"
            ),
            swap_job: swap("jobs"),
            swap_new_job: swap_new("jobs", ", entries, head", &end_of_chain),
            swap_tenant: swap("tenants"),
            swap_new_tenant: swap_new("tenants", "", ""),
            lock_both: format!(
                "{SAID} SELECT FROM {name}.jobs AS job, {name}.tenants AS tenant
                 WHERE job.key = $1 AND job.version = $2
                   AND tenant.key = $3 AND tenant.version = $6 AND {known_and_said}
                 FOR UPDATE OF job, tenant"
            ),
            swap_both: format!(
                "WITH job AS (
                     UPDATE {name}.jobs SET version = version + 1, record = $3
                     WHERE key = $1 AND version = $2 AND {known}
                       AND EXISTS (SELECT FROM {name}.tenants WHERE key = $4 AND version = $5)
                     RETURNING key)
                 UPDATE {name}.tenants SET version = version + 1, record = $6
                 WHERE key = $4 AND version = $5 AND EXISTS (SELECT FROM job)"
            ),
            hash_at: format!("SELECT hash FROM {name}.journal WHERE job = $1 AND place = $2"),
            job_now: format!("SELECT version, record FROM {name}.jobs WHERE key = $1"),
            tenant_now: format!("SELECT version, record FROM {name}.tenants WHERE key = $1"),
            touch_job: format!("UPDATE {name}.jobs SET record = record WHERE key = $1"),
            touch_tenant: format!("UPDATE {name}.tenants SET record = record WHERE key = $1"),
            of_one_job: format!(
                "SELECT seq, body, hash FROM {name}.journal WHERE job = $3 AND at >= $1
                 ORDER BY place DESC LIMIT $2"
            ),
            of_all: format!(
                "SELECT seq, body, hash FROM {name}.journal WHERE at >= $1
                 ORDER BY seq DESC LIMIT $2"
            ),
            entries: format!(
                "SELECT seq, job, place, at, body, hash FROM {name}.journal ORDER BY seq"
            ),
            heads: format!("SELECT key, entries, head, record FROM {name}.jobs ORDER BY key"),
            checkpoints: format!(
                "SELECT key, checkpoint FROM {name}.jobs WHERE checkpoint IS NOT NULL"
            ),
            version: format!("SELECT max(version) FROM {name}.ledger"),
            ends: format!(
                "SELECT (SELECT version FROM {name}.ledger), coalesce($1, {CLOCK}),
                        (SELECT at FROM {name}.journal ORDER BY seq LIMIT 1), newest.seq, newest.at,
                        pg_catalog.has_table_privilege('{name}.journal', 'DELETE')
                 FROM (SELECT) AS one LEFT JOIN
                      (SELECT seq, at FROM {name}.journal ORDER BY seq DESC LIMIT 1) AS newest ON true"
            ),
            one_pruner: format!(
                "SELECT pg_catalog.pg_try_advisory_xact_lock(
                     pg_catalog.hashtextextended('startguard prune {name}', 0))"
            ),
            oldest: format!(
                "SELECT seq, job, place, at, body, hash FROM {name}.journal ORDER BY seq LIMIT $1"
            ),
            checkpoints_of: format!(
                "SELECT key, checkpoint FROM {name}.jobs
                 WHERE key = ANY($1) AND checkpoint IS NOT NULL"
            ),
            write_checkpoints: format!(
                "UPDATE {name}.jobs AS job SET checkpoint = new.checkpoint
                 FROM unnest($1::text[], $2::text[]) AS new (key, checkpoint)
                 WHERE job.key = new.key"
            ),
            remove: format!("DELETE FROM {name}.journal WHERE seq = ANY($1)"),
        }
    }

    /// Those that every start runs, to be kept prepared.
    pub(super) fn kept(&self) -> Vec<Kept> {
        const KEY: &[Type] = &[Type::TEXT];
        const LOCK: &[Type] = &[Type::TEXT, Type::INT8];
        const SWAP: &[Type] = &[Type::TEXT, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT];
        const JOB: &[Type] = &[Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT];
        const APPEND: &[Type] =
            &[Type::TEXT, Type::INT8, Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];
        [
            (&self.clock, &[Type::INT8][..]),
            (&self.load, &[Type::TEXT, Type::TEXT, Type::INT8]),
            (&self.load_tenant, LOCK),
            (&self.place_job, KEY),
            (&self.place_tenant, KEY),
            (&self.lock_job, LOCK),
            (&self.lock_tenant, LOCK),
            (&self.write_job, JOB),
            (&self.write_tenant, &[Type::TEXT, Type::TEXT]),
            (&self.append, APPEND),
            (&self.swap_job, SWAP),
            (&self.swap_new_job, SWAP),
            (&self.swap_tenant, SWAP),
            (&self.swap_new_tenant, SWAP),
            (
                &self.lock_both,
                &[Type::TEXT, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
            ),
            (
                &self.swap_both,
                &[Type::TEXT, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT],
            ),
        ]
        .map(|(sql, types)| Kept { sql: sql.clone(), types })
        .into()
    }
}
