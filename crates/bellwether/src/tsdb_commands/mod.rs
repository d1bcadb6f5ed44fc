//! `bellwether tsdb`: promtool's commands for a folder of samples that no server is using.
//!
//! Owns the wording. What is stored is read by `tsdb`; files for other programs are written by `bellwether export`.

mod analyze;
pub mod args;
mod list;

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use base::{Clock, Error, Labels, Matcher, Result, TimeRange};
use prometheus::Registry;
use serde_json::{Map, Value};
use tsdb::{METRICS_TABLE, MetricStore, StoreOptions};

use crate::clock::SystemClock;
use crate::export;
use crate::export::args::{Export, Format};
use crate::features::Features;
use crate::import;
use crate::import::args::{Import, ImportFrom};
use crate::place::{self, Place};
use args::{BlocksFrom, CreateBlocksFrom, Dump, DumpFormat, DumpOpenmetrics, Tsdb, What, Which};

/// Carries a command out and writes the result to standard output.
pub fn run(options: &Tsdb, features: &Features) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    match &options.what {
        What::Analyze(o) => runtime.block_on(analyze::run(o)),
        What::List(o) => runtime.block_on(list::run(o)),
        What::Dump(o) => runtime.block_on(dump(o)),
        What::DumpOpenmetrics(o) => export::run(&as_export(o)?),
        What::CreateBlocksFrom(CreateBlocksFrom { from: BlocksFrom::Rules(rules) }) => {
            import::run(&Import { from: ImportFrom::Rules(rules.clone()) }, features)
        }
    }
}

/// The same as an export to standard output.
fn as_export(options: &DumpOpenmetrics) -> Result<Export> {
    let which = &options.which;
    if which.selectors.len() > 1 {
        return Err(Error::invalid(
            "cannot dump OpenMetrics of several selectors: a metric has one place in that format",
        ));
    }
    Ok(Export {
        storage_path: which.path.clone(),
        storage_wal_path: None,
        table: METRICS_TABLE.into(),
        selector: which.selectors.first().cloned(),
        start: which.min_time,
        end: which.max_time,
        format: Format::Openmetrics,
        output: Some("-".into()),
        output_folder: None,
    })
}

/// The matchers of a selector; none for everything.
fn matchers(selector: &str) -> Result<Vec<Matcher>> {
    match selector.trim() {
        "{}" => Ok(Vec::new()),
        selector => {
            engine::parse_selector(selector).map_err(|e| e.context(format!("cannot select {selector}")))
        }
    }
}

/// Opens the samples of a folder, which has to have some.
async fn open(path: &str) -> Result<Box<MetricStore>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let at_rest = place::open_at_rest(path, None, Arc::clone(&clock), false).await?;
    let names = at_rest.table_names().await?;
    drop(at_rest);
    if !names.iter().any(|n| n == METRICS_TABLE) {
        return Err(Error::new(
            base::ErrorKind::NotFound,
            format!("cannot find samples in {path}: it has no table {METRICS_TABLE}"),
        ));
    }
    let lake = Arc::new(Place::new(path, None)?.open(Arc::clone(&clock)).await?);
    let registry = Registry::new();
    let opening = MetricStore::open(lake, StoreOptions::default(), clock, &registry);
    Ok(Box::new(Box::pin(opening).await?))
}

fn range(which: &Which) -> TimeRange {
    TimeRange::new(which.min_time.unwrap_or(i64::MIN), which.max_time.unwrap_or(i64::MAX))
}

async fn dump(options: &Dump) -> Result<bool> {
    let which = &options.which;
    let selectors = match which.selectors.is_empty() {
        true => vec![Vec::new()],
        false => which.selectors.iter().map(|s| matchers(s)).collect::<Result<Vec<_>>>()?,
    };
    let store = open(&which.path).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let failed = |e: std::io::Error| Error::unavailable(format!("cannot write the samples: {e}"));
    // A series that several selectors select is written once.
    let mut seen: HashSet<Labels> = HashSet::new();
    let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    for matchers in &selectors {
        let mut export = Box::pin(store.export(matchers, range(which))).await?;
        while let Some(series) = export.next().await? {
            for at in 0..series.len() {
                let labels = series.labels(at);
                if selectors.len() > 1 && !seen.insert(labels.clone()) {
                    continue;
                }
                if options.format == DumpFormat::Seriesjson {
                    writeln!(out, "{}", labels_json(labels)).map_err(failed)?;
                    continue;
                }
                let text = labels_text(labels);
                series.decode(at, &mut timestamps, &mut values)?;
                for (t_ms, value) in timestamps.iter().zip(&values) {
                    writeln!(out, "{text} {} {t_ms}", general(*value)).map_err(failed)?;
                }
                series.decode_histograms(at, &mut timestamps, &mut histograms)?;
                for (t_ms, h) in timestamps.iter().zip(&histograms) {
                    writeln!(out, "{text} {} {t_ms}", promql::histogram::describe(h)).map_err(failed)?;
                }
            }
        }
    }
    out.flush().map_err(failed)?;
    drop(out);
    store.close().await?;
    Ok(true)
}

/// All labels in braces, the metric's name among them.
fn labels_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn labels_json(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect::<Map<_, _>>())
}

/// Go's `%g`.
fn general(v: f64) -> String {
    promql::format_g(v)
}
