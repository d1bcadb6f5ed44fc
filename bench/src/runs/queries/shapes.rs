//! The questions: TSBS' that PromQL can express, what dashboards ask, and what their drop-down lists look up.
//!
//! All are evaluated at 25 s past a full minute and multiples of their step from there. Samples lie between full seconds,
//! and no inner step of a subquery falls on the border of its window, so Prometheus 2 (whose ranges are closed at both
//! ends) and 3 (left-open) have to agree.

use crate::data::SEED;
use crate::data::tsbs::FIELDS;
use crate::random::Random;

/// A group of shapes, which is a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Tsbs,
    Dashboard,
    LookUp,
}

pub(crate) const SECTIONS: [Section; 3] = [Section::Tsbs, Section::Dashboard, Section::LookUp];

impl Section {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tsbs => "TSBS queries, median",
            Self::Dashboard => "dashboard shapes, median",
            Self::LookUp => "look-ups, median",
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Range { query: String, start_ms: i64, end_ms: i64, step_s: i64 },
    Instant { query: String, time_ms: i64 },
    Series { matcher: String, start_ms: i64, end_ms: i64 },
    LabelValues { label: &'static str, matcher: String, start_ms: i64, end_ms: i64 },
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) section: Section,
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    /// Why VictoriaMetrics means something else by it, if it does.
    pub(crate) victoria_differs: Option<&'static str>,
    /// Nothing is selected, on purpose.
    pub(crate) empty_is_right: bool,
}

impl Shape {
    fn differs(mut self, why: &'static str) -> Self {
        self.victoria_differs = Some(why);
        self
    }

    fn may_be_empty(mut self) -> Self {
        self.empty_is_right = true;
        self
    }
}

/// What the data sets cover: first and last sample, and how many hosts TSBS has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    pub(crate) tsbs: (i64, i64),
    pub(crate) node: (i64, i64),
    pub(crate) hosts: usize,
}

const EXTRAPOLATION: &str = "it does not extrapolate to the borders of a window";
const FIRST_DIFFERENCE: &str = "it also looks at the sample before a window";
const SUBQUERY: &str = "its subqueries step from the start of the query, not at multiples of the step";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Where in a minute queries are evaluated.
const EVALUATED_AT_MS: i64 = 25_000;

/// The first and last times within a span at which queries are evaluated.
fn aligned((start_ms, end_ms): (i64, i64)) -> (i64, i64) {
    let after = |t: i64| t + (EVALUATED_AT_MS - t).rem_euclid(MINUTE_MS);
    (after(start_ms), after(end_ms - MINUTE_MS))
}

/// All of them.
pub(crate) fn all(spans: &Spans) -> Vec<Shape> {
    let mut shapes = tsbs(spans);
    shapes.extend(over_a_day(spans));
    shapes.extend(dashboards(spans));
    shapes.extend(look_ups(spans));
    shapes
}

fn shape(section: Section, name: &'static str, ask: Ask) -> Shape {
    Shape { section, name, ask, victoria_differs: None, empty_is_right: false }
}

/// Makes TSBS' queries: hosts and windows at random, as the suite has them.
struct Tsbs {
    span: (i64, i64),
    hosts: usize,
    random: Random,
}

impl Tsbs {
    /// Distinct hosts as a matcher.
    fn some_hosts(&mut self, count: usize) -> String {
        let mut ids: Vec<usize> = (0..self.hosts).collect();
        for i in 0..count.min(ids.len()) {
            let other = i + self.random.below(ids.len() - i);
            ids.swap(i, other);
        }
        let names: Vec<String> = ids.iter().take(count).map(|id| format!("host_{id}")).collect();
        match names.len() {
            1 => format!("hostname=\"{}\"", names[0]),
            _ => format!("hostname=~\"{}\"", names.join("|")),
        }
    }

    fn range(&mut self, name: &'static str, query: String, hours: i64, step_s: i64) -> Shape {
        let (first, last) = aligned(self.span);
        let window_ms = (hours * HOUR_MS).min(last - first);
        let room = (last - first - window_ms) / MINUTE_MS;
        let start_ms = first + self.random.below(room as usize + 1) as i64 * MINUTE_MS;
        let ask = Ask::Range { query, start_ms, end_ms: start_ms + window_ms, step_s };
        shape(Section::Tsbs, name, ask)
    }
}

/// One expression for several metrics. Functions over ranges drop the metric's name, so each gets a label first.
fn each_metric(fields: usize, of: impl Fn(&str) -> String) -> String {
    let named = |field: &&str| format!("label_replace({}, \"field\", \"{field}\", \"\", \"\")", of(field));
    FIELDS.iter().take(fields).map(named).collect::<Vec<_>>().join(" or ")
}

fn tsbs(spans: &Spans) -> Vec<Shape> {
    let mut t = Tsbs { span: spans.tsbs, hosts: spans.hosts, random: Random::new(SEED) };
    let mut shapes = Vec::new();
    for (name, metrics, hosts, hours) in [
        ("single-groupby-1-1-1", 1, 1, 1),
        ("single-groupby-1-1-12", 1, 1, 12),
        ("single-groupby-1-8-1", 1, 8, 1),
        ("single-groupby-5-1-1", 5, 1, 1),
        ("single-groupby-5-1-12", 5, 1, 12),
        ("single-groupby-5-8-1", 5, 8, 1),
    ] {
        let hosts = t.some_hosts(hosts);
        let query = each_metric(metrics, |f| format!("max(max_over_time(cpu_{f}{{{hosts}}}[1m]))"));
        shapes.push(t.range(name, query, hours, 60));
    }
    for (name, hosts) in [("cpu-max-all-1", 1), ("cpu-max-all-8", 8)] {
        let hosts = t.some_hosts(hosts);
        let query = each_metric(10, |f| format!("max(max_over_time(cpu_{f}{{{hosts}}}[1h]))"));
        shapes.push(t.range(name, query, 8, 3600));
    }
    for (name, metrics) in [("double-groupby-1", 1), ("double-groupby-5", 5), ("double-groupby-all", 10)] {
        let query = each_metric(metrics, |f| format!("avg by (hostname) (avg_over_time(cpu_{f}[1h]))"));
        shapes.push(t.range(name, query, 12, 3600));
    }
    let one = t.some_hosts(1);
    shapes.push(t.range("high-cpu-1", format!("cpu_usage_user{{{one}}} > 90"), 12, 10).may_be_empty());
    shapes.push(t.range("high-cpu-all", "cpu_usage_user > 90".into(), 12, 10));
    let (_, last) = aligned(spans.tsbs);
    let query = "{__name__=~\"cpu_usage_.*\"}".to_owned();
    shapes.push(shape(Section::Tsbs, "lastpoint", Ask::Instant { query, time_ms: last }));
    shapes
}

/// Shapes over the whole day that TSBS' data covers.
fn over_a_day(spans: &Spans) -> Vec<Shape> {
    let (start_ms, end_ms) = aligned(spans.tsbs);
    let range = |name, query: &str, step_s| {
        let ask = Ask::Range { query: query.to_owned(), start_ms, end_ms, step_s };
        shape(Section::Dashboard, name, ask)
    };
    vec![
        range("24 h: average over 1 h, step 5 m", "avg_over_time(cpu_usage_user[1h])", 300),
        range(
            "24 h: maximum by region over 10 m, step 10 m",
            "max by (region) (max_over_time(cpu_usage_system[10m]))",
            600,
        ),
        range(
            "24 h: quantile over 1 h, step 1 h",
            "quantile_over_time(0.9, cpu_usage_iowait{os=~\"Ubuntu16.*\"}[1h])",
            3600,
        ),
        range("24 h: deviation over 30 m, step 15 m", "avg(stddev_over_time(cpu_usage_idle[30m]))", 900),
        range("24 h: sum by service, step 1 m", "sum by (service) (cpu_usage_user)", 60),
    ]
}

fn dashboards(spans: &Spans) -> Vec<Shape> {
    let (first, end_ms) = aligned(spans.node);
    // The first minutes have no full windows, where extrapolation would decide.
    let start_ms = (first + 5 * MINUTE_MS).min(end_ms);
    let range = |name, query: &str, step_s| {
        let ask = Ask::Range { query: query.to_owned(), start_ms, end_ms, step_s };
        shape(Section::Dashboard, name, ask)
    };
    let instant = |name, query: &str| {
        shape(Section::Dashboard, name, Ask::Instant { query: query.to_owned(), time_ms: end_ms })
    };
    vec![
        range("CPU by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 15).differs(EXTRAPOLATION),
        range("CPU busy by host", "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))", 15)
            .differs(EXTRAPOLATION),
        range("memory used", "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", 15),
        range(
            "disk throughput",
            "sum by (instance, device) (rate(node_disk_read_bytes_total[5m]) + rate(node_disk_written_bytes_total[5m]))",
            15,
        )
        .differs(EXTRAPOLATION),
        range("busiest five by traffic", "topk(5, sum by (instance) (rate(node_network_receive_bytes_total{device!=\"lo\"}[5m])))", 60)
            .differs(EXTRAPOLATION),
        range(
            "file systems in percent",
            "100 * (1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay\"} / node_filesystem_size_bytes{fstype!~\"tmpfs|overlay\"})",
            30,
        ),
        range("join with an info metric", "node_load1 * on (instance) group_left (nodename, release) node_uname_info", 30),
        range("load per CPU", "node_load1 / on (instance) count by (instance) (node_cpu_seconds_total{mode=\"idle\"})", 15),
        range(
            "99th percentile of a histogram",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
            15,
        )
        .differs(EXTRAPOLATION),
        range("absent", "absent(node_load1{instance=\"nowhere:9100\"})", 15),
        range("peak load by host", "max by (instance) (max_over_time(node_load1[10m]))", 60),
        range("average memory, one host", "avg_over_time(node_memory_MemFree_bytes{instance=\"node-000:9100\"}[30m])", 30),
        range("quantile over hosts", "quantile(0.95, node_load5)", 15),
        range("units by state", "count by (state) (node_systemd_unit_state == 1)", 60),
        range("will fill up", "predict_linear(node_filesystem_avail_bytes{mountpoint=\"/\"}[15m], 14400) < 0", 60)
            .differs(FIRST_DIFFERENCE)
            .may_be_empty(),
        range("increase over 10 m", "sum by (instance) (increase(node_context_switches_total[10m]))", 60)
            .differs(EXTRAPOLATION),
        range(
            "traffic by regular expressions",
            "sum by (device) (rate(node_network_transmit_bytes_total{device=~\"eth[0-9]+|bond.*\",instance=~\"node-00[0-4].*\"}[5m]))",
            15,
        )
        .differs(EXTRAPOLATION),
        range("subquery", "max_over_time(sum(rate(node_cpu_seconds_total{mode!=\"idle\"}[1m]))[15m:1m])", 60).differs(SUBQUERY),
        range("changes over 10 m", "sum by (instance) (changes(node_procs_running[10m]))", 60).differs(FIRST_DIFFERENCE),
        instant("series by metric, one host", "count by (__name__) ({instance=\"node-000:9100\"})"),
        instant("ten slowest collectors", "topk(10, avg_over_time(node_scrape_collector_duration_seconds[10m]))"),
        instant("series by metric, all hosts", "sort_desc(count by (__name__) ({job=\"node\"}))"),
    ]
}

fn look_ups(spans: &Spans) -> Vec<Shape> {
    let (start_ms, end_ms) = spans.node;
    let values = |name, label, matcher: &str| {
        let ask = Ask::LabelValues { label, matcher: matcher.to_owned(), start_ms, end_ms };
        shape(Section::LookUp, name, ask)
    };
    let series = |name, matcher: &str| {
        shape(Section::LookUp, name, Ask::Series { matcher: matcher.to_owned(), start_ms, end_ms })
    };
    vec![
        values("hosts", "instance", "node_uname_info"),
        values("devices of a host", "device", "{instance=\"node-000:9100\",device=~\".+\"}"),
        values("metrics of a job", "__name__", "{job=\"node\"}"),
        series("series of a metric", "node_cpu_seconds_total"),
        series("series of a host", "{instance=\"node-000:9100\"}"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shapes() -> Vec<Shape> {
        let end = 1_700_000_040_000 - 10_000 + 3_127;
        all(&Spans {
            tsbs: (end - 24 * HOUR_MS + 10_000, end),
            node: (end - HOUR_MS + 10_000, end),
            hosts: 100,
        })
    }

    #[test]
    fn there_are_as_many_as_asked_for() {
        let shapes = shapes();
        let count = |section| shapes.iter().filter(|s| s.section == section).count();
        assert_eq!(count(Section::Tsbs), 14);
        assert!(count(Section::Dashboard) + count(Section::LookUp) >= 20);
        let names: BTreeSet<&str> = shapes.iter().map(|s| s.name).collect();
        assert_eq!(names.len(), shapes.len(), "names are keys");
    }

    #[test]
    fn ranges_lie_within_the_data_and_off_the_minute() {
        for s in shapes() {
            let Ask::Range { start_ms, end_ms, step_s, query } = s.ask else { continue };
            assert!(start_ms < end_ms && (end_ms - start_ms) / (step_s * 1000) < 11_000, "{query}");
            assert_eq!(start_ms.rem_euclid(MINUTE_MS), EVALUATED_AT_MS, "{query}");
            assert!(end_ms <= 1_700_000_040_000, "{query}");
        }
    }

    #[test]
    fn hosts_are_chosen_by_the_seed_and_only_once() {
        let mut t = Tsbs { span: (0, 24 * HOUR_MS), hosts: 10, random: Random::new(1) };
        let matcher = t.some_hosts(8);
        let list = matcher.trim_start_matches("hostname=~\"").trim_end_matches('"');
        assert_eq!(list.split('|').collect::<BTreeSet<_>>().len(), 8, "{matcher}");
        assert!(t.some_hosts(1).starts_with("hostname=\"host_"));
        let describe = |shapes: Vec<Shape>| shapes.iter().map(|s| format!("{:?}", s.ask)).collect::<Vec<_>>();
        assert_eq!(describe(shapes()), describe(shapes()));
    }

    #[test]
    fn several_metrics_are_one_expression() {
        assert_eq!(
            each_metric(2, |f| format!("f({f})")),
            "label_replace(f(usage_user), \"field\", \"usage_user\", \"\", \"\") or \
             label_replace(f(usage_system), \"field\", \"usage_system\", \"\", \"\")"
        );
    }
}
