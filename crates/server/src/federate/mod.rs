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
use base::{Error, Histogram, Labels, Regexes, Result, TimeRange};
use engine::{Latest, LatestSample, Reservation};

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
    let (found, memory) = match state.engine.latest(&sets, range).await {
        Ok(found) => found,
        Err(e) => return failed(&state, &e),
    };
    let external = state.process.external_labels();
    let (format, escaping) = format::negotiate(&headers);
    // There may be millions of series, which other requests should not wait for.
    let write = move || write(found, &external, (format, escaping), memory);
    let written = tokio::task::spawn_blocking(write).await;
    match written.unwrap_or_else(|e| Err(Error::internal(e.to_string()))) {
        Ok(body) => ([(header::CONTENT_TYPE, format.content_type(escaping))], body).into_response(),
        Err(e) => failed(&state, &e.context("cannot write samples for federation")),
    }
}

fn failed(state: &ServerState, e: &Error) -> Response {
    state.http_metrics.federation_errors.inc();
    let status = ApiError::from(e.clone()).status();
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!("{e}");
    }
    plain(status, e.message())
}

/// Told how many bytes there are so far; an error ends what makes more of them.
type Hold<'a> = dyn FnMut(usize) -> Result<()> + 'a;

/// The body of an answer, within the memory for queries: samples, what is made of them and the body are there at the same time.
fn write(
    found: Vec<LatestSample>,
    external: &Labels,
    (format, escaping): (Format, Escaping),
    mut memory: Reservation,
) -> Result<Vec<u8>> {
    let mut before = memory.bytes();
    let families = {
        let mut hold = |bytes: usize| memory.grow((before + bytes).saturating_sub(memory.bytes()));
        families(found, external, (format, escaping), &mut hold)?
    };
    before = memory.bytes();
    let mut hold = |bytes: usize| memory.grow((before + bytes).saturating_sub(memory.bytes()));
    body(&families, format, &mut hold)
}

fn body(families: &[Family], format: Format, hold: &mut Hold<'_>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    match format {
        Format::Text(_) => families.iter().try_for_each(|f| text::write(f, &mut body, hold))?,
        Format::OpenMetrics(_) => openmetrics::write(families, &mut body, hold)?,
        Format::Protobuf => families.iter().try_for_each(|f| protobuf::write(f, &mut body, hold))?,
    }
    Ok(body)
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
    (format, escaping): (Format, Escaping),
    hold: &mut Hold<'_>,
) -> Result<Vec<Family>> {
    found.sort_by(|a, b| a.labels.metric().cmp(b.labels.metric()));
    let mut added: Vec<(&str, &str)> = external.iter().collect();
    if external.get("instance").is_none() {
        added.push(("instance", ""));
    }
    added.sort_unstable();
    let (mut all, mut bytes): (Vec<Family>, usize) = (Vec::new(), 0);
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
        bytes += metric.size_bytes();
        hold(bytes)?;
        let name = escaping.apply(labels.metric());
        match all.last_mut() {
            Some(family) if family.name == name && family.kind == kind => family.metrics.push(metric),
            _ => all.push(Family { name: name.into_owned(), kind, metrics: vec![metric] }),
        }
    }
    Ok(all)
}

impl Metric {
    /// Bytes of the metric in a list that has room to grow; the value was there before.
    fn size_bytes(&self) -> usize {
        let labels: usize =
            self.labels.iter().map(|pair| size_of_val(pair) + pair.0.len() + pair.1.len()).sum();
        2 * size_of::<Self>() + labels
    }
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
