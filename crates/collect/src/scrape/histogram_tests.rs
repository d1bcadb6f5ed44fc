//! Native histograms of a target, from protobuf and from text.

use base::{CUSTOM_BUCKETS_SCHEMA, Span};
use ingest::testing::families::{
    COUNTER, Example, FamilyWriter, GAUGE, HISTOGRAM, HistogramWriter, MetricWriter,
};

use super::tests::{counts, ingest_with};
use super::*;

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
const NATIVE: Histograms = Histograms { native: true, always_classic: false, to_custom_buckets: false };
const CUSTOM: Histograms = Histograms { native: false, always_classic: false, to_custom_buckets: true };

/// What one scrape brought in.
#[derive(Debug)]
struct Taken {
    counts: Counts,
    error: String,
    samples: Vec<String>,
    histograms: Vec<String>,
    exemplars: Vec<String>,
}

fn take(ingest: &mut Ingest, now_ms: i64, content_type: &str, body: &[u8]) -> Taken {
    let mut out = Vec::new();
    let body = FetchedBody { content_type: content_type.into(), bytes: body.into() };
    let (counts, result) = ingest.take(&body, now_ms, &mut out);
    let value = |v: f64| if base::is_stale(v) { "stale".into() } else { v.to_string() };
    let samples = out
        .iter()
        .map(|s| format!("{} {}@{} {}", s.labels, value(s.sample.value), s.sample.t_ms, s.start_ms));
    let histograms = ingest.histograms.iter().map(|h| {
        let text = if h.histogram.is_stale() {
            "stale".into()
        } else {
            let n = &h.histogram;
            format!("{}:{}:{:?}{:?}", n.schema, n.count, n.positive, n.custom_bounds)
        };
        format!("{} {text}@{} {}", h.labels, h.t_ms, h.start_ms)
    });
    let exemplars = ingest
        .exemplars
        .iter()
        .map(|e| format!("{} {} {}@{}", e.labels, e.exemplar.labels, e.exemplar.value, e.exemplar.t_ms));
    Taken {
        counts,
        error: result.err().map_or_else(String::new, |e| e.message().to_owned()),
        samples: samples.collect(),
        histograms: histograms.collect(),
        exemplars: exemplars.collect(),
    }
}

fn ingest(histograms: Histograms, change: impl FnOnce(&mut ScrapeConfig)) -> Ingest {
    ingest_with(&[("job", "j")], |c| {
        c.histograms = histograms;
        change(c);
    })
}

fn page(metrics: &[(&str, u64, MetricWriter)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, metric) in metrics {
        FamilyWriter::new(name, *kind).about("Help.", "").metric(metric.clone()).put(&mut out);
    }
    out
}

fn native(count: i64) -> HistogramWriter {
    HistogramWriter::new(4 * count as u64, 1.0)
        .bucket(1.0, count as u64, None)
        .schema(2, 0.0, 0)
        .positive(&[Span { offset: 0, length: 4 }], &[count, 0, 0, 0])
        .since(500)
        .example(Example { trace: "t", value: 2.0, t_ms: Some(900) })
}

fn target(count: i64) -> Vec<u8> {
    let example = Example { trace: "c", value: 1.0, t_ms: None };
    page(&[
        ("c_total", COUNTER, MetricWriter::new(&[("job", "own")]).counter(3.0, Some(400), Some(example))),
        ("h", HISTOGRAM, MetricWriter::new(&[("a", "1")]).histogram(&native(count))),
        ("g", GAUGE, MetricWriter::new(&[]).gauge(1.0).at(77)),
    ])
}

#[test]
fn a_protobuf_target_from_start_to_end() {
    let mut i = ingest(NATIVE, |_| ());
    let got = take(&mut i, 1_000, PROTOBUF, &target(1));
    assert_eq!((got.error.as_str(), got.counts), ("", counts(3, 3, 3)));
    assert_eq!(got.samples, [r#"c_total{exported_job="own", job="j"} 3@1000 0"#, r#"g{job="j"} 1@77 0"#]);
    assert_eq!(got.histograms, [r#"h{a="1", job="j"} 2:4:[1.0, 1.0, 1.0, 1.0][]@1000 0"#]);
    let want = [
        r#"c_total{exported_job="own", job="j"} {trace_id="c"} 1@1000"#,
        r#"h{a="1", job="j"} {trace_id="t"} 2@900"#,
    ];
    assert_eq!(got.exemplars, want);
    assert_eq!(i.metadata.list().len(), 3);
    let again = take(&mut i, 2_000, PROTOBUF, &target(2));
    assert_eq!((again.counts, again.histograms.len()), (counts(3, 3, 0), 1));
    // What has a timestamp of its own does not end; a histogram ends with one.
    let gone = take(&mut i, 3_000, PROTOBUF, &page(&[("x", GAUGE, MetricWriter::new(&[]).gauge(1.0))]));
    assert_eq!(
        gone.samples,
        [r#"x{job="j"} 1@3000 0"#, r#"c_total{exported_job="own", job="j"} stale@3000 0"#]
    );
    assert_eq!(gone.histograms, [r#"h{a="1", job="j"} stale@3000 0"#]);
    take(&mut i, 4_000, PROTOBUF, &target(3));
    let live = i.live();
    assert_eq!(live.iter().filter(|s| s.histogram).count(), 1);
    let mut out = Vec::new();
    i.fail(5_000, &mut out);
    assert_eq!((out.len(), i.histograms().len()), (1, 1));
    assert!(i.histograms()[0].histogram.is_stale());
    // Another loop takes over and finds nothing.
    let mut config = ScrapeConfig::new("job");
    config.histograms = NATIVE;
    let metrics = ScrapeMetrics::new(&prometheus::Registry::new()).unwrap();
    let mut next = Ingest::new(&config, Labels::from_pairs([("job", "j")]), 1, live, Arc::default(), metrics);
    let ended = take(&mut next, 6_000, PROTOBUF, b"");
    assert_eq!((ended.samples.len(), ended.histograms.len()), (1, 1));
}

#[test]
fn a_broken_page_leaves_markers_only() {
    let mut i = ingest(NATIVE, |_| ());
    take(&mut i, 1_000, PROTOBUF, &target(1));
    let mut broken = target(2);
    let len = broken.len();
    broken[len - 11] = 0x0b;
    let got = take(&mut i, 2_000, PROTOBUF, &broken);
    assert!(got.error.starts_with("cannot read metric family \"g\" at byte "), "{}", got.error);
    assert_eq!((got.samples.len(), got.exemplars.len()), (1, 0));
    assert_eq!(got.histograms, [r#"h{a="1", job="j"} stale@2000 0"#]);
    let text = take(&mut i, 3_000, "text/plain", &target(2));
    assert!(text.error.starts_with("line "), "{}", text.error);
}

#[test]
fn starts_come_with_each_metric() {
    let mut i = ingest(NATIVE, |c| c.starts = true);
    let got = take(&mut i, 1_000, PROTOBUF, &target(1));
    assert_eq!(got.samples[0], r#"c_total{exported_job="own", job="j"} 3@1000 400"#);
    assert!(got.histograms[0].ends_with("@1000 500"), "{got:?}");
    let mut i = ingest(NATIVE, |c| c.start_zeros = true);
    let got = take(&mut i, 1_000, PROTOBUF, &target(1));
    assert!(got.samples[0].ends_with(" 0") && got.histograms[0].ends_with(" 0"), "{got:?}");
    let zeros = i.zeros();
    let (sample, histogram) = (&zeros.samples()[0], &zeros.histograms()[0]);
    assert_eq!((sample.sample.t_ms, sample.sample.value), (400, 0.0));
    assert_eq!((histogram.t_ms, histogram.histogram.count, histogram.histogram.schema), (500, 0.0, 2));
    assert_eq!(histogram.histogram.counter_reset_hint, base::CounterResetHint::Reset);
    zeros.stored();
    take(&mut i, 2_000, PROTOBUF, &target(2));
    assert!(i.zeros().is_empty());
}

#[test]
fn limits_hold_for_histograms_too() {
    let mut few = ingest(NATIVE, |c| c.limits.native_buckets = 2);
    let got = take(&mut few, 1_000, PROTOBUF, &target(1));
    // 0, 1, 2 and 3 by schema 2 are 0 and 1 by schema 0.
    assert_eq!(got.histograms, [r#"h{a="1", job="j"} 0:4:[1.0, 3.0][]@1000 0"#]);
    let mut wide = ingest(NATIVE, |c| c.native_bucket_factor = 1.4);
    let got = take(&mut wide, 1_000, PROTOBUF, &target(1));
    assert_eq!(got.histograms, [r#"h{a="1", job="j"} 1:4:[1.0, 2.0, 1.0][]@1000 0"#]);
    let far_apart = HistogramWriter::new(2, 1.0)
        .positive(&[Span { offset: 0, length: 1 }, Span { offset: 900, length: 1 }], &[1, 0]);
    let body = page(&[
        ("h", HISTOGRAM, MetricWriter::new(&[]).histogram(&far_apart)),
        ("g", GAUGE, MetricWriter::new(&[]).gauge(1.0)),
    ]);
    let mut one = ingest(NATIVE, |c| c.limits.native_buckets = 1);
    let got = take(&mut one, 1_000, PROTOBUF, &body);
    assert_eq!((got.error.as_str(), got.counts.scraped), ("histogram bucket limit exceeded", 2));
    assert!(got.samples.is_empty() && got.histograms.is_empty());
    assert_eq!(one.metrics.exceeded_bucket_limit.get(), 1);
    let mut samples = ingest(NATIVE, |c| c.limits.sample_limit = 1);
    let got = take(&mut samples, 1_000, PROTOBUF, &target(1));
    assert_eq!((got.error.as_str(), got.counts.scraped), ("sample limit exceeded", 3));
    let mut labels = ingest(NATIVE, |c| c.limits.label_limit = 2);
    assert!(take(&mut labels, 1_000, PROTOBUF, &target(1)).error.starts_with("label_limit exceeded"));
}

#[test]
fn what_a_target_is_taken_to_speak() {
    let body = target(1);
    let mut i = ingest(NATIVE, |_| ());
    let got = take(&mut i, 1_000, "", &body);
    assert!(got.error.contains("sending blank Content-Type"), "{}", got.error);
    let mut i = ingest(NATIVE, |c| c.fallback_scrape_protocol = Some(ScrapeProtocol::PrometheusProto));
    assert_eq!(take(&mut i, 1_000, "application/octet-stream", &body).histograms.len(), 1);
    let mut legacy = ingest(NATIVE, |c| c.name_validation = NameValidation::Legacy);
    let dots = page(&[("with.dots", GAUGE, MetricWriter::new(&[]).gauge(1.0))]);
    assert!(
        take(&mut legacy, 1_000, PROTOBUF, &dots).error.starts_with("invalid metric name or label names")
    );
    let mut own_times = ingest(NATIVE, |c| c.honor_timestamps = false);
    assert!(take(&mut own_times, 1_000, PROTOBUF, &body).samples[1].contains("@1000"));
    let mut tracked = ingest(NATIVE, |c| c.track_timestamps_staleness = true);
    take(&mut tracked, 1_000, PROTOBUF, &body);
    assert_eq!(take(&mut tracked, 2_000, PROTOBUF, b"").samples.len(), 2);
    let mut typed = ingest(NATIVE, |c| c.type_and_unit_labels = true);
    let got = take(&mut typed, 1_000, PROTOBUF, &body);
    assert!(got.histograms[0].contains(r#"__type__="histogram""#), "{got:?}");
    assert!(got.samples[0].contains(r#"__type__="counter""#), "{got:?}");
}

const TEXT: &str = "# TYPE h histogram\n\
    h_bucket{a=\"1\",le=\"1\"} 2 # {trace_id=\"x\"} 0.5 1\nh_bucket{a=\"1\",le=\"+Inf\"} 3 # {trace_id=\"y\"} 9\n\
    h_sum{a=\"1\"} 4.5\nh_count{a=\"1\"} 3\nh_created{a=\"1\"} 0.25\n\
    h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n\
    h_bucket{le=\"2\",a=\"\\\\2\"} 2\nh_count{a=\"\\\\2\"} 5\nh_other 1\n\
    # TYPE c counter\nc_total 1\n# TYPE z histogram\nz_count 0\nz_sum 0\n# EOF\n";

#[test]
fn classic_histograms_of_text_become_native_ones() {
    let mut i = ingest(CUSTOM, |c| c.starts = true);
    let got = take(&mut i, 1_000, OPENMETRICS, TEXT.as_bytes());
    assert_eq!(got.error, "");
    assert_eq!(got.samples, [r#"h_other{job="j"} 1@1000 0"#, r#"c_total{job="j"} 1@1000 0"#]);
    assert_eq!(
        got.histograms,
        [
            r#"h{a="1", job="j"} -53:3:[2.0, 1.0][1.0]@1000 250"#,
            r#"h{a="\\2", job="j"} -53:5:[2.0, 3.0][2.0]@1000 0"#,
            r#"z{job="j"} -53:0:[][]@1000 0"#,
        ]
    );
    assert_eq!(i.metrics.not_converted.get(), 1, "its count falls");
    assert_eq!(got.exemplars, [r#"h{a="1", job="j"} {trace_id="x"} 0.5@1000"#]);
    assert_eq!(got.counts, counts(5, 5, 5));
    let again = take(&mut i, 2_000, OPENMETRICS, TEXT.as_bytes());
    assert_eq!((again.counts, again.histograms.len()), (counts(5, 5, 0), 3));
    // The last one ends with the page.
    let mut last = ingest(CUSTOM, |_| ());
    let got = take(&mut last, 1_000, "text/plain", b"# TYPE h histogram\nh_count 2\nh_sum 1\n");
    assert_eq!(got.histograms, [r#"h{job="j"} -53:2:[2.0][]@1000 0"#]);
    let schema = last.histograms()[0].histogram.schema;
    assert_eq!(schema, CUSTOM_BUCKETS_SCHEMA);
    let mut both = ingest(Histograms { always_classic: true, ..CUSTOM }, |_| ());
    let got = take(&mut both, 1_000, OPENMETRICS, TEXT.as_bytes());
    assert_eq!((got.samples.len(), got.histograms.len()), (13, 3));
    let mut off = ingest(NATIVE, |_| ());
    assert_eq!(take(&mut off, 1_000, OPENMETRICS, TEXT.as_bytes()).histograms.len(), 0);
}
