//! Label matchers: `=`, `!=`, `=~`, `!~`.

use std::collections::HashMap;
use std::fmt;

use regex::Regex;

use crate::limits::{REGEX_BYTES, REGEX_SIZES_BYTES, REGEXES_BYTES};
use crate::{Error, Labels, Result};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Regex,
    /// `!~`, anchored at both ends.
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series lacks compares as the empty string.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher; fails if the operator takes a regular expression and the value is none.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(compile_anchored(&value)?),
        };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or expression as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value satisfies the matcher.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Regex, Some(re)) => re.is_match(value),
            (MatchOp::NotRegex, Some(re)) => !re.is_match(value),
            (MatchOp::NotEqual, _) => value != self.value,
            _ => value == self.value,
        }
    }

    /// Whether a label set satisfies the matcher.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get_or_empty(&self.name))
    }

    /// Whether a series without the label satisfies the matcher.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::is_legacy_label_name(&self.name) {
            write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
        } else {
            write!(f, "{:?}{}{:?}", self.name, self.op.as_str(), self.value)
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Compiles an expression that has to match a whole value; `.` matches a newline too, as in Prometheus.
pub fn compile_anchored(expression: &str) -> Result<Regex> {
    compile_within(expression, REGEX_BYTES).map_err(|e| refused(expression, &e))
}

fn compile_within(expression: &str, bytes: usize) -> Result<Regex, regex::Error> {
    // Parsed on its own first, so that an unbalanced parenthesis cannot escape the anchors.
    let build = |e: &str| regex::RegexBuilder::new(e).size_limit(bytes).build();
    build(expression).and_then(|_| build(&format!("^(?s:{expression})$")))
}

fn refused(expression: &str, error: &regex::Error) -> Error {
    Error::invalid(format!("cannot compile regular expression {expression:?}: {error}"))
}

/// The regular expressions of one request, which have a bound on what they take together. An expression that occurs several times is
/// compiled once.
#[derive(Debug)]
pub struct Regexes {
    known: HashMap<String, Regex>,
    left_bytes: usize,
}

impl Default for Regexes {
    fn default() -> Self {
        Self { known: HashMap::new(), left_bytes: REGEXES_BYTES }
    }
}

impl Regexes {
    /// As [`Matcher::new`]; fails too if the request's expressions take too much memory.
    pub fn matcher(
        &mut self,
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Matcher> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(self.compile(&value)?),
        };
        Ok(Matcher { name: name.into(), op, value, regex })
    }

    fn compile(&mut self, expression: &str) -> Result<Regex> {
        if let Some(known) = self.known.get(expression) {
            return Ok(known.clone());
        }
        let mut too_large = None;
        for bytes in REGEX_SIZES_BYTES {
            if bytes > self.left_bytes {
                // What follows need not be tried.
                self.left_bytes = 0;
                return Err(Error::limit(format!(
                    "cannot compile regular expression: those of one request take more than {REGEXES_BYTES} bytes (limit regexes_bytes)"
                )));
            }
            match compile_within(expression, bytes) {
                Ok(regex) => {
                    self.left_bytes -= bytes;
                    self.known.insert(expression.to_owned(), regex.clone());
                    return Ok(regex);
                }
                Err(e @ regex::Error::CompiledTooBig(_)) => too_large = Some(e),
                Err(e) => return Err(refused(expression, &e)),
            }
        }
        Err(refused(expression, &too_large.unwrap_or(regex::Error::CompiledTooBig(REGEX_BYTES))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_values() {
        let check = |op, value: &str, input: &str, want| {
            assert_eq!(Matcher::new("l", op, value).unwrap().matches(input), want, "{op:?} {value} {input}");
        };
        check(MatchOp::Regex, "a|b", "a", true);
        check(MatchOp::Regex, "a|b", "ab", false);
        check(MatchOp::Regex, "a.b", "a\nb", true);
        check(MatchOp::NotRegex, ".+", "", true);
        check(MatchOp::Equal, "", "", true);
        check(MatchOp::NotEqual, "x", "", true);
        check(MatchOp::Regex, "a$", "a\n", false);
    }

    #[test]
    fn the_expressions_of_a_request_have_a_bound_together() {
        let of_bytes = |left_bytes| Regexes { left_bytes, ..Regexes::default() };
        let mut regexes = of_bytes(4 << 20);
        // Half a megabyte each.
        let large = |i: usize| format!("x{i}\\w{{10}}");
        let mut taken = 0;
        let refused = loop {
            match regexes.matcher("a", MatchOp::Regex, large(taken)) {
                Ok(matcher) => assert!(matcher.matches(&format!("x{taken}abcdefghij"))),
                Err(e) => break e,
            }
            taken += 1;
        };
        assert_eq!(taken, 4, "a megabyte each");
        assert_eq!(refused.kind(), crate::ErrorKind::Limit);
        // Those that are known cost nothing.
        assert!(regexes.matcher("b", MatchOp::NotRegex, large(0)).is_ok());
        let mut same = of_bytes(1 << 20);
        assert!((0..100).all(|_| same.matcher("a", MatchOp::Regex, large(0)).is_ok()));
        let broken = Regexes::default().matcher("a", MatchOp::Regex, "(").unwrap_err();
        assert_eq!(broken, Matcher::new("a", MatchOp::Regex, "(").unwrap_err());
    }

    #[test]
    fn refuses_a_broken_expression() {
        for bad in ["(", "a)|(b", "*"] {
            assert!(Matcher::new("l", MatchOp::Regex, bad).is_err(), "{bad}");
        }
    }
}
