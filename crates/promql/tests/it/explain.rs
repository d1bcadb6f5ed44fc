//! What each part of a query took, by a clock that moves only where samples are read.

use std::sync::Arc;
use std::time::Duration;

use base::{Labels, ManualClock, Result};
use promql::{
    Columns, EvalOptions, Grid, Interrupt, ParseOptions, PlanNode, QueryOutput, Selection, SeriesSet,
    SeriesSource, Value,
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Three series with a sample a minute for an hour, each of which takes a millisecond to read.
struct Slow(Arc<ManualClock>);

impl SeriesSource for Slow {
    fn select(&self, _: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl SeriesSet for Slow {
    fn count(&self) -> usize {
        3
    }

    fn samples(&self) -> u64 {
        3 * 60
    }

    fn labels(&self, at: usize) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("n", (at + 1).to_string().as_str())])
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        columns.clear();
        self.0.advance(MILLISECOND);
        columns.timestamps_ms = (0..60).map(|i| i * 60_000).collect();
        columns.values = (0..60).map(f64::from).collect();
        Ok(self.labels(at))
    }
}

struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

fn explain(query: &str) -> (QueryOutput, PlanNode) {
    let clock = Arc::new(ManualClock::new(0));
    let expr = promql::parse(query, &ParseOptions::default()).unwrap();
    let grid = Grid { start_ms: 1_800_000, end_ms: 3_000_000, step_ms: 300_000 };
    let options = EvalOptions::default();
    let source = Slow(clock.clone());
    let plain = promql::evaluate_range(&expr, query, &grid, &options, &source, &Never).unwrap();
    let (output, plan) =
        promql::explain_range(&expr, query, &grid, &options, &source, &Never, &*clock).unwrap();
    assert_eq!(output, plain, "measuring changes nothing");
    (output, plan)
}

/// Operator, series, points, and milliseconds with and without inputs.
fn told(node: &PlanNode) -> (&str, u64, u64, u128, u128) {
    (&node.operator, node.series, node.points, node.total.as_millis(), node.own.as_millis())
}

#[test]
fn filters_are_told_apart_from_what_they_filter() {
    // Values are 30, 35 … 50 at the steps.
    for (query, series) in [("count(m > 40)", 3), ("m > 40", 3)] {
        let (_, plan) = explain(query);
        let filter = if query == "m > 40" { &plan } else { &plan.inputs[0] };
        assert_eq!(told(filter), (">", series, 6, 3, 0));
        let [selector, number] = &filter.inputs[..] else { panic!("{plan:?}") };
        assert_eq!((told(selector), told(number).0), (("m", 3, 15, 3, 3), "40"));
        assert_eq!(selector.read.map(|r| (r.series, r.samples)), Some((3, 180)));
    }
}

#[test]
fn each_node_says_what_it_gave_and_what_it_took() {
    let query = "sum by (n) (rate(m{n=~\".+\"}[10m])) / 2";
    let (_, plan) = explain(query);
    assert_eq!(told(&plan), ("/", 3, 15, 3, 0));
    let [sum, two] = &plan.inputs[..] else { panic!("{plan:?}") };
    assert_eq!((told(sum), told(two).0), (("sum by (n)", 3, 15, 3, 0), "2"));
    let rate = &sum.inputs[0];
    assert_eq!(told(rate), ("rate", 3, 15, 3, 0));
    let selector = &rate.inputs[0];
    assert_eq!(told(selector), ("m{n=~\".+\"}[10m]", 3, 180, 3, 3));
    let read = selector.read.unwrap();
    assert_eq!((read.selection, read.series, read.samples), (0, 3, 180));
    assert_eq!(&query[rate.span.start..rate.span.end], "rate(m{n=~\".+\"}[10m])");
}

#[test]
fn each_selector_says_what_was_read_for_it() {
    let (output, plan) = explain("m - timestamp(m)");
    assert!(matches!(output.value, Value::Matrix(m) if m.len() == 3));
    let reads = [&plan.inputs[0], &plan.inputs[1].inputs[0]].map(|node| node.read.unwrap());
    assert!(reads[0] == reads[1] && reads[0].series == 3 && reads[0].time == 3 * MILLISECOND, "{reads:?}");
}

#[test]
fn what_occurs_twice_is_evaluated_once() {
    let (_, plan) = explain("sum(rate(m[10m])) / (sum(rate(m[10m])) + 1)");
    assert_eq!(told(&plan), ("/", 1, 5, 3, 0));
    assert_eq!(told(&plan.inputs[0]), ("sum", 1, 5, 3, 0));
    let again = &plan.inputs[1].inputs[0];
    assert_eq!(told(again), ("again sum", 1, 5, 0, 0));
    assert!(again.inputs.is_empty() && again.span.start == 21);
}

#[test]
fn what_does_not_depend_on_the_step_is_evaluated_once() {
    let (_, plan) = explain("m > scalar(sum(m @ 1800))");
    let once = &plan.inputs[1];
    assert_eq!((once.operator.as_str(), once.steps, once.inputs[0].steps), ("once for all steps", 5, 1));
}
