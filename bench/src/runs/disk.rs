//! `disk`: how many bytes a sample takes once a server has put its data into the form in which it keeps it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Setup, say};
use crate::clock;
use crate::data::{Recording, pages};
use crate::limits::{DISK_END_BEFORE_NOW, SETTLE_MIN_FULL};
use crate::loader;
use crate::report::{Report, Unit};
use crate::servers::Kind;
use crate::servers::process::{Server, folder_bytes};
use crate::wire;

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("disk");
    measure(setup, &setup.tsbs(DISK_END_BEFORE_NOW)?, &mut report)?;
    measure(setup, &setup.node(DISK_END_BEFORE_NOW)?, &mut report)?;
    if let Some(folder) = &setup.pages {
        measure(setup, &pages::record(folder, &setup.work)?, &mut report)?;
    }
    Ok(report)
}

fn measure(setup: &Setup, recording: &Recording, report: &mut Report) -> Result<()> {
    let title = recording.title.clone();
    setup.each(&title, |_, kind, folder| {
        let server = setup.start(kind, folder)?;
        loader::send_all(&server, recording)?;
        go_on(&server)?;
        loader::verify(&server, recording)?;
        // Bellwether, too, looks once a minute what there is to seal, so a quick run has to wait as long.
        server.settle(SETTLE_MIN_FULL)?;
        let as_is = folder_bytes(&server.data())? as f64;
        let bytes = compacted(setup, recording, server, folder, report)? as f64;
        report.put(&title, "while running, idle", Unit::Bytes, kind, as_is);
        report.put(&title, "compacted", Unit::Bytes, kind, bytes);
        let per_sample = bytes / recording.samples() as f64;
        report.put(&title, "per sample, compacted", Unit::BytesEach, kind, per_sample);
        Ok(())
    })?;
    report.note(&title, format!("{} samples in {} series", recording.samples(), recording.series));
    Ok(())
}

/// Sends a sample of the present: it is data that goes on which tells a server that the windows before are complete.
fn go_on(server: &Server) -> Result<()> {
    let mut bytes = Vec::new();
    wire::series(&mut bytes, &wire::labels(&[("__name__", "bench_goes_on")]), clock::now_ms(), 1.0);
    server.client.write(&snap::raw::Encoder::new().compress_vec(&bytes)?)?;
    Ok(())
}

/// Bytes of everything once it is compacted, indexes included and nothing in memory left out.
fn compacted(
    setup: &Setup,
    recording: &Recording,
    server: Server,
    folder: &Path,
    report: &mut Report,
) -> Result<u64> {
    let data = server.data();
    match server.kind {
        // A snapshot holds every block, and the head as one more.
        Kind::Prometheus => {
            server.client.post("/api/v1/admin/tsdb/snapshot")?;
            folder_bytes(&data.join("snapshots"))
        }
        Kind::VictoriaMetrics => {
            server.client.flush()?;
            server.client.maintain("/internal/force_merge")?;
            server.settle(setup.settle_min.min(Duration::from_secs(10)))?;
            folder_bytes(&data)
        }
        Kind::Bellwether => {
            server.stop()?;
            if has_lake_commands(setup)? {
                compact_offline(setup, &data)?;
            } else {
                let what = "this Bellwether has no `lake compact`: its folder is as it left it by itself";
                report.note(&recording.title, what.to_owned());
            }
            let bytes = folder_bytes(&data)?;
            let server = setup.start(Kind::Bellwether, folder)?;
            loader::verify(&server, recording)?;
            server.kill()?;
            Ok(bytes)
        }
    }
}

/// Whether the program that is measured can compact a folder that nobody serves.
fn has_lake_commands(setup: &Setup) -> Result<bool> {
    let mut command = Command::new(setup.programs.path(Kind::Bellwether)?);
    Ok(command.args(["lake", "--help"]).output().context("cannot run bellwether")?.status.success())
}

fn compact_offline(setup: &Setup, data: &Path) -> Result<()> {
    let program = setup.programs.path(Kind::Bellwether)?;
    for words in [["lake", "compact"], ["lake", "vacuum"]] {
        let output = Command::new(program)
            .args(words)
            .arg("--storage.path")
            .arg(data)
            .output()
            .context("cannot run bellwether lake")?;
        ensure!(
            output.status.success(),
            "bellwether {} ends with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        say(&format!("bellwether {}: {}", words.join(" "), String::from_utf8_lossy(&output.stdout).trim()));
    }
    Ok(())
}
