//! Standard output and standard error: answers on the one, talk on the other.

use std::io::{self, Write as _};

use owo_colors::{OwoColorize as _, Style};
use serde::Serialize;

use super::failure::Failure;
use crate::model::{printable, printable_json};

/// What standard output carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ui {
    pub(super) output: Output,
    /// Columns of the terminal; without a terminal, lines are as long as they are.
    pub(super) width: Option<usize>,
    /// Nothing but answers and errors.
    pub(super) quiet: bool,
}

/// Colours by meaning.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    /// It is as it should be.
    Good,
    /// A person should look at it.
    Notice,
    /// Something is wrong.
    Bad,
    /// Less important.
    Faint,
    /// A heading or a name.
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Good => Style::new().green(),
            Self::Notice => Style::new().yellow(),
            Self::Bad => Style::new().red(),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }
}

/// The text in a tone. Everything hidden in it is written out first, so the only escape sequences
/// that reach a terminal are ours; they are taken out again where there is no terminal.
pub(super) fn toned(text: &str, tone: Tone) -> String {
    printable(text).style(tone.style()).to_string()
}

impl Ui {
    pub(super) fn new(output: Output, quiet: bool) -> Self {
        let size = terminal_size::terminal_size_of(io::stdout());
        Self { output, width: size.map(|(width, _)| usize::from(width.0)), quiet }
    }

    pub(super) fn is_json(self) -> bool {
        self.output == Output::Json
    }

    /// Prints one JSON object on a line of its own.
    pub(super) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let line = serde_json::to_string(value)
            .map_err(|error| Failure::failed(&error, "report this as a defect"))?;
        write_out(&format!("{}\n", printable_json(&line)))
    }

    /// Prints text whose parts are printable already (see [`toned`]).
    pub(super) fn text(self, text: &str) -> Result<(), Failure> {
        write_out(text)
    }

    /// A paragraph, wrapped to the terminal, its later lines indented.
    pub(super) fn paragraph(self, text: &str, indent: &str) -> String {
        let text = printable(text);
        match self.width {
            None => format!("{indent}{text}\n"),
            Some(width) => {
                // Narrower than this, wrapping breaks more than it mends.
                let options = textwrap::Options::new(width.max(20))
                    .initial_indent(indent)
                    .subsequent_indent(indent)
                    // Ids are full of hyphens, and a command that is pasted must be whole.
                    .word_splitter(textwrap::WordSplitter::NoHyphenation)
                    .break_words(false);
                let mut filled = textwrap::fill(&text, options);
                filled.push('\n');
                filled
            }
        }
    }
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written.map_err(|error| Failure::output(&error)) {
        Ok(()) | Err(None) => Ok(()),
        Err(Some(failure)) => Err(failure),
    }
}

/// Says something to the person at the terminal. Nothing depends on it being read.
pub(super) fn say(text: &str) {
    let written = writeln!(anstream::stderr(), "{text}");
    drop(written);
}

/// Prints why a command failed, and what to do next.
pub(super) fn complain(failure: &Failure) {
    say(&format!("{} {}", toned("error:", Tone::Bad), printable(&failure.message)));
    if let Some(remedy) = &failure.remedy {
        say(&format!("  {} {}", toned("next:", Tone::Faint), printable(remedy)));
    }
}

/// Says what is not an error and should still be known.
pub(super) fn warn(text: &str) {
    say(&format!("{} {}", toned("warning:", Tone::Notice), printable(text)));
}
