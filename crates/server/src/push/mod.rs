//! What the receivers of pushed samples share: room for requests in memory, failures that any protocol can word, and what senders say
//! of their metrics. Owns no protocol.

mod metadata;
mod room;

use axum::http::StatusCode;
use base::{Error, ErrorKind};
use engine::{AppendOutcome, Refusal};

pub use metadata::PushedMetadata;
pub use room::Room;

/// Why a request is not taken, as a protocol then words it.
#[derive(Debug)]
pub(crate) struct PushFailure {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl PushFailure {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// An error of the request as a whole, found while it was read.
    pub(crate) fn of_request(e: &Error) -> Self {
        match e.kind() {
            ErrorKind::Limit => Self::new(StatusCode::PAYLOAD_TOO_LARGE, e.message()),
            _ => Self::of(e),
        }
    }

    /// An error of the store, or of this program.
    pub(crate) fn of(e: &Error) -> Self {
        let status = match e.kind() {
            ErrorKind::Invalid | ErrorKind::Limit | ErrorKind::NotFound => StatusCode::BAD_REQUEST,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Canceled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %e, "cannot take pushed samples");
        }
        Self::new(status, e.message())
    }
}

/// What the store refused, in Prometheus' words.
pub(crate) fn refusals(outcome: &AppendOutcome) -> impl Iterator<Item = (&'static str, u64)> {
    [
        (Refusal::OutOfOrder, outcome.out_of_order),
        (Refusal::TooOld, outcome.too_old),
        (Refusal::Duplicate, outcome.duplicate),
        (Refusal::OutOfBounds, outcome.out_of_bounds),
        (Refusal::Limited, outcome.limited),
    ]
    .into_iter()
    .filter(|(_, samples)| *samples > 0)
    .map(|(why, samples)| (words(why), samples))
}

fn words(why: Refusal) -> &'static str {
    match why {
        Refusal::OutOfOrder => "out of order sample",
        Refusal::TooOld => "too old sample",
        Refusal::Duplicate => "duplicate sample for timestamp",
        Refusal::OutOfBounds => "out of bounds",
        Refusal::Limited => "limit on series reached",
    }
}

/// The first sample that the store refused, in Prometheus' words.
pub(crate) fn first_refused(outcome: &AppendOutcome) -> Option<String> {
    let (why, series) = outcome.first_refused.as_ref()?;
    let series: String = series.to_string().chars().take(SERIES_CHARS).collect();
    Some(format!("{} for series {series}", words(*why)))
}

/// Characters of a series that an answer names.
const SERIES_CHARS: usize = 512;
