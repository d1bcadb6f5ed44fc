//! `bellwether tsdb analyze`: which labels make the series, over everything that is stored.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base::{Labels, Result, TimeRange};
use serde_json::{Value, json};

use super::args::{Analyze, Format};
use super::{matchers, open};
use crate::lake_commands::text;

/// Reads all series and describes them.
pub(super) async fn run(options: &Analyze) -> Result<bool> {
    let matchers = options.selector.as_deref().map_or(Ok(Vec::new()), matchers)?;
    let store = open(&options.path).await?;
    let mut found = Found { time: store.time(), ..Found::default() };
    let length_ms = found.length_ms();
    let mut export = Box::pin(store.export(&matchers, TimeRange::ALL)).await?;
    let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(series) = export.next().await? {
        for at in 0..series.len() {
            series.decode(at, &mut timestamps, &mut values)?;
            let floats = timestamps.first().copied().zip(timestamps.last().copied());
            series.decode_histograms(at, &mut timestamps, &mut histograms)?;
            let others = timestamps.first().copied().zip(timestamps.last().copied());
            let times = floats.into_iter().chain(others);
            let covered = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).map_or(0, |(from, to)| to - from);
            found.add(series.labels(at), length_ms.saturating_sub(covered.unsigned_abs()));
        }
    }
    drop(export);
    store.close().await?;
    text::print(&match options.format {
        Format::Text => found.text(options),
        Format::Json => format!("{:#}\n", found.json(options)),
    })?;
    Ok(true)
}

/// What the series have.
#[derive(Default)]
struct Found {
    time: Option<TimeRange>,
    series: u64,
    entries: u64,
    labels: BTreeMap<String, Label>,
    metrics: BTreeMap<String, u64>,
}

/// What a label has.
#[derive(Default)]
struct Label {
    /// Milliseconds that its series do not cover, together.
    uncovered_ms: u128,
    /// Its values: series and uncovered milliseconds of each.
    values: BTreeMap<String, (u64, u128)>,
}

/// A heading with its entries, the largest first.
type Section = (&'static str, Vec<(u64, String)>);

impl Found {
    fn length_ms(&self) -> u64 {
        self.time.map_or(0, |t| t.start_ms.abs_diff(t.end_ms))
    }

    fn add(&mut self, labels: &Labels, uncovered_ms: u64) {
        self.series += 1;
        for (name, value) in labels {
            self.entries += 1;
            let label = self.labels.entry(name.to_owned()).or_default();
            label.uncovered_ms += u128::from(uncovered_ms);
            let of_value = label.values.entry(value.to_owned()).or_default();
            of_value.0 += 1;
            of_value.1 += u128::from(uncovered_ms);
        }
        if !labels.metric().is_empty() {
            *self.metrics.entry(labels.metric().to_owned()).or_default() += 1;
        }
    }

    /// promtool's lists. Churn counts a series by the part of the time that it is not there.
    fn sections(&self, limit: usize) -> Vec<Section> {
        let length_ms = u128::from(self.length_ms().max(1));
        let part = |uncovered_ms: u128| u64::try_from(uncovered_ms / length_ms).unwrap_or(u64::MAX);
        let pairs = || {
            self.labels.iter().flat_map(|(name, label)| {
                label.values.iter().map(move |(value, of)| (format!("{name}={value}"), of))
            })
        };
        let labels =
            |of: &dyn Fn(&Label) -> u64| self.labels.iter().map(|(n, l)| (of(l), n.clone())).collect();
        let top = |heading, mut entries: Vec<(u64, String)>| {
            entries.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            entries.truncate(limit);
            (heading, entries)
        };
        vec![
            top("Label pairs most involved in churning", pairs().map(|(n, of)| (part(of.1), n)).collect()),
            top("Label names most involved in churning", labels(&|l| part(l.uncovered_ms))),
            top("Most common label pairs", pairs().map(|(n, of)| (of.0, n)).collect()),
            top(
                "Label names with highest cumulative label value length",
                labels(&|l| l.values.keys().map(|v| v.len() as u64).sum()),
            ),
            top("Highest cardinality labels", labels(&|l| l.values.len() as u64)),
            top(
                "Highest cardinality metric names",
                self.metrics.iter().map(|(n, c)| (*c, n.clone())).collect(),
            ),
        ]
    }

    fn pairs(&self) -> usize {
        self.labels.values().map(|l| l.values.len()).sum()
    }

    fn text(&self, options: &Analyze) -> String {
        let mut out = format!(
            "Duration: {}\nTotal Series: {}\n",
            base::format_duration(Duration::from_millis(self.length_ms())),
            self.series
        );
        if let Some(selector) = &options.selector {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "Matcher: {selector}");
        }
        let (labels, pairs, entries) = (self.labels.len(), self.pairs(), self.entries);
        let _ = write!(
            out,
            "Label names: {labels}\nPostings (unique label pairs): {pairs}\nPostings entries (total label pairs): {entries}\n"
        );
        for (heading, entries) in self.sections(options.limit) {
            let _ = write!(out, "\n{heading}:\n");
            for (count, name) in entries {
                let _ = writeln!(out, "{count} {name}");
            }
        }
        out
    }

    fn json(&self, options: &Analyze) -> Value {
        let lists: serde_json::Map<String, Value> = self
            .sections(options.limit)
            .into_iter()
            .map(|(heading, entries)| {
                let entries: Vec<Value> =
                    entries.into_iter().map(|(count, name)| json!({"name": name, "count": count})).collect();
                (heading.to_owned(), Value::Array(entries))
            })
            .collect();
        json!({
            "durationMs": self.length_ms(), "series": self.series, "labelNames": self.labels.len(),
            "labelPairs": self.pairs(), "entries": self.entries, "lists": lists,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::METRIC_NAME;

    use super::*;

    #[test]
    fn counts_series_values_and_what_comes_and_goes() {
        let mut found = Found { time: Some(TimeRange::new(0, 100)), ..Found::default() };
        for (metric, instance, uncovered) in [("up", "a", 0), ("up", "b", 100), ("x", "bcd", 100)] {
            let labels = Labels::from_pairs([(METRIC_NAME, metric), ("instance", instance)]);
            found.add(&labels, uncovered);
        }
        let options = Analyze { path: "d".into(), limit: 1, selector: None, format: Format::Text };
        assert_eq!(
            found.text(&options),
            "Duration: 100ms\nTotal Series: 3\nLabel names: 2\nPostings (unique label pairs): 5\n\
             Postings entries (total label pairs): 6\n\nLabel pairs most involved in churning:\n1 __name__=up\n\n\
             Label names most involved in churning:\n2 __name__\n\nMost common label pairs:\n2 __name__=up\n\n\
             Label names with highest cumulative label value length:\n5 instance\n\nHighest cardinality labels:\n3 instance\n\n\
             Highest cardinality metric names:\n2 up\n"
        );
        let names: BTreeSet<_> = found.labels.keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["__name__", "instance"]));
    }
}
