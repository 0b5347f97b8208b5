//! What only HTTP/1.1 makes possible: its framing is text that two readers may read differently.

use super::{
    row::{
        Read::{Ends, Good, OneOf},
        Row,
        Start::{Unclear, Yes},
    },
    server::Step::{Close, Cut, Hang, Send},
    wire::Talk,
};

const UNAVAILABLE: &str = "failed/graphUnavailable";
const BAD: &str = "failed/badResponse";

/// A job, as an answer's body: 28 characters.
const JOB: &str = r#"{"status":{"code":"Paused"}}"#;

/// Answers with this text and ends the connection.
fn text(name: &str, text: &'static str, read: super::row::Read, start: super::row::Start) -> Row {
    let play = move |_: &Talk| vec![Send(text.as_bytes().to_vec()), Close];
    Row::one(name, play, read, start)
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = cut_short();
    rows.extend(lengths());
    rows.extend(nonsense());
    rows
}

/// Ends inside every part of an answer.
fn cut_short() -> Vec<Row> {
    let parts = [
        ("inside the version", "HTTP/1."),
        ("inside the status", "HTTP/1.1 20"),
        ("after the status", "HTTP/1.1 204"),
        ("after the status line", "HTTP/1.1 204 No Content\r\n"),
        ("inside a header", "HTTP/1.1 204 No Content\r\nX-Ha"),
        ("before the empty line", "HTTP/1.1 204 No Content\r\nX: y\r\n"),
        ("inside the empty line", "HTTP/1.1 204 No Content\r\nX: y\r\n\r"),
    ];
    let mut rows = Vec::new();
    for (place, part) in parts {
        for (how, end) in [("ends", Close), ("is cut", Cut)] {
            let play = move |_: &Talk| vec![Send(part.as_bytes().to_vec()), end.clone()];
            rows.push(Row::one(format!("{how} {place}"), play, Ends(UNAVAILABLE), Unclear));
        }
    }
    rows
}

fn lengths() -> Vec<Row> {
    let short = format!("HTTP/1.1 200 x\r\nContent-Length: 10\r\n\r\n{JOB}");
    let long = format!("HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{JOB}");
    let hangs = long.clone();
    let both = format!(
        "HTTP/1.1 200 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n{JOB}\r\n0\r\n\r\n"
    );
    let send = |text: String| move |_: &Talk| vec![Send(text.clone().into_bytes()), Close];
    vec![
        Row::one("a length that is too short", send(short), Ends(BAD), Unclear),
        Row::one("a length that is too long", send(long), Ends(UNAVAILABLE), Unclear),
        Row::one(
            "a length that is too long, then silence",
            move |_| vec![Send(hangs.clone().into_bytes()), Hang],
            Ends("failed/timeout"),
            Unclear,
        )
        .slow(),
        // Which of the two holds is laid down: the chunks. That it was said twice is not acted on.
        Row::one("a length and chunks", send(both), Good, Unclear),
        text(
            "two lengths",
            "HTTP/1.1 200 x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "a negative length",
            "HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n{}",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "a length beyond all numbers",
            "HTTP/1.1 200 x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "chunks of nonsense",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "a chunk beyond all numbers",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n{}",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "chunks without a last one",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text(
            "a coding that nobody asked for",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n{}",
            OneOf(&[BAD, UNAVAILABLE, "denied/unknownState"]),
            Unclear,
        ),
        text("204 with a body", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello", Ends(BAD), Yes),
        text(
            "204 with chunks",
            "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Ends(BAD),
            Yes,
        ),
        text(
            "two answers for one request",
            "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            Ends(BAD),
            Yes,
        ),
        text(
            "a refusal, then a yes",
            "HTTP/1.1 409 x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            Ends(BAD),
            super::row::Start::No(BAD),
        ),
    ]
}

fn nonsense() -> Vec<Row> {
    let mut rows = vec![
        text("another protocol", "SSH-2.0-OpenSSH_9.6\r\n", Ends(UNAVAILABLE), Unclear),
        text("zeros", "\0\0\0\0\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("HTTP/0.9", "{}\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("HTTP/3.0 in words", "HTTP/3.0 204 x\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("a status of two digits", "HTTP/1.1 20 x\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("a status of four digits", "HTTP/1.1 2040 x\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("a status below all others", "HTTP/1.1 099 x\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text(
            "a header without a name",
            "HTTP/1.1 204 x\r\n: y\r\n\r\n",
            Ends(UNAVAILABLE),
            Unclear,
        ),
        text("a zero in a header", "HTTP/1.1 204 x\r\nX: \0\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("a folded header", "HTTP/1.1 204 x\r\nX: y\r\n z\r\n\r\n", Ends(UNAVAILABLE), Unclear),
        text("an empty line first", "\r\nHTTP/1.1 204 x\r\n\r\n", Ends(BAD), Yes),
        text("bare line feeds", "HTTP/1.1 204 x\nX: y\n\n", Ends(BAD), Yes),
        text("HTTP/1.0", "HTTP/1.0 204 x\r\n\r\n", Ends(BAD), Yes),
        text(
            "a change of protocol",
            "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
            OneOf(&[BAD, UNAVAILABLE]),
            Unclear,
        ),
    ];
    rows.push(Row::one(
        "a hundred thousand headers",
        |_| {
            let headers = "X: y\r\n".repeat(100_000);
            vec![Send(format!("HTTP/1.1 204 x\r\n{headers}\r\n").into_bytes()), Close]
        },
        Ends(UNAVAILABLE),
        Unclear,
    ));
    rows.push(Row::one(
        "a header of a mebibyte",
        |_| {
            let header = "y".repeat(1 << 20);
            vec![Send(format!("HTTP/1.1 204 x\r\nX: {header}\r\n\r\n").into_bytes()), Close]
        },
        Ends(UNAVAILABLE),
        Unclear,
    ));
    rows.push(Row::one(
        "an answer, and the end announced",
        |talk| vec![Send(talk.whole(204, &[("connection", "close")], "")), Close],
        Ends(BAD),
        Yes,
    ));
    rows.push(Row::one(
        "the answer of one that is well",
        |talk| vec![Send(talk.well())],
        Good,
        Yes,
    ));
    rows
}
