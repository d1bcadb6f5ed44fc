//! `read`: remote read, by which another server asks for samples as they are stored.
//!
//! An answer is one message with every sample, or a stream of chunks. A stream is made as the client takes it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::{Error, Labels, MatchOp, Matcher, Result, Sample};
use bytes::Bytes;
use engine::{Reservation, SelectedSeries};
use futures::stream;
use ingest::remote_read::{ChunkedResponse, Query, ReadRequest, ResponseType, SampleResponse, decode};
use prometheus::{IntGauge, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::limits::{BODY_READ_TIMEOUT, READ_STEP_BYTES};
use crate::state::ServerState;

/// Answers remote reads, so many at a time.
pub struct RemoteRead {
    places: Arc<Semaphore>,
    queries: IntGauge,
    /// Samples of one answer that is not streamed.
    samples: usize,
}

impl RemoteRead {
    /// With its metrics registered: so many samples in an answer that is not streamed, and so many requests at a time, where 0 stands
    /// for any number.
    pub fn register(samples: usize, concurrency: usize, registry: &Registry) -> Result<Self> {
        let gauge = IntGauge::new(
            "prometheus_remote_read_handler_queries",
            "The current number of remote read queries that are either in execution or queued on the handler.",
        );
        let queries = gauge
            .and_then(|g| registry.register(Box::new(g.clone())).map(|()| g))
            .map_err(|e| Error::internal(format!("cannot register metrics of remote read: {e}")))?;
        let places = if concurrency == 0 { Semaphore::MAX_PERMITS } else { concurrency };
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Ok(Self { places, queries, samples: if samples == 0 { usize::MAX } else { samples } })
    }
}

/// Counted as long as it lives.
struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(crate) async fn read(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    state.remote_read.queries.inc();
    let counted = Counted(state.remote_read.queries.clone());
    let place = Arc::clone(&state.remote_read.places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    match Box::pin(answer(&state, request, (counted, place))).await {
        Ok(response) => response,
        Err(e) => failed(&e),
    }
}

type Place = (Counted, OwnedSemaphorePermit);

async fn answer(state: &ServerState, request: Request, place: Place) -> Result<Response> {
    let reading = axum::body::to_bytes(request.into_body(), ingest::limits::COMPRESSED_BYTES);
    let body = tokio::time::timeout(BODY_READ_TIMEOUT, reading)
        .await
        .map_err(|_| {
            Error::invalid(format!(
                "cannot read remote read request: it took more than {BODY_READ_TIMEOUT:?}"
            ))
        })?
        .map_err(|e| Error::invalid(format!("cannot read remote read request: {e}")))?;
    let ReadRequest { queries, response_type } = decode(&body)?;
    let external = state.process.external_labels();
    let mut selected = Vec::with_capacity(queries.len());
    for query in queries {
        let matchers = without_external(&query.matchers, &external);
        let series = state.engine.select(&matchers, query.range).await.map_err(inner)?;
        selected.push((query, series));
    }
    match response_type {
        ResponseType::Samples => {
            samples(selected, external, state.remote_read.samples, state.engine.query_memory(), place).await
        }
        ResponseType::StreamedXorChunks => Ok(chunks(selected, external, place)),
    }
}

/// An external label is not stored, so that nothing would equal its value.
fn without_external(matchers: &[Matcher], external: &Labels) -> Vec<Matcher> {
    let of = |m: &Matcher| match external.get(m.name()) {
        Some(value) if m.op() == MatchOp::Equal && m.value() == value => Matcher::equal(m.name(), ""),
        _ => m.clone(),
    };
    matchers.iter().map(of).collect()
}

/// The labels of a series, and those external ones that it does not have.
fn with_external(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut merged = external.to_builder();
    for (name, value) in labels {
        merged.set(name, value);
    }
    merged.build()
}

async fn samples(
    selected: Vec<(Query, SelectedSeries)>,
    external: Labels,
    limit: usize,
    mut memory: Reservation,
    place: Place,
) -> Result<Response> {
    let write = move || -> Result<Vec<u8>> {
        let _place = place;
        let (mut decoded, mut out, mut left) = (Decoded::default(), SampleResponse::new(), limit);
        for (query, series) in &selected {
            for at in 0..series.len() {
                let labels = with_external(series.labels(at), &external);
                decoded.read(query, series, at)?;
                left = left
                    .checked_sub(decoded.len())
                    .ok_or_else(|| Error::limit(format!("exceeded sample limit ({limit})")))?;
                if decoded.len() > 0 || query.series_only {
                    out.series(&labels, &decoded.samples, &decoded.histograms);
                }
                let more = out.len().saturating_sub(memory.bytes());
                memory.grow(more).map_err(|e| inner(e.context("cannot answer remote read")))?;
            }
            out.end_query();
        }
        out.body().ok_or_else(|| Error::limit("cannot answer remote read: the answer has more than 4 GiB"))
    };
    let body = tokio::task::spawn_blocking(write)
        .await
        .map_err(|e| Error::internal(format!("cannot answer remote read: {e}")))??;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, body).into_response())
}

/// A stream of chunks, and how far it has come.
struct Stream {
    selected: Vec<(Query, SelectedSeries)>,
    external: Labels,
    query: usize,
    series: usize,
    out: ChunkedResponse,
    decoded: Decoded,
    _place: Place,
}

fn chunks(selected: Vec<(Query, SelectedSeries)>, external: Labels, place: Place) -> Response {
    let (out, decoded) = (ChunkedResponse::new(), Decoded::default());
    let start = Stream { selected, external, query: 0, series: 0, out, decoded, _place: place };
    let frames = stream::unfold(Some(start), async |stream| {
        let mut stream = stream?;
        let step = move || stream.step().map(|bytes| (bytes, stream));
        match tokio::task::spawn_blocking(step).await {
            Ok(Ok((bytes, _))) if bytes.is_empty() => None,
            Ok(Ok((bytes, stream))) => Some((Ok(Bytes::from(bytes)), Some(stream))),
            // The headers are sent: the end of the connection has to tell.
            Ok(Err(e)) => {
                tracing::error!(error = %e, "cannot go on with a remote read");
                Some((Err(e), None))
            }
            Err(e) => Some((Err(Error::internal(format!("cannot go on with a remote read: {e}"))), None)),
        }
    });
    let content_type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(frames)).into_response()
}

impl Stream {
    /// The next frames; none at the end.
    fn step(&mut self) -> Result<Vec<u8>> {
        while self.out.len() < READ_STEP_BYTES {
            let Some((query, series)) = self.selected.get(self.query) else { break };
            if self.series == series.len() {
                self.query += 1;
                self.series = 0;
                continue;
            }
            let labels = with_external(series.labels(self.series), &self.external);
            self.decoded.read(query, series, self.series)?;
            self.out.series(self.query, &labels, &self.decoded.samples, &self.decoded.histograms);
            self.series += 1;
        }
        Ok(self.out.take())
    }
}

/// The samples of one series, in buffers that stay.
#[derive(Default)]
struct Decoded {
    times: Vec<i64>,
    values: Vec<f64>,
    samples: Vec<Sample>,
    histogram_values: Vec<base::Histogram>,
    histograms: Vec<(i64, base::Histogram)>,
}

impl Decoded {
    fn read(&mut self, query: &Query, series: &SelectedSeries, at: usize) -> Result<()> {
        self.samples.clear();
        self.histograms.clear();
        if query.series_only {
            return Ok(());
        }
        series.decode(at, &mut self.times, &mut self.values).map_err(inner)?;
        let floats = self.times.iter().zip(&self.values);
        self.samples.extend(floats.map(|(t_ms, value)| Sample { t_ms: *t_ms, value: *value }));
        series.decode_histograms(at, &mut self.times, &mut self.histogram_values).map_err(inner)?;
        self.histograms.extend(self.times.iter().copied().zip(self.histogram_values.drain(..)));
        Ok(())
    }

    fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }
}

/// An error of what was asked well: its kind `Invalid` would blame the client.
fn inner(e: Error) -> Error {
    match e.kind() {
        base::ErrorKind::Invalid | base::ErrorKind::Limit => Error::unavailable(e.message().to_owned()),
        _ => e,
    }
}

fn failed(e: &Error) -> Response {
    let status = match e.kind() {
        base::ErrorKind::Invalid | base::ErrorKind::Limit => StatusCode::BAD_REQUEST,
        _ => ApiError::from(e.clone()).status(),
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = %e, "cannot answer remote read");
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, headers, format!("{}\n", e.message())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_labels_are_added_and_not_asked_for() {
        let external = Labels::from_pairs([("region", "eu"), ("job", "x")]);
        let own = Labels::from_pairs([("__name__", "up"), ("job", "node")]);
        let want = Labels::from_pairs([("__name__", "up"), ("job", "node"), ("region", "eu")]);
        assert_eq!(with_external(&own, &external), want);
        assert_eq!(with_external(&own, &Labels::empty()), own);
        let matchers = [
            Matcher::equal("region", "eu"),
            Matcher::equal("job", "node"),
            Matcher::new("region", MatchOp::Regex, "eu").unwrap(),
        ];
        let got = without_external(&matchers, &external);
        assert_eq!(got[0], Matcher::equal("region", ""));
        assert_eq!(got[1..], matchers[1..]);
    }
}
