//! Numbers and durations: where they end, and what they are worth.
//!
//! The lexer takes everything that looks like a number; whether it is one is found when its value is read.

use super::{Lexed, Lexer, TokenKind, is_alphanumeric};
use crate::quote::quote;

impl<'a> Lexer<'a> {
    /// A number or a duration, its first character read.
    pub(super) fn number_or_duration(&mut self) -> Lexed<'a> {
        self.backup();
        if self.scan_number() {
            return self.emit(TokenKind::Number);
        }
        if self.scan_units() {
            return self.emit(TokenKind::Duration);
        }
        let read = String::from_utf8_lossy(&self.input[self.start..self.pos]);
        self.fail(format!("bad number or duration syntax: {}", quote(&read)))
    }

    fn accept_any(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.next();
        }
        found
    }

    /// Reads what may be a number; false, with some of it read, if it is none.
    fn scan_number(&mut self) -> bool {
        let begin = self.pos;
        let mut hex = false;
        if self.accept('0') && self.accept_any("xX") {
            self.accept('_');
            hex = true;
        }
        let is_digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        self.accept('.');
        if self.peek().is_some_and(is_digit) {
            self.next();
        }
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            match c {
                // In hexadecimal too an `e` counts as exponent, except as the first digit or after another.
                'e' | 'E' => {
                    self.next();
                    if std::mem::replace(&mut exponent, true) {
                        return false;
                    }
                    self.accept_any("+-");
                    if self.accept_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                '.' => {
                    self.next();
                    if std::mem::replace(&mut dot, true) || self.accept_any("_.") || hex {
                        return false;
                    }
                }
                '_' => {
                    self.next();
                    if self.accept_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ if is_digit(c) => {
                    while self.peek().is_some_and(is_digit) {
                        self.next();
                    }
                }
                _ => break,
            }
        }
        self.pos > begin && !self.peek().is_some_and(is_alphanumeric)
    }

    /// Reads the units, and further numbers and units, of a duration whose first number was read. If it is none, the
    /// character that spoils it is read as well.
    fn scan_units(&mut self) -> bool {
        if !self.accept_any("smhdwy") {
            return false;
        }
        self.accept('s');
        while self.accept_any("0123456789") {
            while self.accept_any("0123456789") {}
            // Years come first in a duration.
            if !self.accept_any("smhdw") {
                return false;
            }
            self.accept('s');
        }
        let spoilt = self.peek().is_some_and(is_alphanumeric);
        if spoilt {
            self.next();
        }
        !spoilt
    }
}

/// The value of a number as Go reads it: whole numbers in decimal, hexadecimal and, after a leading zero, octal;
/// otherwise a decimal fraction; underscores between digits. If it is none, what it counts as nevertheless, and why.
pub(crate) fn parse_number(text: &str) -> Result<f64, (f64, String)> {
    if let Some(n) = parse_integer(text) {
        return Ok(n as f64);
    }
    let fail = |value, why| {
        (value, format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(text)))
    };
    let hex = text.starts_with("0x") || text.starts_with("0X");
    if hex || !underscores_separate_digits(text) {
        return Err(fail(0.0, "invalid syntax"));
    }
    let value: f64 = text.replace('_', "").parse().map_err(|_| fail(0.0, "invalid syntax"))?;
    if value.is_infinite() && !text.eq_ignore_ascii_case("inf") {
        return Err(fail(value, "value out of range"));
    }
    Ok(value)
}

fn parse_integer(text: &str) -> Option<i64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if !underscores_separate_digits(text) {
        return None;
    }
    i64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// Whether every underscore stands between digits, or between the prefix of the base and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let is_digit = |b: u8| b.is_ascii_digit() || (hex && b.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    bytes.iter().enumerate().filter(|(_, b)| **b == b'_').all(|(i, _)| {
        let after_prefix = hex && i == 2;
        let after_digit = i > 0 && (is_digit(bytes[i - 1]) || after_prefix);
        after_digit && bytes.get(i + 1).is_some_and(|b| is_digit(*b))
    })
}

/// Units in the order in which they may follow each other, with their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The seconds of a duration, with Prometheus' message if it is none.
pub(crate) fn parse_duration_seconds(text: &str) -> Result<f64, String> {
    /// The largest duration that Prometheus reads: 2^63 nanoseconds.
    const MAX_MS: u64 = (i64::MAX / 1_000_000) as u64;
    let bad = || format!("not a valid duration string: {}", quote(text));
    let (mut rest, mut total_ms, mut next_unit) = (text, 0u64, 0);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let number: u64 = number.parse().map_err(|_| bad())?;
        let (unit, tail) = tail.split_at(tail.bytes().take_while(|b| !b.is_ascii_digit()).count());
        if unit.is_empty() {
            return Err(bad());
        }
        let at = UNITS
            .iter()
            .position(|(u, _)| *u == unit)
            .ok_or_else(|| format!("unknown unit {} in duration {}", quote(unit), quote(text)))?;
        if at < next_unit {
            return Err(bad());
        }
        next_unit = at + 1;
        total_ms = number
            .checked_mul(UNITS[at].1)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= MAX_MS)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok((total_ms / 1000) as f64 + ((total_ms % 1000) * 1_000_000) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        let check = |text: &str, want: f64| assert_eq!(parse_number(text), Ok(want), "{text}");
        check("0", 0.0);
        check("0755", 493.0);
        check("08", 8.0);
        check("0xFf", 255.0);
        check("0x_1f", 31.0);
        check("1_000", 1000.0);
        check("1_0.5_0e1_0", 1.05e11);
        check("5.", 5.0);
        check(".5e-3", 0.0005);
        check("9223372036854775808", 9_223_372_036_854_775_808.0);
        check("inF", f64::INFINITY);
        assert!(parse_number("NaN").is_ok_and(f64::is_nan));
        for bad in ["1_", "0x", "0x1e+5", "1e", "0xffffffffffffffff1", "1_.5"] {
            let want = format!("error parsing number: strconv.ParseFloat: parsing \"{bad}\": invalid syntax");
            assert_eq!(parse_number(bad), Err((0.0, want)));
        }
        assert!(parse_number("1e999").is_err_and(|(_, e)| e.ends_with("\"1e999\": value out of range")));
    }

    #[test]
    fn reads_durations() {
        let check = |text: &str, want: Result<f64, &str>| {
            assert_eq!(parse_duration_seconds(text), want.map_err(str::to_string), "{text}");
        };
        check("5m", Ok(300.0));
        check("1h30m15s2ms", Ok(5415.002));
        check("0s", Ok(0.0));
        check("5hs", Err("unknown unit \"hs\" in duration \"5hs\""));
        check("5m1h", Err("not a valid duration string: \"5m1h\""));
        check("5m1m", Err("not a valid duration string: \"5m1m\""));
        check("293y", Err("duration out of range"));
    }
}
