//! Arithmetic of native histograms takes any histogram that a store may have, and worse.

use std::sync::Arc;

use base::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Histogram, Labels, Span};
use promql::script::MemorySource;
use promql::{EvalOptions, Interrupt, ParseOptions, evaluate_instant, evaluate_range, histogram, parse};
use proptest::prelude::*;

struct Never;

impl Interrupt for Never {
    fn check(&self) -> base::Result<()> {
        Ok(())
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0f64,
        1 => Just(0.0),
        1 => prop::sample::select(vec![-1.0, 1e-300, 1e300, f64::MAX, f64::INFINITY, f64::NAN]),
    ]
}

fn side() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
    let offset =
        prop_oneof![8 => -20..20i32, 1 => prop::sample::select(vec![i32::MIN, i32::MAX, 5_000, -5_000])];
    prop::collection::vec((offset, prop::collection::vec(number(), 0..4)), 0..4).prop_map(|runs| {
        let spans = runs.iter().map(|(offset, c)| Span { offset: *offset, length: c.len() as u32 }).collect();
        (spans, runs.into_iter().flat_map(|(_, counts)| counts).collect())
    })
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    let schema = prop_oneof![3 => -4..=8i32, 1 => Just(CUSTOM_BUCKETS_SCHEMA)];
    let hint = prop::sample::select(vec![
        CounterResetHint::Unknown,
        CounterResetHint::Reset,
        CounterResetHint::NotReset,
        CounterResetHint::Gauge,
    ]);
    let bounds = prop::collection::vec(-3..6i32, 0..5);
    (schema, hint, [number(), number(), number(), number()], side(), side(), bounds).prop_map(
        |(
            schema,
            counter_reset_hint,
            [zero_threshold, zero_count, count, sum],
            positive,
            negative,
            bounds,
        )| {
            let custom = schema == CUSTOM_BUCKETS_SCHEMA;
            let mut bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            let (negative_spans, negative) = if custom { Default::default() } else { negative };
            Histogram {
                counter_reset_hint,
                is_float: true,
                schema,
                zero_threshold: if custom { 0.0 } else { zero_threshold },
                zero_count: if custom { 0.0 } else { zero_count },
                count,
                sum,
                positive_spans: positive.0,
                positive: positive.1,
                negative_spans,
                negative,
                custom_bounds: if custom { bounds.into() } else { Arc::new([]) },
            }
        },
    )
}

const QUERIES: &[&str] = &[
    "h",
    "sum(h)",
    "avg(h)",
    "h - h offset 1m",
    "h + ignoring(a) group_left() h{a=\"0\"}",
    "h == h offset 1m",
    "h </ 2",
    "h >/ -0.5",
    "h / 0",
    "rate(h[3m])",
    "delta(h[3m])",
    "irate(h[3m])",
    "rate(h[3m] anchored)",
    "increase(h[3m] smoothed)",
    "h smoothed",
    "resets(h[3m])",
    "changes(h[3m])",
    "sum_over_time(h[3m])",
    "avg_over_time(h[3m])",
    "rate(h[3m:30s])",
    "histogram_quantile(0.9, h)",
    "histogram_fraction(0, 2, h)",
    "histogram_stddev(h)",
    "histogram_avg(rate(h[3m]))",
    "count_values(\"v\", h)",
    "limit_ratio(0.5, h)",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_histograms_have_an_answer(rows in prop::collection::vec((0..3u8, any_histogram()), 1..12)) {
        let mut data = MemorySource::default();
        for (i, (series, h)) in rows.iter().enumerate() {
            let labels = Labels::from_pairs([("__name__", "h"), ("a", &series.to_string())]);
            data.insert_histogram(&labels, 30_000 * i as i64, h.clone());
            let (described, spelled) = (histogram::describe(h), histogram::literal(h));
            prop_assert!(described.ends_with('}') && spelled.ends_with('}'), "{described} {spelled}");
        }
        let options = EvalOptions { use_start_timestamps: true, ..EvalOptions::default() };
        for text in QUERIES {
            let query = parse(text, &ParseOptions::all()).expect("the query is valid");
            let grid = promql::Grid { start_ms: 0, end_ms: 400_000, step_ms: 30_000 };
            // Sets of labels may fall together; nothing else is an error.
            for result in [
                evaluate_range(&query, text, &grid, &options, &data, &Never),
                evaluate_instant(&query, text, 120_000, &options, &data, &Never),
            ] {
                if let Err(e) = result {
                    prop_assert_ne!(e.kind(), base::ErrorKind::Internal, "{}: {}", text, e);
                }
            }
        }
    }
}
