//! Samples on their way, and the requests they become.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Exemplar, Histogram, Labels, Metadata, Result};
use ingest::send::{Outgoing, OutgoingValue, compress, write_v1, write_v2};

use super::config::WriteMessage;

/// A sample that waits to be sent.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The labels that it is sent with.
    pub(super) labels: Labels,
    pub(super) t_ms: i64,
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
    let outgoing = items.iter().map(|item| Outgoing {
        labels: &item.labels,
        t_ms: item.t_ms,
        value: match &item.value {
            ItemValue::Float(value) => OutgoingValue::Float(*value),
            ItemValue::Histogram(h) => OutgoingValue::Histogram(h),
            ItemValue::Exemplar(e) => OutgoingValue::Exemplar { labels: &e.labels, value: e.value },
        },
        metadata: if message == WriteMessage::V2 { of_metric(metadata, item.labels.metric()) } else { None },
    });
    match message {
        WriteMessage::V1 => write_v1(outgoing, scratch),
        WriteMessage::V2 => write_v2(outgoing, scratch),
    }
    compress(scratch)
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
}
