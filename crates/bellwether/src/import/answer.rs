//! The answer of `query_range` of a server, as series.

use base::{Error, Labels, Result, Sample};
use engine::Series;
use serde_json::Value;

/// What a query of a range gave.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) series: Vec<Series>,
    pub(super) warnings: Vec<String>,
    /// Native histograms that the answer did not have whole.
    pub(super) histograms_left_out: usize,
}

/// Reads the data of an answer. Of native histograms Prometheus' API tells the buckets, but not how they are laid out.
pub(super) fn matrix(data: &Value) -> Result<Answer> {
    let bad = || Error::invalid("cannot read the answer of the server: it is no result of a range");
    if data["resultType"] != "matrix" {
        return Err(bad());
    }
    let mut answer = Answer::default();
    for series in data["result"].as_array().ok_or_else(bad)? {
        let metric = series["metric"].as_object().ok_or_else(bad)?;
        let labels = metric.iter().map(|(n, v)| Some((n.as_str(), v.as_str()?)));
        let labels = Labels::from_pairs(labels.collect::<Option<Vec<_>>>().ok_or_else(bad)?);
        let samples = series["values"].as_array().into_iter().flatten().map(sample);
        let samples = samples.collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        answer.histograms_left_out += series["histograms"].as_array().map_or(0, Vec::len);
        answer.series.push(Series { labels, samples, histograms: Vec::new() });
    }
    Ok(answer)
}

fn sample(point: &Value) -> Option<Sample> {
    let t_ms = (point[0].as_f64()? * 1000.0).round() as i64;
    // As the API writes them: NaN, +Inf and -Inf too.
    Some(Sample { t_ms, value: point[1].as_str()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read_as_servers_write_them() {
        let data = json!({"resultType": "matrix", "result": [
            {"metric": {"__name__": "a", "b": "c"}, "values": [[1.5, "2"], [2, "+Inf"], [3, "-Inf"], [4, "NaN"]]},
            {"metric": {}, "histograms": [[1, {"count": "1", "sum": "2"}]]},
        ]});
        let answer = matrix(&data).unwrap();
        assert_eq!(answer.series[0].labels, Labels::from_pairs([("__name__", "a"), ("b", "c")]));
        let samples = &answer.series[0].samples;
        assert_eq!((samples[0].t_ms, samples[0].value), (1500, 2.0));
        assert_eq!((samples[1].value, samples[2].value), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(samples[3].value.is_nan());
        assert_eq!(answer.histograms_left_out, 1);
        for bad in [
            json!({"resultType": "vector", "result": []}),
            json!({"resultType": "matrix", "result": [{"metric": {"a": 1}}]}),
            json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, 2]]}]}),
        ] {
            assert!(matrix(&bad).is_err(), "{bad}");
        }
    }
}
