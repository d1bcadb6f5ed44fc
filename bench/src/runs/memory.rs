//! `memory`: how much a server needs for each series that is being written.

use anyhow::Result;

use super::Setup;
use crate::loader;
use crate::report::{Report, Unit};

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("memory");
    for (series, samples) in setup.sizes.wide.clone() {
        let recording = setup.wide(series, samples, 0)?;
        let title = recording.title.clone();
        setup.each(&title, |_, kind, folder| {
            let server = setup.start(kind, folder)?;
            let empty = server.memory()?.current as f64;
            loader::send_all(&server, &recording)?;
            let acknowledged = server.memory()?.current as f64;
            server.settle(setup.settle_min)?;
            let settled = server.memory()?;
            let (current, peak) = (settled.current as f64, settled.peak as f64);
            report.put(&title, "memory while empty", Unit::Bytes, kind, empty);
            report.put(&title, "memory once acknowledged", Unit::Bytes, kind, acknowledged);
            report.put(&title, "memory once idle", Unit::Bytes, kind, current);
            report.put(&title, "peak memory", Unit::Bytes, kind, peak);
            report.put(&title, "per series, once idle", Unit::BytesEach, kind, current / series as f64);
            report.put(&title, "per series, at the peak", Unit::BytesEach, kind, peak / series as f64);
            loader::verify(&server, &recording)?;
            server.kill()
        })?;
    }
    Ok(report)
}
