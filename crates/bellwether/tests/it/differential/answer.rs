//! What a server says to a query, and whether two servers say the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// How far apart two values may be, as a share of the smaller one: that of the compliance tool.
const TOLERANCE: f64 = 1e-5;

/// An answer whose series are in an order that does not depend on who answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Refused or failed: kind of error and message.
    Failed(String, String),
    /// A string.
    Text(String),
    /// Anything with values: type of the result, and samples by labels.
    Series(String, BTreeMap<String, Vec<(i64, f64)>>),
}

impl Answer {
    /// Reads the body of an answer of Prometheus' API. Warnings are left aside: Prometheus 2.42 has none.
    pub(crate) fn read(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("no JSON: {e}: {body}"));
        if body["status"] != "success" {
            return Self::Failed(text(&body["errorType"]), text(&body["error"]));
        }
        let data = &body["data"];
        let (kind, result) = (text(&data["resultType"]), &data["result"]);
        let mut series = BTreeMap::new();
        match kind.as_str() {
            "string" => return Self::Text(text(&result[1])),
            "scalar" => drop(series.insert(String::new(), vec![sample(result)])),
            _ => {
                for one in result.as_array().unwrap_or_else(|| panic!("no list: {body}")) {
                    let samples = match one["values"].as_array() {
                        Some(samples) => samples.iter().map(sample).collect(),
                        None => vec![sample(&one["value"])],
                    };
                    let twice = series.insert(one["metric"].to_string(), samples);
                    assert!(twice.is_none(), "a series twice: {}", one["metric"]);
                }
            }
        }
        Self::Series(kind, series)
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Series(_, series) => series.len(),
            _ => 0,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sample(pair: &Value) -> (i64, f64) {
    let seconds = pair[0].as_f64().unwrap_or_else(|| panic!("no time: {pair}"));
    let value = pair[1].as_str().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no value: {pair}"));
    ((seconds * 1000.0).round() as i64, value)
}

/// Whether two values count as the same.
fn same_value(a: f64, b: f64) -> bool {
    let close = || a.is_finite() && b.is_finite() && (a - b).abs() <= TOLERANCE * a.abs().min(b.abs());
    a == b || (a.is_nan() && b.is_nan()) || close()
}

/// The first difference between Prometheus' answer and Bellwether's, in words.
pub(crate) fn difference(prometheus: &Answer, bellwether: &Answer) -> Option<String> {
    let (kind, there, here) = match (prometheus, bellwether) {
        (Answer::Failed(a, _), Answer::Failed(b, _)) if a == b => return None,
        (Answer::Text(a), Answer::Text(b)) if a == b => return None,
        (Answer::Series(a, there), Answer::Series(b, here)) if a == b => (a, there, here),
        _ => return Some(format!("{} instead of {}", shown(bellwether), shown(prometheus))),
    };
    for (labels, wanted) in there {
        let Some(got) = here.get(labels) else {
            return Some(format!(
                "{kind}: {labels} is missing, {} instead of {} series",
                here.len(),
                there.len()
            ));
        };
        let other = wanted.iter().zip(got).find(|(w, g)| w.0 != g.0 || !same_value(w.1, g.1));
        if let Some((w, g)) = other {
            let (t, u) = (w.0 as f64 / 1e3, g.0 as f64 / 1e3);
            return Some(format!("{kind}: {labels}: {} at {u} instead of {} at {t}", g.1, w.1));
        }
        if wanted.len() != got.len() {
            return Some(format!("{kind}: {labels}: {} samples instead of {}", got.len(), wanted.len()));
        }
    }
    let more = here.keys().find(|labels| !there.contains_key(*labels))?;
    Some(format!("{kind}: {more} is too much, {} instead of {} series", here.len(), there.len()))
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Failed(kind, message) => format!("an error ({kind}: {message})"),
        Answer::Text(text) => format!("the text {text:?}"),
        Answer::Series(kind, series) => format!("a {kind} of {} series", series.len()),
    }
}

#[test]
fn answers_are_told_apart() {
    let vector = |samples: &str| {
        Answer::read(&format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{samples}]}}}}"
        ))
    };
    let a = |value: &str| format!("{{\"metric\":{{\"a\":\"1\"}},\"value\":[1.5,\"{value}\"]}}");
    let failed = |kind: &str| {
        Answer::read(&format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":\"no\"}}"))
    };
    let same = |x: &Answer, y: &Answer| difference(x, y).is_none() && difference(y, x).is_none();
    assert!(same(&vector(&a("100000")), &vector(&a("100001"))));
    assert!(!same(&vector(&a("100000")), &vector(&a("100002"))));
    assert!(same(&vector(&a("NaN")), &vector(&a("NaN"))));
    assert!(same(&vector(&a("+Inf")), &vector(&a("+Inf"))));
    assert!(!same(&vector(&a("+Inf")), &vector(&a("-Inf"))));
    assert!(!same(&vector(&a("0")), &vector(&a("NaN"))));
    assert!(!same(&vector(&a("0")), &vector(&a("1e-30"))));
    assert!(!same(&vector(&a("0")), &vector("")));
    assert!(same(&failed("execution"), &failed("execution")));
    assert!(!same(&failed("execution"), &failed("bad_data")));
    assert!(!same(&failed("execution"), &vector("")));
}
