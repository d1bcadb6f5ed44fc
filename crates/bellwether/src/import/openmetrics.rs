//! `bellwether import openmetrics`: text with timestamps, in any order.

use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base::{Error, Result, Sample};
use collect::exposition::read_openmetrics;
use tsdb::import::{Sorted, Source, Spill};
use xxhash_rust::xxh3::Xxh3Default;

use super::args::Openmetrics;
use super::report::Report;
use super::{Session, TENANT};

/// Imports a text: sorts its samples on the disk, then writes them day by day.
pub(super) async fn import(options: &Openmetrics) -> Result<Report> {
    let file = &options.file;
    let is_stdin = file == Path::new("-");
    let name = if is_stdin { "standard input".into() } else { file.display().to_string() };
    // Before anything is created for the samples.
    let input: Box<dyn Read + Send> = if is_stdin {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(|e| Error::invalid(format!("cannot open {name}: {e}")))?)
    };
    let mut session = Session::open(&options.target, name.clone()).await?;
    let spill = session.importer.spill()?;
    let progress = session.progress.clone();
    progress.phase("reading", None);
    let sorting = tokio::task::spawn_blocking(move || {
        sort(input, spill, &mut |samples| progress.add(samples))
            .map_err(|e| e.context(format!("cannot import {name}")))
    });
    let (sorted, identity) =
        sorting.await.map_err(|e| Error::internal(format!("cannot sort samples: {e}")))??;
    let days = sorted.days();
    if let Some(oldest) = days.first() {
        session.check_expired(session.report.source(), *oldest)?;
    }
    let source = Source::new(TENANT, "openmetrics", &identity.to_le_bytes());
    session.sorted(&source, Arc::new(sorted)).await??;
    Ok(session.finish())
}

/// Reads a text to its end. Returns its samples and what identifies it.
fn sort(input: Box<dyn Read + Send>, mut spill: Spill, tell: &mut dyn FnMut(u64)) -> Result<(Sorted, u128)> {
    let mut input = Hashing { inner: input, hash: Xxh3Default::new() };
    read_openmetrics(&mut input, &mut |sample| {
        let Some(t_ms) = sample.timestamp_ms else {
            return Err(Error::invalid(format!("series {} has no timestamp", sample.labels)));
        };
        if !tsdb::import::DATED_MS.contains(&t_ms) {
            return Err(Error::invalid(format!(
                "series {} has a sample {} s after 1970, which is no time from the year 1 to 9999; OpenMetrics has seconds, \
                 and these may be milliseconds",
                sample.labels,
                t_ms.div_euclid(1000)
            )));
        }
        tell(1);
        spill.float(sample.labels, Sample { t_ms, value: sample.value })
    })?;
    Ok((spill.finish()?, input.hash.digest128()))
}

/// Notes what is read.
struct Hashing<R> {
    inner: R,
    hash: Xxh3Default,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.write(&buf[..n]);
        Ok(n)
    }
}

impl Session {
    /// Imports sorted samples day by day.
    pub(super) async fn sorted(&mut self, source: &Source, sorted: Arc<Sorted>) -> Result<Result<()>> {
        let last = self.importer.last_part(source).await?;
        self.progress.phase("writing", Some(sorted.len()));
        for day in sorted.days() {
            let (sorted, progress) = (Arc::clone(&sorted), self.progress.clone());
            let done = self.day(source, last, day, move |part| {
                sorted.read_day(day, &mut |labels, floats, histograms| {
                    progress.add((floats.len() + histograms.len()) as u64);
                    part.series(labels, floats, histograms)
                })
            });
            if let Err(e) = done.await? {
                return Ok(Err(e));
            }
        }
        Ok(Ok(()))
    }
}
