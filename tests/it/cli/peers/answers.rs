//! What a server can answer in either version of HTTP.

use super::{
    row::{
        Read::{Ends, Good, OneOf},
        Row,
        Start::{self, No, Unclear, Yes},
    },
    server::Step::{self, Close, Cut, Flood, Hang, Reset, Send, Trickle, UntilGivenUp},
    two,
    wire::{Talk, Wire},
};

const UNAVAILABLE: &str = "failed/graphUnavailable";
const FORBIDDEN: &str = "failed/forbidden";
const BAD: &str = "failed/badResponse";
const TIMEOUT: &str = "failed/timeout";
const THROTTLED: &str = "deferred/throttled";

const HTML: (&str, &str) = ("content-type", "text/html");
const PAGE: &str = "<!DOCTYPE html><title>Sign in</title>";

/// Every row of this page. `elsewhere` is an origin at which nothing may ever arrive.
pub(super) fn rows(elsewhere: &str) -> Vec<Row> {
    let mut rows = redirects(elsewhere);
    rows.extend(statuses());
    rows.extend(waits());
    rows.extend(interims());
    rows.extend(bodies());
    rows.extend(endings());
    rows
}

/// A whole answer with a status alone.
fn status(status: u16) -> impl Fn(&Talk) -> Vec<Step> + std::marker::Send + Sync + 'static {
    move |talk| vec![Send(talk.whole(status, &[], ""))]
}

/// None is followed, wherever to. Nobody knows what sent it, so a redirected start is in doubt.
fn redirects(elsewhere: &str) -> Vec<Row> {
    let own = "/v1.0/elsewhere".to_owned();
    let other = format!("{elsewhere}/v1.0/elsewhere?q=secret");
    let mut rows = Vec::new();
    for code in 300..=308 {
        for (place, to) in [("its own origin", &own), ("another origin", &other)] {
            let to = to.clone();
            let play = move |talk: &Talk| vec![Send(talk.whole(code, &[("location", &to)], ""))];
            rows.push(Row::both(format!("{code} to {place}"), play, Ends(BAD), Unclear));
        }
    }
    rows.push(Row::both("307 to nowhere", status(307), Ends(BAD), Unclear));
    rows
}

fn statuses() -> Vec<Row> {
    let mut rows = Vec::new();
    // Only 204 is a yes: any other 2xx is somebody else's.
    for code in [201, 202, 206] {
        let play = move |talk: &Talk| vec![Send(talk.whole(code, &[HTML], PAGE))];
        rows.push(Row::both(code.to_string(), play, Ends(BAD), Unclear));
    }
    rows.push(Row::both("200 without a body", status(200), Ends(BAD), Unclear));
    rows.push(Row::both("204", status(204), Ends(BAD), Yes));
    // Which of all statuses means what is tested at the adapter, in `start.rs`.
    let refusals = [
        (400, BAD),
        (401, "failed/authentication"),
        (403, FORBIDDEN),
        (404, "failed/notFound"),
        (407, BAD),
        (409, BAD),
        (421, BAD),
        (425, BAD),
    ];
    for (code, how) in refusals {
        rows.push(Row::both(code.to_string(), status(code), Ends(how), No(how)));
    }
    // Behind a gateway that gave up waiting, or believes its caller gone, the start may go on.
    for code in [408, 499] {
        rows.push(Row::both(code.to_string(), status(code), Ends(BAD), Unclear));
    }
    for code in [500, 502, 503, 504, 511, 599] {
        rows.push(Row::both(code.to_string(), status(code), Ends(UNAVAILABLE), Unclear));
    }
    for code in [600, 999] {
        rows.push(Row::both(code.to_string(), status(code), Ends(BAD), Unclear));
    }
    for (code, how) in [(403, No(FORBIDDEN)), (502, Unclear)] {
        let play = move |talk: &Talk| vec![Send(talk.whole(code, &[HTML], PAGE))];
        let read = if code == 403 { FORBIDDEN } else { UNAVAILABLE };
        rows.push(Row::both(format!("{code} with a page"), play, Ends(read), how));
    }
    rows
}

/// `Retry-After`. Where it says a time, or nobody can tell what it says, nothing more is asked.
fn waits() -> Vec<Row> {
    let row = |code: u16, name: &str, value: &'static [&'static str]| {
        let play = move |talk: &Talk| {
            let headers: Vec<_> = value.iter().map(|value| ("retry-after", *value)).collect();
            vec![Send(talk.whole(code, &headers, ""))]
        };
        Row::both(format!("{code} with {name}"), play, Ends(THROTTLED), No(THROTTLED))
    };
    let mut rows = Vec::new();
    for code in [429, 503] {
        rows.extend([
            row(code, "seconds", &["120"]).hushes(),
            row(code, "seconds without end", &["99999999999999999999"]).hushes(),
            row(code, "a date far away", &["Fri, 31 Dec 9999 23:59:59 GMT"]).hushes(),
            row(code, "an unreadable wait", &["soon"]).hushes(),
            row(code, "a wait that is no text", &["\u{fc}\u{e9}"]).hushes(),
            row(code, "an empty wait", &[""]).hushes(),
            row(code, "two waits", &["0", "120"]).hushes(),
        ]);
    }
    let past = ["Mon, 23 Nov 2015 09:00:00 GMT"];
    let play = move |code: u16| {
        move |talk: &Talk| vec![Send(talk.whole(code, &[("retry-after", past[0])], ""))]
    };
    rows.push(Row::both(
        "429 with a date that has passed",
        play(429),
        Ends(THROTTLED),
        No(THROTTLED),
    ));
    rows.push(Row::both(
        "503 with a date that has passed",
        play(503),
        Ends(UNAVAILABLE),
        No(THROTTLED),
    ));
    rows.push(Row::both("429 without a word", status(429), Ends(THROTTLED), No(THROTTLED)));
    rows
}

/// Answers before the answer are waited through, as long as there is time.
fn interims() -> Vec<Row> {
    let mut rows = Vec::new();
    for code in [100, 103] {
        let play = move |talk: &Talk| vec![Flood(talk.interim(code), 3), Send(talk.well())];
        rows.push(Row::both(format!("three {code}s, then the answer"), play, Good, Yes));
        let play = move |talk: &Talk| vec![Flood(talk.interim(code), 2_000), Send(talk.well())];
        rows.push(Row::both(format!("two thousand {code}s, then the answer"), play, Good, Yes));
    }
    for code in [100, 103] {
        let play = move |talk: &Talk| vec![Send(talk.interim(code)), Hang];
        rows.push(Row::both(format!("{code}, then silence"), play, Ends(TIMEOUT), Unclear).slow());
        let play = move |talk: &Talk| vec![Flood(talk.interim(code), usize::MAX)];
        rows.push(Row::both(format!("{code}s without end"), play, Ends(TIMEOUT), Unclear).slow());
    }
    rows
}

fn bodies() -> Vec<Row> {
    let json = ("content-type", "application/json");
    let gzip = [json, ("content-encoding", "gzip")];
    vec![
        Row::both(
            "a page with 200",
            |talk| vec![Send(talk.whole(200, &[HTML], PAGE))],
            Ends(BAD),
            Unclear,
        ),
        Row::both("a job with 200", |talk| vec![Send(talk.job("Paused"))], Good, Unclear),
        Row::both(
            "a packed body",
            move |talk| vec![Send(talk.whole(200, &gzip, "\u{1f}packed"))],
            Ends(BAD),
            Unclear,
        ),
        Row::both(
            "half of the JSON, as if it were all",
            |talk| vec![Send(talk.whole(200, &[], r#"{"status":{"code":"Pau"#))],
            Ends(BAD),
            Unclear,
        ),
        Row::both(
            "a body that says it has 512 MiB",
            |talk| {
                let mebibyte = "0".repeat(1 << 20).into_bytes();
                let length = [("content-length", "536870912")];
                let bytes = match talk.wire {
                    Wire::One => mebibyte,
                    Wire::Two => talk.piece(&mebibyte),
                };
                vec![Send(talk.head(200, &length)), Flood(bytes, 512)]
            },
            Ends(BAD),
            Unclear,
        ),
        Row::both(
            "a body without end",
            |talk| {
                let piece = talk.piece(&[b' '; 0x4000]);
                vec![Send(talk.head(200, &[])), Flood(piece, usize::MAX)]
            },
            // Over HTTP/2 nobody waits for the window, and that may be noticed first.
            OneOf(&[BAD, UNAVAILABLE]),
            Unclear,
        ),
        Row::both(
            "a refusal with a body without end",
            |talk| {
                let piece = talk.piece(&[b' '; 0x4000]);
                vec![Send(talk.head(403, &[])), Flood(piece, usize::MAX)]
            },
            Ends(FORBIDDEN),
            No(FORBIDDEN),
        ),
        Row::both(
            "a body that trickles",
            |talk| vec![Send(talk.head(200, &[])), Trickle(talk.piece(b" "))],
            Ends(TIMEOUT),
            Unclear,
        )
        .slow(),
        Row::both(
            "a refusal with a body that trickles",
            |talk| vec![Send(talk.head(403, &[])), Trickle(talk.piece(b" "))],
            Ends(FORBIDDEN),
            No(FORBIDDEN),
        )
        .slow(),
        Row::both(
            "a head that trickles",
            |talk| match talk.wire {
                Wire::One => {
                    vec![Send(b"HTTP/1.1 204 x\r\n".to_vec()), Trickle(b"X-More: y\r\n".to_vec())]
                }
                Wire::Two => vec![
                    Send(two::frame(
                        two::HEADERS,
                        0,
                        talk.stream,
                        &two::block(&[(":status", "204")]),
                    )),
                    Trickle(two::frame(
                        two::CONTINUATION,
                        0,
                        talk.stream,
                        &two::block(&[("x", "y")]),
                    )),
                ],
            },
            // Over HTTP/2 no ping can be answered inside a head.
            OneOf(&[TIMEOUT, UNAVAILABLE]),
            Unclear,
        )
        .slow(),
        Row::both(
            "a head that is never done",
            |talk| match talk.wire {
                Wire::One => vec![Send(b"HTTP/1.1 204 x\r\nX: y\r\n".to_vec()), Hang],
                Wire::Two => {
                    let block = two::block(&[(":status", "204")]);
                    vec![Send(two::frame(two::HEADERS, 0, talk.stream, &block)), Hang]
                }
            },
            OneOf(&[TIMEOUT, UNAVAILABLE]),
            Unclear,
        )
        .slow(),
        Row::both(
            "half a body, then silence",
            |talk| vec![Send(talk.head(200, &[])), Send(talk.piece(b"{\"status\"")), Hang],
            Ends(TIMEOUT),
            Unclear,
        )
        .slow(),
    ]
}

/// How a connection can end, before an answer and in one.
fn endings() -> Vec<Row> {
    let mut rows = Vec::new();
    // A reset throws away what was not read yet, so after one it is a race what is seen.
    let ends = [
        (Close, "a farewell", false),
        (Cut, "no farewell of TLS", false),
        (Reset, "a reset", true),
    ];
    for (end, how, race) in ends {
        let after = |parts: fn(&Talk) -> Vec<Vec<u8>>| {
            let end = end.clone();
            move |talk: &Talk| parts(talk).into_iter().map(Send).chain([end.clone()]).collect()
        };
        let nothing = after(|_| Vec::new());
        rows.push(Row::both(
            format!("{how} before any answer"),
            nothing,
            Ends(UNAVAILABLE),
            Unclear,
        ));
        let half = after(|talk| vec![talk.head(200, &[]), talk.piece(b"{\"status\"")]);
        rows.push(Row::both(format!("{how} in the body"), half, Ends(UNAVAILABLE), Unclear));

        let refusal = after(|talk| vec![talk.head(403, &[]), talk.piece(b"{\"error\"")]);
        let (read, start) = if race {
            (OneOf(&[FORBIDDEN, UNAVAILABLE]), Start::OneOf(&[FORBIDDEN, "inDoubt"]))
        } else {
            (Ends(FORBIDDEN), No(FORBIDDEN))
        };
        rows.push(Row::both(format!("{how} in a refusal's body"), refusal, read, start));

        let yes = after(|talk| vec![talk.whole(204, &[], "")]);
        let (read, start) = if race {
            (OneOf(&[BAD, UNAVAILABLE]), Start::OneOf(&["started", "inDoubt"]))
        } else {
            (Ends(BAD), Yes)
        };
        rows.push(Row::both(format!("{how} right after 204"), yes, read, start));
    }
    rows.push(Row::both("silence", |_| vec![Hang], Ends(TIMEOUT), Unclear).slow());
    rows.push(
        Row::both(
            "an answer after the deadline",
            |talk| vec![UntilGivenUp, Send(talk.well())],
            Ends(TIMEOUT),
            Unclear,
        )
        .slow(),
    );
    rows
}
