//! `status/self_metrics`: the program's own metrics, as the JSON of Prometheus' protobuf messages.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

pub(crate) async fn self_metrics(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let pattern = match params.get("metric_name_pattern") {
        Some(text) => Some(
            base::compile_anchored(text)
                .map_err(|e| ApiError::bad_data(format!("invalid metric_name_pattern: {e}")))?,
        ),
        None => None,
    };
    state.engine.update_gauges();
    let families = state.registry.gather();
    let wanted = |f: &&MetricFamily| pattern.as_ref().is_none_or(|p| p.is_match(f.name()));
    let shown: Vec<Value> = families.iter().filter(wanted).map(family).collect();
    Ok(json::success(&shown))
}

/// A message in protobuf's JSON: what is not set is left out, 64-bit integers and what is no number are text.
fn family(f: &MetricFamily) -> Value {
    let metric_type = match f.get_field_type() {
        MetricType::COUNTER => "COUNTER",
        MetricType::GAUGE => "GAUGE",
        MetricType::SUMMARY => "SUMMARY",
        MetricType::HISTOGRAM => "HISTOGRAM",
        MetricType::UNTYPED => "UNTYPED",
    };
    let metrics: Vec<Value> = f.get_metric().iter().map(|m| metric(m, f.get_field_type())).collect();
    json!({"name": f.name(), "help": f.help(), "type": metric_type, "metric": metrics})
}

fn metric(m: &Metric, metric_type: MetricType) -> Value {
    let mut out = Map::new();
    if !m.get_label().is_empty() {
        let label = |l: &LabelPair| json!({"name": l.name(), "value": l.value()});
        out.insert("label".into(), m.get_label().iter().map(label).collect());
    }
    match metric_type {
        MetricType::COUNTER => {
            out.insert("counter".into(), json!({"value": number(m.get_counter().get_value())}));
        }
        MetricType::GAUGE => {
            out.insert("gauge".into(), json!({"value": number(m.get_gauge().get_value())}));
        }
        MetricType::HISTOGRAM => {
            let h = m.get_histogram();
            let buckets: Vec<Value> = h
                .get_bucket()
                .iter()
                .map(|b| {
                    json!({"cumulativeCount": b.cumulative_count().to_string(), "upperBound": number(b.upper_bound())})
                })
                .collect();
            let count = h.get_sample_count().to_string();
            let histogram =
                json!({"sampleCount": count, "sampleSum": number(h.get_sample_sum()), "bucket": buckets});
            out.insert("histogram".into(), histogram);
        }
        MetricType::SUMMARY => {
            let s = m.get_summary();
            let quantiles: Vec<Value> = s
                .get_quantile()
                .iter()
                .map(|q| json!({"quantile": number(q.quantile()), "value": number(q.value())}))
                .collect();
            let count = s.sample_count().to_string();
            let summary =
                json!({"sampleCount": count, "sampleSum": number(s.sample_sum()), "quantile": quantiles});
            out.insert("summary".into(), summary);
        }
        MetricType::UNTYPED => {}
    }
    Value::Object(out)
}

fn number(value: f64) -> Value {
    if value.is_finite() {
        return json!(value);
    }
    json!(match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    })
}

#[cfg(test)]
mod tests {
    use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

    use super::*;

    #[test]
    fn families_are_as_protobufs_json() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("a_total", "A."), &["x"]).unwrap();
        counter.with_label_values(&["y"]).inc_by(3);
        registry.register(Box::new(counter)).unwrap();
        let gauge = Gauge::new("b", "B.").unwrap();
        gauge.set(f64::NEG_INFINITY);
        registry.register(Box::new(gauge)).unwrap();
        let histogram = Histogram::with_opts(HistogramOpts::new("c", "C.").buckets(vec![1.0])).unwrap();
        histogram.observe(0.5);
        registry.register(Box::new(histogram)).unwrap();
        let shown: Vec<Value> = registry.gather().iter().map(family).collect();
        let labels = json!([{"name": "x", "value": "y"}]);
        assert_eq!(
            shown[0],
            json!({"name": "a_total", "help": "A.", "type": "COUNTER", "metric": [{"label": labels, "counter": {"value": 3.0}}]})
        );
        assert_eq!(shown[1]["metric"], json!([{"gauge": {"value": "-Infinity"}}]));
        let buckets = json!([{"cumulativeCount": "1", "upperBound": 1.0}]);
        assert_eq!(
            shown[2]["metric"],
            json!([{"histogram": {"sampleCount": "1", "sampleSum": 0.5, "bucket": buckets}}])
        );
    }
}
