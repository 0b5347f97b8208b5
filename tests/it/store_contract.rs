//! What every store promises, as facts that hold for each adapter. A further adapter is one line at
//! the end of this file.

#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use startguard::{
    decide::Receipt,
    model::{EntryKind, HistoryQuery, JobKey, JobRecord, TenantRecord, Timestamp, Verification},
    ports::{Change, Commit, Pruned, Store, Version},
    store::{MemoryStore, SqliteStore},
    testing::ManualClock,
};

use crate::{
    pg,
    store_support::{
        Outcome, attempt, both, clock, fill, job, job_change, put, record, start_of_time, tenant,
        tenant_record,
    },
};

/// An empty place for one test, and a way to open any number of stores on it.
trait Place: Sized {
    /// Whether the store's clock is the machine's, which tells the time since boot, too.
    const BOOT_TIME: bool = true;
    /// Whether what it takes is there; it says so loudly where it is not.
    fn available() -> bool {
        true
    }
    fn new() -> Self;
    fn clock(&self) -> &ManualClock;
    fn open(&self) -> Arc<dyn Store>;
}

struct InMemory {
    clock: Arc<ManualClock>,
    store: MemoryStore,
}

impl Place for InMemory {
    fn new() -> Self {
        let clock = clock();
        Self { store: MemoryStore::new(clock.clone()), clock }
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }
}

struct Sqlite {
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Place for Sqlite {
    fn new() -> Self {
        Self { clock: clock(), folder: tempfile::tempdir().expect("a folder") }
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn open(&self) -> Arc<dyn Store> {
        let path = self.folder.path().join("state/startguard/ledger.db");
        Arc::new(SqliteStore::new(&path, self.clock.clone(), Duration::from_secs(30)))
    }
}

struct Postgres {
    clock: Arc<ManualClock>,
    url: String,
}

impl Place for Postgres {
    const BOOT_TIME: bool = false;
    fn available() -> bool {
        pg::shared().is_some()
    }
    fn new() -> Self {
        let url = pg::shared().expect("a server");
        Self { clock: clock(), url: pg::in_new_schema(&url) }
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn open(&self) -> Arc<dyn Store> {
        // The server's clock cannot be set, so the facts about time are given another.
        Arc::new(pg::store(&self.url).with_server_clock(self.clock.clone()))
    }
}

/// The same server, with statements kept prepared.
struct Prepared(Postgres);

impl Place for Prepared {
    const BOOT_TIME: bool = false;
    fn available() -> bool {
        Postgres::available()
    }
    fn new() -> Self {
        let mut place = Postgres::new();
        place.url.push_str("&prepare=on");
        Self(place)
    }
    fn clock(&self) -> &ManualClock {
        self.0.clock()
    }
    fn open(&self) -> Arc<dyn Store> {
        self.0.open()
    }
}

/// The same server, behind a pooler that gives each transaction one of two sessions.
struct Pooled {
    place: Postgres,
    _bouncer: pg::Bouncer,
}

impl Place for Pooled {
    const BOOT_TIME: bool = false;
    fn available() -> bool {
        Postgres::available() && pg::Bouncer::available()
    }
    fn new() -> Self {
        let mut place = Postgres::new();
        let port = pg::port_of(&place.url);
        let bouncer = pg::Bouncer::before(port, 2);
        place.url = place.url.replace(&format!(":{port}/"), &format!(":{}/", bouncer.port));
        Self { place, _bouncer: bouncer }
    }
    fn clock(&self) -> &ManualClock {
        self.place.clock()
    }
    fn open(&self) -> Arc<dyn Store> {
        self.place.open()
    }
}

fn receipt(commit: Commit) -> Option<Receipt> {
    match commit {
        Commit::Done(receipt) => Some(receipt),
        Commit::Conflict => None,
    }
}

async fn notes(
    store: &dyn Store,
    query: HistoryQuery,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let entries = store.history(&query).await?;
    Ok(entries.into_iter().filter_map(|entry| entry.facts.note).collect())
}

mod facts {
    use super::*;

    pub(super) async fn missing_records_load_as_default_at_version_zero<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        let found = store.load(&job("a"), &tenant()).await?;
        assert_eq!((found.job.record, found.job.version), (JobRecord::default(), Version(0)));
        assert_eq!(found.tenant.record, TenantRecord::default());
        assert_eq!(found.tenant.version, Version(0));
        assert_eq!(found.latest_entry, None);
        assert_eq!(store.load_tenant(&tenant()).await?.0, found.tenant);
        assert_eq!(notes(&*store, HistoryQuery::default()).await?, Vec::<String>::new());
        assert_eq!(
            store.verify().await?,
            Verification { entries: 0, pruned: 0, jobs: 0, broken: None }
        );
        Ok(())
    }

    pub(super) async fn what_was_committed_is_read_back_whole<P: Place>() -> Outcome {
        let place = P::new();
        put(&*place.open(), both(&job("a"), 0, 0, &[1])).await?;
        let found = place.open().load(&job("a"), &tenant()).await?;
        assert_eq!((found.job.record, found.job.version), (record(1), Version(1)));
        assert_eq!((found.tenant.record, found.tenant.version), (tenant_record(1), Version(1)));
        assert_eq!(place.open().load_tenant(&tenant()).await?.0.record, tenant_record(1));
        // Another job and another tenant know nothing of it.
        assert_eq!(place.open().load(&job("b"), &tenant()).await?.job.version, Version(0));
        Ok(())
    }

    pub(super) async fn two_spellings_of_one_job_share_a_record<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("Box.A"), 0, &[1])).await?;
        assert_eq!(store.load(&job("box.a"), &tenant()).await?.job.version, Version(1));
        put(&*store, job_change(&job("box.a"), 1, &[2])).await?;
        let query = HistoryQuery { job: Some(job("BOX.a")), ..HistoryQuery::default() };
        assert_eq!(notes(&*store, query).await?, ["entry 2", "entry 1"]);
        assert_eq!(store.verify().await?.broken, None);
        Ok(())
    }

    pub(super) async fn commit_compares_both_versions<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, both(&job("a"), 0, 0, &[1])).await?;
        for (of_job, of_tenant) in [(0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (u64::MAX, 1)] {
            let change = Change {
                job: job_change(&job("a"), 0, &[9]).job.map(|mut write| {
                    write.expected = Version(of_job);
                    write
                }),
                ..both(&job("a"), 0, of_tenant, &[])
            };
            assert!(receipt(store.commit(change).await?).is_none(), "{of_job} {of_tenant}");
        }
        put(&*store, both(&job("a"), 1, 1, &[2])).await?;
        Ok(())
    }

    pub(super) async fn a_conflict_writes_nothing_at_all<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, both(&job("a"), 0, 0, &[1])).await?;
        let before = store.load(&job("a"), &tenant()).await?;
        // The tenant conflicts after the job's part would have been written, and the other way round.
        assert!(receipt(store.commit(both(&job("a"), 1, 0, &[2, 3])).await?).is_none());
        assert!(receipt(store.commit(both(&job("a"), 0, 1, &[2, 3])).await?).is_none());
        assert_eq!(store.load(&job("a"), &tenant()).await?, before);
        assert_eq!(notes(&*store, HistoryQuery::default()).await?, ["entry 1"]);
        put(&*store, both(&job("a"), 1, 1, &[2])).await?;
        let verified = store.verify().await?;
        assert_eq!(verified, Verification { entries: 2, pruned: 0, jobs: 1, broken: None });
        let seqs: Vec<u64> =
            store.history(&HistoryQuery::default()).await?.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, [2, 1]);
        Ok(())
    }

    pub(super) async fn an_entry_of_another_job_is_refused_whole<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        let mut change = both(&job("a"), 0, 0, &[1]);
        if let (Some(write), Some(other)) = (&mut change.job, job_change(&job("b"), 0, &[2]).job) {
            write.entries.extend(other.entries);
        }
        assert!(store.commit(change).await.is_err());
        let found = store.load(&job("a"), &tenant()).await?;
        assert_eq!((found.job.version, found.tenant.version), (Version(0), Version(0)));
        assert_eq!(store.verify().await?.entries, 0);
        Ok(())
    }

    pub(super) async fn of_many_writers_of_one_version_exactly_one_wins<P: Place>() -> Outcome {
        const WRITERS: u64 = 16;
        const ROUNDS: u64 = 20;
        let place = P::new();
        // Half of them share a store, the others have one each.
        let shared = place.open();
        let stores: Vec<_> = (0..WRITERS)
            .map(|n| if n % 2 == 0 { Arc::clone(&shared) } else { place.open() })
            .collect();
        for round in 0..ROUNDS {
            let writers: Vec<_> = stores
                .iter()
                .map(|store| {
                    let store = Arc::clone(store);
                    tokio::spawn(async move {
                        store.commit(both(&job("a"), round, round, &[round.into()])).await
                    })
                })
                .collect();
            let mut winners = 0;
            for writer in writers {
                winners += u32::from(receipt(writer.await??).is_some());
            }
            assert_eq!(winners, 1, "round {round}");
        }
        let found = shared.load(&job("a"), &tenant()).await?;
        assert_eq!((found.job.version.0, found.tenant.version.0), (ROUNDS, ROUNDS));
        assert_eq!(
            shared.verify().await?,
            Verification { entries: ROUNDS, pruned: 0, jobs: 1, broken: None }
        );
        Ok(())
    }

    pub(super) async fn jobs_are_written_side_by_side_with_one_tenant<P: Place>() -> Outcome {
        let place = P::new();
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let store = place.open();
                tokio::spawn(async move {
                    let key = job(&format!("job-{number}"));
                    let mut done = 0;
                    while done < 5 {
                        let found = store.load(&key, &tenant()).await?;
                        let (of_job, of_tenant) = (found.job.version.0, found.tenant.version.0);
                        let change = both(&key, of_job, of_tenant, &[done.into()]);
                        done += u64::from(receipt(store.commit(change).await?).is_some());
                    }
                    Ok::<_, startguard::ports::StoreError>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        let store = place.open();
        // No update of the tenant was lost to another.
        assert_eq!(store.load_tenant(&tenant()).await?.0.version, Version(40));
        assert_eq!(
            store.verify().await?,
            Verification { entries: 40, pruned: 0, jobs: 8, broken: None }
        );
        Ok(())
    }

    pub(super) async fn the_receipt_is_for_the_attempt_of_the_last_entry<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        let done = receipt(store.commit(job_change(&job("a"), 0, &[1, 2])).await?);
        let expected = format!("{:?}", Some(attempt(2)));
        assert!(format!("{done:?}").contains(&expected), "{done:?}");
        let done = receipt(store.commit(job_change(&job("a"), 1, &[])).await?);
        assert!(format!("{done:?}").contains("attempt: None"), "{done:?}");
        Ok(())
    }

    pub(super) async fn an_empty_change_is_done_and_changes_nothing<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        assert!(receipt(store.commit(Change::default()).await?).is_some());
        assert_eq!(store.load(&job("a"), &tenant()).await?.job.version, Version(0));
        Ok(())
    }

    pub(super) async fn a_load_tells_the_stores_time_and_the_newest_entrys<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1])).await?;
        place.clock().advance(Duration::from_millis(1_500));
        put(&*store, job_change(&job("b"), 0, &[2])).await?;
        place.clock().advance(Duration::from_secs(1));
        let found = store.load(&job("a"), &tenant()).await?;
        let after = |millis| start_of_time() + Duration::from_millis(millis);
        assert_eq!(found.latest_entry, Some(after(1_500)));
        assert_eq!(found.as_of.at, after(2_500));
        let boot = found.as_of.boot.map(|boot| boot.since);
        assert_eq!(boot, P::BOOT_TIME.then_some(Duration::from_millis(3_602_500)));
        assert_eq!(store.load_tenant(&tenant()).await?.1.at, after(2_500));
        Ok(())
    }

    fn reset(key: &JobKey, expected: u64, number: u128) -> Change {
        let mut change = job_change(key, expected, &[number]);
        let entries = change.job.iter_mut().flat_map(|job| &mut job.entries);
        entries.for_each(|entry| entry.kind = EntryKind::Reset);
        change
    }

    /// The times of all entries, newest first.
    /// The journal has these times, newest entry first, in chains that verify.
    async fn assert_dated(store: &dyn Store, expected: &[Timestamp]) -> Outcome {
        let entries = store.history(&HistoryQuery::default()).await?;
        let times: Vec<_> = entries.iter().map(|entry| entry.facts.at).collect();
        assert_eq!(times, expected);
        assert_eq!(store.verify().await?.broken, None);
        Ok(())
    }

    pub(super) async fn no_entry_is_dated_before_the_newest<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1])).await?;
        let earlier = start_of_time() - HOUR;
        place.clock().set_wall(earlier);
        let found = store.load(&job("a"), &tenant()).await?;
        assert_eq!((found.as_of.at, found.latest_entry), (earlier, Some(start_of_time())));
        // Of whichever job they are, with the tenant's record or without.
        put(&*store, job_change(&job("a"), 1, &[2])).await?;
        put(&*store, both(&job("b"), 0, 0, &[3, 4])).await?;
        place.clock().advance(HOUR / 2);
        put(&*store, job_change(&job("c"), 0, &[5])).await?;
        let found = place.open().load(&job("c"), &tenant()).await?;
        assert_eq!(
            (found.as_of.at, found.latest_entry),
            (earlier + HOUR / 2, Some(start_of_time()))
        );
        // And by the clock again, once it has passed it.
        place.clock().advance(HOUR);
        put(&*store, job_change(&job("a"), 2, &[6])).await?;
        let mut expected = vec![start_of_time() + HOUR / 2];
        expected.extend([start_of_time(); 5]);
        assert_dated(&*store, &expected).await
    }

    pub(super) async fn a_reset_is_dated_by_the_clock_as_it_is<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1])).await?;
        let earlier = start_of_time() - HOUR;
        place.clock().set_wall(earlier);
        put(&*store, reset(&job("b"), 0, 2)).await?;
        assert_eq!(store.load(&job("a"), &tenant()).await?.latest_entry, Some(earlier));
        place.clock().advance(Duration::from_secs(1));
        put(&*store, job_change(&job("a"), 1, &[3])).await?;
        let expected = [earlier + Duration::from_secs(1), earlier, start_of_time()];
        assert_dated(&*store, &expected).await
    }

    pub(super) async fn each_job_has_a_chain_of_its_own<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1, 2])).await?;
        put(&*store, job_change(&job("b"), 0, &[3])).await?;
        put(&*store, job_change(&job("a"), 1, &[4])).await?;
        let entries = store.history(&HistoryQuery::default()).await?;
        let places: Vec<_> = entries
            .iter()
            .map(|e| (e.seq, e.facts.job.key.job_id.as_str(), e.facts.index))
            .collect();
        assert_eq!(places, [(4, "a", 3), (3, "b", 1), (2, "a", 2), (1, "a", 1)]);
        let hashes: BTreeSet<_> = entries.iter().map(|entry| entry.hash.0.clone()).collect();
        assert_eq!(hashes.len(), 4);
        assert_eq!(
            store.verify().await?,
            Verification { entries: 4, pruned: 0, jobs: 2, broken: None }
        );
        Ok(())
    }

    pub(super) async fn history_is_newest_first_and_filtered<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        for (number, name) in (0..).zip(["a", "b", "a", "b", "a"]) {
            let key = job(name);
            let version = store.load(&key, &tenant()).await?.job.version.0;
            put(&*store, job_change(&key, version, &[number])).await?;
            place.clock().advance(Duration::from_secs(1));
        }
        let all = HistoryQuery::default();
        let of_a = HistoryQuery { job: Some(job("a")), ..all.clone() };
        let since = Some(start_of_time() + Duration::from_secs(2));
        assert_eq!(
            notes(&*store, all.clone()).await?,
            ["entry 4", "entry 3", "entry 2", "entry 1", "entry 0"]
        );
        assert_eq!(notes(&*store, of_a.clone()).await?, ["entry 4", "entry 2", "entry 0"]);
        let limited = HistoryQuery { limit: Some(2), ..of_a.clone() };
        assert_eq!(notes(&*store, limited).await?, ["entry 4", "entry 2"]);
        let none = HistoryQuery { limit: Some(0), ..all.clone() };
        assert!(notes(&*store, none).await?.is_empty());
        // `since` takes the entry that was written at that very time.
        let recent = HistoryQuery { since, ..all.clone() };
        assert_eq!(notes(&*store, recent).await?, ["entry 4", "entry 3", "entry 2"]);
        let recent_of_a = HistoryQuery { since, limit: Some(1), ..of_a };
        assert_eq!(notes(&*store, recent_of_a).await?, ["entry 4"]);
        let nobodys = HistoryQuery { job: Some(job("c")), ..all };
        assert!(notes(&*store, nobodys).await?.is_empty());
        Ok(())
    }

    pub(super) async fn an_entry_is_read_back_as_it_was_written<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        let mut change = job_change(&job("a"), 0, &[1]);
        let hostile = "ESC \u{1b}[31m \u{202e} \"quote\" \\ \u{0} \u{1f511} '; DROP TABLE jobs;--";
        if let Some(entry) = change.job.as_mut().and_then(|write| write.entries.first_mut()) {
            entry.note = Some(hostile.to_owned());
        }
        let written = change.job.as_ref().and_then(|write| write.entries.first().cloned());
        put(&*store, change).await?;
        let read = place.open().history(&HistoryQuery::default()).await?;
        let expected = written.map(|entry| entry.placed(1, start_of_time()));
        assert_eq!(read.first().map(|entry| entry.facts.clone()), expected);
        assert_eq!(store.verify().await?.broken, None);
        Ok(())
    }

    pub(super) async fn a_store_opened_again_sees_everything<P: Place>() -> Outcome {
        let place = P::new();
        fill(&*place.open(), &job("a"), 3).await?;
        let store = place.open();
        fill(&*store, &job("a"), 2).await?;
        drop(store);
        let store = place.open();
        assert_eq!(store.load(&job("a"), &tenant()).await?.job.record, record(5));
        assert_eq!(
            store.verify().await?,
            Verification { entries: 5, pruned: 0, jobs: 1, broken: None }
        );
        Ok(())
    }

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);

    /// Entries 1 to 3, those of ten days later 4 and 5; all but the first three are young.
    async fn aged<P: Place>(place: &P) -> Result<Arc<dyn Store>, Box<dyn std::error::Error>> {
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1, 2])).await?;
        put(&*store, both(&job("b"), 0, 0, &[3])).await?;
        place.clock().advance(10 * DAY);
        put(&*store, job_change(&job("a"), 1, &[4])).await?;
        put(&*store, job_change(&job("c"), 0, &[5])).await?;
        Ok(store)
    }

    pub(super) async fn pruning_leaves_what_is_young_and_chains_that_hold<P: Place>() -> Outcome {
        let place = P::new();
        let store = aged(&place).await?;
        let before = store.load(&job("a"), &tenant()).await?;
        assert_eq!(store.prune(11 * DAY, 100).await?, Pruned::default());
        assert_eq!(store.prune(DAY, 100).await?, Pruned { entries: 3, more: false });
        assert_eq!(store.prune(DAY, 100).await?, Pruned::default());
        // Records, versions and the clock check know nothing of it.
        assert_eq!(store.load(&job("a"), &tenant()).await?, before);
        assert_eq!(notes(&*store, HistoryQuery::default()).await?, ["entry 5", "entry 4"]);
        let of_b = HistoryQuery { job: Some(job("b")), ..HistoryQuery::default() };
        assert!(notes(&*store, of_b).await?.is_empty());
        let left = Verification { entries: 2, pruned: 3, jobs: 3, broken: None };
        assert_eq!(store.verify().await?, left);
        // Chains go on, that of a job without any entry left as well.
        put(&*store, job_change(&job("b"), 1, &[6])).await?;
        put(&*store, job_change(&job("a"), 2, &[7])).await?;
        let left = Verification { entries: 4, pruned: 3, jobs: 3, broken: None };
        assert_eq!(place.open().verify().await?, left);
        // And on, from one checkpoint to the next.
        place.clock().advance(10 * DAY);
        put(&*store, job_change(&job("c"), 1, &[8])).await?;
        assert_eq!(store.prune(DAY, 100).await?, Pruned { entries: 4, more: false });
        let left = Verification { entries: 1, pruned: 7, jobs: 3, broken: None };
        assert_eq!(place.open().verify().await?, left);
        Ok(())
    }

    pub(super) async fn pruning_removes_no_more_than_it_is_told<P: Place>() -> Outcome {
        let place = P::new();
        let store = aged(&place).await?;
        assert_eq!(store.prune(DAY, 2).await?, Pruned { entries: 2, more: true });
        let left = Verification { entries: 3, pruned: 2, jobs: 3, broken: None };
        assert_eq!(store.verify().await?, left);
        assert_eq!(store.prune(DAY, 2).await?, Pruned { entries: 1, more: false });
        Ok(())
    }

    pub(super) async fn the_newest_entry_stays_whatever_its_age<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        assert_eq!(store.prune(DAY, 100).await?, Pruned::default(), "there is nothing");
        fill(&*store, &job("a"), 3).await?;
        place.clock().advance(1_000 * DAY);
        // By the newest entry's time none is old: perhaps the clock alone says so.
        assert_eq!(store.prune(DAY, 100).await?, Pruned::default());
        assert_eq!(store.prune(Duration::ZERO, 100).await?, Pruned::default());
        let found = store.load(&job("a"), &tenant()).await?;
        assert_eq!(found.latest_entry, Some(start_of_time()));
        Ok(())
    }

    pub(super) async fn an_entry_that_is_not_old_keeps_those_after_it<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        put(&*store, job_change(&job("a"), 0, &[1])).await?;
        place.clock().advance(20 * DAY);
        put(&*store, job_change(&job("a"), 1, &[2])).await?;
        // A clock that was ahead, as a person says.
        place.clock().set_wall(start_of_time());
        put(&*store, reset(&job("a"), 2, 3)).await?;
        place.clock().advance(20 * DAY);
        put(&*store, job_change(&job("a"), 3, &[4])).await?;
        assert_eq!(store.prune(DAY, 100).await?, Pruned { entries: 1, more: false });
        let all = notes(&*store, HistoryQuery::default()).await?;
        assert_eq!(all, ["entry 4", "entry 3", "entry 2"]);
        assert_eq!(store.verify().await?.broken, None);
        Ok(())
    }

    pub(super) async fn pruning_beside_writers_and_other_pruners_is_harmless<P: Place>() -> Outcome
    {
        let place = P::new();
        let store = place.open();
        for name in ["a", "b", "c", "d"] {
            fill(&*store, &job(name), 25).await?;
        }
        place.clock().advance(10 * DAY);
        put(&*store, job_change(&job("e"), 0, &[1])).await?;
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let (writer, pruner) = (place.open(), place.open());
            tasks.push(tokio::spawn(async move {
                for version in 25..35 {
                    let change = job_change(&job(name), version, &[version.into()]);
                    if receipt(writer.commit(change).await?).is_none() {
                        return Err(format!("{name} {version} conflicts").into());
                    }
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }));
            tasks.push(tokio::spawn(async move {
                for _ in 0..10 {
                    pruner.prune(DAY, 7).await?;
                }
                Ok(())
            }));
        }
        for task in tasks {
            task.await?.map_err(|error| error.to_string())?;
        }
        while store.prune(DAY, 7).await?.more {}
        let left = Verification { entries: 41, pruned: 100, jobs: 5, broken: None };
        assert_eq!(store.verify().await?, left);
        Ok(())
    }

    pub(super) async fn the_report_counts_jobs_and_entries<P: Place>() -> Outcome {
        let place = P::new();
        let store = place.open();
        fill(&*store, &job("a"), 2).await?;
        fill(&*store, &job("b"), 1).await?;
        let report = store.report().await?;
        for fact in [("jobs", "2"), ("entries", "3")] {
            let fact = (fact.0.to_owned(), fact.1.to_owned());
            assert!(report.facts.contains(&fact), "{report:?}");
        }
        Ok(())
    }
}

/// Every fact, for one adapter.
macro_rules! contract {
    ($adapter:ident, $place:ty) => {
        contract!($adapter, $place;
            missing_records_load_as_default_at_version_zero,
            what_was_committed_is_read_back_whole,
            two_spellings_of_one_job_share_a_record,
            commit_compares_both_versions,
            a_conflict_writes_nothing_at_all,
            an_entry_of_another_job_is_refused_whole,
            of_many_writers_of_one_version_exactly_one_wins,
            jobs_are_written_side_by_side_with_one_tenant,
            the_receipt_is_for_the_attempt_of_the_last_entry,
            an_empty_change_is_done_and_changes_nothing,
            a_load_tells_the_stores_time_and_the_newest_entrys,
            no_entry_is_dated_before_the_newest,
            a_reset_is_dated_by_the_clock_as_it_is,
            each_job_has_a_chain_of_its_own,
            history_is_newest_first_and_filtered,
            an_entry_is_read_back_as_it_was_written,
            a_store_opened_again_sees_everything,
            pruning_leaves_what_is_young_and_chains_that_hold,
            pruning_removes_no_more_than_it_is_told,
            the_newest_entry_stays_whatever_its_age,
            an_entry_that_is_not_old_keeps_those_after_it,
            pruning_beside_writers_and_other_pruners_is_harmless,
            the_report_counts_jobs_and_entries,
        );
    };
    ($adapter:ident, $place:ty; $($fact:ident,)*) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $fact() -> super::Outcome {
                    if !<$place as super::Place>::available() {
                        return Ok(());
                    }
                    super::facts::$fact::<$place>().await
                }
            )*
        }
    };
}

contract!(memory, super::InMemory);
contract!(sqlite, super::Sqlite);
contract!(postgres, super::Postgres);
contract!(postgres_prepared, super::Prepared);
contract!(postgres_pooled, super::Pooled);
