//! What is unwise about an exposition, as Prometheus' `promlint` sees it, and how many series each metric has.
//!
//! Owns the rules and their texts. Whether a body can be parsed at all is the parser's affair.

use std::collections::{BTreeMap, HashMap, HashSet};

use base::MetricType;

use super::{Event, Format, ParseError, Parser, Series};

/// Something unwise about a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The metric's name.
    pub metric: String,
    /// What is wrong with it.
    pub text: String,
}

/// How many series a metric has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cardinality {
    /// The metric's name, without the suffixes of histograms and summaries.
    pub metric: String,
    /// Its series, as Prometheus stores them.
    pub series: usize,
}

/// All problems of a body in Prometheus' text format, by metric and text.
pub fn lint(body: &[u8]) -> Result<Vec<Problem>, ParseError> {
    let mut problems = Vec::new();
    for family in families(body)?.values() {
        let texts = family.problems();
        problems.extend(texts.into_iter().map(|text| Problem { metric: family.name.clone(), text }));
    }
    problems.sort();
    Ok(problems)
}

/// The series of each metric of a body in Prometheus' text format, the largest metric first.
pub fn cardinality(body: &[u8]) -> Result<Vec<Cardinality>, ParseError> {
    let mut all: Vec<_> = families(body)?
        .into_values()
        .filter(|f| f.lines > 0)
        .map(|f| Cardinality { metric: f.name, series: f.lines })
        .collect();
    all.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.metric.cmp(&b.metric)));
    Ok(all)
}

/// A metric with everything that is exposed under its name.
#[derive(Debug, Default)]
struct Family {
    name: String,
    has_help: bool,
    metric_type: MetricType,
    lines: usize,
    /// Label sets as they are written, each with how often it comes; those of histograms and summaries are not kept.
    metrics: HashMap<Vec<(String, String)>, usize>,
    /// Label sets of histograms and summaries without `le` and `quantile`.
    composites: HashSet<Vec<(String, String)>>,
}

fn families(body: &[u8]) -> Result<BTreeMap<String, Family>, ParseError> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut parser = Parser::new(Format::Prometheus, body);
    while let Some(event) = parser.next()? {
        match event {
            Event::Help { metric, .. } => family(&mut families, metric.to_text()).has_help = true,
            Event::Type { metric, metric_type } => {
                family(&mut families, metric.to_text()).metric_type = metric_type;
            }
            Event::Series(series) => add(&mut families, &series),
            Event::Unit { .. } | Event::Comment(_) | Event::Histogram(..) => {}
        }
    }
    families.retain(|_, f| f.lines > 0);
    Ok(families)
}

fn family(families: &mut BTreeMap<String, Family>, name: String) -> &mut Family {
    families.entry(name.clone()).or_insert_with(|| Family { name, ..Family::default() })
}

fn add(families: &mut BTreeMap<String, Family>, series: &Series<'_>) {
    let name = series.name().to_text();
    let base = family_of(families, &name);
    let family = family(families, base);
    family.lines += 1;
    let own_label = match family.metric_type {
        MetricType::Histogram => Some("le"),
        MetricType::Summary => Some("quantile"),
        _ => None,
    };
    let labels = series.labels().map(|(name, value)| (name.to_text(), value.to_text()));
    let mut labels: Vec<_> = labels.filter(|(name, _)| Some(name.as_str()) != own_label).collect();
    labels.sort();
    match own_label {
        Some(_) => {
            family.composites.insert(labels);
        }
        None => *family.metrics.entry(labels).or_default() += 1,
    }
}

/// The metric that a sample belongs to: histograms and summaries have samples with suffixes.
fn family_of(families: &BTreeMap<String, Family>, name: &str) -> String {
    let is =
        |base: &str, types: &[MetricType]| families.get(base).is_some_and(|f| types.contains(&f.metric_type));
    for (suffix, types) in [
        ("_bucket", &[MetricType::Histogram][..]),
        ("_count", &[MetricType::Histogram, MetricType::Summary][..]),
        ("_sum", &[MetricType::Histogram, MetricType::Summary][..]),
    ] {
        if let Some(base) = name.strip_suffix(suffix)
            && is(base, types)
        {
            return base.to_owned();
        }
    }
    name.to_owned()
}

impl Family {
    fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        if !self.has_help {
            out.push("no help text".into());
        }
        if let Some((unit, base)) = unit(&self.name).filter(|(unit, base)| unit != base) {
            out.push(format!("use base unit {base:?} instead of {unit:?}"));
        }
        self.check_counter(&mut out);
        self.check_reserved(&mut out);
        let lower = self.name.to_lowercase();
        let has_word =
            |word: &str| lower.contains(&format!("_{word}_")) || lower.ends_with(&format!("_{word}"));
        for word in ["counter", "gauge", "summary", "histogram", "gauge_histogram"] {
            if has_word(word) {
                out.push(format!("metric name should not include type '{word}'"));
            }
        }
        if self.name.contains(':') {
            out.push("metric names should not contain ':'".into());
        }
        if is_camel_case(&self.name) {
            out.push("metric names should be written in 'snake_case' not 'camelCase'".into());
        }
        for _ in self.label_names().filter(|n| is_camel_case(n)) {
            out.push("label names should be written in 'snake_case' not 'camelCase'".into());
        }
        for _ in ABBREVIATIONS.iter().filter(|word| has_word(word)) {
            out.push("metric names should not contain abbreviated units".into());
        }
        for count in self.metrics.values().filter(|n| **n > 1) {
            // One for each pair, as promlint counts them.
            out.extend((0..count * (count - 1) / 2).map(|_| String::from("metric not unique")));
        }
        out
    }

    fn is_untyped(&self) -> bool {
        !matches!(
            self.metric_type,
            MetricType::Counter | MetricType::Gauge | MetricType::Histogram | MetricType::Summary
        )
    }

    /// The names of the labels of all metrics, one after the other.
    fn label_names(&self) -> impl Iterator<Item = &str> {
        let plain = self.metrics.iter().flat_map(|(labels, n)| (0..*n).flat_map(move |_| labels));
        plain.chain(self.composites.iter().flatten()).map(|(name, _)| name.as_str())
    }

    fn check_counter(&self, out: &mut Vec<String>) {
        match (self.metric_type == MetricType::Counter, self.name.ends_with("_total")) {
            (true, false) => out.push("counter metrics should have \"_total\" suffix".into()),
            (false, true) if !self.is_untyped() => {
                out.push("non-counter metrics should not have \"_total\" suffix".into());
            }
            _ => {}
        }
    }

    /// Names and labels that only histograms and summaries should have.
    fn check_reserved(&self, out: &mut Vec<String>) {
        if self.is_untyped() {
            return;
        }
        let is_histogram = self.metric_type == MetricType::Histogram;
        let is_summary = self.metric_type == MetricType::Summary;
        if !is_histogram && self.name.ends_with("_bucket") {
            out.push("non-histogram metrics should not have \"_bucket\" suffix".into());
        }
        for suffix in ["_count", "_sum"] {
            if !is_histogram && !is_summary && self.name.ends_with(suffix) {
                out.push(format!("non-histogram and non-summary metrics should not have {suffix:?} suffix"));
            }
        }
        for name in self.label_names() {
            if !is_histogram && name == "le" {
                out.push("non-histogram metrics should not have \"le\" label".into());
            }
            if !is_summary && name == "quantile" {
                out.push("non-summary metrics should not have \"quantile\" label".into());
            }
        }
    }
}

fn is_camel_case(name: &str) -> bool {
    name.as_bytes().windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase())
}

/// The first unit in a name, and the one that it is measured in by convention.
fn unit(name: &str) -> Option<(&str, &'static str)> {
    name.split('_').find_map(|word| {
        let base = base_unit(word)
            .or_else(|| PREFIXES.iter().filter_map(|p| word.strip_prefix(p)).find_map(base_unit))?;
        Some((word, base))
    })
}

fn base_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "amperes" => "amperes",
        "bytes" | "bits" => "bytes",
        "celsius" | "fahrenheit" | "rankine" => "celsius",
        "grams" | "pounds" | "ounces" => "grams",
        "joules" | "calories" => "joules",
        "kelvin" | "kelvins" => "kelvin",
        "meters" | "inches" | "yards" | "miles" => "meters",
        "metres" => "metres",
        "seconds" | "minutes" | "hours" | "days" | "weeks" => "seconds",
        "volts" => "volts",
        _ => return None,
    })
}

/// With promlint's spelling of mebi.
const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi",
    "giga", "gibi", "tera", "tebi", "peta", "pebi",
];

const ABBREVIATIONS: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        lint(body.as_bytes()).unwrap().into_iter().map(|p| format!("{} {}", p.metric, p.text)).collect()
    }

    #[test]
    fn names_units_and_types_are_checked() {
        let body = "# TYPE x_milliseconds counter\nx_milliseconds 1\n\
                    # HELP g_total g.\n# TYPE g_total gauge\ng_total{le=\"1\",quantile=\"2\",aB=\"c\"} 1\n\
                    # HELP fooBar:gauge_ms f.\n# TYPE fooBar:gauge_ms gauge\nfooBar:gauge_ms 1\n";
        assert_eq!(
            texts(body),
            [
                "fooBar:gauge_ms metric names should be written in 'snake_case' not 'camelCase'",
                "fooBar:gauge_ms metric names should not contain ':'",
                "fooBar:gauge_ms metric names should not contain abbreviated units",
                "g_total label names should be written in 'snake_case' not 'camelCase'",
                "g_total non-counter metrics should not have \"_total\" suffix",
                "g_total non-histogram metrics should not have \"le\" label",
                "g_total non-summary metrics should not have \"quantile\" label",
                "x_milliseconds counter metrics should have \"_total\" suffix",
                "x_milliseconds no help text",
                "x_milliseconds use base unit \"seconds\" instead of \"milliseconds\"",
            ]
        );
    }

    #[test]
    fn histograms_are_one_metric() {
        let body = "# HELP h_bytes h.\n# TYPE h_bytes histogram\nh_bytes_bucket{le=\"1\"} 1\nh_bytes_bucket{le=\"+Inf\"} 1\n\
                    h_bytes_sum 1\nh_bytes_count 1\n# HELP a_info a.\n# TYPE a_info gauge\na_info 1\n";
        assert_eq!(texts(body), [""; 0]);
        let all = cardinality(body.as_bytes()).unwrap();
        assert_eq!(
            all,
            [
                Cardinality { metric: "h_bytes".into(), series: 4 },
                Cardinality { metric: "a_info".into(), series: 1 }
            ]
        );
    }

    #[test]
    fn untyped_metrics_may_be_called_anything() {
        assert_eq!(texts("# HELP a_bucket a.\na_bucket{le=\"1\"} 1\n"), [""; 0]);
        assert!(lint(b"a{ 1\n").is_err());
    }
}
