//! Answers in a form that can be compared: without the order in which series come, and without metric names, which
//! VictoriaMetrics keeps where Prometheus drops them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::limits::SAME_VALUE;

/// What a server answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Series by their labels; times in milliseconds.
    Series(BTreeMap<String, Vec<(i64, f64)>>),
    /// Names, values or label sets.
    Set(BTreeSet<String>),
}

impl Answer {
    /// Reads the `data` of an answer of Prometheus' API.
    pub(crate) fn read(data: &Value) -> Result<Self> {
        if let Some(list) = data.as_array() {
            return Ok(Self::Set(list.iter().map(label_set).collect()));
        }
        let result = data["result"].as_array().context("an answer has a result")?;
        let mut series = BTreeMap::new();
        for one in result {
            let samples = match (&one["values"], &one["value"]) {
                (Value::Array(values), _) => values.iter().map(sample).collect::<Result<Vec<_>>>()?,
                (_, value @ Value::Array(_)) => vec![sample(value)?],
                _ => bail!("a series has no values: {one}"),
            };
            let mut labels = one["metric"].clone();
            if let Some(labels) = labels.as_object_mut() {
                // If that makes two series one, neither is dropped: the second keeps its name.
                let name = labels.remove("__name__");
                let key = label_set(&Value::Object(labels.clone()));
                if let (true, Some(name)) = (series.contains_key(&key), name) {
                    labels.insert("__name__".to_owned(), name);
                }
            }
            series.insert(label_set(&labels), samples);
        }
        Ok(Self::Series(series))
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Series(s) => s.is_empty(),
            Self::Set(s) => s.is_empty(),
        }
    }

    /// Where this differs from a reference, in words.
    pub(crate) fn differences(&self, reference: &Self) -> Vec<String> {
        match (self, reference) {
            (Self::Series(a), Self::Series(b)) => series_differences(a, b),
            (Self::Set(a), Self::Set(b)) => {
                let missing = b.difference(a).map(|x| format!("{x} is missing"));
                missing.chain(a.difference(b).map(|x| format!("{x} is too much"))).collect()
            }
            _ => vec!["the answers are of different kinds".to_owned()],
        }
    }
}

type Series = BTreeMap<String, Vec<(i64, f64)>>;

fn series_differences(a: &Series, b: &Series) -> Vec<String> {
    let mut found: Vec<String> =
        b.keys().filter(|k| !a.contains_key(*k)).map(|k| format!("{k} is missing")).collect();
    for (key, ours) in a {
        let Some(theirs) = b.get(key) else {
            found.push(format!("{key} is too much"));
            continue;
        };
        let theirs: BTreeMap<i64, f64> = theirs.iter().copied().collect();
        let ours: BTreeMap<i64, f64> = ours.iter().copied().collect();
        for t in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            match (ours.get(t), theirs.get(t)) {
                (Some(x), Some(y)) if same(*x, *y) => {}
                (x, y) => {
                    let show = |v: Option<&f64>| v.map_or("nothing".to_owned(), f64::to_string);
                    found.push(format!("{key} at {t}: {}, not {}", show(x), show(y)));
                }
            }
        }
    }
    found
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= SAME_VALUE * a.abs().max(b.abs()).max(1.0)
}

fn sample(value: &Value) -> Result<(i64, f64)> {
    let t = value[0].as_f64().context("a sample has a time")?;
    let v = value[1].as_str().context("a sample has a value")?;
    let v = match v {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().with_context(|| format!("{number:?} is no number"))?,
    };
    Ok(((t * 1000.0).round() as i64, v))
}

/// Labels in one order, whatever the order in the JSON was.
fn label_set(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(labels) => {
            let sorted: BTreeMap<&String, &str> =
                labels.iter().map(|(n, v)| (n, v.as_str().unwrap_or(""))).collect();
            let pairs: Vec<String> = sorted.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            format!("{{{}}}", pairs.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matrix(metric: &Value, values: &Value) -> Answer {
        let one = json!({"metric": metric, "values": values});
        Answer::read(&json!({"resultType": "matrix", "result": [one]})).unwrap()
    }

    #[test]
    fn order_names_and_rounding_do_not_matter() {
        let a = matrix(&json!({"__name__": "m", "a": "1", "b": "2"}), &json!([[1.5, "3"], [2.5, "NaN"]]));
        let b = matrix(&json!({"b": "2", "a": "1"}), &json!([[1.5, "3.0000000001"], [2.5, "NaN"]]));
        assert_eq!(a.differences(&b), Vec::<String>::new());
        assert!(!a.is_empty());
    }

    #[test]
    fn differences_are_told() {
        let a = matrix(&json!({"a": "1"}), &json!([[1, "3"], [2, "4"]]));
        let b = matrix(&json!({"a": "1"}), &json!([[1, "3.1"], [3, "+Inf"]]));
        let c = matrix(&json!({"a": "2"}), &json!([[1, "3"]]));
        assert_eq!(
            a.differences(&b),
            [
                "{a=\"1\"} at 1000: 3, not 3.1",
                "{a=\"1\"} at 2000: 4, not nothing",
                "{a=\"1\"} at 3000: nothing, not inf"
            ]
        );
        assert_eq!(a.differences(&c), ["{a=\"2\"} is missing", "{a=\"1\"} is too much"]);
    }

    #[test]
    fn vectors_and_sets_are_answers_too() {
        let vector = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "x"}, "value": [1, "2"]},
            {"metric": {"__name__": "y"}, "value": [1, "3"]},
        ]});
        let Answer::Series(series) = Answer::read(&vector).unwrap() else { panic!("series") };
        assert_eq!(series.keys().collect::<Vec<_>>(), ["{__name__=\"y\"}", "{}"]);
        let set = |v: Value| Answer::read(&v).unwrap();
        let (a, b) = (set(json!(["x", "y"])), set(json!(["y", "z"])));
        assert_eq!(a.differences(&b), ["z is missing", "x is too much"]);
        assert!(set(json!([])).is_empty());
        let labels = set(json!([{"b": "2", "a": "1"}]));
        assert!(labels.differences(&set(json!([{"a": "1", "b": "2"}]))).is_empty());
        assert_eq!(labels.differences(&Answer::Series(BTreeMap::new())).len(), 1);
        assert!(Answer::read(&json!({"result": [{"metric": {}}]})).is_err());
    }
}
