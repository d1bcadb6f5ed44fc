//! The parameters of a search.

use base::{Matcher, TimeRange};

use super::filter::{Algorithm, Filter};
use crate::error::{ApiError, ApiResult};
use crate::limits::{MAX_SEARCH_LIMIT, MAX_SEARCH_TERM_CHARS, MAX_SEARCH_TERMS};
use crate::params::Params;
use crate::prometheus::series::matcher_sets;

/// The names of the ways to find values that are only similar.
pub(crate) const FUZZY_ALGORITHMS: [&str; 2] = ["subsequence", "jarowinkler"];

/// Results, and results of a line, unless the request says how many.
const DEFAULT_COUNT: usize = 100;

/// How far back is searched unless the request says so.
const DEFAULT_RANGE_MS: i64 = 3_600_000;

/// How results are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
    Score,
}

/// What is searched for, and how much of it is wanted.
pub(super) struct SearchParams {
    pub(super) sets: Vec<Vec<Matcher>>,
    pub(super) range: TimeRange,
    pub(super) filter: Option<Filter>,
    pub(super) order: Order,
    pub(super) include_score: bool,
    pub(super) limit: usize,
    pub(super) batch_size: usize,
}

impl SearchParams {
    pub(super) fn read(params: &Params, endpoint: &str, now_ms: i64) -> ApiResult<Self> {
        let plain = |e: ApiError, name: &str| {
            ApiError::bad_data(e.message.replace(&format!("invalid parameter {name:?}: "), ""))
        };
        let start_ms = params.time_or("start", now_ms - DEFAULT_RANGE_MS).map_err(|e| plain(e, "start"))?;
        let end_ms = params.time_or("end", now_ms).map_err(|e| plain(e, "end"))?;
        if end_ms < start_ms {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let sets = matcher_sets(params)?;
        let terms = params.all("search[]").count();
        if terms > MAX_SEARCH_TERMS {
            return Err(ApiError::bad_data(format!(
                "too many search[] terms: got {terms}, maximum is {MAX_SEARCH_TERMS}"
            )));
        }
        if params.all("search[]").any(|term| term.chars().count() > MAX_SEARCH_TERM_CHARS) {
            return Err(ApiError::bad_data(format!(
                "search[] term too long: maximum is {MAX_SEARCH_TERM_CHARS} characters (limit max_search_term_chars)"
            )));
        }
        let threshold = threshold(params)?;
        let algorithm = algorithm(params)?;
        let case_sensitive = boolean(params, "case_sensitive", true)?;
        let include_score = boolean(params, "include_score", false)?;
        Ok(Self {
            sets,
            range: TimeRange::new(start_ms, end_ms),
            filter: Filter::new(params.all("search[]"), case_sensitive, algorithm, threshold),
            order: order(params, endpoint, terms > 0)?,
            include_score,
            limit: limit(params)?,
            batch_size: count(params, "batch_size")?.unwrap_or(DEFAULT_COUNT),
        })
    }
}

/// In parts of one.
fn threshold(params: &Params) -> ApiResult<f64> {
    let Some(text) = params.get("fuzz_threshold") else { return Ok(0.0) };
    match text.parse::<u8>() {
        Ok(n) if n <= 100 => Ok(f64::from(n) / 100.0),
        _ => Err(ApiError::bad_data(format!("invalid fuzz_threshold {text:?}: must be 0-100"))),
    }
}

fn algorithm(params: &Params) -> ApiResult<Algorithm> {
    match params.get("fuzz_alg") {
        None | Some("subsequence") => Ok(Algorithm::Subsequence),
        Some("jarowinkler") => Ok(Algorithm::JaroWinkler),
        Some(other) => {
            let known = FUZZY_ALGORITHMS.join(" ");
            Err(ApiError::bad_data(format!("unsupported fuzz_alg {other:?}: must be one of [{known}]")))
        }
    }
}

fn order(params: &Params, endpoint: &str, searches: bool) -> ApiResult<Order> {
    let bad = |text: String| Err(ApiError::bad_data(text));
    let (by, direction) = (params.get("sort_by"), params.get("sort_dir"));
    match (by, direction) {
        (None, Some(_)) => return bad("sort_dir is only valid when sort_by is set".into()),
        (Some("score"), Some(_)) => return bad("sort_dir is not supported for sort_by=score".into()),
        (_, Some(other)) if other != "asc" && other != "dsc" => {
            return bad(format!("invalid sort_dir {other:?}: must be \"asc\" or \"dsc\""));
        }
        (Some("score"), None) if !searches => {
            return bad("sort_by=score requires search[] to be set".into());
        }
        _ => {}
    }
    match by {
        Some("score") => Ok(Order::Score),
        Some("alpha") if direction == Some("dsc") => Ok(Order::Descending),
        None | Some("alpha") => Ok(Order::Ascending),
        Some(other) => {
            bad(format!("invalid sort_by {other:?} for {endpoint}: must be \"alpha\" or \"score\""))
        }
    }
}

fn limit(params: &Params) -> ApiResult<usize> {
    match count(params, "limit")? {
        None => Ok(DEFAULT_COUNT),
        Some(n) if n > MAX_SEARCH_LIMIT => Err(ApiError::bad_data(format!(
            "limit {n} exceeds the maximum ({MAX_SEARCH_LIMIT}, limit max_search_limit)"
        ))),
        Some(n) => Ok(n),
    }
}

/// A number above zero.
fn count(params: &Params, name: &str) -> ApiResult<Option<usize>> {
    let Some(text) = params.get(name) else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(n) if n > 0 => Ok(Some(n)),
        _ => Err(ApiError::bad_data(format!("invalid {name} {text:?}: must be a positive integer"))),
    }
}

/// A truth value as Go writes them.
pub(super) fn boolean(params: &Params, name: &str, default: bool) -> ApiResult<bool> {
    match params.get(name) {
        None => Ok(default),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some(other) => Err(ApiError::bad_data(format!("invalid {name} {other:?}: must be boolean"))),
    }
}
