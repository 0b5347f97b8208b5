//! How a transaction begins and ends.
//!
//! Everything that it needs is said inside it (`SET LOCAL`), nothing is left in the session, and
//! no statement has a name: so it works behind a pooler that gives every transaction another
//! session, and on any setting of the server's, of the database's or of the role's.

use super::{fault::Trouble, patience::Patience, session::Session};
use crate::store::fault::Fault;

/// Longest time, in milliseconds, that the server waits for the next statement of a transaction that
/// writes. It may hold the tenant's row, for which all jobs of the tenant wait: a host that was
/// stopped or cut off just then must not keep the others for as long as a call may take. The writer
/// has nothing to do between two statements, and no round trip takes a second.
const LONGEST_STANDSTILL: u128 = 1_000;

/// Begins a transaction that writes.
///
/// - Read committed: what decides is one row's version, under that row's lock.
/// - `synchronous_commit` is raised to `on` where it is less, so that an answer means "on stable
///   storage", on the synchronous standbys too, if there are any; `remote_apply` stays.
/// - It is not made to write where the server, the database or the role says read-only: whoever says
///   so (a managed service whose disk is nearly full, for example) has a reason.
/// - The timeouts end the transaction soon after its caller has given up, whatever became of it. One
///   that stands still is ended sooner.
fn begin_sql(patience: &Patience<'_>) -> String {
    let (lock, idle) = (lock_limit(patience), silence_limit(patience));
    format!(
        "{};
         SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {idle};
         SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
         WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
        begin_swap_sql(patience)
    )
}

/// Begins one that is a single statement, which says the rest of it itself ([`SAID`]): as part of
/// it, that is read and planned once where statements are kept.
pub(super) fn begin_swap_sql(patience: &Patience<'_>) -> String {
    let left = patience.of_server();
    format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {left}")
}

/// What a single statement says of its transaction, before it looks at any row. Of its values, the
/// fourth is the limit for locks, the fifth that for a client that has fallen silent.
pub(super) const SAID: &str = "WITH said AS MATERIALIZED (
         SELECT pg_catalog.set_config('lock_timeout', $4, true),
                pg_catalog.set_config('idle_in_transaction_session_timeout', $5, true),
                CASE WHEN pg_catalog.current_setting('synchronous_commit')
                          IN ('off', 'local', 'remote_write')
                     THEN pg_catalog.set_config('synchronous_commit', 'on', true) END)";

/// Longest wait for a lock, in milliseconds. Sooner over than the statement's time, so that a lock
/// is called a lock.
pub(super) fn lock_limit(patience: &Patience<'_>) -> u128 {
    patience.of_server().saturating_mul(9).checked_div(10).unwrap_or_default().max(1)
}

/// Longest time, in milliseconds, that a client may be silent inside a transaction.
pub(super) fn silence_limit(patience: &Patience<'_>) -> u128 {
    patience.of_server().min(LONGEST_STANDSTILL)
}

/// Ends a transaction. No limit on COMMIT itself: a server that is told to stop while it waits for its synchronous
/// standbys says that it committed, with a warning that the standbys may not have it.
pub(super) const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";

/// Begins one for reading, in which everything is seen as it was at one moment.
pub(super) fn begin_reading_sql(patience: &Patience<'_>) -> String {
    let left = patience.of_server();
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {left}")
}

/// Begins a transaction that writes, in a round trip of its own.
pub(super) async fn begin(session: &Session, patience: &Patience<'_>) -> Result<(), Trouble> {
    Ok(session.client.batch_execute(&begin_sql(patience)).await?)
}

/// Ends a transaction; an answer means that it is durable.
pub(super) async fn commit(session: &Session) -> Result<(), Trouble> {
    let before = session.warnings();
    session.client.batch_execute(COMMIT).await?;
    not_warned(session, before)
}

/// Gives a transaction up.
pub(super) async fn roll_back(session: &Session) -> Result<(), Trouble> {
    Ok(session.client.batch_execute("ROLLBACK").await?)
}

/// A commit that was acknowledged with a warning may not be on every standby that it waits for
/// (someone cancelled the wait), or may not have been one. It counts as unanswered.
pub(super) fn not_warned(session: &Session, before: u64) -> Result<(), Trouble> {
    if session.warnings() == before {
        return Ok(());
    }
    Err(Trouble::Lost(Fault::new(
        "answered a commit with a warning: its standbys may not have it",
        "see the server's log; was the wait for a standby cancelled?",
    )))
}
