//! Numbers for people: prefixes, percentages, spans and moments.

use crate::format::{float_error, format_float, parse_float};
use crate::time::{GoDuration, GoTime};
use crate::value::Value;

const DECIMAL: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// A number of any type, or a text that holds one.
pub(super) fn to_float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(i) => Ok(*i as f64),
        Value::Uint(u) => Ok(*u as f64),
        Value::String(text) => parse_float(text).ok_or_else(|| float_error(text)),
        Value::Duration(d) => Ok(d.0 as f64 / 1e9),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn four_digits(v: f64) -> String {
    format_float(v, 'g', Some(4))
}

fn small(mut v: f64) -> String {
    let mut prefix = "";
    for p in SMALL {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = p;
        v *= 1000.0;
    }
    format!("{}{prefix}", four_digits(v))
}

fn large(mut v: f64, step: f64, prefixes: [&str; 8]) -> String {
    let mut prefix = "";
    for p in prefixes {
        if v.abs() < step {
            break;
        }
        prefix = p;
        v /= step;
    }
    format!("{}{prefix}", four_digits(v))
}

pub(super) fn decimal(v: f64) -> Result<String, String> {
    Ok(match v.abs() {
        a if a == 0.0 || !a.is_finite() => four_digits(v),
        a if a >= 1.0 => large(v, 1000.0, DECIMAL),
        _ => small(v),
    })
}

pub(super) fn binary(v: f64) -> Result<String, String> {
    Ok(if v.abs() <= 1.0 || !v.is_finite() { four_digits(v) } else { large(v, 1024.0, BINARY) })
}

pub(super) fn percentage(v: f64) -> Result<String, String> {
    Ok(format!("{}%", four_digits(v * 100.0)))
}

pub(super) fn duration(v: f64) -> Result<String, String> {
    if !v.is_finite() {
        return Ok(four_digits(v));
    }
    if v == 0.0 {
        return Ok(format!("{}s", four_digits(v)));
    }
    if v.abs() < 1.0 {
        return Ok(format!("{}s", small(v)));
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let v = v.abs();
    let whole = v as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    Ok(match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(v)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    })
}

/// A moment in seconds since 1970, to the millisecond.
pub(super) fn to_time(v: f64) -> Result<GoTime, String> {
    if !v.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let ns = v * 1e9;
    if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
        let v = format_float(v, 'g', None);
        return Err(format!("{v} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(GoTime::from_ms(ns as i64 / 1_000_000))
}

pub(super) fn timestamp(v: f64) -> Result<String, String> {
    if v.is_finite() { to_time(v).map(|t| t.to_string()) } else { Ok(four_digits(v)) }
}

pub(super) fn to_duration(seconds: f64) -> GoDuration {
    GoDuration((seconds * 1e9) as i64)
}

/// Seconds of a Prometheus duration, which may have a minus.
pub(super) fn parse_duration(text: &str) -> Result<f64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let duration = base::parse_duration(digits).map_err(|e| e.message().to_owned())?;
    Ok(sign * duration.as_secs_f64())
}
