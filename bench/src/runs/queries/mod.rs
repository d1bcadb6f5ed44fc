//! `queries`: how long questions take, and whether the answers are the same.

mod answer;
mod shapes;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use self::answer::Answer;
use self::shapes::{Ask, Shape, Spans};
use super::{Setup, say};
use crate::clock::Stopwatch;
use crate::limits::{DIFFERENCES_SHOWN, END_BEFORE_NOW, QUERY_REPETITION_TIME_MAX};
use crate::loader;
use crate::report::{Report, Unit, geometric_mean, median};
use crate::servers::Kind;
use crate::servers::client::{Client, seconds};

/// Answers of the first run by shape and server.
type Answers = BTreeMap<&'static str, BTreeMap<Kind, Answer>>;

const SUMMARY: &str = "all query shapes";

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("queries");
    let (tsbs, node) = (setup.tsbs(END_BEFORE_NOW)?, setup.node(END_BEFORE_NOW)?);
    let spans = Spans {
        tsbs: (tsbs.start_ms, tsbs.end_ms),
        node: (node.start_ms, node.end_ms),
        hosts: setup.sizes.hosts,
    };
    let shapes = shapes::all(&spans);
    let mut answers = Answers::new();
    let titles = format!("{}; {}", tsbs.title, node.title);
    setup.each(&titles, |run, kind, folder| {
        let server = setup.start(kind, folder)?;
        for recording in [&tsbs, &node] {
            loader::send_all(&server, recording)?;
            loader::verify(&server, recording)?;
        }
        server.settle(setup.settle_min)?;
        let before = server.cpu()?;
        for shape in &shapes {
            match measure(&server.client, shape, setup.query_repetitions) {
                Ok(measured) => {
                    let section = shape.section.title();
                    report.put(section, shape.name, Unit::Milliseconds, kind, measured.median_ms);
                    let first = format!("{}, first time", shape.name);
                    report.put_detail(section, &first, Unit::Milliseconds, kind, measured.first_ms);
                    if run == 0 {
                        answers.entry(shape.name).or_default().insert(kind, measured.answer);
                    }
                }
                Err(e) => refused(&mut report, shape, kind, &e),
            }
        }
        let cpu = server.cpu()?.saturating_sub(before).as_secs_f64();
        report.put_detail(SUMMARY, "CPU of all repetitions", Unit::Seconds, kind, cpu);
        report.put_detail(SUMMARY, "peak memory", Unit::Bytes, kind, server.memory()?.peak as f64);
        server.kill()
    })?;
    compare_all(&shapes, &answers, &mut report);
    summarise(setup, &shapes, &mut report);
    report.note(SUMMARY, format!("over {titles}"));
    Ok(report)
}

fn refused(report: &mut Report, shape: &Shape, kind: Kind, e: &anyhow::Error) {
    let text = format!("{}: {kind} does not answer: {e:#}", shape.name);
    match kind {
        Kind::Bellwether => report.fail(text),
        Kind::Prometheus | Kind::VictoriaMetrics => report.note(shape.section.title(), text),
    }
}

struct Measured {
    first_ms: f64,
    median_ms: f64,
    answer: Answer,
}

fn measure(client: &Client, shape: &Shape, repetitions: usize) -> Result<Measured> {
    let watch = Stopwatch::start();
    let (data, first) = ask(client, &shape.ask)?;
    let mut times = Vec::new();
    while times.len() < repetitions && (times.len() < 3 || watch.elapsed() < QUERY_REPETITION_TIME_MAX) {
        times.push(milliseconds(ask(client, &shape.ask)?.1));
    }
    Ok(Measured {
        first_ms: milliseconds(first),
        median_ms: median(&times).unwrap_or(0.0),
        answer: Answer::read(&data)?,
    })
}

fn milliseconds(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}

/// Asks once. `nocache` keeps VictoriaMetrics from answering out of the last answer; the others do not know it.
fn ask(client: &Client, ask: &Ask) -> Result<(Value, Duration)> {
    match ask {
        Ask::Range { query, start_ms, end_ms, step_s } => {
            let (start, end, step) = (seconds(*start_ms), seconds(*end_ms), step_s.to_string());
            let form = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", &step)];
            client.data("/api/v1/query_range", &[&form[..], &[("nocache", "1")]].concat())
        }
        Ask::Instant { query, time_ms } => {
            let time = seconds(*time_ms);
            client.data("/api/v1/query", &[("query", query), ("time", &time), ("nocache", "1")])
        }
        Ask::Series { matcher, start_ms, end_ms } => {
            let (start, end) = (seconds(*start_ms), seconds(*end_ms));
            client.data("/api/v1/series", &[("match[]", matcher), ("start", &start), ("end", &end)])
        }
        Ask::LabelValues { label, matcher, start_ms, end_ms } => {
            let (start, end) = (seconds(*start_ms), seconds(*end_ms));
            let form = [("match[]", matcher.as_str()), ("start", &start), ("end", &end)];
            client.data(&format!("/api/v1/label/{label}/values"), &form)
        }
    }
}

/// Compares every answer with Prometheus', or with VictoriaMetrics' if Prometheus does not take part.
fn compare_all(shapes: &[Shape], answers: &Answers, report: &mut Report) {
    for shape in shapes {
        let Some(of_shape) = answers.get(shape.name) else { continue };
        let reference =
            [Kind::Prometheus, Kind::VictoriaMetrics].into_iter().find(|k| of_shape.contains_key(k));
        let Some(reference) = reference else { continue };
        let section = shape.section.title();
        if of_shape[&reference].is_empty() && !shape.empty_is_right {
            report.fail(format!("{}: {reference} answers nothing, so nothing is compared", shape.name));
        }
        for (kind, answer) in of_shape.iter().filter(|(k, _)| **k != reference) {
            let victoria = [*kind, reference].contains(&Kind::VictoriaMetrics);
            if let (true, Some(why)) = (victoria, shape.victoria_differs) {
                report
                    .note(section, format!("{}: VictoriaMetrics' answer is not compared: {why}", shape.name));
                continue;
            }
            let differences = answer.differences(&of_shape[&reference]);
            if differences.is_empty() {
                continue;
            }
            let shown = differences.iter().take(DIFFERENCES_SHOWN).cloned().collect::<Vec<_>>().join("; ");
            let text = format!(
                "{}: {kind} and {reference} differ in {} places: {shown}",
                shape.name,
                differences.len()
            );
            match kind {
                Kind::Bellwether => report.fail(text),
                Kind::Prometheus | Kind::VictoriaMetrics => report.note(section, text),
            }
        }
    }
}

/// Geometric means over the shapes that everybody answered.
fn summarise(setup: &Setup, shapes: &[Shape], report: &mut Report) {
    let kinds = setup.programs.kinds();
    let mut medians: BTreeMap<Kind, BTreeMap<String, f64>> = BTreeMap::new();
    for section in shapes::SECTIONS {
        for kind in &kinds {
            medians.entry(*kind).or_default().extend(report.medians(section.title(), *kind));
        }
    }
    let everywhere = |name: &str| medians.values().all(|of| of.contains_key(name));
    let common: Vec<&str> = shapes.iter().map(|s| s.name).filter(|n| everywhere(n)).collect();
    for (kind, of) in &medians {
        let values: Vec<f64> = common.iter().map(|name| of[*name]).collect();
        if let Some(mean) = geometric_mean(&values) {
            let what = format!("geometric mean of {} shapes", common.len());
            report.put(SUMMARY, &what, Unit::Milliseconds, *kind, mean);
        }
    }
    let (Some(ours), Some(theirs)) = (medians.get(&Kind::Bellwether), medians.get(&Kind::Prometheus)) else {
        return;
    };
    let slower: Vec<&str> = common.iter().copied().filter(|name| ours[*name] > theirs[*name]).collect();
    let text = match slower.is_empty() {
        true => "no shape is slower than Prometheus".to_owned(),
        false => format!("slower than Prometheus: {}", slower.join(", ")),
    };
    say(&text);
    report.note(SUMMARY, text);
}
