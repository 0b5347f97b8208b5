//! Whatever a hand does to the journal of a ledger file, `verify` names the place and the job.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use startguard::{
    model::{BrokenLink, HistoryQuery, JournalHash, Verification},
    ports::Store as _,
};

use crate::store_support::{Outcome, fill, job, job_change, put, sqlite, tenant};

/// A ledger of two jobs: `a` has the entries 1, 2, 4 and 6 of the journal, `b` has 3 and 5.
struct Ledger {
    folder: tempfile::TempDir,
}

impl Ledger {
    async fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let ledger = Self { folder: tempfile::tempdir()? };
        let store = sqlite(&ledger.path());
        put(&store, job_change(&job("a"), 0, &[1, 2])).await?;
        put(&store, job_change(&job("b"), 0, &[3])).await?;
        fill(&store, &job("a"), 1).await?;
        fill(&store, &job("b"), 1).await?;
        fill(&store, &job("a"), 1).await?;
        assert_eq!(
            store.verify().await?,
            Verification { entries: 6, pruned: 0, jobs: 2, broken: None }
        );
        Ok(ledger)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Does this to the file, as somebody with a database tool would.
    fn edit(&self, sql: &str) -> Outcome {
        let connection = Connection::open(self.path())?;
        let (a, b) = (job("a").store_key(), job("b").store_key());
        connection.execute_batch(&sql.replace("$a", &a).replace("$b", &b))?;
        Ok(())
    }

    async fn broken(&self) -> Result<Option<BrokenLink>, Box<dyn std::error::Error>> {
        Ok(sqlite(&self.path()).verify().await?.broken)
    }
}

/// What is done, the entry that is named, its job, and some words of the problem.
const EDITS: &[(&str, &str, u64, &str, &str)] = &[
    (
        "a changed text",
        "UPDATE journal SET body = replace(body, 'ann@ops1', 'bob@ops1') WHERE seq = 2",
        2,
        "$a",
        "does not match its hash",
    ),
    (
        "one changed letter's case in the first text of all",
        "UPDATE journal SET body = replace(body, '\"intent\"', '\"Intent\"') WHERE seq = 1",
        1,
        "$a",
        "does not match its hash",
    ),
    (
        "a changed hash",
        "UPDATE journal SET hash = replace(hash, substr(hash, 1, 1), 'z') WHERE seq = 3",
        3,
        "$b",
        "does not match its hash",
    ),
    (
        "a changed time beside the text",
        "UPDATE journal SET at = at - 1 WHERE seq = 4",
        4,
        "$a",
        "another time",
    ),
    (
        "a changed place",
        "UPDATE journal SET place = 9 WHERE seq = 4",
        4,
        "$a",
        "entries were removed or moved",
    ),
    (
        "an entry filed under another job, as its next",
        "UPDATE journal SET job = '$b', place = 3 WHERE seq = 6",
        4,
        "$a",
        "the last 1 of the job's 4 entries are missing",
    ),
    (
        "an entry filed under a job that never was",
        "UPDATE journal SET job = 'nobody', place = 1 WHERE seq = 1",
        1,
        "nobody",
        "another job",
    ),
    (
        "the first entry of all removed",
        "DELETE FROM journal WHERE seq = 1",
        1,
        "$a",
        "entry 1 is missing",
    ),
    ("an entry removed", "DELETE FROM journal WHERE seq = 2", 2, "$a", "entry 2 is missing"),
    (
        "an entry removed, those after it moved up",
        "DELETE FROM journal WHERE seq = 2;
         UPDATE journal SET place = place - 1 WHERE job = '$a' AND place > 2;
         UPDATE journal SET seq = seq - 1 WHERE seq > 2;
         UPDATE sqlite_sequence SET seq = 5 WHERE name = 'journal'",
        3,
        "$a",
        "does not match its hash",
    ),
    (
        "the end of a chain cut off",
        "DELETE FROM journal WHERE seq = 5",
        3,
        "$b",
        "the last 1 of the job's 2 entries are missing",
    ),
    (
        "the end of the journal cut off",
        "DELETE FROM journal WHERE seq >= 5",
        3,
        "$b",
        "the last 1 of the job's 2 entries are missing",
    ),
    (
        "the end of the journal cut off, and its numbers given out again",
        "DELETE FROM journal WHERE seq = 6; UPDATE sqlite_sequence SET seq = 5 WHERE name = 'journal'",
        4,
        "$a",
        "the last 1 of the job's 4 entries are missing",
    ),
    (
        "a job's record removed",
        "DELETE FROM jobs WHERE key = '$b'",
        5,
        "$b",
        "the job's record, which holds the end of its chain, is missing",
    ),
    (
        "a job removed with all its entries",
        "DELETE FROM journal WHERE job = '$b'; DELETE FROM jobs WHERE key = '$b'",
        3,
        "",
        "entry 3 is missing",
    ),
    (
        "all jobs and entries removed",
        "DELETE FROM journal; DELETE FROM jobs",
        0,
        "",
        "entries 1 to 6 are missing",
    ),
    (
        "the end of a chain moved back",
        "UPDATE jobs SET entries = 3, head = (SELECT hash FROM journal WHERE seq = 4) WHERE key = '$a'",
        6,
        "$a",
        "its chain ends otherwise",
    ),
    (
        "the end of a chain changed",
        "UPDATE jobs SET head = (SELECT hash FROM journal WHERE seq = 1) WHERE key = '$b'",
        5,
        "$b",
        "its chain ends otherwise",
    ),
    (
        "two texts changed places, with their hashes",
        "CREATE TEMP TABLE t AS SELECT * FROM journal WHERE seq IN (2, 4);
         UPDATE journal SET body = (SELECT body FROM t WHERE t.seq = 6 - journal.seq),
                            hash = (SELECT hash FROM t WHERE t.seq = 6 - journal.seq)
         WHERE seq IN (2, 4)",
        2,
        "$a",
        "does not match its hash",
    ),
    (
        "a text that is none",
        "UPDATE journal SET body = 'started' WHERE seq = 6",
        6,
        "$a",
        "does not match its hash",
    ),
];

#[tokio::test]
async fn every_edit_of_the_journal_is_named() -> Outcome {
    let mut wrong = Vec::new();
    for (what, sql, seq, of, problem) in EDITS {
        let ledger = Ledger::new().await?;
        ledger.edit(sql)?;
        let named = match *of {
            "$a" => job("a").store_key(),
            "$b" => job("b").store_key(),
            other => other.to_owned(),
        };
        let broken = ledger.broken().await?;
        let named = broken.as_ref().is_some_and(|link| {
            link.seq == *seq && link.job == named && link.problem.contains(problem)
        });
        if !named {
            wrong.push(format!("{what}: {broken:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// The body of an entry.
fn body(path: &Path, seq: u64) -> Result<String, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection
        .query_row("SELECT body FROM journal WHERE seq = ?1", [seq.cast_signed()], |r| r.get(0))
}

#[tokio::test]
async fn a_changed_text_with_a_hash_made_to_fit_breaks_at_the_next_entry() -> Outcome {
    let ledger = Ledger::new().await?;
    let history = sqlite(&ledger.path()).history(&HistoryQuery::default()).await?;
    let before = history.iter().find(|entry| entry.seq == 1).expect("entry 1").hash.clone();
    let forged = body(&ledger.path(), 2)?.replace("ann@ops1", "bob@ops1");
    let JournalHash(hash) = before.of_next(&forged);
    Connection::open(ledger.path())?
        .execute("UPDATE journal SET body = ?1, hash = ?2 WHERE seq = 2", [&forged, &hash])?;
    let broken = ledger.broken().await?.ok_or("not noticed")?;
    assert_eq!((broken.seq, broken.job), (4, job("a").store_key()));
    Ok(())
}

#[tokio::test]
async fn a_forged_entry_at_the_end_does_not_fit_the_jobs_record() -> Outcome {
    let ledger = Ledger::new().await?;
    let history = sqlite(&ledger.path()).history(&HistoryQuery::default()).await?;
    let last = history.iter().find(|entry| entry.seq == 5).expect("entry 5");
    let forged = body(&ledger.path(), 5)?.replace("\"index\":2", "\"index\":3");
    let JournalHash(hash) = last.hash.of_next(&forged);
    Connection::open(ledger.path())?.execute(
        "INSERT INTO journal (job, place, at, body, hash)
         SELECT job, 3, at, ?1, ?2 FROM journal WHERE seq = 5",
        [&forged, &hash],
    )?;
    let broken = ledger.broken().await?.ok_or("not noticed")?;
    assert_eq!((broken.seq, broken.job), (7, job("b").store_key()));
    assert!(broken.problem.contains("its chain ends otherwise"), "{}", broken.problem);
    Ok(())
}

#[tokio::test]
async fn what_is_written_after_an_edit_does_not_hide_it() -> Outcome {
    let ledger = Ledger::new().await?;
    ledger.edit("UPDATE journal SET body = replace(body, 'ann', 'bob') WHERE seq = 4")?;
    fill(&sqlite(&ledger.path()), &job("a"), 5).await?;
    let broken = ledger.broken().await?.ok_or("not noticed")?;
    assert_eq!((broken.seq, broken.job), (4, job("a").store_key()));
    Ok(())
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_an_error_and_never_an_empty_one() -> Outcome {
    for sql in [
        "UPDATE jobs SET record = 'nothing' WHERE key = '$a'",
        // What a job has that was never started: a start would go out.
        "UPDATE jobs SET record = '{}' WHERE key = '$a'",
        "UPDATE jobs SET record = replace(record, 'brien', 'mallory') WHERE key = '$a'",
        "UPDATE jobs SET record = '{\"lease\":null,\"starts\":7}' WHERE key = '$a'",
        "UPDATE jobs SET record = substr(record, 1, 40) WHERE key = '$a'",
        "UPDATE jobs SET version = -1 WHERE key = '$a'",
    ] {
        let ledger = Ledger::new().await?;
        ledger.edit(sql)?;
        let store = sqlite(&ledger.path());
        let error = store.load(&job("a"), &tenant()).await.expect_err(sql);
        assert!(error.to_string().contains("is damaged"), "{sql}: {error}");
        assert!(error.remedy.contains("backup"), "{sql}: {}", error.remedy);
        if !sql.contains("version") {
            let broken = store.verify().await?.broken.ok_or("not noticed")?;
            assert_eq!(broken.job, job("a").store_key(), "{sql}");
        }
        // The other job's record is as good as ever.
        assert_eq!(store.load(&job("b"), &tenant()).await?.job.version.0, 2, "{sql}");
    }
    Ok(())
}
