//! Requests of remote write 2.0 from bytes to batches, and what is refused of them.

use base::{CUSTOM_BUCKETS_SCHEMA, ErrorKind, Histogram, Labels, MetricType, STALE_NAN, Span};
use proptest::prelude::*;

use super::tests::{Row, integer_histogram, rows};
use super::*;
use crate::testing::{RequestWriter, RequestWriterV2, compress};

fn decoded(body: &[u8]) -> Decoded {
    Decoder::new(LabelLimits::default()).decode(body, Message::V2).unwrap()
}

fn with_features(body: &[u8], features: Features) -> Decoded {
    let mut decoder = Decoder::new(LabelLimits::default());
    decoder.set_features(features);
    decoder.decode(body, Message::V2).unwrap()
}

fn custom() -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: 9.0,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive: vec![1.0, 2.0],
        custom_bounds: [0.5, 1.0].into(),
        ..Histogram::default()
    }
}

#[test]
fn everything_that_a_series_has_comes_through() {
    let long = "a value of more than a hundred and twenty-seven bytes, ".repeat(4);
    let labels = [("__name__", "up_total"), ("instance", "hôte:9100"), ("job", long.as_str())];
    let float = Histogram { is_float: true, zero_count: 2.5, count: 20.5, ..integer_histogram() };
    let body = RequestWriterV2::new()
        .series(&labels)
        .metadata(1, "How often it was up.", "seconds")
        .sample_since(-5, 1.5, -100)
        .sample(i64::MAX, f64::from_bits(STALE_NAN))
        .exemplar(1, 2.0, "abc")
        .series(&[("__name__", "took_bucket"), ("le", "1")])
        .metadata(3, "Time taken.", "")
        .sample(1, 1.0)
        .series(&[("__name__", "took_count")])
        .metadata(3, "Time taken.", "")
        .sample(1, 1.0)
        .series(&[("__name__", "h")])
        .histogram(7, &integer_histogram(), 3)
        .histogram(8, &float, 0)
        .histogram(9, &custom(), 0)
        .body();
    let mut got = decoded(&body);
    let samples = |v: f64| vec![(1, v.to_bits())];
    let want: Vec<Row> = vec![
        (Labels::from_pairs(labels), vec![(-5, 1.5f64.to_bits()), (i64::MAX, STALE_NAN)], vec![]),
        (Labels::from_pairs([("__name__", "took_bucket"), ("le", "1")]), samples(1.0), vec![]),
        (Labels::from_pairs([("__name__", "took_count")]), samples(1.0), vec![]),
        (
            Labels::from_pairs([("__name__", "h")]),
            vec![],
            vec![(7, integer_histogram()), (8, float), (9, custom())],
        ),
    ];
    assert_eq!(rows(&got.batch), want);
    assert!(got.refused.is_empty() && got.implied.is_empty(), "{:?}", got.refused);
    let exemplars = got.batch.take_exemplars();
    assert_eq!((exemplars.len(), exemplars[0].labels.metric()), (1, "up_total"));
    assert_eq!(exemplars[0].exemplar.labels, Labels::from_pairs([("trace_id", "abc")]));
    let described: Vec<_> =
        got.metadata.iter().map(|(f, m)| (&**f, m.metric_type, &*m.help, &*m.unit)).collect();
    let want = [
        ("up_total", MetricType::Counter, "How often it was up.", "seconds"),
        ("took", MetricType::Histogram, "Time taken.", ""),
        ("took", MetricType::Histogram, "Time taken.", ""),
    ];
    assert_eq!(described, want);
}

#[test]
fn starts_become_zeros_if_that_is_wanted() {
    let body = RequestWriterV2::new()
        .series(&[("__name__", "c_total")])
        .sample_since(1000, 5.0, 400)
        .sample_since(2000, 6.0, 400)
        .series(&[("__name__", "h")])
        .histogram(1000, &custom(), 500)
        .series(&[("__name__", "of_the_future")])
        .sample_since(1000, 5.0, 1000)
        .series(&[("__name__", "unknown")])
        .sample(1000, 5.0)
        .body();
    let features = Features { start_zeros: Some(Arc::default()), ..Features::default() };
    let mut got = with_features(&body, features.clone());
    let nothing =
        Histogram { schema: CUSTOM_BUCKETS_SCHEMA, custom_bounds: [0.5, 1.0].into(), ..Histogram::default() };
    let want: Vec<Row> = vec![
        (Labels::from_pairs([("__name__", "c_total")]), vec![(400, 0)], vec![]),
        (Labels::from_pairs([("__name__", "h")]), vec![], vec![(500, nothing)]),
    ];
    assert_eq!(rows(&got.implied), want);
    assert_eq!(got.batch.len(), 5);
    assert_eq!(rows(&with_features(&body, features.clone()).implied), want, "the store has not taken it yet");
    got.starts.stored();
    assert!(with_features(&body, features).implied.is_empty(), "it is known by now");
}

#[test]
fn starts_are_kept_if_that_is_wanted() {
    let body = RequestWriterV2::new()
        .series(&[("__name__", "c_total")])
        .sample_since(1000, 5.0, 400)
        .sample(2000, 6.0)
        .series(&[("__name__", "h")])
        .histogram(1000, &custom(), 500)
        .body();
    let got = with_features(&body, Features { starts: true, ..Features::default() });
    let starts: Vec<_> = got.batch.series().map(|s| [s.start_ms(0), s.start_ms(1)]).collect();
    assert_eq!(starts, [[400, 0], [500, 0]]);
    assert!(got.implied.is_empty() && !got.implied.has_starts());
    assert!(!with_features(&body, Features::default()).batch.has_starts());
}

#[test]
fn type_and_unit_become_labels_if_that_is_wanted() {
    let body = RequestWriterV2::new()
        .series(&[("__name__", "c_total"), ("__type__", "gauge"), ("a", "1")])
        .metadata(1, "", "bytes")
        .sample(1, 1.0)
        .series(&[("__name__", "plain")])
        .sample(1, 1.0)
        .body();
    let got = with_features(&body, Features { type_and_unit_labels: true, ..Features::default() });
    let want = [
        Labels::from_pairs([
            ("__name__", "c_total"),
            ("__type__", "counter"),
            ("__unit__", "bytes"),
            ("a", "1"),
        ]),
        Labels::from_pairs([("__name__", "plain")]),
    ];
    let labels: Vec<Labels> = rows(&got.batch).into_iter().map(|r| r.0).collect();
    assert_eq!(labels, want, "{:?}", got.refused);
}

/// A series as `bad` makes it, and one that is sound, of which the latter comes through.
fn check(bad: impl FnOnce(&mut RequestWriterV2), samples: u64, want: &str) {
    let mut writer = RequestWriterV2::new();
    bad(&mut writer);
    let got = decoded(&writer.series(&[("__name__", "good"), ("a", "1")]).sample(1, 1.0).body());
    let names: Vec<_> = rows(&got.batch).iter().map(|r| r.0.metric().to_owned()).collect();
    assert_eq!(names, ["good"], "{want}");
    assert_eq!(got.refused.samples, samples, "{want}");
    assert_eq!(got.refused.errors[0].message(), want);
}

#[test]
fn what_is_wrong_with_a_series_costs_that_series() {
    check(
        |w| _ = w.series_of_refs(&[1, 2, 3]).sample(1, 1.0),
        1,
        "parsing labels for series [1 2 3]: invalid labelRefs length 3",
    );
    check(
        |w| _ = w.series_of_refs(&[0, 99]).sample(1, 1.0).sample(2, 1.0),
        2,
        "parsing labels for series [0 99]: labelRefs 0 (name) = 99 (value) outside of symbols table (size 5)",
    );
    check(
        |w| _ = w.series(&[("__name__", "m")]).metadata_refs(1, 0, 7).sample(1, 1.0),
        1,
        "parsing metadata for series [1 2]: metadata unit_ref 7 outside of symbols table (size 6)",
    );
    check(
        |w| _ = w.series(&[("__name__", "m")]).metadata_refs(1, u64::MAX, 0).sample(1, 1.0),
        1,
        "parsing metadata for series [1 2]: metadata help_ref 4294967295 outside of symbols table (size 6)",
    );
    check(|w| _ = w.series(&[("a", "1")]).sample(1, 1.0), 1, r#"invalid metric name or labels, got {a="1"}"#);
    check(
        |w| _ = w.series(&[("__name__", "m"), ("a", "1"), ("a", "2")]).sample(1, 1.0),
        1,
        r#"invalid labels for series, labels {__name__="m", a="1", a="2"}, duplicated label a"#,
    );
    check(
        |w| _ = w.series(&[(&b"__name__"[..], &b"m"[..]), (b"a", b"\xff")]).histogram(1, &custom(), 0),
        1,
        "invalid metric name or labels, got {__name__=\"m\", a=\"\u{fffd}\"}",
    );
    check(
        |w| _ = w.series(&[("__name__", "m")]).exemplar(1, 1.0, "x"),
        0,
        r#"TimeSeries must contain at least one sample or histogram for series {__name__="m"}"#,
    );
}

#[test]
fn what_is_wrong_within_a_series_costs_itself() {
    let contradiction = Histogram { count: 21.0, ..integer_histogram() };
    let mut writer = RequestWriterV2::new();
    writer.series(&[("__name__", "h")]).histogram(1, &contradiction, 0).histogram(2, &integer_histogram(), 0);
    let got = decoded(&writer.body());
    assert_eq!(rows(&got.batch)[0].2, [(2, integer_histogram())]);
    assert_eq!((got.refused.samples, got.refused.series), (1, 0));
    let said = got.refused.errors[0].message();
    assert!(said.contains("its count is 21") && said.ends_with("for series h"), "{said}");

    let message = RequestWriterV2::new().series(&[("__name__", "m")]).sample(1, 1.0).message();
    // An exemplar with one reference, after the sample.
    let series = message.len() - 2 - 17..;
    let mut odd = message[..series.start].to_vec();
    let mut bytes = message[series][2..].to_vec();
    bytes.extend_from_slice(b"\x22\x03\x0a\x01\x01");
    odd.extend([0x2a, bytes.len() as u8]);
    odd.extend(bytes);
    let got = decoded(&compress(&odd));
    assert_eq!((got.batch.len(), got.refused.exemplars), (1, 1));
    let said = got.refused.errors[0].message();
    assert_eq!(said, "parsing exemplar: invalid labelRefs length 1 for series m");
}

#[test]
fn labels_in_any_order_and_texts_in_any_place_are_understood() {
    let body = RequestWriterV2::new()
        .series(&[("b", "2"), ("__name__", "up"), ("gone", ""), ("a", "1")])
        .sample(1, 1.0)
        .body();
    let want = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
    assert_eq!(rows(&decoded(&body).batch)[0].0, want);

    // The series first, the texts behind it, and references one by one.
    let message = b"\x2a\x08\x08\x01\x08\x02\x12\x02\x10\x07\x22\x00\x22\x08__name__\x22\x01m";
    let got = decoded(&compress(message));
    assert_eq!(rows(&got.batch), [(Labels::from_pairs([("__name__", "m")]), vec![(7, 0)], vec![])]);
}

#[test]
fn a_message_of_the_other_version_is_an_empty_one() {
    let v1 = RequestWriter::new().series(&[("__name__", "m")]).sample(1, 1.0).body();
    assert!(decoded(&v1).batch.is_empty());
    let v2 = RequestWriterV2::new().series(&[("__name__", "m")]).sample(1, 1.0).body();
    let got = Decoder::new(LabelLimits::default()).decode(&v2, Message::V1).unwrap();
    assert!(got.batch.is_empty() && got.refused.is_empty());
}

#[test]
fn a_text_that_is_named_many_times_costs_the_request() {
    let long = "x".repeat(60_000);
    let mut writer = RequestWriterV2::new();
    for i in 0..1_500 {
        let unique = i.to_string();
        writer.series(&[("__name__", "m"), ("a", long.as_str()), ("b", unique.as_str())]).sample(1, 1.0);
    }
    let body = writer.body();
    assert!(body.len() < 100_000);
    let error = Decoder::new(LabelLimits::default()).decode(&body, Message::V2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("limit label_bytes_per_request"), "{error}");
}

#[test]
fn more_references_than_labels_may_be_cost_the_series() {
    let refs: Vec<u64> = std::iter::repeat_n([1, 2], 400_000).flatten().collect();
    let mut writer = RequestWriterV2::new();
    writer.series(&[("__name__", "x".repeat(10_000).as_str())]).sample(1, 1.0);
    let got = decoded(&writer.series_of_refs(&refs).sample(1, 1.0).body());
    assert_eq!((got.batch.len(), got.refused.limited_series, got.refused.samples), (1, 1, 1));
    let said = got.refused.errors[0].message();
    assert!(said.contains("limit label_limit is 1024") && said.len() < 1000, "{said}");
}

#[test]
fn more_texts_than_the_limit_cost_the_request() {
    let message: Vec<u8> =
        std::iter::repeat_n([0x22, 0], crate::limits::SYMBOLS_PER_REQUEST + 1).flatten().collect();
    let error = Decoder::new(LabelLimits::default()).decode(&compress(&message), Message::V2).unwrap_err();
    assert!(error.message().contains("limit symbols_per_request"), "{error}");
}

fn full_message() -> Vec<u8> {
    RequestWriterV2::new()
        .series(&[("__name__", "h"), ("a", "1")])
        .metadata(3, "help", "unit")
        .sample_since(1, 1.0, 1)
        .histogram(7, &integer_histogram(), 1)
        .histogram(7, &Histogram { is_float: true, ..integer_histogram() }, 0)
        .exemplar(1, 1.0, "abc")
        .message()
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_far_as_it_goes() {
    let message = full_message();
    let whole = decoded(&compress(&message)).batch.len();
    for cut in 0..message.len() {
        match Decoder::new(LabelLimits::default()).decode(&compress(&message[..cut]), Message::V2) {
            Ok(got) => assert!(got.batch.len() < whole, "cut at {cut}"),
            Err(e) => {
                assert_eq!(e.message(), "cannot decode remote write request: unexpected EOF", "cut at {cut}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new(LabelLimits::default());
        let _ = decoder.decode(&bytes, Message::V2);
        let _ = decoder.decode(&compress(&bytes), Message::V2);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..400, to in any::<u8>(), cut in 0usize..400) {
        let mut message = full_message();
        let len = message.len();
        message[at % len] = to;
        message.truncate(len - cut % len);
        let mut decoder = Decoder::new(LabelLimits::default());
        decoder.set_features(Features { start_zeros: Some(Arc::default()), type_and_unit_labels: true, starts: true });
        let _ = decoder.decode(&compress(&message), Message::V2);
    }

    #[test]
    fn both_versions_say_the_same(
        series in proptest::collection::vec(
            (
                proptest::collection::btree_map("[a-z_]{1,8}", "\\PC{0,200}", 0..6),
                proptest::collection::vec((any::<i64>(), any::<u64>()), 1..4),
                any::<proptest::sample::Index>(),
            ),
            0..6,
        )
    ) {
        let (mut v1, mut v2) = (RequestWriter::new(), RequestWriterV2::new());
        for (labels, samples, rotate) in &series {
            let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            pairs.push(("__name__", "m"));
            let len = pairs.len();
            pairs.rotate_left(rotate.index(len));
            v1.series(&pairs);
            v2.series(&pairs);
            for (t_ms, bits) in samples {
                v1.sample(*t_ms, f64::from_bits(*bits));
                v2.sample(*t_ms, f64::from_bits(*bits));
            }
        }
        let by_v1 = Decoder::new(LabelLimits::default()).decode(&v1.body(), Message::V1).unwrap();
        let by_v2 = decoded(&v2.body());
        prop_assert_eq!(rows(&by_v2.batch), rows(&by_v1.batch));
        prop_assert_eq!(by_v2.refused.series, by_v1.refused.series);
    }
}
