//! How often a piece of work is tried, and on which connection.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    PostgresStore,
    fault::Trouble,
    load::{self, Loaded},
    patience::Patience,
    schema::{self, Presence},
    session::Session,
    write::{Writer, Written},
};
use crate::{model::Moment, ports::Change, store::fault::Fault};

/// Pause between two looks at what became of a commit in doubt: a server that restarts is back
/// within seconds, and who waits for the answer has five.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// How often one call may find tables missing that are there when it looks: others may be making
/// them at this moment, but not again and again.
const LOOKS: u32 = 2;

impl PostgresStore {
    /// Reads on any connection that is well. A connection that rested may turn out to be gone; then
    /// another is used.
    pub(super) async fn read<T, F>(
        &self,
        patience: &Patience<'_>,
        work: impl Fn(Arc<Session>) -> F + Send + Sync,
    ) -> Result<T, Trouble>
    where
        T: Send,
        F: Future<Output = Result<T, Trouble>> + Send,
    {
        loop {
            let lent = self.pool.lend(patience).await?;
            match work(lent.session()).await {
                Ok(found) => {
                    lent.keep();
                    return Ok(found);
                }
                Err(Trouble::Lost(_)) if lent.reused => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Reads from the tables; `None` where there are none yet.
    pub(super) async fn read_tables<T, F>(
        &self,
        patience: &Patience<'_>,
        work: impl Fn(Arc<Session>) -> F + Send + Sync,
    ) -> Result<Option<T>, Fault>
    where
        T: Send,
        F: Future<Output = Result<Loaded<T>, Trouble>> + Send,
    {
        for _ in 0..LOOKS {
            let seen = self.seen.load(Ordering::Relaxed);
            match self.read(patience, &work).await {
                Ok(Loaded::Found(found)) => {
                    self.seen.store(true, Ordering::Relaxed);
                    return Ok(Some(found));
                }
                Ok(Loaded::Older) => self.make(patience).await?,
                Err(Trouble::Unmade(fault)) => {
                    if self.is_empty(patience, seen, fault).await? {
                        return Ok(None);
                    }
                }
                Err(trouble) => return Err(trouble.fault()),
            }
        }
        Err(come_and_go())
    }

    /// Whether there are no tables at all, as a statement just `found`. False where they are there
    /// after all, since somebody made them meanwhile. An error where they were there before.
    pub(super) async fn is_empty(
        &self,
        patience: &Patience<'_>,
        seen: bool,
        found: Fault,
    ) -> Result<bool, Fault> {
        let name = &self.pool.address.schema;
        let presence = self
            .read(patience, |session| async move { schema::look(&session, name).await })
            .await
            .map_err(Trouble::fault)?;
        match presence {
            Presence::There => Ok(false),
            Presence::Missing { .. } if seen => Err(found),
            Presence::Missing { .. } => Ok(true),
        }
    }

    /// The server's clock, where there are no tables.
    pub(super) async fn now(
        &self,
        patience: &Patience<'_>,
        now: Option<i64>,
    ) -> Result<Moment, Fault> {
        let sql = &self.sql;
        let read = |session: Arc<Session>| async move { load::now(&session, sql, now).await };
        self.read(patience, read).await.map_err(Trouble::fault)
    }

    pub(super) async fn make(&self, patience: &Patience<'_>) -> Result<(), Fault> {
        let name = &self.pool.address.schema;
        loop {
            let lent = self.pool.lend(patience).await?;
            match schema::make(&lent.session(), name, patience).await {
                Ok(()) => {
                    // Where statements are kept, connections from before the tables have none.
                    if self.pool.address.prepare {
                        self.pool.let_go();
                    } else {
                        lent.keep();
                    }
                    self.seen.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                // Making them twice changes nothing.
                Err(Trouble::Lost(_)) if lent.reused => {}
                Err(Trouble::Undone(_)) if patience.left() > LOOK_AFTER => {
                    patience.pause(LOOK_AFTER).await;
                }
                Err(trouble) => return Err(schema::cannot_make(name, trouble)),
            }
        }
    }

    /// Tries at a change until it is known what became of it.
    pub(super) async fn write(
        &self,
        change: &Change,
        patience: &Patience<'_>,
    ) -> Result<Written, Fault> {
        let entries = change.job.as_ref().map_or(&[][..], |write| &write.entries);
        let mut tries = self.doubts.begin(entries);
        let writer = Writer { sql: &self.sql, patience, now: self.server_time()? };
        let mut looks = 0;
        loop {
            let seen = self.seen.load(Ordering::Relaxed);
            let lent = match self.pool.lend(patience).await {
                Ok(lent) => lent,
                Err(_) if tries.in_doubt() && patience.left() > LOOK_AFTER => {
                    patience.pause(LOOK_AFTER).await;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            match writer.write(&lent.session(), change, &mut tries.marks).await {
                Ok(written) => {
                    lent.keep();
                    tries.settle();
                    return Ok(written);
                }
                Err(Trouble::Unmade(fault)) => {
                    drop(lent);
                    looks += 1;
                    if looks > LOOKS {
                        return Err(come_and_go());
                    }
                    if self.is_empty(patience, seen, fault).await? {
                        self.make(patience).await?;
                    }
                }
                Err(Trouble::Undone(_)) if patience.left() > LOOK_AFTER => {
                    drop(lent);
                    patience.pause(LOOK_AFTER).await;
                }
                Err(Trouble::Lost(fault)) if tries.in_doubt() && patience.left() > LOOK_AFTER => {
                    drop(lent);
                    tracing::debug!(?fault, "the answer to a commit was lost; looking it up");
                    patience.pause(LOOK_AFTER).await;
                }
                // Nothing was sent that could have been done, and a new connection may be well.
                Err(Trouble::Lost(_)) if lent.reused && !tries.in_doubt() => {}
                Err(trouble) => return Err(trouble.fault()),
            }
        }
    }
}

fn come_and_go() -> Fault {
    Fault::new("has tables that come and go", "see who makes and drops them")
}
