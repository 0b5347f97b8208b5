//! Rows of a store, whoever wrote them: a job's record, a tenant's record and a journal entry, the
//! input's first three lines.
//!
//! Each is taken as it stands, which no store wrote, and sealed, which somebody may write who knows
//! how. The ledger's own tables read the same as the text alone.

use std::{cell::RefCell, sync::LazyLock, time::Duration};

use startguard::{
    config::{self, Environment, Settings},
    decide::{self, Ask, View},
    model::{
        Actor, AttemptId, JobId, JobKey, JobRecord, JournalHash, Moment, ServicePrincipalId,
        StartResult, TenantKey, TenantRecord, Timestamp,
    },
    ports::StoreError,
    store::fuzz::{self, EntryRow, JobRow, Rows, Tables, TenantRow},
};

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

thread_local! {
    static TABLES: RefCell<Option<Tables>> = const { RefCell::new(None) };
}

static SETTINGS: LazyLock<Option<Settings>> = LazyLock::new(|| {
    config::fuzz::settings("none.toml", "", &Environment::of([("HOME", "/home/me")])).ok()
});

/// Checks three rows.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let (job, tenant) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let body = lines.next().unwrap_or_default();

    let (job_record, tenant_record) = records(job, tenant);
    if let (Ok(job), Ok(tenant)) = (&job_record, &tenant_record) {
        grants_no_more_than_it_says(job, tenant);
    }
    let entry = entry(body);
    TABLES.with_borrow_mut(|tables| {
        let tables = match tables {
            Some(tables) => tables,
            none => none.insert(made()),
        };
        in_the_tables(tables, [job, tenant], (job_record, tenant_record), &entry);
    });
}

fn made() -> Tables {
    let tables = Tables::new();
    assert!(tables.is_ok(), "{tables:?}");
    tables.unwrap_or_else(|error| unreachable!("{error}"))
}

type Records = (Result<JobRecord, StoreError>, Result<TenantRecord, StoreError>);

fn records(job: &str, tenant: &str) -> Records {
    // Whatever a record says, without its seal it is damage, never a fresh record.
    assert!(
        fuzz::job_record(job).is_err() && fuzz::tenant_record(tenant).is_err(),
        "{job}\n{tenant}"
    );
    let (job, tenant) = (fuzz::seal(job), fuzz::seal(tenant));
    let records = (fuzz::job_record(&job), fuzz::tenant_record(&tenant));
    if let Ok(record) = &records.0 {
        let again = fuzz::seal_job(record).and_then(|sealed| fuzz::job_record(&sealed));
        assert_eq!(again.ok().as_ref(), Some(record), "reads back otherwise");
    }
    if let Ok(record) = &records.1 {
        let again = fuzz::seal_tenant(record).and_then(|sealed| fuzz::tenant_record(&sealed));
        assert_eq!(again.ok().as_ref(), Some(record), "reads back otherwise");
    }
    // A seal is of one text.
    let (json, other) = (job.split_once(' ').unwrap_or_default().1, fuzz::seal("another text"));
    let foreign = format!("{} {json}", other.split(' ').next().unwrap_or_default());
    assert!(fuzz::job_record(&foreign).is_err(), "{foreign}");
    let cut: String = job.chars().take(job.chars().count().saturating_sub(1)).collect();
    assert!(fuzz::job_record(&cut).is_err(), "{cut}");
    records
}

/// However odd the times in a record are, it never grants what its own words forbid, and no arithmetic
/// on them fails.
fn grants_no_more_than_it_says(job: &JobRecord, tenant: &TenantRecord) {
    let Some(settings) = SETTINGS.as_ref() else { return };
    let (policy, now) = (&settings.guard, Moment::civil(now()));
    let view = View { job, tenant, as_of: &now, latest_entry: None };
    let Some(key) = key() else { return };
    let attempt = AttemptId(uuid::Uuid::from_u128(u128::MAX));
    let ask = Ask {
        key,
        attempt,
        actor: Actor("me".to_owned()),
        holder: "me".to_owned(),
        accept: Vec::new(),
    };
    let granted = decide::acquire(policy, view, &ask);
    if let Some(lease) = &job.lease {
        let _shown = lease.term.ends_at();
    }
    let Ok(grant) = granted else { return };
    assert!(grant.token > job.token || job.token.0 == u64::MAX, "{job:?}");
    assert!(job.hold.as_ref().is_none_or(|hold| hold.in_force(&now).is_none()), "{job:?}");
    assert!(job.lease.as_ref().is_none_or(|lease| lease.term.remaining(&now).is_none()), "{job:?}");
    let age = |mark: &Moment| now.since(mark);
    let counted =
        job.starts.iter().filter(|mark| !mark.forgiven && age(&mark.at) < policy.window).count();
    assert!(counted < usize::try_from(policy.max_starts.get()).unwrap_or(usize::MAX), "{job:?}");
    for mark in job.starts.iter().filter(|mark| age(&mark.at) < policy.cooldown) {
        // Inside a cool-down the lease is for a look at what is in doubt.
        let newest_in_doubt = job.starts.iter().any(|mark| {
            age(&mark.at) < policy.cooldown
                && matches!(mark.result, StartResult::Open | StartResult::InDoubt)
        });
        assert!(newest_in_doubt, "{mark:?} of {job:?}");
    }
    let minute = Duration::from_secs(60);
    let starts = tenant.starts.iter().filter(|at| age(at) < minute).count();
    let most = usize::try_from(policy.tenant_starts_per_minute.get()).unwrap_or(usize::MAX);
    assert!(starts < most, "{tenant:?}");
    let told_to_wait = tenant.throttle.as_ref().and_then(|it| it.term.remaining(&now));
    assert_eq!(told_to_wait, None, "{tenant:?}");
}

/// An entry whose text is this one, under the columns that its text says where it says any.
fn entry(body: &str) -> EntryRow {
    let mut row = EntryRow {
        seq: 1,
        job: format!("{SP}/box"),
        place: 1,
        at: 0,
        body: body.to_owned(),
        hash: JournalHash::genesis().of_next(body).0,
    };
    let Ok(read) = fuzz::entry(&row) else { return row };
    let facts = serde_json::to_string(&read.facts).unwrap_or_default();
    let again = fuzz::entry(&EntryRow { body: facts, ..row.clone() });
    assert_eq!(
        again.ok().map(|again| again.facts),
        Some(read.facts.clone()),
        "reads back otherwise"
    );
    row.job = read.facts.job.key.store_key();
    row.at = i64::try_from(read.facts.at.as_nanosecond()).unwrap_or_default();
    row
}

fn in_the_tables(tables: &mut Tables, texts: [&str; 2], records: Records, entry: &EntryRow) {
    let (Some(key), tenant) = (key(), TenantKey::new(None, "https://graph.example")) else {
        return;
    };
    let mut rows = Rows {
        journal: vec![entry.clone()],
        jobs: vec![JobRow {
            key: key.store_key(),
            version: 1,
            record: fuzz::seal(texts[0]),
            ..JobRow::default()
        }],
        tenants: vec![TenantRow {
            key: tenant.as_str().to_owned(),
            version: 7,
            record: fuzz::seal(texts[1]),
        }],
    };
    let filled = tables.fill(&rows);
    assert!(filled.is_ok(), "{filled:?}");
    // The tables read what the text says; the time of an entry is read with it.
    match (tables.load(&key, &tenant), records) {
        (Ok((job, tenant)), (Ok(job_record), Ok(tenant_record))) => {
            assert_eq!((job.record, job.version.0), (job_record, 1));
            assert_eq!((tenant.record, tenant.version.0), (tenant_record, 7));
        }
        (Err(_), (Err(_), _) | (_, Err(_))) => {}
        (loaded, records) => {
            assert!(loaded.is_err() && records.0.is_err(), "{loaded:?} {records:?}");
        }
    }
    let history = tables.history().map(|entries| entries.into_iter().map(|it| it.facts).collect());
    assert_eq!(history.ok(), fuzz::entry(entry).ok().map(|read| vec![read.facts]));

    // With the ends of its chain as they should be, it verifies if its text is an entry in its place.
    rows.jobs = vec![JobRow {
        key: entry.job.clone(),
        version: 1,
        record: fuzz::seal_job(&JobRecord::default()).unwrap_or_default(),
        entries: 1,
        head: entry.hash.clone(),
        checkpoint: None,
    }];
    let filled = tables.fill(&rows);
    assert!(filled.is_ok(), "{filled:?}");
    let shown = tables.verify();
    assert!(shown.is_ok(), "{shown:?}");
    let whole = shown.is_ok_and(|shown| shown.broken.is_none());
    let is_entry = fuzz::entry(entry).is_ok_and(|read| {
        read.facts.index == 1 && read.facts.at.as_nanosecond() == i128::from(entry.at)
    });
    assert_eq!(whole, is_entry, "{entry:?}");

    // A version that no store counts to, and a record as it stands.
    for job in &mut rows.jobs {
        job.version = -1;
    }
    for tenant in &mut rows.tenants {
        tenant.record = texts[1].to_owned();
    }
    assert!(tables.fill(&rows).is_ok());
    assert!(tables.load(&key, &tenant).is_err());
}

fn key() -> Option<JobKey> {
    Some(JobKey {
        service_principal_id: ServicePrincipalId::parse(SP).ok()?,
        job_id: JobId::parse("Box").ok()?,
    })
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_424_400).unwrap_or(Timestamp::UNIX_EPOCH)
}
