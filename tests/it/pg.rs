//! Real PostgreSQL servers for tests: the one that `tests/postgres` started, and private ones that a
//! test may stop, crash and promote.
#![expect(clippy::disallowed_methods, reason = "tests find their server in the environment")]
#![expect(clippy::expect_used, reason = "what fails in a helper fails its test")]

mod bouncer;
mod proxy;

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use startguard::{
    clock::SystemClock,
    store::{Password, PostgresStore},
};
use tokio_postgres::{NoTls, SimpleQueryMessage};

pub(crate) use bouncer::Bouncer;
pub(crate) use proxy::{Cut, Proxy};

/// Longest wait for a server to come up or go down on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL of the server that all tests share; `None`, loudly, where there is none.
pub(crate) fn shared() -> Option<String> {
    let url = std::env::var("STARTGUARD_TEST_POSTGRES").ok();
    if url.is_none() {
        skipped("no PostgreSQL server: run the tests by `tests/postgres cargo nextest run`");
    }
    url
}

/// Says that a test was skipped.
pub(crate) fn skipped(why: &str) {
    let mut stderr = std::io::stderr();
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(stderr, "SKIPPED {test}: {why}").ok();
}

/// The URL with a schema that nobody used before.
pub(crate) fn in_new_schema(url: &str) -> String {
    let schema = format!("sg_test_{}", uuid::Uuid::new_v4().simple());
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}schema={schema}")
}

/// A store as the program makes one, on a URL that needs no TLS.
pub(crate) fn store(url: &str) -> PostgresStore {
    store_within(url, Duration::from_secs(30))
}

pub(crate) fn store_within(url: &str, deadline: Duration) -> PostgresStore {
    store_with(url, Password::None, deadline)
}

pub(crate) fn store_with(url: &str, password: Password, deadline: Duration) -> PostgresStore {
    let trust = || Err("TLS is not expected here".into());
    PostgresStore::new(url, password, trust, Arc::new(SystemClock), deadline).expect("a good URL")
}

/// The port in a URL.
pub(crate) fn port_of(url: &str) -> u16 {
    let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next());
    port.and_then(|port| port.parse().ok()).expect("a port")
}

/// The schema of a URL, and the URL as other clients take it.
pub(crate) fn parts(url: &str) -> (String, String) {
    let (base, options) = url.split_once('?').unwrap_or((url, ""));
    let schema = options
        .split('&')
        .find_map(|option| option.strip_prefix("schema="))
        .unwrap_or("startguard");
    (schema.to_owned(), base.to_owned())
}

/// Runs SQL by another client; `{s}` stands for the schema of the URL.
pub(crate) async fn sql(url: &str, statements: &str) -> Result<Vec<Vec<String>>, String> {
    let (schema, base) = parts(url);
    let (client, connection) =
        tokio_postgres::connect(&base, NoTls).await.map_err(|error| format!("{error:?}"))?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query(&statements.replace("{s}", &schema)).await;
    drop(client);
    drop(driver.await);
    let rows = answer.map_err(|error| format!("{error:?}"))?;
    Ok(rows
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let text = |at| row.get(at).unwrap_or("NULL").to_owned();
                Some((0..row.len()).map(text).collect())
            }
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        })
        .collect())
}

/// The one value that a query finds.
pub(crate) async fn value(url: &str, query: &str) -> String {
    let rows = sql(url, query).await.expect("an answer");
    rows.first().and_then(|row| row.first()).cloned().unwrap_or_default()
}

/// A command that runs as the user that may run a server.
pub(crate) fn as_owner(program: &Path) -> Command {
    match std::env::var("STARTGUARD_TEST_POSTGRES_USER") {
        Err(_) => {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "QUIT"]).arg(program);
            command
        }
        Ok(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}"));
            command.arg(format!("--regid={}", group_of(&user)));
            // Should this test be killed, the server goes with it.
            command.args(["--init-groups", "--pdeathsig", "QUIT"]).arg(program);
            command
        }
    }
}

fn group_of(user: &str) -> String {
    let output = Command::new("id").args(["-g", user]).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Gives a file or folder to the user that may run a server.
pub(crate) fn give(path: &Path) {
    if let Ok(user) = std::env::var("STARTGUARD_TEST_POSTGRES_USER") {
        let given = Command::new("chown").arg(user).arg(path).status().expect("chown runs");
        assert!(given.success(), "chown {}", path.display());
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port()
}

/// A private server.
pub(crate) struct Server {
    programs: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    settings: Vec<String>,
    environment: Vec<String>,
    /// The network namespace that it runs in.
    namespace: Option<String>,
    process: Option<Child>,
}

impl Server {
    /// A new server with these settings (`name=value`), running; `None`, loudly, where there are no
    /// programs for it.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let server = Self::empty(settings)?;
        server.initialize();
        Some(server.launched())
    }

    /// A new server whose clock is off by so much (`+1h`); `None`, loudly, where its clock cannot be
    /// set apart from the machine's.
    pub(crate) fn start_in_time(offset: &str) -> Option<Self> {
        let library = Path::new("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1");
        if !library.exists() {
            skipped("no libfaketime: install Debian's `faketime`");
            return None;
        }
        let mut server = Self::empty(&[])?;
        server.initialize();
        // What waits is left alone, or waits would never end.
        server.environment = vec![
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME={offset}"),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        Some(server.launched())
    }

    /// A new server in a network namespace, which serves that namespace's `address` and everybody in
    /// its network; from here it is reached by its socket.
    pub(crate) fn start_within(namespace: &str, address: &str, network: &str) -> Option<Self> {
        let mut server = Self::empty(&[&format!("listen_addresses={address}")])?;
        server.initialize();
        server.allow_first(&format!("host all all {network} trust"));
        server.namespace = Some(namespace.to_owned());
        Some(server.launched())
    }

    /// The URL by the server's socket.
    pub(crate) fn url_by_socket(&self) -> String {
        let folder = self.folder.path().display();
        format!("postgres:///postgres?host={folder}&port={}&user=postgres", self.port)
    }

    fn initialize(&self) {
        // A copy of an empty server: making one anew takes seconds on a busy machine.
        let template = std::env::var("STARTGUARD_TEST_POSTGRES_DATA").expect("set beside the BIN");
        let copied = as_owner(Path::new("cp"))
            .args(["-a", &template, &self.path("data")])
            .status()
            .expect("cp runs");
        assert!(copied.success(), "cp {template}");
    }

    fn empty(settings: &[&str]) -> Option<Self> {
        let Ok(programs) = std::env::var("STARTGUARD_TEST_POSTGRES_BIN") else {
            skipped("no PostgreSQL server: run the tests by `tests/postgres cargo nextest run`");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("sg-pg-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        Some(Self {
            programs: programs.into(),
            folder,
            port: free_port(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            environment: Vec::new(),
            namespace: None,
            process: None,
        })
    }

    fn launched(mut self) -> Self {
        self.launch();
        self
    }

    /// A standby of this server, running, with a name for `synchronous_standby_names`.
    pub(crate) fn standby(&self, name: &str) -> Option<Self> {
        let mut standby = Self::empty(&[])?;
        let source =
            format!("host=127.0.0.1 port={} user=postgres application_name={name}", self.port);
        standby.settings.push(format!("cluster_name={name}"));
        standby.run(
            "pg_basebackup",
            &[
                "-D",
                &standby.path("data"),
                "-R",
                "-X",
                "stream",
                "--no-sync",
                "-c",
                "fast",
                "-d",
                &source,
            ],
        );
        Some(standby.launched())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = as_owner(&self.programs.join(program))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{program}: {output:?}");
    }

    /// Starts the server, which was stopped or has crashed.
    pub(crate) fn launch(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        // `env`, so that the environment is that of the server alone.
        let mut command = as_owner(Path::new("env"));
        command.args(&self.environment).arg(self.programs.join("postgres"));
        command.args(["-D", &self.path("data"), "-p", &self.port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
        command.arg(format!("unix_socket_directories={}", self.folder.path().display()));
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        if let Some(namespace) = &self.namespace {
            // Entered as who we are; `setpriv` steps down inside.
            let mut inside = Command::new("ip");
            inside.args(["netns", "exec", namespace]).arg(command.get_program());
            inside.args(command.get_args());
            command = inside;
        }
        let errors = log.try_clone().expect("a log");
        let process = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.process = Some(process.expect("it runs"));
        let began = Instant::now();
        while !self.is_ready() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        Command::new(self.programs.join("pg_isready"))
            .args(["-q", "-h", &self.folder.path().display().to_string()])
            .args(["-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        if let Some(process) = &self.process {
            let pid = rustix::process::Pid::from_child(process);
            rustix::process::kill_process(pid, signal).expect("signalled");
        }
    }

    fn end(&mut self, signal: rustix::process::Signal) {
        self.signal(signal);
        if let Some(mut process) = self.process.take() {
            process.wait().expect("it ends");
        }
    }

    /// Stops the server in order; sessions are ended.
    pub(crate) fn stop(&mut self) {
        self.end(rustix::process::Signal::INT);
    }

    /// Ends the server without a word, as a crash does (`immediate`).
    pub(crate) fn crash(&mut self) {
        self.end(rustix::process::Signal::QUIT);
    }

    /// The URL, in a schema that nobody used before.
    pub(crate) fn url(&self) -> String {
        in_new_schema(&self.url_of_database())
    }

    pub(crate) fn url_of_database(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The same place by another port: a proxy's, or another server's.
    pub(crate) fn by_port(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }

    /// Puts lines before all others of `pg_hba.conf`; the server must be told to reload.
    pub(crate) fn allow_first(&self, lines: &str) {
        let path = self.folder.path().join("data/pg_hba.conf");
        let old = fs::read_to_string(&path).expect("a file");
        fs::write(&path, format!("{lines}\n{old}")).expect("written");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGCONT too: a test may have stopped it.
            let pid = rustix::process::Pid::from_child(&process);
            for signal in [rustix::process::Signal::QUIT, rustix::process::Signal::CONT] {
                rustix::process::kill_process(pid, signal).ok();
            }
            process.wait().ok();
        }
    }
}

/// Polls until `level` holds. A level, not an event: nothing is missed between two looks.
pub(crate) async fn until(what: &str, level: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !level().await {
        assert!(began.elapsed() < PATIENCE, "never came: {what}");
        let pause = std::future::pending::<()>();
        drop(tokio::time::timeout(Duration::from_millis(5), pause).await);
    }
}
