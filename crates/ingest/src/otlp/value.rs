//! Values of attributes as texts, as the OpenTelemetry Collector writes them: lists and maps as JSON.

use std::borrow::Cow;
use std::fmt::Write;

use crate::limits::ATTRIBUTE_DEPTH;
use crate::protobuf::{Malformed, Reader};

/// Why an attribute cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadValue {
    Malformed(Malformed),
    NotUtf8,
    TooDeep,
}

impl From<Malformed> for BadValue {
    fn from(m: Malformed) -> Self {
        Self::Malformed(m)
    }
}

/// A name and an `AnyValue` that is not looked at yet.
pub(super) type Attribute<'a> = (&'a str, &'a [u8]);

/// Reads a `KeyValue`.
pub(super) fn attribute(message: &[u8]) -> Result<Attribute<'_>, BadValue> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => key = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((std::str::from_utf8(key).map_err(|_| BadValue::NotUtf8)?, value))
}

/// Writes an `AnyValue` as a text; one without a value as nothing.
pub(super) fn write(value: &[u8], out: &mut String) -> Result<(), BadValue> {
    match any(value)? {
        Any::None => {}
        Any::Text(text) => out.push_str(text),
        Any::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        Any::Int(n) => write!(out, "{n}").expect("writing to a string cannot fail"),
        Any::Double(v) if v.is_finite() => number(v, out),
        Any::Double(v) => {
            let name = if v.is_nan() {
                "NaN"
            } else if v > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            write!(out, "json: unsupported value: {name}").expect("writing to a string cannot fail");
        }
        Any::Bytes(bytes) => base64(bytes, out),
        Any::List(_) | Any::Map(_) => {
            let start = out.len();
            // What JSON cannot say is nothing at all.
            if !json(value, out, ATTRIBUTE_DEPTH)? {
                out.truncate(start);
            }
        }
    }
    Ok(())
}

/// The same where a text may be borrowed.
pub(super) fn text(value: &[u8]) -> Result<Cow<'_, str>, BadValue> {
    if let Any::Text(text) = any(value)? {
        return Ok(text.into());
    }
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out.into())
}

/// What an `AnyValue` holds.
enum Any<'a> {
    None,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    List(&'a [u8]),
    Map(&'a [u8]),
}

fn any(message: &[u8]) -> Result<Any<'_>, BadValue> {
    let mut any = Any::None;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => any = Any::Text(std::str::from_utf8(field.bytes()?).map_err(|_| BadValue::NotUtf8)?),
            2 => any = Any::Bool(field.varint()? != 0),
            3 => any = Any::Int(field.int64()?),
            4 => any = Any::Double(field.double()?),
            5 => any = Any::List(field.bytes()?),
            6 => any = Any::Map(field.bytes()?),
            7 => any = Any::Bytes(field.bytes()?),
            _ => {}
        }
    }
    Ok(any)
}

/// Writes a value as Go's JSON does; false if it cannot be said. `depth` bounds the lists and maps within each other.
fn json(value: &[u8], out: &mut String, depth: usize) -> Result<bool, BadValue> {
    match any(value)? {
        Any::None => out.push_str("null"),
        Any::Text(text) => quote(text, out),
        Any::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        Any::Int(n) => write!(out, "{n}").expect("writing to a string cannot fail"),
        Any::Double(v) if v.is_finite() => number(v, out),
        Any::Double(_) => return Ok(false),
        Any::Bytes(bytes) => {
            out.push('"');
            base64(bytes, out);
            out.push('"');
        }
        Any::List(list) => return json_list(list, out, depth),
        Any::Map(map) => return json_map(map, out, depth),
    }
    Ok(true)
}

fn json_list(list: &[u8], out: &mut String, depth: usize) -> Result<bool, BadValue> {
    let deeper = depth.checked_sub(1).ok_or(BadValue::TooDeep)?;
    out.push('[');
    let mut reader = Reader::new(list);
    let mut first = true;
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            out.push_str(if first { "" } else { "," });
            first = false;
            if !json(field.bytes()?, out, deeper)? {
                return Ok(false);
            }
        }
    }
    out.push(']');
    Ok(true)
}

/// Names in order, of several with one name the last.
fn json_map(map: &[u8], out: &mut String, depth: usize) -> Result<bool, BadValue> {
    let deeper = depth.checked_sub(1).ok_or(BadValue::TooDeep)?;
    let mut pairs = Vec::new();
    let mut reader = Reader::new(map);
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            pairs.push(attribute(field.bytes()?)?);
        }
    }
    pairs.sort_by_key(|(name, _)| *name);
    out.push('{');
    let mut first = true;
    for (i, (name, value)) in pairs.iter().enumerate() {
        if pairs.get(i + 1).is_some_and(|(next, _)| next == name) {
            continue;
        }
        out.push_str(if first { "" } else { "," });
        first = false;
        quote(name, out);
        out.push(':');
        if !json(value, out, deeper)? {
            return Ok(false);
        }
    }
    out.push('}');
    Ok(true)
}

/// A text as Go's JSON quotes it, which is safe within HTML too.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A finite number as JSON of Go and of browsers: with an exponent only if it is very large or very small.
fn number(v: f64, out: &mut String) {
    let size = v.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(out, "{v}").expect("writing to a string cannot fail");
        return;
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').expect("an exponent was asked for");
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    write!(out, "{mantissa}e{sign}{exponent}").expect("writing to a string cannot fail");
}

fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::otlp::{Value, value};

    fn shown(v: &Value) -> String {
        let mut out = String::new();
        write(&value(v), &mut out).unwrap();
        out
    }

    #[test]
    fn values_are_texts() {
        let check = |v: Value, want: &str| assert_eq!(shown(&v), want);
        check(Value::None, "");
        check(Value::Text("a<b".into()), "a<b");
        check(Value::Bool(true), "true");
        check(Value::Int(-7), "-7");
        check(Value::Bytes(vec![0, 255]), "AP8=");
        check(Value::Bytes(b"abcd".to_vec()), "YWJjZA==");
        for (v, want) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000_001, "0.000001"),
            (f64::NAN, "json: unsupported value: NaN"),
            (f64::NEG_INFINITY, "json: unsupported value: -Inf"),
        ] {
            check(Value::Double(v), want);
        }
    }

    #[test]
    fn lists_and_maps_are_json() {
        let list = Value::List(vec![
            Value::Text("a\"<\n".into()),
            Value::None,
            Value::Double(1e21),
            Value::Bytes(vec![1]),
            Value::Map(vec![
                ("z".into(), Value::Int(1)),
                ("a".into(), Value::Bool(false)),
                ("z".into(), Value::Int(2)),
            ]),
        ]);
        assert_eq!(shown(&list), r#"["a\"\u003c\n",null,1e+21,"AQ==",{"a":false,"z":2}]"#);
        assert_eq!(shown(&Value::List(vec![Value::Double(f64::NAN)])), "", "JSON cannot say it");
    }

    #[test]
    fn what_lies_too_deep_is_refused() {
        let nested = |depth| (0..depth).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
        assert_eq!(shown(&nested(3)), "[[[1]]]");
        let mut out = String::new();
        assert_eq!(write(&value(&nested(ATTRIBUTE_DEPTH)), &mut out), Ok(()));
        assert_eq!(write(&value(&nested(ATTRIBUTE_DEPTH + 1)), &mut out), Err(BadValue::TooDeep));
    }
}
