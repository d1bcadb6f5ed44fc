//! What is fuzzed: one function per target, which takes any bytes and panics if the program does not cope with them.
//!
//! `fuzz_targets/` hands them to libFuzzer, and the tests of the crate `bellwether` include this file.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use alerting::rule_file::CheckOptions;
use base::{Labels, Result};
use collect::exposition::{Event, Format, Histograms, Parser, read_openmetrics, validate};
use ingest::otlp::{self, Deltas, Promotion, Settings, Translation};
use ingest::remote_write::{Decoder, Message, decompressed_len};
use ingest::{Decoded, LabelLimits};
use promql::script::MemorySource;
use promql::{EvalOptions, Grid, Interrupt, ParseOptions};
use template::{Context, Functions, Sample, Template, Value};

/// A target: its name, which is also that of its folder of seeds, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("promql", promql),
    ("exposition", exposition),
    ("exposition_protobuf", exposition_protobuf),
    ("remote_write", remote_write),
    ("otlp", otlp),
    ("config", config),
    ("rules", rules),
    ("template", template),
];

/// PromQL: parsed, printed, parsed again and evaluated on a handful of samples.
pub fn promql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = promql::parse_metric_selector(&text);
    for options in [ParseOptions::default(), ParseOptions::all()] {
        let expr = match promql::parse_bytes(data, &options) {
            Ok(expr) => expr,
            Err(e) => {
                let span = e.first().span;
                assert!(span.start <= data.len() && span.end <= data.len(), "{e} is outside of the query");
                continue;
            }
        };
        let printed = expr.to_string();
        for shown in [printed.clone(), promql::pretty(&expr)] {
            if let Err(e) = promql::parse(&shown, &options) {
                panic!("{text} prints as {shown}: {e}");
            }
        }
        evaluate(&expr, &text);
    }
}

/// Ends an evaluation that has gone on for long.
struct Patience(std::sync::atomic::AtomicU32);

impl Interrupt for Patience {
    fn check(&self) -> Result<()> {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0..10_000 => Ok(()),
            _ => Err(base::Error::limit("it goes on for long")),
        }
    }
}

/// Errors are fine.
fn evaluate(expr: &promql::Expr, text: &str) {
    let mut source = MemorySource::default();
    for (name, job) in [("a", "1"), ("a", "2"), ("b", "1")] {
        let labels = Labels::from_pairs([("__name__", name), ("job", job), ("le", job)]);
        (0..20).for_each(|i| source.insert(&labels, i * 15_000, i as f64));
    }
    let options = EvalOptions { max_samples: 10_000, ..EvalOptions::default() };
    let patience = || Patience(0.into());
    let _ = promql::evaluate_instant(expr, text, 200_000, &options, &source, &patience());
    let grid = Grid { start_ms: 100_000, end_ms: 250_000, step_ms: 30_000 };
    let _ = promql::evaluate_range(expr, text, &grid, &options, &source, &patience());
}

/// The text formats of exposition, in one piece and as a stream.
pub fn exposition(data: &[u8]) {
    let count = |format| {
        let (mut parser, mut samples) = (Parser::new(format, data), 0);
        loop {
            match parser.next() {
                Ok(Some(Event::Series(series))) => {
                    samples += 1;
                    let labels = series.to_builder().build();
                    assert!(labels.iter().all(|(_, value)| !value.is_empty()));
                    if let Some(exemplar) = series.exemplar {
                        exemplar.labels().for_each(|(name, value)| drop((name.to_text(), value.to_text())));
                    }
                }
                Ok(Some(Event::Help { text, .. })) => drop(text.to_text()),
                Ok(Some(_)) => {}
                Ok(None) => return Some(samples),
                Err(e) => {
                    assert!(e.line >= 1);
                    return None;
                }
            }
        }
    };
    let _ = count(Format::Prometheus);
    let whole = count(Format::OpenMetrics);
    let strict = validate::openmetrics(data).is_ok();
    assert!(!strict || whole.is_some(), "the strict check takes what the parser does not");
    let mut streamed = 0;
    let outcome = read_openmetrics(&mut &data[..], &mut |_| {
        streamed += 1;
        Ok(())
    });
    if let (Some(whole), Ok(())) = (whole, outcome) {
        assert_eq!(whole, streamed, "as a stream there are other samples");
    }
}

/// The protobuf format of exposition, with every way of taking histograms.
pub fn exposition_protobuf(data: &[u8]) {
    for choice in 0..8 {
        let histograms = Histograms {
            native: choice & 1 != 0,
            always_classic: choice & 2 != 0,
            to_custom_buckets: choice & 4 != 0,
        };
        let mut parser = Parser::with_histograms(Format::Protobuf, data, histograms);
        while let Ok(Some(event)) = parser.next() {
            match event {
                Event::Series(series) => {
                    let labels = series.to_builder().build();
                    assert!(labels.iter().all(|(_, value)| !value.is_empty()));
                    if let Some(exemplar) = series.exemplar {
                        exemplar.labels().for_each(|(name, value)| drop((name.to_text(), value.to_text())));
                    }
                }
                Event::Histogram(series, native) => {
                    assert!(histograms.native || histograms.to_custom_buckets);
                    assert!(native.histogram.validate().is_ok());
                    assert!(!native.histogram.is_stale());
                    let labels = series.exemplars_of(native).flat_map(|e| e.labels());
                    labels.for_each(|(name, value)| drop((name.to_text(), value.to_text())));
                }
                Event::Help { text, .. } => drop(text.to_text()),
                _ => {}
            }
        }
    }
}

/// Remote write, of both versions: the bytes as a body, and as the message in a sound one.
pub fn remote_write(data: &[u8]) {
    let mut decoder = Decoder::new(LabelLimits::default());
    let _ = decompressed_len(data);
    let body = ingest::testing::compress(data);
    for message in Message::ALL {
        let _ = decoder.decode(data, message).map(|decoded| sound(&decoded));
        let _ = decoder.decode(&body, message).map(|decoded| sound(&decoded));
    }
}

/// OTLP metrics: as protobuf and as JSON, bare and in gzip, translated with the default settings and with everything that is off then.
pub fn otlp(data: &[u8]) {
    const NOW_MS: i64 = 1_700_000_000_000;
    let everything = Settings {
        translation: Translation::NoTranslation,
        promotion: Promotion::AllBut(HashSet::new()),
        keep_identifying_resource_attributes: true,
        convert_histograms_to_nhcb: true,
        promote_scope_metadata: true,
        label_name_underscore_sanitization: false,
        label_name_preserve_multiple_underscores: false,
        deltas: Deltas::AddUp(Arc::default()),
        type_and_unit_labels: true,
        start_zeros: Some(Arc::default()),
        ..Settings::default()
    };
    for format in [otlp::Format::Protobuf, otlp::Format::Json] {
        for gzip in [false, true] {
            let room = otlp::unfolded_len(data, gzip, format);
            let Ok(message) = otlp::unfold(data, gzip, format) else { continue };
            assert!(room.is_ok_and(|room| message.len() <= room), "it takes more room than it says");
            for settings in [&Settings::default(), &everything] {
                // Sums of deltas remember what came before.
                for now_ms in [NOW_MS, NOW_MS + 1_000_000] {
                    let decoded = otlp::decode(&message, settings, LabelLimits::default(), now_ms);
                    let _ = decoded.map(|decoded| sound(&decoded));
                }
            }
        }
    }
}

/// Whatever was sent, label sets are such as the store takes.
fn sound(decoded: &Decoded) {
    for series in decoded.batch.series().chain(decoded.implied.series()) {
        let labels = series.to_labels();
        assert!(labels.iter().all(|(_, value)| !value.is_empty()), "{labels} has an empty value");
        assert!(labels.iter().map(|(name, _)| name).is_sorted_by(|a, b| a < b), "{labels} is not in order");
        assert!(!labels.metric().is_empty(), "{labels} has no name");
    }
}

/// A configuration file.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = bellwether::config::load_str(&text, Path::new("/nonexistent"), &|_| None);
}

/// A rule file.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for legacy_names in [false, true] {
        let options = CheckOptions { legacy_names, ..CheckOptions::default() };
        if let Err(problems) = bellwether::config::parse_rule_file("rules.yml", &text, &options) {
            assert!(!problems.is_empty(), "refused without a reason");
        }
    }
}

/// An outside in which there is nothing.
struct Outside;

impl Functions for Outside {
    fn query(&self, _: &str) -> Result<Vec<Sample>, String> {
        Ok(Vec::new())
    }

    fn now_ms(&self) -> i64 {
        1_600_000_000_000
    }

    fn external_url(&self) -> &str {
        "http://localhost/x"
    }
}

/// A template of annotations, as text and as a page.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let labels = Value::string_map([("job", "x"), ("instance", "a:1")]);
    let context = Context::new(Value::map([("Labels", labels), ("Value", Value::string("1.5"))]));
    for parse in [Template::parse, Template::parse_html] {
        if let Ok(template) = parse("fuzz", &text) {
            let _ = template.expand(&context, &Outside);
        }
    }
}
