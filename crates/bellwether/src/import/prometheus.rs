//! `bellwether import prometheus-tsdb`: blocks one by one, and the head.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, ErrorKind, Result, TimeRange};
use ingest::prometheus_tsdb::{Block, BlockMeta, DamagePolicy, Folder, Head, HeadNotes, HeadSample};
use parking_lot::Mutex;
use tsdb::import::{DAY_MS, Sorted, Source, Spill};

use super::args::PrometheusTsdb;
use super::report::Report;
use super::{Session, TENANT};

/// Imports a data folder. What is damaged is reported, the rest is imported.
pub(super) async fn import(options: &PrometheusTsdb) -> Result<Report> {
    let folder = Folder::open(&options.folder)?;
    let name = options.folder.display().to_string();
    let mut session = Session::open(&options.target, name.clone()).await?;
    if let Some(oldest_ms) = folder.blocks.iter().map(|(_, meta)| meta.min_ms).min() {
        session.check_expired(&name, oldest_ms.div_euclid(DAY_MS))?;
    }
    session.report.damaged.extend(folder.damaged.iter().map(Error::to_string));
    // The head is sorted before anything is written, so that samples that are too old are refused in time.
    let head = match folder.head() {
        Ok(Some(head)) => session.sort_head(&head_name(&options.folder), head, options.salvage).await?,
        Ok(None) => None,
        Err(e) => {
            session.damage(e)?;
            None
        }
    };
    if let Some((_, sorted)) = &head
        && let Some(oldest) = sorted.days().first()
    {
        session.check_expired(&name, *oldest)?;
    }
    for (path, meta) in &folder.blocks {
        if let Err(e) = session.block(path, meta, options.salvage).await? {
            session.damage(e.context(format_args!("cannot import block {}", meta.ulid)))?;
        }
    }
    if let Some((source, sorted)) = head
        && let Err(e) = session.sorted(&source, sorted).await?
    {
        session.damage(e.context("cannot import the head"))?;
    }
    Ok(session.finish())
}

fn head_name(folder: &Path) -> String {
    folder.join("wal").display().to_string()
}

/// Collects what is damaged, from the thread that reads.
type Damages = Arc<Mutex<Vec<String>>>;

impl Session {
    /// Takes note of damage. Other errors end the import: no other block would fare better.
    fn damage(&mut self, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Internal => Err(error),
            _ => {
                self.report.damaged.push(error.to_string());
                Ok(())
            }
        }
    }

    /// Imports a block day by day. The inner error is about the block.
    async fn block(&mut self, path: &Path, meta: &BlockMeta, salvage: bool) -> Result<Result<()>> {
        let source = Source::new(TENANT, "prometheus-block", meta.ulid.as_bytes());
        let last = self.importer.last_part(&source).await?;
        let time = meta.time();
        let days = time.start_ms.div_euclid(DAY_MS)..=time.end_ms.div_euclid(DAY_MS);
        if last.is_some_and(|last| last >= *days.end()) {
            self.report.days_present += (days.end() - days.start() + 1) as u64;
            return Ok(Ok(()));
        }
        self.progress.phase(&format!("block {}", meta.ulid), Some(meta.stats.samples));
        let folder = PathBuf::from(path);
        let opened = tokio::task::spawn_blocking(move || Block::open(&folder));
        let block = match opened.await.map_err(|e| Error::internal(format!("cannot open a block: {e}")))? {
            Ok(block) => Arc::new(Mutex::new(block)),
            Err(e) => return Ok(Err(e)),
        };
        let damages = Damages::default();
        for day in days {
            let (block, progress, found) = (Arc::clone(&block), self.progress.clone(), Arc::clone(&damages));
            let done = self.day(&source, last, day, move |part| {
                let mut tell = |e: Error| found.lock().push(e.to_string());
                let mut policy =
                    if salvage { DamagePolicy::pass_over(&mut tell) } else { DamagePolicy::stop() };
                let range = TimeRange::new(day * DAY_MS, (day + 1) * DAY_MS - 1);
                block.lock().read(range, &mut policy, &mut |labels, samples| {
                    progress.add(samples.len() as u64);
                    part.series(labels, &samples.floats, &samples.histograms)
                })
            });
            if let Err(e) = done.await? {
                return Ok(Err(e));
            }
        }
        self.report.damaged.append(&mut damages.lock());
        Ok(Ok(()))
    }

    /// Sorts the samples of the head. `None` if it is damaged, or in the table already.
    async fn sort_head(
        &mut self,
        name: &str,
        head: Head,
        salvage: bool,
    ) -> Result<Option<(Source, Arc<Sorted>)>> {
        let source = Source::new(TENANT, "prometheus-head", head.identity()?.as_bytes());
        self.progress.phase("reading the head", None);
        let spill = self.importer.spill()?;
        let (progress, damages) = (self.progress.clone(), Damages::default());
        let found = Arc::clone(&damages);
        let sorting = tokio::task::spawn_blocking(move || {
            let mut tell = |e: Error| found.lock().push(e.to_string());
            let mut policy = if salvage { DamagePolicy::pass_over(&mut tell) } else { DamagePolicy::stop() };
            sort_head(&head, spill, &mut policy, &mut |samples| progress.add(samples))
        });
        let sorted = sorting.await.map_err(|e| Error::internal(format!("cannot sort samples: {e}")))?;
        self.report.damaged.append(&mut damages.lock());
        let (sorted, notes) = match sorted {
            Ok(sorted) => sorted,
            Err(e) => {
                self.damage(e.context(format_args!("cannot import the head from {name}")))?;
                return Ok(None);
            }
        };
        if notes.orphans > 0 {
            let text =
                format!("{} samples of the head are of series that {name} does not name", notes.orphans);
            self.report.notes.push(text);
        }
        let of_chunks = |e: String| format!("{e}; the logs have what it repeats");
        self.report.notes.extend(notes.mapped_chunks.into_iter().map(of_chunks));
        Ok(Some((source, Arc::new(sorted))))
    }
}

fn sort_head(
    head: &Head,
    mut spill: Spill,
    policy: &mut DamagePolicy<'_>,
    tell: &mut dyn FnMut(u64),
) -> Result<(Sorted, HeadNotes)> {
    let notes = head.read(policy, &mut |labels, sample| {
        tell(1);
        match sample {
            HeadSample::Float(sample) => spill.float(labels, sample),
            HeadSample::Histogram(t_ms, histogram) => spill.histogram(labels, t_ms, histogram),
        }
    })?;
    Ok((spill.finish()?, notes))
}
