//! How far a command is: a line on a terminal that changes.

use std::io::{IsTerminal, Write, stderr};

/// Tells on standard error, if that is a terminal and somebody looks at it.
pub(super) struct Progress {
    terminal: bool,
}

impl Progress {
    pub(super) fn new(watched: bool) -> Self {
        Self { terminal: watched && stderr().is_terminal() }
    }

    /// Puts a line in the place of the one before.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        if self.terminal {
            // Progress that cannot be told is no reason to stop.
            let _ = write!(stderr(), "\r\x1b[K{}", line());
        }
    }

    /// Removes the line, so that something else can be written.
    pub(super) fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
