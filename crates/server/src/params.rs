//! Request parameters: the query string and, for a form that is posted or put, the body, as Prometheus reads them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use base::{TimeRange, parse_duration};

use crate::error::{ApiError, ApiResult};
use crate::limits::{BODY_READ_TIMEOUT, MAX_FORM_BYTES, MAX_PARAMETERS};

/// The parameters of a request. Those of a form body come before those of the query string.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    fn extend(&mut self, encoded: &[u8]) {
        // One more than there may be shows that there are too many.
        let room = (MAX_PARAMETERS + 1).saturating_sub(self.pairs.len());
        self.pairs.extend(form_urlencoded::parse(encoded).into_owned().take(room));
    }

    #[cfg(test)]
    pub(crate) fn from_query(query: &str) -> Self {
        let mut params = Self::default();
        params.extend(query.as_bytes());
        params
    }

    /// The first value of a parameter, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `limit`; zero or absent means none.
    pub(crate) fn limit(&self) -> ApiResult<Option<usize>> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        let n: i64 = text.parse().map_err(|_| {
            ApiError::invalid_parameter(
                "limit",
                format_args!("strconv.Atoi: parsing {text:?}: invalid syntax"),
            )
        })?;
        let n = usize::try_from(n)
            .map_err(|_| ApiError::invalid_parameter("limit", "limit must be non-negative"))?;
        Ok((n > 0).then_some(n))
    }

    /// A required time, in milliseconds since the epoch.
    pub(crate) fn time(&self, name: &str) -> ApiResult<i64> {
        parse_time(self.get(name).unwrap_or("")).map_err(|e| ApiError::invalid_parameter(name, e))
    }

    /// An optional time.
    pub(crate) fn time_or(&self, name: &str, default_ms: i64) -> ApiResult<i64> {
        let Some(text) = self.get(name) else { return Ok(default_ms) };
        parse_time(text).map_err(|e| {
            ApiError::invalid_parameter(name, format_args!("invalid time value for '{name}': {e}"))
        })
    }

    /// `start` and `end`, each unbounded when absent.
    pub(crate) fn range(&self) -> ApiResult<TimeRange> {
        Ok(TimeRange::new(
            self.time_or("start", TimeRange::ALL.start_ms)?,
            self.time_or("end", TimeRange::ALL.end_ms)?,
        ))
    }

    /// An optional duration that must not be negative.
    pub(crate) fn duration(&self, name: &str) -> ApiResult<Option<Duration>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = parse_duration_ms(text).map_err(|e| ApiError::invalid_parameter(name, e))?;
        Ok(Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
    }

    /// `step`, in milliseconds, above zero.
    pub(crate) fn step_ms(&self) -> ApiResult<i64> {
        let ms = parse_duration_ms(self.get("step").unwrap_or(""))
            .map_err(|e| ApiError::invalid_parameter("step", e))?;
        if ms <= 0 {
            let cause =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(ApiError::invalid_parameter("step", cause));
        }
        Ok(ms)
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let mut params = Self::default();
        let (parts, body) = request.into_parts();
        if is_form(&parts) {
            params.extend(&read_body(body).await?);
        }
        params.extend(parts.uri.query().unwrap_or("").as_bytes());
        if params.pairs.len() > MAX_PARAMETERS {
            return Err(ApiError::bad_data(format!(
                "cannot take request: it has more than {MAX_PARAMETERS} parameters (limit max_parameters)"
            )));
        }
        Ok(params)
    }
}

fn is_form(parts: &axum::http::request::Parts) -> bool {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mime = content_type.split(';').next().unwrap_or("").trim();
    matches!(parts.method, Method::POST | Method::PUT)
        && mime.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

async fn read_body(body: Body) -> ApiResult<bytes::Bytes> {
    let reading = axum::body::to_bytes(body, MAX_FORM_BYTES);
    let read = tokio::time::timeout(BODY_READ_TIMEOUT, reading).await.map_err(|_| {
        ApiError::bad_data(format!("error parsing form values: they took more than {BODY_READ_TIMEOUT:?}"))
    })?;
    read.map_err(|e| {
        ApiError::bad_data(format!(
            "error parsing form values: cannot read at most {MAX_FORM_BYTES} bytes: {e}"
        ))
    })
}

/// Seconds since the epoch with a fraction, or RFC 3339; in milliseconds.
fn parse_time(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        // Beyond this a float has no exact milliseconds, and no calendar has such a year.
        return if ms.abs() <= 9.0e15 { Ok(ms as i64) } else { Err(bad()) };
    }
    match text {
        // Prometheus' own boundaries, which RFC 3339 cannot express.
        "-292273086-05-16T16:47:06Z" => return Ok(TimeRange::ALL.start_ms),
        "292277025-08-18T07:12:54.999999999Z" => return Ok(TimeRange::ALL.end_ms),
        _ => {}
    }
    chrono::DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).map_err(|_| bad())
}

/// Seconds with a fraction, or a Prometheus duration; in milliseconds.
fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        if seconds.is_nan() || (seconds * 1e9).abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok((seconds * 1000.0) as i64);
    }
    match parse_duration(text) {
        Ok(d) => Ok(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        Err(_) => Err(format!("cannot parse {text:?} to a valid duration")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc3339() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_time(text).ok(), want, "{text}");
        check("1435781451.781", Some(1_435_781_451_781));
        check("1435781451", Some(1_435_781_451_000));
        check("-1.5", Some(-1_500));
        check("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check("2015-07-01T22:10:51+02:00", Some(1_435_781_451_000));
        check("292277025-08-18T07:12:54.999999999Z", Some(i64::MAX));
        for bad in ["", "x", "NaN", "Inf", "1e300", "2015-13-01T00:00:00Z", "now"] {
            check(bad, None);
        }
    }

    #[tokio::test]
    async fn parameters_are_bounded() {
        let form = |parameters: usize| {
            Request::post("/api/v1/series?limit=1")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(vec!["match[]=up"; parameters].join("&")))
                .unwrap()
        };
        let taken = Params::from_request(form(MAX_PARAMETERS - 1), &()).await.unwrap();
        assert_eq!((taken.all("match[]").count(), taken.get("limit")), (MAX_PARAMETERS - 1, Some("1")));
        assert!(Params::from_request(form(MAX_PARAMETERS), &()).await.is_err());
    }

    #[test]
    fn steps_are_seconds_or_durations_above_zero() {
        let step = |text: &str| Params { pairs: vec![("step".into(), text.into())] }.step_ms().ok();
        assert_eq!(step("15"), Some(15_000));
        assert_eq!(step("0.5"), Some(500));
        assert_eq!(step("1h"), Some(3_600_000));
        for bad in ["", "0", "-1", "0s", "x", "NaN", "1e300"] {
            assert_eq!(step(bad), None, "{bad}");
        }
    }
}
