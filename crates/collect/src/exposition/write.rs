//! Writing OpenMetrics text: samples with timestamps, from which readers get the same bits.

use std::fmt::Write;

use base::{Error, Labels, METRIC_NAME, Result, is_legacy_label_name, is_legacy_metric_name};

use super::format_openmetrics_float;

/// The end of a text.
pub const OPENMETRICS_EOF: &str = "# EOF\n";

/// A series as a text has it: the part of a line before the value. Names that are not of the old alphabet are quoted, which Prometheus
/// reads from version 3 on.
pub fn openmetrics_series(labels: &Labels) -> Result<String> {
    let metric = labels.metric();
    if metric.is_empty() {
        return Err(Error::invalid(format!("cannot write {labels} as OpenMetrics: it has no name")));
    }
    let mut out = String::with_capacity(labels.size_bytes() + 16 * labels.len());
    let mut separator = '{';
    if is_legacy_metric_name(metric) {
        out.push_str(metric);
    } else {
        out.push('{');
        put_quoted(&mut out, metric);
        separator = ',';
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        out.push(separator);
        separator = ',';
        if is_legacy_label_name(name) {
            out.push_str(name);
        } else {
            put_quoted(&mut out, name);
        }
        out.push('=');
        put_quoted(&mut out, value);
    }
    if separator == ',' {
        out.push('}');
    }
    Ok(out)
}

/// Appends a line.
pub fn put_openmetrics_sample(out: &mut String, series: &str, t_ms: i64, value: f64) {
    out.push_str(series);
    out.push(' ');
    out.push_str(&format_openmetrics_float(value));
    out.push(' ');
    put_seconds(out, t_ms);
    out.push('\n');
}

fn put_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Milliseconds as decimal seconds. Prometheus reads seconds as a float, multiplies and cuts off, which makes some milliseconds the one
/// before: these are written as the next float above, from which it gets the right one, as do readers that round.
fn put_seconds(out: &mut String, t_ms: i64) {
    let (whole, rest) = (t_ms.div_euclid(1000), t_ms.rem_euclid(1000));
    let seconds = t_ms as f64 / 1000.0;
    if (seconds * 1000.0) as i64 == t_ms && t_ms >= 0 {
        write!(out, "{whole}").expect("writing to a string cannot fail");
        if rest > 0 {
            write!(out, ".{rest:03}").expect("writing to a string cannot fail");
        }
        return;
    }
    // Cutting off goes towards zero.
    let mut seconds = seconds;
    while ((seconds * 1000.0) as i64).abs() < t_ms.abs() {
        seconds = if t_ms < 0 { seconds.next_down() } else { seconds.next_up() };
    }
    write!(out, "{seconds}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::read_openmetrics;

    fn read(text: &str) -> Vec<(Labels, i64, u64)> {
        let mut found = Vec::new();
        read_openmetrics(&mut text.as_bytes(), &mut |s| {
            found.push((s.labels.clone(), s.timestamp_ms.expect("a timestamp"), s.value.to_bits()));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}\n{text}"));
        found
    }

    #[test]
    fn writes_names_as_they_are_where_it_can() {
        let check = |pairs: &[(&str, &str)], want: &str| {
            let labels = Labels::from_pairs(pairs.iter().copied());
            assert_eq!(openmetrics_series(&labels).unwrap(), want);
        };
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "a:b"), ("x", "1"), ("Y", "\"\\\n")], "a:b{Y=\"\\\"\\\\\\n\",x=\"1\"}");
        check(&[("__name__", "a.b")], "{\"a.b\"}");
        check(&[("__name__", "a.b"), ("c d", "ü")], "{\"a.b\",\"c d\"=\"ü\"}");
        let nameless = openmetrics_series(&Labels::from_pairs([("a", "b")])).unwrap_err();
        assert!(nameless.message().contains("no name"), "{nameless}");
    }

    #[test]
    fn every_millisecond_comes_back() {
        let labels = Labels::from_pairs([("__name__", "a")]);
        let mut text = String::new();
        // A thousand around times at which floats have different spacing, before 1970 too.
        let times: Vec<i64> =
            [-1_795_275_583_500, -500, 0, 999_999_500, 1_795_275_583_000, 4_102_444_800_000]
                .into_iter()
                .flat_map(|from| from..from + 1000)
                .collect();
        let series = openmetrics_series(&labels).unwrap();
        for t_ms in &times {
            put_openmetrics_sample(&mut text, &series, *t_ms, 1.0);
        }
        text.push_str(OPENMETRICS_EOF);
        let read: Vec<i64> = read(&text).into_iter().map(|(_, t_ms, _)| t_ms).collect();
        assert_eq!(read, times);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z.: ü\"\\\\\n]{1,8}",
            pairs in proptest::collection::btree_map("[a-z_.\"\\\\\n]{1,4}", ".{1,6}", 0..4),
            t_ms in -4_000_000_000_000i64..4_000_000_000_000,
            bits in any::<u64>(),
        ) {
            let value = f64::from_bits(bits);
            // Text has one NaN.
            let value = if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0001) } else { value };
            let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("__name__", name.as_str())]);
            let labels = Labels::from_pairs(pairs);
            let mut text = String::new();
            put_openmetrics_sample(&mut text, &openmetrics_series(&labels).unwrap(), t_ms, value);
            text.push_str(OPENMETRICS_EOF);
            prop_assert_eq!(read(&text), vec![(labels, t_ms, value.to_bits())]);
        }
    }
}
