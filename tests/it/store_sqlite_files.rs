//! The ledger as a file: how it is made, and what is refused instead of being begun anew.

#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails its test")]
#![expect(clippy::print_stdout, reason = "what a child tells its parent")]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rusqlite::Connection;
use startguard::{
    clock::SystemClock,
    model::{HistoryQuery, Verification},
    ports::{Store as _, StoreError},
    store::SqliteStore,
};

use crate::store_support::{
    Outcome, as_child, chain, child_args, fill, job, job_change, put, sqlite, tenant, this_binary,
    told,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A ledger with five entries, closed.
async fn ledger(path: &Path) -> Outcome {
    fill(&sqlite(path), &job("a"), 5).await?;
    closed(path);
    Ok(())
}

/// Waits until a store that was dropped has put everything into its file: its thread does so, and
/// nobody waits for that thread.
fn closed(path: &Path) {
    while beside(path, "-wal").exists() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_new_ledger_and_its_folder_are_the_owners_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state/startguard/ledger.db");
    let store = sqlite(&path);
    // Reading makes nothing.
    assert_eq!(store.load(&job("a"), &tenant()).await?.job.version.0, 0);
    assert!(!folder.path().join("state").exists());
    put(&store, job_change(&job("a"), 0, &[1])).await?;
    for made in ["state", "state/startguard"] {
        assert_eq!(mode(&folder.path().join(made)), 0o700, "{made}");
    }
    for suffix in ["", "-wal", "-shm", "-turn", "-next"] {
        assert_eq!(mode(&beside(&path, suffix)), 0o600, "ledger.db{suffix}");
    }
    let mut left = names_in(&folder.path().join("state/startguard"));
    left.retain(|name| !name.starts_with("ledger.db"));
    assert!(left.is_empty(), "drafts are left: {left:?}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_there_is_left_as_it_is() -> Outcome {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    fs::create_dir(&state)?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755))?;
    put(&sqlite(&state.join("ledger.db")), job_change(&job("a"), 0, &[1])).await?;
    assert_eq!(mode(&state), 0o755);
    Ok(())
}

#[tokio::test]
async fn a_commit_is_in_the_log_and_on_the_disk_before_it_is_answered() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    let store = sqlite(&path);
    put(&store, job_change(&job("a"), 0, &[1])).await?;
    let report = store.report().await?;
    for (name, value) in [("journal mode", "wal"), ("synchronous", "full"), ("integrity", "ok")] {
        let fact = (name.to_owned(), value.to_owned());
        assert!(report.facts.contains(&fact), "{name}: {report:?}");
    }
    assert!(report.findings.is_empty(), "{report:?}");
    // A copy of file and log, taken while the store is open, as a crash would leave them.
    let crashed = folder.path().join("crashed.db");
    fs::copy(&path, &crashed)?;
    fs::copy(beside(&path, "-wal"), beside(&crashed, "-wal"))?;
    assert_eq!(sqlite(&crashed).load(&job("a"), &tenant()).await?.job.version.0, 1);
    // The mode is the file's own: whoever opens it next finds it in WAL.
    let mode: String =
        Connection::open(&path)?.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    assert_eq!(mode, "wal");
    Ok(())
}

#[tokio::test]
async fn doctor_hears_that_a_ledger_cannot_be_written() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    ledger(&path).await?;
    // Another program holds the write lock and does not let go.
    let other = Connection::open(&path)?;
    other.execute_batch("BEGIN IMMEDIATE")?;
    let store =
        SqliteStore::new(&path, std::sync::Arc::new(SystemClock), Duration::from_millis(300));
    let error = store.report().await.expect_err("no start could be recorded");
    assert!(error.remedy.contains("fuser"), "{error:?}");
    other.execute_batch("ROLLBACK")?;
    assert!(store.report().await.is_ok());
    let below_a_file = SqliteStore::new(
        &path.join("ledger.db"),
        std::sync::Arc::new(SystemClock),
        Duration::from_secs(5),
    );
    assert!(below_a_file.report().await.is_err(), "the first start could not make it");
    Ok(())
}

#[tokio::test]
async fn doctor_hears_of_files_that_others_may_touch() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    ledger(&path).await?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let warnings = sqlite(&path).report().await?.findings;
    assert!(warnings.iter().any(|w| w.to_string().contains("chmod 600")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.to_string().contains("chmod go-w")), "{warnings:?}");
    Ok(())
}

/// Every way to ask a store for something.
async fn every_call(path: &Path) -> Vec<(&'static str, Option<StoreError>)> {
    let store = SqliteStore::new(path, std::sync::Arc::new(SystemClock), Duration::from_secs(5));
    vec![
        ("load", store.load(&job("a"), &tenant()).await.err()),
        ("load_tenant", store.load_tenant(&tenant()).await.err()),
        ("commit", store.commit(job_change(&job("a"), 5, &[9])).await.err()),
        ("history", store.history(&HistoryQuery::default()).await.err()),
        ("verify", store.verify().await.err()),
        ("report", store.report().await.err()),
    ]
}

/// Refused by every call, in words that name the file, the problem and a remedy, and not touched.
async fn refused(path: &Path, problem: &str, remedy: &str) {
    let before = fs::read(path).ok();
    for (call, error) in every_call(path).await {
        let error = error.unwrap_or_else(|| panic!("{call} went through: {problem}"));
        let said = chain(&error);
        assert!(said.contains(problem), "{call}: {said} (expected: {problem})");
        assert!(said.contains(&path.display().to_string()), "{call}: {said}");
        assert!(error.remedy.contains(remedy), "{call}: {} (expected: {remedy})", error.remedy);
        assert!(!said.contains('\n'), "{call}: {said}");
    }
    assert!(fs::read(path).ok() == before, "its bytes have changed: {problem}");
    let drafts = path.parent().map(names_in).unwrap_or_default();
    assert!(!drafts.iter().any(|name| name.starts_with(".startguard-")), "{drafts:?}");
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What may lie where the ledger should be: how it comes there, and what is said about it.
type Case = (fn(&Path) -> Outcome, &'static str, &'static str);

const FOREIGN: &[Case] = &[
    (|path| Ok(fs::write(path, "")?), "is empty, which no ledger ever is", "backup"),
    (|path| Ok(fs::write(path, "dear diary,\n".repeat(900))?), "is not a ledger", "backup"),
    (|path| Ok(fs::write(path, [0; 8192])?), "is not a ledger", "backup"),
    (|path| Ok(fs::create_dir(path)?), "is a folder", "name a file in it"),
    (
        |path| Ok(std::os::unix::fs::symlink("/dev/null", path)?),
        "not a regular file",
        "name another",
    ),
    (
        |path| Ok(std::os::unix::fs::symlink("not-there", path)?),
        "is a link to a file that is not there",
        "bring its target back",
    ),
    (
        |path| Ok(Connection::open(path)?.execute_batch("CREATE TABLE music (title TEXT)")?),
        "is a database of another program",
        "name another file",
    ),
    (
        |path| {
            let other = Connection::open(path)?;
            Ok(other.execute_batch("PRAGMA application_id = 1; PRAGMA user_version = 1;")?)
        },
        "is a database of another program",
        "name another file",
    ),
    (
        |path| Ok(fs::write(beside(path, "-wal"), "what is left of a ledger")?),
        "is gone, and its log",
        "backup",
    ),
];

#[tokio::test]
async fn what_is_no_ledger_is_refused_and_not_touched() -> Outcome {
    for (make, problem, remedy) in FOREIGN {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ledger.db");
        make(&path)?;
        refused(&path, problem, remedy).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_path_through_a_file_is_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("file"), "x")?;
    let path = folder.path().join("file/ledger.db");
    refused(&path, "could not be looked at", "is a file").await;
    Ok(())
}

/// What may happen to a ledger.
const HARM: &[Case] = &[
    (
        |path| Ok(Connection::open(path)?.execute_batch("PRAGMA user_version = 3")?),
        "has schema 3, and this program knows schemas up to 2",
        "use a startguard at least as new",
    ),
    (
        |path| Ok(Connection::open(path)?.execute_batch("PRAGMA user_version = 0")?),
        "claims to have schema 0",
        "backup",
    ),
    // Cut within its first page, and after it.
    (|path| cut(path, 1_000), "ledger.db", "backup"),
    (|path| cut(path, 4_096), "ledger.db", "backup"),
    // The header, and the whole first page.
    (|path| overwrite(path, 0, 16), "is not a ledger", "backup"),
    (|path| overwrite(path, 100, 3_996), "ledger.db", "backup"),
];

fn cut(path: &Path, length: u64) -> Outcome {
    Ok(fs::OpenOptions::new().write(true).open(path)?.set_len(length)?)
}

fn overwrite(path: &Path, from: usize, length: usize) -> Outcome {
    let mut bytes = fs::read(path)?;
    bytes.get_mut(from..from + length).ok_or("too short")?.fill(0xA5);
    Ok(fs::write(path, bytes)?)
}

#[tokio::test]
async fn a_damaged_or_newer_ledger_is_refused_and_not_touched() -> Outcome {
    for (harm, problem, remedy) in HARM {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ledger.db");
        ledger(&path).await?;
        harm(&path)?;
        refused(&path, problem, remedy).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_ledger_damaged_in_any_one_page_is_never_taken_for_another_state() -> Outcome {
    const PAGE: usize = 4_096;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("whole.db");
    fill(&sqlite(&path), &job("a"), 60).await?;
    let truth = sqlite(&path).load(&job("a"), &tenant()).await?.job;
    closed(&path);
    let whole = fs::read(&path)?;
    let pages = whole.len() / PAGE;
    assert!(pages > 8, "{pages} pages");
    for page in 0..pages {
        let harmed = folder.path().join(format!("page-{page}.db"));
        fs::write(&harmed, &whole)?;
        overwrite(&harmed, page * PAGE, PAGE)?;
        let store = sqlite(&harmed);
        // The truth or an error: never a job without its starts.
        if let Ok(found) = store.load(&job("a"), &tenant()).await {
            assert_eq!(found.job, truth, "page {page}");
        }
        let checked = store.verify().await;
        let noticed = checked.is_err() || checked.is_ok_and(|found| found.broken.is_some());
        // Pages of the index alone are none of the chains' business; SQLite's own check sees them.
        assert!(noticed || store.report().await.is_err(), "page {page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_ledger_begins_anew_only_where_nothing_is_left_of_one() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    let store = sqlite(&path);
    fill(&store, &job("a"), 3).await?;
    // Moved away under an open store: what it would write to that, nobody would see.
    fs::rename(&path, folder.path().join("kept.db"))?;
    let error = store.load(&job("a"), &tenant()).await.expect_err("moved away");
    assert!(error.to_string().contains("is gone, and its log"), "{error}");
    assert!(store.commit(job_change(&job("a"), 3, &[9])).await.is_err());
    assert!(!path.exists());
    // Back again, with its log, it goes on.
    fs::rename(folder.path().join("kept.db"), &path)?;
    assert_eq!(store.load(&job("a"), &tenant()).await?.job.version.0, 3);
    put(&store, job_change(&job("a"), 3, &[9])).await?;
    assert_eq!(store.verify().await?.broken, None);
    Ok(())
}

#[tokio::test]
async fn a_link_to_a_ledger_leads_to_that_ledger() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (path, link) = (folder.path().join("ledger.db"), folder.path().join("link.db"));
    ledger(&path).await?;
    std::os::unix::fs::symlink("ledger.db", &link)?;
    let (by_name, by_link) = (sqlite(&path), sqlite(&link));
    put(&by_link, job_change(&job("a"), 5, &[6])).await?;
    put(&by_name, job_change(&job("a"), 6, &[7])).await?;
    assert_eq!(by_link.load(&job("a"), &tenant()).await?.job.version.0, 7);
    assert_eq!(
        by_name.verify().await?,
        Verification { entries: 7, pruned: 0, jobs: 1, broken: None }
    );
    assert!(fs::symlink_metadata(&link)?.is_symlink(), "the link is still one");
    Ok(())
}

#[tokio::test]
async fn a_ledger_with_two_names_is_refused_under_both_until_it_has_one() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    ledger(&path).await?;
    let open = sqlite(&path);
    assert_eq!(open.load(&job("a"), &tenant()).await?.job.version.0, 5);
    // Somebody gives it a second name in another folder, while it is open.
    let other = folder.path().join("elsewhere/ledger.db");
    fs::create_dir(folder.path().join("elsewhere"))?;
    fs::hard_link(&path, &other)?;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&other, &link)?;
    for name in [&path, &other, &link] {
        refused(name, "has several names (hard links)", "give it one name").await;
    }
    assert!(open.commit(job_change(&job("a"), 5, &[6])).await.is_err(), "open since before");
    assert!(!beside(&other, "-wal").exists(), "a second log");
    fs::remove_file(&other)?;
    put(&open, job_change(&job("a"), 5, &[6])).await?;
    assert_eq!(sqlite(&path).load(&job("a"), &tenant()).await?.job.version.0, 6);
    Ok(())
}

#[tokio::test]
async fn a_ledger_that_is_mounted_without_its_folder_is_refused() -> Outcome {
    const NAME: &str = "store_sqlite_files::a_ledger_that_is_mounted_without_its_folder_is_refused";
    if let Some(folder) = as_child() {
        refused(&folder.join("file/ledger.db"), "is mounted as a file", "mount the folder").await;
        let whole = sqlite(&folder.join("folder/ledger.db"));
        put(&whole, job_change(&job("a"), 5, &[6])).await?;
        let truth = sqlite(&folder.join("truth/ledger.db")).load(&job("a"), &tenant()).await?;
        println!("> {}", truth.job.version.0);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for name in ["truth", "file", "folder"] {
        fs::create_dir(folder.path().join(name))?;
    }
    ledger(&folder.path().join("truth/ledger.db")).await?;
    fs::write(folder.path().join("file/ledger.db"), "")?;
    let mounts = "mount --bind \"$0/truth/ledger.db\" \"$0/file/ledger.db\" && \
                  mount --bind \"$0/truth\" \"$0/folder\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c"]);
    unshare.arg(format!("{mounts} || exit 77; exec \"$@\""));
    unshare.arg(folder.path()).arg(this_binary());
    match told(unshare, folder.path(), &child_args(NAME)).output() {
        Ok(output) if output.status.success() => {
            assert_eq!(crate::store_support::lines_of(&output.stdout), ["6"], "{output:?}");
        }
        // Containers may not mount; what the kernel's answer means has a test of its own.
        Ok(output) if output.status.code() == Some(77) || output.stdout.is_empty() => {
            println!("NOT TESTED with mounts: this machine lets nobody make one ({output:?})");
        }
        Err(error) => println!("NOT TESTED with mounts: there is no `unshare` ({error})"),
        Ok(output) => return Err(format!("{output:?}").into()),
    }
    Ok(())
}

/// What a plain user may be kept from: which mode the ledger's file and folder have, and whether
/// there is a ledger.
const KEPT_FROM: &[(&str, u32, u32, bool)] = &[
    ("the file is read-only", 0o400, 0o700, true),
    ("the file may not even be read", 0o000, 0o700, true),
    ("the folder is read-only", 0o600, 0o500, true),
    ("the folder may not be entered", 0o600, 0o000, true),
    ("there is no ledger, and the folder is read-only", 0, 0o500, false),
];

/// A user id that owns nothing ("nobody" on Debian and most others).
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn what_this_user_may_not_write_is_refused_and_not_touched() -> Outcome {
    const NAME: &str =
        "store_sqlite_files::what_this_user_may_not_write_is_refused_and_not_touched";
    if let Some(path) = as_child() {
        let commit = every_call(&path).await.into_iter().find(|(call, _)| *call == "commit");
        let error = commit.and_then(|(_, error)| error).ok_or("the commit went through")?;
        println!("> {}", chain(&error));
        assert!(error.remedy.contains("let this user"), "{}", error.remedy);
        return Ok(());
    }
    for (what, of_file, of_folder, there) in KEPT_FROM {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let state = folder.path().join("state");
        let path = state.join("ledger.db");
        fs::create_dir(&state)?;
        if *there {
            ledger(&path).await?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*of_file))?;
        }
        let before = fs::read(&path).ok();
        let mut command = told(Command::new(runnable(folder.path())?), &path, &child_args(NAME));
        // Root may write everything, so the child is somebody else.
        if fs::metadata(folder.path())?.uid() == 0 {
            for name in names_in(&state) {
                std::os::unix::fs::chown(state.join(name), Some(NOBODY), Some(NOBODY))?;
            }
            std::os::unix::fs::chown(&state, Some(NOBODY), Some(NOBODY))?;
            command.uid(NOBODY).gid(NOBODY);
        }
        fs::set_permissions(&state, fs::Permissions::from_mode(*of_folder))?;
        let output = command.current_dir("/").output()?;
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
        assert!(output.status.success(), "{what}: {output:?}");
        if *there {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        assert!(fs::read(&path).ok() == before, "{what}: its bytes have changed");
    }
    Ok(())
}

/// A name under which any user can run this binary: where it was built, others may not look.
fn runnable(folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let copy = folder.join("it");
    if fs::hard_link(this_binary(), &copy).is_err() {
        fs::copy(this_binary(), &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    }
    Ok(copy)
}

/// Writes until the ledger takes no more, and says what it said. What was acknowledged is there.
async fn write_until_full(path: &Path) -> Outcome {
    let store = SqliteStore::new(path, std::sync::Arc::new(SystemClock), Duration::from_secs(5));
    let first = store.load(&job("a"), &tenant()).await?.job.version.0;
    for version in first..first + 100_000 {
        if let Err(error) = store.commit(job_change(&job("a"), version, &[version.into()])).await {
            println!("> {version}");
            println!("> {}", chain(&error));
            println!("> {}", error.remedy);
            return Ok(());
        }
    }
    Err("it never filled up".into())
}

/// The last acknowledged version, the problem and the remedy, as the child told them.
fn told_by(output: &std::process::Output) -> Result<(u64, String, String), String> {
    let lines = crate::store_support::lines_of(&output.stdout);
    let [version, problem, remedy] = lines.as_slice() else { return Err(format!("{output:?}")) };
    let version = version.parse().map_err(|_| format!("{output:?}"))?;
    Ok((version, problem.clone(), remedy.clone()))
}

#[tokio::test]
async fn a_file_that_may_not_grow_is_an_error_and_stays_whole() -> Outcome {
    const NAME: &str = "store_sqlite_files::a_file_that_may_not_grow_is_an_error_and_stays_whole";
    if let Some(path) = as_child() {
        return write_until_full(&path).await;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    ledger(&path).await?;
    // 400 blocks of 512 bytes. The signal that comes with the limit is ignored, so that the write
    // itself fails, as it does over quota.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$@\"", "sh"]).arg(this_binary());
    let output = told(shell, &path, &child_args(NAME)).output()?;
    let (version, problem, remedy) = told_by(&output)?;
    assert!(version > 5, "some went in: {version}");
    assert!(problem.contains("could not be"), "{problem}");
    assert!(remedy.contains("disk"), "{remedy}");
    whole_after(&path, version).await
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_the_ledger_stays_whole() -> Outcome {
    const NAME: &str = "store_sqlite_files::a_full_disk_is_an_error_and_the_ledger_stays_whole";
    if let Some(path) = as_child() {
        ledger(&path).await?;
        write_until_full(&path).await?;
        // While the disk is full nothing is begun anew, and nothing pretends to be empty.
        let store =
            SqliteStore::new(&path, std::sync::Arc::new(SystemClock), Duration::from_secs(5));
        if let Ok(found) = store.load(&job("a"), &tenant()).await {
            assert!(found.job.version.0 > 5, "{found:?}");
        }
        drop(store);
        fs::remove_file(path.with_file_name("filler"))?;
        let version = sqlite(&path).load(&job("a"), &tenant()).await?.job.version.0;
        return whole_after(&path, version).await;
    }
    let folder = tempfile::tempdir()?;
    // A disk of its own, which goes with the namespace: 2 MiB, half of them in the way.
    let mount =
        "mount -t tmpfs -o size=2m tmpfs \"$0\" && head -c 1000000 /dev/zero >\"$0/filler\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c"]);
    unshare.arg(format!("{mount} || exit 77; exec \"$@\""));
    unshare.arg(folder.path()).arg(this_binary());
    let output = told(unshare, &folder.path().join("ledger.db"), &child_args(NAME)).output();
    match output {
        Ok(output) if output.status.success() => {
            let (version, problem, remedy) = told_by(&output)?;
            assert!(version > 5, "some went in: {version}");
            assert!(problem.contains("the disk is full"), "{problem}");
            assert!(remedy.contains("make room"), "{remedy}");
        }
        // Containers may not mount; the test before this one needs no permission.
        Ok(output) if output.status.code() == Some(77) || output.stdout.is_empty() => {
            println!("NOT TESTED on a full disk: this machine lets nobody mount one ({output:?})");
        }
        Err(error) => println!("NOT TESTED on a full disk: there is no `unshare` ({error})"),
        Ok(output) => return Err(format!("{output:?}").into()),
    }
    Ok(())
}

/// Everything up to `version` is there, the chain holds, and writing goes on.
async fn whole_after(path: &Path, version: u64) -> Outcome {
    let store = sqlite(path);
    let found = store.load(&job("a"), &tenant()).await?;
    assert_eq!(found.job.version.0, version, "no more and no less than was acknowledged");
    let whole = Verification { entries: version, pruned: 0, jobs: 1, broken: None };
    assert_eq!(store.verify().await?, whole);
    assert!(store.report().await?.facts.contains(&("integrity".to_owned(), "ok".to_owned())));
    put(&store, job_change(&job("a"), version, &[1])).await?;
    Ok(())
}
