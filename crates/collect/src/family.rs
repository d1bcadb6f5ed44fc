//! Metric families as the built-in exporters produce them, and their text exposition.
//!
//! Owns the shape that stands between an exporter and whoever takes its samples (the store, or another scraper over
//! HTTP). Does not parse expositions and knows no labels of a target: `job` and `instance` are added by the scrape.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Write;

use base::MetricType;

/// All points of one metric name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric name.
    pub name: Cow<'static, str>,
    /// The help text, unescaped.
    pub help: Cow<'static, str>,
    /// The type.
    pub metric_type: MetricType,
    /// One point per label set.
    pub points: Vec<Point>,
}

/// One sample of a family, at the time of the scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Label names and values, without `__name__`. Values may be empty.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// The value.
    pub value: f64,
}

/// Name, help and type of a family that is known when the program is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Description {
    name: &'static str,
    help: &'static str,
    metric_type: MetricType,
}

/// Describes a gauge.
pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Description {
    Description { name, help, metric_type: MetricType::Gauge }
}

/// Describes a counter.
pub(crate) const fn counter(name: &'static str, help: &'static str) -> Description {
    Description { name, help, metric_type: MetricType::Counter }
}

/// Gathers points into families, in any order.
#[derive(Debug, Default)]
pub(crate) struct Families {
    families: Vec<Family>,
    index: HashMap<Cow<'static, str>, usize>,
}

impl Families {
    /// Adds a point of a described family.
    pub(crate) fn add(&mut self, family: &Description, value: f64, labels: &[(&'static str, &str)]) {
        self.add_named(family.metric_type, family.name, family.help, value, labels);
    }

    /// Adds a point of a family whose name comes from the kernel. Type and help of the first point of a name stand.
    pub(crate) fn add_named(
        &mut self,
        metric_type: MetricType,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        value: f64,
        labels: &[(&'static str, &str)],
    ) {
        let labels = labels.iter().map(|(k, v)| (Cow::Borrowed(*k), (*v).to_owned())).collect();
        let name = name.into();
        let at = match self.index.get(&name) {
            Some(at) => *at,
            None => {
                self.index.insert(name.clone(), self.families.len());
                self.families.push(Family { name, help: help.into(), metric_type, points: Vec::new() });
                self.families.len() - 1
            }
        };
        self.families[at].points.push(Point { labels, value });
    }

    /// Adds families that another gatherer made.
    pub(crate) fn merge(&mut self, other: Self) {
        for family in other.families {
            match self.index.get(&family.name) {
                Some(at) => self.families[*at].points.extend(family.points),
                None => {
                    self.index.insert(family.name.clone(), self.families.len());
                    self.families.push(family);
                }
            }
        }
    }

    /// The families by name, their points by label values, labels by name; a label set that came twice counts once.
    pub(crate) fn finish(self) -> Vec<Family> {
        let mut families = self.families;
        families.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for family in &mut families {
            for point in &mut family.points {
                point.labels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            }
            // Stable, so that of two equal label sets the one that came first is kept.
            family.points.sort_by(compare_points);
            family.points.dedup_by(|b, a| a.labels == b.labels);
        }
        families
    }
}

/// The order of the Go client: fewer labels first, then label values.
fn compare_points(a: &Point, b: &Point) -> Ordering {
    let values = |p: &Point| p.labels.len();
    values(a).cmp(&values(b)).then_with(|| {
        a.labels
            .iter()
            .map(|(_, v)| v)
            .cmp(b.labels.iter().map(|(_, v)| v))
            .then_with(|| a.labels.cmp(&b.labels))
    })
}

/// Appends the text exposition format 0.0.4: families by name, each with its `HELP` and `TYPE` line, escaped and with
/// numbers written as the Go client does. A family without points is left out.
pub fn encode_text(families: &[Family], out: &mut Vec<u8>) {
    let mut sorted: Vec<&Family> = families.iter().filter(|f| !f.points.is_empty()).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for family in sorted {
        let name = family.name.as_bytes();
        if !family.help.is_empty() {
            out.extend_from_slice(b"# HELP ");
            out.extend_from_slice(name);
            out.push(b' ');
            escape(&family.help, false, out);
            out.push(b'\n');
        }
        out.extend_from_slice(b"# TYPE ");
        out.extend_from_slice(name);
        out.push(b' ');
        out.extend_from_slice(type_word(family.metric_type).as_bytes());
        out.push(b'\n');
        for point in &family.points {
            out.extend_from_slice(name);
            encode_labels(&point.labels, out);
            out.push(b' ');
            encode_float(point.value, out);
            out.push(b'\n');
        }
    }
}

fn encode_labels(labels: &[(Cow<'static, str>, String)], out: &mut Vec<u8>) {
    let mut separator = b'{';
    for (name, value) in labels {
        out.push(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(value, true, out);
        out.push(b'"');
        separator = b',';
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
}

/// The words of the text format, which is older than OpenMetrics and has fewer of them.
fn type_word(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "counter",
        MetricType::Gauge | MetricType::Info | MetricType::Stateset => "gauge",
        MetricType::Histogram | MetricType::GaugeHistogram => "histogram",
        MetricType::Summary => "summary",
        MetricType::Unknown => "untyped",
    }
}

fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(byte),
        }
    }
}

/// Writes the shortest decimal that reads back as `v`, as Go's `strconv.FormatFloat(v, 'g', -1, 64)`: with an exponent
/// of at least two digits below 1e-4 and from 1e6 on.
fn encode_float(v: f64, out: &mut Vec<u8>) {
    const INFALLIBLE: &str = "writing to a vector cannot fail";
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if v.is_infinite() {
        out.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    let magnitude = v.abs();
    if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        write!(out, "{v}").expect(INFALLIBLE);
        return;
    }
    let start = out.len();
    write!(out, "{v:e}").expect(INFALLIBLE);
    let e = start + out[start..].iter().position(|b| *b == b'e').expect("scientific notation has an e");
    let negative = out[e + 1] == b'-';
    let digits: Vec<u8> = out[e + 1 + usize::from(negative)..].to_vec();
    out.truncate(e + 1);
    out.push(if negative { b'-' } else { b'+' });
    if digits.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        let check = |v: f64, want: &str| {
            let mut out = Vec::new();
            encode_float(v, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(999_999.0, "999999");
        check(1_000_000.0, "1e+06");
        check(1_763_200_000.0, "1.7632e+09");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1.234_567e-10, "1.234567e-10");
        check(-9.223_372_036_854_776e17, "-9.223372036854776e+17");
        check(1e100, "1e+100");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn text_is_sorted_and_escaped() {
        let mut families = Families::default();
        const B: Description = counter("b_total", "Help with \\ and\nbreak and \"quotes\".");
        families.add(&B, 2.0, &[("z", "2"), ("a", "1")]);
        families.add(&B, 1.0, &[("z", "1"), ("a", "1")]);
        families.add(&B, 9.0, &[("a", "1"), ("z", "1")]);
        families.add_named(MetricType::Unknown, "a", "", 3.0, &[("p", "q\"\\\n")]);
        let mut out = Vec::new();
        encode_text(&families.finish(), &mut out);
        let want = concat!(
            "# TYPE a untyped\na{p=\"q\\\"\\\\\\n\"} 3\n",
            "# HELP b_total Help with \\\\ and\\nbreak and \"quotes\".\n# TYPE b_total counter\n",
            "b_total{a=\"1\",z=\"1\"} 1\nb_total{a=\"1\",z=\"2\"} 2\n",
        );
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn merging_keeps_one_family_per_name() {
        const A: Description = gauge("a", "A.");
        let (mut left, mut right) = (Families::default(), Families::default());
        left.add(&A, 1.0, &[("l", "1")]);
        right.add(&A, 2.0, &[("l", "2")]);
        left.merge(right);
        let families = left.finish();
        assert_eq!((families.len(), families[0].points.len()), (1, 2));
    }
}
