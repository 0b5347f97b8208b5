//! Plays one misbehaviour to the binary, and judges by what the server counted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Semaphore;

use super::{
    super::{Call, Host, Ran, job},
    row::{Play, Read, Row, Start, Where},
    server::{Opening, Paper, Part, Server, Step},
    wire::{Heard, Method, Talk, Wire},
};

pub(super) const TOKEN: &str = "a-canary-of-the-hostile-peers";

/// Where a row's deadline is what is waited for. A good read must fit in it on a busy machine.
const SHORT: &str = "3s";

/// Everywhere else: nothing that is answered at once may fail for want of time.
const LONG: &str = "60s";

/// What stays the same over all cases of a test.
pub(super) struct Stage {
    pub(super) paper: Paper,
    /// Who may keep the processors busy. A case gives its seat up once its server has played, since
    /// what follows is mostly waiting.
    seats: Semaphore,
}

impl Stage {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { paper: Paper::new(), seats: Semaphore::new(4) })
    }

    /// A host whose Graph is this server.
    pub(super) fn host(&self, server: &Server) -> Host {
        let host = Host::new(&server.origin());
        std::fs::write(host.home.path().join("ca.pem"), &self.paper.pem).unwrap();
        host
    }
}

/// A row on one side of a start, in one version of HTTP.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) row: Row,
    pub(super) wire: Wire,
    /// Which request meets it.
    pub(super) on: Method,
    /// Whether the job reads Active after the POST.
    pub(super) worked: bool,
}

impl Case {
    /// The nth row on one side, in one version; `None` where that version knows no such thing.
    ///
    /// Whether a start in doubt worked changes with every row and version: what the guard makes of
    /// a doubt does not depend on where it came from.
    pub(super) fn of(row: &Row, nth: usize, wire: Wire, on: Method) -> Option<Self> {
        let (Where::Answer(wires, _) | Where::Connection(wires, _)) = &row.place;
        let unclear = on == Method::Post && row.start == Start::Unclear;
        let worked = unclear && nth.is_multiple_of(2) == (wire == Wire::One);
        wires.contains(&wire).then(|| Self { row: row.clone(), wire, on, worked })
    }

    pub(super) fn name(&self) -> String {
        let Self { row, wire, on, worked } = self;
        let worked = if *worked { ", and it worked" } else { "" };
        format!("{} on {on:?} over {wire:?}{worked}", row.name)
    }

    /// Plays it.
    pub(super) async fn play(self, stage: Arc<Stage>) {
        let name = self.name();
        let seat = stage.seats.acquire().await.unwrap();
        let server = Server::start(&stage.paper, Script::of(&self)).await;
        let host = stage.host(&server);
        let timeout = if self.row.slow { SHORT } else { LONG };

        let mut first = tokio::spawn(ask(&host, &["start", &job("job")], timeout));
        let played = if self.on == Method::Get { 1 } else { 2 };
        let first = tokio::select! {
            ran = &mut first => {
                drop(seat);
                ran
            }
            () = server.has_begun(played) => {
                drop(seat);
                first.await
            }
        };
        let first = first.unwrap();
        let reads = server.count(Method::Get);
        let (posts, ended) = self.judge(&name, &first, &server);

        let _seat = stage.seats.acquire().await.unwrap();
        let second = ask(&host, &["start", &job("job")], LONG).await;
        let more = self.judge_second(&name, &second, ended);
        let made = server.posts();
        assert_eq!(made, posts + more, "{name}: POSTs after a second call: {second:?}");
        if self.row.hushes {
            assert_eq!(server.count(Method::Get), reads, "{name}: asked on: {second:?}");
        }

        let verified = ask(&host, &["history", "--verify"], LONG).await;
        assert_eq!(verified.code, Some(0), "{name}: {verified:?}");
        assert_eq!(server.nonsense(), Vec::<String>::new(), "{name}");
        self.judge_paths(&name, &server.heard());
        for ran in [&first, &second, &verified] {
            let told = ran.stdout.contains(TOKEN) || ran.stderr.contains(TOKEN);
            assert!(!told, "{name}: the token shows: {ran:?}");
        }
    }

    /// Whether the first call ended as it must; the POSTs that the server must have counted, and
    /// how the call ended.
    fn judge(&self, name: &str, ran: &Ran, server: &Server) -> (usize, Ended) {
        let outcome = ran.outcome();
        assert_eq!(ran.code, Some(exit_of(&outcome)), "{name}: {ran:?}");
        let (may, posts) = match (self.on, &self.row.read, self.row.start) {
            (Method::Get, Read::Good, _) | (Method::Post, _, Start::Yes) => (vec!["started"], 1),
            (Method::Get, Read::Ends(how), _) => (vec![*how], 0),
            (Method::Get, Read::OneOf(ways), _) => (ways.to_vec(), 0),
            (Method::Post, _, Start::No(how)) => (vec![how], 1),
            (Method::Post, _, Start::Unclear) if self.worked => (vec!["started"], 1),
            (Method::Post, _, Start::Unclear) => (vec!["inDoubt"], 1),
            (Method::Post, _, Start::Unsent) => (vec!["failed/graphUnavailable"], 0),
            (Method::Post, _, Start::OneOf(ways)) => (ways.to_vec(), 1),
        };
        assert!(may.contains(&outcome.as_str()), "{name}: {may:?} was asked for: {ran:?}");
        let made = server.posts();
        // A server that never looks at requests sees none, and the start counts all the same.
        let unseen = matches!(self.row.place, Where::Connection(..));
        assert!(made == posts || (unseen && made < posts), "{name}: {made} POSTs: {ran:?}");
        assert_eq!(ran.only()["graph"]["starts"], posts, "{name}: {ran:?}");
        if self.on == Method::Get && posts == 0 {
            let reads = server.count(Method::Get);
            assert!(reads <= 1, "{name}: {reads} reads without repeats: {ran:?}");
        }
        let ended = if posts > 0 {
            Ended::Posted { doubt: outcome == "inDoubt" }
        } else if outcome.starts_with("deferred/") {
            Ended::Deferred
        } else {
            Ended::Nothing
        };
        (made, ended)
    }

    /// Whether a second call, to a service that is well by now, ended as it must; how many POSTs it
    /// may have made.
    fn judge_second(&self, name: &str, ran: &Ran, first: Ended) -> usize {
        let outcome = ran.outcome();
        let (may, posts): (&[&str], _) = match first {
            Ended::Posted { doubt: true } => (&["deferred/inDoubt"], 0),
            // The longer wait is told.
            Ended::Posted { .. } if self.row.hushes => {
                (&["deferred/cooldown", "deferred/throttled"], 0)
            }
            Ended::Posted { .. } => (&["deferred/cooldown"], 0),
            Ended::Deferred if self.row.hushes => (&["deferred/throttled"], 0),
            Ended::Deferred | Ended::Nothing => (&["started"], 1),
        };
        assert!(may.contains(&outcome.as_str()), "{name}: {may:?} was asked for next: {ran:?}");
        posts
    }

    /// Every read asked for one thing, and so did every POST: no redirect was followed.
    fn judge_paths(&self, name: &str, heard: &[Heard]) {
        for method in [Method::Get, Method::Post] {
            let mut paths: Vec<_> =
                heard.iter().filter(|it| it.method == method).map(|it| &it.path).collect();
            paths.sort();
            paths.dedup();
            assert!(paths.len() <= 1, "{name}: {method:?} of {paths:?}");
        }
    }
}

/// What a first call left behind.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Posted { doubt: bool },
    Deferred,
    Nothing,
}

/// The contract's exit code of an outcome with its reason.
fn exit_of(outcome: &str) -> i32 {
    match outcome {
        "started" | "alreadyRunning" => 0,
        "inDoubt" => 6,
        "failed/authentication" | "failed/forbidden" => 5,
        _ if outcome.starts_with("failed/") => 1,
        _ if outcome.starts_with("denied/") => 3,
        _ if outcome.starts_with("deferred/") => 4,
        _ => panic!("{outcome}"),
    }
}

/// Calls the binary with a deadline for each request.
pub(super) fn ask(host: &Host, args: &[&str], timeout: &str) -> impl Future<Output = Ran> + use<> {
    call(host, args, timeout).run()
}

/// The same before it is made.
pub(super) fn call(host: &Host, args: &[&str], timeout: &str) -> Call {
    host.call(args)
        .patient_never()
        .env("STARTGUARD_OUTPUT", "json")
        .env("STARTGUARD_TOKEN", TOKEN)
        .env("STARTGUARD_GRAPH_CA_FILE", &host.home.path().join("ca.pem").display().to_string())
        .env("STARTGUARD_GRAPH_REQUEST_TIMEOUT", timeout)
        .env("STARTGUARD_GUARD_LEASE", "120s")
        .env("STARTGUARD_GUARD_STATUS_MAX_AGE", "60s")
}

/// A service that is well but for its first GET or its first POST.
struct Script {
    place: Where,
    wire: Wire,
    on: Method,
    worked: bool,
    posted: AtomicBool,
}

impl Script {
    fn of(case: &Case) -> Self {
        Self {
            place: case.row.place.clone(),
            wire: case.wire,
            on: case.on,
            worked: case.worked,
            posted: AtomicBool::new(false),
        }
    }

    fn play(&self, heard: &Heard, nth: usize) -> Option<&Play> {
        match &self.place {
            Where::Answer(_, play) if heard.method == self.on && nth == 0 => Some(play),
            Where::Answer(..) | Where::Connection(..) => None,
        }
    }
}

impl Part for Script {
    fn opening(&self, connection: usize) -> Opening {
        // The read's connection is the first; a POST has its own.
        let its = if self.on == Method::Get { 0 } else { 1 };
        match &self.place {
            Where::Connection(_, opening) if connection == its => {
                // Seen or not, from here on it may have worked.
                self.posted.store(self.on == Method::Post, Ordering::SeqCst);
                opening(self.wire)
            }
            Where::Answer(..) | Where::Connection(..) => Opening::Speaks(self.wire),
        }
    }

    fn steps(&self, heard: &Heard, nth: usize) -> Vec<Step> {
        let talk = Talk::to(heard);
        let is_post = heard.method == Method::Post;
        let after = self.posted.fetch_or(is_post, Ordering::SeqCst);
        if let Some(play) = self.play(heard, nth) {
            return play(&talk);
        }
        let active = !is_post && after && self.worked;
        vec![Step::Send(if active { talk.job("Active") } else { talk.well() })]
    }
}
