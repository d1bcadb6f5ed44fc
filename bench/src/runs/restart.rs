//! `restart`: how long a server takes to answer again after `kill -9`, what that needs, and whether anything that it
//! had acknowledged is gone.

use anyhow::{Context as _, Result};

use super::Setup;
use crate::clock::{Stopwatch, sleep};
use crate::data::{Phase, Recording};
use crate::limits::{FIRST_ANSWER_MAX, INTERVAL_MS, READY_POLL, SETTLE_MIN_BEFORE_KILL};
use crate::loader;
use crate::report::{Report, Unit};
use crate::servers::Kind;
use crate::servers::process::Server;

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("restart");
    for (series, samples) in setup.sizes.wide.clone() {
        let recording = setup.wide(series, samples, 1)?;
        let title = recording.title.clone();
        setup.each(&title, |_, kind, folder| match one(setup, &recording, kind, folder, &mut report) {
            Err(e) if kind != Kind::Bellwether => {
                report.note(&title, format!("{kind} could not be measured: {e:#}"));
                Ok(())
            }
            result => result,
        })?;
        report.note(
            &title,
            "killed once while idle, and once right after the last acknowledgement; an answer is the number of \
             samples of one metric"
                .into(),
        );
    }
    Ok(report)
}

fn one(
    setup: &Setup,
    recording: &Recording,
    kind: Kind,
    folder: &std::path::Path,
    report: &mut Report,
) -> Result<()> {
    let title = &recording.title;
    let (tail, load): (Vec<&Phase>, Vec<&Phase>) = recording.phases.iter().partition(|p| p.name == "tail");
    let server = setup.start(kind, folder)?;
    for phase in load {
        loader::send(&server, recording, phase)?;
    }
    server.settle(setup.settle_min.max(SETTLE_MIN_BEFORE_KILL))?;
    let steady = server.memory()?.current as f64;
    server.kill()?;

    let server = setup.start(kind, folder)?;
    let ready = server.ready_after.as_secs_f64();
    let answered = first_answer(&server, recording)?;
    let (peak, cpu) = (server.memory()?.peak as f64, server.cpu()?);
    report.put(title, "time to ready", Unit::Seconds, kind, ready);
    match answered {
        Some(answered) => {
            report.put(title, "time to the first right answer", Unit::Seconds, kind, ready + answered);
            report.put(title, "CPU to the first right answer", Unit::Seconds, kind, cpu.as_secs_f64());
        }
        None => {
            complain(
                report,
                title,
                kind,
                "misses samples that it had acknowledged long before it was killed",
            );
        }
    }
    report.put(title, "memory before, idle", Unit::Bytes, kind, steady);
    report.put(title, "peak memory of the restart", Unit::Bytes, kind, peak);

    for phase in tail {
        loader::send(&server, recording, phase)?;
    }
    server.kill()?;
    let server = setup.start(kind, folder)?;
    report.put(
        title,
        "time to ready, killed while writing",
        Unit::Seconds,
        kind,
        server.ready_after.as_secs_f64(),
    );
    let missing = loader::missing(&server, recording)?;
    report.put(title, "acknowledged samples missing", Unit::Count, kind, missing as f64);
    if missing != 0 {
        let what = format!("misses {missing} samples that it had acknowledged right before it was killed");
        complain(report, title, kind, &what);
    }
    server.kill()
}

/// A loss fails the benchmark if it is ours.
fn complain(report: &mut Report, title: &str, kind: Kind, what: &str) {
    match kind {
        Kind::Bellwether => report.fail(format!("{title}: {kind} {what}")),
        Kind::Prometheus | Kind::VictoriaMetrics => report.note(title, format!("{kind} {what}")),
    }
}

/// Seconds until the first metric has all the samples that were there when the server was killed, if it ever has.
fn first_answer(server: &Server, recording: &Recording) -> Result<Option<f64>> {
    let group = recording.groups.first().context("there is nothing to ask for")?;
    let ticks = (recording.end_ms - recording.start_ms) / INTERVAL_MS + 1;
    let tail = u64::from(recording.phases.iter().any(|p| p.name == "tail"));
    let wanted = group.samples / ticks as u64 * (ticks as u64 - tail);
    let window_s = (recording.end_ms - recording.start_ms) / 1000 + 60;
    let query = format!("sum(count_over_time({}[{window_s}s]))", group.metric);
    let watch = Stopwatch::start();
    loop {
        let found = server.client.number(&query, recording.end_ms + 1000)? as u64;
        let elapsed = watch.elapsed();
        if found == wanted || elapsed > FIRST_ANSWER_MAX {
            return Ok((found == wanted).then_some(elapsed.as_secs_f64()));
        }
        sleep(READY_POLL);
    }
}
