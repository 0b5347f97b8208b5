//! What the server says of itself to `doctor`.

use std::time::Duration;

use tokio_postgres::{Row, types::Type};

use super::{
    address::{Address, Protection, Target},
    fault::Trouble,
    load,
    schema::{self, Presence},
    session::Session,
    sql::Sql,
};
use crate::{
    model::{Moment, Timestamp},
    ports::{Clock, Finding, StoreReport},
};

/// A difference of clocks beyond this is told. It harms no start: only the server's clock counts
/// there. It makes logs of hosts and entries of the journal hard to lay side by side.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

const SERVER: &str = "
    SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('fsync'),
           current_setting('synchronous_commit'), current_setting('full_page_writes'),
           current_setting('synchronous_standby_names'),
           (SELECT count(*) FROM pg_stat_replication),
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
           current_setting('default_transaction_read_only')";

const LEDGER: &str = "
    SELECT (SELECT max(version) FROM {schema}.ledger), (SELECT count(*) FROM {schema}.jobs
            WHERE version > 0), (SELECT count(*) FROM {schema}.journal),
           (SELECT pg_size_pretty(sum(pg_total_relation_size(c.oid)))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relkind = 'r'),
           EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relpersistence <> 'p')";

/// The report.
pub(super) async fn report(
    session: &Session,
    sql: &Sql,
    address: &Address,
    clock: &dyn Clock,
    now: Option<i64>,
) -> Result<StoreReport, Trouble> {
    let before = clock.wall();
    let server_time = load::now(session, sql, now).await?;
    let after = clock.wall();
    let mut report = StoreReport::default();
    let row = session.client.query_typed_one(SERVER, &[]).await?;
    of_server(&mut report, &row, address)?;
    of_clocks(&mut report, &server_time, before, after);
    match schema::look(session, &address.schema).await? {
        Presence::Missing { .. } => {
            let made = "not there yet; the first start makes them, if its role may";
            report.facts.push(fact("tables", made));
        }
        Presence::There => {
            let sql = LEDGER.replace("{schema}", address.schema.as_str());
            let values = [(&address.schema.as_str() as _, Type::TEXT)];
            let row = session.client.query_typed_one(&sql, &values).await?;
            of_ledger(&mut report, &row)?;
        }
    }
    Ok(report)
}

fn of_server(report: &mut StoreReport, row: &Row, address: &Address) -> Result<(), Trouble> {
    let text = |column: usize| row.try_get::<_, &str>(column);
    let standby: bool = row.try_get(1)?;
    let standbys: i64 = row.try_get(6)?;
    let encrypted: bool = row.try_get(8)?;
    let synchronous = text(5)?;
    report.facts.extend([
        fact("server", text(0)?),
        fact("role of the server", if standby { "standby" } else { "primary" }),
        fact("encrypted", if encrypted { "yes" } else { "no" }),
        fact("fsync", text(2)?),
        fact("synchronous_commit", text(3)?),
        fact("full_page_writes", text(4)?),
        fact("synchronous standbys", if synchronous.is_empty() { "none" } else { synchronous }),
    ]);
    let mut find = |when: bool, finding: Finding| {
        if when {
            report.findings.push(finding);
        }
    };
    find(
        standby || text(9)? == "on",
        Finding::grave(
            "it takes no writes (a standby, or read-only)",
            "name the primary in the URL",
        ),
    );
    find(
        text(2)? != "on",
        Finding::grave(
            "fsync is off: a crash of the server's machine forgets starts",
            "set `fsync = on`",
        ),
    );
    find(
        text(4)? != "on",
        Finding::grave(
            "full_page_writes is off: a crash may damage tables, unless the file system writes \
             whole pages",
            "set `full_page_writes = on`",
        ),
    );
    find(
        standbys > 0 && synchronous.is_empty(),
        Finding::notice(
            "its standbys are asynchronous: a failover forgets the newest starts, and may start a \
             job twice within its cool-down",
            "set `synchronous_standby_names` (docs/stores.md)",
        ),
    );
    find(
        row.try_get::<_, Option<bool>>(7)?.unwrap_or_default(),
        Finding::notice(
            "the role is a superuser",
            "use one with no more than it needs (docs/stores.md has the SQL)",
        ),
    );
    find(
        address.protection == Protection::None && !address.targets.iter().all(Target::is_local),
        Finding::notice("the connection is not encrypted", "use `sslmode=verify-full`"),
    );
    Ok(())
}

fn of_clocks(report: &mut StoreReport, server: &Moment, before: Timestamp, after: Timestamp) {
    // What the request took is not a difference.
    let ahead = Moment::civil(server.at).since(&Moment::civil(after));
    let behind = Moment::civil(before).since(&Moment::civil(server.at));
    let apart = ahead.max(behind);
    report.facts.push(fact("clock", format!("{} ms from this host's", apart.as_millis())));
    if apart > CLOCKS_DIFFER {
        let apart = humantime::format_duration(Duration::from_secs(apart.as_secs()));
        let way = if ahead > behind { "ahead of" } else { "behind" };
        report.findings.push(Finding::notice(
            format!("its clock is {apart} {way} this host's"),
            "set both by NTP: starts go by the server's clock alone, but the journal's times mislead",
        ));
    }
}

fn of_ledger(report: &mut StoreReport, row: &Row) -> Result<(), Trouble> {
    let version: Option<i32> = row.try_get(0)?;
    schema::is_current(version)?;
    report.facts.extend([
        fact("schema", version.unwrap_or_default()),
        fact("jobs", row.try_get::<_, i64>(1)?),
        fact("entries", row.try_get::<_, i64>(2)?),
        fact("size", row.try_get::<_, Option<&str>>(3)?.unwrap_or("unknown")),
    ]);
    if row.try_get(4)? {
        report.findings.push(Finding::grave(
            "a table is unlogged: a crash empties it",
            "`ALTER TABLE … SET LOGGED`",
        ));
    }
    Ok(())
}

fn fact(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
