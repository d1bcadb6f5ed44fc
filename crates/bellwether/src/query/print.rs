//! Results of the API as promtool prints them.

use std::fmt::Write as _;

use serde_json::Value;

/// A result for people: `data` is what a query endpoint gives.
pub(crate) fn value(data: &Value) -> String {
    let result = &data["result"];
    let lines = |each: &dyn Fn(&Value) -> String| {
        result.as_array().into_iter().flatten().map(each).collect::<Vec<_>>().join("\n")
    };
    match data["resultType"].as_str() {
        Some("scalar") => format!("scalar: {} @[{}]", text(&result[1]), timestamp(&result[0])),
        Some("string") => text(&result[1]).to_owned(),
        Some("vector") => lines(&|sample| format!("{} => {}", metric(&sample["metric"]), point(sample))),
        _ => lines(&|series| {
            let of = |key: &str, point: fn(&Value) -> String| -> Vec<String> {
                series[key].as_array().into_iter().flatten().map(point).collect()
            };
            let mut points = of("values", float_point);
            points.extend(of("histograms", histogram_point));
            format!("{} =>\n{}", metric(&series["metric"]), points.join("\n"))
        }),
    }
}

/// A result on one line of JSON, with its floats as promtool writes them.
pub(crate) fn json_value(data: &Value) -> String {
    fn point(point: &mut Value) {
        if let Some(text) = point[1].as_str() {
            point[1] = float(text).into();
        }
    }
    let mut result = data["result"].clone();
    match data["resultType"].as_str() {
        Some("scalar") => point(&mut result),
        Some("string") => {}
        _ => {
            for series in result.as_array_mut().into_iter().flatten() {
                if let Some(value) = series.get_mut("value") {
                    point(value);
                }
                let values = series.get_mut("values").and_then(Value::as_array_mut);
                values.into_iter().flatten().for_each(point);
            }
        }
    }
    json(&result)
}

/// A result or a part of it on one line of JSON, with Go's escapes of what would be HTML.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A set of labels, the metric's name among them.
pub(crate) fn label_set(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels.as_object().into_iter().flatten().map(pair).collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

/// A metric with its labels.
pub(crate) fn metric(labels: &Value) -> String {
    let name = labels[base::METRIC_NAME].as_str();
    let others =
        labels.as_object().into_iter().flatten().filter(|(n, _)| name.is_none() || *n != base::METRIC_NAME);
    let mut pairs: Vec<String> = others.map(pair).collect();
    pairs.sort();
    match (name, pairs.is_empty()) {
        (Some(name), true) => name.to_owned(),
        (name, _) => format!("{}{{{}}}", name.unwrap_or(""), pairs.join(", ")),
    }
}

fn pair((name, value): (&String, &Value)) -> String {
    format!("{name}={:?}", text(value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn point(sample: &Value) -> String {
    if sample["histogram"].is_array() {
        histogram_point(&sample["histogram"])
    } else {
        float_point(&sample["value"])
    }
}

fn float_point(point: &Value) -> String {
    format!("{} @[{}]", float(text(&point[1])), timestamp(&point[0]))
}

/// The number without an exponent, as Go's `f` with as few digits as tell it apart.
fn float(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() => format!("{v}"),
        _ => text.to_owned(),
    }
}

fn timestamp(seconds: &Value) -> String {
    seconds.as_f64().map_or_else(|| seconds.to_string(), |s| format!("{s}"))
}

fn histogram_point(point: &Value) -> String {
    let h = &point[1];
    let number = |v: &Value| text(v).parse::<f64>().unwrap_or(f64::NAN);
    let buckets: Vec<String> = h["buckets"].as_array().into_iter().flatten().map(bucket).collect();
    let (count, sum) = (number(&h["count"]), number(&h["sum"]));
    format!("Count: {count:.6}, Sum: {sum:.6}, Buckets: [{}] @[{}]", buckets.join(" "), timestamp(&point[0]))
}

/// `(lower,upper]:count`; the first number says which ends belong to it.
fn bucket(bucket: &Value) -> String {
    let (open, close) = match bucket[0].as_u64() {
        Some(1) => ('[', ')'),
        Some(2) => ('(', ')'),
        Some(3) => ('[', ']'),
        _ => ('(', ']'),
    };
    format!("{open}{},{}{close}:{}", text(&bucket[1]), text(&bucket[2]), text(&bucket[3]))
}

#[cfg(test)]
mod tests {
    use serde_json::json as j;

    use super::*;

    #[test]
    fn results_read_as_promtool_writes_them() {
        let vector = j!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "a\"b"}, "value": [1.5, "1"]},
            {"metric": {}, "value": [2, "1e+21"]}]});
        assert_eq!(value(&vector), "up{job=\"a\\\"b\"} => 1 @[1.5]\n{} => 1000000000000000000000 @[2]");
        let matrix = j!({"resultType": "matrix", "result": [{"metric": {"__name__": "up"}, "values": [[1, "1"], [2, "NaN"]]}]});
        assert_eq!(value(&matrix), "up =>\n1 @[1]\nNaN @[2]");
        assert_eq!(value(&j!({"resultType": "scalar", "result": [3, "4"]})), "scalar: 4 @[3]");
        assert_eq!(value(&j!({"resultType": "string", "result": [3, "x"]})), "x");
        let histogram = j!({"resultType": "vector", "result": [{"metric": {"a": "b"}, "histogram":
            [1, {"count": "3", "sum": "4.5", "buckets": [[0, "1", "2", "3"]]}]}]});
        assert_eq!(value(&histogram), "{a=\"b\"} => Count: 3.000000, Sum: 4.500000, Buckets: [(1,2]:3] @[1]");
        assert_eq!(label_set(&j!({"b": "2", "__name__": "x"})), "{__name__=\"x\", b=\"2\"}");
        let vector = j!({"resultType": "vector", "result": [{"metric": {}, "value": [2, "1e+03"]}]});
        assert_eq!(json_value(&vector), r#"[{"metric":{},"value":[2,"1000"]}]"#);
        assert_eq!(json(&j!(["<a>"])), "[\"\\u003ca\\u003e\"]");
    }
}
