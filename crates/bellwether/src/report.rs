//! What a command has to say: its lines on standard output and standard error, in order, and its exit code.
//!
//! Commands gather it, so that tests read what a user would, and `main` writes it.

use std::fmt::Display;
use std::io::Write;

/// Everything is in order.
pub const SUCCESS: u8 = 0;
/// Something is wrong.
pub const FAILURE: u8 = 1;
/// What was checked is valid, and something about it is unwise.
pub const LINT: u8 = 3;

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// What a command said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pieces: Vec<(Stream, String)>,
    /// The exit code.
    pub code: u8,
}

impl Report {
    /// Nothing said yet, and this exit code.
    pub fn with_code(code: u8) -> Self {
        Self { pieces: Vec::new(), code }
    }

    /// Adds a line to standard output.
    pub fn out(&mut self, line: impl Display) {
        self.pieces.push((Stream::Out, format!("{line}\n")));
    }

    /// Adds a line to standard error.
    pub fn err(&mut self, line: impl Display) {
        self.pieces.push((Stream::Err, format!("{line}\n")));
    }

    /// Everything on standard output.
    pub fn out_text(&self) -> String {
        self.of(Stream::Out)
    }

    /// Everything on standard error.
    pub fn err_text(&self) -> String {
        self.of(Stream::Err)
    }

    /// Replaces a text everywhere, as tests do with the names of their folders.
    #[cfg(test)]
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        self.pieces.iter_mut().for_each(|(_, text)| *text = text.replace(from, to));
    }

    fn of(&self, stream: Stream) -> String {
        self.pieces.iter().filter(|(s, _)| *s == stream).map(|(_, text)| text.as_str()).collect()
    }

    /// Writes everything.
    pub fn write(&self) -> std::io::Result<()> {
        for (stream, text) in &self.pieces {
            match stream {
                Stream::Out => std::io::stdout().write_all(text.as_bytes())?,
                Stream::Err => std::io::stderr().write_all(text.as_bytes())?,
            }
        }
        std::io::stdout().flush()
    }
}
