//! `history`: the journal, and the check of its chains.

use insta::assert_snapshot;
use serde_json::json;
use startguard::emulator::{Emulator, JobConfig};

use super::{Desk, NOTHING, SP, job, shape};

/// A desk whose ledger holds a start, a denial and a hold, in this order.
async fn told() -> Desk {
    let desk = Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("job", "Quarantine"))
            .job(SP, JobConfig::new("new", "NotConfigured")),
    )
    .await;
    desk.run(&["start", &job("job"), "--reason", "credentials renewed"]).await.ended(0);
    desk.run(&["start", &job("new")]).await.ended(3);
    desk.run(&["hold", &job("new"), "--reason", "being set up"]).await.ended(0);
    desk.cost();
    desk
}

#[tokio::test]
async fn the_journal_is_told_newest_first() {
    let desk = told().await;
    let ran = desk.run(&["history"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/new: hold, by tester@[host]
      note: being set up
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/new: decision denied (notConfigured), by tester@[host]
      read: NotConfigured
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: outcome started, by tester@[host]
      read: Quarantine (EncounteredQuarantineException)
      note: credentials renewed
    [time] 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job: intent, by tester@[host]
      read: Quarantine (EncounteredQuarantineException)
      note: credentials renewed
    ");
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn an_entry_has_exactly_these_fields() {
    let desk = told().await;
    let entries = desk.json(&["history"]).await.ended(0).lines();
    let seqs: Vec<_> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [4, 3, 2, 1]);
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["hold", "decision", "outcome", "intent"]);
    assert_snapshot!(shape(&entries[2]), @r"
    actor: string
    at: string
    attemptId: string
    fencingToken: number
    hash: string
    index: number
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    kind: string
    note: string
    observed.code: string
    observed.quarantine.nextAttempt: string
    observed.quarantine.reason: string
    observed.quarantine.seriesBegan: string
    observed.quarantine.seriesCount: number
    observed.quarantine.since: string
    observed.readAt: string
    observed.schedule: string
    outcome: string
    reason: null
    requestIds: [string]
    seq: number
    ");
    assert_snapshot!(shape(&entries[0]), @r"
    actor: string
    at: string
    attemptId: null
    fencingToken: null
    hash: string
    index: number
    job.jobId: string
    job.name: null
    job.servicePrincipalId: string
    kind: string
    note: string
    observed: null
    outcome: null
    reason: null
    requestIds: []
    seq: number
    ");
    assert_eq!(entries[0]["note"], "being set up");
    assert_eq!(entries[1]["reason"], "notConfigured");
    assert_eq!(entries[2]["outcome"], "started");
    assert!(entries[2]["actor"].as_str().unwrap().starts_with("tester@"));
    assert_eq!(entries[2]["attemptId"], entries[3]["attemptId"]);
    assert_eq!(entries[2]["hash"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn the_journal_of_one_job_a_limit_and_a_time() {
    let desk = told().await;
    let count = async |args: &[&str]| desk.json(args).await.ended(0).lines().len();
    assert_eq!(count(&["history", &job("job")]).await, 2);
    assert_eq!(count(&["history", &job("other")]).await, 0);
    assert_eq!(count(&["history", "--limit", "3"]).await, 3);
    assert_eq!(count(&["history", "--since", "1h"]).await, 4);
    assert_eq!(count(&["history", "--since", "2001-01-01"]).await, 4);
    for far in ["2999-01-01T00:00:00Z", "9000-12-31"] {
        assert_eq!(count(&["history", "--since", far]).await, 0);
    }
    assert_eq!(count(&["history", "--since", "0001-01-01"]).await, 4);
    let newest = desk.json(&["history"]).await.lines()[0]["at"].clone();
    assert_eq!(count(&["history", "--since", newest.as_str().unwrap()]).await, 1);
    assert_eq!(desk.cost(), NOTHING);
}

#[tokio::test]
async fn an_empty_journal_is_said_to_be_empty() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["history"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stderr
    the journal has no such entry
    ");
    let ran = desk.run(&["history", "--verify"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    the journal holds: 0 entries of 0 jobs
    ");
    assert!(!desk.host.ledger().exists(), "looking makes no ledger");
}

#[tokio::test]
async fn a_journal_that_holds_verifies() {
    let desk = told().await;
    let ran = desk.run(&["history", "--verify"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 0
    --- stdout
    the journal holds: 4 entries of 2 jobs
    ");
    let verified = desk.json(&["history", "--verify"]).await.ended(0).only();
    assert_eq!(verified, json!({"entries": 4, "pruned": 0, "jobs": 2, "broken": null}));
}

#[tokio::test]
async fn a_changed_entry_is_named() {
    let desk = told().await;
    desk.host.tamper("UPDATE journal SET body = replace(body, 'started', 'denied') WHERE seq = 2");
    let ran = desk.run(&["history", "--verify"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    the journal does not hold: entry 2 of 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      its text does not match its hash: it, or the job's entry before it, was changed
      next: keep the store as it is for whoever looks into it; `startguard history -o json` shows what it says now
    ");
    let verified = desk.json(&["history", "--verify"]).await.ended(1).only();
    assert_eq!(verified["broken"]["seq"], 2);
    assert_snapshot!(shape(&verified), @r"
    broken.job: string
    broken.problem: string
    broken.seq: number
    entries: number
    jobs: number
    pruned: number
    ");
}

#[tokio::test]
async fn a_removed_entry_is_missed() {
    let desk = told().await;
    desk.host.tamper("DELETE FROM journal WHERE seq = 1");
    let ran = desk.run(&["history", "--verify"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stdout
    the journal does not hold: entry 1 of 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      entry 1 is missing
      next: keep the store as it is for whoever looks into it; `startguard history -o json` shows what it says now
    ");
}

#[tokio::test]
async fn a_removed_end_is_missed() {
    let desk = told().await;
    desk.host.tamper("DELETE FROM journal WHERE seq = 4");
    let verified = desk.json(&["history", "--verify"]).await.ended(1).only();
    assert_eq!(verified["broken"]["job"], job("new"), "{verified}");
}
