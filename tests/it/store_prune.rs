//! Checkpoints: whatever a hand does around one is noticed, older stores get them, a move keeps them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;
use startguard::{
    model::{BrokenLink, HistoryQuery, Verification},
    ports::{Pruned, Store},
    store::{MemoryStore, SqliteStore, migrate},
    testing::ManualClock,
};

use crate::{
    pg,
    store_support::{Outcome, chain, clock, fill, job, job_change, put, tenant},
};

const DAY: Duration = Duration::from_hours(24);

/// Of `a` the entries 1, 2, 4 and 6, of `b` 3 and 5; the first three are ten days older.
async fn furnish(store: &dyn Store, clock: &ManualClock) -> Outcome {
    put(store, job_change(&job("a"), 0, &[1, 2])).await?;
    fill(store, &job("b"), 1).await?;
    clock.advance(10 * DAY);
    fill(store, &job("a"), 1).await?;
    fill(store, &job("b"), 1).await?;
    fill(store, &job("a"), 1).await
}

const LEFT: Verification = Verification { entries: 3, pruned: 3, jobs: 2, broken: None };

/// A ledger file with such a journal.
struct Ledger {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Ledger {
    async fn furnished() -> Result<Self, Box<dyn std::error::Error>> {
        let ledger = Self { folder: tempfile::tempdir()?, clock: clock() };
        furnish(&ledger.open(), &ledger.clock).await?;
        Ok(ledger)
    }

    async fn pruned() -> Result<Self, Box<dyn std::error::Error>> {
        let ledger = Self::furnished().await?;
        assert_eq!(ledger.open().prune(DAY, 100).await?, Pruned { entries: 3, more: false });
        assert_eq!(ledger.open().verify().await?, LEFT);
        Ok(ledger)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::new(&self.path(), self.clock.clone(), Duration::from_secs(30))
    }

    fn edit(&self, sql: &str) -> Outcome {
        Ok(Connection::open(self.path())?.execute_batch(&with_keys(sql))?)
    }
}

fn with_keys(sql: &str) -> String {
    sql.replace("$a", &job("a").store_key()).replace("$b", &job("b").store_key())
}

/// What is done to a pruned ledger file, the entry that is named, its job, some words of the problem.
const EDITS: &[(&str, &str, u64, &str, &str)] = &[
    (
        "a checkpoint removed",
        "UPDATE jobs SET checkpoint = NULL WHERE key = '$a'",
        2,
        "$a",
        "entries 2 to 3 are missing",
    ),
    (
        "a checkpoint moved on, and the next entry removed",
        "UPDATE jobs SET checkpoint = replace(checkpoint, '\"place\":2', '\"place\":3')
         WHERE key = '$a'; DELETE FROM journal WHERE seq = 4",
        0,
        "$a",
        "checkpoint that stands for its pruned entries was changed",
    ),
    (
        "another job's checkpoint",
        "UPDATE jobs SET checkpoint = (SELECT checkpoint FROM jobs WHERE key = '$b')
         WHERE key = '$a'",
        0,
        "$a",
        "checkpoint that stands for its pruned entries was changed",
    ),
    (
        "an empty checkpoint",
        "UPDATE jobs SET checkpoint = '' WHERE key = '$b'",
        0,
        "$b",
        "checkpoint that stands for its pruned entries was changed",
    ),
    (
        "the entry after a checkpoint removed",
        "DELETE FROM journal WHERE seq = 4",
        4,
        "$a",
        "entry 4 is missing",
    ),
    (
        "the text of the entry after a checkpoint changed",
        "UPDATE journal SET body = replace(body, 'ann@ops1', 'bob@ops1') WHERE seq = 4",
        4,
        "$a",
        "does not match its hash",
    ),
    (
        "all that was left of one job removed",
        "DELETE FROM journal WHERE job = '$b'",
        0,
        "$b",
        "the last 1 of the job's 2 entries are missing",
    ),
    (
        "all that was left removed",
        "DELETE FROM journal",
        0,
        "$a",
        "the last 2 of the job's 4 entries are missing",
    ),
    (
        "a job removed with its entries and its checkpoint",
        "DELETE FROM journal WHERE job = '$b'; DELETE FROM jobs WHERE key = '$b'",
        3,
        "",
        "entry 3 is missing",
    ),
    (
        "an entry that was pruned put back",
        "INSERT INTO journal (seq, job, place, at, body, hash)
         SELECT 3, job, 1, at, body, hash FROM journal WHERE seq = 5",
        3,
        "$b",
        "it is entry 1 of its job where entry 2 is due",
    ),
];

fn is_named(broken: Option<&BrokenLink>, seq: u64, of: &str, problem: &str) -> bool {
    let named = if of.is_empty() { String::new() } else { with_keys(of) };
    broken
        .is_some_and(|link| link.seq == seq && link.job == named && link.problem.contains(problem))
}

#[tokio::test]
async fn every_edit_around_a_checkpoint_is_named() -> Outcome {
    let mut wrong = Vec::new();
    for (what, sql, seq, of, problem) in EDITS {
        let ledger = Ledger::pruned().await?;
        ledger.edit(sql)?;
        let broken = ledger.open().verify().await?.broken;
        if !is_named(broken.as_ref(), *seq, of, problem) {
            wrong.push(format!("{what}: {broken:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_around_a_checkpoint_in_a_database_is_named() -> Outcome {
    let Some(server) = pg::shared() else { return Ok(()) };
    for (edit, problem) in [
        ("UPDATE {s}.jobs SET checkpoint = NULL WHERE key = '$a'", "entries were removed"),
        (
            "UPDATE {s}.jobs SET checkpoint = replace(checkpoint, '\"place\":2', '\"place\":3')
             WHERE key = '$a'",
            "was changed",
        ),
        ("DELETE FROM {s}.journal WHERE job = '$a' AND place = 3", "entries were removed"),
        ("DELETE FROM {s}.journal WHERE job = '$a'", "the last 2 of the job's 4 entries"),
    ] {
        let (url, clock) = (pg::in_new_schema(&server), clock());
        let store = pg::store(&url).with_server_clock(clock.clone());
        furnish(&store, &clock).await?;
        assert_eq!(store.prune(DAY, 100).await?.entries, 3);
        assert_eq!(store.verify().await?, LEFT);
        pg::sql(&url, &with_keys(edit)).await?;
        let broken = store.verify().await?.broken.ok_or(edit)?;
        assert_eq!(broken.job, job("a").store_key(), "{edit}");
        assert!(broken.problem.contains(problem), "{edit}: {broken:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_never_pruned() -> Outcome {
    let edit = "UPDATE {s}journal SET body = replace(body, 'entry 2', 'entry 9') WHERE place = 2";
    let ledger = Ledger::furnished().await?;
    ledger.edit(&edit.replace("{s}", ""))?;
    let mut places: Vec<Box<dyn Store>> = vec![Box::new(ledger.open())];
    if let Some(server) = pg::shared() {
        let (url, clock) = (pg::in_new_schema(&server), clock());
        let store = pg::store(&url).with_server_clock(clock.clone());
        furnish(&store, &clock).await?;
        pg::sql(&url, &edit.replace("{s}", "{s}.")).await?;
        places.push(Box::new(store));
    }
    for store in places {
        let error = store.prune(DAY, 100).await.err().ok_or("pruned")?;
        assert!(chain(&error).contains("does not hold at entry 2"), "{error:?}");
        assert!(error.remedy.contains("store check"), "{error:?}");
        let found = store.verify().await?;
        assert_eq!((found.entries, found.pruned), (6, 0));
        // It works on as before.
        put(&*store, job_change(&job("a"), 3, &[7])).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_before_there_were_checkpoints_gets_them() -> Outcome {
    let ledger = Ledger::furnished().await?;
    ledger.edit("ALTER TABLE jobs DROP COLUMN checkpoint; PRAGMA user_version = 1")?;
    assert_eq!(ledger.open().verify().await?.entries, 6);
    assert_eq!(ledger.open().prune(DAY, 100).await?.entries, 3);
    assert_eq!(ledger.open().verify().await?, LEFT);
    let Some(server) = pg::shared() else { return Ok(()) };
    for first in ["verify", "prune", "contents", "load", "commit"] {
        let (url, clock) = (pg::in_new_schema(&server), clock());
        furnish(&pg::store(&url).with_server_clock(clock.clone()), &clock).await?;
        let older =
            "ALTER TABLE {s}.jobs DROP COLUMN checkpoint; UPDATE {s}.ledger SET version = 1";
        pg::sql(&url, older).await?;
        let store = pg::store(&url).with_server_clock(clock);
        match first {
            "verify" => assert_eq!(store.verify().await?.entries, 6),
            "prune" => assert_eq!(store.prune(DAY, 1).await?.entries, 1),
            "contents" => assert_eq!(store.contents().await?.journal.len(), 6),
            "load" => assert_eq!(store.load(&job("a"), &tenant()).await?.job.version.0, 3),
            // One that did not read first finds another version, reads, and brings it up to date.
            _ => {
                let change = job_change(&job("a"), 3, &[]);
                assert!(matches!(store.commit(change).await?, startguard::ports::Commit::Conflict));
                store.load(&job("a"), &tenant()).await?;
                put(&store, job_change(&job("a"), 3, &[])).await?;
            }
        }
        while store.prune(DAY, 100).await?.more {}
        assert_eq!(store.verify().await?, LEFT, "{first}");
        assert_eq!(pg::value(&url, "SELECT version FROM {s}.ledger").await, "2");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_keeps_checkpoints() -> Outcome {
    type Place = (Arc<dyn Store>, Arc<ManualClock>, Option<tempfile::TempDir>);
    let places = || {
        let clock_of_memory = clock();
        let memory = Arc::new(MemoryStore::new(clock_of_memory.clone()));
        let mut places: Vec<Place> = vec![(memory, clock_of_memory, None)];
        let (folder, clock_of_file) = (tempfile::tempdir().expect("a folder"), clock());
        let path = folder.path().join("ledger.db");
        let file = SqliteStore::new(&path, clock_of_file.clone(), Duration::from_secs(30));
        places.push((Arc::new(file), clock_of_file, Some(folder)));
        if let Some(server) = pg::shared() {
            let clock = clock();
            let url = pg::in_new_schema(&server);
            let store = pg::store(&url).with_server_clock(clock.clone());
            places.push((Arc::new(store), clock, None));
        }
        places
    };
    for (from, clock, _folder) in places() {
        furnish(&*from, &clock).await?;
        assert_eq!(from.prune(DAY, 100).await?.entries, 3);
        for (to, clock, _folder) in places() {
            let way = format!("{} to {}", from.describe(), to.describe());
            // As the source's does by now.
            clock.advance(10 * DAY);
            assert_eq!(migrate(&*from, &*to).await?.entries, 3, "{way}");
            assert_eq!(to.verify().await?, LEFT, "{way}");
            // Chains, numbers and pruning go on there.
            clock.advance(20 * DAY);
            fill(&*to, &job("b"), 2).await?;
            assert_eq!(to.prune(DAY, 100).await?.entries, 3, "{way}");
            let left = Verification { entries: 2, pruned: 6, ..LEFT };
            assert_eq!(to.verify().await?, left, "{way}");
            let all = to.history(&HistoryQuery::default()).await?;
            let places: Vec<u64> = all.iter().map(|entry| entry.facts.index).collect();
            assert_eq!(places, [4, 3], "{way}");
        }
    }
    Ok(())
}
