//! Messages in, events out.

use ingest::testing::families::{
    COUNTER, Example, FamilyWriter, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, HistogramWriter, MetricWriter,
    SUMMARY, UNTYPED,
};
use proptest::prelude::*;

use super::*;
use crate::exposition::number::NORMAL_NAN;
use crate::exposition::{Format, Parser};
use crate::limits::HISTOGRAM_EXEMPLARS_MAX;

const NATIVE: Histograms = Histograms { native: true, always_classic: false, to_custom_buckets: false };
const BOTH: Histograms = Histograms { always_classic: true, ..NATIVE };
const CUSTOM: Histograms = Histograms { native: false, always_classic: false, to_custom_buckets: true };

fn page(families: &[FamilyWriter]) -> Vec<u8> {
    let mut out = Vec::new();
    families.iter().for_each(|f| f.put(&mut out));
    out
}

/// The samples of a page, a line each; the last line is the error, if there is one.
fn lines(page: &[u8], histograms: Histograms) -> Vec<String> {
    let mut parser = Parser::with_histograms(Format::Protobuf, page, histograms);
    let mut out = Vec::new();
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(event)) => out.extend(line(event)),
            Err(e) => {
                out.push(e.to_string());
                assert!(parser.next().is_ok_and(|event| event.is_none()), "it ends with an error");
                break;
            }
        }
    }
    out
}

fn line(event: Event<'_>) -> Option<String> {
    let (series, mut line) = match event {
        Event::Series(s) => (s, format!("{} {}", s.to_builder().build(), s.value)),
        Event::Histogram(s, native) => {
            let h = &native.histogram;
            let spans = |spans: &[base::Span]| {
                spans.iter().map(|s| format!("{}+{}", s.offset, s.length)).collect::<Vec<_>>()
            };
            let mut line = format!(
                "{} schema {} count {} sum {} zero {}@{} positive {:?} {:?} negative {:?} {:?} {:?} float {}",
                s.to_builder().build(),
                h.schema,
                h.count,
                h.sum,
                h.zero_count,
                h.zero_threshold,
                spans(&h.positive_spans),
                h.positive,
                spans(&h.negative_spans),
                h.negative,
                h.counter_reset_hint,
                h.is_float
            );
            if h.has_custom_bounds() {
                line += &format!(" bounds {:?}", h.custom_bounds);
            }
            for e in s.exemplars_of(native) {
                line += &exemplar_text(&e);
            }
            (s, line)
        }
        _ => return None,
    };
    if let Some(e) = &series.exemplar {
        line += &exemplar_text(e);
    }
    if let Some(t) = series.timestamp_ms {
        line += &format!(" @{t}");
    }
    if series.start_ms != 0 {
        line += &format!(" since {}", series.start_ms);
    }
    Some(line)
}

fn exemplar_text(e: &Exemplar<'_>) -> String {
    let labels: Vec<_> = e.labels().map(|(n, v)| format!("{}={}", n.to_text(), v.to_text())).collect();
    format!(" # {labels:?} {} {:?}", e.value, e.timestamp_ms)
}

fn example(trace: &str, t_ms: Option<i64>) -> Option<Example<'_>> {
    Some(Example { trace, value: 0.5, t_ms })
}

fn span(offset: i32, length: u32) -> base::Span {
    base::Span { offset, length }
}

#[test]
fn numbers_with_labels_times_starts_and_exemplars() {
    let odd = [("path", "a\\n\"b\""), ("töpfe", "🪣"), ("empty", "")];
    let page = page(&[
        FamilyWriter::new("a_total", COUNTER)
            .about("Help with \\ in it.", "seconds")
            .metric(MetricWriter::new(&odd).counter(3.0, Some(1_500), example("t1", None)))
            .metric(MetricWriter::new(&[]).counter(4.5, None, example("t2", Some(-1)))),
        FamilyWriter::new("nothing", GAUGE),
        FamilyWriter::new("g", GAUGE).metric(MetricWriter::new(&[]).gauge(f64::NEG_INFINITY).at(7)),
        FamilyWriter::new("u.with.dots", UNTYPED)
            .metric(MetricWriter::new(&[("a", "1")]).untyped(f64::from_bits(base::STALE_NAN)))
            .metric(MetricWriter::new(&[("b", "of another type")]).gauge(5.0)),
    ]);
    assert_eq!(
        lines(&page, NATIVE),
        [
            "a_total{path=\"a\\\\n\\\"b\\\"\", töpfe=\"🪣\"} 3 # [\"trace_id=t1\"] 0.5 None since 1500",
            "a_total 4.5 # [\"trace_id=t2\"] 0.5 Some(-1)",
            "g -inf @7",
            "{__name__=\"u.with.dots\", a=\"1\"} NaN",
            "{__name__=\"u.with.dots\", b=\"of another type\"} 0",
        ]
        .map(|want| want.replace("töpfe=", "\"töpfe\"=")),
        "{:?}",
        lines(&page, NATIVE)
    );
    let mut parser = Parser::new(Format::Protobuf, &page);
    let mut metadata = Vec::new();
    let mut values = Vec::new();
    while let Some(event) = parser.next().unwrap() {
        match event {
            Event::Help { metric, text } => metadata.push([metric.to_text(), "help".into(), text.to_text()]),
            Event::Unit { metric, unit } => metadata.push([metric.to_text(), "unit".into(), unit.to_text()]),
            Event::Type { metric, metric_type } => {
                metadata.push([metric.to_text(), "type".into(), metric_type.to_string()]);
            }
            Event::Series(s) => values.push(s.value),
            Event::Comment(_) | Event::Histogram(..) => panic!("{event:?}"),
        }
    }
    let want = [
        ["a_total", "help", "Help with \\ in it."],
        ["a_total", "unit", "seconds"],
        ["a_total", "type", "counter"],
        ["g", "help", ""],
        ["g", "type", "gauge"],
        ["u.with.dots", "help", ""],
        ["u.with.dots", "type", "unknown"],
    ];
    assert_eq!(metadata, want.map(|m| m.map(str::to_owned)));
    assert!(!base::is_stale(values[3]), "a target does not end series");
}

#[test]
fn summaries_and_classic_histograms_have_a_sample_for_each_number() {
    let classic =
        HistogramWriter::new(7, 2.5).bucket(0.5, 3, example("x", Some(9))).bucket(1.0, 5, None).since(4);
    let whole = HistogramWriter::new(7, 2.5).bucket(f64::INFINITY, 7, None).bucket(9.0, 9, None);
    let page = page(&[
        FamilyWriter::new("s", SUMMARY)
            .metric(MetricWriter::new(&[("a", "1")]).summary(2, 0.5, &[(0.5, 0.1), (1.0, f64::NAN)], Some(3)))
            .metric(MetricWriter::new(&[]).summary(0, 0.0, &[], None)),
        FamilyWriter::new("h", HISTOGRAM)
            .metric(MetricWriter::new(&[("le", "own")]).histogram(&classic))
            .metric(MetricWriter::new(&[]).histogram(&whole)),
        FamilyWriter::new("gh", GAUGE_HISTOGRAM)
            .metric(MetricWriter::new(&[]).histogram(&HistogramWriter::float(1.5, -1.0))),
    ]);
    let want = [
        "s_count{a=\"1\"} 2 since 3",
        "s_sum{a=\"1\"} 0.5 since 3",
        "s{a=\"1\", quantile=\"0.5\"} 0.1 since 3",
        "s{a=\"1\", quantile=\"1.0\"} NaN since 3",
        "s_count 0",
        "s_sum 0",
        "h_count{le=\"own\"} 7 since 4",
        "h_sum{le=\"own\"} 2.5 since 4",
        "h_bucket{le=\"0.5\"} 3 # [\"trace_id=x\"] 0.5 Some(9) since 4",
        "h_bucket{le=\"1.0\"} 5 since 4",
        "h_bucket{le=\"+Inf\"} 7 since 4",
        "h_count 7",
        "h_sum 2.5",
        "h_bucket{le=\"+Inf\"} 7",
        "gh_count 1.5",
        "gh_sum -1",
        "gh_bucket{le=\"+Inf\"} 1.5",
    ];
    assert_eq!(lines(&page, NATIVE), want);
    assert_eq!(lines(&page, Histograms::default()), want);
}

#[test]
fn every_nan_is_the_plain_one_so_that_no_target_ends_its_series() {
    let odd = [f64::from_bits(base::STALE_NAN), f64::from_bits(0xfff8_0000_dead_beef), -f64::NAN];
    for nan in odd {
        let histogram = HistogramWriter::new(1, nan).schema(0, 0.5, 1).positive(&[span(0, 0)], &[]);
        let page = page(&[
            FamilyWriter::new("g", GAUGE).metric(MetricWriter::new(&[]).gauge(nan)),
            FamilyWriter::new("s", SUMMARY).metric(MetricWriter::new(&[]).summary(
                1,
                nan,
                &[(0.5, nan)],
                None,
            )),
            FamilyWriter::new("h", HISTOGRAM).metric(MetricWriter::new(&[]).histogram(&histogram)),
        ]);
        let mut parser = Parser::with_histograms(Format::Protobuf, &page, NATIVE);
        let mut seen = Vec::new();
        while let Some(event) = parser.next().unwrap() {
            match event {
                Event::Series(s) if s.value.is_nan() => seen.push(s.value.to_bits()),
                Event::Histogram(_, native) => seen.push(native.histogram.sum.to_bits()),
                _ => {}
            }
        }
        assert_eq!(seen, [NORMAL_NAN; 4], "{:x}", nan.to_bits());
    }
}

fn native() -> HistogramWriter {
    HistogramWriter::new(10, 12.5)
        .bucket(1.0, 6, example("of a bucket", Some(3)))
        .bucket(f64::INFINITY, 10, example("without time", None))
        .schema(3, 0.001, 2)
        .positive(&[span(-2, 3), span(1, 1)], &[1, -1, 3, -2])
        .negative(&[span(0, 0), span(4, 1)], &[3])
        .since(1_000)
}

#[test]
fn native_histograms_are_taken_as_they_were_asked_for() {
    let family =
        |kind| FamilyWriter::new("h", kind).metric(MetricWriter::new(&[("a", "1")]).histogram(&native()));
    let page_of = |kind| page(&[family(kind)]);
    // 1, 0, 3 and, one further, 1: the empty bucket is left out.
    let native_line = "h{a=\"1\"} schema 3 count 10 sum 12.5 zero 2@0.001 positive [\"-2+1\", \"1+1\", \"1+1\"] [1.0, 3.0, 1.0] \
         negative [\"4+1\"] [3.0] Unknown float false # [\"trace_id=of a bucket\"] 0.5 Some(3) since 1000";
    let classic_lines = [
        "h_count{a=\"1\"} 10 since 1000",
        "h_sum{a=\"1\"} 12.5 since 1000",
        "h_bucket{a=\"1\", le=\"1.0\"} 6 # [\"trace_id=of a bucket\"] 0.5 Some(3) since 1000",
        "h_bucket{a=\"1\", le=\"+Inf\"} 10 # [\"trace_id=without time\"] 0.5 None since 1000",
    ];
    let both: Vec<_> = [native_line].into_iter().chain(classic_lines).collect();
    assert_eq!(lines(&page_of(HISTOGRAM), NATIVE), [native_line]);
    assert_eq!(lines(&page_of(HISTOGRAM), BOTH), both);
    assert_eq!(lines(&page_of(HISTOGRAM), Histograms::default()), classic_lines);
    // One that is native does not become one with custom buckets, unless it is not asked for.
    let native_and_custom = Histograms { native: true, ..CUSTOM };
    assert_eq!(lines(&page_of(HISTOGRAM), native_and_custom), [native_line]);
    let custom = "h{a=\"1\"} schema -53 count 10 sum 12.5 zero 0@0 positive [\"0+2\"] [6.0, 4.0] negative [] [] Unknown \
         float false bounds [1.0] # [\"trace_id=of a bucket\"] 0.5 Some(3) since 1000";
    assert_eq!(lines(&page_of(HISTOGRAM), CUSTOM), [custom]);
    let all: Vec<_> = classic_lines.into_iter().chain([custom]).collect();
    assert_eq!(lines(&page_of(HISTOGRAM), Histograms { always_classic: true, ..CUSTOM }), all);
    assert_eq!(lines(&page_of(GAUGE_HISTOGRAM), NATIVE), [native_line.replace("Unknown", "Gauge")]);
    assert_eq!(lines(&page_of(GAUGE_HISTOGRAM), CUSTOM), [custom.replace("Unknown", "Gauge")]);
}

#[test]
fn native_and_classic_histograms_mix_in_a_family() {
    let floats =
        HistogramWriter::float(2.5, 1.0).schema(0, 0.0, 0).positive_floats(&[span(1, 2)], &[1.5, 1.0]);
    let nothing_yet = HistogramWriter::new(0, 0.0).positive(&[span(0, 0)], &[]);
    let own_exemplars = HistogramWriter::new(1, 1.0)
        .schema(12, 0.5, 1)
        .bucket(1.0, 1, example("not this", Some(1)))
        .example(Example { trace: "late", value: 1.0, t_ms: Some(8) })
        .example(Example { trace: "none", value: 1.0, t_ms: None })
        .example(Example { trace: "early", value: 2.0, t_ms: Some(5) });
    let classic = HistogramWriter::new(1, 1.0).bucket(1.0, 1, None);
    let metric = |n, h: &HistogramWriter| MetricWriter::new(&[("n", n)]).histogram(h);
    let family = FamilyWriter::new("h", HISTOGRAM)
        .metric(metric("1", &floats))
        .metric(metric("2", &classic))
        .metric(metric("3", &nothing_yet))
        .metric(metric("4", &own_exemplars));
    assert_eq!(
        lines(&page(&[family]), NATIVE),
        [
            "h{n=\"1\"} schema 0 count 2.5 sum 1 zero 0@0 positive [\"1+2\"] [1.5, 1.0] negative [] [] Unknown float true",
            "h_count{n=\"2\"} 1",
            "h_sum{n=\"2\"} 1",
            "h_bucket{le=\"1.0\", n=\"2\"} 1",
            "h_bucket{le=\"+Inf\", n=\"2\"} 1",
            "h{n=\"3\"} schema 0 count 0 sum 0 zero 0@0 positive [] [] negative [] [] Unknown float false",
            "h{n=\"4\"} schema 8 count 1 sum 1 zero 1@0.5 positive [] [] negative [] [] Unknown float false \
             # [\"trace_id=early\"] 2 Some(5) # [\"trace_id=late\"] 1 Some(8)",
        ]
    );
}

#[test]
fn bytes_tell_series_apart() {
    let h = native();
    let page = page(&[
        FamilyWriter::new("h", HISTOGRAM)
            .metric(MetricWriter::new(&[]).histogram(&h))
            .metric(MetricWriter::new(&[("a", "1")]).histogram(&h)),
        FamilyWriter::new("h", GAUGE).metric(MetricWriter::new(&[]).gauge(1.0)),
        FamilyWriter::new("h_count", GAUGE).metric(MetricWriter::new(&[("a", "2")]).gauge(1.0)),
        FamilyWriter::new("s", SUMMARY).metric(MetricWriter::new(&[]).summary(
            1,
            1.0,
            &[(0.5, 1.0), (0.9, 1.0)],
            None,
        )),
    ]);
    let mut parser = Parser::with_histograms(Format::Protobuf, &page, BOTH);
    let mut keys = std::collections::HashSet::new();
    let mut count = 0;
    while let Some(event) = parser.next().unwrap() {
        if let Event::Series(series) | Event::Histogram(series, _) = event {
            count += 1;
            assert!(keys.insert(series.bytes().to_vec()), "{}", series.to_builder().build());
        }
    }
    assert_eq!(count, 16);
}

#[test]
fn a_broken_page_is_refused_with_the_family_and_the_byte() {
    let good = FamilyWriter::new("good", GAUGE).metric(MetricWriter::new(&[]).gauge(1.0));
    let error = |bad: &FamilyWriter| {
        let got = lines(&page(&[good.clone(), bad.clone()]), NATIVE);
        assert_eq!((got.len(), got[0].as_str()), (2, "good 1"));
        got[1].clone()
    };
    let metric = |m: MetricWriter| FamilyWriter::new("bad", HISTOGRAM).metric(m);
    let histogram = |h: HistogramWriter| error(&metric(MetricWriter::new(&[("a", "b")]).histogram(&h)));
    assert_eq!(
        histogram(HistogramWriter::new(3, 1.0).schema(0, 0.0, 0).positive(&[span(0, 2)], &[3])),
        "cannot read metric family \"bad\" at byte 32: cannot take histogram: its positive spans have 2 buckets, it has 1"
    );
    let got = histogram(HistogramWriter::new(3, 1.0).schema(0, 0.5, 2));
    assert!(got.contains("its buckets have 2 observations, its count is 3"), "{got}");
    let got = histogram(HistogramWriter::new(3, 1.0).schema(-9, 0.5, 3));
    assert!(got.contains("schema -9"), "{got}");
    let mut many = HistogramWriter::new(3, 1.0);
    for i in 0..=HISTOGRAM_EXEMPLARS_MAX {
        many = many.example(Example { trace: "x", value: 1.0, t_ms: Some(i as i64) });
    }
    assert!(histogram(many).contains("it has more than 1000 exemplars (limit histogram_exemplars_max)"));
    let got = histogram(HistogramWriter::new(3, 1.0).schema(0, 0.0, 0).positive(&[span(0, 1)], &[1; 20_000]));
    assert!(got.contains("more than 16384 buckets (limit histogram_buckets)"), "{got}");
    let got = error(&metric(MetricWriter::new(&[("", "x")])));
    assert_eq!(got, "cannot read metric family \"bad\" at byte 32: invalid label name: \"\"");
    let got = error(&FamilyWriter::new("", GAUGE).metric(MetricWriter::new(&[]).gauge(1.0)));
    assert!(got.ends_with(": invalid metric name: \"\""), "{got}");
    let got = error(&FamilyWriter::new("bad", 6).metric(MetricWriter::new(&[]).gauge(1.0)));
    assert!(got.ends_with(": unknown metric type 6"), "{got}");
    // Without metrics a family says nothing, and nothing of it is looked at.
    assert_eq!(lines(&page(&[good.clone(), FamilyWriter::new("", 6)]), NATIVE), ["good 1"]);
    let whole = page(&[good.clone(), good]);
    let cut = lines(&whole[..whole.len() - 1], NATIVE);
    assert_eq!(cut, ["good 1", "cannot read metric family \"\" at byte 22: unexpected EOF"]);
    let bytes = |bytes: &[u8]| lines(bytes, NATIVE);
    assert_eq!(bytes(b""), Vec::<String>::new());
    assert_eq!(bytes(b"\x02\x0a"), ["cannot read metric family \"\" at byte 0: unexpected EOF"]);
    // A family "a" of type counter whose metric has a field with a wrong wire type.
    let wrong = b"\x09\x0a\x01a\x22\x04\x1a\x02\x08\x01";
    assert_eq!(bytes(wrong), ["cannot read metric family \"a\" at byte 6: proto: wrong wireType"]);
    let latin1 = b"\x0e\x0a\x01a\x22\x09\x0a\x07\x0a\x01l\x12\x02\xe4b";
    let got = bytes(latin1);
    assert_eq!(got, ["cannot read metric family \"a\" at byte 6: invalid label value: \"\\xe4b\""]);
}

#[test]
fn classic_histograms_that_contradict_themselves_are_not_converted() {
    let h = HistogramWriter::new(3, 1.0).bucket(1.0, 2, None).bucket(2.0, 1, None);
    let page = page(&[FamilyWriter::new("h", HISTOGRAM).metric(MetricWriter::new(&[]).histogram(&h))]);
    let got = lines(&page, CUSTOM);
    assert_eq!(got, ["cannot read metric family \"h\" at byte 8: count is not cumulative: 1 < 2"]);
    assert_eq!(lines(&page, Histograms::default()).len(), 5);
}

fn all() -> Vec<u8> {
    let labels = [("a", "1"), ("ä", "ö")];
    page(&[
        FamilyWriter::new("c", COUNTER)
            .about("help", "unit")
            .metric(MetricWriter::new(&labels).counter(3.0, Some(1_500), example("t1", Some(1))).at(3)),
        FamilyWriter::new("s", SUMMARY).metric(MetricWriter::new(&labels).summary(
            2,
            0.5,
            &[(0.5, 0.1), (1.0, 4.0)],
            Some(3),
        )),
        FamilyWriter::new("h", HISTOGRAM).metric(MetricWriter::new(&labels).histogram(&native())).metric(
            MetricWriter::new(&[])
                .histogram(&HistogramWriter::float(2.5, 1.0).positive_floats(&[span(1, 2)], &[1.5, 1.0])),
        ),
    ])
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut in any::<prop::sample::Index>()) {
        let mut page = all();
        for (at, to) in changes {
            let at = at.index(page.len());
            page[at] = to;
        }
        page.truncate(cut.index(page.len()) + 1);
        for histograms in [NATIVE, BOTH, CUSTOM, Histograms::default()] {
            lines(&page, histograms);
        }
    }
}
