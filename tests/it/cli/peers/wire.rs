//! The two versions of HTTP, written and read by hand: a library would not misbehave as it is told.

use super::two;

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) wire: Wire,
    pub(super) connection: usize,
    /// Of HTTP/2; 0 otherwise.
    pub(super) stream: u32,
    pub(super) method: Method,
    /// As it was written on the wire, which in HTTP/2 is packed.
    pub(super) path: Vec<u8>,
}

/// What a client's bytes mean.
#[derive(Debug)]
pub(super) enum Said {
    Request(Heard),
    /// Something that the protocol wants answered with these bytes.
    Owed(Vec<u8>),
    /// The client has given a request up.
    GaveUp,
    /// Nothing that matters here.
    Chatter,
    /// Bytes that are no HTTP: the test is wrong.
    Nonsense(String),
}

/// Takes the next thing that a client said out of what has arrived, if all of it has.
pub(super) fn listen(wire: Wire, connection: usize, arrived: &mut Vec<u8>) -> Option<Said> {
    match wire {
        Wire::One => listen_one(connection, arrived),
        Wire::Two => two::listen(connection, arrived),
    }
}

/// A head up to its empty line, and a body of the length that it tells: only those for tokens have one.
fn listen_one(connection: usize, arrived: &mut Vec<u8>) -> Option<Said> {
    let end = 4 + arrived.windows(4).position(|four| four == b"\r\n\r\n")?;
    let length = String::from_utf8_lossy(&arrived[..end]).lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = end + length.unwrap_or(0);
    if arrived.len() < whole {
        return None;
    }
    let head: Vec<u8> = arrived.drain(..whole).take(end).collect();
    let mut words = head.split(|byte| *byte == b' ');
    let method = match words.next() {
        Some(b"GET") => Method::Get,
        Some(b"POST") => Method::Post,
        other => return Some(Said::Nonsense(format!("{other:?}"))),
    };
    let path = words.next().unwrap_or_default().to_vec();
    Some(Said::Request(Heard { wire: Wire::One, connection, stream: 0, method, path }))
}

/// Writes answers to one request, in its version of HTTP.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub(super) wire: Wire,
    pub(super) stream: u32,
    pub(super) method: Method,
}

impl Talk {
    pub(super) fn to(heard: &Heard) -> Self {
        Self { wire: heard.wire, stream: heard.stream, method: heard.method }
    }

    /// Head and body, and nothing more to come.
    pub(super) fn whole(&self, status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
        match self.wire {
            Wire::One => {
                let mut bytes = status_line(status, headers);
                // Neither has a body, so neither may carry a length.
                if !matches!(status, 204 | 304) && !sets_length(headers) {
                    bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
                }
                bytes.extend(b"\r\n");
                bytes.extend(body.bytes());
                bytes
            }
            Wire::Two if body.is_empty() => two::headers(self.stream, status, headers, true),
            Wire::Two => {
                let mut bytes = two::headers(self.stream, status, headers, false);
                bytes.extend(two::data(self.stream, body.as_bytes(), true));
                bytes
            }
        }
    }

    /// A head with a body to come, in [`Talk::piece`]s.
    pub(super) fn head(&self, status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
        match self.wire {
            Wire::One => {
                let mut bytes = status_line(status, headers);
                if !sets_length(headers) {
                    bytes.extend(b"Transfer-Encoding: chunked\r\n");
                }
                bytes.extend(b"\r\n");
                bytes
            }
            Wire::Two => two::headers(self.stream, status, headers, false),
        }
    }

    /// A piece of a body whose head told no length.
    pub(super) fn piece(&self, bytes: &[u8]) -> Vec<u8> {
        match self.wire {
            Wire::One => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend(bytes);
                chunk.extend(b"\r\n");
                chunk
            }
            Wire::Two => two::data(self.stream, bytes, false),
        }
    }

    /// An answer before the answer.
    pub(super) fn interim(&self, status: u16) -> Vec<u8> {
        match self.wire {
            Wire::One => {
                let mut bytes = status_line(status, &[("Link", "</x>; rel=preload")]);
                bytes.extend(b"\r\n");
                bytes
            }
            Wire::Two => two::headers(self.stream, status, &[("link", "</x>")], false),
        }
    }

    /// What a service that is well answers: a paused job, or 204.
    pub(super) fn well(&self) -> Vec<u8> {
        match self.method {
            Method::Get => self.job("Paused"),
            Method::Post => self.whole(204, &[], ""),
        }
    }

    pub(super) fn job(&self, code: &str) -> Vec<u8> {
        let json = [("content-type", "application/json")];
        self.whole(200, &json, &format!(r#"{{"status":{{"code":"{code}"}}}}"#))
    }
}

fn status_line(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} x\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

fn sets_length(headers: &[(&str, &str)]) -> bool {
    let lengths = ["content-length", "transfer-encoding"];
    headers.iter().any(|(name, _)| lengths.iter().any(|it| name.eq_ignore_ascii_case(it)))
}
