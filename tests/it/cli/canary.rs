//! A marked token and a marked secret go through every command, in good and bad weather: neither may
//! show anywhere but in the requests that carry them.

use std::{fs, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use startguard::emulator::{
    Auth, Client, Effect, Emulator, FaultRule, JobConfig, OperationKind, RetryAfter, TokenRule,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Call, Desk, Host, SP, job};

const TOKEN: &str = "canary-token-5f2c9b7e41d84a0f";
const SECRET: &str = "canary~secret.8d3e6a1b90f74c25";
const APP: &str = "6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01";
const TENANT: &str = "0d6a1c5e-7b32-4f98-a4e1-2c9b8d7f6a50";

/// Every command that has to do with jobs.
fn commands() -> Vec<Vec<String>> {
    let job = job("job");
    [
        &["start", "--dry-run", &job][..],
        &["start", &job, "--wait=1ms", "--reason", "why"],
        &["start", &job],
        &["start", SP],
        &["start", "Nobody"],
        &["status", &job],
        &["list", SP, "Nobody"],
        &["hold", &job, "--reason", "why"],
        &["release", &job],
        &["reset", &job, "--reason", "why"],
        &["history"],
        &["history", "--verify"],
        &["doctor"],
    ]
    .map(|args| args.iter().map(|arg| (*arg).to_owned()).collect())
    .into()
}

/// Runs every command with everything logged, and looks for the markers in all that comes of it.
async fn fly(host: &Host, weather: &str, dress: impl Fn(Call) -> Call) {
    let markers = [TOKEN, SECRET];
    for args in commands() {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for (output, format) in [("text", "text"), ("json", "json")] {
            let call = host
                .call(&args)
                .patient_never()
                .env("STARTGUARD_OUTPUT", output)
                .env("STARTGUARD_LOG_FORMAT", format)
                .env("STARTGUARD_LOG", "trace,h2=trace,hyper=trace,reqwest=trace,azure_core=trace")
                .env("STARTGUARD_GRAPH_REQUEST_TIMEOUT", "2s")
                .env("STARTGUARD_TOKEN", TOKEN);
            let ran = dress(call).run().await;
            assert_ne!(ran.code, Some(101), "{ran:?}");
            for marker in markers {
                let shown = ran.stdout.contains(marker) || ran.stderr.contains(marker);
                assert!(!shown, "{weather}: {args:?} shows {marker}: {ran:#?}");
            }
        }
        // Logs by flag, too.
        let mut loud = args.clone();
        loud.push("-vvv");
        let ran =
            dress(host.call(&loud).patient_never().env("STARTGUARD_TOKEN", TOKEN)).run().await;
        for marker in markers {
            let shown = ran.stdout.contains(marker) || ran.stderr.contains(marker);
            assert!(!shown, "{weather}: {loud:?} shows {marker}: {ran:#?}");
        }
    }
    let mut files = 0;
    for folder in [host.home.path().to_owned(), host.home.path().join("state")] {
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            if file.path().is_file() {
                files += 1;
                let bytes = fs::read(file.path()).unwrap();
                for marker in markers {
                    let found = bytes.windows(marker.len()).any(|it| it == marker.as_bytes());
                    assert!(!found, "{weather}: {:?} holds {marker}", file.path());
                }
            }
        }
    }
    assert!(files > 0, "{weather}: there is a ledger to look into");
}

/// An answer that repeats the token, as a gateway does that logs to its own error page.
fn echo(status: u16, secret: &str) -> Effect {
    Effect::Status {
        status,
        retry_after: RetryAfter::Absent,
        code: Some(format!("Bearer {secret}")),
        message: Some(format!("Authorization: Bearer {secret} is not good enough")),
        body: None,
        applied: false,
    }
}

#[tokio::test]
async fn a_token_shows_nowhere_in_good_weather() {
    let desk = Desk::paused().await;
    fly(&desk.host, "good", |call| call).await;
    assert!(desk.emulator.counts().graph_requests > 0);
    assert_eq!(desk.emulator.counts().unauthorized, 0);
}

#[tokio::test]
async fn a_token_shows_nowhere_in_bad_weather() {
    for (weather, effect) in [
        ("refused", echo(401, TOKEN)),
        ("forbidden", echo(403, TOKEN)),
        ("bad request", echo(400, TOKEN)),
        ("unavailable", echo(503, TOKEN)),
        (
            "redirected",
            Effect::Redirect { status: 302, location: format!("https://x.example/{TOKEN}") },
        ),
        ("cut", Effect::Truncated),
    ] {
        for operation in
            [OperationKind::GetJob, OperationKind::ListJobs, OperationKind::ListServicePrincipals]
        {
            let desk = Desk::paused().await;
            desk.emulator.add_fault(FaultRule::on(operation, effect.clone())).unwrap();
            fly(&desk.host, weather, |call| call).await;
        }
    }
}

#[tokio::test]
async fn a_token_shows_nowhere_when_the_start_is_refused() {
    let desk = Desk::paused().await;
    desk.emulator.add_fault(FaultRule::on(OperationKind::Start, echo(403, TOKEN))).unwrap();
    fly(&desk.host, "refused start", |call| call).await;
}

#[tokio::test]
async fn a_token_file_shows_nowhere() {
    let desk = Desk::paused().await;
    let file = desk.host.home.path().join(".config/token");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.display().to_string();
    fly(&desk.host, "from a file", |call| {
        call.without("STARTGUARD_TOKEN").env("STARTGUARD_TOKEN_FILE", &file)
    })
    .await;
    // Something that is no token is not repeated either.
    fs::write(&file, format!("{TOKEN} {SECRET}\n")).unwrap();
    fly(&desk.host, "no token in the file", |call| {
        call.without("STARTGUARD_TOKEN").env("STARTGUARD_TOKEN_FILE", &file)
    })
    .await;
}

/// TLS in front of the emulator, as the authority must have it.
async fn behind_tls(emulator: &Emulator) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = emulator.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut front) = acceptor.accept(stream).await else { return };
                let Ok(mut back) = TcpStream::connect(to).await else { return };
                // Either side may hang up as it likes.
                drop(tokio::io::copy_bidirectional(&mut front, &mut back).await);
            });
        }
    });
    (format!("https://localhost:{port}"), made.cert.pem())
}

/// An emulator that knows the secret, and the call that uses it.
async fn with_a_secret(secret: &str) -> (Emulator, Host, impl Fn(Call) -> Call) {
    let auth = Auth {
        accept: TokenRule::Known,
        clients: vec![Client {
            client_id: APP.to_owned(),
            client_secret: Some(secret.to_owned()),
            tenant: Some(TENANT.to_owned()),
        }],
        token_lifetime: Duration::from_secs(3_600),
        ..Auth::default()
    };
    let emulator = Emulator::builder()
        .job(SP, JobConfig::new("job", "Paused"))
        .auth(auth)
        .start()
        .await
        .unwrap();
    let (url, ca) = behind_tls(&emulator).await;
    let host = Host::new(&url);
    let file = host.home.path().join("ca.pem").display().to_string();
    fs::write(&file, ca).unwrap();
    let dress = move |call: Call| {
        call.without("STARTGUARD_TOKEN")
            .env("STARTGUARD_AUTH", "client-secret")
            .env("STARTGUARD_GRAPH_CA_FILE", &file)
            .env("AZURE_AUTHORITY_HOST", &url)
            .env("AZURE_TENANT_ID", TENANT)
            .env("AZURE_CLIENT_ID", APP)
            .env("AZURE_CLIENT_SECRET", SECRET)
    };
    (emulator, host, dress)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_secret_shows_nowhere_in_good_weather() {
    let (emulator, host, dress) = with_a_secret(SECRET).await;
    fly(&host, "secret accepted", dress).await;
    assert_eq!(emulator.job(SP, "job").starts, 1, "the credential works");
    assert_eq!(emulator.violations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_secret_shows_nowhere_when_it_is_refused() {
    let (emulator, host, dress) = with_a_secret("another secret").await;
    // Something to look into: a hold asks nobody.
    let hold = ["hold", &job("job"), "--reason", "x"];
    dress(host.call(&hold)).run().await.ended(0);
    fly(&host, "secret refused", &dress).await;
    let body = format!(
        "{{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: {SECRET} is wrong\"}}"
    );
    let echo = Effect::Status {
        status: 401,
        retry_after: RetryAfter::Absent,
        code: None,
        message: None,
        body: Some(body),
        applied: false,
    };
    emulator.add_fault(FaultRule::on(OperationKind::Token, echo)).unwrap();
    fly(&host, "secret echoed", dress).await;
    assert_eq!(emulator.job(SP, "job").starts, 0);
}
