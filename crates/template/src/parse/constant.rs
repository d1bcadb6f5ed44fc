//! Go's constants: numbers under every type that can hold them, and quoted texts.

use super::ast::Number;
use super::lexer::Kind;
use crate::format::{parse_float, quote};

/// The text of a constant in double quotes or back quotes, or nothing if it is not well formed.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quoted.starts_with('`') {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        rest = unquote_char(rest, '"', &mut bytes)?;
    }
    // Bytes can be written that are no text; they print as Go prints them to a terminal.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends one possibly escaped character and returns what follows it.
fn unquote_char<'a>(text: &'a str, quote: char, out: &mut Vec<u8>) -> Option<&'a str> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
        return (first != quote).then_some(chars.as_str());
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let simple = match escape {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' => {
            out.push(u8::from_str_radix(digits(rest, 2)?, 16).ok()?);
            return rest.get(2..);
        }
        '0'..='7' => {
            let octal = digits(&text[1..], 3)?;
            out.push(u8::from_str_radix(octal, 8).ok()?);
            return text.get(4..);
        }
        'u' | 'U' => {
            let length = if escape == 'u' { 4 } else { 8 };
            let c = char::from_u32(u32::from_str_radix(digits(rest, length)?, 16).ok()?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(length..);
        }
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

fn digits(text: &str, count: usize) -> Option<&str> {
    text.get(..count).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Reads a numeric constant, or says what is wrong with it.
pub(super) fn number(text: &str, kind: Kind) -> Result<Number, String> {
    if kind == Kind::CharConstant {
        return character(text);
    }
    if kind == Kind::Complex || text.ends_with('i') {
        return Err(format!("cannot use complex constant {text}"));
    }
    let mut number = Number { text: text.into(), ..Number::default() };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let has_sign = digits.len() < text.len();
    if let Some(magnitude) = integer(digits) {
        let signed = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
        number.int = i64::try_from(signed).ok();
        number.uint = (!has_sign || magnitude == 0).then_some(magnitude);
        number.float = if number.int.is_some() || number.uint.is_some() { Some(signed as f64) } else { None };
    }
    if number.float.is_none() {
        let Some(float) = parse_float(text) else {
            return Err(format!("illegal number syntax: {}", quote(text)));
        };
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(text)));
        }
        number.float = Some(float);
        number.int = (float as i64 as f64 == float).then_some(float as i64);
        number.uint = (float as u64 as f64 == float).then_some(float as u64);
    }
    Ok(number)
}

/// An integer without a sign in Go's notation: `0x`, `0o`, `0b`, a leading zero for octal, `_` between digits.
fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let well_placed = !digits.ends_with('_') && !digits.contains("__") && !lower.starts_with('_');
    if !well_placed || digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

fn character(text: &str) -> Result<Number, String> {
    let mut bytes = Vec::new();
    let Some(tail) = text.get(1..).and_then(|t| unquote_char(t, '\'', &mut bytes)) else {
        return Err("invalid syntax".into());
    };
    if tail != "'" {
        return Err(format!("malformed character constant: {text}"));
    }
    let code = match std::str::from_utf8(&bytes) {
        Ok(s) => s.chars().next().map_or(0, u32::from),
        Err(_) => bytes.first().copied().map_or(0, u32::from),
    };
    Ok(Number {
        text: text.into(),
        int: Some(i64::from(code)),
        uint: Some(u64::from(code)),
        float: Some(f64::from(code)),
    })
}
