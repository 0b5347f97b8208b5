//! The real guard over a real PostgreSQL that goes away at the worst moments. The judge is the
//! scripted Graph's count of POSTs, and the journal.
#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use startguard::{
    clock::SystemClock,
    decide::{Permit, StartReply},
    guard::{Guard, Request},
    model::{
        Actor, Answer, HistoryQuery, Job, JobKey, JobRef, OutcomeKind, Policy, Reason,
        ScheduleState, ServicePrincipal, ServicePrincipalId, StatusCode, Tick,
    },
    ports::{Clock, Commit, Cost, Graph, GraphError, SpLookup, Store, Told},
    store::PostgresStore,
    testing::ScriptedGraph,
};

use crate::{
    pg::{self, Cut, Proxy, Server, sql, store_within, until, value},
    store_support::{Outcome, both, chain, entry, job, job_change, parts, put, tenant},
};

/// The deadline of stores here: long enough for a busy machine, short enough to wait for.
const DEADLINE: Duration = Duration::from_secs(4);

/// A Graph that lets something happen in the line before the POST.
struct Between {
    graph: Arc<ScriptedGraph>,
    first: AtomicBool,
    happens: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Between").finish_non_exhaustive()
    }
}

#[async_trait]
impl Graph for Between {
    async fn authorize(&self) -> Result<(), GraphError> {
        self.graph.authorize().await
    }
    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        self.graph.job(key, deadline).await
    }
    async fn jobs(&self, sp: &ServicePrincipalId, deadline: Tick) -> Told<Vec<Job>> {
        self.graph.jobs(sp, deadline).await
    }
    async fn find(&self, lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        self.graph.find(lookup, deadline).await
    }
    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        if self.first.swap(false, Ordering::SeqCst) {
            tokio::task::block_in_place(&self.happens);
        }
        self.graph.start(permit).await
    }
}

fn policy() -> Policy {
    let n = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Policy {
        cooldown: Duration::from_secs(600),
        max_starts: n(3),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: n(100),
        lease: Duration::from_secs(60),
        status_max_age: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        needs_consent: Vec::new(),
        auto_reasons: Vec::new(),
    }
}

fn request(key: &JobKey) -> Request {
    Request {
        job: JobRef { key: key.clone(), name: None },
        policy: policy(),
        actor: Actor("alice@ops1".to_owned()),
        accept: Vec::new(),
        reason: None,
        dry_run: false,
        lease_wait: Duration::ZERO,
        wait: None,
    }
}

fn guard_of(store: Arc<PostgresStore>, graph: Arc<dyn Graph>, clock: Arc<dyn Clock>) -> Guard {
    Guard::new(parts(store, graph, clock))
}

/// A guard on a host of its own, over a Graph in which the job is paused.
struct Host {
    graph: Arc<ScriptedGraph>,
    store: Arc<PostgresStore>,
    guard: Guard,
    key: JobKey,
}

impl Host {
    fn new(url: &str) -> Self {
        Self::with_deadline(url, DEADLINE)
    }

    fn with_deadline(url: &str, deadline: Duration) -> Self {
        let graph = Arc::new(ScriptedGraph::new(Arc::new(SystemClock)));
        let key = job("a");
        pause(&graph, &key);
        let store = Arc::new(store_within(url, deadline));
        let guard = guard_of(Arc::clone(&store), graph.clone(), Arc::new(SystemClock));
        Self { graph, store, guard, key }
    }

    async fn start(&self) -> Answer {
        self.guard.start(request(&self.key)).await
    }

    fn posts(&self) -> usize {
        self.graph.posts(&self.key).len()
    }

    /// The kinds of the job's entries, oldest first.
    async fn journal(&self) -> Vec<String> {
        kinds(&*self.store, &self.key).await
    }
}

fn pause(graph: &ScriptedGraph, key: &JobKey) {
    graph.set(key, ScriptedGraph::job(StatusCode::Paused, ScheduleState::Disabled));
}

async fn kinds(store: &dyn Store, key: &JobKey) -> Vec<String> {
    let query = HistoryQuery { job: Some(key.clone()), ..HistoryQuery::default() };
    let entries = store.history(&query).await.expect("a journal");
    entries.iter().rev().map(|entry| entry.facts.kind.to_string()).collect()
}

async fn sound(store: &dyn Store) {
    assert_eq!(store.verify().await.expect("a check").broken, None);
}

fn told(answer: &Answer) -> (OutcomeKind, Option<Reason>) {
    (answer.outcome, answer.reason)
}

const UNAVAILABLE: (OutcomeKind, Option<Reason>) =
    (OutcomeKind::Failed, Some(Reason::StoreUnavailable));

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_before_a_start_costs_no_request_and_comes_back_by_itself() {
    let Some(mut server) = Server::start(&[]) else { return };
    let host = Host::new(&server.url());
    server.stop();
    let answer = host.start().await;
    assert_eq!(told(&answer), UNAVAILABLE, "{answer:?}");
    assert!(answer.message.contains("nobody listens"), "{answer:?}");
    assert!(answer.remedy.is_some_and(|remedy| remedy.contains("start the server")));
    assert_eq!((host.graph.reads(), host.posts()), (0, 0));
    server.launch();
    assert_eq!(host.start().await.outcome, OutcomeKind::Started);
    // Also where connections were in use before.
    server.stop();
    assert_eq!(told(&host.start().await), UNAVAILABLE);
    server.launch();
    assert_eq!(host.start().await.reason, Some(Reason::Cooldown));
    sound(&*host.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_during_the_read_lets_no_post_out() {
    let Some(mut server) = Server::start(&[]) else { return };
    let host = Host::new(&server.url());
    host.graph.close_gate();
    let guard = host.guard.clone();
    let key = host.key.clone();
    let start = tokio::spawn(async move { guard.start(request(&key)).await });
    until("the read", async || host.graph.reads() == 1).await;
    server.crash();
    host.graph.open_gate();
    let answer = start.await.expect("an answer");
    assert_eq!(told(&answer), UNAVAILABLE, "{answer:?}");
    assert_eq!(host.posts(), 0);
    server.launch();
    // The lease stands until it runs out: nobody could give it back.
    let next = host.start().await;
    assert!(matches!(told(&next), (OutcomeKind::Deferred, Some(Reason::LeaseHeld))), "{next:?}");
    assert_eq!(host.posts(), 0);
}

/// Runs a start during which `happens` happens between intent and POST.
async fn start_with(host: &Host, happens: impl Fn() + Send + Sync + 'static) -> Answer {
    let graph = Between {
        graph: Arc::clone(&host.graph),
        first: AtomicBool::new(true),
        happens: Box::new(happens),
    };
    let guard = guard_of(Arc::clone(&host.store), Arc::new(graph), Arc::new(SystemClock));
    guard.start(request(&host.key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_and_comes_back_between_intent_and_post_forgets_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let server = Arc::new(std::sync::Mutex::new(server));
    let host = Host::new(&url);
    let crashing = Arc::clone(&server);
    let answer = start_with(&host, move || {
        let mut server = crashing.lock().expect("unpoisoned");
        server.crash();
        server.launch();
    })
    .await;
    assert_eq!(answer.outcome, OutcomeKind::Started, "{answer:?}");
    assert_eq!((host.posts(), host.graph.violations()), (1, 0));
    assert_eq!(host.journal().await, ["intent", "outcome"]);
    pause(&host.graph, &host.key);
    assert_eq!(Host::new(&url).start().await.reason, Some(Reason::Cooldown));
    sound(&*host.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_a_crash_between_intent_and_post_forgets_nothing_either() {
    if !pg::Bouncer::available() {
        return;
    }
    let Some(server) = Server::start(&[]) else { return };
    let bouncer = pg::Bouncer::before(server.port, 2);
    let url = server.by_port(&server.url(), bouncer.port);
    let server = Arc::new(std::sync::Mutex::new(server));
    let host = Host::new(&url);
    let crashing = Arc::clone(&server);
    let answer = start_with(&host, move || {
        let mut server = crashing.lock().expect("unpoisoned");
        server.crash();
        server.launch();
    })
    .await;
    assert_eq!(answer.outcome, OutcomeKind::Started, "{answer:?}");
    assert_eq!((host.posts(), host.graph.violations()), (1, 0));
    pause(&host.graph, &host.key);
    until("the pooler", async || host.store.load(&host.key, &tenant()).await.is_ok()).await;
    let kinds = host.journal().await;
    assert!(kinds == ["intent", "outcome"] || kinds == ["intent"], "{kinds:?}");
    let again = Host::new(&url).start().await;
    assert_eq!(again.outcome, OutcomeKind::Deferred, "{again:?}");
    assert_eq!(host.posts(), 1);
    sound(&*host.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_after_the_post_leaves_an_intent_that_counts() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let server = Arc::new(std::sync::Mutex::new(server));
    let host = Host::with_deadline(&url, Duration::from_millis(500));
    let crashing = Arc::clone(&server);
    let answer = start_with(&host, move || crashing.lock().expect("unpoisoned").crash()).await;
    // The start went out and worked; that it could not be recorded changes nothing about it.
    assert_eq!(answer.outcome, OutcomeKind::Started, "{answer:?}");
    server.lock().expect("unpoisoned").launch();
    assert_eq!(host.journal().await, ["intent"]);
    pause(&host.graph, &host.key);
    let again = host.start().await;
    assert_eq!(again.outcome, OutcomeKind::Deferred, "{again:?}");
    assert_eq!(host.posts(), 1);
    sound(&*host.store).await;
}

/// Which commits a whole start makes, counted from the first: lease, intent, outcome.
const COMMITS_OF_A_START: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_any_commit_is_made_good_by_looking_what_became_of_it() {
    let Some(server) = Server::start(&[]) else { return };
    let proxy = Proxy::before(server.port).await;
    let warm = server.url();
    put(&store_within(&warm, DEADLINE), job_change(&job("warm"), 0, &[1])).await.expect("well");
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheAnswer] {
        for nth in 0..COMMITS_OF_A_START {
            let url = server.url();
            // The tables are made first, so that the commits counted are those of the start.
            store_within(&url, DEADLINE).prepare().await.expect("tables");
            let host = Host::new(&server.by_port(&url, proxy.port));
            let cuts = proxy.cuts();
            proxy.cut_after(nth, cut);
            let answer = host.start().await;
            assert_eq!(proxy.cuts(), cuts + 1, "{cut:?} {nth}");
            assert_eq!(answer.outcome, OutcomeKind::Started, "{cut:?} {nth}: {answer:?}");
            assert_eq!((host.posts(), host.graph.violations()), (1, 0), "{cut:?} {nth}");
            assert_eq!(host.journal().await, ["intent", "outcome"], "{cut:?} {nth}");
            // The lease was given back: only the cool-down is in the way.
            assert_eq!(host.start().await.reason, Some(Reason::Cooldown), "{cut:?} {nth}");
            sound(&*host.store).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_that_cannot_be_looked_up_is_never_taken_for_granted() {
    let Some(server) = Server::start(&[]) else { return };
    let proxy = Proxy::before(server.port).await;
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheAnswer, Cut::Swallow] {
        // Lease and intent: nothing is granted, so nothing is sent.
        for nth in 0..2 {
            let url = server.url();
            store_within(&url, DEADLINE).prepare().await.expect("tables");
            let host =
                Host::with_deadline(&server.by_port(&url, proxy.port), Duration::from_millis(600));
            proxy.cut_for_good_after(nth, cut);
            let answer = host.start().await;
            assert_eq!(told(&answer), UNAVAILABLE, "{cut:?} {nth}: {answer:?}");
            assert_eq!(host.posts(), 0, "{cut:?} {nth}");
            proxy.open();
            // Whatever was written, the next start understands it, and at most one goes out.
            let next = host.start().await;
            let expected = [OutcomeKind::Started, OutcomeKind::Deferred];
            assert!(expected.contains(&next.outcome), "{cut:?} {nth}: {next:?}");
            assert!(host.posts() <= 1, "{cut:?} {nth}");
            sound(&*host.store).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_in_doubt_is_appended_once_however_often_it_is_tried() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let proxy = Proxy::before(server.port).await;
    let url = server.url();
    let through = store_within(&server.by_port(&url, proxy.port), Duration::from_millis(1_500));
    through.prepare().await?;
    let key = job("a");
    for (round, cut) in (0..).zip([Cut::BeforeTheAnswer, Cut::BeforeTheServer, Cut::Swallow]) {
        let version = through.load(&key, &tenant()).await?.job.version.0;
        proxy.cut_for_good_after(0, cut);
        let change = job_change(&key, version, &[round]);
        assert!(through.commit(change).await.is_err(), "{cut:?}");
        proxy.open();
        // What the guard does after an error: read, apply, write the same entries.
        let version = through.load(&key, &tenant()).await?.job.version.0;
        put(&through, job_change(&key, version, &[round])).await?;
        let notes = through.history(&HistoryQuery::default()).await?;
        let written = notes.iter().filter(|e| e.facts.note == Some(format!("entry {round}")));
        assert_eq!(written.count(), 1, "{cut:?}");
        // Another commit of the same process with other entries is another one.
        put(&through, job_change(&key, version + 1, &[100 + round])).await?;
    }
    sound(&through).await;
    assert_eq!(through.verify().await?.entries, 6);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_by_crashes() {
    let Some(mut server) = Server::start(&[]) else { return };
    let url = server.url();
    let store = Arc::new(store_within(&url, DEADLINE));
    store.prepare().await.expect("tables");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u128)
        .map(|writer| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let key = job(&format!("job-{writer}"));
                let (mut acknowledged, mut number) = (Vec::new(), writer * 1_000_000);
                while !stop.load(Ordering::SeqCst) {
                    let Ok(found) = store.load(&key, &tenant()).await else { continue };
                    number += 1;
                    let mut change = job_change(&key, found.job.version.0, &[]);
                    if let Some(write) = &mut change.job {
                        write.entries = vec![entry(&key, number)];
                    }
                    if let Ok(Commit::Done(_)) = store.commit(change).await {
                        acknowledged.push(format!("entry {number}"));
                    }
                }
                (key, acknowledged)
            })
        })
        .collect();
    for round in 1..=5 {
        let goal = round * 40;
        let counting = store_within(&url, DEADLINE);
        until("some commits", async || {
            counting.verify().await.is_ok_and(|found| found.entries >= goal)
        })
        .await;
        server.crash();
        server.launch();
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        let (key, acknowledged) = writer.await.expect("no panic");
        let query = HistoryQuery { job: Some(key), ..HistoryQuery::default() };
        let entries = store.history(&query).await.expect("a journal");
        let notes: Vec<_> = entries.into_iter().filter_map(|entry| entry.facts.note).collect();
        assert!(!acknowledged.is_empty());
        for note in acknowledged {
            assert_eq!(notes.iter().filter(|found| **found == note).count(), 1, "{note}");
        }
    }
    sound(&*store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_synchronous_standby_has_all_that_was_acknowledged() -> Outcome {
    let Some(mut primary) = Server::start(&["wal_level=replica"]) else { return Ok(()) };
    let url = primary.url();
    let Some(standby) = primary.standby("s1") else { return Ok(()) };
    sql(&url, "ALTER SYSTEM SET synchronous_standby_names = 's1'").await?;
    sql(&url, "SELECT pg_reload_conf()").await?;
    until("the standby", async || {
        value(&url, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").await
            == "1"
    })
    .await;
    let both_hosts = url.replace(
        &format!("127.0.0.1:{}", primary.port),
        &format!("127.0.0.1:{},127.0.0.1:{}", primary.port, standby.port),
    );
    let host = Host::new(&both_hosts);
    assert_eq!(host.start().await.outcome, OutcomeKind::Started);
    let report = host.store.report().await?;
    assert!(report.facts.contains(&("synchronous standbys".to_owned(), "s1".to_owned())));
    primary.crash();
    // Before the promotion nobody takes writes.
    let refused = host.start().await;
    assert_eq!(told(&refused), UNAVAILABLE, "{refused:?}");
    sql(&standby.url_of_database(), "SELECT pg_promote(true, 60)").await?;
    pause(&host.graph, &host.key);
    assert_eq!(host.start().await.reason, Some(Reason::Cooldown), "the start is not forgotten");
    assert_eq!(host.posts(), 1);
    assert_eq!(host.journal().await, ["intent", "outcome"]);
    // Writes go on there.
    let version = host.store.load(&job("b"), &tenant()).await?.job.version.0;
    put(&*host.store, job_change(&job("b"), version, &[1])).await?;
    sound(&*host.store).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_its_standby_does_not_have_is_not_acknowledged() -> Outcome {
    let Some(primary) = Server::start(&["wal_level=replica"]) else { return Ok(()) };
    let url = primary.url();
    let Some(mut standby) = primary.standby("s1") else { return Ok(()) };
    let store = Arc::new(store_within(&url, Duration::from_secs(2)));
    store.prepare().await?;
    put(&*store, job_change(&job("a"), 0, &[1])).await?;
    sql(&url, "ALTER SYSTEM SET synchronous_standby_names = 's1'").await?;
    sql(&url, "SELECT pg_reload_conf()").await?;
    until("the standby", async || {
        value(&url, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").await
            == "1"
    })
    .await;
    standby.stop();
    // Nobody cancels the wait: no answer, which is an error.
    let error = store.commit(job_change(&job("a"), 1, &[2])).await.err().ok_or("granted")?;
    assert!(chain(&error).contains("gave no answer"), "{error:?}");
    // Somebody does: the server then says that it committed, with a warning.
    for sessions in ["pg_cancel_backend(pid)", "pg_terminate_backend(pid)"] {
        let trying = Arc::clone(&store);
        let key = job(sessions);
        let write = tokio::spawn(async move { trying.commit(job_change(&key, 0, &[3])).await });
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%COMMIT'";
        until("the wait", async || {
            value(&url, &format!("SELECT count(*) > 0 {waiting}")).await == "t"
        })
        .await;
        sql(&url, &format!("SELECT {sessions} {waiting}")).await?;
        assert!(write.await?.is_err(), "{sessions}");
    }
    // With its standby back, what was left in doubt is found, and only then acknowledged.
    standby.launch();
    let version = store.load(&job("a"), &tenant()).await?.job.version.0;
    put(&*store, job_change(&job("a"), version, &[2])).await?;
    let query = HistoryQuery { job: Some(job("a")), ..HistoryQuery::default() };
    assert_eq!(store.history(&query).await?.len(), 2);
    sound(&*store).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_passes() -> Outcome {
    let Some(mut server) = Server::start(&["min_wal_size=32MB", "max_wal_size=64MB"]) else {
        return Ok(());
    };
    // A disk of its own for the tables, so that the log of changes still has room.
    let disk = server.folder().join("small");
    std::fs::create_dir(&disk)?;
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m,mode=0777", "none"])
        .arg(&disk)
        .output()?;
    if !mount.status.success() {
        pg::skipped("no small disk: mounting a tmpfs is not permitted here");
        return Ok(());
    }
    let unmount = Unmount(disk.clone());
    let url = server.url();
    let place = disk.join("space");
    std::fs::create_dir(&place)?;
    pg::give(&place);
    sql(&url, &format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await?;
    let store = store_within(&url, DEADLINE);
    store.prepare().await?;
    sql(&url, "ALTER TABLE {s}.journal SET TABLESPACE small").await?;
    let filler = disk.join("filler");
    let full = std::fs::write(&filler, vec![0; 16 << 20]).is_err();
    assert!(full, "the disk is small");
    let key = job("a");
    let (mut version, mut refused) = (0, None);
    // The first page of a table may be there already.
    for number in 1..1_000 {
        match store.commit(job_change(&key, version, &[number])).await {
            Ok(Commit::Done(_)) => version += 1,
            Ok(Commit::Conflict) => return Err("conflict".into()),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.ok_or("never full")?;
    assert!(chain(&refused).contains("its disk is full"), "{refused:?}");
    assert_eq!(store.load(&key, &tenant()).await?.job.version.0, version, "nothing was written");
    std::fs::remove_file(&filler)?;
    put(&store, job_change(&key, version, &[5_000])).await?;
    sound(&store).await;
    server.stop();
    drop(unmount);
    Ok(())
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_whose_clocks_are_an_hour_off_agree_by_the_servers() {
    let Some(url) = pg::shared() else { return };
    let url = pg::in_new_schema(&url);
    let now = SystemClock.wall();
    let hour = Duration::from_secs(3_600);
    let (ahead, behind) = (now + hour, now - hour);
    let key = job("a");
    let start_on = async |wall| {
        let clock = Arc::new(startguard::testing::ManualClock::new(wall));
        let graph = Arc::new(ScriptedGraph::new(clock.clone()));
        pause(&graph, &key);
        let guard = guard_of(Arc::new(store_within(&url, DEADLINE)), graph.clone(), clock);
        let answer = guard.start(request(&key)).await;
        (answer, graph.posts(&key).len())
    };
    let (answer, posts) = start_on(ahead).await;
    assert_eq!((answer.outcome, posts), (OutcomeKind::Started, 1), "{answer:?}");
    for wall in [behind, ahead, now] {
        let (answer, posts) = start_on(wall).await;
        assert_eq!((answer.reason, posts), (Some(Reason::Cooldown), 0), "{answer:?}");
        let left = answer.retry_after_seconds.unwrap_or_default();
        assert!((570..=600).contains(&left), "{left}");
    }
    let store = store_within(&url, DEADLINE);
    let entries = store.history(&HistoryQuery::default()).await.expect("a journal");
    for entry in entries {
        let off = entry.facts.at.duration_since(now).as_secs().abs();
        assert!(off < 60, "the server's time, not the host's: {off} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_an_hour_off_starts_and_is_told_of() {
    let Some(server) = Server::start_in_time("+1h") else { return };
    let host = Host::new(&server.url());
    assert_eq!(host.start().await.outcome, OutcomeKind::Started);
    pause(&host.graph, &host.key);
    let again = host.start().await;
    assert_eq!(again.reason, Some(Reason::Cooldown));
    assert!((570..=600).contains(&again.retry_after_seconds.unwrap_or_default()), "{again:?}");
    let report = host.store.report().await.expect("a report");
    let warned = report
        .findings
        .iter()
        .any(|told| told.problem.contains("59m") || told.problem.contains("1h"));
    assert!(warned, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_costs_three_commits_and_few_round_trips() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let proxy = Proxy::before(server.port).await;
    let url = server.url();
    let direct = store_within(&url, DEADLINE);
    direct.prepare().await?;
    let host = Host::new(&server.by_port(&url, proxy.port));
    // The connection is made first: it is not a part of an ask.
    host.store.load(&host.key, &tenant()).await?;
    proxy.slow_down(Duration::from_millis(100));
    let counts = || (proxy.commits(), proxy.round_trips());
    let spent = |before: (u64, u64)| (proxy.commits() - before.0, proxy.round_trips() - before.1);

    let before = counts();
    assert_eq!(host.start().await.outcome, OutcomeKind::Started);
    let (commits, trips) = spent(before);
    assert_eq!(commits, COMMITS_OF_A_START);
    // Look back (twice, around the token), lease, read again, intent (two), read again, outcome (two).
    assert!(trips <= 9, "{trips} round trips");

    // A refused acquire: one read, no transaction that writes.
    let before = counts();
    assert_eq!(host.start().await.reason, Some(Reason::Cooldown));
    assert_eq!(spent(before), (0, 1));

    // A contended acquire: the read, and the swap that finds someone was first.
    let found = host.store.load(&job("b"), &tenant()).await?;
    put(&direct, job_change(&job("b"), 0, &[])).await?;
    let number = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
    let before = counts();
    let change = job_change(&job("b"), found.job.version.0, &[]);
    assert!(matches!(host.store.commit(change).await?, Commit::Conflict));
    assert_eq!(spent(before).1, 1);
    // Nor does one that lost flush anything: it got no transaction number.
    let started = value(&url, number).await;
    assert!(matches!(host.store.commit(job_change(&job("b"), 5, &[])).await?, Commit::Conflict));
    assert!(matches!(host.store.commit(both(&job("b"), 5, 0, &[9])).await?, Commit::Conflict));
    assert_eq!(value(&url, number).await, started);
    Ok(())
}
