//! What can become of a connection before any request is on it.

use super::{
    row::{
        BOTH,
        Read::{Ends, OneOf},
        Row,
        Start::{self, Unclear, Unsent},
    },
    server::{
        Opening::{First, Plain, Raw, Stranger},
        Step::{Close, Cut, Freeze, Hang, Reset, Send},
    },
    two,
    wire::{Method, Talk, Wire},
};

const UNAVAILABLE: &str = "failed/graphUnavailable";

fn hello(wire: Wire) -> Vec<u8> {
    match wire {
        Wire::One => Vec::new(),
        Wire::Two => two::hello(&[]),
    }
}

/// The answer to a start that has not come yet.
fn early(wire: Wire) -> Vec<u8> {
    let talk = Talk { wire, stream: 1, method: Method::Post };
    [hello(wire), talk.whole(204, &[], "")].concat()
}

pub(super) fn rows() -> Vec<Row> {
    let connection = Row::connection;
    vec![
        // Before TLS is there, nothing can have been sent.
        connection("the end before TLS", BOTH, |_| Raw(vec![Close]), Ends(UNAVAILABLE), Unsent),
        connection("a reset before TLS", BOTH, |_| Raw(vec![Reset]), Ends(UNAVAILABLE), Unsent),
        connection(
            "HTTP/1.1 in place of TLS",
            BOTH,
            |_| Raw(vec![Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Close]),
            Ends(UNAVAILABLE),
            Unsent,
        ),
        connection("a server without TLS", BOTH, |_| Plain, Ends(UNAVAILABLE), Unsent),
        connection(
            "TLS that is refused",
            BOTH,
            // A fatal alert: handshake_failure.
            |_| Raw(vec![Send(vec![0x15, 3, 3, 0, 2, 2, 40]), Close]),
            Ends(UNAVAILABLE),
            Unsent,
        ),
        connection("a stranger's certificate", BOTH, |_| Stranger, Ends(UNAVAILABLE), Unsent),
        connection(
            "TLS that is never done",
            BOTH,
            |_| Raw(vec![Freeze]),
            OneOf(&[UNAVAILABLE, "failed/timeout"]),
            Unsent,
        )
        .slow(),
        // From here on a request may have left.
        connection(
            "the end right after TLS",
            BOTH,
            |wire| First(wire, vec![Close]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
        connection(
            "a cut right after TLS",
            BOTH,
            |wire| First(wire, vec![Cut]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
        connection(
            "a reset right after TLS",
            BOTH,
            |wire| First(wire, vec![Reset]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
        connection(
            "silence after TLS",
            BOTH,
            |wire| First(wire, vec![Freeze]),
            OneOf(&["failed/timeout", UNAVAILABLE]),
            Unclear,
        )
        .slow(),
        connection(
            "an answer before the request",
            BOTH,
            |wire| First(wire, vec![Send(early(wire)), Hang]),
            OneOf(&["failed/badResponse", UNAVAILABLE, "failed/timeout"]),
            Start::OneOf(&["started", "inDoubt"]),
        )
        .slow(),
        connection(
            "SETTINGS that allow no stream",
            &[Wire::Two],
            |wire| First(wire, vec![Send(two::hello(&two::NO_STREAMS)), Hang]),
            OneOf(&["failed/timeout", UNAVAILABLE]),
            Unclear,
        )
        .slow(),
        connection(
            "GOAWAY first",
            &[Wire::Two],
            |wire| First(wire, vec![Send([hello(wire), two::go_away(0, 0)].concat()), Hang]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
        connection(
            "GOAWAY in place of SETTINGS",
            &[Wire::Two],
            |wire| First(wire, vec![Send(two::go_away(0, 0)), Close]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
        connection(
            "HTTP/1.1 from one that chose HTTP/2",
            &[Wire::Two],
            |_| First(Wire::Two, vec![Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Close]),
            Ends(UNAVAILABLE),
            Unclear,
        ),
    ]
}
