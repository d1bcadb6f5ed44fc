//! What is wrong with a query's text, and where.

use std::fmt;

use crate::ast::Span;

/// One thing wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Where.
    pub span: Span,
    /// What, in Prometheus' words.
    pub message: String,
}

/// Everything wrong with a query, in the order in which it was found: at least one error.
///
/// Displayed as the first one with its line and column, `1:5: parse error: …`, as Prometheus does, because the later
/// ones are often consequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors {
    errors: Vec<ParseError>,
    position: String,
}

impl ParseErrors {
    /// The errors of a query; `None` if there are none.
    pub(crate) fn new(query: &[u8], errors: Vec<ParseError>) -> Option<Self> {
        let position = position_in(query, errors.first()?.span.start);
        Some(Self { errors, position })
    }

    /// The errors, in the order in which they were found.
    pub fn errors(&self) -> &[ParseError] {
        &self.errors
    }

    /// The error that is displayed.
    pub fn first(&self) -> &ParseError {
        &self.errors[0]
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: parse error: {}", self.position, self.first().message)
    }
}

impl std::error::Error for ParseErrors {}

impl From<ParseErrors> for base::Error {
    fn from(errors: ParseErrors) -> Self {
        Self::invalid(errors.to_string())
    }
}

impl Span {
    /// Where the span begins in the query that it belongs to, as `line:column`, both from 1, the column in bytes.
    pub fn position(self, query: &str) -> String {
        position_in(query.as_bytes(), self.start)
    }
}

fn position_in(query: &[u8], at: usize) -> String {
    if query.is_empty() {
        return "unknown position".into();
    }
    let Some(before) = query.get(..at) else { return "invalid position".into() };
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = at - before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_bytes_from_one() {
        let check = |query: &str, at, want: &str| {
            assert_eq!(Span { start: at, end: at }.position(query), want, "{query:?} {at}");
        };
        check("", 0, "unknown position");
        check("up", 0, "1:1");
        check("up", 2, "1:3");
        check("up", 3, "invalid position");
        check("a +\n  b", 6, "2:3");
        check("\n\nb", 2, "3:1");
    }
}
