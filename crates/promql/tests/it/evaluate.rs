//! The contract of an evaluation with its caller: what it reads, what it costs, how it ends.

use std::sync::Mutex;

use base::{Error, ErrorKind, Labels, Result, TimeRange};
use promql::leaf::{Around, Block, Leaf};
use promql::script::MemorySource;
use promql::{
    EvalOptions, Expr, Grid, Interrupt, ParseOptions, QueryOutput, Selection, SeriesSet, SeriesSource, Value,
    evaluate_instant, evaluate_range, parse, selections,
};

struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Remembers what it was asked for.
struct Recorder {
    data: MemorySource,
    asked: Mutex<Vec<Selection>>,
}

impl SeriesSource for Recorder {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        self.asked.lock().unwrap().push(selection.clone());
        self.data.select(selection)
    }
}

fn data() -> MemorySource {
    let mut data = MemorySource::default();
    for job in ["a", "b"] {
        let labels = Labels::from_pairs([("__name__", "x_total"), ("job", job)]);
        (0..100).for_each(|i| data.insert(&labels, i * 15_000, i as f64));
    }
    data
}

fn query(text: &str) -> Expr {
    parse(text, &ParseOptions::all()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn range(text: &str, grid: Grid, options: &EvalOptions, source: &dyn SeriesSource) -> Result<QueryOutput> {
    evaluate_range(&query(text), text, &grid, options, source, &Never)
}

const GRID: Grid = Grid { start_ms: 600_000, end_ms: 900_000, step_ms: 60_000 };

#[test]
fn selections_have_the_range_that_the_query_needs() {
    let check = |text: &str, want: &[(i64, i64)]| {
        let got = selections(&query(text), &GRID, &EvalOptions::default()).unwrap();
        let got: Vec<TimeRange> = got.iter().map(|s| s.range).collect();
        let want: Vec<TimeRange> = want.iter().map(|(a, b)| TimeRange::new(*a, *b)).collect();
        assert_eq!(got, want, "{text}");
    };
    check("x", &[(300_001, 900_000)]);
    check("x offset 1m", &[(240_001, 840_000)]);
    check("x @ 100", &[(-199_999, 100_000)]);
    check("rate(x[1m])", &[(540_001, 900_000)]);
    check("rate(x[1m] anchored)", &[(240_001, 900_000)]);
    check("rate(x[1m] smoothed)", &[(240_001, 1_200_000)]);
    check("max_over_time(rate(x[1m])[5m:1m])", &[(300_001, 900_000)]);
    check("max_over_time(x[5m:1m] @ end() offset 1m)", &[(300_001, 840_000)]);
    check("x / x", &[(300_001, 900_000)]);
}

#[test]
fn an_evaluation_asks_once_for_each_selection_that_it_announced() {
    for text in [
        "x_total",
        "x_total / x_total",
        "sum(x_total) + x_total offset 5m",
        "sum by (job) (rate(x_total[5m])) / on(job) group_left() max_over_time(x_total[10m:1m])",
        "x_total @ start() - x_total @ end()",
        "timestamp(x_total @ 300) or absent_over_time(y[5m])",
        "info(x_total, {team=~\".+\"})",
        "topk(scalar(x_total{job=\"a\"}), x_total)",
        "1",
    ] {
        let recorder = Recorder { data: data(), asked: Mutex::default() };
        let options = EvalOptions::default();
        range(text, GRID, &options, &recorder).unwrap_or_else(|e| panic!("{text}: {e}"));
        let announced = selections(&query(text), &GRID, &options).unwrap();
        let mut asked = recorder.asked.into_inner().unwrap();
        assert_eq!(asked.len(), announced.len(), "{text}");
        asked.retain(|a| !announced.contains(a));
        assert!(asked.is_empty(), "{text}: {asked:?}");
    }
}

#[test]
fn too_many_samples_are_refused_in_prometheus_words() {
    let options = EvalOptions { max_samples: 10, ..EvalOptions::default() };
    for text in ["x_total", "rate(x_total[5m])", "vector(1)", "sum_over_time(x_total[50y:1ms])", "1 + 1"] {
        let grid = Grid { end_ms: 1_400_000, ..GRID };
        let e = range(text, grid, &options, &data()).unwrap_err();
        assert_eq!(
            (e.kind(), e.message()),
            (ErrorKind::Limit, "query processing would load too many samples into memory in query execution"),
            "{text}"
        );
    }
    // A sum never holds its input: two series of six steps pass where twelve samples would not.
    let output = range("sum(x_total)", GRID, &options, &data()).unwrap();
    assert_eq!((output.stats.series, output.stats.samples), (2, 12));
    assert!(output.stats.peak_samples <= 10, "{:?}", output.stats);
}

#[test]
fn a_subquery_without_end_is_refused_before_it_takes_memory() {
    let e = range("sum_over_time(x_total[290y:1ms])", GRID, &EvalOptions::default(), &data()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Limit);
}

#[test]
fn an_interrupt_ends_the_evaluation_with_its_error() {
    struct Gone;
    impl Interrupt for Gone {
        fn check(&self) -> Result<()> {
            Err(Error::new(ErrorKind::Canceled, "the client left"))
        }
    }
    let text = "sum(x_total)";
    let e =
        evaluate_instant(&query(text), text, 600_000, &EvalOptions::default(), &data(), &Gone).unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::Canceled, "the client left"));
}

#[test]
fn extreme_times_do_not_overflow() {
    for text in
        ["x_total", "rate(x_total[5m] offset 200y)", "x_total[5m:1m] offset -200y", "hour(vector(1e300))"]
    {
        for t_ms in [i64::MIN, i64::MIN / 2, -1, 0, i64::MAX / 2, i64::MAX] {
            let output =
                evaluate_instant(&query(text), text, t_ms, &EvalOptions::default(), &data(), &Never).unwrap();
            assert!(!matches!(output.value, Value::String(..)));
        }
    }
}

#[test]
fn a_range_vector_is_no_range_query() {
    let e = range("x_total[5m]", GRID, &EvalOptions::default(), &data()).unwrap_err();
    assert_eq!(
        e.message(),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
}

/// As many series as several blocks are needed for.
fn large() -> MemorySource {
    let mut data = MemorySource::default();
    for i in 0..4500 {
        let (job, instance) = (format!("j{}", i % 7), format!("i{i}"));
        let labels = [("__name__", "x_seconds"), ("job", job.as_str()), ("instance", instance.as_str())];
        let labels = Labels::from_pairs(labels);
        (0..40).for_each(|n| data.insert(&labels, n * 30_000, (n * (i % 13)) as f64 / 7.0));
    }
    data
}

/// Carries leaves out without bringing series together, and through their written form.
struct Elsewhere(MemorySource);

impl SeriesSource for Elsewhere {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        self.0.select(selection)
    }

    fn run(
        &self,
        leaf: &Leaf,
        around: Around<'_>,
        absorb: &mut dyn FnMut(Block) -> Result<()>,
    ) -> Result<()> {
        let leaf = Leaf::from_bytes(&leaf.to_bytes()?)?.ungrouped();
        leaf.run(&*self.select(leaf.selection())?, around, absorb)
    }
}

#[test]
fn blocks_and_groups_in_parts_change_neither_results_nor_what_is_told() {
    let data = large();
    let elsewhere = Elsewhere(large());
    let options = EvalOptions::default();
    for text in [
        "x_seconds",
        "sum by (job) (rate(x_seconds[5m]))",
        "avg(x_seconds) / sum(rate(x_seconds[2m]))",
        "stddev without (instance) (x_seconds)",
        "count(x_seconds > 3) or max by (job) (x_seconds)",
        "topk(3, quantile_over_time(2, x_seconds[5m]))",
        "max(quantile_over_time(2, x_seconds[5m]))",
        "max_over_time(rate(x_seconds[3m])[6m:1m])",
        "sum(x_seconds) + on() group_left() sum(x_seconds offset 1m)",
    ] {
        let here = range(text, GRID, &options, &data).unwrap();
        let there = range(text, GRID, &options, &elsewhere).unwrap();
        assert_eq!(
            (&here.annotations, &here.stats.samples),
            (&there.annotations, &there.stats.samples),
            "{text}"
        );
        let (Value::Matrix(here), Value::Matrix(there)) = (here.value, there.value) else { panic!("{text}") };
        assert!(!here.is_empty() && here.len() == there.len(), "{text}");
        for (a, b) in here.iter().zip(&there) {
            assert_eq!((&a.labels, a.samples.len()), (&b.labels, b.samples.len()), "{text}");
            for (a, b) in a.samples.iter().zip(&b.samples) {
                let is_close = a.value == b.value || (a.value - b.value).abs() <= 1e-12 * b.value.abs();
                assert!(a.t_ms == b.t_ms && is_close, "{text}");
            }
        }
    }
}

#[test]
fn errors_and_interruptions_end_a_leaf() {
    struct After(Mutex<u64>);
    impl Interrupt for After {
        fn check(&self) -> Result<()> {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 { Err(Error::new(ErrorKind::Canceled, "nobody waits")) } else { Ok(()) }
        }
    }
    let data = large();
    let expr = query("sum(rate(x_seconds[5m]))");
    let end = |options: &EvalOptions, interrupt: &dyn Interrupt| {
        evaluate_range(&expr, "", &GRID, options, &data, interrupt).unwrap_err().message().to_owned()
    };
    assert_eq!(end(&EvalOptions::default(), &After(Mutex::new(1000))), "nobody waits");
    let few = EvalOptions { max_samples: 5, ..EvalOptions::default() };
    let expected = "query processing would load too many samples into memory in query execution";
    assert_eq!(end(&few, &Never), expected);
}

#[test]
fn series_that_become_the_same_without_their_name_are_an_error_in_a_group_as_well() {
    let mut data = data();
    (0..100).for_each(|i| {
        data.insert(&Labels::from_pairs([("__name__", "y_total"), ("job", "a")]), i * 15_000, 1.0);
    });
    let options = EvalOptions::default();
    let e = range("sum(rate({job=~\".+\"}[5m]))", GRID, &options, &data).unwrap_err();
    assert_eq!(e.message(), "vector cannot contain metrics with the same labelset");
    assert!(range("sum(last_over_time({job=~\".+\"}[5m]))", GRID, &options, &data).is_ok());
}

/// The text that comes out whether or not parts that occur twice are evaluated once: the second query has another spelling.
#[test]
fn what_occurs_twice_gives_and_tells_the_same() {
    let data = data();
    let options = EvalOptions::default();
    for (twice, spelled) in [
        ("rate(x_total[5m]) / rate(x_total[5m])", "rate(x_total[5m]) / rate( x_total[5m])"),
        ("sum(x_total) + sum(x_total) - sum(x_total)", "sum(x_total) + sum( x_total) - sum(  x_total)"),
        ("-x_total > -x_total * 2", "-x_total > - x_total * 2"),
        ("topk(1, x_total) or topk(1, x_total)", "topk(1, x_total) or topk(1,  x_total)"),
        ("(x_total - x_total)[5m:1m]", "(x_total -  {__name__=\"x_total\"})[5m:1m]"),
        ("timestamp(x_total) - x_total + x_total", "timestamp(x_total) - x_total + {__name__=\"x_total\"}"),
        ("quantile(2, x_total) + quantile(2, x_total)", "quantile(2, x_total) + quantile( 2, x_total)"),
        (
            "absent(x_total{a=\"b\"}) + absent(x_total{a=\"b\"})",
            "absent(x_total{a=\"b\"}) + absent( x_total{a=\"b\"})",
        ),
    ] {
        let [a, b] = [twice, spelled]
            .map(|text| evaluate_instant(&query(text), text, 600_000, &options, &data, &Never).unwrap());
        assert_eq!((&a.value, a.stats.samples), (&b.value, b.stats.samples), "{twice}");
        assert_eq!(a.annotations.warnings.len(), b.annotations.warnings.len(), "{twice}");
    }
    // Prometheus names the place that said it last.
    let output = range("quantile(2, x_total) + quantile(2, x_total)", GRID, &options, &data).unwrap();
    let expected = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:33)";
    assert_eq!(output.annotations.warnings, [expected]);
    // A subquery stands nowhere, whichever of them it is.
    let mut data = MemorySource::default();
    (0..100).for_each(|i| data.insert(&Labels::from_pairs([("__name__", "x")]), i * 15_000, i as f64));
    for text in ["rate(x[5m:1m]) + rate(x[5m:1m])", "rate(x[5m:1m]) + rate( x[5m:1m])"] {
        let infos = range(text, GRID, &options, &data).unwrap().annotations.infos;
        assert!(infos.len() == 1 && infos[0].ends_with("\"x\" (1:1)"), "{text}: {infos:?}");
    }
}
