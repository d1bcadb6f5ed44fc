//! Bodies as scrapers get them.

use base::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};

use super::*;

fn float(pairs: &[(&str, &str)], t_ms: i64, value: f64) -> LatestSample {
    LatestSample { labels: Labels::from_pairs(pairs.iter().copied()), t_ms, value: Latest::Float(value) }
}

fn histogram(name: &str, schema: i32, hint: CounterResetHint) -> LatestSample {
    let custom = schema == CUSTOM_BUCKETS_SCHEMA;
    let h = Histogram {
        schema,
        count: 6.0,
        sum: 9.5,
        positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 2 }],
        positive: vec![1.0, 2.0, 3.0],
        custom_bounds: if custom { [0.5, 1.0, 2.0].into() } else { [].into() },
        counter_reset_hint: hint,
        ..Histogram::default()
    };
    LatestSample { labels: Labels::from_pairs([("__name__", name)]), t_ms: 1500, value: Latest::Histogram(h) }
}

fn body(found: Vec<LatestSample>, external: &[(&str, &str)], format: Format, escaping: Escaping) -> String {
    let (external, hold) = (Labels::from_pairs(external.iter().copied()), &mut |_| Ok(()));
    let families = families(found, &external, (format, escaping), hold).unwrap();
    String::from_utf8_lossy(&super::body(&families, format, hold).unwrap()).into_owned()
}

/// Whoever writes asks for memory before there is much more than it has.
#[test]
fn an_answer_that_finds_no_memory_ends() {
    let found: Vec<_> =
        (0..100).map(|n| float(&[("__name__", "m"), ("n", &n.to_string())], 1000, 1.0)).collect();
    let no_more = |most: usize| {
        move |bytes: usize| match bytes > most {
            true => Err(Error::limit("no more")),
            false => Ok(()),
        }
    };
    for format in [Format::Text("0.0.4"), Format::OpenMetrics("1.0.0"), Format::Protobuf] {
        let how = (format, Escaping::Underscores);
        let made = families(found.clone(), &Labels::empty(), how, &mut |_| Ok(())).unwrap();
        let whole = super::body(&made, format, &mut |_| Ok(())).unwrap().len();
        assert!(whole > 1000);
        assert!(super::body(&made, format, &mut no_more(2 * whole)).is_ok());
        assert!(super::body(&made, format, &mut no_more(whole / 2)).is_err());
        assert!(families(found.clone(), &Labels::empty(), how, &mut no_more(whole / 2)).is_err());
    }
}

#[test]
fn external_labels_stand_where_a_series_has_none_of_its_own() {
    let found = vec![
        float(&[("__name__", "b"), ("foo", "x\"\\\n"), ("instance", "i")], 1000, 1.0),
        float(&[("__name__", "a"), ("Zone", "1")], -1, f64::INFINITY),
        float(&[("nameless", "1")], 1000, 1.0),
    ];
    let text = Format::Text("0.0.4");
    let want = "# TYPE a untyped\na{Zone=\"1\",foo=\"ext\",instance=\"\"} +Inf -1\n\
                # TYPE b untyped\nb{foo=\"x\\\"\\\\\\n\",instance=\"i\"} 1 1000\n";
    assert_eq!(body(found.clone(), &[("foo", "ext")], text, Escaping::Underscores), want);
    let with_instance = body(found, &[("instance", "me")], text, Escaping::Underscores);
    assert!(
        with_instance.starts_with("# TYPE a untyped\na{Zone=\"1\",instance=\"me\"} +Inf -1\n"),
        "{with_instance}"
    );
}

#[test]
fn names_of_any_characters_are_quoted_or_escaped() {
    let found = || vec![float(&[("__name__", "my.metric"), ("a.b", "c")], 1000, 2.0)];
    let text = Format::Text("1.0.0");
    assert_eq!(
        body(found(), &[], text, Escaping::AllowUtf8),
        "# TYPE \"my.metric\" untyped\n{\"my.metric\",\"a.b\"=\"c\",instance=\"\"} 2 1000\n"
    );
    assert_eq!(
        body(found(), &[], text, Escaping::Underscores),
        "# TYPE my_metric untyped\nmy_metric{a_b=\"c\",instance=\"\"} 2 1000\n"
    );
}

#[test]
fn openmetrics_has_types_seconds_and_an_end() {
    let found = vec![float(&[("__name__", "a")], 1_700_000_000_123, 3.0)];
    let got = body(found, &[], Format::OpenMetrics("1.0.0"), Escaping::Underscores);
    assert_eq!(got, "# TYPE a unknown\na{instance=\"\"} 3.0 1700000000.123\n# EOF\n");
    assert_eq!(body(vec![], &[], Format::OpenMetrics("1.0.0"), Escaping::Underscores), "# EOF\n");
}

#[test]
fn histograms_come_as_the_format_can_have_them() {
    let custom = || vec![histogram("h", CUSTOM_BUCKETS_SCHEMA, CounterResetHint::Unknown)];
    let want = "# TYPE h histogram\nh_bucket{instance=\"\",le=\"0.5\"} 1 1500\n\
                h_bucket{instance=\"\",le=\"1\"} 1 1500\nh_bucket{instance=\"\",le=\"2\"} 3 1500\n\
                h_bucket{instance=\"\",le=\"+Inf\"} 6 1500\nh_sum{instance=\"\"} 9.5 1500\n\
                h_count{instance=\"\"} 6 1500\n";
    assert_eq!(body(custom(), &[], Format::Text("0.0.4"), Escaping::Underscores), want);
    let gauge = vec![histogram("h", CUSTOM_BUCKETS_SCHEMA, CounterResetHint::Gauge)];
    let got = body(gauge, &[], Format::OpenMetrics("1.0.0"), Escaping::Underscores);
    assert!(got.contains("# TYPE h gaugehistogram\n") && got.contains("h_gcount{"), "{got}");
    let exponential = || vec![histogram("h", 3, CounterResetHint::Unknown)];
    assert_eq!(body(exponential(), &[], Format::Text("0.0.4"), Escaping::Underscores), "");
    assert!(body(exponential(), &[], Format::Protobuf, Escaping::Underscores).len() > 80);
}

#[test]
fn numbers_are_as_go_writes_them() {
    let check = |value: f64, want: &str| {
        let mut out = Vec::new();
        write_go_float(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    };
    check(0.0, "0");
    check(123_456.0, "123456");
    check(1_234_567.0, "1.234567e+06");
    check(1e6, "1e+06");
    check(-0.0001, "-0.0001");
    check(0.000_01, "1e-05");
    check(1.5e300, "1.5e+300");
    check(f64::NAN, "NaN");
    check(f64::NEG_INFINITY, "-Inf");
}
