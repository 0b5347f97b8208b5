//! `store`: the check of a store, and the move to another.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Desk, NOTHING, Ran, job, shape};
use crate::{
    pg,
    store_support::{self, put},
};

/// A desk whose ledger holds a start.
async fn started() -> Desk {
    let desk = Desk::paused().await;
    desk.run(&["start", &job("job")]).await.ended(0);
    desk.cost();
    desk
}

/// The URL of a ledger file in the desk's home.
fn beside(desk: &Desk, name: &str) -> String {
    format!("sqlite:{}", desk.host.home.path().join(name).display())
}

fn statuses(ran: &Ran) -> Vec<(Value, Value)> {
    ran.lines().iter().map(|line| (line["check"].clone(), line["status"].clone())).collect()
}

#[tokio::test]
async fn a_store_that_is_well() {
    let desk = started().await;
    let ran = desk.run(&["store", "check"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    store ok
      sqlite:[home]/state/ledger.db: schema 2, journal mode wal, synchronous full, size [n] bytes, log size [n] bytes, jobs 1, entries 2, integrity ok
    journal ok
      holds: 2 entries of 1 jobs
    ");
    let ran = desk.json(&["store", "check"]).await;
    for line in ran.ended(0).lines() {
        assert_eq!(shape(&line), "check: string\nmessage: string\nremedy: null\nstatus: string");
    }
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn a_store_that_is_not_there_yet() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["store", "check"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    store ok
      sqlite:[home]/state/ledger.db: file not there yet; the first start makes it, for this user alone
    journal ok
      holds: 0 entries of 0 jobs
    ");
    assert!(!desk.host.ledger().exists(), "a look makes no ledger");
}

#[tokio::test]
async fn a_journal_that_was_changed() {
    let desk = started().await;
    desk.host.tamper("UPDATE journal SET body = replace(body, 'started', 'denied') WHERE seq = 2");
    let ran = desk.run(&["store", "check"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    store ok
      sqlite:[home]/state/ledger.db: schema 2, journal mode wal, synchronous full, size [n] bytes, log size [n] bytes, jobs 1, entries 2, integrity ok
    journal FAILED
      does not hold: entry 2 of 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: its text does not match its hash: it, or the job's entry before it, was changed
      next: keep the store as it is for whoever looks into it; `startguard history -o json` shows what it says now
    ");
}

#[tokio::test]
async fn a_store_that_is_damaged() {
    let desk = started().await;
    fs::write(desk.host.ledger(), "not a ledger at all").unwrap();
    let ran = desk.json(&["store", "check"]).await;
    let failed = json!("failed");
    let expected = [(json!("store"), failed.clone()), (json!("journal"), failed)];
    assert_eq!(statuses(ran.ended(1)), expected);
    assert!(ran.lines().iter().all(|line| line["remedy"].is_string()), "{ran:?}");
}

#[tokio::test]
async fn a_server_that_forgets_starts() {
    let Some(server) = pg::Server::start(&["fsync=off", "full_page_writes=off"]) else { return };
    let desk = started().await;
    let url = server.url();
    let from = beside(&desk, "state/ledger.db");
    desk.run(&["store", "migrate", "--from", &from, "--to", &url]).await.ended(0);
    let ran = desk.call(&["store", "check", "--store", &url]).env("STARTGUARD_OUTPUT", "json");
    let ran = ran.run().await;
    let lines = ran.ended(1).lines();
    let failed: Vec<&Value> = lines.iter().filter(|line| line["status"] == "failed").collect();
    assert_eq!(failed.len(), 2, "{ran:?}");
    assert_eq!(failed[0]["remedy"], "set `fsync = on`");
    assert_eq!(failed[1]["remedy"], "set `full_page_writes = on`");
    assert_eq!(lines.last().unwrap()["message"], "holds: 2 entries of 1 jobs");
    // The server is well otherwise: the start that was moved there counts.
    let ran = desk.call(&["start", &job("job"), "--store", &url]);
    let ran = ran.env("STARTGUARD_OUTPUT", "json").run().await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
}

#[tokio::test]
async fn a_move_and_what_counts_after_it() {
    let desk = started().await;
    let (from, to) = (beside(&desk, "state/ledger.db"), beside(&desk, "new/ledger.db"));
    let moves = ["store", "migrate", "--from", &from, "--to", &to];
    let ran = desk.run(&moves).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    moved: 1 jobs, 1 tenants and 2 journal entries from sqlite:[home]/state/ledger.db to sqlite:[home]/new/ledger.db
      next: set `[store] url` to sqlite:[home]/new/ledger.db for every startguard, then take sqlite:[home]/state/ledger.db out of use: two stores are two guards
    ");
    assert_eq!(desk.cost(), NOTHING);
    let ran = desk.json(&["start", &job("job"), "--store", &to]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
    let journal = async |url: &str| {
        let entries = desk.json(&["history", "--store", url]).await.ended(0).lines();
        entries.into_iter().map(|entry| entry["hash"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(journal(&from).await, journal(&to).await);
    let ran = desk.run(&moves).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: nothing was moved: sqlite:[home]/new/ledger.db is in use
      next: name an empty store; nothing is ever written over
    ");
    let third = beside(&desk, "third.db");
    let ran = desk.json(&["store", "migrate", "--from", &to, "--to", &third]).await;
    assert_eq!(
        ran.ended(0).only(),
        json!({"from": to, "to": third, "jobs": 1, "tenants": 1, "entries": 2})
    );
}

/// Fills the desk's ledger with entries that were written in 2001.
async fn long_ago(desk: &Desk, entries: u64) {
    let then = std::sync::Arc::new(startguard::testing::ManualClock::new(
        "2001-01-01T00:00:00Z".parse().unwrap(),
    ));
    let store = startguard::store::SqliteStore::new(
        &desk.host.ledger(),
        then,
        std::time::Duration::from_secs(30),
    );
    store_support::fill(&store, &store_support::job("job"), entries).await.unwrap();
    // No hold and no start of that time stands in the way of what follows.
    let mut change = store_support::job_change(&store_support::job("job"), entries, &[]);
    change.job.as_mut().unwrap().record = startguard::model::JobRecord::default();
    put(&store, change).await.unwrap();
}

#[tokio::test]
async fn what_is_past_its_time_goes_after_a_start_and_by_a_command() {
    let desk = Desk::paused().await;
    long_ago(&desk, 100).await;
    // Nothing is newer than what was written then, so nothing tells that it is old.
    let ran = desk.run(&["store", "prune"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    pruned: 0 entries older than 400d
    ");
    desk.run(&["status", &job("job")]).await.ended(0);
    desk.run(&["start", &job("job"), "--dry-run"]).await.ended(0);
    let verified = desk.json(&["history", "--verify"]).await.ended(0).only();
    assert_eq!(verified["pruned"], 0, "looking prunes nothing");
    desk.run(&["start", &job("job")]).await.ended(0);
    let ran = desk.run(&["history", "--verify"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    the journal holds: 38 entries of 1 jobs, after 64 that were pruned
    ");
    let ran = desk.json(&["store", "prune"]).await;
    assert_eq!(ran.ended(0).only(), json!({"entries": 36, "keepSeconds": 400 * 86_400}));
    let ran = desk.json(&["store", "check"]).await;
    let message = ran.ended(0).lines().last().unwrap()["message"].clone();
    assert_eq!(message, "holds: 2 entries of 1 jobs, after 100 that were pruned");
    assert_eq!(desk.json(&["history"]).await.ended(0).lines().len(), 2);
    // The start that is in the journal counts as before.
    let ran = desk.json(&["start", &job("job")]).await;
    assert_eq!(ran.ended(4).outcome(), "deferred/cooldown");
}

#[tokio::test]
async fn a_longer_keep_keeps_more() {
    let desk = Desk::paused().await;
    long_ago(&desk, 3).await;
    // Ten years are the most, and this was longer ago.
    let hold = ["hold", &job("job"), "--reason", "x"];
    desk.call(&hold).env("STARTGUARD_STORE_KEEP", "10y").run().await.ended(0);
    let verified = desk.json(&["history", "--verify"]).await.ended(0).only();
    assert_eq!((&verified["pruned"], &verified["entries"]), (&json!(3), &json!(1)));
    let ran = desk.call(&hold).env("STARTGUARD_STORE_KEEP", "1h").run().await;
    ran.ended(2);
    assert!(ran.stderr.contains("STARTGUARD_STORE_KEEP"), "{ran:?}");
}

#[tokio::test]
async fn a_source_that_is_not_there_is_told_and_nothing_is_made() {
    let desk = Desk::paused().await;
    let (from, to) = (beside(&desk, "typo.db"), beside(&desk, "new.db"));
    let ran = desk.run(&["store", "migrate", "--from", &from, "--to", &to]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: nothing was moved: sqlite:[home]/typo.db holds nothing
      next: name the store that is in use so far (`startguard doctor` shows it)
    ");
    for name in ["typo.db", "new.db"] {
        assert!(!desk.host.home.path().join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_password_in_a_url_is_refused_and_not_repeated() {
    let desk = Desk::paused().await;
    let url = "postgres://me:hush@127.0.0.1:1/x";
    let ran = desk.run(&["store", "migrate", "--from", "sqlite:a.db", "--to", url]).await;
    ran.ended(2);
    assert!(ran.stderr.contains("PGPASSWORD") && !ran.stderr.contains("hush"), "{ran:?}");
}

#[tokio::test]
async fn a_target_that_is_away_is_a_failure() {
    let desk = started().await;
    let from = beside(&desk, "state/ledger.db");
    let to = "postgres://me@127.0.0.1:1/x?sslmode=disable";
    // Away already when its clock is asked; or there until it is to be written, in a folder that
    // nobody can make.
    for (to, said) in [
        (to, "nothing was moved: the store postgres://me@127.0.0.1:1/x"),
        ("sqlite:/proc/startguard/ledger.db", "holds everything or nothing"),
    ] {
        let ran = desk.run(&["store", "migrate", "--from", &from, "--to", to]).await;
        ran.ended(1);
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(ran.stderr.contains("next: "), "{ran:?}");
    }
}
