//! Leaves by one thread, by several, and by a plan that was written and read, over a real store.

use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Clock, ErrorKind, Histogram, Labels, ManualClock, Sample, SeriesSample, WriteBatch};
use datafusion_physical_plan::displayable;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use lake::Lake;
use prometheus::IntCounter;
use promql::leaf::Around;
use promql::{EvalOptions, Grid, Interrupt, ParseOptions, QueryOutput, SeriesSet, SeriesSource};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tsdb::{MemoryBudget, MetricStore, StoreOptions};

use super::*;
use crate::fetch::Notes;
use crate::source::Fetched;
use crate::threads::Threads;
use crate::{Engine, EngineOptions};

const GRID: Grid = Grid { start_ms: 300_000, end_ms: 600_000, step_ms: 60_000 };

/// More series than a block has, and samples enough for several threads.
const SERIES: usize = 5000;

async fn engine(folder: &TempDir) -> Arc<Engine> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(600_000));
    let registry = prometheus::Registry::new();
    let lake = Arc::new(Lake::open_local(folder.path(), Arc::clone(&clock)).unwrap());
    let store =
        MetricStore::open(lake, StoreOptions::default(), Arc::clone(&clock), &registry).await.unwrap();
    for n in 0..10 {
        let sample = |i: usize| {
            let (job, instance) = (format!("j{}", i % 7), format!("i{i}"));
            let labels = [("__name__", "x_seconds"), ("job", job.as_str()), ("instance", instance.as_str())];
            let sample = Sample { t_ms: n * 60_000, value: (n * (i % 13) as i64) as f64 / 7.0 };
            SeriesSample { labels: Labels::from_pairs(labels), sample, start_ms: 0 }
        };
        let samples: Vec<_> = (0..SERIES).map(sample).collect();
        store.append(samples.as_slice().into()).await.unwrap();
        store.append(mixed(n)).await.unwrap();
    }
    Arc::new(Engine::new(Arc::new(store), EngineOptions::default(), clock, &registry).unwrap())
}

/// Floats of every sort and native histograms, side by side and in turn, in more series than a block has with histograms.
fn mixed(n: i64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for i in 0..3200 {
        let (job, instance) = (format!("j{}", i % 7), format!("i{i}"));
        let labels = [("__name__", "mixed"), ("job", job.as_str()), ("instance", instance.as_str())];
        batch.begin(&Labels::from_pairs(labels));
        let special =
            [1.5, f64::NAN, f64::INFINITY, f64::from_bits(base::STALE_NAN), -0.0, f64::NEG_INFINITY];
        let count = (n * 3 + i % 5) as f64;
        if i % 7 < 3 || (i % 7 == 3 && n % 4 == 0) {
            let positive_spans =
                vec![base::Span { offset: 1, length: 2 }, base::Span { offset: 3, length: 1 }];
            let h = Histogram { positive_spans, positive: vec![count, 0.0, 1.0], ..Histogram::default() };
            batch.histogram(n * 60_000, Histogram { count: count + 1.0, sum: count * 0.3, schema: 1, ..h });
        } else {
            let i = i as usize;
            batch.sample(n * 60_000, special.get((i + n as usize) % 40).copied().unwrap_or(count));
        }
    }
    batch
}

/// Fails the check with this number, counted from 1; 0 is none.
struct Nth(AtomicUsize, usize);

impl Interrupt for Nth {
    fn check(&self) -> Result<()> {
        match self.0.fetch_add(1, Ordering::Relaxed) + 1 == self.1 {
            true => Err(Error::new(ErrorKind::Canceled, "nobody waits")),
            false => Ok(()),
        }
    }
}

/// Carries out leaves by plans that were written and read, in the session of an engine.
struct ByBytes {
    source: Fetched,
    session: Arc<TaskContext>,
}

impl SeriesSource for ByBytes {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        self.source.select(selection)
    }

    fn run(&self, leaf: &Leaf, _: Around<'_>, absorb: &mut dyn FnMut(Block) -> Result<()>) -> Result<()> {
        let leaf = Arc::new(leaf.clone());
        let input = Input::Wanted(Arc::new(OnceCell::new()));
        let rollup = Arc::new(RollupExec::new(Arc::clone(&leaf), input, 3));
        let plan: Arc<dyn ExecutionPlan> = Arc::new(InOrderExec::new(rollup));
        let shown = displayable(&*plan).indent(false).to_string();
        let bytes = physical_plan_to_bytes_with_extension_codec(plan, &LeafCodec).unwrap();
        let plan = physical_plan_from_bytes_with_extension_codec(&bytes, &self.session, &LeafCodec).unwrap();
        assert_eq!(displayable(&*plan).indent(false).to_string(), shown);
        run(&*plan, Arc::clone(&self.session), leaf.steps(), absorb)
    }
}

/// Leaves are the language's own to carry out, without plans.
struct ByLanguage(Fetched);

impl SeriesSource for ByLanguage {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        self.0.select(selection)
    }
}

#[derive(Debug, Clone, Copy)]
enum By {
    Language,
    Threads(usize),
    Bytes,
}

fn threads(each: usize) -> Arc<Threads> {
    let short = IntCounter::new("short", "short").unwrap();
    Arc::new(Threads::new(each, MemoryBudget::new(1 << 30), short))
}

async fn ask(engine: &Arc<Engine>, text: &'static str, by: By, stop_at: usize) -> Result<QueryOutput> {
    let expr = promql::parse(text, &ParseOptions::default()).unwrap();
    let options = EvalOptions::default();
    let found = engine.fetch(&expr, &GRID, &options, &mut Notes::default()).await.unwrap();
    let interrupt = Arc::new(Nth(AtomicUsize::new(0), stop_at));
    let around = Surroundings { interrupt: Arc::clone(&interrupt) as _, clock: None };
    let threads = match by {
        By::Threads(threads) => threads,
        By::Language | By::Bytes => 1,
    };
    let source = Fetched::new(found, around, self::threads(threads));
    let source: Box<dyn SeriesSource> = match by {
        By::Language => Box::new(ByLanguage(source)),
        By::Threads(_) => Box::new(source),
        By::Bytes => Box::new(ByBytes { source, session: engine.session() }),
    };
    let evaluate =
        move || promql::evaluate_range(&expr, text, &GRID, &options, &*source, &Nth(AtomicUsize::new(0), 0));
    tokio::task::spawn_blocking(evaluate).await.unwrap()
}

#[tokio::test]
async fn neither_threads_nor_bytes_change_results_or_what_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    for text in [
        "x_seconds",
        "sum by (job) (rate(x_seconds[5m]))",
        "avg(x_seconds) / sum(rate(x_seconds[2m]))",
        "stddev without (instance) (x_seconds)",
        "topk(3, quantile_over_time(2, x_seconds[5m]))",
        "max(quantile_over_time(2, x_seconds{job=~\"j[1-3]\"}[5m]))",
        "max_over_time(rate(x_seconds[3m])[6m:1m])",
        "sum(x_seconds) + on() group_left() sum(x_seconds offset 1m)",
        "sum(timestamp(x_seconds))",
        "count by (job) (x_seconds > 0.9)",
        "0.9 >= (rate(x_seconds[5m]) != scalar(x_seconds{instance=\"i3\"}))",
        "sum(absent)",
        "mixed",
        "sum by (job) (rate(mixed[5m]))",
        "avg by (job) (mixed)",
        "histogram_quantile(0.9, sum without (instance) (increase(mixed[4m])))",
        "count_values(\"v\", mixed{job=~\"j[56]\"})",
    ] {
        let one = ask(&engine, text, By::Threads(1), 0).await.unwrap();
        // As text, in which NaN is the same as NaN.
        let shown = |output: &QueryOutput| format!("{output:?}");
        let one = shown(&one);
        for by in [By::Language, By::Threads(2), By::Threads(4), By::Bytes] {
            assert!(shown(&ask(&engine, text, by, 0).await.unwrap()) == one, "{text} by {by:?}");
        }
    }
}

#[tokio::test]
async fn filters_of_leaves_do_what_operators_do() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    // What is computed is no leaf.
    for (leaf, operator) in [
        ("count by (job) (x_seconds > 0.9)", "count by (job) (x_seconds * 1 > 0.9)"),
        ("sum(0.9 > x_seconds)", "sum(0.9 > x_seconds * 1)"),
        (
            "max by (job) (1 < (rate(x_seconds[5m]) != time()) * 1000)",
            "max by (job) (rate(x_seconds[5m]) * 1000 > 1)",
        ),
        (
            "min(max_over_time(x_seconds[5m]) == scalar(x_seconds{instance=\"i6\"}))",
            "min(max_over_time(x_seconds{instance=~\"i6|i19\"}[5m]))",
        ),
        ("count(x_seconds < -1) or vector(7)", "vector(7)"),
    ] {
        let [leaf, operator] = [leaf, operator].map(|text| ask(&engine, text, By::Threads(2), 0));
        let (leaf, operator) = (leaf.await.unwrap().value, operator.await.unwrap().value);
        assert_eq!(leaf, operator);
    }
}

#[tokio::test]
async fn an_interruption_of_any_thread_ends_the_query() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    for stop_at in [1, SERIES / 2, SERIES] {
        for threads in [1, 2, 4] {
            let by = By::Threads(threads);
            let error = ask(&engine, "sum(rate(x_seconds[5m]))", by, stop_at).await.unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Canceled, "nobody waits"));
        }
    }
}

#[tokio::test]
async fn a_thread_that_fails_is_no_end() {
    struct Panics;
    impl Interrupt for Panics {
        fn check(&self) -> Result<()> {
            panic!("a fault")
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let expr = promql::parse("x_seconds", &ParseOptions::default()).unwrap();
    let options = EvalOptions::default();
    let found = engine.fetch(&expr, &GRID, &options, &mut Notes::default()).await.unwrap();
    let around = Surroundings { interrupt: Arc::new(Panics), clock: None };
    let source = Fetched::new(found, around, threads(2));
    let never = Nth(AtomicUsize::new(0), 0);
    let evaluate = move || promql::evaluate_range(&expr, "", &GRID, &options, &source, &never);
    let error = tokio::task::spawn_blocking(evaluate).await.unwrap().unwrap_err();
    assert!(error.message().starts_with("cannot compute a part of the query"), "{error}");
}

#[tokio::test]
async fn plans_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let decode = |buf: &[u8]| {
        use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec};
        LeafCodec.try_decode(buf, &[], &engine.session(), &DefaultPhysicalProtoConverter {}).map_err(cause)
    };
    for bad in [
        &[][..],
        &[9],
        &[1],
        &[2],
        &[2, 0, 0],
        &[2, 1, 0],
        &[2, 1, 0, b'{'],
        &[2, 255, 255, b'{', b'}'],
        &[3],
    ] {
        assert!(decode(bad).is_err(), "{bad:?}");
    }
}
