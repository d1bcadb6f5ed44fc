//! `bellwether query analyze`: how many buckets of histograms are populated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base::Error;
use serde_json::Value;

use super::args::Analyze;
use super::client::{Client, Failure};
use super::{print, seconds};

const HEADER: &str = "Bucket stats for each histogram series over time
------------------------------------------------
First the min, avg, and max number of populated buckets, followed by the total
number of buckets (only if different from the max number of populated buckets
which is typical for classic but not native histograms).";

const FOOTER: &str = "Aggregated bucket stats
-----------------------
Each line shows min/avg/max over the series above.";

/// Populated buckets of one series over time.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Statistics {
    min: usize,
    avg: f64,
    max: usize,
    total: usize,
}

impl Statistics {
    /// From the number of populated buckets at each moment.
    fn of(populated: &[usize], total: usize) -> Option<Self> {
        let (min, max) = (*populated.iter().min()?, *populated.iter().max()?);
        let avg = populated.iter().sum::<usize>() as f64 / populated.len() as f64;
        Some(Self { min, avg, max, total })
    }

    fn text(&self) -> String {
        let populated = format!("{}/{:.3}/{}", self.min, self.avg, self.max);
        if self.max == self.total { populated } else { format!("{populated}/{}", self.total) }
    }
}

/// Asks for the series and describes them.
pub(super) fn run(client: &Client, options: &Analyze, now_ms: i64) -> Result<String, Failure> {
    let time = seconds(options.time.unwrap_or(now_ms));
    let (mut native, mut classic) = (Vec::new(), Vec::new());
    let mut out = format!("{HEADER}\n\n");
    for selector in &options.selectors {
        let query = format!("{selector}[{}]", base::format_duration(options.duration));
        let parameters = [("query", query), ("time", time.clone())];
        let (data, _) = client.api("/api/v1/query", &parameters, true)?;
        if data["resultType"] != "matrix" {
            return Err(Error::invalid(format!("cannot analyze {selector}: it selects no series")).into());
        }
        let mut histograms: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for series in data["result"].as_array().into_iter().flatten() {
            let metric = &series["metric"];
            if series["histograms"].is_array() && !series["values"].is_array() {
                if let Some(found) = of_native(series) {
                    line(&mut out, &print::metric(metric), "native", &found);
                    native.push(found);
                }
            } else if let Some(name) = classic_name(metric) {
                histograms.entry(name).or_default().push(series);
            }
        }
        for (name, buckets) in histograms {
            if let Some(found) = of_classic(buckets)? {
                line(&mut out, &name, "classic", &found);
                classic.push(found);
            }
        }
    }
    let _ = write!(out, "\n{FOOTER}\n");
    for (kind, found) in [("Native", native), ("Classic", classic)] {
        if !found.is_empty() {
            let _ = write!(out, "\n{kind} {}\n", aggregated(&found));
        }
    }
    Ok(out)
}

fn line(out: &mut String, name: &str, kind: &str, found: &Statistics) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "- {name} ({kind}): {}", found.text());
}

/// What the buckets of one classic histogram have in common.
fn classic_name(metric: &Value) -> Option<String> {
    let name = metric[base::METRIC_NAME].as_str().filter(|n| n.ends_with("_bucket"))?;
    let mut labels = metric.as_object()?.clone();
    labels.remove("le")?;
    labels.remove(base::METRIC_NAME);
    Some(format!("{name}{}", print::label_set(&Value::Object(labels))))
}

fn of_native(series: &Value) -> Option<Statistics> {
    let histograms = series["histograms"].as_array().filter(|h| h.len() > 1)?;
    let mut all = BTreeSet::new();
    let mut populated = Vec::with_capacity(histograms.len());
    for histogram in histograms {
        let buckets = histogram[1]["buckets"].as_array().map_or(&[][..], Vec::as_slice);
        all.extend(buckets.iter().map(|b| format!("{} {} {}", b[0], b[1], b[2])));
        populated.push(buckets.len());
    }
    Statistics::of(&populated, all.len())
}

/// Counts the buckets with something in them at each moment; nothing where there is only one moment.
fn of_classic(mut buckets: Vec<&Value>) -> Result<Option<Statistics>, Failure> {
    let bound = |b: &Value| b["metric"]["le"].as_str().and_then(|le| le.parse().ok()).unwrap_or(0.0_f64);
    buckets.sort_by(|a, b| bound(a).total_cmp(&bound(b)));
    let columns: Vec<&[Value]> =
        buckets.iter().map(|b| b["values"].as_array().map_or(&[][..], Vec::as_slice)).collect();
    let moments = columns.first().map_or(0, |c| c.len());
    if moments < 2 {
        return Ok(None);
    }
    let count = |point: &Value| point[1].as_str().and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    let mut populated = Vec::with_capacity(moments);
    for i in 0..moments {
        let mut before = 0.0;
        let mut filled = 0;
        for column in &columns {
            let Some(point) = column.get(i) else { break };
            if point[0] != columns[0][i][0] {
                let text = "cannot analyze a classic histogram: its buckets are not of the same times";
                return Err(Error::invalid(text).into());
            }
            let now = count(point);
            filled += usize::from((now - before) as i64 != 0);
            before = now;
        }
        populated.push(filled);
    }
    Ok(Statistics::of(&populated, columns.len()))
}

fn aggregated(found: &[Statistics]) -> String {
    let over = |of: &dyn Fn(&Statistics) -> usize| {
        let values: Vec<usize> = found.iter().map(of).collect();
        Statistics::of(&values, 0).map_or(String::new(), |s| format!("{}/{:.3}/{}", s.min, s.avg, s.max))
    };
    let (max, total) = (over(&|s| s.max), over(&|s| s.total));
    let mut out = format!(
        "histogram series ({} in total):\n- min populated: {}\n- avg populated: {}\n- max populated: {max}",
        found.len(),
        over(&|s| s.min),
        over(&|s| s.avg as usize),
    );
    if max != total {
        let _ = write!(out, "\n- total: {total}");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn populated_buckets_are_counted_at_each_moment() {
        let bucket = |le: &str, a: &str, b: &str| json!({"metric": {"__name__": "x_bucket", "le": le, "j": "k"}, "values": [[1, a], [2, b]]});
        let all = [bucket("+Inf", "3", "5"), bucket("1", "1", "1"), bucket("2", "3", "4")];
        assert_eq!(classic_name(&all[0]["metric"]).as_deref(), Some("x_bucket{j=\"k\"}"));
        let found = of_classic(all.iter().collect()).ok().flatten().unwrap();
        assert_eq!(found, Statistics { min: 2, avg: 2.5, max: 3, total: 3 });
        assert_eq!(found.text(), "2/2.500/3");
        assert_eq!(
            aggregated(&[found]),
            "histogram series (1 in total):\n- min populated: 2/2.000/2\n- avg populated: 2/2.000/2\n- max populated: 3/3.000/3"
        );
    }

    #[test]
    fn native_histograms_list_their_populated_buckets() {
        let series = json!({"histograms": [
            [1, {"buckets": [[0, "1", "2", "1"]]}], [2, {"buckets": [[0, "1", "2", "1"], [0, "2", "4", "1"]]}]]});
        assert_eq!(of_native(&series), Some(Statistics { min: 1, avg: 1.5, max: 2, total: 2 }));
    }
}
