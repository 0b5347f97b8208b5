//! What is particular to the PostgreSQL store: its tables and roles, its messages, its ways in.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails its test")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use startguard::{
    clock::SystemClock,
    model::HistoryQuery,
    ports::{Clock as _, Commit, Store as _},
    store::{Password, PostgresStore},
};

use crate::{
    pg::{self, Proxy, Server, in_new_schema, shared, sql, store, store_with, store_within, value},
    store_support::{Outcome, both, chain, fill, job, job_change, put, tenant},
};

/// The error of a call that must fail, with its causes and its remedy, in one line.
async fn failure(store: &PostgresStore) -> String {
    match store.load(&job("a"), &tenant()).await {
        Ok(found) => panic!("it answered: {found:?}"),
        Err(error) => {
            let told = format!("{}; {}", chain(&error), error.remedy);
            assert!(!told.contains('\n'), "{told}");
            told
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_to_get_in_says_what_to_do() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url_of_database();
    let told = |url: String| async move { failure(&store_within(&url, DEADLINE)).await };
    let nobody = told(url.replace(&server.port.to_string(), &pg::free_port().to_string())).await;
    assert!(nobody.contains("nobody listens there"), "{nobody}");
    assert!(nobody.contains("check host and port"), "{nobody}");
    let database =
        told(url.replace("/postgres", "/nothing").replace("//nothing@", "//postgres@")).await;
    assert!(database.contains("has no such database"), "{database}");
    let role = told(url.replace("postgres@", "nobody@")).await;
    assert!(role.contains("refused the login"), "{role}");
    let name = told(url.replace("127.0.0.1", "no-such-host.invalid") + "?sslmode=disable").await;
    assert!(name.contains("could not be reached"), "{name}");
    let tls = told(format!("{url}?sslmode=require&sslrootcert=/nowhere")).await;
    assert!(tls.contains("/nowhere"), "{tls}");
}

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_taken_from_where_it_should_be_and_never_told() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let url = server.url();
    sql(&url, "CREATE ROLE ann LOGIN SUPERUSER PASSWORD 's3cr3t'").await?;
    server.allow_first("host all ann 127.0.0.1/32 scram-sha-256");
    sql(&url, "SELECT pg_reload_conf()").await?;
    let url = url.replace("postgres@", "ann@");
    let given = |word: &str| Password::Given(word.to_owned().into());
    pg::until("the new rules", async || {
        failure_of(&url, Password::None).await.contains("refused the login")
            || failure_of(&url, Password::None).await.contains("password")
    })
    .await;
    let wrong = failure_of(&url, given("wr0ng")).await;
    assert!(wrong.contains("refused the login") && wrong.contains("PGPASSWORD"), "{wrong}");
    assert!(!wrong.contains("wr0ng"), "{wrong}");
    let right = store_with(&url, given("s3cr3t"), DEADLINE);
    right.load(&job("a"), &tenant()).await?;
    for shown in [format!("{right:?}"), right.describe()] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    // By file, which is read again for every connection.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pgpass");
    let write = |word: &str| {
        std::fs::write(&file, format!("127.0.0.1:*:postgres:ann:{word}\n"))?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
    };
    write("wr0ng")?;
    let by_file = store_with(&url, Password::File(file.clone()), DEADLINE);
    assert!(failure(&by_file).await.contains("refused the login"));
    write("s3cr3t")?;
    by_file.load(&job("a"), &tenant()).await?;
    let by_url = format!("{url}&passfile={}", file.display());
    store_within(&by_url, DEADLINE).load(&job("a"), &tenant()).await?;
    Ok(())
}

async fn failure_of(url: &str, password: Password) -> String {
    let store = store_with(url, password, DEADLINE);
    match store.load(&job("a"), &tenant()).await {
        Ok(_) => String::new(),
        Err(error) => format!("{}; {}", chain(&error), error.remedy),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_make_the_tables_at_once_make_them_once() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let url = in_new_schema(&url);
    let hosts: Vec<_> = (0..16)
        .map(|number| {
            let store = store(&url);
            tokio::spawn(async move {
                let key = job(&format!("job-{number}"));
                store.commit(job_change(&key, 0, &[number])).await
            })
        })
        .collect();
    for host in hosts {
        assert!(matches!(host.await??, Commit::Done(_)));
    }
    let store = store(&url);
    store.prepare().await?;
    assert_eq!(store.verify().await?.entries, 16);
    assert_eq!(value(&url, "SELECT count(*) || ' ' || max(version) FROM {s}.ledger").await, "1 2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_newer_than_this_program_are_refused_and_left_alone() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let url = in_new_schema(&url);
    let before = store(&url);
    put(&before, both(&job("a"), 0, 0, &[1])).await?;
    sql(&url, "UPDATE {s}.ledger SET version = 3").await?;
    let later = store(&url);
    for store in [&before, &later] {
        let told = failure(store).await;
        assert!(told.contains("has schema 3") && told.contains("at least as new"), "{told}");
        // A commit that was decided on before finds nothing that it knows.
        for change in [job_change(&job("a"), 1, &[]), job_change(&job("a"), 1, &[2])] {
            assert!(!matches!(store.commit(change).await, Ok(Commit::Done(_))));
        }
        assert!(store.prepare().await.is_err());
    }
    assert_eq!(value(&url, "SELECT count(*) || ' ' || max(version) FROM {s}.jobs").await, "1 1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_are_refused_and_not_begun_anew() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    for damage in [
        "DROP TABLE {s}.jobs",
        "DROP TABLE {s}.journal",
        "DROP TABLE {s}.ledger",
        "DELETE FROM {s}.ledger",
        "UPDATE {s}.ledger SET version = 0",
        "ALTER TABLE {s}.jobs DROP COLUMN record",
        "ALTER TABLE {s}.jobs ALTER COLUMN version TYPE text",
        "UPDATE {s}.jobs SET record = '{'",
        "UPDATE {s}.jobs SET version = -1",
        "DROP SCHEMA {s} CASCADE",
    ] {
        let url = in_new_schema(&url);
        let open = store(&url);
        put(&open, both(&job("a"), 0, 0, &[1])).await?;
        sql(&url, damage).await?;
        let told = failure(&open).await;
        assert!(told.contains("restore"), "{damage}: {told}");
        // (A record that cannot be read is written over only by who claims to have read it.)
        if !damage.contains("SET record") {
            let written = open.commit(both(&job("a"), 1, 1, &[2])).await;
            assert!(!matches!(written, Ok(Commit::Done(_))), "{damage}");
        }
        if !damage.contains("DROP SCHEMA") {
            // A process that begins now sees the same. (It cannot know of a schema that is gone.)
            assert!(failure(&store(&url)).await.contains("restore"), "{damage}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_tampered_with_shows() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    for (tampering, at, problem) in [
        (
            "UPDATE {s}.journal SET body = replace(body, 'entry 2', 'entry 9') WHERE seq = 2",
            2,
            "text",
        ),
        ("UPDATE {s}.journal SET at = at + 1 WHERE seq = 3", 3, "another time"),
        ("UPDATE {s}.journal SET hash = repeat('0', 64) WHERE seq = 1", 1, "text"),
        ("DELETE FROM {s}.journal WHERE seq = 2", 3, "entry 2 is due"),
        ("DELETE FROM {s}.journal WHERE seq = 4", 3, "last 1 of the job's 4"),
        ("UPDATE {s}.journal SET job = job || 'x' WHERE seq = 4", 3, "last 1"),
        ("UPDATE {s}.jobs SET entries = 2 WHERE entries = 4", 4, "ends otherwise"),
        ("UPDATE {s}.jobs SET head = repeat('0', 64) WHERE entries = 4", 4, "ends otherwise"),
        ("DELETE FROM {s}.jobs WHERE entries = 4", 4, "record"),
    ] {
        let url = in_new_schema(&url);
        let store = store(&url);
        fill(&store, &job("a"), 4).await?;
        fill(&store, &job("b"), 1).await?;
        assert_eq!(store.verify().await?.broken, None);
        sql(&url, tampering).await?;
        let broken = store.verify().await?.broken.ok_or_else(|| tampering.to_owned())?;
        assert!(broken.job.contains("/a"), "{tampering}: {broken:?}");
        assert!(broken.problem.contains(problem), "{tampering}: {broken:?}");
        assert_eq!(broken.seq, at, "{tampering}: {broken:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_a_failed_transaction_took_are_no_sign_of_tampering() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let url = in_new_schema(&url);
    let store = store(&url);
    fill(&store, &job("a"), 2).await?;
    sql(
        &url,
        "BEGIN; INSERT INTO {s}.journal (job, place, at, body, hash) VALUES ('x', 1, 1, '', ''); \
         ROLLBACK",
    )
    .await?;
    fill(&store, &job("a"), 1).await?;
    let seqs: Vec<_> =
        store.history(&HistoryQuery::default()).await?.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [4, 2, 1]);
    assert_eq!(store.verify().await?.broken, None);
    Ok(())
}

/// The blocks of SQL in docs/stores.md, in order.
fn documented_sql() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/stores.md");
    let page = std::fs::read_to_string(path).expect("the page");
    page.split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_the_documentation_can_do_their_work_and_no_more() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let admin = server.url_of_database();
    for block in documented_sql() {
        sql(&admin, &block).await?;
    }
    let as_role = |role: &str| admin.replace("postgres@", &format!("{role}@"));
    let daily = store(&as_role("startguard"));
    put(&daily, both(&job("a"), 0, 0, &[1])).await?;
    put(&daily, job_change(&job("a"), 1, &[])).await?;
    put(&daily, both(&job("a"), 2, 1, &[2, 3])).await?;
    daily.prepare().await?;
    assert_eq!(daily.verify().await?.entries, 3);
    let report = daily.report().await?;
    assert!(report.findings.is_empty(), "{report:?}");
    // Nor can it prune, which another role can, and nothing else. (What is old is told by the time
    // of the newest entry; these were written milliseconds apart.)
    let error = daily.prune(std::time::Duration::ZERO, 100).await.err().ok_or("pruned")?;
    assert!(error.remedy.contains("store prune"), "{error:?}");
    let pruner = store(&as_role("startguard_pruner"));
    assert_eq!(pruner.prune(std::time::Duration::ZERO, 100).await?.entries, 1);
    assert_eq!(daily.verify().await?.pruned, 1);
    for forbidden in [
        "UPDATE startguard.jobs SET record = ''",
        "UPDATE startguard.journal SET at = 0",
        "INSERT INTO startguard.tenants VALUES ('x', 1, '')",
        "UPDATE startguard.ledger SET version = 9",
    ] {
        let refused = sql(&as_role("startguard_pruner"), forbidden).await;
        assert!(refused.is_err_and(|said| said.contains("permission denied")), "{forbidden}");
    }
    // The journal can be added to, and that is all.
    for forbidden in [
        "UPDATE startguard.journal SET at = 0",
        "DELETE FROM startguard.journal",
        "TRUNCATE startguard.journal",
        "DELETE FROM startguard.jobs",
        "UPDATE startguard.ledger SET version = 9",
        "DROP TABLE startguard.tenants",
        "CREATE TABLE startguard.x ()",
    ] {
        let error = sql(&as_role("startguard"), forbidden).await.err();
        let error = error.ok_or_else(|| forbidden.to_owned())?;
        assert!(error.contains("42501"), "{forbidden}: {error}");
    }
    let reader = store(&as_role("startguard_reader"));
    assert_eq!(reader.verify().await?.entries, 2);
    assert_eq!(reader.load(&job("a"), &tenant()).await?.job.version.0, 3);
    for change in [job_change(&job("a"), 3, &[]), job_change(&job("a"), 3, &[4])] {
        let error = reader.commit(change).await.err().ok_or("a reader wrote")?;
        assert!(chain(&error).contains("does not let this role do that"), "{error:?}");
        assert!(error.remedy.contains("docs/stores.md"));
    }
    // The tables of the documentation are those that the program makes.
    let columns = "SELECT table_name, column_name, data_type, is_nullable, collation_name, \
                   is_identity FROM information_schema.columns WHERE table_schema = '{s}' \
                   ORDER BY 1, ordinal_position";
    let indexes = "SELECT replace(indexdef, '{s}', '') FROM pg_indexes WHERE schemaname = '{s}' \
                   ORDER BY 1";
    let made = server.url();
    store(&made).prepare().await?;
    for query in [columns, indexes] {
        assert_eq!(sql(&admin, query).await?, sql(&made, query).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_make_the_tables_is_told_who_should() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let admin = server.url_of_database();
    sql(&admin, "CREATE ROLE startguard LOGIN").await?;
    let store = store(&admin.replace("postgres@", "startguard@"));
    // Reading what is not there yet is no error.
    assert_eq!(store.load(&job("a"), &tenant()).await?.job.version.0, 0);
    let error = store.commit(job_change(&job("a"), 0, &[1])).await.err().ok_or("made")?;
    assert!(chain(&error).contains("this role may not make them"), "{error:?}");
    assert!(error.remedy.contains("docs/stores.md"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_session_keeps_locked_is_waited_for_and_named() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let url = in_new_schema(&url);
    let store = store_within(&url, Duration::from_secs(2));
    put(&store, both(&job("a"), 0, 0, &[1])).await?;
    let (schema, base) = pg::parts(&url);
    let (client, connection) = tokio_postgres::connect(&base, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute(&format!("BEGIN; SELECT FROM {schema}.jobs FOR UPDATE")).await?;
    let clock = SystemClock;
    for change in [job_change(&job("a"), 1, &[2]), job_change(&job("a"), 1, &[])] {
        let began = clock.tick();
        let error = store.commit(change).await.err().ok_or("written")?;
        assert!(chain(&error).contains("locked for another session"), "{error:?}");
        assert!(began.until(clock.tick()) < Duration::from_secs(4));
    }
    // Reading waits for nobody.
    assert_eq!(store.load(&job("a"), &tenant()).await?.job.version.0, 1);
    client.batch_execute("ROLLBACK").await?;
    put(&store, both(&job("a"), 1, 1, &[2])).await?;
    assert_eq!(store.verify().await?.entries, 2);
    drop(client);
    drop(driver.await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up_on_in_time() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let store = store_within(&url, Duration::from_secs(1));
    store.prepare().await.expect("tables");
    server.signal(rustix::process::Signal::STOP);
    // The connection that rests still works; a new one is accepted by the kernel and never greeted.
    let another = store_within(&url, Duration::from_secs(1));
    let clock = SystemClock;
    let began = clock.tick();
    let told = failure(&another).await;
    assert!(told.contains("said nothing") || told.contains("gave no answer"), "{told}");
    assert!(began.until(clock.tick()) < Duration::from_secs(5));
    server.signal(rustix::process::Signal::CONT);
    pg::until("the server", async || another.load(&job("a"), &tenant()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_server_and_the_role_change_nothing_that_was_promised() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let admin = server.url_of_database();
    let url = server.url();
    sql(
        &admin,
        "CREATE ROLE odd LOGIN SUPERUSER; ALTER ROLE odd SET synchronous_commit = off; \
         ALTER ROLE odd SET default_transaction_isolation = 'serializable'; \
         ALTER ROLE odd SET statement_timeout = '1ms'; ALTER ROLE odd SET lock_timeout = '1ms'; \
         ALTER ROLE odd SET standard_conforming_strings = off; \
         ALTER ROLE odd SET search_path = 'information_schema'; \
         ALTER ROLE odd SET timezone = 'Asia/Kathmandu'; ALTER ROLE odd SET datestyle = 'SQL, DMY'",
    )
    .await?;
    store(&url).prepare().await?;
    // What a transaction was committed with is seen by what it was told inside.
    sql(
        &url,
        "CREATE TABLE {s}.seen (how text); \
         CREATE FUNCTION {s}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO \
         {s}.seen VALUES (current_setting('synchronous_commit') || ' ' || \
         current_setting('transaction_isolation')); RETURN NEW; END $$; \
         CREATE TRIGGER see AFTER UPDATE OR INSERT ON {s}.jobs FOR EACH ROW \
         EXECUTE FUNCTION {s}.see()",
    )
    .await?;
    let odd = store(&url.replace("postgres@", "odd@"));
    sql(&admin, "ALTER ROLE odd SET statement_timeout = '10s'").await?;
    put(&odd, both(&job("a"), 0, 0, &[1])).await?;
    put(&odd, job_change(&job("a"), 1, &[])).await?;
    assert_eq!(odd.load(&job("a"), &tenant()).await?.job.version.0, 2);
    let seen = sql(&url, "SELECT DISTINCT how FROM {s}.seen").await?;
    assert_eq!(seen, [["on read committed"]]);
    // Stronger stays stronger.
    sql(&admin, "ALTER ROLE odd SET synchronous_commit = remote_apply").await?;
    let odd = store(&url.replace("postgres@", "odd@"));
    put(&odd, job_change(&job("a"), 2, &[])).await?;
    let seen = sql(&url, "SELECT how FROM {s}.seen WHERE how LIKE 'remote%'").await?;
    assert_eq!(seen, [["remote_apply read committed"]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_warns_of_what_forgets_starts() -> Outcome {
    let careless = ["fsync=off", "full_page_writes=off", "wal_level=replica"];
    let Some(server) = Server::start(&careless) else { return Ok(()) };
    let url = server.url();
    let store = store(&url);
    let empty = store.report().await?;
    assert!(empty.facts.iter().any(|(name, what)| name == "tables" && what.contains("not there")));
    put(&store, job_change(&job("a"), 0, &[1])).await?;
    let Some(standby) = server.standby("s1") else { return Ok(()) };
    pg::until("the standby", async || {
        value(&url, "SELECT count(*) FROM pg_stat_replication").await == "1"
    })
    .await;
    let report = store.report().await?;
    for warning in ["fsync is off", "full_page_writes is off", "asynchronous", "superuser"] {
        assert!(
            report.findings.iter().any(|told| told.to_string().contains(warning)),
            "{warning}: {report:?}"
        );
    }
    for (name, what) in [("role of the server", "primary"), ("schema", "2"), ("entries", "1")] {
        let fact = (name.to_owned(), what.to_owned());
        assert!(report.facts.contains(&fact), "{report:?}");
    }
    // A standby can be read from; it takes no writes and says so.
    let there = store_within(&server.by_port(&url, standby.port), DEADLINE);
    // Nothing undoes what the wait is for, so one look that finds it is enough.
    pg::until("the standby's copy", async || there.report().await.is_ok()).await;
    let report = there.report().await?;
    assert!(
        report.findings.iter().any(|told| told.to_string().contains("takes no writes")),
        "{report:?}"
    );
    let error = there.commit(job_change(&job("b"), 0, &[1])).await.err().ok_or("written")?;
    assert!(chain(&error).contains("takes no writes"), "{error:?}");
    sql(&url, "ALTER TABLE {s}.jobs SET UNLOGGED").await?;
    let report = store.report().await?;
    assert!(report.findings.iter().any(|told| told.to_string().contains("unlogged")), "{report:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_few_and_given_back() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let url = server.url();
    let store = Arc::new(store(&url));
    store.prepare().await?;
    let crowd: Vec<_> = (0..64_u128)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = job(&format!("job-{number}"));
                store.commit(job_change(&key, 0, &[number])).await
            })
        })
        .collect();
    for one in crowd {
        assert!(matches!(one.await??, Commit::Done(_)));
    }
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'startguard'";
    let held: u32 = value(&url, count).await.parse()?;
    assert!((1..=4).contains(&held), "{held}");
    // A caller that leaves in the midst of a commit leaves no transaction behind.
    let (schema, base) = pg::parts(&url);
    let (client, connection) = tokio_postgres::connect(&base, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute(&format!("BEGIN; SELECT FROM {schema}.jobs FOR UPDATE")).await?;
    for number in 0..8_u128 {
        let change = job_change(&job("job-1"), 1, &[1_000 + number]);
        let leaving = tokio::time::timeout(Duration::from_millis(50), store.commit(change));
        assert!(leaving.await.is_err());
    }
    client.batch_execute("ROLLBACK").await?;
    drop(client);
    drop(driver.await?);
    put(&*store, job_change(&job("job-2"), 1, &[2_000])).await?;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'startguard' AND \
                xact_start IS NOT NULL";
    pg::until("quiet", async || value(&url, open).await == "0").await;
    drop(store);
    pg::until("nobody", async || value(&url, count).await == "0").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_connection_to_spare_is_asked_again() -> Outcome {
    let few = ["max_connections=6", "superuser_reserved_connections=0", "max_wal_senders=0"];
    let Some(server) = Server::start(&few) else { return Ok(()) };
    let url = server.url();
    store(&url).prepare().await?;
    // A dozen processes with a connection each.
    let crowd: Vec<_> = (0..12_u128)
        .map(|number| {
            let url = url.clone();
            tokio::spawn(async move {
                let store = store(&url);
                let key = job(&format!("job-{number}"));
                store.commit(job_change(&key, 0, &[number])).await
            })
        })
        .collect();
    for one in crowd {
        assert!(matches!(one.await??, Commit::Done(_)));
    }
    assert_eq!(store(&url).verify().await?.entries, 12);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_was_closed_is_found_again() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let port = pg::port_of(&url);
    let proxy = Proxy::before(port).await;
    let url = in_new_schema(&url.replace(&port.to_string(), &proxy.port.to_string()));
    let store = store_within(&url, DEADLINE);
    for number in 0..5_u64 {
        put(&store, job_change(&job("a"), number, &[number.into()])).await?;
        proxy.close();
        assert!(store.load(&job("a"), &tenant()).await.is_err());
        proxy.open();
    }
    assert_eq!(store.verify().await?.entries, 5);
    Ok(())
}

/// An authority, and a certificate of its for a name.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Result<Self, Box<dyn std::error::Error>> {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let folder = tempfile::Builder::new().prefix("sg-tls-").tempdir()?;
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let mut of_authority = CertificateParams::new(Vec::new())?;
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        std::fs::write(folder.path().join("ca.pem"), of_authority.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(of_authority, key);
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &issuer)?;
        let secret = folder.path().join("key.pem");
        std::fs::write(folder.path().join("cert.pem"), certificate.pem())?;
        std::fs::write(&secret, key.serialize_pem())?;
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        pg::give(&secret);
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_whom_it_should() -> Outcome {
    let (ours, theirs) = (Authority::new("localhost")?, Authority::new("localhost")?);
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", ours.path("cert.pem")),
        format!("ssl_key_file={}", ours.path("key.pem")),
    ];
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let Some(server) = Server::start(&settings) else { return Ok(()) };
    let by_name = server.url().replace("127.0.0.1", "localhost");
    let by_address = server.url();
    let (ca, other) = (ours.path("ca.pem"), theirs.path("ca.pem"));
    let with = |url: &str, mode: &str, ca: &str| format!("{url}&sslmode={mode}&sslrootcert={ca}");
    let good = [
        with(&by_name, "verify-full", &ca),
        with(&by_name, "require", &ca),
        with(&by_name, "verify-ca", &ca),
        with(&by_address, "verify-ca", &ca),
    ];
    for url in good {
        let report = store_within(&url, DEADLINE).report().await?;
        assert!(report.facts.contains(&("encrypted".to_owned(), "yes".to_owned())), "{report:?}");
    }
    let bad = [
        with(&by_address, "verify-full", &ca),
        with(&by_address, "require", &ca),
        with(&by_name, "verify-full", &other),
        with(&by_name, "require", &other),
        with(&by_name, "verify-ca", &other),
    ];
    for url in bad {
        let told = failure(&store_within(&url, DEADLINE)).await;
        assert!(told.contains("could not prove who it is"), "{url}: {told}");
    }
    // The machine's certificates are asked for where the URL names none.
    let told = failure(&store_within(&format!("{by_name}&sslmode=verify-full"), DEADLINE)).await;
    assert!(told.contains("TLS is not expected here"), "{told}");
    let plain = store_within(&by_address, DEADLINE).report().await?;
    assert!(plain.facts.contains(&("encrypted".to_owned(), "no".to_owned())), "{plain:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_spoken_to_where_tls_was_asked_for() -> Outcome {
    let Some(url) = shared() else { return Ok(()) };
    let ours = Authority::new("localhost")?;
    let url = format!("{url}?sslmode=require&sslrootcert={}", ours.path("ca.pem"));
    let told = failure(&store_within(&url, DEADLINE)).await;
    assert!(told.contains("offers no TLS") && told.contains("ssl = on"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_the_file_system_is_a_way_in() -> Outcome {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let url = format!(
        "postgres://postgres@/postgres?host={}&port={}",
        server.folder().display(),
        server.port
    );
    let store = store_within(&url, DEADLINE);
    put(&store, both(&job("a"), 0, 0, &[1])).await?;
    assert_eq!(store.verify().await?.entries, 1);
    Ok(())
}
