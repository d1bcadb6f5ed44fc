//! `ingest`: what it costs a server to take remote writes, for series that it knows and for new ones.

use anyhow::Result;

use super::{Setup, per_second};
use crate::data::Recording;
use crate::limits::END_BEFORE_NOW;
use crate::loader;
use crate::report::{Report, Unit};
use crate::servers::process::Server;

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("ingest");
    measure(setup, &setup.tsbs(END_BEFORE_NOW)?, &mut report)?;
    measure(setup, &setup.node(END_BEFORE_NOW)?, &mut report)?;
    for (series, samples) in setup.sizes.wide.clone() {
        measure(setup, &setup.wide(series, samples, 0)?, &mut report)?;
    }
    Ok(report)
}

fn measure(setup: &Setup, recording: &Recording, report: &mut Report) -> Result<()> {
    let title = recording.title.clone();
    setup.each(&title, |_, kind, folder| {
        let server = setup.start(kind, folder)?;
        let before = server.cpu()?;
        let mut wall = 0.0;
        for phase in &recording.phases {
            let load = loader::send(&server, recording, phase)?;
            let what = format!("samples per CPU-second, {} series", phase.name);
            report.put(&title, &what, Unit::PerCpuSecond, kind, per_second(phase.samples, load.cpu));
            wall += load.wall.as_secs_f64();
            if load.retries > 0 {
                report.note(&title, format!("{kind} asked {} times to come back later", load.retries));
            }
        }
        let acknowledged = server.cpu()?.saturating_sub(before);
        server.settle(setup.settle_min)?;
        let settled = server.cpu()?.saturating_sub(before);
        let all = "samples per CPU-second, all, with the work that was put off";
        report.put(&title, all, Unit::PerCpuSecond, kind, per_second(recording.samples(), settled));
        report.put(&title, "CPU until acknowledged", Unit::Seconds, kind, acknowledged.as_secs_f64());
        report.put(&title, "CPU with the work that was put off", Unit::Seconds, kind, settled.as_secs_f64());
        report.put(&title, "wall time until acknowledged", Unit::Seconds, kind, wall);
        report_memory(report, &title, &server)?;
        loader::verify(&server, recording)?;
        server.kill()
    })?;
    report.note(&title, format!("{} samples in {} series", recording.samples(), recording.series));
    Ok(())
}

fn report_memory(report: &mut Report, title: &str, server: &Server) -> Result<()> {
    let memory = server.memory()?;
    report.put(title, "memory afterwards", Unit::Bytes, server.kind, memory.current as f64);
    report.put(title, "peak memory", Unit::Bytes, server.kind, memory.peak as f64);
    Ok(())
}
