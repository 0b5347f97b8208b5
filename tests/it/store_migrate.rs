//! Moving everything from one store to another, between all kinds.
#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

use std::{sync::Arc, time::Duration};

use startguard::{
    clock::SystemClock,
    model::{FencingToken, HistoryQuery, Lease, Moment, Term},
    ports::{Clock as _, Store},
    store::{MemoryStore, MigrateError, Migrated, SqliteStore, migrate},
};

use crate::{
    pg,
    store_support::{Outcome, attempt, both, clock, fill, job, job_change, put, tenant},
};

/// An empty store, and what must outlive it.
type Place = (Arc<dyn Store>, Option<tempfile::TempDir>);

fn memory() -> Place {
    (Arc::new(MemoryStore::new(Arc::new(SystemClock))), None)
}

fn sqlite() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    (
        Arc::new(SqliteStore::new(&path, Arc::new(SystemClock), Duration::from_secs(30))),
        Some(folder),
    )
}

fn postgres() -> Option<Place> {
    let url = pg::in_new_schema(&pg::shared()?);
    Some((Arc::new(pg::store(&url)), None))
}

/// One empty store of each kind that there is here.
fn places() -> Vec<Place> {
    [memory(), sqlite()].into_iter().chain(postgres()).collect()
}

/// Jobs whose entries lie between one another, and a tenant.
async fn furnish(store: &dyn Store) -> Outcome {
    put(store, both(&job("a"), 0, 0, &[1, 2])).await?;
    fill(store, &job("b"), 3).await?;
    put(store, both(&job("a"), 1, 1, &[3])).await?;
    put(store, job_change(&job("c"), 0, &[])).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_as_it_was_and_goes_on_from_there() -> Outcome {
    for kind in 0..places().len() {
        let sources = places();
        let (from, _folder) = sources.get(kind).ok_or("a source")?;
        furnish(&**from).await?;
        for (to, _folder) in places() {
            let way = format!("{} to {}", from.describe(), to.describe());
            let moved = migrate(&**from, &*to).await?;
            assert_eq!(moved, Migrated { jobs: 3, tenants: 1, entries: 6 }, "{way}");
            for name in ["a", "b", "c", "nobody"] {
                let key = job(name);
                let (old, new) =
                    (from.load(&key, &tenant()).await?, to.load(&key, &tenant()).await?);
                assert_eq!((old.job, old.tenant), (new.job, new.tenant), "{way}");
            }
            let all = HistoryQuery::default();
            let facts = async |store: &dyn Store| {
                let entries = store.history(&all).await.expect("a journal");
                entries.into_iter().map(|entry| (entry.facts, entry.hash)).collect::<Vec<_>>()
            };
            assert_eq!(facts(&**from).await, facts(&*to).await, "{way}");
            // The chains go on.
            fill(&*to, &job("a"), 2).await?;
            let verified = to.verify().await?;
            assert_eq!((verified.entries, verified.broken), (8, None), "{way}");
            // Once only.
            let again = migrate(&**from, &*to).await;
            assert!(matches!(again, Err(MigrateError::TargetInUse { .. })), "{way}: {again:?}");
            assert_eq!(to.verify().await?.entries, 8, "{way}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_holds_nothing_is_not_the_one_that_was_meant() -> Outcome {
    for (from, _folder) in places() {
        for (to, _folder) in places() {
            let error = migrate(&*from, &*to).await.err().ok_or("moved")?;
            assert!(matches!(error, MigrateError::SourceEmpty { .. }), "{error}");
            assert!(error.to_string().contains(&from.describe()), "{error}");
            furnish(&*to).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_somebody_works_with_is_refused() -> Outcome {
    for (from, _folder) in places() {
        let (now, lasts) = (Moment::civil(SystemClock.wall()), Duration::from_secs(3_600));
        let leased = |from: Moment| {
            let mut change = job_change(&job("a"), 0, &[1]);
            if let Some(write) = &mut change.job {
                write.record.lease = Some(Lease {
                    holder: "ann@ops1 (pid 7)".to_owned(),
                    attempt: attempt(1),
                    token: FencingToken(1),
                    term: Term { from, lasts },
                });
            }
            change
        };
        put(&*from, leased(now)).await?;
        let (to, _folder) = memory();
        let error = migrate(&*from, &*to).await.err().ok_or("moved")?;
        assert!(error.to_string().contains("ann@ops1 (pid 7)"), "{error}");
        assert!(error.remedy().contains("stop every startguard"));
        assert_eq!(to.verify().await?.jobs, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_journal_is_broken_is_refused() -> Outcome {
    let Some(url) = pg::shared() else { return Ok(()) };
    let url = pg::in_new_schema(&url);
    let from = pg::store(&url);
    furnish(&from).await?;
    pg::sql(&url, "UPDATE {s}.journal SET body = replace(body, 'entry 2', 'entry 9')").await?;
    let (to, _folder) = sqlite();
    let error = migrate(&from, &*to).await.err().ok_or("moved")?;
    assert!(matches!(error, MigrateError::Broken { .. }), "{error}");
    assert_eq!(to.verify().await?.entries, 0);
    Ok(())
}

/// Cool-downs go on by the target's clock: one ten minutes ahead would have them over ten minutes early.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_clock_tells_another_time_is_refused() -> Outcome {
    let here = clock();
    let told = |skew: i64| {
        let clock = clock();
        let now = here.wall();
        let skew = jiff::SignedDuration::from_millis(skew);
        clock.set_wall(now.saturating_add(skew).expect("a time"));
        clock
    };
    let from = MemoryStore::new(here.clone());
    furnish(&from).await?;
    for (skew, said) in
        [(600_000, "600 s ahead of"), (-600_000, "600 s behind"), (2_001, "2 s ahead of")]
    {
        let folder = tempfile::tempdir()?;
        let mut targets: Vec<Arc<dyn Store>> = vec![
            Arc::new(MemoryStore::new(told(skew))),
            Arc::new(SqliteStore::new(
                &folder.path().join("ledger.db"),
                told(skew),
                SqliteStore::DEADLINE,
            )),
        ];
        if let Some(server) = pg::shared() {
            let store = pg::store(&pg::in_new_schema(&server)).with_server_clock(told(skew));
            targets.push(Arc::new(store));
        }
        for to in targets {
            let error = migrate(&from, &*to).await.err().ok_or("moved")?;
            let expected =
                format!("the clock of {} is {said} that of {}", to.describe(), from.describe());
            assert!(error.to_string().contains(&expected), "{error} (expected: {expected})");
            assert!(error.remedy().contains("set both clocks right"), "{}", error.remedy());
            assert!(!folder.path().join("ledger.db").exists(), "{error}");
            assert_eq!(to.verify().await?.entries, 0, "{error}");
        }
    }
    for skew in [2_000, -2_000] {
        assert_eq!(migrate(&from, &MemoryStore::new(told(skew))).await?.entries, 6, "{skew}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_moves_to_one_target_one_is_refused() -> Outcome {
    for (to, _folder) in places() {
        let moves: Vec<_> = (0..4)
            .map(|_| {
                let to = Arc::clone(&to);
                tokio::spawn(async move {
                    let (from, _folder) = memory();
                    furnish(&*from).await.expect("furnished");
                    migrate(&*from, &*to).await.is_ok()
                })
            })
            .collect();
        let mut moved = 0;
        for one in moves {
            moved += u32::from(one.await?);
        }
        assert_eq!(moved, 1, "{}", to.describe());
        assert_eq!(to.verify().await?.entries, 6);
    }
    Ok(())
}
