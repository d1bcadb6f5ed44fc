//! `query_exemplars`.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::Exemplar;
use engine::{Annotations, QueryFailure, SelectedExemplars};

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

pub(crate) async fn query_exemplars(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let range = params.range()?;
    if range.end_ms < range.start_ms {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let query = params.get("query").unwrap_or("");
    let found = state.engine.query_exemplars(query, range).await.map_err(|e| match e {
        QueryFailure::Rejected(e) => ApiError::bad_data(e.message()),
        QueryFailure::Execute(e) => e.into(),
    })?;
    // A query that selects nothing has no answer, rather than an empty one.
    let Some(found) = found else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let mut annotations = Annotations::default();
    if found.truncated {
        annotations.warnings.push("results truncated due to limit".into());
    }
    Ok(json::success_raw(&body(&found), &annotations))
}

fn body(found: &SelectedExemplars) -> String {
    let mut out = String::new();
    json::write_list(&mut out, &found.series, |out, of| {
        out.push_str("{\"seriesLabels\":");
        json::write_labels(out, &of.labels);
        out.push_str(",\"exemplars\":");
        json::write_list(out, &of.exemplars, write_exemplar);
        out.push('}');
    });
    out
}

fn write_exemplar(out: &mut String, e: &Exemplar) {
    out.push_str("{\"labels\":");
    json::write_labels(out, &e.labels);
    out.push_str(",\"value\":\"");
    json::write_float(out, e.value);
    out.push_str("\",\"timestamp\":");
    json::write_timestamp(out, e.t_ms);
    write!(out, "}}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use base::Labels;
    use engine::ExemplarSeries;

    use super::*;

    #[test]
    fn exemplars_are_as_prometheus_writes_them() {
        let exemplar =
            |t_ms, value| Exemplar { labels: Labels::from_pairs([("trace_id", "x")]), value, t_ms };
        let found = SelectedExemplars {
            series: vec![ExemplarSeries {
                labels: Labels::from_pairs([("__name__", "m")]),
                exemplars: vec![exemplar(1_600_096_945_479, 6.0), exemplar(1_600_096_946_000, f64::INFINITY)],
            }],
            truncated: false,
        };
        let want = concat!(
            r#"[{"seriesLabels":{"__name__":"m"},"exemplars":["#,
            r#"{"labels":{"trace_id":"x"},"value":"6","timestamp":1600096945.479},"#,
            r#"{"labels":{"trace_id":"x"},"value":"+Inf","timestamp":1600096946}]}]"#
        );
        assert_eq!(body(&found), want);
        assert_eq!(body(&SelectedExemplars::default()), "[]");
    }
}
