//! Acquire, decide, release over PostgreSQL, against `pgbench` upserting a bare row: the same
//! server, in turns, at 16 clients each. And what an acquire and a whole start cost, counted.
//!
//! `tests/bench/postgres` runs it. Ratios are what counts; the machine is shared.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: it reads the clock, prints figures, and fails loudly"
)]

use std::{
    num::NonZeroU32,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use startguard::{
    clock::SystemClock,
    decide::{self, Ask, Decision, View},
    entropy::SystemEntropy,
    guard::{Guard, PaceSettings, Parts, Request},
    model::{
        Actor, AttemptId, EntryKind, Job, JobId, JobKey, JobRef, NewEntry, Observation,
        OutcomeKind, Policy, ScheduleState, ServicePrincipalId, StatusCode, TenantKey,
    },
    ports::{Change, Clock as _, Commit, JobWrite, Snapshot, Store as _, Version},
    store::{Password, PostgresStore},
    testing::{FaultyStore, ScriptedGraph},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Clients of each side, as the target names them.
const CLIENTS: usize = 16;

/// How long each side runs in one round: long enough that connecting does not show.
const ROUND: Duration = Duration::from_secs(3);

/// Rounds, unless the environment says otherwise.
const ROUNDS: usize = 5;

/// The bare upsert: what the same server does at best for a write that is durable.
const UPSERT: &str = "\\set key random(1, 1000)
INSERT INTO bare (key, n) VALUES (:key, 1) ON CONFLICT (key) DO UPDATE SET n = bare.n + 1;
";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let Ok(server) = std::env::var("STARTGUARD_TEST_POSTGRES") else {
        println!("no server: run it by `tests/bench/postgres`");
        return;
    };
    let rounds = std::env::var("STARTGUARD_BENCH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let bench = Bench::set(&server).await;
    bench.count().await;
    println!("{rounds} rounds of {} s, {CLIENTS} clients; per second, median", ROUND.as_secs());
    let mut bare = Vec::new();
    let mut ours = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        bare.push(bench.pgbench());
        for (rates, (_, stores, release)) in ours.iter_mut().zip(bench.sides()) {
            rates.push(bench.cycles(stores, release).await);
        }
    }
    println!("{:48}{:8.0}", "pgbench, one upsert", median(&bare));
    for (rates, (name, _, _)) in ours.iter().zip(bench.sides()) {
        let ratios: Vec<f64> = rates.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
        println!("{name:48}{:8.0}   ratio {:.2}", median(rates), median(&ratios));
    }
}

/// What is written when the lease is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Silent,
    Journalled,
}

struct Bench {
    server: String,
    url: String,
    /// As many processes would: a store of its own each, and so a connection of its own.
    stores: Vec<Arc<PostgresStore>>,
    /// The same with `prepare=on`.
    prepared: Vec<Arc<PostgresStore>>,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn set(server: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("upsert.sql"), UPSERT).expect("written");
        let (client, connection) =
            tokio_postgres::connect(server, tokio_postgres::NoTls).await.expect("a connection");
        let driver = tokio::spawn(connection);
        client
            .batch_execute("CREATE TABLE bare (key bigint PRIMARY KEY, n bigint NOT NULL)")
            .await
            .expect("a table");
        drop(client);
        driver.await.expect("it ends").expect("a connection");
        let url = format!("{server}?schema=bench");
        let stores = |url: &str| (0..CLIENTS).map(|_| Arc::new(store(url))).collect::<Vec<_>>();
        let (prepared, stores) = (stores(&format!("{url}&prepare=on")), stores(&url));
        stores[0].prepare().await.expect("tables");
        Self { server: server.to_owned(), url, stores, prepared, folder }
    }

    fn sides(&self) -> [(&'static str, &[Arc<PostgresStore>], Release); 4] {
        [
            ("acquire, decide, release; prepare=on", &self.prepared, Release::Silent),
            ("  and a journal entry", &self.prepared, Release::Journalled),
            ("acquire, decide, release; prepare=off", &self.stores, Release::Silent),
            ("  and a journal entry", &self.stores, Release::Journalled),
        ]
    }

    /// Upserts per second.
    fn pgbench(&self) -> f64 {
        let programs = std::env::var("STARTGUARD_TEST_POSTGRES_BIN").expect("a folder");
        let output = Command::new(Path::new(&programs).join("pgbench"))
            .args(["--no-vacuum", "--jobs=2", "--file"])
            .arg(self.folder.path().join("upsert.sql"))
            .args([format!("--client={CLIENTS}"), format!("--time={}", ROUND.as_secs())])
            .arg(&self.server)
            .output()
            .expect("pgbench runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
            .expect("a rate")
    }

    /// Cycles per second.
    async fn cycles(&self, stores: &[Arc<PostgresStore>], release: Release) -> f64 {
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let clients: Vec<_> = (0..)
            .zip(stores)
            .map(|(number, store)| {
                let (store, stop) = (Arc::clone(store), Arc::clone(&stop));
                tokio::spawn(async move {
                    let key = key(&format!("job-{number}"));
                    let mut done = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        cycle(&store, &key, release).await;
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        // What is measured is how much is done in this time.
        tokio::time::sleep(ROUND).await;
        stop.store(true, Ordering::Relaxed);
        let mut done = 0_u32;
        for client in clients {
            done += client.await.expect("a client");
        }
        f64::from(done) / began.elapsed().as_secs_f64()
    }

    /// Round trips and commits, each on a connection that is there already.
    async fn count(&self) {
        let (proxy, trips) = count_trips(&self.server).await;
        let url = self.url.replace(&port_of(&self.server), &proxy);
        let store = Arc::new(store(&url));
        let job = key("counted");
        load(&store, &job).await;

        trips.store(0, Ordering::SeqCst);
        let stale = load(&store, &job).await;
        let free = Ask { key: job.clone(), ..ask(1) };
        assert!(acquire(&store, &stale, &free).await, "free");
        println!("round trips of an uncontended acquire    {}", trips.swap(0, Ordering::SeqCst));

        let rival = Ask { key: job.clone(), ..ask(2) };
        let held = load(&store, &job).await;
        assert!(decide::acquire(&policy(), view(&held), &rival).is_err(), "held");
        println!("round trips of an acquire that is refused {}", trips.swap(0, Ordering::SeqCst));

        assert!(!acquire(&store, &stale, &rival).await, "somebody was first");
        println!(
            "round trips of an acquire that loses a race {} (read) + {} (commit)",
            1,
            trips.swap(0, Ordering::SeqCst)
        );

        let alone = starts_of_one_tenant(&[store]).await;
        println!("an uncontended start: {alone}, {} round trips", trips.load(Ordering::SeqCst));
        for crowd in [5, CLIENTS] {
            let cost = starts_of_one_tenant(&self.stores[..crowd]).await;
            println!("a start among {crowd} of one tenant at once: {cost}");
        }
    }
}

/// Starts a job of its own over each store, all at once; what each start cost on average.
async fn starts_of_one_tenant(stores: &[Arc<PostgresStore>]) -> String {
    let starts: Vec<_> = (0..)
        .zip(stores)
        .map(|(number, store)| {
            let clock = Arc::new(SystemClock);
            let graph = Arc::new(ScriptedGraph::new(clock.clone()));
            let job = key(&format!("start-{number}-of-{}", stores.len()));
            graph.set(&job, ScriptedGraph::job(StatusCode::Paused, ScheduleState::Disabled));
            let counted = Arc::new(FaultyStore::new(store.clone(), clock.clone()));
            let plenty = NonZeroU32::new(1_000).expect("not zero");
            let guard = Guard::new(Parts {
                store: counted.clone(),
                graph,
                clock,
                entropy: Arc::new(SystemEntropy),
                tenant: tenant(),
                pace: PaceSettings {
                    requests_per_second: plenty,
                    burst: plenty,
                    patience: Duration::ZERO,
                },
                process: "bench".to_owned(),
                stop: CancellationToken::new(),
            });
            tokio::spawn(async move {
                let answer = guard.start(request(&job)).await;
                assert_eq!(answer.outcome, OutcomeKind::Started, "{answer:?}");
                (counted.commits(), counted.calls())
            })
        })
        .collect();
    let (mut commits, mut calls) = (0_u32, 0_u32);
    for start in starts {
        let (more_commits, more_calls) = start.await.expect("a start");
        commits += more_commits;
        calls += more_calls;
    }
    let each = |count| f64::from(count) / stores.len() as f64;
    format!("{:.1} commits asked for, {:.1} calls of the store", each(commits), each(calls))
}

/// One cycle: read, take the lease, read, decide, give the lease back. The guard's own functions.
async fn cycle(store: &PostgresStore, key: &JobKey, release: Release) {
    let ask = Ask { key: key.clone(), ..ask(uuid::Uuid::new_v4().as_u128()) };
    let before = load(store, key).await;
    assert!(acquire(store, &before, &ask).await, "nobody else asks for it");
    let held = load(store, key).await;
    let (clock, policy) = (SystemClock, policy());
    let observation = Observation::of(&running(), clock.wall(), clock.tick());
    let token = held.job.record.token;
    let decision = decide::start(&policy, view(&held), &ask, token, &observation, clock.tick());
    assert!(matches!(decision, Decision::Nothing), "{decision:?}");
    let record = decide::record_outcome(held.job.record.clone(), ask.attempt, None);
    let entries = match release {
        Release::Silent => Vec::new(),
        Release::Journalled => vec![entry(&ask)],
    };
    let written = write(store, key, held.job.version, record, entries).await;
    assert!(written, "nobody else writes");
}

async fn acquire(store: &PostgresStore, snapshot: &Snapshot, ask: &Ask) -> bool {
    let grant = decide::acquire(&policy(), view(snapshot), ask).expect("free");
    write(store, &ask.key, snapshot.job.version, grant.record, Vec::new()).await
}

async fn write(
    store: &PostgresStore,
    key: &JobKey,
    expected: Version,
    record: startguard::model::JobRecord,
    entries: Vec<NewEntry>,
) -> bool {
    let job = JobWrite { key: key.clone(), expected, record, entries };
    match store.commit(Change { job: Some(job), tenant: None }).await.expect("an answer") {
        Commit::Done(_) => true,
        Commit::Conflict => false,
    }
}

async fn load(store: &PostgresStore, key: &JobKey) -> Snapshot {
    store.load(key, &tenant()).await.expect("a snapshot")
}

fn view(snapshot: &Snapshot) -> View<'_> {
    View {
        job: &snapshot.job.record,
        tenant: &snapshot.tenant.record,
        as_of: &snapshot.as_of,
        latest_entry: snapshot.latest_entry,
    }
}

fn store(url: &str) -> PostgresStore {
    let trust = || Err("TLS is not expected here".into());
    PostgresStore::new(url, Password::None, trust, Arc::new(SystemClock), Duration::from_secs(30))
        .expect("a good URL")
}

fn key(job: &str) -> JobKey {
    let sp = ServicePrincipalId::parse("8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b").expect("a GUID");
    JobKey { service_principal_id: sp, job_id: JobId::parse(job).expect("a job id") }
}

fn tenant() -> TenantKey {
    TenantKey::new(None, "https://graph.microsoft.com")
}

fn ask(attempt: u128) -> Ask {
    Ask {
        key: key("a"),
        attempt: AttemptId(uuid::Uuid::from_u128(attempt)),
        actor: Actor("bench@localhost".to_owned()),
        holder: "bench@localhost (pid 1)".to_owned(),
        accept: Vec::new(),
    }
}

fn entry(ask: &Ask) -> NewEntry {
    NewEntry {
        attempt: Some(ask.attempt),
        job: JobRef { key: ask.key.clone(), name: None },
        kind: EntryKind::Decision,
        actor: ask.actor.clone(),
        observed: None,
        outcome: Some(OutcomeKind::AlreadyRunning),
        reason: None,
        note: None,
        token: None,
        request_ids: Vec::new(),
    }
}

fn running() -> Job {
    ScriptedGraph::job(StatusCode::Active, ScheduleState::Active)
}

fn policy() -> Policy {
    let n = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Policy {
        cooldown: Duration::from_secs(600),
        max_starts: n(3),
        window: Duration::from_secs(86_400),
        tenant_starts_per_minute: n(1_000),
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
        actor: Actor("bench@localhost".to_owned()),
        accept: Vec::new(),
        reason: None,
        dry_run: false,
        lease_wait: Duration::ZERO,
        wait: None,
    }
}

fn port_of(url: &str) -> String {
    url.split(':').nth(2).and_then(|rest| rest.split('/').next()).expect("a port").to_owned()
}

/// A way to the server that counts how often the client speaks after the server did.
async fn count_trips(server: &str) -> (String, Arc<AtomicU64>) {
    let to: u16 = port_of(server).parse().expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let trips = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&trips);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, to, Arc::clone(&counter)));
        }
    });
    (port.to_string(), trips)
}

async fn pass(mut client: TcpStream, to: u16, trips: Arc<AtomicU64>) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
    client.set_nodelay(true).and(server.set_nodelay(true)).ok()?;
    let (mut up, mut down) = (vec![0_u8; 65_536], vec![0_u8; 65_536]);
    let mut answered = true;
    loop {
        tokio::select! {
            asked = client.read(&mut up) => {
                let asked = asked.ok().filter(|bytes| *bytes > 0)?;
                trips.fetch_add(u64::from(std::mem::take(&mut answered)), Ordering::SeqCst);
                server.write_all(&up[..asked]).await.ok()?;
            }
            told = server.read(&mut down) => {
                let told = told.ok().filter(|bytes| *bytes > 0)?;
                answered = true;
                client.write_all(&down[..told]).await.ok()?;
            }
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
