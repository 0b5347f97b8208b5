//! The ledger's tables, and how an older ledger is brought up to date.

use tokio_postgres::types::Type;

use super::{
    fault::Trouble,
    name::Name,
    patience::Patience,
    session::Session,
    transaction::{self, begin},
};
use crate::store::fault::{Fault, UPGRADE};

/// What leads from each schema version to the next, from nothing to the newest; `{schema}` stands
/// for the schema's name. Steps are only ever added.
pub(super) const STEPS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The schema version that this program writes.
pub(super) fn newest() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// Refuses a version that this program does not know; else says whether it is current.
pub(super) fn is_current(version: Option<i32>) -> Result<bool, Fault> {
    let Some(version) = version else {
        return Err(Fault::damaged("is damaged: the row that tells its version is gone"));
    };
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

/// Which of the tables are there.
const LOOK: &str = "
    SELECT count(*) FILTER (WHERE c.relname = 'ledger'),
           count(*) FILTER (WHERE c.relname IN ('jobs', 'tenants', 'journal')),
           EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// All tables.
    There,
    /// None of them, in a schema that is there or not.
    Missing { schema: bool },
}

/// Looks which tables are there. Some but not all is damage.
pub(super) async fn look(session: &Session, name: &Name) -> Result<Presence, Trouble> {
    let row = session.client.query_typed_one(LOOK, &[(&name.as_str(), Type::TEXT)]).await?;
    let (version, tables, schema): (i64, i64, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    match (version, tables) {
        (1, 3) => Ok(Presence::There),
        (0, 0) => Ok(Presence::Missing { schema }),
        (0, _) => Err(Fault::new(
            format!("has tables in schema {name} that startguard did not make, or damaged ones"),
            "name another schema in the URL (`?schema=…`), or restore this one from a backup; \
             starts stay off until then",
        )
        .into()),
        _ => Err(Fault::damaged(format!("is damaged: tables are missing in schema {name}")).into()),
    }
}

/// Makes the tables, or brings them up to date, whole or not at all. Of several hosts that do so at
/// once one does it; the others wait for it and find it done.
pub(super) async fn make(
    session: &Session,
    name: &Name,
    patience: &Patience<'_>,
) -> Result<(), Trouble> {
    make_by(session, name, patience, STEPS).await
}

async fn make_by(
    session: &Session,
    name: &Name,
    patience: &Patience<'_>,
    steps: &[&str],
) -> Result<(), Trouble> {
    begin(session, patience).await?;
    // Held until the transaction ends, so that no pooler can leave it behind. Not bound to any
    // table: there is none yet.
    let key = format!("startguard schema {name}");
    session
        .client
        .query_typed(
            "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))",
            &[(&key, Type::TEXT)],
        )
        .await?;
    let taken = match look(session, name).await? {
        Presence::There => {
            let sql = format!("SELECT max(version) FROM {name}.ledger");
            let row = session.client.query_typed_one(&sql, &[]).await?;
            let version = row.try_get(0)?;
            is_current(version)?;
            usize::try_from(version.unwrap_or_default()).unwrap_or_default()
        }
        Presence::Missing { schema } => {
            if !schema {
                session.client.batch_execute(&format!("CREATE SCHEMA {name}")).await?;
            }
            0
        }
    };
    for step in steps.iter().skip(taken) {
        session.client.batch_execute(&step.replace("{schema}", name.as_str())).await?;
    }
    if taken < steps.len() {
        let now = i32::try_from(steps.len()).unwrap_or(i32::MAX);
        let sql = format!("UPDATE {name}.ledger SET version = $1");
        session.client.execute_typed(&sql, &[(&now, Type::INT4)]).await?;
    }
    transaction::commit(session).await
}

/// The tables could not be made.
pub(super) fn cannot_make(name: &Name, trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Forbidden(said) => Fault::new(
            format!("has no up-to-date tables in schema {name}, and this role may not make them"),
            "let a role that may create them do it once: docs/stores.md has the SQL",
        )
        .because(said),
        Trouble::Undone(fault)
        | Trouble::Lost(fault)
        | Trouble::Unmade(fault)
        | Trouble::Refused(fault) => fault,
    }
}
