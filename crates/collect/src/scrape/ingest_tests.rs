//! Bodies in, samples out.

use base::is_stale;

use super::*;
use crate::config::NameValidation;
use crate::relabel::{Action, RuleFields};

const TEXT: &str = "text/plain";

pub(super) fn ingest_with(target: &[(&str, &str)], change: impl FnOnce(&mut ScrapeConfig)) -> Ingest {
    let mut config = ScrapeConfig::new("job");
    change(&mut config);
    let metrics = ScrapeMetrics::new(&prometheus::Registry::new()).unwrap();
    let target = Labels::from_pairs(target.iter().copied());
    Ingest::new(&config, target, 1, Vec::new(), Arc::default(), metrics)
}

fn ingest() -> Ingest {
    ingest_with(&[("job", "j")], |_| ())
}

/// Takes a body and writes its samples, sorted, as `series value@time`.
fn take(ingest: &mut Ingest, now_ms: i64, body: &str) -> (Counts, String, Vec<String>) {
    take_typed(ingest, now_ms, TEXT, body)
}

fn take_typed(
    ingest: &mut Ingest,
    now_ms: i64,
    content_type: &str,
    body: &str,
) -> (Counts, String, Vec<String>) {
    let mut out = Vec::new();
    let body = FetchedBody { content_type: content_type.into(), bytes: body.into() };
    let (counts, result) = ingest.take(&body, now_ms, &mut out);
    let mut lines: Vec<_> = out
        .iter()
        .map(|s| {
            let value = if is_stale(s.sample.value) { "stale".into() } else { s.sample.value.to_string() };
            format!("{} {value}@{}", s.labels, s.sample.t_ms)
        })
        .collect();
    lines.sort();
    (counts, result.err().map_or_else(String::new, |e| e.message().to_owned()), lines)
}

pub(super) fn counts(scraped: usize, added: usize, series_added: usize) -> Counts {
    Counts { scraped, added, series_added }
}

#[test]
fn a_steady_target_and_one_that_changes() {
    let mut i = ingest();
    let first = take(&mut i, 1_000, "a 1\nb{x=\"y\"} 2\n");
    assert_eq!(first.0, counts(2, 2, 2));
    assert_eq!(first.2, [r#"a{job="j"} 1@1000"#, r#"b{job="j", x="y"} 2@1000"#]);
    assert_eq!(take(&mut i, 2_000, "a 1\nb{x=\"y\"} 2\n").0, counts(2, 2, 0));
    let third = take(&mut i, 3_000, "a 1\nc 3\n");
    assert_eq!(third.0, counts(2, 2, 1));
    assert_eq!(third.2, [r#"a{job="j"} 1@3000"#, r#"b{job="j", x="y"} stale@3000"#, r#"c{job="j"} 3@3000"#]);
    assert_eq!(take(&mut i, 4_000, "a 1\nc 3\n").2.len(), 2);
}

#[test]
fn an_error_leaves_markers_only_and_names_the_line() {
    let mut i = ingest();
    take(&mut i, 1_000, "a 1\nb 2\n");
    let (got, error, lines) = take(&mut i, 2_000, "a 1\nc 1\nb x\n");
    assert_eq!(error, r#"line 3: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "b x""#);
    assert_eq!(got, counts(2, 2, 1));
    assert_eq!(lines, [r#"a{job="j"} stale@2000"#, r#"b{job="j"} stale@2000"#]);
    // Once is enough; and what was known before the failure is not new after it.
    assert!(take(&mut i, 3_000, "&").2.is_empty());
    assert_eq!(take(&mut i, 4_000, "a 1\nb 2\n").0.series_added, 0);
}

#[test]
fn an_empty_body_is_a_good_one() {
    let mut i = ingest();
    take(&mut i, 1_000, "a 1\n");
    assert_eq!(
        take(&mut i, 2_000, ""),
        (counts(0, 0, 0), String::new(), vec![r#"a{job="j"} stale@2000"#.into()])
    );
}

#[test]
fn labels_collide_as_prometheus_resolves_it() {
    let check = |honor: bool, target: &[(&str, &str)], body: &str, want: &str| {
        let mut i = ingest_with(target, |c| c.honor_labels = honor);
        assert_eq!(take(&mut i, 1, body).2, [format!("{want} 1@1")]);
    };
    check(false, &[("n", "2")], r#"m{n="1"} 1"#, r#"m{exported_n="1", n="2"}"#);
    check(
        false,
        &[("n", "2"), ("exported_n", "2")],
        r#"m{n="1"} 1"#,
        r#"m{exported_exported_n="1", exported_n="2", n="2"}"#,
    );
    check(
        false,
        &[("foo", "1"), ("exported_foo", "2")],
        r#"m{foo="a",exported_foo="b"} 1"#,
        r#"m{exported_exported_exported_foo="b", exported_exported_foo="a", exported_foo="2", foo="1"}"#,
    );
    check(false, &[], r#"m{n=""} 1"#, "m");
    check(true, &[("n", "2"), ("o", "3")], r#"m{n="1"} 1"#, r#"m{n="1", o="3"}"#);
    check(true, &[("n", "2")], r#"m{n=""} 1"#, "m");
}

#[test]
fn timestamps_are_honoured_or_not() {
    let mut i = ingest();
    assert_eq!(take(&mut i, 1_000, "a 1 500\na 2 600\n").2, [r#"a{job="j"} 1@500"#, r#"a{job="j"} 2@600"#]);
    // A series with timestamps of its own gets no marker.
    assert!(take(&mut i, 2_000, "").2.is_empty());
    // Too far ahead is left out, but counted.
    let (got, error, lines) = take(&mut i, 1_000, "a 1 601000\nb 1 601001\n");
    assert_eq!((got.added, error.as_str(), lines.len()), (2, "", 1));
    let mut i = ingest_with(&[], |c| c.track_timestamps_staleness = true);
    take(&mut i, 1_000, "a 1 500\n");
    assert_eq!(take(&mut i, 2_000, "").2, ["a stale@2000"]);
    let mut i = ingest_with(&[], |c| c.honor_timestamps = false);
    assert_eq!(take(&mut i, 1_000, "a 1 500\na 2 600\n").2, ["a 1@1000"]);
    assert_eq!(i.metrics.duplicate_timestamp.get(), 1);
}

#[test]
fn samples_are_relabelled_once() {
    let rule = |action, source: &str, regex: &str, target: &str| {
        Rule::new(
            RuleFields {
                action,
                source_labels: if source.is_empty() { Vec::new() } else { vec![source.into()] },
                regex: regex.into(),
                target_label: target.into(),
                ..RuleFields::default()
            },
            NameValidation::Utf8,
        )
        .unwrap()
    };
    let mut i = ingest_with(&[], |c| {
        c.metric_relabel_configs = vec![
            rule(Action::Drop, METRIC_NAME, "go_.*", ""),
            rule(Action::Replace, METRIC_NAME, "old_(.*)", METRIC_NAME),
            rule(Action::LabelDrop, "", "secret", ""),
        ];
    });
    for _ in 0..2 {
        let (got, _, lines) = take(&mut i, 1, "go_x 1\nold_a{secret=\"s\"} 1\nb 1\n");
        assert_eq!((got.scraped, got.added), (3, 2));
        assert_eq!(lines, ["a 1@1", "b 1@1"]);
    }
}

#[test]
fn limits_fail_the_whole_scrape() {
    let check = |change: fn(&mut ScrapeLimits), body: &str, want: &str, want_counts: Counts| {
        let mut i = ingest_with(&[], |c| change(&mut c.limits));
        let (got, error, lines) = take(&mut i, 1, body);
        assert_eq!((error.as_str(), got), (want, want_counts));
        assert_eq!(lines.is_empty(), !want.is_empty());
    };
    check(|l| l.sample_limit = 2, "a 1\nb 1\n", "", counts(2, 2, 2));
    check(|l| l.sample_limit = 2, "a 1\nb 1\nc 1\nd 1\n", "sample limit exceeded", counts(4, 4, 2));
    check(
        |l| l.label_limit = 2,
        "a{b=\"1\",c=\"2\"} 1\n",
        "label_limit exceeded (metric: a, number of labels: 3, limit: 2)",
        counts(1, 0, 0),
    );
    check(
        |l| l.label_name_length_limit = 9,
        "a{b=\"1\",longer_than=\"2\"} 1\n",
        "label_name_length_limit exceeded (metric: a, label name: longer_than, length: 11, limit: 9)",
        counts(1, 0, 0),
    );
    check(
        |l| l.label_value_length_limit = 3,
        "a{b=\"1234\"} 1\n",
        "label_value_length_limit exceeded (metric: a, label name: b, value: \"1234\", length: 4, limit: 3)",
        counts(1, 0, 0),
    );
}

#[test]
fn names_and_types_are_checked() {
    let mut legacy = ingest_with(&[], |c| c.name_validation = NameValidation::Legacy);
    assert_eq!(
        take(&mut legacy, 1, "{\"a.b\"} 1\n").1,
        r#"invalid metric name or label names: {__name__="a.b"}"#
    );
    let mut utf8 = ingest_with(&[], |_| ());
    assert_eq!(take(&mut utf8, 1, "{\"a.b\"} 1\n").2, [r#"{__name__="a.b"} 1@1"#]);
    let unsupported = take_typed(&mut utf8, 1, "text/html", "<html>");
    assert_eq!(
        unsupported.1,
        r#"received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified for target"#
    );
    let mut fallback =
        ingest_with(&[], |c| c.fallback_scrape_protocol = Some(ScrapeProtocol::OpenMetricsText1_0_0));
    assert_eq!(take_typed(&mut fallback, 1, "", "a 1\n# EOF\n").2, ["a 1@1"]);
}

#[test]
fn metadata_follows_the_target() {
    let mut i = ingest();
    take(&mut i, 1, "# HELP a Some \\\\ help.\n# TYPE a counter\na 1\n# TYPE b gauge\n");
    let listed = i.metadata.list();
    let shown: Vec<_> = listed.iter().map(|(n, m)| format!("{n} {} {:?}", m.metric_type, m.help)).collect();
    assert_eq!(shown, [r#"a counter "Some \\ help.""#, r#"b gauge """#]);
    for _ in 0..11 {
        take(&mut i, 1, "# TYPE a gauge\n");
    }
    let listed = i.metadata.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1.metric_type, base::MetricType::Gauge);
}

#[test]
fn exemplars_come_with_the_series_as_stored() {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
    let mut i = ingest();
    let body =
        "# TYPE a counter\na_total 1 # {trace_id=\"x\"} 0.5 1.5\n# TYPE b counter\nb_total 2 # {} 7\n# EOF\n";
    assert_eq!(take_typed(&mut i, 3_000, OPENMETRICS, body).1, "");
    let show = |e: &SeriesExemplar| {
        format!("{} {} {}@{}", e.labels, e.exemplar.labels, e.exemplar.value, e.exemplar.t_ms)
    };
    let got: Vec<_> = i.exemplars().iter().map(show).collect();
    assert_eq!(got, [r#"a_total{job="j"} {trace_id="x"} 0.5@1500"#, r#"b_total{job="j"} {} 7@3000"#]);
    // Those of a body that is refused are gone with its samples.
    take_typed(&mut i, 4_000, OPENMETRICS, "# TYPE a counter\na_total 1 # {} 2\nb x\n# EOF\n");
    assert!(i.exemplars().is_empty());
}

#[test]
fn labels_tell_type_and_unit_where_that_was_asked_for() {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
    let mut i = ingest_with(&[("job", "j")], |c| c.type_and_unit_labels = true);
    let body = "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds x\na_seconds_bucket{le=\"1\"} 1\n\
                a_seconds_count{__type__=\"mine\"} 1\n\
                # TYPE b counter\nb_total{__unit__=\"mine\"} 2\n# TYPE c unknown\nc 3\nother 4\n# EOF\n";
    let (_, _, lines) = take_typed(&mut i, 1_000, OPENMETRICS, body);
    assert_eq!(
        lines,
        [
            r#"a_seconds_bucket{__type__="histogram", __unit__="seconds", job="j", le="1.0"} 1@1000"#,
            r#"a_seconds_count{__type__="histogram", __unit__="seconds", job="j"} 1@1000"#,
            r#"b_total{__type__="counter", __unit__="mine", job="j"} 2@1000"#,
            r#"c{job="j"} 3@1000"#,
            r#"other{job="j"} 4@1000"#,
        ]
    );
    // The same bytes under another type are another series, and the one before ends.
    let (_, _, lines) = take(&mut i, 2_000, "# TYPE g gauge\ng 1\n");
    assert_eq!(lines.iter().filter(|l| l.contains("stale")).count(), 5);
    let (counts, _, lines) = take(&mut i, 3_000, "# TYPE g counter\ng 1\n");
    assert_eq!(
        lines,
        [r#"g{__type__="counter", job="j"} 1@3000"#, r#"g{__type__="gauge", job="j"} stale@3000"#]
    );
    assert_eq!(counts.series_added, 1);
    let mut off = ingest();
    let (_, _, lines) = take(&mut off, 1_000, "# TYPE g gauge\ng 1\n");
    assert_eq!(lines, [r#"g{job="j"} 1@1000"#]);
}

#[test]
fn created_tells_when_counting_began_where_that_was_asked_for() {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
    let body = "# TYPE a counter\na_total{x=\"1\",y=\"2\"} 5\na_created{y=\"2\",x=\"1\"} 0.5\na_total{x=\"2\"} 6\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n\
                h_bucket{le=\"+Inf\",x=\"1\"} 2\nh_created 0.25\nh_created{x=\"1\"} 1.75\n\
                # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\ns_created 9\n\
                # TYPE g gauge\ng 1\ng_created 1\n# EOF\n";
    let run = |change: &dyn Fn(&mut ScrapeConfig)| {
        let mut i = ingest_with(&[("job", "j")], change);
        let mut out = Vec::new();
        let fetched = || FetchedBody { content_type: OPENMETRICS.into(), bytes: body.into() };
        let (counts, result) = i.take(&fetched(), 3_000, &mut out);
        result.unwrap();
        let show =
            |s: &SeriesSample| format!("{} {}@{} {}", s.labels, s.sample.value, s.sample.t_ms, s.start_ms);
        let shown = |samples: &[SeriesSample]| samples.iter().map(show).collect::<Vec<_>>();
        let zeros = shown(i.zeros().samples());
        i.zeros().stored();
        i.take(&fetched(), 4_000, &mut Vec::new()).1.unwrap();
        (counts.scraped, shown(&out), zeros, i.zeros().samples().len())
    };
    let (scraped, samples, zeros, new) = run(&|c| c.starts = true);
    assert_eq!((scraped, zeros.len(), new), (11, 0, 0));
    assert_eq!(
        samples,
        [
            r#"a_total{job="j", x="1", y="2"} 5@3000 500"#,
            r#"a_total{job="j", x="2"} 6@3000 0"#,
            r#"h_bucket{job="j", le="1.0"} 1@3000 250"#,
            r#"h_bucket{job="j", le="+Inf"} 2@3000 250"#,
            r#"h_count{job="j"} 2@3000 250"#,
            r#"h_sum{job="j"} 3@3000 250"#,
            r#"h_bucket{job="j", le="+Inf", x="1"} 2@3000 1750"#,
            r#"s{job="j", quantile="0.5"} 1@3000 9000"#,
            r#"s_count{job="j"} 1@3000 9000"#,
            r#"g{job="j"} 1@3000 0"#,
            r#"g_created{job="j"} 1@3000 0"#,
        ]
    );
    let (_, samples, zeros, new) = run(&|c| c.start_zeros = true);
    assert!(samples.iter().all(|s| s.ends_with(" 0")), "{samples:?}");
    // What begins after its sample is no start; at the second scrape the summary's is the same time still ahead.
    assert_eq!(new, 0, "the zeros are stored by now");
    assert_eq!(
        zeros,
        [
            r#"a_total{job="j", x="1", y="2"} 0@500 0"#,
            r#"h_bucket{job="j", le="1.0"} 0@250 0"#,
            r#"h_bucket{job="j", le="+Inf"} 0@250 0"#,
            r#"h_count{job="j"} 0@250 0"#,
            r#"h_sum{job="j"} 0@250 0"#,
            r#"h_bucket{job="j", le="+Inf", x="1"} 0@1750 0"#,
        ]
    );
    let (scraped, samples, zeros, _) = run(&|_| ());
    assert_eq!((scraped, samples.len(), zeros.len()), (15, 15, 0), "without it they are series");
}
