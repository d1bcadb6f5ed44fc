//! Lines of a series and its points: `metric{a="b"} 1 2+3x4 _x2 stale {{schema:0 sum:1 count:1}}`.

use std::sync::Arc;

use base::{Error, Histogram, Labels, LabelsBuilder, METRIC_NAME, Result, parse_duration};

use super::literal::{Literal, parse_literal};
use crate::histogram::{add, subtract};
use crate::quote::unquote;

/// A point of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// No sample.
    Omitted,
    /// A float; the staleness marker is one.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<Histogram>,
        /// Whether the script says what is known of counter resets.
        has_hint: bool,
    },
}

/// A series with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesLine {
    /// The series.
    pub labels: Labels,
    /// The points, one per step.
    pub points: Vec<Point>,
}

/// Points that one line may spell; a repetition is short to write.
const MAX_POINTS: usize = 10_000_000;

/// Reads a series and its points.
pub(super) fn parse_series(line: &str) -> Result<SeriesLine> {
    let (labels, rest) = parse_metric(line.trim())?;
    let points =
        parse_points(rest).map_err(|e| Error::invalid(format!("cannot read the points of {line:?}: {e}")))?;
    Ok(SeriesLine { labels, points })
}

/// Reads a metric, and gives what follows it.
pub(super) fn parse_metric(line: &str) -> Result<(Labels, &str)> {
    let bad = |what: &str| Error::invalid(format!("cannot read series {line:?}: {what}"));
    let mut labels = LabelsBuilder::default();
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    if !name.is_empty() {
        labels.set(METRIC_NAME, name);
    }
    let Some(mut inner) = rest.strip_prefix('{').filter(|r| !r.starts_with('{')) else {
        return if name.is_empty() { Err(bad("no metric")) } else { Ok((labels.build(), rest)) };
    };
    loop {
        inner = inner.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = inner.strip_prefix('}') {
            rest = after;
            break;
        }
        let key;
        if inner.starts_with(['"', '\'', '`']) {
            (key, inner) = quoted(inner).ok_or_else(|| bad("a quoted text is not closed"))?;
        } else {
            let end = inner.find(|c: char| c == '=' || c.is_whitespace()).ok_or_else(|| bad("no '='"))?;
            key = inner[..end].to_owned();
            inner = &inner[end..];
        }
        inner = inner.trim_start();
        let Some(after) = inner.strip_prefix('=') else {
            // A quoted text alone is the metric's name.
            labels.set(METRIC_NAME, &key);
            continue;
        };
        let value;
        (value, inner) = quoted(after.trim_start()).ok_or_else(|| bad("a label's value is not quoted"))?;
        labels.set(&key, &value);
    }
    Ok((labels.build(), rest))
}

/// Reads a quoted text at the beginning, and gives what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return Some((unquote(&text[..=i])?, &text[i + 1..]));
        }
    }
    None
}

fn parse_points(text: &str) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let item = if rest.starts_with("{{") {
            histogram_item(rest)?
        } else {
            rest.split_whitespace().next().unwrap_or(rest)
        };
        rest = rest[item.len()..].trim_start();
        expand(item, &mut points)?;
        if points.len() > MAX_POINTS {
            return Err(Error::limit(format!("more than {MAX_POINTS} points")));
        }
    }
    Ok(points)
}

/// One item that begins with a histogram: `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`.
fn histogram_item(text: &str) -> Result<&str> {
    let mut end = 0;
    loop {
        let close = text[end..].find("}}").ok_or_else(|| Error::invalid("a histogram is not closed"))?;
        end += close + 2;
        let after = &text[end..];
        if after.starts_with("+{{") || after.starts_with("-{{") {
            continue;
        }
        let tail = after.find(char::is_whitespace).unwrap_or(after.len());
        return Ok(&text[..end + tail]);
    }
}

fn expand(item: &str, points: &mut Vec<Point>) -> Result<()> {
    let bad = || Error::invalid(format!("not a sequence of values: {item:?}"));
    let times = |text: &str| text.parse::<usize>().ok().filter(|n| *n <= MAX_POINTS).ok_or_else(bad);
    if item.starts_with("{{") {
        return expand_histograms(item, points);
    }
    let mut repeat = |point, n: usize| points.extend(std::iter::repeat_n(point, n));
    if let Some(tail) = item.strip_prefix('_') {
        match tail.strip_prefix('x') {
            Some(n) => repeat(Point::Omitted, times(n)?),
            None if tail.is_empty() => repeat(Point::Omitted, 1),
            None => return Err(bad()),
        }
        return Ok(());
    }
    // There are no hexadecimal numbers here: an x always repeats.
    let (values, count) = match item.rsplit_once('x') {
        Some((values, n)) => (values, Some(times(n)?)),
        None => (item, None),
    };
    let Some(count) = count else {
        repeat(Point::Float(parse_value(values).ok_or_else(bad)?), 1);
        return Ok(());
    };
    let (start, step) = split_step(values).ok_or_else(bad)?;
    let mut value = start;
    for _ in 0..=count {
        points.push(Point::Float(value));
        value += step;
    }
    Ok(())
}

/// One item that begins with a histogram.
fn expand_histograms(item: &str, points: &mut Vec<Point>) -> Result<()> {
    let bad = || Error::invalid(format!("not a sequence of histograms: {item:?}"));
    let literal = |text: &str| parse_literal(text).map_err(|e| e.context(format!("cannot read {text:?}")));
    let end = item.find("}}").ok_or_else(bad)? + 2;
    let Literal { histogram, has_hint } = literal(&item[..end])?;
    let (mut rest, mut step) = (&item[end..], None);
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let end = rest.find("}}").ok_or_else(bad)? + 2;
        step = Some((sign, literal(&rest[1..end])?));
        rest = &rest[end..];
    }
    let count = match rest.strip_prefix('x') {
        Some(n) => n.parse::<usize>().ok().filter(|n| *n <= MAX_POINTS).ok_or_else(bad)?,
        None if rest.is_empty() && step.is_none() => 0,
        None => return Err(bad()),
    };
    let mut now = Arc::new(histogram);
    let Some((sign, by)) = step else {
        points.extend(std::iter::repeat_n(Point::Histogram { histogram: now, has_hint }, count + 1));
        return Ok(());
    };
    let combine = if sign == '+' { add } else { subtract };
    for i in 0..=count {
        if i > 0 {
            if now.schema > by.histogram.schema {
                let (from, to) = (by.histogram.schema, now.schema);
                return Err(Error::invalid(format!(
                    "error combining histograms: cannot merge from schema {from} to {to}"
                )));
            }
            let mut next = (*now).clone();
            combine(&mut next, &by.histogram).map_err(|_| {
                Error::invalid("error combining histograms: their buckets do not go together")
            })?;
            now = Arc::new(next);
        }
        points.push(Point::Histogram { histogram: Arc::clone(&now), has_hint: by.has_hint });
    }
    Ok(())
}

/// Reads start timestamps, as durations from the time of each point: `-1m -30s-1mx2 _x3`.
pub(super) fn parse_starts(text: &str) -> Result<Vec<Option<i64>>> {
    let mut starts = Vec::new();
    for item in text.split_whitespace() {
        let bad = || Error::invalid(format!("not a sequence of start timestamps: {item:?}"));
        let times = |text: &str| text.parse::<usize>().ok().filter(|n| *n <= MAX_POINTS).ok_or_else(bad);
        if let Some(tail) = item.strip_prefix('_') {
            let n = if tail.is_empty() { 1 } else { times(tail.strip_prefix('x').ok_or_else(bad)?)? };
            starts.extend(std::iter::repeat_n(None, n));
            continue;
        }
        let (first_ms, mut rest) = take_duration(item).ok_or_else(bad)?;
        let mut step_ms = 0;
        if rest.starts_with(['+', '-']) {
            (step_ms, rest) = take_duration(rest).ok_or_else(bad)?;
        }
        let count = match rest.strip_prefix('x') {
            Some(n) => times(n)?,
            None if rest.is_empty() && step_ms == 0 => 0,
            None => return Err(bad()),
        };
        starts.extend((0..=count as i64).map(|i| Some(first_ms + i * step_ms)));
    }
    Ok(starts)
}

/// Takes a duration with its sign off the beginning, in milliseconds.
fn take_duration(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let unit = unsigned[digits..].find(|c: char| !c.is_ascii_alphabetic() || c == 'x');
    let (duration, rest) = unsigned.split_at(unit.map_or(unsigned.len(), |n| digits + n));
    let ms = if duration == "0" { 0 } else { parse_duration(duration).ok()?.as_millis() };
    let ms = i64::try_from(ms).ok()?;
    Some((if text.starts_with('-') { -ms } else { ms }, rest))
}

/// Splits `a+b` or `a-b`; a sign within an exponent or at the beginning is none.
fn split_step(text: &str) -> Option<(f64, f64)> {
    let bytes = text.as_bytes();
    for i in 1..bytes.len() {
        if matches!(bytes[i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E' | b'+' | b'-') {
            let sign = if bytes[i] == b'-' { -1.0 } else { 1.0 };
            return Some((parse_value(&text[..i])?, sign * parse_value(&text[i + 1..])?));
        }
    }
    Some((parse_value(text)?, 0.0))
}

/// A value: a number, or `stale`.
pub(super) fn parse_value(text: &str) -> Option<f64> {
    if text == "stale" {
        return Some(f64::from_bits(base::STALE_NAN));
    }
    parse_number(text)
}

/// A number as Go reads it: decimal, or a hexadecimal or octal whole number.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { -1.0 } else { 1.0 }, digits),
        None => (1.0, text),
    };
    let radix = |digits, radix| i64::from_str_radix(digits, radix).ok().map(|n| sign * n as f64);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return radix(hex, 16);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<Point> {
        parse_points(text).unwrap()
    }

    fn floats(v: &[f64]) -> Vec<Point> {
        v.iter().map(|v| Point::Float(*v)).collect()
    }

    #[test]
    fn sequences_expand() {
        assert_eq!(points("1 2+3x2 -1-1x1 5x1"), floats(&[1.0, 2.0, 5.0, 8.0, -1.0, -2.0, 5.0, 5.0]));
        assert_eq!(points("0+10x2 0x2"), floats(&[0.0, 10.0, 20.0, 0.0, 0.0, 0.0]));
        assert_eq!(points("1e-3 -Inf 10x1"), floats(&[0.001, f64::NEG_INFINITY, 10.0, 10.0]));
        assert_eq!(points("_ _x2"), vec![Point::Omitted; 3]);
        assert_eq!(points("{{schema:0 sum:1}}x2 {{}}+{{count:1}}x1 1").len(), 6);
        let counts: Vec<f64> = points("{{count:9}}-{{count:2}}x2")
            .iter()
            .map(|p| match p {
                Point::Histogram { histogram, .. } => histogram.count,
                _ => f64::NAN,
            })
            .collect();
        assert_eq!(counts, [9.0, 7.0, 5.0]);
        for bad in ["1x", "x", "a", "{{", "1+x2", "_y", "1x99999999999", "x3"] {
            assert!(parse_points(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn starts_expand() {
        let of = |text| parse_starts(text).unwrap();
        assert_eq!(of("_ _x2 0 -1m"), [None, None, None, Some(0), Some(-60_000)]);
        assert_eq!(of("-30s-1mx2 1ms-0sx1")[..3], [Some(-30_000), Some(-90_000), Some(-150_000)]);
        for bad in ["x", "1", "1m+1m", "-1mx", "1mx2y"] {
            assert!(parse_starts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metrics_have_names_and_quoted_labels() {
        let of = |line: &str| parse_series(line).unwrap().labels.to_string();
        assert_eq!(of(r#"x{a="1", b='2',} 1"#), r#"x{a="1", b="2"}"#);
        assert_eq!(of("{} 1"), "{}");
        assert_eq!(of("x 1"), "x");
        assert_eq!(of(r#"{"my.name", "a.b"="c\"d"} 1"#), r#"{__name__="my.name", "a.b"="c\"d"}"#);
        for bad in ["x{a} 1", "x{a=1} 1", r#"x{a="1" 1"#, "{{}} 1"] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }
}
