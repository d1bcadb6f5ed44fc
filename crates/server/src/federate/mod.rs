//! `/federate`: the present values of series, for another server to scrape.
//!
//! As Prometheus does it: the last sample within the lookback, with its time and the external labels; series that ended are left out, as no format can
//! say that one did.

mod format;
mod names;
mod openmetrics;
mod protobuf;
mod text;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::{Histogram, Labels, Regexes, TimeRange};
use engine::{Latest, LatestSample};

use crate::error::ApiError;
use crate::params::Params;
use crate::state::ServerState;
use format::Format;
use names::Escaping;

pub(crate) async fn federate(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    let (mut sets, mut regexes) = (Vec::new(), Regexes::default());
    for text in params.all("match[]") {
        match engine::parse_selector_with(text, &mut regexes) {
            Ok(set) => sets.push(set),
            Err(e) => return plain(StatusCode::BAD_REQUEST, e.message()),
        }
    }
    let now_ms = state.clock.now_ms();
    let lookback_ms = i64::try_from(state.engine.options().lookback.as_millis()).unwrap_or(i64::MAX);
    let range = TimeRange::new(now_ms.saturating_sub(lookback_ms), now_ms);
    let found = match state.engine.latest(&sets, range).await {
        Ok(found) => found,
        Err(e) => {
            state.http_metrics.federation_errors.inc();
            let status = ApiError::from(e.clone()).status();
            return plain(status, e.message());
        }
    };
    let external = state.process.external_labels();
    let (format, escaping) = format::negotiate(&headers);
    // There may be millions of series, which other requests should not wait for.
    let write = move || write(&families(found, &external, format, escaping), format);
    match tokio::task::spawn_blocking(write).await {
        Ok(body) => ([(header::CONTENT_TYPE, format.content_type(escaping))], body).into_response(),
        Err(e) => {
            let text = format!("cannot write samples for federation: {e}");
            tracing::error!("{text}");
            state.http_metrics.federation_errors.inc();
            plain(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
    }
}

fn write(families: &[Family], format: Format) -> Vec<u8> {
    let mut body = Vec::new();
    match format {
        Format::Text(_) => families.iter().for_each(|f| text::write(f, &mut body)),
        Format::OpenMetrics(_) => openmetrics::write(families, &mut body),
        Format::Protobuf => families.iter().for_each(|f| protobuf::write(f, &mut body)),
    }
    body
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

/// Samples of one metric and kind.
struct Family {
    /// The metric's name, escaped as the client wants it.
    name: String,
    kind: Kind,
    metrics: Vec<Metric>,
}

/// What a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Histogram,
    GaugeHistogram,
}

/// A sample of a family.
struct Metric {
    /// Names, escaped, and values; the metric's name is not among them.
    labels: Vec<(String, String)>,
    t_ms: i64,
    value: Latest,
}

/// Puts samples in order of their metrics' names and gives them the external labels that they do not have. `instance` stands with an empty value where
/// it would be missing, so that the scraper does not put its own there.
fn families(
    mut found: Vec<LatestSample>,
    external: &Labels,
    format: Format,
    escaping: Escaping,
) -> Vec<Family> {
    found.sort_by(|a, b| a.labels.metric().cmp(b.labels.metric()));
    let mut added: Vec<(&str, &str)> = external.iter().collect();
    if external.get("instance").is_none() {
        added.push(("instance", ""));
    }
    added.sort_unstable();
    let mut all: Vec<Family> = Vec::new();
    for LatestSample { labels, t_ms, value } in found {
        if labels.metric().is_empty() {
            continue;
        }
        let kind = match &value {
            Latest::Float(_) => Kind::Float,
            // Only the binary format has buckets that are powers.
            Latest::Histogram(h) if !h.has_custom_bounds() && format != Format::Protobuf => continue,
            Latest::Histogram(h) if h.counter_reset_hint == base::CounterResetHint::Gauge => {
                Kind::GaugeHistogram
            }
            Latest::Histogram(_) => Kind::Histogram,
        };
        let pair = |(name, value): (&str, &str)| (escaping.apply(name).into_owned(), value.to_owned());
        let own = labels.iter().filter(|(name, _)| *name != base::METRIC_NAME);
        let others = added.iter().filter(|(name, _)| labels.get(name).is_none());
        let metric = Metric { labels: own.chain(others.copied()).map(pair).collect(), t_ms, value };
        let name = escaping.apply(labels.metric());
        match all.last_mut() {
            Some(family) if family.name == name && family.kind == kind => family.metrics.push(metric),
            _ => all.push(Family { name: name.into_owned(), kind, metrics: vec![metric] }),
        }
    }
    all
}

/// A histogram with custom bounds as one of old: for each bound how many observations are up to it.
fn cumulative(h: &Histogram) -> Vec<(f64, f64)> {
    let mut counts = vec![0.0; h.custom_bounds.len()];
    let (mut bucket, mut values) = (0usize, h.positive.iter());
    for span in &h.positive_spans {
        bucket = bucket.saturating_add(usize::try_from(span.offset).unwrap_or(0));
        for value in values.by_ref().take(span.length as usize) {
            if let Some(count) = counts.get_mut(bucket) {
                *count = *value;
            }
            bucket += 1;
        }
    }
    let mut sum = 0.0;
    let up_to = counts.into_iter().map(|count| {
        sum += count;
        sum
    });
    h.custom_bounds.iter().copied().zip(up_to).collect()
}

/// A number as Go writes it: the shortest that reads back, with an exponent below 1e-4 and from a million on.
fn write_go_float(value: f64, out: &mut Vec<u8>) {
    let text = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
        let power: i32 = exponent.parse().expect("an exponent is a number");
        match value == 0.0 || (-4..6).contains(&power) {
            true => format!("{value}"),
            false => {
                let sign = if power < 0 { '-' } else { '+' };
                format!("{mantissa}e{sign}{:02}", power.abs())
            }
        }
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
