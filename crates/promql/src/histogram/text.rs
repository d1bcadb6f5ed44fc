//! Histograms as text.

use std::fmt::Write;

use base::{CounterResetHint, Histogram};

use super::bucket::{buckets, outwards};
use crate::number::format_g;

/// `{count:2, sum:3, (1,2]:2}`, the buckets that hold anything in order.
pub fn describe(h: &Histogram) -> String {
    let mut text = format!("{{count:{}, sum:{}", format_g(h.count), format_g(h.sum));
    for b in buckets(h).filter(|b| b.count != 0.0) {
        let (open, close) =
            (if b.lower_inclusive { '[' } else { '(' }, if b.upper_inclusive { ']' } else { ')' });
        let (lower, upper, count) = (format_g(b.lower), format_g(b.upper), format_g(b.count));
        write!(text, ", {open}{lower},{upper}{close}:{count}").expect("writing to a string cannot fail");
    }
    text.push('}');
    text
}

/// As scripts spell it: `{{schema:1 count:2 sum:3 buckets:[1 1]}}`.
pub fn literal(h: &Histogram) -> String {
    let mut parts = Vec::new();
    if h.schema != 0 {
        parts.push(format!("schema:{}", h.schema));
    }
    for (name, v) in
        [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
    {
        if v != 0.0 {
            parts.push(format!("{name}:{}", format_g(v)));
        }
    }
    let list = |values: &[f64]| values.iter().map(|v| format_g(*v)).collect::<Vec<_>>().join(" ");
    if h.has_custom_bounds() {
        parts.push(format!("custom_values:[{}]", list(&h.custom_bounds)));
    }
    match h.counter_reset_hint {
        CounterResetHint::Unknown => {}
        CounterResetHint::Reset => parts.push("counter_reset_hint:reset".into()),
        CounterResetHint::NotReset => parts.push("counter_reset_hint:not_reset".into()),
        CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
    }
    for (name, offset_name, spans, counts) in [
        ("buckets", "offset", &h.positive_spans, &h.positive),
        ("n_buckets", "n_offset", &h.negative_spans, &h.negative),
    ] {
        let populated: Vec<_> = outwards(spans, counts).filter(|(_, c)| *c != 0.0).collect();
        let (Some((first, _)), Some((last, _))) = (populated.first(), populated.last()) else { continue };
        if *first != 0 {
            parts.push(format!("{offset_name}:{first}"));
        }
        let place = |index: i32| usize::try_from(i64::from(index) - i64::from(*first));
        let Some(width) = place(*last).ok().filter(|w| *w <= MAX_WIDTH) else {
            parts.push(format!("{name}:{populated:?}"));
            continue;
        };
        let mut row = vec![0.0; width + 1];
        for (index, count) in &populated {
            if let Some(cell) = place(*index).ok().and_then(|i| row.get_mut(i)) {
                *cell = *count;
            }
        }
        parts.push(format!("{name}:[{}]", list(&row)));
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

/// Buckets that are written in a row, with those between them that hold nothing.
const MAX_WIDTH: usize = 10_000;

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    #[test]
    fn histograms_have_two_forms() {
        let h = Histogram {
            count: 7.5,
            sum: -1.0,
            zero_count: 0.5,
            zero_threshold: 0.25,
            positive_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 1, length: 1 }],
            positive: vec![2.0, 4.0],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative: vec![1.0],
            counter_reset_hint: CounterResetHint::Gauge,
            ..Histogram::default()
        };
        assert_eq!(describe(&h), "{count:7.5, sum:-1, [-1,-0.5):1, [-0.25,0.25]:0.5, (1,2]:2, (4,8]:4}");
        assert_eq!(
            literal(&h),
            "{{count:7.5 sum:-1 z_bucket:0.5 z_bucket_w:0.25 counter_reset_hint:gauge offset:1 \
             buckets:[2 0 4] n_buckets:[1]}}"
        );
    }
}
