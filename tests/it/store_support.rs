//! What the store tests share: records, entries and clocks, and other processes.

#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use startguard::{
    entropy::SystemEntropy,
    guard::{PaceSettings, Parts},
    model::{
        Actor, AttemptId, EntryKind, FencingToken, Hold, JobId, JobKey, JobRecord, JobRef, Moment,
        NewEntry, OutcomeKind, ServicePrincipalId, StartMark, StartResult, TenantKey, TenantRecord,
        Timestamp,
    },
    ports::{Change, Clock, Graph, JobWrite, Store, TenantWrite, Version},
    store::SqliteStore,
    testing::ManualClock,
};
use tokio_util::sync::CancellationToken;

/// Any error: the tests only ever show it.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn start_of_time() -> Timestamp {
    "2026-11-23T09:00:00.123456789Z".parse().expect("a time")
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(start_of_time()))
}

pub(crate) fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::new(path, clock(), Duration::from_secs(30))
}

pub(crate) fn job(name: &str) -> JobKey {
    JobKey {
        service_principal_id: ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b")
            .expect("a GUID"),
        job_id: JobId::parse(name).expect("a job id"),
    }
}

pub(crate) fn tenant() -> TenantKey {
    TenantKey::new(Some("contoso"), "https://graph.microsoft.com")
}

/// A guard's parts over a real store and a scripted Graph, at a pace that binds nobody.
pub(crate) fn parts(store: Arc<dyn Store>, graph: Arc<dyn Graph>, clock: Arc<dyn Clock>) -> Parts {
    let plenty = NonZeroU32::new(1_000).expect("not zero");
    let patience = Duration::from_secs(10);
    Parts {
        store,
        graph,
        clock,
        entropy: Arc::new(SystemEntropy),
        tenant: tenant(),
        pace: PaceSettings { requests_per_second: plenty, burst: plenty, patience },
        process: "pid 1".to_owned(),
        stop: CancellationToken::new(),
    }
}

pub(crate) fn attempt(number: u128) -> AttemptId {
    AttemptId(uuid::Uuid::from_u128(number))
}

pub(crate) fn moment() -> Moment {
    Moment::civil(start_of_time())
}

/// A record that tells itself from others by its token, and uses every field.
pub(crate) fn record(token: u64) -> JobRecord {
    JobRecord {
        lease: None,
        token: FencingToken(token),
        starts: vec![StartMark {
            attempt: attempt(token.into()),
            token: FencingToken(token),
            at: moment(),
            by: Actor("o'brien@ops1 \u{1f511}".to_owned()),
            result: StartResult::Open,
            looked: None,
            forgiven: false,
        }],
        hold: Some(Hold {
            by: Actor("x".to_owned()),
            reason: "line one\nline \"two\"\u{0}".to_owned(),
            from: moment(),
            lasts: Some(Duration::from_nanos(1_500_000_001)),
        }),
    }
}

pub(crate) fn tenant_record(starts: usize) -> TenantRecord {
    TenantRecord { starts: vec![moment(); starts], ..TenantRecord::default() }
}

pub(crate) fn entry(key: &JobKey, number: u128) -> NewEntry {
    NewEntry {
        attempt: Some(attempt(number)),
        job: JobRef { key: key.clone(), name: Some("workday".to_owned()) },
        kind: EntryKind::Intent,
        actor: Actor("ann@ops1".to_owned()),
        observed: None,
        outcome: Some(OutcomeKind::Started),
        reason: None,
        note: Some(format!("entry {number}")),
        token: Some(FencingToken(7)),
        request_ids: vec!["a-b-c".to_owned()],
    }
}

/// A change of one job: the next version, and these entries.
pub(crate) fn job_change(key: &JobKey, expected: u64, entries: &[u128]) -> Change {
    Change {
        job: Some(JobWrite {
            key: key.clone(),
            expected: Version(expected),
            record: record(expected + 1),
            entries: entries.iter().map(|number| entry(key, *number)).collect(),
        }),
        tenant: None,
    }
}

/// The same, with a change of the tenant.
pub(crate) fn both(key: &JobKey, job: u64, tenant_version: u64, entries: &[u128]) -> Change {
    let write = TenantWrite {
        key: tenant(),
        expected: Version(tenant_version),
        record: tenant_record(usize::try_from(tenant_version + 1).expect("small")),
    };
    Change { tenant: Some(write), ..job_change(key, job, entries) }
}

/// Commits a change that must not conflict.
pub(crate) async fn put(store: &dyn Store, change: Change) -> Outcome {
    match store.commit(change).await? {
        startguard::ports::Commit::Done(_) => Ok(()),
        startguard::ports::Commit::Conflict => Err("conflict".into()),
    }
}

/// Commits so many changes of a job, one entry each.
pub(crate) async fn fill(store: &dyn Store, key: &JobKey, entries: u64) -> Outcome {
    let first = store.load(key, &tenant()).await?.job.version.0;
    for version in first..first + entries {
        put(store, job_change(key, version, &[u128::from(version) + 1])).await?;
    }
    Ok(())
}

/// An error and everything behind it, as the edge prints it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// What a child process is told: the ledger's path.
const CHILD: &str = "STARTGUARD_TEST_LEDGER";

/// The ledger that this process is to work on, if it is a child of the test that asks.
///
/// A test that needs processes runs this same binary again for itself alone; its function then finds
/// a ledger here and does the child's part.
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
pub(crate) fn as_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// The arguments with which this binary runs the test `name` as a child.
pub(crate) fn child_args(name: &str) -> [&str; 5] {
    [name, "--exact", "--nocapture", "--test-threads", "1"]
}

/// This binary.
pub(crate) fn this_binary() -> PathBuf {
    std::env::current_exe().expect("the path of this binary")
}

/// The test `name` as a child that works on `ledger`.
pub(crate) fn child(name: &str, ledger: &Path) -> Command {
    told(Command::new(this_binary()), ledger, &child_args(name))
}

/// `command`, run with what a child needs to know.
pub(crate) fn told(mut command: Command, ledger: &Path, args: &[&str]) -> Command {
    command.args(args).env(CHILD, ledger).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The lines that a child told its parent, without those of the test harness.
pub(crate) fn lines_of(stdout: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(|line| line.split_once("> ")).map(|(_, said)| said.to_owned()).collect()
}
