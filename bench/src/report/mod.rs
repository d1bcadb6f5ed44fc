//! What was measured, by server; how it is summed up over runs, shown, and kept.

mod machine;
mod results;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) use self::machine::Machine;
pub(crate) use self::results::update;
use crate::servers::{KINDS, Kind, Programs};

/// What a figure counts, which decides how it is written and which of two is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Bytes,
    /// Bytes for each of something.
    BytesEach,
    /// Samples for each second of CPU time: the only one of which more is better.
    PerCpuSecond,
    Count,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
            Self::BytesEach => "B",
            Self::PerCpuSecond => "per CPU-second",
            Self::Count => "",
        }
    }
}

/// One figure of every server.
#[derive(Debug)]
struct Row {
    what: String,
    unit: Unit,
    /// A row that only the JSON form has.
    detail: bool,
    /// A value per run.
    values: BTreeMap<Kind, Vec<f64>>,
}

impl Row {
    fn median(&self, kind: Kind) -> Option<f64> {
        self.values.get(&kind).and_then(|v| median(v))
    }

    /// Bellwether's figure divided by a peer's.
    fn ratio(&self, peer: Kind) -> Option<f64> {
        let (ours, theirs) = (self.median(Kind::Bellwether)?, self.median(peer)?);
        (theirs != 0.0).then(|| ours / theirs)
    }
}

/// Figures that belong together, of one data set.
#[derive(Debug)]
struct Section {
    title: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// Everything that a benchmark found.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    sections: Vec<Section>,
    /// What must not be: a benchmark with one of these has failed.
    failures: Vec<String>,
}

/// The middle of some values; the mean of the two middle ones if their number is even.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let even = sorted.len().is_multiple_of(2);
    Some(if even { f64::midpoint(sorted[sorted.len() / 2 - 1], upper) } else { upper })
}

/// The geometric mean, for which nothing may be 0.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|v| v.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, sections: Vec::new(), failures: Vec::new() }
    }

    /// The benchmark's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn section(&mut self, title: &str) -> &mut Section {
        let at = self.sections.iter().position(|s| s.title == title).unwrap_or_else(|| {
            self.sections.push(Section { title: title.to_owned(), rows: Vec::new(), notes: Vec::new() });
            self.sections.len() - 1
        });
        &mut self.sections[at]
    }

    /// Adds the value of one run.
    pub(crate) fn put(&mut self, section: &str, what: &str, unit: Unit, kind: Kind, value: f64) {
        self.add(section, what, unit, false, kind, value);
    }

    /// The same for a figure that would only fill the table.
    pub(crate) fn put_detail(&mut self, section: &str, what: &str, unit: Unit, kind: Kind, value: f64) {
        self.add(section, what, unit, true, kind, value);
    }

    fn add(&mut self, section: &str, what: &str, unit: Unit, detail: bool, kind: Kind, value: f64) {
        let rows = &mut self.section(section).rows;
        let at = rows.iter().position(|r| r.what == what && r.detail == detail).unwrap_or_else(|| {
            rows.push(Row { what: what.to_owned(), unit, detail, values: BTreeMap::new() });
            rows.len() - 1
        });
        rows[at].values.entry(kind).or_default().push(value);
    }

    /// Adds a remark, once.
    pub(crate) fn note(&mut self, section: &str, text: String) {
        let notes = &mut self.section(section).notes;
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// Says that something is wrong, once.
    pub(crate) fn fail(&mut self, text: String) {
        if !self.failures.contains(&text) {
            self.failures.push(text);
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Medians of the rows of a section, for sums over them.
    pub(crate) fn medians(&self, section: &str, kind: Kind) -> Vec<(String, f64)> {
        let rows = self.sections.iter().filter(|s| s.title == section).flat_map(|s| &s.rows);
        rows.filter(|r| !r.detail).filter_map(|r| Some((r.what.clone(), r.median(kind)?))).collect()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(&table::text(section));
            text.push('\n');
        }
        for failure in &self.failures {
            text.push_str(&format!("FAILED {failure}\n"));
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self, machine: &Machine, programs: &Programs, date: &str) -> Value {
        let by_kind = |get: &dyn Fn(Kind) -> Value| -> Value {
            let pairs = programs.kinds().into_iter().map(|k| (k.to_string().to_lowercase(), get(k)));
            Value::Object(pairs.collect())
        };
        let row = |r: &Row| {
            json!({
                "what": r.what,
                "unit": r.unit.name(),
                "runs": by_kind(&|k| json!(r.values.get(&k))),
                "median": by_kind(&|k| json!(r.median(k))),
                "ratio": by_kind(&|k| json!((k != Kind::Bellwether).then(|| r.ratio(k)).flatten())),
            })
        };
        let section = |s: &Section| {
            json!({
                "title": s.title,
                "rows": s.rows.iter().map(row).collect::<Vec<_>>(),
                "notes": s.notes,
            })
        };
        json!({
            "benchmark": self.name,
            "date": date,
            "machine": machine.json(),
            "versions": by_kind(&|k| json!(programs.version(k))),
            "sections": self.sections.iter().map(section).collect::<Vec<_>>(),
            "failures": self.failures,
        })
    }
}

/// Peers that a table has a column of ratios for.
fn peers(section: &Section) -> Vec<Kind> {
    let seen = |kind: &Kind| section.rows.iter().any(|r| r.values.contains_key(kind));
    KINDS.into_iter().filter(|k| *k != Kind::Bellwether).filter(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_means() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert!((geometric_mean(&[1.0, 100.0]).unwrap() - 10.0).abs() < 1e-9);
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn runs_are_summed_up_and_compared() {
        let mut report = Report::new("x");
        for v in [1.0, 5.0, 3.0] {
            report.put("s", "took", Unit::Seconds, Kind::Bellwether, v);
            report.put("s", "took", Unit::Seconds, Kind::Prometheus, 2.0 * v);
        }
        report.put_detail("s", "took", Unit::Seconds, Kind::Bellwether, 9.0);
        report.note("s", "n".into());
        report.note("s", "n".into());
        let row = &report.sections[0].rows[0];
        assert_eq!((row.median(Kind::Bellwether), row.ratio(Kind::Prometheus)), (Some(3.0), Some(0.5)));
        assert_eq!(row.ratio(Kind::VictoriaMetrics), None);
        assert_eq!(report.medians("s", Kind::Prometheus), [("took".to_owned(), 6.0)]);
        assert_eq!((report.sections[0].rows.len(), report.sections[0].notes.len()), (2, 1));
        assert!(!report.has_failed());
        report.fail("f".into());
        assert!(report.has_failed() && report.text().contains("FAILED f"));
    }
}
