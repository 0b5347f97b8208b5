//! A whole `startguard start`, a new process each, against `curl` twice doing the same GET and POST:
//! in pairs, in one run, over HTTP and HTTPS. Ratios are what counts; the machine is shared.
//!
//! `tests/bench/start` runs it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: it reads the clock, prints figures, and fails loudly"
)]

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use startguard::emulator::{Emulator, JobConfig, Timing};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// Pairs measured, unless the environment says otherwise: enough that the median holds still.
const PAIRS: usize = 60;

/// Pairs run before, and not counted: caches fill.
const WARM_UP: usize = 5;

fn main() {
    let pairs = std::env::var("STARTGUARD_BENCH_PAIRS")
        .ok()
        .and_then(|pairs| pairs.parse().ok())
        .unwrap_or(PAIRS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let bench = runtime.block_on(Bench::set());
    let binary = env!("CARGO_BIN_EXE_startguard");
    println!("{pairs} pairs each; milliseconds, median (10th to 90th percentile)");
    let (one, all) = (Trusted::One, Trusted::All);
    for (name, origin, trusted) in [
        ("http", bench.http.clone(), one),
        ("https, one authority", bench.https.clone(), one),
        ("https, the machine's authorities", bench.https.clone(), all),
    ] {
        let scheme = name.replace([',', ' ', '\''], "-");
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for pair in 0..WARM_UP + pairs {
            let (curl, start) = (format!("{scheme}-curl-{pair}"), format!("{scheme}-start-{pair}"));
            bench.emulator.set_job(SP, JobConfig::new(&curl, "Paused"));
            bench.emulator.set_job(SP, JobConfig::new(&start, "Paused"));
            let curl = timed(|| bench.curl_twice(&origin, &curl, trusted));
            let start = timed(|| bench.start(binary, &origin, &start, trusted));
            if pair >= WARM_UP {
                theirs.push(curl);
                ours.push(start);
            }
        }
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        println!("{name}");
        println!("  curl twice            {}", figures(&mut theirs));
        println!("  startguard start      {}", figures(&mut ours));
        println!("  ratio                 {}", figures(&mut ratios));
    }
    let mut version: Vec<f64> =
        (0..pairs).map(|_| timed(|| run(Command::new(binary).arg("--version")))).collect();
    println!("--version               {}", figures(&mut version));
    println!("peak memory of a start  {:.1} MB", bench.peak(binary));
    let size = std::fs::metadata(binary).map_or(0, |found| found.len());
    println!("binary                  {:.1} MB", size as f64 / 1e6);
    assert_eq!(bench.emulator.violations(), 0);
}

/// Whom both sides trust.
#[derive(Clone, Copy, PartialEq)]
enum Trusted {
    /// The server's own authority, from a file of its own: a lab.
    One,
    /// The machine's bundle of authorities with that one in it: what everybody has who asks the
    /// real service.
    All,
}

struct Bench {
    emulator: Emulator,
    folder: tempfile::TempDir,
    http: String,
    https: String,
    ca: PathBuf,
    all: PathBuf,
}

impl Bench {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let timing = Timing { start_delay: Duration::ZERO, ..Timing::default() };
        let emulator = Emulator::builder().timing(timing).start().await.expect("an emulator");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key");
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, made.cert.pem()).expect("written");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let front = front(emulator.address(), TlsAcceptor::from(Arc::new(config))).await;
        let http = emulator.base_url().to_owned();
        // The machine's bundle, where Debian and most others keep it.
        let mut bundle = std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        bundle.extend_from_slice(made.cert.pem().as_bytes());
        let all = folder.path().join("bundle.pem");
        std::fs::write(&all, bundle).expect("written");
        Self {
            all,
            emulator,
            folder,
            http,
            https: format!("https://localhost:{}", front.port()),
            ca,
        }
    }

    fn curl_twice(&self, origin: &str, job: &str, trusted: Trusted) {
        let url = format!("{origin}/v1.0/servicePrincipals/{SP}/synchronization/jobs/{job}");
        let curl = || {
            let mut curl = Command::new("curl");
            let file = if trusted == Trusted::All { &self.all } else { &self.ca };
            curl.args(["--silent", "--fail", "--cacert"]).arg(file);
            curl.args(["-H", "Authorization: Bearer bench"]);
            curl
        };
        run(curl().arg(&url));
        run(curl().args(["-X", "POST", "-H", "Content-Length: 0"]).arg(format!("{url}/start")));
    }

    fn command(&self, binary: &str, origin: &str, job: &str, trusted: Trusted) -> Command {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("USER", "bench")
            .env("STARTGUARD_TOKEN", "bench")
            .env("STARTGUARD_AUTH", "token")
            .env("STARTGUARD_GRAPH_ENDPOINT", origin)
            .env("STARTGUARD_GUARD_TENANT_STARTS_PER_MINUTE", "1000000")
            // All of them share a pace; it is not what is measured.
            .env("STARTGUARD_GRAPH_REQUESTS_PER_SECOND", "1000000")
            .env("STARTGUARD_GRAPH_BURST", "1000000")
            .args(["start", &format!("{SP}/{job}")]);
        if origin.starts_with("https") {
            match trusted {
                Trusted::One => command.env("STARTGUARD_GRAPH_CA_FILE", &self.ca),
                Trusted::All => command.env("SSL_CERT_FILE", &self.all),
            };
        }
        command
    }

    fn start(&self, binary: &str, origin: &str, job: &str, trusted: Trusted) {
        run(&mut self.command(binary, origin, job, trusted));
    }

    /// The most memory that a start over HTTPS holds, as the kernel counted it, in megabytes.
    fn peak(&self, binary: &str) -> f64 {
        self.emulator.set_job(SP, JobConfig::new("peak", "Paused"));
        let mut command = self.command(binary, &self.https, "peak", Trusted::All);
        // A child's own figure can only be read after it ended, through a parent of its own.
        let mut shell = Command::new("python3");
        let script = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], \
                      stdout=subprocess.DEVNULL, check=True); \
                      print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        shell.args(["-c", script, binary]).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdout(Stdio::null());
        let output = shell.output().expect("python3 runs");
        assert!(output.status.success(), "{output:?}");
        let kilobytes: f64 =
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        kilobytes * 1024.0 / 1e6
    }
}

/// Ends TLS and hands the bytes on.
async fn front(to: SocketAddr, acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(to).await.ok()?;
                // As every real server does: without it the last packet waits for an acknowledgement.
                stream.set_nodelay(true).and(inner.set_nodelay(true)).ok()?;
                let mut outer = acceptor.accept(stream).await.ok()?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok()
            });
        }
    });
    address
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e3
}

fn figures(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = ((values.len() - 1) as f64 * part) as usize;
        values[index]
    };
    let mut text = String::new();
    write!(text, "{:7.2} ({:.2} to {:.2})", at(0.5), at(0.1), at(0.9)).expect("a string");
    text
}
