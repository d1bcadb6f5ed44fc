//! Evaluation of dashboard queries, source in memory: `cargo bench -p promql --bench eval`.

use std::hint::black_box;

use base::{Labels, Result};
use divan::Bencher;
use divan::counter::ItemsCount;
use promql::script::MemorySource;
use promql::{
    Columns, EvalOptions, Grid, Interrupt, ParseOptions, Selection, SeriesSet, SeriesSource, evaluate_range,
    parse,
};

fn main() {
    divan::main();
}

const STEP_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;

/// Columns ready to be copied, so that what is measured is the evaluation.
struct Ready {
    series: Vec<(Labels, Columns)>,
}

impl SeriesSource for Ready {
    fn select(&self, _: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        Ok(Box::new(ReadySet(self)))
    }
}

struct ReadySet<'r>(&'r Ready);

impl SeriesSet for ReadySet<'_> {
    fn count(&self) -> usize {
        self.0.series.len()
    }

    fn samples(&self) -> u64 {
        self.0.series.iter().map(|(_, c)| c.values.len() as u64).sum()
    }

    fn labels(&self, at: usize) -> Labels {
        self.0.series[at].0.clone()
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        let (labels, ready) = &self.0.series[at];
        columns.clone_from(ready);
        Ok(labels.clone())
    }
}

struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

fn ready(series: usize, span_ms: i64) -> Ready {
    let of = |i: usize| {
        let (job, instance) = (format!("job{}", i % 10), format!("host{i:04}:9100"));
        let labels = [("__name__", "requests_total"), ("job", &job), ("instance", &instance)];
        let times: Vec<i64> = (0..=span_ms / STEP_MS).map(|n| n * STEP_MS).collect();
        let values = times.iter().map(|t| (*t / 100 * (1 + i as i64 % 7)) as f64).collect();
        (Labels::from_pairs(labels), Columns { timestamps_ms: times, values, ..Columns::default() })
    };
    Ready { series: (0..series).map(of).collect() }
}

fn range(bencher: Bencher<'_, '_>, source: &Ready, query: &str, span_ms: i64) {
    let expr = parse(query, &ParseOptions::default()).expect("the query is valid");
    let grid = Grid { start_ms: 0, end_ms: span_ms, step_ms: STEP_MS };
    let options = EvalOptions::default();
    let steps = source.series.len() * (span_ms / STEP_MS + 1) as usize;
    bencher.counter(ItemsCount::new(steps)).bench_local(|| {
        evaluate_range(black_box(&expr), query, &grid, &options, source, &Never).expect("the query evaluates")
    });
}

#[divan::bench(args = ["requests_total", "rate(requests_total[5m])", "max_over_time(requests_total[1h])"])]
fn one_series_6h(bencher: Bencher<'_, '_>, query: &str) {
    range(bencher, &ready(1, 6 * HOUR_MS), query, 6 * HOUR_MS);
}

#[divan::bench(args = [
    "sum by (job) (rate(requests_total[5m]))",
    "requests_total / on(instance) requests_total",
    "topk(5, requests_total)",
])]
fn thousand_series_1h(bencher: Bencher<'_, '_>, query: &str) {
    range(bencher, &ready(1000, HOUR_MS), query, HOUR_MS);
}

#[divan::bench]
fn one_series_6h_from_the_script_store(bencher: Bencher<'_, '_>) {
    let mut source = MemorySource::default();
    for (labels, columns) in ready(1, 6 * HOUR_MS).series {
        for (t, v) in columns.timestamps_ms.iter().zip(&columns.values) {
            source.insert(&labels, *t, *v);
        }
    }
    let expr = parse("requests_total", &ParseOptions::default()).expect("the query is valid");
    let grid = Grid { start_ms: 0, end_ms: 6 * HOUR_MS, step_ms: STEP_MS };
    let options = EvalOptions::default();
    bencher
        .bench_local(|| evaluate_range(&expr, "", &grid, &options, &source, &Never).expect("it evaluates"));
}

/// The two ways to say that a step has no value, compared by adding two columns of a 6 h panel.
mod presence {
    use super::{Bencher, black_box};

    const STEPS: usize = 1441;
    const ABSENT: u64 = base::STALE_NAN;

    #[divan::bench]
    fn bit_pattern(bencher: Bencher<'_, '_>) {
        let absent = f64::from_bits(ABSENT);
        let column = |every: usize| -> Vec<f64> {
            (0..STEPS).map(|i| if i % every == 0 { absent } else { i as f64 }).collect()
        };
        let (a, b) = (column(7), column(11));
        bencher.bench_local(|| -> Vec<f64> {
            let there = |v: &f64| v.to_bits() != ABSENT;
            let add = |(a, b): (&f64, &f64)| if there(a) & there(b) { a + b } else { absent };
            black_box(&a).iter().zip(black_box(&b)).map(add).collect()
        });
    }

    #[divan::bench]
    fn bitmap(bencher: Bencher<'_, '_>) {
        let column = |every: usize| -> (Vec<f64>, Vec<u64>) {
            let mut bits = vec![0u64; STEPS.div_ceil(64)];
            (0..STEPS).filter(|i| i % every != 0).for_each(|i| bits[i / 64] |= 1 << (i % 64));
            ((0..STEPS).map(|i| i as f64).collect(), bits)
        };
        let (a, b) = (column(7), column(11));
        bencher.bench_local(|| -> (Vec<f64>, Vec<u64>) {
            let (a, b) = (black_box(&a), black_box(&b));
            let values = a.0.iter().zip(&b.0).map(|(a, b)| a + b).collect();
            (values, a.1.iter().zip(&b.1).map(|(a, b)| a & b).collect())
        });
    }
}
