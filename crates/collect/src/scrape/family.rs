//! The metric family that the series being read belong to.
//!
//! Owns which series get the labels `__type__` and `__unit__`, and with which values. Prometheus gives a series what the last
//! `# TYPE` and `# UNIT` before it said, whatever metric that was about; here a series that is not of that family gets nothing.

use base::{LabelsBuilder, MetricType};

use crate::exposition::{Escaped, Series};

/// Labels of a series that tell of its metric, by the names that Prometheus has for them.
pub(crate) const TYPE_LABEL: &str = "__type__";
pub(crate) const UNIT_LABEL: &str = "__unit__";

/// What the names of a family's series may have behind the family's own.
const ENDS: [&str; 9] = ["", "_total", "_bucket", "_sum", "_count", "_created", "_info", "_gsum", "_gcount"];

/// Between the bytes of a series and what is said of it; no UTF-8 has it.
const SEPARATOR: u8 = 0xff;

/// What a target said of the family that it describes at the moment.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// As the target wrote it.
    name: Vec<u8>,
    metric_type: MetricType,
    unit: String,
}

impl Family {
    /// Forgets everything: a body begins.
    pub(super) fn clear(&mut self) {
        self.name.clear();
        self.metric_type = MetricType::Unknown;
        self.unit.clear();
    }

    pub(super) fn set_type(&mut self, metric: Escaped<'_>, metric_type: MetricType) {
        self.begin(metric);
        self.metric_type = metric_type;
    }

    pub(super) fn set_unit(&mut self, metric: Escaped<'_>, unit: Escaped<'_>) {
        self.begin(metric);
        self.unit.clear();
        unit.append_to(&mut self.unit);
    }

    /// A line about a family, the one before or another.
    fn begin(&mut self, metric: Escaped<'_>) {
        if self.name != metric.raw() {
            self.clear();
            self.name.extend_from_slice(metric.raw());
        }
    }

    /// Whether anything is known of a series.
    fn describes(&self, series: &Series<'_>) -> bool {
        if self.name.is_empty() || (self.metric_type == MetricType::Unknown && self.unit.is_empty()) {
            return false;
        }
        let end = series.name().raw().strip_prefix(self.name.as_slice());
        end.is_some_and(|end| ENDS.iter().any(|known| known.as_bytes() == end))
    }

    /// Writes what tells a series from others: its own bytes, and what is said of it, since the same bytes are another series when
    /// the target says otherwise.
    pub(super) fn key(&self, series: &Series<'_>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(series.bytes());
        if self.describes(series) {
            out.push(SEPARATOR);
            out.extend_from_slice(self.metric_type.as_str().as_bytes());
            out.push(SEPARATOR);
            out.extend_from_slice(self.unit.as_bytes());
        }
    }

    /// Sets the labels of a series; they win over what the target exposes under these names.
    pub(super) fn label(&self, series: &Series<'_>, labels: &mut LabelsBuilder) {
        if !self.describes(series) {
            return;
        }
        if self.metric_type != MetricType::Unknown {
            labels.set(TYPE_LABEL, self.metric_type.as_str());
        }
        if !self.unit.is_empty() {
            labels.set(UNIT_LABEL, &self.unit);
        }
    }
}
