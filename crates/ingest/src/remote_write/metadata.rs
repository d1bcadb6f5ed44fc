//! A `prometheus.MetricMetadata`, and the metric types of both versions.

use base::{Metadata, MetricType};

use crate::protobuf::{Malformed, Reader};

/// Reads a description with the metric family that it is of; none if its texts are not UTF-8.
pub(super) fn read(message: &[u8]) -> Result<Option<(&str, Metadata)>, Malformed> {
    let (mut metric_type, mut family, mut help, mut unit) = (0, &[][..], &[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => metric_type = value.varint()?,
            2 => family = value.bytes()?,
            4 => help = value.bytes()?,
            5 => unit = value.bytes()?,
            _ => {}
        }
    }
    let text = std::str::from_utf8;
    let (Ok(family), Ok(help), Ok(unit)) = (text(family), text(help), text(unit)) else { return Ok(None) };
    let metric_type = type_of(metric_type);
    Ok(Some((family, Metadata { metric_type, help: help.into(), unit: unit.into() })))
}

/// The metric type that a number stands for, in both versions.
pub(super) fn type_of(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::Stateset,
        _ => MetricType::Unknown,
    }
}
