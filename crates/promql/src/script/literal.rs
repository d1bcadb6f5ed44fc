//! Native histograms as scripts spell them: `{{schema:1 count:4 sum:6 offset:-1 buckets:[1 2 1]}}`.

use base::{CounterResetHint, Error, Histogram, Result, Span};

use super::sequence::parse_number;

/// A histogram, and whether it says what is known of counter resets.
pub(super) struct Literal {
    pub(super) histogram: Histogram,
    pub(super) has_hint: bool,
}

/// Reads a histogram with its braces.
pub(super) fn parse_literal(text: &str) -> Result<Literal> {
    let bad = |what: &str| Error::invalid(format!("histogram: {what}"));
    let inner = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).ok_or_else(|| bad("no braces"))?;
    let mut h = Histogram { is_float: true, ..Histogram::default() };
    let (mut has_hint, mut offset, mut negative_offset) = (false, 0, 0);
    let mut seen: Vec<&str> = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| bad("want key:value"))?;
        if seen.contains(&key) {
            return Err(bad(&format!("duplicate key {key:?}")));
        }
        seen.push(key);
        let end = if after.starts_with('[') {
            after.find(']').ok_or_else(|| bad("a list is not closed"))? + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let (value, tail) = after.split_at(end);
        rest = tail.trim_start();
        let wrong = || bad(&format!("{key:?} cannot be {value:?}"));
        let number = || parse_number(value).ok_or_else(wrong);
        let whole = || value.parse::<i32>().map_err(|_| wrong());
        let list = || {
            let inner = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).ok_or_else(wrong)?;
            inner.split_whitespace().map(|v| parse_number(v).ok_or_else(wrong)).collect::<Result<Vec<_>>>()
        };
        match key {
            "schema" => h.schema = whole()?,
            "sum" => h.sum = number()?,
            "count" => h.count = number()?,
            "z_bucket" => h.zero_count = number()?,
            "z_bucket_w" => h.zero_threshold = number()?,
            "custom_values" => h.custom_bounds = list()?.into(),
            "buckets" => h.positive = list()?,
            "offset" => offset = whole()?,
            "n_buckets" => h.negative = list()?,
            "n_offset" => negative_offset = whole()?,
            "counter_reset_hint" => {
                has_hint = true;
                h.counter_reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::Reset,
                    "not_reset" => CounterResetHint::NotReset,
                    "gauge" => CounterResetHint::Gauge,
                    _ => return Err(wrong()),
                };
            }
            _ => return Err(bad(&format!("no such key: {key:?}"))),
        }
    }
    let span = |offset, counts: &[f64]| match u32::try_from(counts.len()) {
        Ok(length) if length > 0 => vec![Span { offset, length }],
        _ => Vec::new(),
    };
    h.positive_spans = span(offset, &h.positive);
    h.negative_spans = span(negative_offset, &h.negative);
    Ok(Literal { histogram: h, has_hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::literal;

    #[test]
    fn literals_read_back() {
        for text in [
            "{{}}",
            "{{schema:-53 count:3 sum:1.5 custom_values:[1 2] counter_reset_hint:gauge buckets:[1 0 2]}}",
            "{{schema:1 count:9 sum:-Inf z_bucket:2 z_bucket_w:0.001 offset:-2 buckets:[1 2] n_offset:3 n_buckets:[4]}}",
        ] {
            assert_eq!(literal(&parse_literal(text).unwrap().histogram), text);
        }
        assert!(parse_literal("{{counter_reset_hint:unknown}}").unwrap().has_hint);
        for bad in
            ["{{count:x}}", "{{count}}", "{{count:1 count:1}}", "{{x:1}}", "{{buckets:[1}}", "{{buckets:1}}"]
        {
            assert!(parse_literal(bad).is_err(), "{bad}");
        }
    }
}
