//! Queries that rollups answer: exactly as samples would where that is claimed, near that where samples are gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Labels, ManualClock, Result, STALE_NAN, WriteBatch};
use engine::{Engine, EngineOptions, Grid, QueryOptions, QueryReply, RollupUse, Value};
use lake::Lake;
use lake::testing::{FaultFs, FaultStore, Faults};
use promql::script::MemorySource;
use promql::{EvalOptions, Function, Interrupt, ParseOptions, ValueType};
use tsdb::rollup::{Resolution, RollupOptions};
use tsdb::{MetricStore, Retention, StoreOptions};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A store, and all samples that it ever got.
struct Setup {
    engine: Engine,
    store: Arc<MetricStore>,
    clock: Arc<ManualClock>,
    all: MemorySource,
}

impl Setup {
    async fn new(options: StoreOptions) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        // In memory, for a year has many commits.
        let (fs, objects) = (FaultFs::new(Faults::none()), FaultStore::new(Faults::none()));
        let lake = Lake::open(Path::new("/data"), Arc::new(fs), Arc::new(objects), clock.clone()).unwrap();
        let lake = Arc::new(lake);
        let registry = prometheus::Registry::new();
        let store = Box::pin(MetricStore::open(lake, options, clock.clone(), &registry)).await.unwrap();
        let store = Arc::new(store);
        let engine = Engine::new(store.clone(), EngineOptions::default(), clock.clone(), &registry).unwrap();
        Self { engine, store, clock, all: MemorySource::default() }
    }

    /// Writes a day of each series and puts the store in order.
    async fn day(&mut self, from_ms: i64, interval_ms: i64, value: impl Fn(&str, i64) -> Option<f64>) {
        let until_ms = from_ms + DAY_MS;
        self.clock.set(until_ms);
        let mut batch = WriteBatch::new();
        for metric in ["c_total", "g", "smooth", "line_total"] {
            let labels = Labels::from_pairs([("__name__", metric), ("job", "a")]);
            batch.begin(&labels);
            // A scrape's phase is not on the border of buckets.
            let mut t_ms = from_ms + 7_300;
            while t_ms < until_ms {
                if let Some(v) = value(metric, t_ms) {
                    batch.sample(t_ms, v);
                    self.all.insert(&labels, t_ms, v);
                }
                t_ms += interval_ms;
            }
        }
        let samples = batch.len() as u64;
        assert_eq!(self.engine.append(batch).await.unwrap().accepted, samples);
        self.store.maintain().await.unwrap();
    }

    async fn ask(&self, query: &str, grid: Grid) -> QueryReply {
        self.engine
            .query_range(query, grid, &QueryOptions::default())
            .await
            .unwrap_or_else(|e| panic!("{query}: {e:?}"))
    }

    /// What all samples give.
    fn truth(&self, query: &str, grid: Grid) -> Value {
        let expr = promql::parse(query, &ParseOptions::default()).unwrap();
        let options = EvalOptions::default();
        promql::evaluate_range(&expr, query, &grid, &options, &self.all, &Never).unwrap().value
    }

    async fn check_exact(&self, query: &str, grid: Grid, by: Resolution) {
        let reply = self.ask(query, grid).await;
        let want = [RollupUse { resolution: by, exact: true, until_ms: None }];
        assert_eq!(reply.rollups, want, "{query}");
        assert_eq!(reply.output.annotations.infos.iter().filter(|i| i.contains("rollups")).count(), 0);
        let error = distance(query, &reply.output.value, &self.truth(query, grid), 0);
        // Another order of adding up is all that may differ.
        assert!(error <= 1e-13, "{query}: off by {error}");
    }
}

/// The largest relative difference; fails if the series or more than so many of the steps differ.
fn distance(query: &str, got: &Value, want: &Value, missing: usize) -> f64 {
    let (Value::Matrix(got), Value::Matrix(want)) = (got, want) else { panic!("{query} is no matrix") };
    assert!(!want.is_empty(), "{query} has no result");
    let names = |m: &[engine::Series]| m.iter().map(|s| s.labels.clone()).collect::<Vec<_>>();
    assert_eq!(names(got), names(want), "{query}");
    let mut worst = 0.0f64;
    for (got, want) in got.iter().zip(want) {
        let mut lost = 0;
        for sample in &want.samples {
            let Some(found) = got.samples.iter().find(|s| s.t_ms == sample.t_ms) else {
                lost += 1;
                continue;
            };
            let (a, b) = (found.value, sample.value);
            if a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()) {
                worst = worst.max((a - b).abs() / a.abs().max(b.abs()));
            }
        }
        let extra = got.samples.len() + lost - want.samples.len();
        assert!(lost + extra <= missing, "{query}: {lost} steps missing, {extra} too many: {}", got.labels);
    }
    worst
}

/// A counter that is reset, a gauge with gaps, ends and NaN, a smooth gauge, and a counter that grows evenly.
fn value(metric: &str, t_ms: i64) -> Option<f64> {
    let n = (t_ms - START_MS) / MINUTE_MS;
    let noise = n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) >> 40 & 0xff;
    match metric {
        "c_total" => Some((n % 733 * 3 + noise % 3) as f64),
        "g" if n % 1000 > 900 => None,
        "g" if n % 1000 == 900 => Some(f64::from_bits(STALE_NAN)),
        "g" if n % 311 == 0 => Some(f64::NAN),
        "g" => Some(noise as f64 - 100.25),
        "smooth" => Some(100.0 + 20.0 * ((n as f64) / 1440.0 * std::f64::consts::TAU).sin()),
        _ => Some(n as f64 * 2.5),
    }
}

fn options(retention_days: u64) -> StoreOptions {
    let days = |n: u64| Duration::from_secs(n * 86_400);
    StoreOptions {
        retention: Retention::of_age(days(retention_days)),
        block: days(1),
        rollups: vec![
            RollupOptions { resolution: Resolution::FiveMinutes, age: days(30) },
            RollupOptions { resolution: Resolution::OneHour, age: days(730) },
        ],
        ..StoreOptions::default()
    }
}

/// A call of a range function over a range, as its arguments demand it.
fn call(function: Function, range: &str) -> String {
    let args: Vec<&str> = function
        .arg_types()
        .iter()
        .map(|t| match t {
            ValueType::Matrix => range,
            _ => "0.5",
        })
        .collect();
    format!("{}({})", function.name(), args.join(", "))
}

fn range_functions() -> impl Iterator<Item = Function> {
    Function::ALL
        .iter()
        .copied()
        .filter(|f| f.arg_types().contains(&ValueType::Matrix) && !f.is_experimental())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_that_buckets_answer_says_what_samples_say() {
    let mut setup = Setup::new(options(15)).await;
    for day in 0..12 {
        Box::pin(setup.day(START_MS + day * DAY_MS, MINUTE_MS, value)).await;
    }
    let now_ms = setup.clock.now_ms();
    let grid = |step_ms| Grid { start_ms: START_MS + DAY_MS, end_ms: now_ms, step_ms };
    let mut exact = Vec::new();
    for function in range_functions() {
        for (metric, range, step_ms, by) in [
            ("c_total", "5m", 5 * MINUTE_MS, Resolution::FiveMinutes),
            ("g", "15m", HOUR_MS, Resolution::FiveMinutes),
            ("c_total", "3h", HOUR_MS, Resolution::OneHour),
            ("g", "1d", 6 * HOUR_MS, Resolution::OneHour),
            ("smooth", "1h", HOUR_MS, Resolution::OneHour),
        ] {
            let query = call(function, &format!("{metric}[{range}]"));
            let reply = setup.ask(&query, grid(step_ms)).await;
            if reply.rollups.is_empty() {
                assert_eq!(distance_of_all(&query, &reply, &setup, grid(step_ms)), 0.0, "{query}");
                continue;
            }
            exact.push(function);
            if function == Function::AbsentOverTime {
                assert_eq!(reply.output.value, setup.truth(&query, grid(step_ms)), "{query}");
            } else {
                setup.check_exact(&query, grid(step_ms), by).await;
            }
        }
    }
    exact.dedup();
    let names: Vec<&str> = exact.iter().map(|f| f.name()).collect();
    assert_eq!(
        names,
        [
            "absent_over_time",
            "avg_over_time",
            "count_over_time",
            "delta",
            "first_over_time",
            "increase",
            "last_over_time",
            "max_over_time",
            "min_over_time",
            "present_over_time",
            "rate",
            "sum_over_time"
        ]
    );
    for (query, step_ms, by) in [
        ("g", HOUR_MS, Resolution::OneHour),
        ("g", 5 * MINUTE_MS, Resolution::FiveMinutes),
        ("timestamp(g)", HOUR_MS, Resolution::OneHour),
        ("sum by (job) (rate(c_total[1h] offset 2h))", HOUR_MS, Resolution::OneHour),
        ("max_over_time(g[1h]) - min_over_time(g[1h])", HOUR_MS, Resolution::OneHour),
    ] {
        setup.check_exact(query, grid(step_ms), by).await;
    }
    // Whatever is not on the borders of buckets is answered from samples while these are there.
    for query in ["rate(c_total[7m])", "g offset 1m", "avg_over_time(g[1h] offset 30s)", "irate(c_total[1h])"]
    {
        let reply = setup.ask(query, grid(HOUR_MS)).await;
        assert!(reply.rollups.is_empty(), "{query}");
        assert_eq!(distance_of_all(query, &reply, &setup, grid(HOUR_MS)), 0.0, "{query}");
    }
}

fn distance_of_all(query: &str, reply: &QueryReply, setup: &Setup, grid: Grid) -> f64 {
    let want = setup.truth(query, grid);
    match &want {
        Value::Matrix(m) if m.is_empty() => {
            assert_eq!(reply.output.value, want, "{query}");
            0.0
        }
        _ => distance(query, &reply.output.value, &want, 0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_is_answered_from_hours_when_its_samples_are_gone() {
    let mut setup = Setup::new(options(15)).await;
    // A day in two weeks: what takes time here is commits.
    for fortnight in 0..27 {
        Box::pin(setup.day(START_MS + fortnight * 14 * DAY_MS, 5 * MINUTE_MS, value)).await;
    }
    let now_ms = setup.clock.now_ms();
    let coverage = setup.store.coverage(now_ms);
    assert!(coverage.samples_from_ms >= now_ms - 15 * DAY_MS, "samples are gone");
    let year = Grid { start_ms: START_MS + DAY_MS, end_ms: now_ms, step_ms: DAY_MS };
    let raw = setup.ask("count_over_time(c_total[7m])", Grid { end_ms: year.start_ms + 5 * DAY_MS, ..year });
    assert!(!raw.await.rollups.is_empty());
    for query in [
        "sum_over_time(g[1d])",
        "count_over_time(g[1d])",
        "avg_over_time(g[2h])",
        "min_over_time(g[1d])",
        "max_over_time(g[7d])",
        "increase(c_total[1d])",
        "rate(c_total[7d])",
        "last_over_time(g[1d])",
        "g",
        "sum(increase(c_total[1d])) / count(c_total)",
    ] {
        setup.check_exact(query, year, Resolution::OneHour).await;
    }
    // Between the borders of buckets there is only what comes near: the steps of the last weeks are those of samples.
    let odd = Grid { start_ms: year.start_ms + 12 * HOUR_MS + 17 * MINUTE_MS, ..year };
    for (query, tolerance, missing) in [
        ("smooth", 0.06, 3),
        ("line_total", 1e-3, 3),
        ("rate(line_total[20m])", 1e-9, 3),
        ("increase(line_total[30m])", 1e-9, 3),
        ("avg_over_time(smooth[6h])", 0.06, 3),
        ("max_over_time(smooth[6h])", 0.06, 3),
        ("sum_over_time(smooth[6h])", 0.25, 3),
        ("count_over_time(smooth[6h])", 0.25, 3),
        ("quantile_over_time(0.5, smooth[6h])", 0.06, 3),
        ("deriv(line_total[3h])", 1e-6, 3),
        ("predict_linear(line_total[3h], 3600)", 1e-3, 3),
        ("irate(line_total[20m])", 1e-9, 3),
        ("changes(line_total[1h])", 1.0, 3),
    ] {
        let reply = setup.ask(query, odd).await;
        let until_ms = Some(coverage.samples_from_ms);
        let want = [RollupUse { resolution: Resolution::OneHour, exact: false, until_ms }];
        assert_eq!(reply.rollups, want, "{query}");
        let told = reply.output.annotations.infos.iter().filter(|i| i.contains("rollups of 1h")).count();
        assert_eq!(told, 1, "{query}: {:?}", reply.output.annotations.infos);
        let error = distance(query, &reply.output.value, &setup.truth(query, odd), missing);
        assert!(error <= tolerance, "{query}: off by {error}");
        let recent = Grid { start_ms: odd.start_ms + 363 * DAY_MS, ..odd };
        let (got, want) = (reply.output.value, setup.truth(query, recent));
        let (Value::Matrix(mut got), Value::Matrix(want)) = (got, want) else { panic!("{query}") };
        got.iter_mut().for_each(|s| s.samples.retain(|s| s.t_ms >= recent.start_ms));
        assert_eq!(got, want, "{query}: samples that are there are what counts");
    }
}
