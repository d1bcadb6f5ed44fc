//! Samples on their way, and the requests they become.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use base::{Exemplar, Histogram, Labels, Metadata, MetricType, Result};
use ingest::send::{Outgoing, OutgoingValue, compress, write_v1, write_v2};

use super::config::WriteMessage;
use crate::scrape::family::{TYPE_LABEL, UNIT_LABEL};

/// A sample that waits to be sent.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The labels that it is sent with.
    pub(super) labels: Labels,
    pub(super) t_ms: i64,
    /// When its counting began; 0 if that is unknown.
    pub(super) start_ms: i64,
    pub(super) value: ItemValue,
    /// The record of the log that it came in.
    pub(super) record: u64,
    /// It may have been sent before.
    pub(super) again: bool,
}

#[derive(Debug, Clone)]
pub(super) enum ItemValue {
    Float(f64),
    Histogram(Box<Histogram>),
    Exemplar(Box<Exemplar>),
}

/// Samples by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

impl Counts {
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut counts = Self::default();
        for item in items {
            match item.value {
                ItemValue::Float(_) => counts.samples += 1,
                ItemValue::Histogram(_) => counts.histograms += 1,
                ItemValue::Exemplar(_) => counts.exemplars += 1,
            }
        }
        counts
    }

    pub(super) fn total(self) -> u64 {
        self.samples + self.histograms + self.exemplars
    }
}

/// What is known of metrics, by name.
pub(super) type MetadataByName = HashMap<Arc<str>, Metadata>;

/// The body of a request.
pub(super) fn body(
    items: &[&Item],
    message: WriteMessage,
    metadata: &MetadataByName,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>> {
    scratch.clear();
    let described: Vec<_> = match message {
        WriteMessage::V1 => vec![None; items.len()],
        WriteMessage::V2 => items.iter().map(|item| describe(metadata, &item.labels)).collect(),
    };
    let outgoing = items.iter().zip(&described).map(|(item, metadata)| Outgoing {
        labels: &item.labels,
        t_ms: item.t_ms,
        start_ms: item.start_ms,
        value: match &item.value {
            ItemValue::Float(value) => OutgoingValue::Float(*value),
            ItemValue::Histogram(h) => OutgoingValue::Histogram(h),
            ItemValue::Exemplar(e) => OutgoingValue::Exemplar { labels: &e.labels, value: e.value },
        },
        metadata: metadata.as_deref(),
    });
    match message {
        WriteMessage::V1 => write_v1(outgoing, scratch),
        WriteMessage::V2 => write_v2(outgoing, scratch),
    }
    compress(scratch)
}

const TYPES: [MetricType; 7] = [
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::Stateset,
];

/// What is known of a series' metric. What its own labels say of type and unit comes first (feature `type-and-unit-labels`).
fn describe<'a>(metadata: &'a MetadataByName, labels: &Labels) -> Option<Cow<'a, Metadata>> {
    let known = of_metric(metadata, labels.metric()).map(Cow::Borrowed);
    let (kind, unit) = (labels.get(TYPE_LABEL), labels.get(UNIT_LABEL));
    if kind.is_none() && unit.is_none() {
        return known;
    }
    let mut own = known.map(Cow::into_owned).unwrap_or_default();
    own.metric_type = TYPES.into_iter().find(|t| Some(t.as_str()) == kind).unwrap_or_default();
    own.unit = unit.unwrap_or_default().into();
    Some(Cow::Owned(own))
}

/// What is known of the metric that a series is of: its family may have the name without the end that tells its series apart.
fn of_metric<'a>(metadata: &'a MetadataByName, name: &str) -> Option<&'a Metadata> {
    const ENDS: [&str; 5] = ["_bucket", "_count", "_sum", "_total", "_created"];
    let family = || ENDS.iter().find_map(|end| name.strip_suffix(end)).and_then(|name| metadata.get(name));
    metadata.get(name).or_else(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_family_share_its_metadata() {
        let known = |help: &str| Metadata { help: help.into(), ..Metadata::default() };
        let metadata: MetadataByName =
            [("h".into(), known("of h")), ("c_total".into(), known("of c"))].into_iter().collect();
        let help = |name| of_metric(&metadata, name).map(|m| m.help.to_string());
        assert_eq!(help("h_bucket").as_deref(), Some("of h"));
        assert_eq!(help("c_total").as_deref(), Some("of c"));
        assert_eq!((help("h_min"), help("_count")), (None, None));
    }

    #[test]
    fn labels_of_a_series_come_before_what_is_known_of_its_name() {
        let known = Metadata { metric_type: MetricType::Gauge, help: "x".into(), unit: "seconds".into() };
        let metadata: MetadataByName = [("a".into(), known.clone())].into_iter().collect();
        let of = |labels: &[(&str, &str)]| {
            describe(&metadata, &Labels::from_pairs(labels.iter().copied())).map(Cow::into_owned)
        };
        let own = Metadata { metric_type: MetricType::Counter, help: "x".into(), unit: "".into() };
        assert_eq!(of(&[("__name__", "a"), ("__type__", "counter")]), Some(own));
        assert_eq!(of(&[("__name__", "a")]), Some(known));
        let own = Metadata { unit: "bytes".into(), ..Metadata::default() };
        assert_eq!(of(&[("__name__", "b"), ("__unit__", "bytes"), ("__type__", "odd")]), Some(own));
        assert_eq!(of(&[("__name__", "b")]), None);
    }
}
