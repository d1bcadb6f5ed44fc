//! Random queries: well typed, about series that are there, and such that two servers can be compared.
//!
//! Left out is what would only show how numbers are rounded: what jumps at a value (comparison, `%`, rounding, `changes`) is asked of
//! exact values only, and what orders is asked of values that differ. Ranges of subqueries are no multiples of their steps, and all
//! times are off the grid of samples, as Prometheus 2 takes ranges closed on the left and Prometheus 3 open.

use super::demo::instance_name;
use super::pair::{At, Window};
use super::tree::{Kind, Node, Part};
use crate::random_numbers::Random;

struct Metric {
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    /// Whether it only grows, from far above zero, and is always there.
    counter: bool,
    /// Whether its series have values that differ from each other.
    distinct: bool,
}

#[rustfmt::skip]
const METRICS: &[Metric] = &[
    Metric { name: "demo_memory_usage_bytes", labels: &[("type", &["used", "cached", "buffers", "free"])], counter: false, distinct: true },
    Metric { name: "demo_cpu_usage_seconds_total", labels: &[("mode", &["user", "system", "idle"])], counter: true, distinct: true },
    Metric { name: "demo_odd_gauge", labels: &[("kind", KINDS)], counter: false, distinct: false },
    Metric { name: "demo_odd_total", labels: &[("kind", &["resetting", "standing", "steady"])], counter: true, distinct: false },
    Metric { name: "demo_disk_usage_bytes", labels: &[], counter: true, distinct: true },
    Metric { name: "demo_items_shipped_total", labels: &[], counter: true, distinct: true },
    Metric { name: "demo_batch_last_success_timestamp_seconds", labels: &[], counter: false, distinct: false },
    Metric { name: "demo_intermittent_metric", labels: &[], counter: false, distinct: false },
    Metric { name: "demo_api_http_requests_in_progress", labels: &[], counter: false, distinct: false },
    Metric { name: "demo_api_request_duration_seconds_count", labels: REQUESTS, counter: true, distinct: false },
    Metric { name: "demo_api_request_duration_seconds_bucket", labels: REQUESTS, counter: true, distinct: false },
    Metric { name: "demo_num_cpus", labels: &[], counter: false, distinct: false },
    Metric { name: "demo_is_holiday", labels: &[], counter: false, distinct: false },
    Metric { name: "demo_nothing_of_the_kind", labels: &[], counter: false, distinct: true },
];
/// The metric whose series are so many that only some of them are asked for.
const MANY: &str = "demo_api_request_duration_seconds_bucket";

const REQUESTS: &[(&str, &[&str])] = &[
    ("method", &["GET", "POST"]),
    ("path", &["/api/foo", "/api/bar", "/api/nonexistent"]),
    ("status", &["200", "404", "500"]),
];
const KINDS: &[&str] =
    &["constant", "wandering", "not \"a\\b\" number", "infinite", "null", "coarse", "sparse", "töpfe 🪣"];

/// Labels to group and match by.
const GROUPINGS: &[&str] = &[
    "instance",
    "job",
    "type",
    "mode",
    "kind",
    "method",
    "path",
    "status",
    "nonexistent",
    "instance, type",
    "job, mode",
];

/// Makes queries.
pub(crate) struct Generator {
    random: Random,
    window: Window,
    /// A metric that is taken more often than others, so that both sides of an operator have something in common.
    favourite: Option<usize>,
}

/// How deep an expression may be, and whether its values have to be exact.
#[derive(Clone, Copy)]
struct Want {
    depth: usize,
    exact: bool,
}

impl Want {
    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self }
    }

    fn exact(self) -> Self {
        Self { exact: true, ..self }
    }
}

impl Generator {
    pub(crate) fn new(seed: u64, window: Window) -> Self {
        Self { random: Random::new(seed), window, favourite: None }
    }

    /// A query, and when to evaluate it.
    pub(crate) fn query(&mut self) -> (Node, At) {
        let depth = 1 + self.random.below(4);
        self.favourite = Some(self.random.below(METRICS.len()));
        let want = Want { depth, exact: false };
        let span = self.window.end_ms - self.window.start_ms;
        if self.random.percent(30) {
            let t_ms = self.window.start_ms + self.random.below((span / 1000) as usize) as i64 * 1000;
            let query = if self.random.percent(8) { self.matrix(want, false) } else { self.any(want) };
            return (query, At::Instant(t_ms));
        }
        let step_ms = self.random.choice(&[1000, 7000, 10_000, 15_000, 60_000, 300_000]);
        let steps = self.random.below(20) as i64;
        let start_ms = self.window.start_ms + self.random.below(100) as i64 * 1000;
        // Often the last step is before the end.
        let end_ms = start_ms + steps * step_ms + self.random.choice(&[0, 100, 900]);
        (self.any(want), At::Range { start_ms, end_ms, step_ms })
    }

    fn any(&mut self, want: Want) -> Node {
        if self.random.percent(6) { self.scalar(want) } else { self.vector(want) }
    }

    fn scalar(&mut self, want: Want) -> Node {
        const NUMBERS: [&str; 14] =
            ["0", "1", "2", "-1", "0.5", "1e3", "0x1F", ".25", "1e9", "42", "-3.5", "Inf", "-Inf", "NaN"];
        let next = want.deeper();
        match self.random.below(if want.depth == 0 { 55 } else { 100 }) {
            0..50 => Node::leaf(Kind::Scalar, self.random.choice(&NUMBERS)),
            50..54 => Node::leaf(Kind::Scalar, "time()"),
            54 => Node::leaf(Kind::Scalar, "pi()"),
            55..75 => Node::of(Kind::Scalar, "scalar($)", [self.vector(next)]),
            75..80 => Node::of(Kind::Scalar, "(-$)", [self.scalar(next)]),
            _ => {
                let (op, want) = self.operator(next);
                let template =
                    if is_comparison(op) { format!("($ {op} bool $)") } else { format!("($ {op} $)") };
                Node::of(Kind::Scalar, &template, [self.scalar(want), self.scalar(want)])
            }
        }
    }

    /// An operator between numbers, and what it wants of them.
    fn operator(&mut self, want: Want) -> (&'static str, Want) {
        const EXACT: [&str; 12] = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "*"];
        if !want.exact && self.random.percent(15) {
            return (self.random.choice(&["^", "atan2"]), want);
        }
        let op = self.random.choice(&EXACT);
        (op, if op == "%" || is_comparison(op) { want.exact() } else { want })
    }

    fn vector(&mut self, want: Want) -> Node {
        let next = want.deeper();
        match self.random.below(if want.depth == 0 { 12 } else { 100 }) {
            0..14 => self.selector(),
            14..34 => self.over_range(next),
            34..54 => self.aggregation(next),
            54..66 => self.vector_and_scalar(next),
            66..78 => self.two_vectors(next),
            78..93 => self.function(next),
            93..95 => Node::of(Kind::Vector, "-($)", [self.vector(next)]),
            95..97 => Node::of(Kind::Vector, "absent($)", [self.vector(next)]),
            97..99 => Node::of(Kind::Vector, "vector($)", [self.scalar(next)]),
            _ => {
                Node::of(Kind::Vector, self.random.choice(&["sort($)", "sort_desc($)"]), [self.vector(next)])
            }
        }
    }

    fn metric(&mut self) -> &'static Metric {
        match self.favourite {
            Some(metric) if self.random.percent(65) => &METRICS[metric],
            _ => &METRICS[self.random.below(METRICS.len())],
        }
    }

    fn metric_that(&mut self, fits: fn(&Metric) -> bool) -> &'static Metric {
        loop {
            let metric = self.metric();
            if fits(metric) {
                return metric;
            }
            let other = &METRICS[self.random.below(METRICS.len())];
            if fits(other) {
                return other;
            }
        }
    }

    fn selector(&mut self) -> Node {
        let metric = self.metric();
        self.selector_of(metric, "")
    }

    /// A selector; the range, if there is one, with its brackets.
    fn selector_of(&mut self, metric: &Metric, range: &str) -> Node {
        let mut matchers: Vec<String> = (0..self.random.below(3)).map(|_| self.matcher(metric)).collect();
        if metric.name == MANY {
            matchers.push("path=\"/api/foo\",status=\"200\"".into());
        }
        let several = (!metric.counter && self.random.percent(3))
            .then(|| self.random.choice(&["memory_.*", "cpu_.*|num_cpus", "odd_.*"]));
        let (name, more) = match (several, self.random.percent(10)) {
            (Some(names), _) => (String::new(), Some(format!("__name__=~\"demo_{names}\""))),
            (_, true) => (String::new(), Some(format!("__name__=\"{}\"", metric.name))),
            _ => (metric.name.to_owned(), None),
        };
        let kind = if range.is_empty() { Kind::Vector } else { Kind::Matrix };
        let required = more.is_some();
        matchers.extend(more);
        let mut braces = String::new();
        if !matchers.is_empty() {
            braces = format!("{{{}}}", matchers.join(","));
        }
        let braces = if required { Part::Text(braces) } else { Part::Optional(braces) };
        self.moved(Node { kind, parts: vec![Part::Text(name), braces, Part::Text(range.into())] })
    }

    /// Perhaps with `offset`, `@`, or both.
    fn moved(&mut self, mut node: Node) -> Node {
        if self.random.percent(10) {
            let offset = self.random.choice(&["5s", "35s", "1m", "5m", "10m", "-1m", "-25s", "1h"]);
            node = node.maybe(format!(" offset {offset}"));
        }
        if self.random.percent(8) {
            let at = match self.random.below(4) {
                0 => "start()".to_owned(),
                1 => "end()".to_owned(),
                _ => {
                    let span = ((self.window.end_ms - self.window.start_ms) / 1000) as usize;
                    let t_ms = self.window.start_ms + self.random.below(span) as i64 * 1000;
                    format!("{}.{:03}", t_ms / 1000, t_ms % 1000)
                }
            };
            node = node.maybe(format!(" @ {at}"));
        }
        node
    }

    fn matcher(&mut self, metric: &Metric) -> String {
        if metric.labels.is_empty() || self.random.percent(30) {
            let instance = instance_name(self.random.below(3));
            return match self.random.below(7) {
                0 => format!("instance=\"{instance}\""),
                1 => format!("instance!=\"{instance}\""),
                2 => "instance=~\".*:1000[01]\"".into(),
                3 => "instance!~\".+0\"".into(),
                4 => "nonexistent=\"\"".into(),
                5 => "job=~\"demo|other\"".into(),
                _ => "nonexistent!~\".+\"".into(),
            };
        }
        let (name, values) = self.random.choice(metric.labels);
        let value = self.random.choice(values).replace('\\', "\\\\").replace('"', "\\\"");
        let other = self.random.choice(values);
        match self.random.below(8) {
            0..3 => format!("{name}=\"{value}\""),
            3 => format!("{name}!=\"{value}\""),
            4 => format!("{name}=~\"{}.*\"", other.chars().next().unwrap_or('x')),
            5 => format!("{name}=~\"({}|(?i:{}))\"", plain(other), plain(other).to_uppercase()),
            6 => format!("{name}!~\".*{}\"", other.chars().last().unwrap_or('x')),
            _ => format!("{name}=~\".+\""),
        }
    }

    /// A range of samples: of counters only, if that is what is wanted.
    fn matrix(&mut self, want: Want, counter: bool) -> Node {
        const RANGES: [&str; 9] =
            ["[1m]", "[90s]", "[5m]", "[17s]", "[10m]", "[3s]", "[2m30s]", "[1h]", "[31s]"];
        // No multiple of a step, which are multiples of five seconds.
        const SUBQUERIES: [&str; 6] =
            ["[52s:5s]", "[5m2s:30s]", "[2m7s:15s]", "[10m2s:1m]", "[3m7s:]", "[1m32s:10s]"];
        if want.depth > 1 && self.random.percent(25) {
            let inner = match counter {
                true => {
                    let metric = self.metric_that(|m| m.counter);
                    let selector = self.selector_of(metric, "");
                    let template = self.random.choice(&["$", "max by (instance, kind, mode) ($)", "abs($)"]);
                    Node::of(Kind::Vector, template, [selector])
                }
                false => self.vector(want.deeper()),
            };
            let range = self.random.choice(&SUBQUERIES);
            let node = Node::of(Kind::Matrix, &format!("($){range}"), [inner]);
            return self.moved(node);
        }
        let metric = if counter { self.metric_that(|m| m.counter) } else { self.metric() };
        let range = self.random.choice(&RANGES);
        self.selector_of(metric, range)
    }

    fn over_range(&mut self, want: Want) -> Node {
        const EXACT: [&str; 6] = [
            "count_over_time",
            "present_over_time",
            "last_over_time",
            "min_over_time",
            "max_over_time",
            "idelta",
        ];
        const JUMPING: [&str; 2] = ["changes", "resets"];
        const OTHER: [&str; 6] =
            ["sum_over_time", "avg_over_time", "stddev_over_time", "stdvar_over_time", "deriv", "delta"];
        let call = |function: &str, argument| Node::of(Kind::Vector, &format!("{function}($)"), [argument]);
        match self.random.below(if want.exact { 40 } else { 100 }) {
            0..25 => call(self.random.choice(&EXACT), self.matrix(want, false)),
            25..36 => call(self.random.choice(&JUMPING), self.matrix(want.exact(), false)),
            36..40 => call("absent_over_time", self.matrix(want, false)),
            40..65 => {
                call(self.random.choice(&["rate", "increase", "irate", "rate"]), self.matrix(want, true))
            }
            65..85 => call(self.random.choice(&OTHER), self.matrix(want, false)),
            85..92 => {
                let q = self.random.choice(&["0.5", "0", "1", "0.9", "-1", "2"]);
                Node::of(Kind::Vector, &format!("quantile_over_time({q}, $)"), [self.matrix(want, false)])
            }
            _ => {
                let by = self.random.choice(&["60", "-30", "3600"]);
                Node::of(Kind::Vector, &format!("predict_linear($, {by})"), [self.matrix(want, true)])
            }
        }
    }

    fn grouping(&mut self) -> String {
        let labels = self.random.choice(GROUPINGS);
        match self.random.below(6) {
            0..3 => format!(" by ({labels}) "),
            3 => format!(" without ({labels}) "),
            4 => " by () ".into(),
            _ => String::new(),
        }
    }

    fn aggregation(&mut self, want: Want) -> Node {
        let by = self.grouping();
        let with = |operator: &str, before: &str, vector| {
            let head =
                [Part::Text(operator.into()), Part::Optional(by.clone()), Part::Text(format!("({before}"))];
            let parts = head.into_iter().chain([Part::Child(vector), Part::Text(")".into())]).collect();
            Node { kind: Kind::Vector, parts }
        };
        match self.random.below(if want.exact { 50 } else { 100 }) {
            0..30 => {
                let operator = self.random.choice(&["min", "max", "count", "group"]);
                with(operator, "", self.vector(want))
            }
            30..42 => {
                let k = self.random.choice(&["1, ", "2, ", "3, ", "0, ", "-1, ", "100, "]);
                with(self.random.choice(&["topk", "bottomk"]), k, self.distinct())
            }
            42..50 => with("count_values", "\"value\", ", self.vector(want.exact())),
            50..90 => {
                let operator = self.random.choice(&["sum", "avg", "sum", "stddev", "stdvar"]);
                with(operator, "", self.vector(want))
            }
            _ => {
                let q = self.random.choice(&["0.5, ", "0, ", "1, ", "0.9, ", "-1, ", "2, "]);
                with("quantile", q, self.vector(want))
            }
        }
    }

    /// Values that differ from each other.
    fn distinct(&mut self) -> Node {
        let metric = self.metric_that(|m| m.distinct);
        let selector = self.selector_of(metric, "");
        Node::of(Kind::Vector, self.random.choice(&["$", "($ * 2)", "-($)", "sqrt($)"]), [selector])
    }

    fn vector_and_scalar(&mut self, want: Want) -> Node {
        let (op, want) = self.operator(want);
        let bool = if is_comparison(op) && self.random.percent(50) { " bool" } else { "" };
        let (vector, scalar) = (self.vector(want), self.scalar(want));
        let operands = if self.random.percent(70) { [vector, scalar] } else { [scalar, vector] };
        Node::of(Kind::Vector, &nameless(op, format!("($ {op}{bool} $)")), operands)
    }

    fn two_vectors(&mut self, want: Want) -> Node {
        let set = self.random.percent(30);
        let (op, want) = match set {
            true => (self.random.choice(&["and", "or", "unless"]), want),
            false => self.operator(want),
        };
        let labels = self.random.choice(GROUPINGS);
        let matching = match self.random.below(8) {
            0..4 => String::new(),
            4 | 5 => format!(" on ({labels})"),
            _ => format!(" ignoring ({labels})"),
        };
        let group = match self.random.below(8) {
            0 if !set && !matching.is_empty() => " group_left ()",
            1 if !set && !matching.is_empty() => " group_right ()",
            2 if !set && matching.starts_with(" on") => " group_left (type)",
            _ => "",
        };
        let bool = if is_comparison(op) && self.random.percent(40) { " bool" } else { "" };
        let (left, right) = (self.vector(want), self.vector(want));
        let template = nameless(op, format!("($ {op}{bool}{matching}{group} $)"));
        Node::of(Kind::Vector, &template, [left, right])
    }

    fn function(&mut self, want: Want) -> Node {
        const EXACT: [&str; 9] =
            ["abs", "ceil", "floor", "sgn", "sqrt", "round", "timestamp", "abs", "timestamp"];
        const SMOOTH: [&str; 18] = [
            "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
            "tanh", "asinh", "acosh", "atanh", "deg", "rad",
        ];
        const DATES: [&str; 8] = [
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "days_in_month",
            "hour",
            "minute",
            "month",
            "year",
        ];
        let call = |function: &str, argument| Node::of(Kind::Vector, &format!("{function}($)"), [argument]);
        match self.random.below(if want.exact { 60 } else { 100 }) {
            0..25 => call(self.random.choice(&EXACT), self.vector(want.exact())),
            25..32 => {
                let clamp = self.random.choice(&["clamp_min($, $)", "clamp_max($, $)", "round($, 4)"]);
                let children = [self.vector(want.exact()), self.scalar(want)];
                let count = clamp.matches('$').count();
                Node::of(Kind::Vector, clamp, children.into_iter().take(count))
            }
            32..36 => {
                let children = [self.vector(want), self.scalar(want), self.scalar(want)];
                Node::of(Kind::Vector, "clamp($, $, $)", children)
            }
            36..44 => {
                const TIMES: [&str; 4] = [
                    "demo_batch_last_success_timestamp_seconds",
                    "timestamp(demo_memory_usage_bytes)",
                    "vector(time() - 1e6)",
                    "demo_odd_gauge{kind=\"constant\"}",
                ];
                let date = self.random.choice(&DATES);
                if self.random.percent(15) {
                    return Node::leaf(Kind::Vector, format!("{date}()"));
                }
                call(date, Node::leaf(Kind::Vector, self.random.choice(&TIMES)))
            }
            44..52 => {
                let regex =
                    self.random.choice(&["(.*)", "(.).*", "demo.*:(\\\\d+)", ".*(?P<x>[a-z])", "none"]);
                let (to, from) = (self.random.choice(&["new", "type", "job"]), self.random.choice(GROUPINGS));
                let from = from.split(',').next().unwrap_or(from);
                let with = self.random.choice(&["$1", "x-${1}", "$x", "", "a$$b$1"]);
                let arguments = format!(", \"{to}\", \"{with}\", \"{from}\", \"{regex}\")");
                let mut node = Node::of(Kind::Vector, "label_replace($", [self.vector(want)]);
                node.parts.push(Part::Text(arguments));
                node
            }
            52..60 => {
                let to = self.random.choice(&["new", "type", "job"]);
                let template =
                    format!("label_join($, \"{to}\", \"-\", \"instance\", \"kind\", \"nonexistent\")");
                Node::of(Kind::Vector, &template, [self.vector(want)])
            }
            60..85 => call(self.random.choice(&SMOOTH), self.vector(want)),
            _ => self.histogram_quantile(),
        }
    }

    fn histogram_quantile(&mut self) -> Node {
        let q = self.random.choice(&["0.5", "0.9", "0.99", "0", "1", "-1", "1.5", "0.333"]);
        let range = self.random.choice(&["[1m]", "[5m]", "[17s]"]);
        let metric = METRICS.iter().find(|m| m.name == MANY).expect("it is one of them");
        let inner = match self.random.below(4) {
            0 => self.selector_of(metric, ""),
            1 => Node::of(Kind::Vector, "sum by (le, instance) (rate($))", [self.selector_of(metric, range)]),
            2 => Node::of(
                Kind::Vector,
                "sum without (instance) (increase($))",
                [self.selector_of(metric, range)],
            ),
            _ => Node::of(Kind::Vector, "rate($)", [self.selector_of(metric, range)]),
        };
        Node::of(Kind::Vector, &format!("histogram_quantile({q}, $)"), [inner])
    }
}

fn is_comparison(op: &str) -> bool {
    matches!(op, "==" | "!=" | "<" | "<=" | ">" | ">=")
}

/// An operation whose result has no metric name, whatever the version.
fn nameless(op: &str, operation: String) -> String {
    if op == "atan2" { format!("(0 + {operation})") } else { operation }
}

/// The letters of a value that mean nothing to a regular expression.
fn plain(value: &str) -> String {
    value.chars().take_while(|c| c.is_alphanumeric()).collect()
}

#[test]
fn queries_are_sound_and_varied() {
    let window = Window { start_ms: 1_700_000_000_700, end_ms: 1_700_000_600_700 };
    let mut generator = Generator::new(1, window);
    let (mut sound, mut seen) = (0, std::collections::BTreeSet::new());
    for _ in 0..1000 {
        let (query, _) = generator.query();
        let text = query.text();
        match promql::parse(&text, &promql::ParseOptions::default()) {
            Ok(_) => sound += 1,
            Err(e) => assert!(text.contains("group_"), "{text}: {e}"),
        }
        seen.insert(text);
    }
    assert!(sound > 950 && seen.len() > 800, "{sound} sound, {} different", seen.len());
}
