//! What a scalar means where a key wants a boolean, a number, a duration or a size.
//!
//! Reads what Prometheus reads, YAML 1.1 booleans (`yes`, `on`) included.

use std::time::Duration;

use super::raw::{Node, Outcome, Problem, Scalar, Value};

/// The text of a single value; the empty string for nothing, as Prometheus takes it.
pub(super) fn text<'a>(key: &str, node: &'a Node) -> Outcome<&'a str> {
    Ok(scalar(key, node)?.map_or("", |s| s.text.as_str()))
}

/// A boolean; nothing counts as `false`.
pub(super) fn boolean(key: &str, node: &Node) -> Outcome<bool> {
    let Some(s) = scalar(key, node)? else { return Ok(false) };
    match s.text.as_str() {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" if s.plain => {
            Ok(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" if s.plain => {
            Ok(false)
        }
        _ => Err(Problem::new(node.line, format!("{key} must be true or false, not {:?}", s.text))),
    }
}

/// A whole number; nothing counts as 0.
pub(super) fn integer(key: &str, node: &Node) -> Outcome<i64> {
    let Some(s) = scalar(key, node)? else { return Ok(0) };
    let digits = s.text.replace('_', "");
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    };
    // `1e3` and `5.0` are whole numbers too. Above 2^53 a float no longer says which one is meant.
    let from_float = || {
        digits.parse().ok().filter(|f: &f64| f.fract() == 0.0 && f.abs() <= 2f64.powi(53)).map(|f| f as i64)
    };
    parsed
        .or_else(from_float)
        .filter(|_| s.plain)
        .ok_or_else(|| Problem::new(node.line, format!("{key} must be a whole number, not {:?}", s.text)))
}

/// A whole number that is not negative.
pub(super) fn count(key: &str, node: &Node) -> Outcome<u64> {
    let n = integer(key, node)?;
    u64::try_from(n).map_err(|_| Problem::new(node.line, format!("{key} must not be negative, not {n}")))
}

/// A number; nothing counts as 0.
pub(super) fn float(key: &str, node: &Node) -> Outcome<f64> {
    let Some(s) = scalar(key, node)? else { return Ok(0.0) };
    let parsed = s.text.replace('_', "").parse::<f64>().ok().filter(|_| s.plain);
    parsed.ok_or_else(|| Problem::new(node.line, format!("{key} must be a number, not {:?}", s.text)))
}

/// A value of any shape as JSON. What is written without quotes may be a boolean or a number.
pub(super) fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|e| (e.key.text.clone(), json(&e.value))).collect(),
        Value::Scalar(s) => {
            let number =
                s.text.replace('_', "").starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            if let Ok(flag) = boolean("", node) {
                flag.into()
            } else if let (true, Ok(n)) = (number, integer("", node)) {
                n.into()
            } else if let (true, Ok(n)) = (number, float("", node)) {
                n.into()
            } else {
                s.text.clone().into()
            }
        }
    }
}

/// A duration as Prometheus writes it; nothing counts as zero.
pub(super) fn duration(key: &str, node: &Node) -> Outcome<Duration> {
    let Some(s) = scalar(key, node)? else { return Ok(Duration::ZERO) };
    base::parse_duration(&s.text).map_err(|e| Problem::new(node.line, format!("{key}: {e}")))
}

/// A number of bytes with its unit, such as `15MB`; nothing counts as 0. Units are powers of 1,024.
pub(super) fn size(key: &str, node: &Node) -> Outcome<i64> {
    let Some(s) = scalar(key, node)? else { return Ok(0) };
    parse_size(&s.text).map_err(|e| Problem::new(node.line, format!("{key}: {e}")))
}

fn scalar<'a>(key: &str, node: &'a Node) -> Outcome<Option<&'a Scalar>> {
    match &node.value {
        Value::Null => Ok(None),
        Value::Scalar(s) if s.not_utf8 => {
            Err(Problem::new(node.line, format!("{key}: \"{}\" is not valid UTF-8", s.text)))
        }
        Value::Scalar(s) => Ok(Some(s)),
        _ => Err(Problem::new(node.line, format!("{key} must be a single value, not {}", node.kind()))),
    }
}

/// Sums parts such as `1GB512MB`. The messages are Prometheus'.
pub(crate) fn parse_size(text: &str) -> Result<i64, String> {
    let invalid = || format!("units: invalid {text}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..number_len].parse().map_err(|_| invalid())?;
        rest = &rest[number_len..];
        let unit_len = rest.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
        let (unit, tail) = rest.split_at(unit_len);
        let power = match unit {
            "B" => 0,
            "KiB" | "KB" => 1,
            "MiB" | "MB" => 2,
            "GiB" | "GB" => 3,
            "TiB" | "TB" => 4,
            "PiB" | "PB" => 5,
            "EiB" | "EB" => 6,
            _ => return Err(format!("units: unknown unit {unit} in {text}")),
        };
        total += number * 1024f64.powi(power);
        rest = tail;
    }
    if total >= i64::MAX as f64 {
        return Err(format!("units: overflow in {text}"));
    }
    Ok(if negative { -(total as i64) } else { total as i64 })
}

#[cfg(test)]
mod tests {
    use super::super::raw;
    use super::*;

    fn node(text: &str) -> Node {
        raw::parse(text).unwrap()
    }

    #[test]
    fn reads_sizes_as_prometheus_does() {
        let check = |text: &str, want: Result<i64, &str>| {
            assert_eq!(parse_size(text), want.map_err(str::to_owned), "{text}");
        };
        check("15MB", Ok(15 << 20));
        check("1.5KiB", Ok(1536));
        check("1GB512MB", Ok((1 << 30) + (512 << 20)));
        check("0", Ok(0));
        check("-1GB", Ok(-(1 << 30)));
        check("100", Err("units: unknown unit  in 100"));
        check("1kB", Err("units: unknown unit kB in 1kB"));
        check("", Err("units: invalid "));
        check("MB", Err("units: invalid MB"));
        check("99EB", Err("units: overflow in 99EB"));
    }

    #[test]
    fn a_quoted_boolean_or_number_is_text() {
        assert_eq!(boolean("k", &node("on")), Ok(true));
        assert_eq!(boolean("k", &node("~")), Ok(false));
        assert!(boolean("k", &node("'true'")).is_err());
        assert_eq!(count("k", &node("1_000")), Ok(1000));
        assert_eq!(count("k", &node("1e3")), Ok(1000));
        assert!(count("k", &node("-1")).unwrap_err().text.contains("must not be negative"));
        assert!(count("k", &node("'7'")).is_err());
        assert!(count("k", &node("7.5")).is_err());
        assert!(count("k", &node("[7]")).unwrap_err().text.contains("not a list"));
    }
}
