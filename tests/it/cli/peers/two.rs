//! HTTP/2 frames by hand, and as much of HPACK as a request's method and path need.

use super::wire::{Heard, Method, Said, Wire};
pub(super) use crate::frame::frame;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// What a client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// No server may send a longer frame unasked.
const LONGEST_FRAME: usize = 16_384;

/// A setting: `HEADER_TABLE_SIZE`, so that the client's encoder keeps nothing in mind.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];

/// A setting: `MAX_CONCURRENT_STREAMS`, none.
pub(super) const NO_STREAMS: [u8; 6] = [0, 3, 0, 0, 0, 0];

/// What a server says first.
pub(super) fn hello(more: &[u8]) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&NO_TABLE, more].concat())
}

pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// GOAWAY that has looked at no stream above `last`.
pub(super) fn go_away(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A head; where it is longer than a frame may be, it goes on in CONTINUATIONs.
pub(super) fn headers(
    stream: u32,
    status: u16,
    headers: &[(&str, &str)],
    end_stream: bool,
) -> Vec<u8> {
    let mut all = vec![(":status", status.to_string())];
    all.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields(stream, &all, end_stream)
}

/// A head of just these fields, whatever they are.
pub(super) fn fields(stream: u32, fields: &[(&str, &str)], end_stream: bool) -> Vec<u8> {
    let block = block(fields);
    let last = if end_stream { END_STREAM } else { 0 };
    if block.len() <= LONGEST_FRAME {
        return frame(HEADERS, END_HEADERS | last, stream, &block);
    }
    let (first, rest) = block.split_at(LONGEST_FRAME);
    let mut bytes = frame(HEADERS, last, stream, first);
    let mut pieces = rest.chunks(LONGEST_FRAME).peekable();
    while let Some(piece) = pieces.next() {
        let ends = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        bytes.extend(frame(CONTINUATION, ends, stream, piece));
    }
    bytes
}

/// Fields as HPACK writes them, each a literal that nobody has to remember.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(7, 0, text.len(), &mut block);
            block.extend(text.bytes());
        }
    }
    block
}

pub(super) fn data(stream: u32, bytes: &[u8], end_stream: bool) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut pieces = bytes.chunks(LONGEST_FRAME).peekable();
    while let Some(piece) = pieces.next() {
        let last = if end_stream && pieces.peek().is_none() { END_STREAM } else { 0 };
        frames.extend(frame(DATA, last, stream, piece));
    }
    frames
}

/// Takes the preface or a frame out of what has arrived.
pub(super) fn listen(connection: usize, arrived: &mut Vec<u8>) -> Option<Said> {
    if arrived.starts_with(b"PRI") {
        if arrived.len() < PREFACE.len() {
            return None;
        }
        let preface: Vec<u8> = arrived.drain(..PREFACE.len()).collect();
        return Some(if preface == PREFACE {
            Said::Chatter
        } else {
            Said::Nonsense(format!("the preface {preface:?}"))
        });
    }
    let head = arrived.get(..9)?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let (kind, flags) = (head[3], head[4]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    if arrived.len() < 9 + length {
        return None;
    }
    let payload: Vec<u8> = arrived.drain(..9 + length).skip(9).collect();
    Some(match kind {
        HEADERS => request(connection, stream, flags, &payload),
        SETTINGS if flags & ACK == 0 => Said::Owed(frame(SETTINGS, ACK, 0, &[])),
        PING if flags & ACK == 0 => Said::Owed(frame(PING, ACK, 0, &payload)),
        RST_STREAM => Said::GaveUp,
        _ => Said::Chatter,
    })
}

fn request(connection: usize, stream: u32, flags: u8, block: &[u8]) -> Said {
    if flags & (PADDED | PRIORITY) != 0 || flags & END_HEADERS == 0 {
        return Said::Nonsense(format!("HEADERS with flags {flags:#x}"));
    }
    match method_and_path(block) {
        Some((method, path)) => {
            Said::Request(Heard { wire: Wire::Two, connection, stream, method, path })
        }
        None => Said::Nonsense(format!("the header block {block:?}")),
    }
}

/// The method and the path, still packed, of a block of fields. Their names and the two methods stand
/// in HPACK's static table, where every encoder finds them.
fn method_and_path(mut block: &[u8]) -> Option<(Method, Vec<u8>)> {
    let (mut method, mut path) = (None, None);
    while let Some(first) = block.first().copied() {
        if first & 0x80 != 0 {
            match take_integer(7, &mut block)? {
                2 => method = Some(Method::Get),
                3 => method = Some(Method::Post),
                4 => path = Some(b"/".to_vec()),
                _ => {}
            }
            continue;
        }
        // A change of the table's size has no text.
        if first & 0xe0 == 0x20 {
            take_integer(5, &mut block)?;
            continue;
        }
        let name = take_integer(if first & 0x40 != 0 { 6 } else { 4 }, &mut block)?;
        if name == 0 {
            take_text(&mut block)?;
        }
        let value = take_text(&mut block)?;
        if matches!(name, 4 | 5) {
            path = Some(value);
        }
    }
    Some((method?, path?))
}

/// A text with the bit that says whether it is packed.
fn take_text(block: &mut &[u8]) -> Option<Vec<u8>> {
    let packed = *block.first()? & 0x80;
    let length = take_integer(7, block)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some([&[packed], text].concat())
}

/// An integer whose first part has so many bits.
fn take_integer(bits: u32, block: &mut &[u8]) -> Option<usize> {
    let mut take = || {
        let (first, rest) = block.split_first()?;
        *block = rest;
        Some(usize::from(*first))
    };
    let most = (1_usize << bits) - 1;
    let mut value = take()? & most;
    if value < most {
        return Some(value);
    }
    let mut shift = 0;
    loop {
        let next = take()?;
        value += (next & 0x7f) << shift;
        shift += 7;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
}

fn integer(bits: u32, flags: u8, value: usize, block: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    let small = |value: usize| u8::try_from(value).unwrap();
    if value < most {
        block.push(flags | small(value));
        return;
    }
    block.push(flags | small(most));
    let mut rest = value - most;
    while rest >= 0x80 {
        block.push(small(rest & 0x7f | 0x80));
        rest >>= 7;
    }
    block.push(small(rest));
}

#[test]
fn a_packed_request_is_read() {
    let mut block = vec![0x83, 0x87, 0x41];
    integer(7, 0, 4, &mut block);
    block.extend(b"host");
    block.push(0x04);
    let path = "/".repeat(300);
    integer(7, 0, path.len(), &mut block);
    block.extend(path.bytes());
    let (method, read) = method_and_path(&block).unwrap();
    assert_eq!((method, &read[1..]), (Method::Post, path.as_bytes()));
    block[0] = 0x82;
    assert_eq!(method_and_path(&block).unwrap().0, Method::Get);
    assert!(method_and_path(&block[..20]).is_none());
}
