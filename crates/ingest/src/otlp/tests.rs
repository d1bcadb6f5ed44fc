//! Requests from bytes to series.

use base::{CounterResetHint, Histogram, Labels, MetricType, Span, is_stale};
use proptest::prelude::*;

use super::*;
use crate::testing::otlp::{Attributes, CUMULATIVE, Common, DELTA, Exemplar, OtlpWriter, Side, Value, texts};

const NS: u64 = 1_000_000;

fn decoded(message: &[u8], settings: &Settings) -> Decoded {
    decode(message, settings, LabelLimits::default(), 0).unwrap()
}

/// Series as people read them, with their samples.
fn lines(batch: &base::WriteBatch) -> Vec<String> {
    let mut lines = Vec::new();
    for series in batch.series() {
        for s in series.samples {
            let value = if is_stale(s.value) { "stale".into() } else { s.value.to_string() };
            lines.push(format!("{} {value}@{}", series.to_labels(), s.t_ms));
        }
        for (t_ms, h) in series.histograms {
            let what = if h.is_stale() { "stale".into() } else { format!("histogram of {}", h.count) };
            lines.push(format!("{} {what}@{t_ms}", series.to_labels()));
        }
    }
    lines
}

fn at(time_ms: u64) -> Common {
    Common { time_ns: time_ms * NS, ..Common::default() }
}

fn service() -> Attributes {
    texts(&[
        ("service.name", "shop"),
        ("service.namespace", "eu"),
        ("service.instance.id", "shop-1"),
        ("host.name", "h1"),
    ])
}

fn check(write: impl FnOnce(&mut OtlpWriter), settings: &Settings, want: &[&str]) {
    let mut writer = OtlpWriter::new();
    write(writer.resource(&service()).scope("lib", "1.0", "", &vec![]));
    let got = decoded(&writer.message(), settings);
    assert!(got.refused.is_empty(), "{:?}", got.refused);
    assert_eq!(lines(&got.batch), want);
}

#[test]
fn every_kind_of_data_becomes_series() {
    let tagged = Common { attributes: texts(&[("http.method", "GET")]), ..at(5) };
    check(
        |w| {
            w.gauge("cpu.usage", "1").double(&tagged, 0.5).int(&at(6), 7);
            w.sum("requests", "", CUMULATIVE, true).int(&tagged, 3);
            w.sum("active", "{connection}", CUMULATIVE, false).int(&at(5), -3);
            w.histogram("took", "s", CUMULATIVE).buckets(&tagged, Some(1.5), &[1, 2, 4], &[0.25, 10.0]);
            w.summary("size", "By").quantiles(&tagged, 9, 4.5, &[(0.5, 1.0), (0.99, 2.0)]);
        },
        &Settings::default(),
        &[
            r#"cpu_usage_ratio{http_method="GET", instance="shop-1", job="eu/shop"} 0.5@5"#,
            r#"cpu_usage_ratio{instance="shop-1", job="eu/shop"} 7@6"#,
            r#"requests_total{http_method="GET", instance="shop-1", job="eu/shop"} 3@5"#,
            r#"active{instance="shop-1", job="eu/shop"} -3@5"#,
            r#"took_seconds_sum{http_method="GET", instance="shop-1", job="eu/shop"} 1.5@5"#,
            r#"took_seconds_count{http_method="GET", instance="shop-1", job="eu/shop"} 7@5"#,
            r#"took_seconds_bucket{http_method="GET", instance="shop-1", job="eu/shop", le="0.25"} 1@5"#,
            r#"took_seconds_bucket{http_method="GET", instance="shop-1", job="eu/shop", le="10"} 3@5"#,
            r#"took_seconds_bucket{http_method="GET", instance="shop-1", job="eu/shop", le="+Inf"} 7@5"#,
            r#"size_bytes_sum{http_method="GET", instance="shop-1", job="eu/shop"} 4.5@5"#,
            r#"size_bytes_count{http_method="GET", instance="shop-1", job="eu/shop"} 9@5"#,
            r#"size_bytes{http_method="GET", instance="shop-1", job="eu/shop", quantile="0.5"} 1@5"#,
            r#"size_bytes{http_method="GET", instance="shop-1", job="eu/shop", quantile="0.99"} 2@5"#,
        ],
    );
}

#[test]
fn metrics_are_described() {
    let mut writer = OtlpWriter::new();
    writer.resource(&service()).scope("", "", "", &vec![]);
    writer.gauge("g", "").int(&at(1), 1).sum("c", "By", CUMULATIVE, true).int(&at(1), 1);
    writer.sum("n", "", CUMULATIVE, false).int(&at(1), 1);
    writer.histogram("h", "s", CUMULATIVE).buckets(&at(1), None, &[1], &[]);
    writer.summary("s", "").quantiles(&at(1), 1, 1.0, &[]);
    let got = decoded(&writer.message(), &Settings::default());
    let described: Vec<_> =
        got.metadata.iter().map(|(family, m)| (&**family, m.metric_type, &*m.help, &*m.unit)).collect();
    let want = [
        ("g", MetricType::Gauge, "Help of g.", ""),
        ("c_bytes_total", MetricType::Counter, "Help of c.", "bytes"),
        ("n", MetricType::Gauge, "Help of n.", ""),
        ("h_seconds", MetricType::Histogram, "Help of h.", "seconds"),
        ("s", MetricType::Summary, "Help of s.", ""),
        ("target_info", MetricType::Gauge, "Target metadata", ""),
    ];
    assert_eq!(described, want);
}

#[test]
fn names_are_translated_as_configured() {
    let of = |translation, want: &str| {
        let settings = Settings { translation, ..Settings::default() };
        let tagged = Common { attributes: texts(&[("http.méthode", "GET")]), ..at(5) };
        check(|w| _ = w.sum("http.requests", "s", CUMULATIVE, true).int(&tagged, 1), &settings, &[want]);
    };
    let rest = r#"instance="shop-1", job="eu/shop"} 1@5"#;
    of(
        Translation::UnderscoreEscapingWithSuffixes,
        &format!(r#"http_requests_seconds_total{{http_m_thode="GET", {rest}"#),
    );
    of(
        Translation::UnderscoreEscapingWithoutSuffixes,
        &format!(r#"http_requests{{http_m_thode="GET", {rest}"#),
    );
    of(
        Translation::NoUtf8EscapingWithSuffixes,
        &format!(r#"{{__name__="http.requests_seconds_total", "http.méthode"="GET", {rest}"#),
    );
    of(Translation::NoTranslation, &format!(r#"{{__name__="http.requests", "http.méthode"="GET", {rest}"#));
}

#[test]
fn a_series_that_ends_is_marked() {
    let ends = Common { flags: 1, ..at(5) };
    let side: Side = (0, vec![1]);
    let nothing: Side = (0, vec![]);
    check(
        |w| {
            w.gauge("g", "").double(&ends, 1.0);
            w.histogram("h", "", CUMULATIVE).buckets(&ends, Some(1.0), &[1], &[]);
            w.exponential("e", "", CUMULATIVE).scaled(&ends, None, (0, 0, 0.0), [&side, &nothing]);
        },
        &Settings::default(),
        &[
            r#"g{instance="shop-1", job="eu/shop"} stale@5"#,
            r#"h_sum{instance="shop-1", job="eu/shop"} stale@5"#,
            r#"h_count{instance="shop-1", job="eu/shop"} stale@5"#,
            r#"h_bucket{instance="shop-1", job="eu/shop", le="+Inf"} stale@5"#,
            r#"e{instance="shop-1", job="eu/shop"} stale@5"#,
        ],
    );
}

/// The native histogram of a request that has one.
fn native(settings: &Settings, write: impl FnOnce(&mut OtlpWriter)) -> Histogram {
    let mut writer = OtlpWriter::new();
    write(writer.resource(&vec![]).scope("", "", "", &vec![]));
    let got = decoded(&writer.message(), settings);
    assert!(got.refused.is_empty(), "{:?}", got.refused);
    let mut series = got.batch.series();
    series.next().unwrap().histograms[0].1.clone()
}

#[test]
fn bounds_become_custom_buckets_if_that_is_wanted() {
    let settings = Settings { convert_histograms_to_nhcb: true, ..Settings::default() };
    let h = native(&settings, |w| {
        w.histogram("h", "", CUMULATIVE).buckets(
            &at(5),
            Some(4.5),
            &[0, 2, 0, 0, 0, 1],
            &[1.0, 2.0, 3.0, 4.0, 5.0],
        );
    });
    let want = Histogram {
        schema: base::CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: 4.5,
        positive_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 3, length: 1 }],
        positive: vec![2.0, 1.0],
        custom_bounds: [1.0, 2.0, 3.0, 4.0, 5.0].into(),
        ..Histogram::default()
    };
    assert_eq!(h, want);
    // Without buckets there is one.
    let h = native(&settings, |w| _ = w.histogram("h", "", CUMULATIVE).buckets(&at(5), None, &[7], &[]));
    assert_eq!((h.count, h.positive.as_slice(), h.custom_bounds.len()), (7.0, &[7.0][..], 0));
}

#[test]
fn exponential_histograms_become_native_ones() {
    let of = |scale, threshold, positive: &Side, negative: &Side| {
        native(&Settings::default(), |w| {
            w.exponential("e", "", CUMULATIVE).scaled(
                &at(5),
                Some(2.5),
                (scale, 3, threshold),
                [positive, negative],
            );
        })
    };
    let h = of(1, 0.0, &(-2, vec![1, 0, 2, 0, 0, 0, 4]), &(7, vec![5]));
    let want = Histogram {
        schema: 1,
        zero_threshold: 1e-128,
        zero_count: 3.0,
        count: 15.0,
        sum: 2.5,
        positive_spans: vec![Span { offset: -1, length: 3 }, Span { offset: 3, length: 1 }],
        positive: vec![1.0, 0.0, 2.0, 4.0],
        negative_spans: vec![Span { offset: 8, length: 1 }],
        negative: vec![5.0],
        ..Histogram::default()
    };
    assert_eq!(h, want);
    // Two buckets of scale 9 are one of scale 8.
    let h = of(9, 0.25, &(0, vec![1, 2, 3]), &(0, vec![]));
    assert_eq!((h.schema, h.zero_threshold, h.positive.as_slice()), (8, 0.25, &[3.0, 3.0][..]));
    assert_eq!(h.positive_spans, [Span { offset: 1, length: 2 }]);
    let h = of(20, 0.0, &(-5, vec![1, 1, 1, 1, 1, 1]), &(0, vec![]));
    assert_eq!(
        (h.positive_spans.as_slice(), h.positive.as_slice()),
        (&[Span { offset: 0, length: 2 }][..], &[5.0, 1.0][..])
    );
}

#[test]
fn resources_are_promoted_as_configured() {
    let only = Settings {
        promotion: Promotion::Only(["host.name".into(), "http.method".into()].into()),
        ..Settings::default()
    };
    check(
        |w| _ = w.gauge("g", "").int(&at(5), 1),
        &only,
        &[r#"g{host_name="h1", instance="shop-1", job="eu/shop"} 1@5"#],
    );
    // What a data point says itself comes first.
    let own = Common { attributes: texts(&[("host.name", "own"), ("job", "mine")]), ..at(5) };
    check(
        |w| _ = w.gauge("g", "").int(&own, 1),
        &only,
        &[r#"g{host_name="own", instance="shop-1", job="eu/shop"} 1@5"#],
    );
    let promotion = Promotion::AllBut(["service.name".into(), "service.namespace".into()].into());
    check(
        |w| _ = w.gauge("g", "").int(&at(5), 1),
        &Settings { promotion, ..Settings::default() },
        &[r#"g{host_name="h1", instance="shop-1", job="eu/shop", service_instance_id="shop-1"} 1@5"#],
    );
}

#[test]
fn scopes_are_promoted_if_that_is_wanted() {
    let mut writer = OtlpWriter::new();
    let attributes = texts(&[("team", "x")]);
    writer
        .resource(&vec![])
        .scope("lib", "1.0", "https://example.com/1", &attributes)
        .gauge("g", "")
        .int(&at(5), 1);
    writer.scope("", "1.0", "", &attributes).gauge("nameless", "").int(&at(5), 1);
    let settings = Settings { promote_scope_metadata: true, ..Settings::default() };
    let got = decoded(&writer.message(), &settings);
    let want = [
        r#"g{otel_scope_name="lib", otel_scope_schema_url="https://example.com/1", otel_scope_team="x", otel_scope_version="1.0"} 1@5"#,
        "nameless 1@5",
    ];
    assert_eq!(lines(&got.batch), want);
}

#[test]
fn what_is_known_of_a_target_is_a_series_over_its_time() {
    let of = |settings: &Settings, attributes: &Attributes, times_ms: &[u64]| {
        let mut writer = OtlpWriter::new();
        writer.resource(attributes).scope("", "", "", &vec![]).gauge("g", "");
        times_ms.iter().for_each(|t_ms| _ = writer.int(&at(*t_ms), 1));
        lines(&decoded(&writer.message(), settings).implied)
    };
    let settings = Settings::default();
    let target = r#"target_info{host_name="h1", instance="shop-1", job="eu/shop"}"#;
    assert_eq!(of(&settings, &service(), &[7]), [format!("{target} 1@7")]);
    // A sample each half of the time that queries look back.
    let want: Vec<_> = [7, 150_007, 300_007, 300_008].map(|t| format!("{target} 1@{t}")).into();
    assert_eq!(of(&settings, &service(), &[300_008, 7]), want);
    let identifying = texts(&[("service.name", "shop"), ("service.instance.id", "1")]);
    assert!(of(&settings, &identifying, &[7]).is_empty(), "job and instance say it all");
    let anonymous = texts(&[("host.name", "h1")]);
    assert!(of(&settings, &anonymous, &[7]).is_empty(), "it could not be joined with anything");
    let keep = Settings { keep_identifying_resource_attributes: true, ..Settings::default() };
    let want = r#"target_info{host_name="h1", instance="shop-1", job="eu/shop", service_instance_id="shop-1", service_name="shop", service_namespace="eu"} 1@7"#;
    assert_eq!(of(&keep, &service(), &[7]), [want]);
    // Times from 1970 on are not all told of.
    let long = of(&settings, &service(), &[0, 1_700_000_000_000]);
    assert_eq!(long.len() as u64, crate::limits::TARGET_INFO_SAMPLES + 1);
    assert_eq!(long.last().unwrap(), &format!("{target} 1@1700000000000"));
}

#[test]
fn attributes_that_become_one_label_are_joined_in_order() {
    let tagged =
        Common { attributes: texts(&[("a_b", "2"), ("a.b", "1"), ("a-b", ""), ("empty", "")]), ..at(5) };
    let mut writer = OtlpWriter::new();
    writer.resource(&vec![]).scope("", "", "", &vec![]).gauge("g", "").int(&tagged, 1).int(&tagged, 2);
    let got = decoded(&writer.message(), &Settings::default());
    assert_eq!(lines(&got.batch), [r#"g{a_b="1;2"} 1@5"#, r#"g{a_b="1;2"} 2@5"#]);
    assert_eq!(got.warnings.label_name_collision, 1);
    let want = r#"OTLP data point attributes "a-b", "a.b", "a_b" collide as label "a_b" after name sanitization, values are concatenated with ';'"#;
    assert_eq!(got.warnings.texts, [want]);
}

#[test]
fn exemplars_go_with_the_bucket_that_they_are_in() {
    let exemplar = |value, attributes| Exemplar {
        attributes,
        time_ns: 4 * NS,
        value: Some(value),
        span_id: vec![1; 8],
        trace_id: vec![0xab; 16],
    };
    let long = texts(&[("long", "x".repeat(100).as_str())]);
    let exemplars = vec![exemplar(0.5, vec![]), exemplar(3.0, texts(&[("k", "v")])), exemplar(99.0, long)];
    let point = Common { exemplars, ..at(5) };
    let mut writer = OtlpWriter::new();
    writer.resource(&vec![]).scope("", "", "", &vec![]);
    writer.histogram("h", "", CUMULATIVE).buckets(&point, None, &[1, 1, 1], &[1.0, 5.0]);
    writer.sum("c", "", CUMULATIVE, true).int(&point, 1).gauge("g", "").int(&point, 1);
    let nothing = Common { exemplars: vec![Exemplar::default()], ..at(5) };
    writer.sum("n", "", CUMULATIVE, true).int(&nothing, 1);
    let mut got = decoded(&writer.message(), &Settings::default());
    let shown: Vec<String> = got
        .batch
        .take_exemplars()
        .iter()
        .map(|e| format!("{} {} {}@{}", e.labels, e.exemplar.labels, e.exemplar.value, e.exemplar.t_ms))
        .collect();
    let ids = r#"span_id="0101010101010101", trace_id="abababababababababababababababab""#;
    let want = [
        format!(r#"h_bucket{{le="1"}} {{{ids}}} 0.5@4"#),
        format!(r#"h_bucket{{le="5"}} {{k="v", {ids}}} 3@4"#),
        // What was filtered does not fit.
        format!(r#"h_bucket{{le="+Inf"}} {{{ids}}} 99@4"#),
        format!(r#"c_total {{{ids}}} 0.5@4"#),
        format!(r#"c_total {{k="v", {ids}}} 3@4"#),
        format!(r#"c_total {{{ids}}} 99@4"#),
    ];
    assert_eq!(shown, want);
    assert_eq!(got.refused.exemplars, 1);
}

#[test]
fn deltas_are_refused_stored_or_added_up() {
    let request = |t_ms, value| {
        let mut writer = OtlpWriter::new();
        let point = Common { start_ns: NS, ..at(t_ms) };
        writer.resource(&vec![]).scope("", "", "", &vec![]).sum("c", "", DELTA, true).int(&point, value);
        writer.gauge("g", "").int(&point, value);
        writer.message()
    };
    let got = decoded(&request(5, 3), &Settings::default());
    assert_eq!((lines(&got.batch), got.refused.points), (vec!["g 3@5".to_owned()], 1));
    let said = got.refused.errors[0].message();
    assert_eq!(said, r#"invalid temporality and type combination for metric "c""#);

    let stored = Settings { deltas: Deltas::Store, ..Settings::default() };
    let got = decoded(&request(5, 3), &stored);
    assert_eq!(lines(&got.batch), ["c_total 3@5", "g 3@5"]);
    assert_eq!(got.metadata[0].1.metric_type, MetricType::Unknown);

    let added = Settings { deltas: Deltas::AddUp(Arc::default()), ..Settings::default() };
    assert_eq!(lines(&decoded(&request(5, 3), &added).batch), ["c_total 3@5", "g 3@5"]);
    assert_eq!(lines(&decoded(&request(6, 4), &added).batch), ["c_total 7@6", "g 4@6"]);
    let late = decoded(&request(5, 1), &added);
    assert_eq!((lines(&late.batch), late.refused.points), (vec!["g 1@5".to_owned()], 1));
    assert_eq!(late.metadata[0].1.metric_type, MetricType::Counter);
}

#[test]
fn deltas_of_histograms_are_added_up_by_series() {
    let settings = Settings { deltas: Deltas::AddUp(Arc::default()), ..Settings::default() };
    let request = |t_ms, tag: &str| {
        let mut writer = OtlpWriter::new();
        let point = Common { start_ns: NS, attributes: texts(&[("tag", tag)]), ..at(t_ms) };
        writer.resource(&vec![]).scope("", "", "", &vec![]);
        writer.histogram("h", "", DELTA).buckets(&point, Some(1.0), &[1, 2], &[1.0]);
        writer.exponential("e", "", DELTA).scaled(&point, None, (0, 1, 0.0), [&(0, vec![2]), &(0, vec![])]);
        lines(&decoded(&writer.message(), &settings).batch)
    };
    request(5, "a");
    assert!(request(6, "b").contains(&r#"h_count{tag="b"} 3@6"#.to_owned()));
    let got = request(6, "a");
    for want in [
        r#"h_sum{tag="a"} 2@6"#,
        r#"h_bucket{le="1", tag="a"} 2@6"#,
        r#"h_bucket{le="+Inf", tag="a"} 6@6"#,
        r#"e{tag="a"} histogram of 6@6"#,
    ] {
        assert!(got.contains(&want.to_owned()), "{want} is not in {got:?}");
    }
    let stored = Settings { deltas: Deltas::Store, ..Settings::default() };
    let h = native(&stored, |w| {
        w.exponential("e", "", DELTA).scaled(&at(1), None, (0, 1, 0.0), [&(0, vec![2]), &(0, vec![])]);
    });
    assert_eq!(h.counter_reset_hint, CounterResetHint::Gauge);
}

#[test]
fn starts_types_and_units_are_stored_if_that_is_wanted() {
    let settings =
        Settings { start_zeros: Some(Arc::default()), type_and_unit_labels: true, ..Settings::default() };
    let mut writer = OtlpWriter::new();
    let point = Common { start_ns: 2 * NS, ..at(5) };
    writer.resource(&vec![]).scope("", "", "", &vec![]);
    writer.sum("c", "By", CUMULATIVE, true).int(&point, 3).gauge("g", "").int(&point, 1);
    let got = decoded(&writer.message(), &settings);
    let counter = r#"c_bytes_total{__type__="counter", __unit__="bytes"}"#;
    assert_eq!(lines(&got.batch), [format!("{counter} 3@5"), r#"g{__type__="gauge"} 1@5"#.into()]);
    assert_eq!(lines(&got.implied), [format!("{counter} 0@2")]);
}

#[test]
fn starts_are_kept_with_samples_if_that_is_wanted() {
    let mut writer = OtlpWriter::new();
    let point = Common { start_ns: 2 * NS, ..at(5) };
    writer.resource(&vec![]).scope("", "", "", &vec![]);
    writer.sum("c", "", CUMULATIVE, true).int(&point, 3).int(&at(6), 4).gauge("g", "").int(&point, 1);
    writer.exponential("e", "", CUMULATIVE).scaled(&point, None, (0, 0, 0.0), [&(0, vec![1]), &(0, vec![])]);
    let message = writer.message();
    let starts = |settings: &Settings| -> Vec<(String, i64)> {
        let got = decoded(&message, settings);
        got.batch.series().map(|s| (s.to_labels().metric().to_owned(), s.start_ms(0))).collect()
    };
    let want = |c: i64| [("c_total", c), ("c_total", 0), ("g", 0), ("e", c)].map(|(n, t)| (n.to_owned(), t));
    assert_eq!(starts(&Settings { starts: true, ..Settings::default() }), want(2));
    assert_eq!(starts(&Settings::default()), want(0));
}

#[test]
fn what_is_wrong_with_a_data_point_costs_that_data_point() {
    let nested = (0..100).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
    let check = |write: &dyn Fn(&mut OtlpWriter), points: u64, want: &str| {
        let mut writer = OtlpWriter::new();
        writer.resource(&vec![]).scope("", "", "", &vec![]);
        write(&mut writer);
        writer.gauge("good", "").int(&at(5), 1);
        let got = decoded(&writer.message(), &Settings::default());
        assert_eq!((lines(&got.batch), got.refused.points), (vec!["good 1@5".to_owned()], points), "{want}");
        let said = got.refused.errors[0].message();
        assert!(said.contains(want), "{said}");
    };
    let with = |name: &str, value: Value| Common { attributes: vec![(name.into(), value)], ..at(5) };
    check(&|w| _ = w.gauge("deep", "").int(&with("a", nested.clone()), 1), 1, "limit attribute_depth");
    check(&|w| _ = w.gauge("nameless", "").int(&with("", "x".into()), 1), 1, "label name is empty");
    check(&|w| _ = w.gauge("@", "").int(&at(5), 1).int(&at(6), 1), 2, "resulted in empty name");
    check(&|w| _ = w.sum("c", "", 7, true).int(&at(5), 1), 1, "invalid temporality");
    check(
        &|w| {
            _ = w.exponential("e", "", CUMULATIVE).scaled(
                &at(5),
                None,
                (-5, 0, 0.0),
                [&(0, vec![1]), &(0, vec![])],
            );
        },
        1,
        "Scale must be >= -4, was -5",
    );
    check(
        &|w| {
            _ = w.exponential("e", "", CUMULATIVE).scaled(
                &at(5),
                None,
                (0, 0, 0.0),
                [&(i32::MAX, vec![1, 1]), &(0, vec![])],
            );
        },
        1,
        "cannot take histogram",
    );
    let many: Attributes = (0..2000).map(|i| (format!("a{i}"), Value::Int(i))).collect();
    let many = Common { attributes: many, ..at(5) };
    check(&|w| _ = w.gauge("wide", "").int(&many, 1), 1, "limit label_limit is 1024");
    let long = with("a", Value::Text("x".repeat(70_000)));
    check(&|w| _ = w.gauge("long", "").int(&long, 1), 1, "limit label_value_length_limit");
    let buckets = vec![1; crate::limits::HISTOGRAM_BUCKETS + 1];
    check(
        &|w| _ = w.histogram("h", "", CUMULATIVE).buckets(&at(5), None, &buckets, &[]),
        1,
        "limit histogram_buckets",
    );
}

#[test]
fn a_resource_that_cannot_be_costs_what_lies_below_it() {
    let mut writer = OtlpWriter::new();
    let nested = (0..100).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
    writer.resource(&vec![("service.name".into(), nested)]).scope("", "", "", &vec![]);
    writer.gauge("a", "").int(&at(5), 1).int(&at(6), 1).sum("b", "", CUMULATIVE, true).int(&at(5), 1);
    writer.resource(&vec![]).scope("", "", "", &vec![]).gauge("good", "").int(&at(5), 1);
    let got = decoded(&writer.message(), &Settings::default());
    assert_eq!((lines(&got.batch), got.refused.points), (vec!["good 1@5".to_owned()], 3));
}

#[test]
fn a_resource_that_is_promoted_to_many_series_costs_the_request() {
    let promotion = Promotion::AllBut(HashSet::new());
    let settings = Settings { promotion, ..Settings::default() };
    let mut writer = OtlpWriter::new();
    writer.resource(&texts(&[("a", "x".repeat(60_000).as_str())])).scope("", "", "", &vec![]).gauge("g", "");
    (0..1500).for_each(|i| _ = writer.int(&at(i), 1));
    let error = decode(&writer.message(), &settings, LabelLimits::default(), 0).unwrap_err();
    assert!(error.message().contains("limit label_bytes_per_request"), "{error}");
}

/// A request with something of everything.
fn full_message() -> Vec<u8> {
    let everything = Common {
        attributes: vec![
            ("a".into(), Value::List(vec![Value::Map(vec![("k".into(), Value::Double(0.5))])])),
            ("b".into(), "x".into()),
        ],
        start_ns: NS,
        exemplars: vec![Exemplar { value: Some(1.0), trace_id: vec![1; 16], ..Exemplar::default() }],
        ..at(5)
    };
    let side: Side = (-1, vec![1, 0, 2]);
    let mut writer = OtlpWriter::new();
    writer.resource(&service()).scope("lib", "1", "url", &texts(&[("s", "1")]));
    writer.gauge("g", "1").double(&everything, 0.5).sum("c", "s", CUMULATIVE, true).int(&everything, 1);
    writer.sum("d", "s", DELTA, true).int(&everything, 1);
    writer.histogram("h", "", CUMULATIVE).buckets(&everything, Some(1.0), &[1, 2], &[0.5]);
    writer.exponential("e", "", CUMULATIVE).scaled(&everything, Some(1.0), (3, 1, 0.5), [&side, &side]);
    writer.summary("s", "").quantiles(&everything, 1, 1.0, &[(0.5, 1.0)]);
    writer.message()
}

fn all_settings() -> Settings {
    Settings {
        promotion: Promotion::AllBut(HashSet::new()),
        promote_scope_metadata: true,
        type_and_unit_labels: true,
        deltas: Deltas::AddUp(Arc::default()),
        start_zeros: Some(Arc::default()),
        ..Settings::default()
    }
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_far_as_it_goes() {
    let message = full_message();
    let settings = all_settings();
    let whole = decoded(&message, &settings).batch.len();
    for cut in 0..message.len() {
        match decode(&message[..cut], &settings, LabelLimits::default(), 0) {
            Ok(got) => assert!(got.batch.len() < whole, "cut at {cut}"),
            Err(e) => assert_eq!(e.message(), "cannot decode OTLP request: unexpected EOF", "cut at {cut}"),
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, &all_settings(), LabelLimits::default(), 0);
        let _ = unfold(&bytes, false, Format::Json);
        let _ = unfold(&bytes, true, Format::Json);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..2000, to in any::<u8>(), cut in 0usize..2000, nhcb in any::<bool>()) {
        let mut message = full_message();
        let len = message.len();
        message[at % len] = to;
        message.truncate(len - cut % len);
        let settings = Settings { convert_histograms_to_nhcb: nhcb, ..all_settings() };
        let _ = decode(&message, &settings, LabelLimits::default(), 0);
        // Sums of what was damaged go on to be added to.
        let _ = decode(&full_message(), &settings, LabelLimits::default(), 0);
    }

    #[test]
    fn labels_are_those_of_the_attributes(
        attributes in proptest::collection::btree_map("[a-zA-Z][a-zA-Z0-9]{0,8}", "\\PC{1,40}", 0..6),
    ) {
        let pairs: Attributes = attributes.iter().map(|(n, v)| (n.clone(), Value::Text(v.clone()))).collect();
        let mut writer = OtlpWriter::new();
        let point = Common { attributes: pairs, ..at(5) };
        writer.resource(&vec![]).scope("", "", "", &vec![]).gauge("g", "").int(&point, 1);
        let got = decoded(&writer.message(), &Settings::default());
        let named = attributes.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("__name__", "g")]);
        let labels: Vec<Labels> = got.batch.series().map(|s| s.to_labels()).collect();
        prop_assert_eq!(labels, [Labels::from_pairs(named)]);
    }
}
