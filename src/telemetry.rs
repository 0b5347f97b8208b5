//! Logs: where they go, how they look, and that nothing hidden reaches them.

use std::io::{self, Write};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::model::{is_hidden, printable_json};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{filter:?} is not a log filter")]
pub struct FilterError {
    /// What was written.
    pub filter: String,
    /// What is wrong with it.
    #[source]
    pub source: tracing_subscriber::filter::ParseError,
}

/// Crates that see requests on the wire. What they tell at their lowest levels may hold headers, so
/// no filter can make them tell more than this.
const QUIET: [&str; 7] = [
    "h2=warn",
    "hyper=warn",
    "hyper_util=warn",
    "reqwest=warn",
    "rustls=warn",
    "azure_core=warn",
    "rustls_platform_verifier=off",
];

/// Sends logs to standard error from now on.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(filter: &str, format: LogFormat) -> Result<(), FilterError> {
    let mut parsed = EnvFilter::try_new(filter)
        .map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    for directive in QUIET.iter().filter_map(|directive| directive.parse().ok()) {
        parsed = parsed.add_directive(directive);
    }
    let builder =
        tracing_subscriber::fmt().with_env_filter(parsed).with_writer(Printable).with_ansi(false);
    let set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // An error means that a program which embeds this one has its own logs already.
    drop(set);
    Ok(())
}

/// Standard error, with everything hidden written out. The one place through which logs pass.
#[derive(Debug, Clone, Copy)]
struct Printable;

/// One event's text on its way out.
#[derive(Debug)]
struct Line<W>(W);

impl<'a> MakeWriter<'a> for Printable {
    type Writer = Line<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(io::stderr())
    }
}

impl<W: Write> Write for Line<W> {
    /// Takes a whole event: the formatter hands each one over in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        if body.contains(is_hidden) {
            // The escapes of JSON are as good in a line of text.
            self.0.write_all(format!("{}\n", printable_json(body)).as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let mut line = Line(Vec::new());
        line.write_all("a\u{1b}[2J\nINFO forged\u{202e}\n".as_bytes()).unwrap();
        let written = String::from_utf8(line.0).unwrap();
        assert_eq!(written, "a\\u001b[2J\\u000aINFO forged\\u202e\n");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = init("startguard=shout", LogFormat::Text).unwrap_err();
        assert_eq!(error.to_string(), r#""startguard=shout" is not a log filter"#);
    }
}
