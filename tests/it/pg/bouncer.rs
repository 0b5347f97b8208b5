//! A real `pgbouncer` that gives each transaction any server session it likes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::{as_owner, free_port, skipped};

/// A pooler in transaction mode, with few server sessions.
pub(crate) struct Bouncer {
    pub(crate) port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

fn program() -> Option<PathBuf> {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    places.into_iter().map(PathBuf::from).find(|place| place.exists())
}

impl Bouncer {
    /// Whether there is one to start.
    pub(crate) fn available() -> bool {
        let there = program().is_some();
        if !there {
            skipped("no pgbouncer: install Debian's package of that name");
        }
        there
    }

    /// One before the server at `port` of 127.0.0.1.
    pub(crate) fn before(server: u16, sessions: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("sg-pgb-").tempdir().expect("a folder");
        let open = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        open(folder.path(), 0o777);
        let path = |name: &str| folder.path().join(name);
        let port = free_port();
        let users = path("users");
        fs::write(&users, "\"postgres\" \"\"\n").expect("written");
        open(&users, 0o644);
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 500\n\
             logfile = {}\npidfile = {}\n",
            users.display(),
            path("log").display(),
            path("pid").display(),
        );
        let ini = path("pgbouncer.ini");
        fs::write(&ini, settings).expect("written");
        open(&ini, 0o644);
        let process = as_owner(&program().expect("a program"))
            .arg("-q")
            .arg(&ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(path("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(20), "{}", log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Self { port, process, _folder: folder }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        self.process.wait().ok();
    }
}
