//! `series`, `labels`, `label/<name>/values`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use base::{Matcher, Regexes};
use engine::Annotations;

use super::json;
use super::query::lookup_error;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

pub(crate) async fn series(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (limit, range) = (params.limit()?, params.range()?);
    let sets = matcher_sets(&params).map_err(|e| ApiError::invalid_parameter("match[]", e.message))?;
    let found = state.engine.series(&sets, range, one_more(limit)).await.map_err(lookup_error)?;
    let (kept, annotations) = cut(&found, limit);
    let mut data = String::from("[");
    for (i, labels) in kept.iter().enumerate() {
        if i > 0 {
            data.push(',');
        }
        json::write_labels(&mut data, labels);
    }
    data.push(']');
    Ok(json::success_raw(&data, &annotations))
}

pub(crate) async fn label_names(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let (limit, range) = (params.limit()?, params.range()?);
    let sets = matcher_sets(&params)?;
    let names = state.engine.label_names(&sets, range).await.map_err(lookup_error)?;
    let (kept, annotations) = cut(&names, limit);
    Ok(json::success_warned(&kept, &annotations))
}

pub(crate) async fn label_values(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let (limit, range) = (params.limit()?, params.range()?);
    let sets = matcher_sets(&params)?;
    let values = state.engine.label_values(&name, &sets, range).await.map_err(lookup_error)?;
    let (kept, annotations) = cut(&values, limit);
    Ok(json::success_warned(&kept, &annotations))
}

/// The selectors of `match[]`. One that every series satisfies is refused, as it would read the whole store.
pub(crate) fn matcher_sets(params: &Params) -> ApiResult<Vec<Vec<Matcher>>> {
    let mut regexes = Regexes::default();
    params
        .all("match[]")
        .map(|text| {
            let matchers = engine::parse_selector_with(text, &mut regexes)
                .map_err(|e| ApiError::bad_data(e.to_string()))?;
            if matchers.iter().all(Matcher::matches_empty) {
                return Err(ApiError::bad_data("match[] must contain at least one non-empty matcher"));
            }
            Ok(matchers)
        })
        .collect()
}

/// One more than asked for, so that it is known whether something was cut.
fn one_more(limit: Option<usize>) -> Option<usize> {
    limit.map(|n| n.saturating_add(1))
}

fn cut<T>(items: &[T], limit: Option<usize>) -> (&[T], Annotations) {
    match limit {
        Some(n) if items.len() > n => {
            let warnings = vec!["results truncated due to limit".to_string()];
            (&items[..n], Annotations { warnings, infos: vec![] })
        }
        _ => (items, Annotations::default()),
    }
}

/// Reads a name that was escaped for a path: `U__`, then `_` for itself doubled and `_<hex>_` for any other character.
/// A name that does not read back is taken as it is.
fn unescape_name(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_string() };
    let mut out = String::new();
    while let Some((plain, tail)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = tail.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let decoded = tail
            .split_once('_')
            .and_then(|(hex, after)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, after)));
        let Some((c, after)) = decoded else { return name.to_string() };
        out.push(c);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_read_back() {
        let check = |escaped: &str, want: &str| assert_eq!(unescape_name(escaped), want);
        check("instance", "instance");
        check("U__http_2e_status", "http.status");
        check("U__a__b", "a_b");
        check("U___1f600_", "😀");
        check("U__broken_zz_", "U__broken_zz_");
        check("U__cut_2e", "U__cut_2e");
    }

    #[test]
    fn a_limit_cuts_with_a_warning() {
        assert_eq!(cut(&[1, 2, 3], Some(2)).0, [1, 2]);
        assert_eq!(cut(&[1, 2, 3], Some(2)).1.warnings.len(), 1);
        assert_eq!(cut(&[1, 2], Some(2)), (&[1, 2][..], Annotations::default()));
    }
}
