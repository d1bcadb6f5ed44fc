//! What an answer means: written, to be tried again, or refused for good. As Prometheus decides it.

use std::time::Duration;

use super::PostResponse;
use crate::limits::{REMOTE_WRITE_ASKED_PAUSE_MAX, REMOTE_WRITE_PAUSE_LEAST};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Taken. What the receiver says it has written, if it says so.
    Written(Option<Written>),
    /// Not taken, and to be sent again: after a pause, or after the one that the receiver asks for.
    Again {
        /// Why.
        cause: String,
        /// The pause that the receiver asks for.
        after: Option<Duration>,
    },
    /// Refused: sent again it would be refused again.
    Refused {
        /// Why.
        cause: String,
        /// Its status.
        status: u16,
        /// What was written nevertheless, if the receiver says so.
        written: Option<Written>,
    },
}

/// What a receiver says it has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
const HISTOGRAMS_WRITTEN: &str = "x-prometheus-remote-write-histograms-written";
const EXEMPLARS_WRITTEN: &str = "x-prometheus-remote-write-exemplars-written";

/// Decides on an answer that came at `now_ms`.
pub(super) fn judge(response: &PostResponse, retry_on_429: bool, now_ms: i64) -> Outcome {
    let written = written(response);
    if response.is_success() {
        return Outcome::Written(written);
    }
    let cause = format!("server returned HTTP status {}: {}", response.status, response.text());
    if response.status / 100 == 5 || (retry_on_429 && response.status == 429) {
        let after = response.header("retry-after").and_then(|text| retry_after(text, now_ms));
        return Outcome::Again { cause, after };
    }
    Outcome::Refused { cause, status: response.status, written }
}

fn written(response: &PostResponse) -> Option<Written> {
    let headers = [SAMPLES_WRITTEN, HISTOGRAMS_WRITTEN, EXEMPLARS_WRITTEN].map(|name| response.header(name));
    let [samples, histograms, exemplars] =
        headers.map(|value| value.and_then(|v| v.parse().ok()).unwrap_or(0));
    headers.iter().any(Option::is_some).then_some(Written { samples, histograms, exemplars })
}

/// The pause of a `Retry-After` header, which is seconds or a date, within its limit. What lies in the past is none.
fn retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            (date.as_millisecond() - now_ms) / 1000
        }
    };
    let asked = u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs)?;
    Some(asked.min(REMOTE_WRITE_ASKED_PAUSE_MAX))
}

/// The pauses between tries of one request.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min.max(REMOTE_WRITE_PAUSE_LEAST), max: max.max(REMOTE_WRITE_PAUSE_LEAST) }
    }

    /// The next pause.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = asked.unwrap_or(self.next);
        self.next = pause.saturating_mul(2).min(self.max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> PostResponse {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        PostResponse { status, headers, body: b"why\n".to_vec(), is_cut: false }
    }

    #[test]
    fn server_errors_are_repeated_and_client_errors_are_not() {
        let again = |after| Outcome::Again { cause: "server returned HTTP status 503: why".into(), after };
        assert_eq!(judge(&answer(204, &[]), false, 0), Outcome::Written(None));
        assert_eq!(judge(&answer(503, &[]), false, 0), again(None));
        let retry = |value| judge(&answer(503, &[("retry-after", value)]), false, 784_111_770_000);
        assert_eq!(retry("7"), again(Some(Duration::from_secs(7))));
        assert_eq!(retry("Sun, 06 Nov 1994 08:49:37 GMT"), again(Some(Duration::from_secs(7))));
        for long in ["601", "9223372036854775807", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(retry(long), again(Some(REMOTE_WRITE_ASKED_PAUSE_MAX)), "{long}");
        }
        for none in ["Sun, 06 Nov 1994 08:49:07 GMT", "-3", "0", "soon"] {
            assert_eq!(retry(none), again(None), "{none}");
        }
        assert!(matches!(judge(&answer(400, &[]), true, 0), Outcome::Refused { status: 400, .. }));
        assert!(matches!(judge(&answer(429, &[]), false, 0), Outcome::Refused { status: 429, .. }));
        assert!(matches!(judge(&answer(429, &[]), true, 0), Outcome::Again { .. }));
        assert!(matches!(judge(&answer(302, &[]), true, 0), Outcome::Refused { .. }));
    }

    #[test]
    fn what_was_written_is_read_from_headers() {
        let headers = [("x-prometheus-remote-write-samples-written", "5")];
        let written = Written { samples: 5, ..Written::default() };
        assert_eq!(judge(&answer(200, &headers), false, 0), Outcome::Written(Some(written)));
        let Outcome::Refused { written: partly, .. } = judge(&answer(400, &headers), false, 0) else {
            panic!()
        };
        assert_eq!(partly, Some(written));
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_follow_the_receiver() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(30), ms(100));
        assert_eq!([(); 4].map(|()| backoff.pause(None)), [ms(30), ms(60), ms(100), ms(100)]);
        assert_eq!((backoff.pause(Some(ms(20))), backoff.pause(None)), (ms(20), ms(40)));
        let mut none = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!([(); 2].map(|()| none.pause(None)), [REMOTE_WRITE_PAUSE_LEAST; 2]);
    }
}
