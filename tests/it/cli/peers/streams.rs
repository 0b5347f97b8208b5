//! What only HTTP/2 makes possible: its streams, and a client that may repeat what was refused.

use super::{
    row::{
        Read::{Ends, Good, OneOf},
        Row,
        Start::{Unclear, Yes},
    },
    server::Step::{Close, Cut, Flood, Freeze, Hang, Send},
    two::{
        CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE,
        block, data, fields, frame, go_away, headers, reset,
    },
    wire::{Method, Talk},
};

const UNAVAILABLE: &str = "failed/graphUnavailable";
const BAD: &str = "failed/badResponse";
const YES: (&str, &str) = (":status", "204");

/// A stream above all that a client opens.
const ALL: u32 = 0x7fff_ffff;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = resets();
    rows.extend(departures());
    rows.extend(heads());
    rows.extend(frames());
    rows
}

/// A stream that is reset with every code: the client may repeat a refused one, and this one does not.
fn resets() -> Vec<Row> {
    let codes = [
        (0, "NO_ERROR"),
        (2, "INTERNAL_ERROR"),
        (7, "REFUSED_STREAM"),
        (8, "CANCEL"),
        (11, "ENHANCE_YOUR_CALM"),
        (13, "HTTP_1_1_REQUIRED"),
        (0xdead, "a code that nobody knows"),
    ];
    let mut rows = Vec::new();
    for (code, name) in codes {
        let play = move |talk: &Talk| vec![Send(reset(talk.stream, code))];
        rows.push(Row::two(format!("RST_STREAM {name}"), play, Ends(UNAVAILABLE), Unclear));
        let play = move |talk: &Talk| {
            let mut answer = talk.head(200, &[]);
            answer.extend(talk.piece(b"{\"status\""));
            vec![Send(answer), Send(reset(talk.stream, code))]
        };
        // NO_ERROR says that all was sent that will be: what is there is half of a job.
        let read = if code == 0 { BAD } else { UNAVAILABLE };
        rows.push(Row::two(format!("RST_STREAM {name} in a body"), play, Ends(read), Unclear));
    }
    for (code, name) in [(0, "NO_ERROR"), (7, "REFUSED_STREAM")] {
        let play = move |talk: &Talk| {
            vec![Send([talk.whole(204, &[], ""), reset(talk.stream, code)].concat())]
        };
        rows.push(Row::two(format!("204, then RST_STREAM {name}"), play, Ends(BAD), Yes));
    }
    rows
}

/// A connection that its server gives up.
fn departures() -> Vec<Row> {
    let mut rows = Vec::new();
    for (code, name) in
        [(0, "NO_ERROR"), (2, "INTERNAL_ERROR"), (7, "REFUSED_STREAM"), (11, "CALM")]
    {
        let play = move |_: &Talk| vec![Send(go_away(0, code)), Close];
        rows.push(Row::two(
            format!("GOAWAY {name} that saw nothing"),
            play,
            Ends(UNAVAILABLE),
            Unclear,
        ));
        let play = move |talk: &Talk| vec![Send(go_away(talk.stream, code)), Close];
        rows.push(Row::two(format!("GOAWAY {name} that saw it"), play, Ends(UNAVAILABLE), Unclear));
    }
    rows.extend([
        Row::two(
            "GOAWAY that saw nothing, and the connection stays",
            |_| vec![Send(go_away(0, 0)), Hang],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "GOAWAY that saw it, and silence",
            |talk| vec![Send(go_away(talk.stream, 0)), Hang],
            Ends("failed/timeout"),
            Unclear,
        )
        .slow(),
        Row::two(
            "GOAWAY, and the answer all the same",
            |talk| vec![Send(go_away(ALL, 0)), Send(talk.well()), Close],
            Good,
            Yes,
        ),
        Row::two(
            "GOAWAY twice, and the answer all the same",
            |talk| vec![Send(go_away(ALL, 0)), Send(go_away(talk.stream, 0)), Send(talk.well())],
            Good,
            Yes,
        ),
        Row::two(
            "GOAWAY that saw less, then more",
            |talk| vec![Send([go_away(0, 0), go_away(talk.stream, 0)].concat()), Cut],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "silence, and not even a ping is answered",
            |_| vec![Freeze],
            OneOf(&["failed/timeout", UNAVAILABLE]),
            Unclear,
        )
        .slow(),
    ]);
    rows
}

fn heads() -> Vec<Row> {
    let head = |name: &str, all: &'static [(&'static str, &'static str)]| {
        let play = move |talk: &Talk| vec![Send(fields(talk.stream, all, true))];
        Row::two(name, play, Ends(UNAVAILABLE), Unclear)
    };
    vec![
        head("a head without a status", &[("x", "y")]),
        head("a head of nothing", &[]),
        head("a status of two digits", &[(":status", "20")]),
        head("a status that is no number", &[(":status", "2x4")]),
        head("two statuses", &[YES, (":status", "403")]),
        head("a status after a header", &[("x", "y"), YES]),
        head("a header in capitals", &[YES, ("X-Big", "y")]),
        head("a header of connections", &[YES, ("connection", "close")]),
        head("a header with a line feed", &[YES, ("x", "y\nz")]),
        Row::two(
            "204 with a pseudo-header of requests",
            |talk| vec![Send(fields(talk.stream, &[YES, (":path", "/")], true))],
            Ends(BAD),
            Yes,
        ),
        Row::two(
            "an end that is promised more",
            |talk| vec![Send(headers(talk.stream, 200, &[("content-length", "100")], true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "a length that is too long",
            |talk| {
                let head = headers(talk.stream, 200, &[("content-length", "100")], false);
                vec![Send([head, data(talk.stream, b"{}", true)].concat())]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "a length that is too short",
            |talk| {
                let head = headers(talk.stream, 200, &[("content-length", "1")], false);
                vec![Send([head, data(talk.stream, b"{}", true)].concat())]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "204 with a body",
            |talk| {
                let head = headers(talk.stream, 204, &[], false);
                vec![Send([head, data(talk.stream, b"hello", true)].concat())]
            },
            Ends(BAD),
            Yes,
        ),
        Row::two(
            "a header of a mebibyte",
            |talk| {
                let long = "y".repeat(1 << 20);
                vec![Send(headers(talk.stream, 204, &[("x", &long)], true))]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "more headers than anyone reads",
            |talk| vec![Send(headers(talk.stream, 204, &[("x", "y"); 2_000], true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "CONTINUATION without end",
            |talk| {
                let more = frame(CONTINUATION, 0, talk.stream, &block(&[("x", "y"); 100]));
                let head = frame(HEADERS, 0, talk.stream, &block(&[(":status", "204")]));
                vec![Send(head), Flood(more, usize::MAX)]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "empty CONTINUATIONs without end",
            |talk| {
                let more = frame(CONTINUATION, 0, talk.stream, &[]);
                let head = frame(HEADERS, 0, talk.stream, &block(&[(":status", "204")]));
                vec![Send(head), Flood(more.repeat(100), usize::MAX)]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "a head that is not HPACK",
            |talk| vec![Send(frame(HEADERS, END_HEADERS | 1, talk.stream, &[0xff; 20]))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
    ]
}

fn frames() -> Vec<Row> {
    vec![
        Row::two(
            "a body before its head",
            |talk| vec![Send(data(talk.stream, b"{}", true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "an answer on a stream that nobody opened",
            |talk| vec![Send(headers(talk.stream + 2, 204, &[], true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "an answer on a stream of the server's",
            |_| vec![Send(headers(2, 204, &[], true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "an answer on no stream",
            |_| vec![Send(headers(0, 204, &[], true))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "PUSH_PROMISE",
            |talk| {
                let promised = [
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", "127.0.0.1"),
                    (":path", "/v1.0/x"),
                ];
                let payload = [2_u32.to_be_bytes().to_vec(), block(&promised)].concat();
                vec![Send(frame(PUSH_PROMISE, END_HEADERS, talk.stream, &payload))]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "a frame that is too long",
            |talk| vec![Send(frame(DATA, 0, talk.stream, &[b' '; 20_000]))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "half a frame, then the end",
            |talk| {
                let mut half = talk.well();
                half.pop();
                vec![Send(half), Close]
            },
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "a window beyond all windows",
            |_| vec![Send(frame(WINDOW_UPDATE, 0, 0, &ALL.to_be_bytes()))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "SETTINGS of half a setting",
            |_| vec![Send(frame(SETTINGS, 0, 0, &[0, 3, 0]))],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "HTTP/1.1 in place of a frame",
            |_| vec![Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Close],
            Ends(UNAVAILABLE),
            Unclear,
        ),
        Row::two(
            "frames that nobody knows, then the answer",
            |talk| {
                let unknown = frame(0xee, 0xff, talk.stream, b"hello");
                vec![Flood(unknown, 100), Send(talk.well())]
            },
            Good,
            Yes,
        ),
        Row::two(
            "a thousand pings, then the answer",
            |talk| vec![Flood(frame(PING, 0, 0, &[7; 8]), 1_000), Send(talk.well())],
            Good,
            Yes,
        ),
        Row::two(
            "a thousand settings, then the answer",
            |talk| vec![Flood(frame(SETTINGS, 0, 0, &[]), 1_000), Send(talk.well())],
            Good,
            Yes,
        ),
        Row::two(
            "a change of protocol",
            |talk| vec![Send(headers(talk.stream, 101, &[], true))],
            OneOf(&[BAD, UNAVAILABLE]),
            Unclear,
        ),
        Row::two(
            "an answer that was trailed",
            |talk| {
                let answer = match talk.method {
                    Method::Get => {
                        let head = headers(talk.stream, 200, &[], false);
                        let body = data(talk.stream, br#"{"status":{"code":"Paused"}}"#, false);
                        [head, body].concat()
                    }
                    Method::Post => headers(talk.stream, 204, &[], false),
                };
                let trailers = fields(talk.stream, &[("x", "y")], true);
                vec![Send([answer, trailers].concat())]
            },
            Good,
            Yes,
        ),
    ]
}
