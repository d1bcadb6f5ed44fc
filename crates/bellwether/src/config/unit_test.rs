//! Files of unit tests for rules: their keys, and the way from YAML to what is to be tested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Error, Labels, Result};

use super::checked::read_file;
use super::grammar::{self, Key, Map, Section, Shape, no_rules};
use super::raw::{self, Outcome, Problem};
use super::scalar;

/// Time between two evaluations where a file says nothing.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

static FILE: Section = Section {
    name: "",
    keys: &[&[
        Key::new("rule_files", Shape::Texts),
        Key::new("evaluation_interval", Shape::Duration),
        Key::new("group_eval_order", Shape::Texts),
        Key::new("tests", Shape::Sections(&GROUP, None)),
        Key::new("fuzzy_compare", Shape::Bool),
    ]],
    check: no_rules,
};

static GROUP: Section = Section {
    name: "tests",
    keys: &[&[
        Key::new("name", Shape::Text),
        Key::new("interval", Shape::Duration),
        Key::new("input_series", Shape::Sections(&SERIES, None)),
        Key::new("alert_rule_test", Shape::Sections(&ALERT_TEST, None)),
        Key::new("promql_expr_test", Shape::Sections(&EXPR_TEST, None)),
        Key::new("external_labels", Shape::Labels),
        Key::new("external_url", Shape::Text),
        Key::new("start_timestamp", Shape::Text),
    ]],
    check: no_rules,
};

static SERIES: Section = Section {
    name: "input_series",
    keys: &[&[Key::new("series", Shape::Text), Key::new("values", Shape::Text)]],
    check: no_rules,
};

static ALERT_TEST: Section = Section {
    name: "alert_rule_test",
    keys: &[&[
        Key::new("eval_time", Shape::Duration),
        Key::new("alertname", Shape::Text),
        Key::new("exp_alerts", Shape::Sections(&ALERT, None)),
    ]],
    check: no_rules,
};

static ALERT: Section = Section {
    name: "exp_alerts",
    keys: &[&[Key::new("exp_labels", Shape::TextMap), Key::new("exp_annotations", Shape::TextMap)]],
    check: no_rules,
};

static EXPR_TEST: Section = Section {
    name: "promql_expr_test",
    keys: &[&[
        Key::new("expr", Shape::Text),
        Key::new("eval_time", Shape::Duration),
        Key::new("exp_samples", Shape::Sections(&SAMPLE, None)),
    ]],
    check: no_rules,
};

static SAMPLE: Section = Section {
    name: "exp_samples",
    keys: &[&[
        Key::new("labels", Shape::Text),
        Key::new("value", Shape::Text),
        Key::new("histogram", Shape::Text),
    ]],
    check: no_rules,
};

/// A file of unit tests.
#[derive(Debug, Clone)]
pub struct UnitTests {
    /// Patterns of the rule files, with the file's folder before relative ones.
    pub rule_files: Vec<PathBuf>,
    /// Time between two evaluations.
    pub evaluation_interval: Duration,
    /// Groups of rules in the order in which they are evaluated.
    pub group_eval_order: Vec<String>,
    /// Whether floats that are neighbours are equal.
    pub fuzzy_compare: bool,
    /// What is tested.
    pub groups: Vec<TestGroup>,
}

/// Series and what rules and expressions make of them.
#[derive(Debug, Clone)]
pub struct TestGroup {
    /// Its name, or nothing.
    pub name: String,
    /// Time between two samples of the series.
    pub interval: Duration,
    /// Each series with its values, in the notation of test scripts.
    pub input_series: Vec<(String, String)>,
    /// Alerts that have to fire.
    pub alert_tests: Vec<AlertTest>,
    /// Results that expressions have to have.
    pub expr_tests: Vec<ExprTest>,
    /// Labels of the server.
    pub external_labels: Labels,
    /// Where people reach the server.
    pub external_url: String,
    /// The time of the first samples.
    pub start_ms: i64,
}

/// The alerts of one name at a time.
#[derive(Debug, Clone)]
pub struct AlertTest {
    /// Time since the first samples.
    pub eval_time: Duration,
    /// The alert.
    pub alertname: String,
    /// Labels and annotations of each alert that fires.
    pub alerts: Vec<(Labels, Labels)>,
}

/// The result of an expression at a time.
#[derive(Debug, Clone)]
pub struct ExprTest {
    /// The expression.
    pub expr: String,
    /// Time since the first samples.
    pub eval_time: Duration,
    /// The result.
    pub samples: Vec<ExpectedSample>,
}

/// A sample of a result.
#[derive(Debug, Clone)]
pub struct ExpectedSample {
    /// The series, as an expression writes it.
    pub labels: String,
    /// The value, which does not count where there is a histogram.
    pub value: f64,
    /// A native histogram in the notation of test scripts, or nothing.
    pub histogram: String,
}

/// Reads a file of unit tests.
pub fn load_unit_tests(path: &Path) -> Result<UnitTests> {
    let failed = |e: Error| e.context(format!("cannot load {}", path.display()));
    let text = read_file(path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new(""));
    read(&text, dir).map_err(|p: Problem| failed(p.into_error()))
}

fn read(text: &str, dir: &Path) -> Outcome<UnitTests> {
    let document = raw::parse(text)?;
    grammar::check(&FILE, &document, &mut Vec::new())?;
    let map = Map::of(&document);
    let evaluation_interval = or(map.duration("evaluation_interval")?, DEFAULT_INTERVAL);
    let groups = map.maps("tests")?;
    Ok(UnitTests {
        rule_files: map.texts("rule_files")?.into_iter().map(|p| dir.join(p)).collect(),
        evaluation_interval,
        group_eval_order: map.texts("group_eval_order")?.into_iter().map(str::to_owned).collect(),
        fuzzy_compare: map.flag("fuzzy_compare", false)?,
        groups: groups.iter().map(|g| group(g, evaluation_interval)).collect::<Outcome<_>>()?,
    })
}

fn or(duration: Duration, default: Duration) -> Duration {
    if duration.is_zero() { default } else { duration }
}

fn group(map: &Map<'_>, evaluation_interval: Duration) -> Outcome<TestGroup> {
    let start = map.text("start_timestamp")?;
    let start_ms = match start {
        "" => 0,
        text => match crate::export::args::parse_time(text) {
            Ok(ms) => ms,
            Err(_) => {
                return map.problem("start_timestamp", format!("cannot parse {text:?} to a valid timestamp"));
            }
        },
    };
    let series = |map: &Map<'_>| Ok((map.text("series")?.to_owned(), map.text("values")?.to_owned()));
    Ok(TestGroup {
        name: map.text("name")?.to_owned(),
        interval: or(map.duration("interval")?, evaluation_interval),
        input_series: map.maps("input_series")?.iter().map(series).collect::<Outcome<_>>()?,
        alert_tests: map.maps("alert_rule_test")?.iter().map(alert_test).collect::<Outcome<_>>()?,
        expr_tests: map.maps("promql_expr_test")?.iter().map(expr_test).collect::<Outcome<_>>()?,
        external_labels: labels(map, "external_labels")?,
        external_url: map.text("external_url")?.to_owned(),
        start_ms,
    })
}

fn alert_test(map: &Map<'_>) -> Outcome<AlertTest> {
    let alert = |map: &Map<'_>| Ok((labels(map, "exp_labels")?, labels(map, "exp_annotations")?));
    Ok(AlertTest {
        eval_time: map.duration("eval_time")?,
        alertname: map.text("alertname")?.to_owned(),
        alerts: map.maps("exp_alerts")?.iter().map(alert).collect::<Outcome<_>>()?,
    })
}

fn expr_test(map: &Map<'_>) -> Outcome<ExprTest> {
    Ok(ExprTest {
        expr: map.text("expr")?.to_owned(),
        eval_time: map.duration("eval_time")?,
        samples: map.maps("exp_samples")?.iter().map(sample).collect::<Outcome<_>>()?,
    })
}

fn sample(map: &Map<'_>) -> Outcome<ExpectedSample> {
    let text = map.text("value")?;
    // YAML writes these with a point, Go without.
    let value = match text.trim_start_matches('.').replace("+.", "+").replace("-.inf", "-inf").as_str() {
        "" => 0.0,
        text => match text.parse() {
            Ok(v) => v,
            Err(_) => return map.problem("value", format!("value must be a number, not {text:?}")),
        },
    };
    Ok(ExpectedSample {
        labels: map.text("labels")?.to_owned(),
        value,
        histogram: map.text("histogram")?.to_owned(),
    })
}

fn labels(map: &Map<'_>, key: &str) -> Outcome<Labels> {
    let mut pairs = Vec::new();
    for entry in map.map(key).entries {
        let name = entry.key.text.clone();
        let value = scalar::text(&name, &entry.value)?.to_owned();
        pairs.push((name, value));
    }
    Ok(Labels::from_pairs(pairs))
}
