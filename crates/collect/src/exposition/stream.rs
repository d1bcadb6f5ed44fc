//! OpenMetrics texts of any size: read in pieces of whole lines, of which one is held at a time.

use std::collections::HashMap;
use std::io::Read;

use base::{Error, Labels, Result};

use super::{Event, Format, Parser};
use crate::limits::{STREAM_CACHE_BYTES, STREAM_LINE_BYTES, STREAM_PIECE_BYTES};

const EOF: &[u8] = b"# EOF\n";

/// A sample of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamSample<'a> {
    /// The series.
    pub labels: &'a Labels,
    /// Its timestamp in milliseconds since the epoch, if it has one.
    pub timestamp_ms: Option<i64>,
    /// The value.
    pub value: f64,
    /// Line of the text, from 1.
    pub line: usize,
}

/// Reads a text until its `# EOF`, and hands over its samples. An error names the line.
pub fn read_openmetrics(
    input: &mut dyn Read,
    sink: &mut dyn FnMut(StreamSample<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = Pieces { line: 1, ..Pieces::default() };
    let mut rest = Vec::new();
    loop {
        let before = rest.len();
        let n = Read::take(&mut *input, STREAM_PIECE_BYTES as u64)
            .read_to_end(&mut rest)
            .map_err(|e| Error::unavailable(format!("cannot read the text: {e}")))?;
        if n == 0 {
            // The last line may do without its end.
            if !rest.is_empty() {
                rest.push(b'\n');
                reader.read(&rest, sink)?;
            }
            return if reader.ended { Ok(()) } else { Err(reader.error(0, "data does not end with # EOF")) };
        }
        let Some(end) = memchr::memrchr(b'\n', &rest[before..]).map(|at| before + at + 1) else {
            if rest.len() > STREAM_LINE_BYTES {
                return Err(reader.error(0, "the line is longer than lines may be"));
            }
            continue;
        };
        reader.read(&rest[..end], sink)?;
        rest.drain(..end);
    }
}

#[derive(Default)]
struct Pieces {
    /// The line that the next piece begins with.
    line: usize,
    ended: bool,
    /// The `# TYPE` line in force, which says what `le` means.
    family: Vec<u8>,
    /// Label sets by how the text writes them, of one family.
    labels: HashMap<Vec<u8>, Labels>,
    labels_bytes: usize,
    text: Vec<u8>,
}

impl Pieces {
    fn read(&mut self, piece: &[u8], sink: &mut dyn FnMut(StreamSample<'_>) -> Result<()>) -> Result<()> {
        if self.ended {
            return Err(self.error(0, "unexpected data after # EOF"));
        }
        self.ended = piece == EOF || piece.strip_suffix(EOF).is_some_and(|before| before.ends_with(b"\n"));
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.extend_from_slice(&self.family);
        text.extend_from_slice(piece);
        if !self.ended {
            text.extend_from_slice(EOF);
        }
        let read = self.parse(&text, sink);
        self.line += memchr::memchr_iter(b'\n', piece).count();
        let last = memchr::memmem::rfind(piece, b"\n# TYPE ").map(|at| at + 1);
        if let Some(at) = last.or_else(|| piece.starts_with(b"# TYPE ").then_some(0)) {
            let len = memchr::memchr(b'\n', &piece[at..]).map_or(piece.len() - at, |end| end + 1);
            self.family = piece[at..at + len].to_vec();
        }
        self.text = text;
        read
    }

    fn parse(&mut self, text: &[u8], sink: &mut dyn FnMut(StreamSample<'_>) -> Result<()>) -> Result<()> {
        let repeated = usize::from(!self.family.is_empty());
        let mut parser = Parser::new(Format::OpenMetrics, text);
        let mut line = LineCount { text, at: 0, line: self.line - repeated };
        loop {
            let event = match parser.next() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(e) => return Err(self.error(e.line.saturating_sub(1 + repeated), &e.message)),
            };
            match event {
                Event::Series(series) => {
                    let line = line.of(series.bytes());
                    if !self.labels.contains_key(series.bytes()) {
                        self.remember(series.bytes(), series.to_builder().build());
                    }
                    let labels = &self.labels[series.bytes()];
                    let (timestamp_ms, value) = (series.timestamp_ms, series.value);
                    sink(StreamSample { labels, timestamp_ms, value, line })
                        .map_err(|e| e.context(format_args!("line {line}")))?;
                }
                Event::Type { .. } => {
                    self.labels.clear();
                    self.labels_bytes = 0;
                }
                Event::Help { .. } | Event::Unit { .. } | Event::Comment(_) | Event::Histogram(..) => {}
            }
        }
    }

    fn remember(&mut self, bytes: &[u8], labels: Labels) {
        if self.labels_bytes > STREAM_CACHE_BYTES {
            self.labels.clear();
            self.labels_bytes = 0;
        }
        self.labels_bytes += bytes.len() + labels.size_bytes() + size_of::<(Vec<u8>, Labels)>();
        self.labels.insert(bytes.to_vec(), labels);
    }

    /// An error about a line, counted from the piece's first.
    fn error(&self, line: usize, message: &str) -> Error {
        Error::invalid(format!("line {}: {message}", self.line + line))
    }
}

/// Counts lines up to places that come in order.
struct LineCount<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl LineCount<'_> {
    /// The line that a part of the text begins in.
    fn of(&mut self, part: &[u8]) -> usize {
        let at = part.as_ptr().addr() - self.text.as_ptr().addr();
        self.line += memchr::memchr_iter(b'\n', &self.text[self.at..at]).count();
        self.at = at;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(buf.len()).min(self.0.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    /// Series, time, value and line.
    type Found = Vec<(String, Option<i64>, f64, usize)>;

    fn read(text: &str) -> Result<Found> {
        let mut found = Vec::new();
        read_openmetrics(&mut Slow(text.as_bytes(), 7), &mut |s| {
            found.push((s.labels.to_string(), s.timestamp_ms, s.value, s.line));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn reads_what_lies_in_many_pieces() {
        let line = "a_bucket{le=\"1\"} 3 1.5\n";
        let lines = 3 * STREAM_PIECE_BYTES / line.len();
        let text = format!("# TYPE a histogram\n{}# EOF\n", line.repeat(lines));
        let found = read(&text).unwrap();
        assert_eq!(found.len(), lines);
        // What `le` means is known in every piece, and lines are counted across them.
        for (i, sample) in found.into_iter().enumerate() {
            assert_eq!(sample, ("a_bucket{le=\"1.0\"}".into(), Some(1500), 3.0, i + 2));
        }
        let broken = text.replace("# EOF\n", "a{ 1 1\n# EOF\n");
        let error = read(&broken).unwrap_err();
        assert!(error.message().starts_with(&format!("line {}: ", lines + 2)), "{error}");
    }

    #[test]
    fn insists_on_the_end() {
        assert_eq!(read("a 1 1\n# EOF").unwrap().len(), 1);
        assert_eq!(read("# EOF\n").unwrap(), []);
        for (text, want) in [
            ("a 1 1\n", "line 2: data does not end with # EOF"),
            ("", "line 1: data does not end with # EOF"),
            ("a 1 1\n# EOF\na 1 2\n# EOF\n", "unexpected data after # EOF"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().contains(want), "{text:?}: {error}");
        }
    }
}
