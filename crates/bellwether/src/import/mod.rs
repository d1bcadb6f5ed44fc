//! `bellwether import`: samples of other systems into a data folder that no server uses.
//!
//! Wires readers of foreign formats (`ingest`, `collect`) to the importer of `tsdb`, and tells the user how far it is. Days that are
//! in the table already are passed over, so that an import that was interrupted is simply started again.

mod answer;
pub mod args;
mod openmetrics;
mod prometheus;
mod report;
mod rules;

use std::sync::Arc;

use base::{Clock, Error, Result};
use lake::Lake;
use tsdb::import::{DAY_MS, Importer, PartWriter, Source};

use crate::clock::SystemClock;
use crate::features::Features;
use crate::place::Place;
use crate::progress::Progress;
use args::{Expired, Import, ImportFrom, Target};
use report::Report;

/// The tenant that everything belongs to.
const TENANT: &str = "default";

/// Imports, writes the result to standard output, and says whether everything was imported.
pub fn run(options: &Import, features: &Features) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    let (report, format) = match &options.from {
        ImportFrom::PrometheusTsdb(o) => (runtime.block_on(prometheus::import(o))?, o.target.format),
        ImportFrom::Rules(o) => {
            let client = rules::client(o)?;
            let importing = Box::pin(rules::import(o, client.as_ref(), features));
            (runtime.block_on(importing)?, o.target.format)
        }
        ImportFrom::Openmetrics(o) => (runtime.block_on(openmetrics::import(o))?, o.target.format),
    };
    report.write(format)?;
    Ok(report.is_complete())
}

/// An import under way.
struct Session {
    lake: Arc<Lake>,
    importer: Importer,
    progress: Progress,
    report: Report,
    /// Days before this one are older than the retention.
    first_day: i64,
    expired: Expired,
}

impl Session {
    async fn open(target: &Target, source: String) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let place = Place::new(&target.storage_path, target.storage_wal_path.as_deref())?;
        let lake = Arc::new(place.open(Arc::clone(&clock)).await?);
        let importer = Importer::open(Arc::clone(&lake), TENANT).await?;
        let retention_ms = i64::try_from(target.storage_retention.as_millis()).unwrap_or(i64::MAX);
        // A day's segment goes once its last sample is too old.
        let first_day = clock.now_ms().saturating_sub(retention_ms).div_euclid(DAY_MS);
        let progress = Progress::start(clock, "samples");
        Ok(Self { lake, importer, progress, report: Report::new(source), first_day, expired: target.expired })
    }

    /// Refuses days that are older than the retention, if that was asked for.
    fn check_expired(&self, what: &str, oldest_day: i64) -> Result<()> {
        if self.expired != Expired::Refuse || oldest_day >= self.first_day {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "cannot import {what}: it has samples of {}, but with this retention `serve` keeps none before {}; \
             pass the --storage.retention that `serve` gets, or --expired skip to leave older days out, or --expired keep",
            report::date(oldest_day),
            report::date(self.first_day),
        )))
    }

    /// Imports a day of a source unless it is there already or too old. The inner error is the feed's.
    async fn day<F>(&mut self, source: &Source, last: Option<i64>, day: i64, feed: F) -> Result<Result<()>>
    where
        F: FnOnce(&mut PartWriter) -> Result<()> + Send + 'static,
    {
        if self.expired == Expired::Skip && day < self.first_day {
            self.report.expired_days.insert(day);
            return Ok(Ok(()));
        }
        if last.is_some_and(|last| day <= last) {
            self.report.days_present += 1;
            return Ok(Ok(()));
        }
        let outcome = match self.importer.write_part(source, day, day, feed).await? {
            Ok(outcome) => outcome,
            Err(e) => return Ok(Err(e)),
        };
        self.report.days_imported += u64::from(outcome.samples > 0);
        self.report.samples += outcome.samples;
        self.report.bytes += outcome.bytes;
        Ok(Ok(()))
    }

    fn finish(mut self) -> Report {
        self.report.seconds = self.progress.finish();
        self.report
    }
}
