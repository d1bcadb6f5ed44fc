//! Requests from bytes to batches, and what is refused of them.

use base::{ErrorKind, Histogram, Labels, Metadata, MetricType, STALE_NAN, Sample, Span, WriteBatch};
use proptest::prelude::*;

use super::*;
use crate::limits::SAMPLES_PER_REQUEST;
use crate::testing::{RequestWriter, compress};

fn decoded(body: &[u8]) -> Decoded {
    Decoder::new(LabelLimits::default()).decode(body, Message::V1).unwrap()
}

pub(super) type Row = (Labels, Vec<(i64, u64)>, Vec<(i64, Histogram)>);

/// Series with the bits of their samples.
pub(super) fn rows(batch: &WriteBatch) -> Vec<Row> {
    let bits = |s: &Sample| (s.t_ms, s.value.to_bits());
    batch
        .series()
        .map(|s| (s.to_labels(), s.samples.iter().map(bits).collect(), s.histograms.to_vec()))
        .collect()
}

pub(super) fn integer_histogram() -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 20.0,
        sum: -1.5,
        positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 4, length: 1 }],
        positive: vec![5.0, 1.0, 7.0],
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative: vec![4.0, 1.0],
        counter_reset_hint: base::CounterResetHint::NotReset,
        ..Histogram::default()
    }
}

#[test]
fn samples_and_histograms_come_through() {
    let float = Histogram { is_float: true, zero_count: 2.5, count: 20.5, ..integer_histogram() };
    let custom = Histogram {
        schema: base::CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: 9.0,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive: vec![1.0, 2.0],
        custom_bounds: [0.5, 1.0].into(),
        ..Histogram::default()
    };
    let labels = [("__name__", "up"), ("instance", "hôte:9100"), ("job", "node")];
    let body = RequestWriter::new()
        .series(&labels)
        .sample(-5, 1.5)
        .sample(i64::MAX, f64::from_bits(STALE_NAN))
        .exemplar_with(&[("trace_id", "abc")], 1, 2.0)
        .series(&[("__name__", "h")])
        .histogram(7, &integer_histogram())
        .histogram(8, &float)
        .histogram(9, &custom)
        .metadata("up", "Whether it is.")
        .body();
    let got = decoded(&body);
    let want = [
        (Labels::from_pairs(labels), vec![(-5, 1.5f64.to_bits()), (i64::MAX, STALE_NAN)], vec![]),
        (
            Labels::from_pairs([("__name__", "h")]),
            vec![],
            vec![(7, integer_histogram()), (8, float), (9, custom)],
        ),
    ];
    assert_eq!(rows(&got.batch), want);
    let mut batch = got.batch;
    let exemplars = batch.take_exemplars();
    let labels = Labels::from_pairs([("trace_id", "abc")]);
    assert_eq!(exemplars.len(), 1);
    assert_eq!(exemplars[0].exemplar, base::Exemplar { labels, value: 2.0, t_ms: 1 });
    assert_eq!(exemplars[0].labels.metric(), "up");
    let gauge = Metadata { metric_type: MetricType::Gauge, help: "Whether it is.".into(), unit: "".into() };
    assert_eq!((got.metadata.as_slice(), got.refused.samples), (&[("up".into(), gauge)][..], 0));
}

#[test]
fn labels_in_any_order_are_one_series() {
    let body = RequestWriter::new()
        .series(&[("b", "2"), ("__name__", "up"), ("gone", ""), ("a", "1")])
        .sample(1, 1.0)
        .body();
    let want = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
    assert_eq!(rows(&decoded(&body).batch)[0].0, want);
}

#[test]
fn what_is_wrong_with_a_series_costs_that_series() {
    let check = |labels: &[(&[u8], &[u8])], want: &str| {
        let body = RequestWriter::new()
            .series(labels)
            .sample(1, 1.0)
            .sample(2, 1.0)
            .series(&[("__name__", "good")])
            .sample(1, 1.0)
            .body();
        let got = decoded(&body);
        assert_eq!(rows(&got.batch).len(), 1, "{want}");
        assert_eq!((got.refused.series, got.refused.samples), (1, 2), "{want}");
        assert_eq!(got.refused.errors[0].message(), want);
    };
    check(&[(b"a", b"1")], r#"invalid metric name or labels, got {a="1"}"#);
    check(&[(b"__name__", b""), (b"a", b"1")], r#"invalid metric name or labels, got {__name__="", a="1"}"#);
    check(&[(b"__name__", b"m"), (b"", b"1")], r#"invalid metric name or labels, got {="1", __name__="m"}"#);
    check(
        &[(b"__name__", b"m"), (b"a", b"\xff1")],
        "invalid metric name or labels, got {__name__=\"m\", a=\"\u{fffd}1\"}",
    );
    check(
        &[(b"__name__", b"m"), (b"a", b"1"), (b"a", b"1")],
        r#"invalid labels for series, labels {__name__="m", a="1", a="1"}, duplicated label a"#,
    );
    check(
        &[(b"__name__", b"m"), (b"a", b"1"), (b"a", b"")],
        r#"invalid labels for series, labels {__name__="m", a="1", a=""}, duplicated label a"#,
    );
}

#[test]
fn limits_on_labels_cost_the_series_and_are_named() {
    let check = |limits: LabelLimits, want: &str| {
        let body = RequestWriter::new()
            .series(&[("__name__", "metric"), ("abc", "0123456789")])
            .sample(1, 1.0)
            .series(&[("__name__", "m")])
            .sample(1, 1.0)
            .body();
        let got = Decoder::new(limits).decode(&body, Message::V1).unwrap();
        assert_eq!((rows(&got.batch).len(), got.refused.limited_series, got.refused.samples), (1, 1, 1));
        let message = got.refused.errors[0].message().to_owned();
        assert!(message.contains(want), "{message}");
    };
    let limits = LabelLimits::default();
    check(LabelLimits { labels: 1, ..limits }, "2 labels (limit label_limit is 1)");
    check(
        LabelLimits { name_bytes: 8, value_bytes: 9, ..limits },
        "10 bytes in a label's value (limit label_value_length_limit is 9)",
    );
    let long = "x".repeat(limits.name_bytes + 1);
    let body = RequestWriter::new().series(&[("__name__", "m"), (long.as_str(), "1")]).sample(1, 1.0).body();
    let message = decoded(&body).refused.errors[0].message().to_owned();
    assert!(message.contains("limit label_name_length_limit") && message.len() < 600, "{message}");
}

#[test]
fn a_histogram_that_contradicts_itself_costs_itself() {
    let bad = Histogram { count: 21.0, ..integer_histogram() };
    let body = RequestWriter::new()
        .series(&[("__name__", "h")])
        .histogram(1, &bad)
        .histogram(2, &integer_histogram())
        .body();
    let got = decoded(&body);
    assert_eq!(rows(&got.batch)[0].2, [(2, integer_histogram())]);
    assert_eq!((got.refused.samples, got.refused.series), (1, 0));
}

#[test]
fn finer_buckets_become_the_finest_that_are_stored() {
    let fine = Histogram {
        schema: 9,
        count: 6.0,
        positive_spans: vec![Span { offset: 1, length: 3 }],
        positive: vec![1.0, 2.0, 3.0],
        ..Histogram::default()
    };
    let body = RequestWriter::new().series(&[("__name__", "h")]).histogram(1, &fine).body();
    let got = decoded(&body);
    let stored = &rows(&got.batch)[0].2[0].1;
    // Of schema 9, buckets 1 and 2 are the first of schema 8, and bucket 3 is in the second.
    assert_eq!((stored.schema, stored.positive.as_slice()), (8, &[3.0, 3.0][..]), "{:?}", got.refused);
}

#[test]
fn numbers_that_are_not_packed_are_read_too() {
    // A histogram with count 3, one span of two buckets, and its differences one by one: 1, +1.
    let histogram = b"\x08\x03\x5a\x04\x08\x00\x10\x02\x60\x02\x60\x02\x78\x09";
    let mut message = b"\x0a".to_vec();
    let mut series = b"\x0a\x0d\x0a\x08__name__\x12\x01h\x22".to_vec();
    series.push(histogram.len() as u8);
    series.extend_from_slice(histogram);
    message.push(series.len() as u8);
    message.extend_from_slice(&series);
    let got = decoded(&compress(&message));
    let (_, _, histograms) = &rows(&got.batch)[0];
    assert_eq!((histograms[0].0, &histograms[0].1.positive), (9, &vec![1.0, 2.0]), "{:?}", got.refused);
}

#[test]
fn bytes_that_are_no_message_cost_the_request() {
    for bad in [
        &b"\x0a\x05ab"[..],
        b"\x0a\x02\x0a\x05",
        b"\x08\x01\x0b",
        b"\x0a\x13\x0a\x0d\x0a\x08__name__\x12\x01m\x12\x02\x09\x00",
        b"\x0d\0",
    ] {
        let error = Decoder::new(LabelLimits::default()).decode(&compress(bad), Message::V1).unwrap_err();
        assert!(error.message().starts_with("cannot decode remote write request: "), "{bad:?}: {error}");
    }
}

#[test]
fn more_samples_than_the_limit_cost_the_request() {
    // Two bytes a sample: the densest request there is.
    let mut series = b"\x0a\x0d\x0a\x08__name__\x12\x01m".to_vec();
    series.extend(std::iter::repeat_n(*b"\x12\x00", SAMPLES_PER_REQUEST + 1).flatten());
    let mut message = b"\x0a".to_vec();
    let mut len = series.len();
    while len >= 0x80 {
        message.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    message.push(len as u8);
    message.extend_from_slice(&series);
    let error = Decoder::new(LabelLimits::default()).decode(&compress(&message), Message::V1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("limit samples_per_request"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new(LabelLimits::default());
        let _ = decoder.decode(&bytes, Message::V1);
        let _ = decoder.decode(&compress(&bytes), Message::V1);
    }

    /// Bytes that are nearly a message reach further than noise.
    #[test]
    fn no_damage_makes_it_panic(at in 0usize..400, to in any::<u8>(), cut in 0usize..400) {
        let mut message = RequestWriter::new()
            .series(&[("__name__", "h"), ("a", "1")])
            .sample(1, 1.0)
            .histogram(7, &integer_histogram())
            .histogram(7, &Histogram { is_float: true, ..integer_histogram() })
            .exemplar(1, 1.0)
            .metadata("h", "help")
            .message();
        let len = message.len();
        message[at % len] = to;
        message.truncate(len - cut % len);
        let _ = Decoder::new(LabelLimits::default()).decode(&compress(&message), Message::V1);
    }

    #[test]
    fn what_was_written_is_read(
        series in proptest::collection::vec(
            (
                proptest::collection::btree_map("[a-z_]{1,8}", "\\PC{0,200}", 0..6),
                proptest::collection::vec((any::<i64>(), any::<u64>()), 0..4),
                any::<proptest::sample::Index>(),
            ),
            0..6,
        )
    ) {
        let mut writer = RequestWriter::new();
        let mut want: Vec<Row> = Vec::new();
        for (labels, samples, rotate) in &series {
            let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            pairs.push(("__name__", "m"));
            let len = pairs.len();
            pairs.rotate_left(rotate.index(len));
            writer.series(&pairs);
            for (t_ms, bits) in samples {
                writer.sample(*t_ms, f64::from_bits(*bits));
            }
            want.push((Labels::from_pairs(pairs.iter().copied()), samples.clone(), vec![]));
        }
        let got = decoded(&writer.body());
        prop_assert_eq!(rows(&got.batch), want);
    }
}

#[test]
fn exemplars_come_with_their_series_and_those_that_cannot_be_stored_do_not() {
    let long: Vec<(String, String)> = (0..200).map(|i| (format!("l{i}"), "x".into())).collect();
    let long: Vec<(&str, &str)> = long.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let body = RequestWriter::new()
        .series(&[("__name__", "a")])
        .sample(1, 1.0)
        .exemplar_with(&[("trace_id", "x"), ("b", "y")], 5, 0.5)
        .exemplar_with(&long, 6, 0.5)
        .series(&[("__name__", "b")])
        .exemplar(7, 2.0)
        .body();
    let mut got = decoded(&body);
    assert_eq!((got.refused.exemplars, got.batch.len(), got.batch.exemplars_len()), (1, 1, 2));
    let taken = got.batch.take_exemplars();
    let show = |e: &base::SeriesExemplar| {
        format!("{} {} {}@{}", e.labels, e.exemplar.labels, e.exemplar.value, e.exemplar.t_ms)
    };
    assert_eq!(taken.iter().map(show).collect::<Vec<_>>(), [r#"a {b="y", trace_id="x"} 0.5@5"#, "b {} 2@7"]);
}
