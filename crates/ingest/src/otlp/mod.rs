//! OTLP metrics: an `ExportMetricsServiceRequest` becomes series and samples, as Prometheus translates them.
//!
//! A request is read field by field from its bytes, straight into the flat buffers of a batch; JSON is turned into the same bytes first. What
//! is wrong with one data point costs that data point; bytes that are no message cost the request.

mod body;
mod delta;
mod exponential;
mod histogram;
mod json;
mod labels;
mod metric;
mod names;
mod number;
mod point;
mod resource;
mod schema;
mod summary;
mod target;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Result};

pub use body::{Format, check_gzip, unfold, unfolded_len};
pub use delta::Accumulator;

use crate::decoded::{Decoded, Intake, Stop};
use crate::protobuf::{Malformed, Reader};
use crate::{LabelLimits, Starts};
use labels::LabelSet;
use value::Attribute;

/// How names of OpenTelemetry become names of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Translation {
    /// What names may not have becomes underscores; units and kinds are added.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// What names may not have becomes underscores.
    UnderscoreEscapingWithoutSuffixes,
    /// Units and kinds are added.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl Translation {
    fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    fn adds_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }
}

/// Which of a resource's attributes all its series have as labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// Those named.
    Only(HashSet<String>),
    /// All but those named.
    AllBut(HashSet<String>),
}

impl Default for Promotion {
    fn default() -> Self {
        Self::Only(HashSet::new())
    }
}

impl Promotion {
    fn promotes(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }
}

/// What is made of sums and histograms that say what was added since the last time, instead of since the start.
#[derive(Debug, Clone, Default)]
pub enum Deltas {
    /// They are refused.
    #[default]
    Refuse,
    /// They are stored as they are: `otlp-native-delta-ingestion`.
    Store,
    /// They are added up: `otlp-deltatocumulative`.
    AddUp(Arc<Accumulator>),
}

/// How requests are translated: the section `otlp` of the configuration, and features.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `translation_strategy`
    pub translation: Translation,
    /// `promote_resource_attributes`, or `promote_all_resource_attributes` and `ignore_resource_attributes`.
    pub promotion: Promotion,
    /// `keep_identifying_resource_attributes`: `target_info` has what `job` and `instance` are made of, too.
    pub keep_identifying_resource_attributes: bool,
    /// `convert_histograms_to_nhcb`: histograms with bounds become native ones.
    pub convert_histograms_to_nhcb: bool,
    /// `promote_scope_metadata`: series have the scope's name, version and attributes.
    pub promote_scope_metadata: bool,
    /// `label_name_underscore_sanitization`: no label begins with a single underscore.
    pub label_name_underscore_sanitization: bool,
    /// `label_name_preserve_multiple_underscores`
    pub label_name_preserve_multiple_underscores: bool,
    /// What is made of deltas.
    pub deltas: Deltas,
    /// `type-and-unit-labels`: series have `__type__` and `__unit__`.
    pub type_and_unit_labels: bool,
    /// `created-timestamp-zero-ingestion`: a zero is stored where a counter started, if it is not known to have one.
    pub start_zeros: Option<Arc<Starts>>,
    /// `st-storage`: samples have when their counting began, as far as the sender says it.
    pub starts: bool,
    /// How far back queries look for a sample: `target_info` has one in each half of it.
    pub lookback: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            translation: Translation::default(),
            promotion: Promotion::default(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            // As in Prometheus, which had no setting for these two at first.
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            deltas: Deltas::default(),
            type_and_unit_labels: false,
            start_zeros: None,
            starts: false,
            lookback: Duration::from_secs(300),
        }
    }
}

/// Translates an `ExportMetricsServiceRequest`. An error is one of the request as a whole: nothing of it is to be stored. `now_ms` decides
/// which sums of deltas nobody adds to any more.
pub fn decode(message: &[u8], settings: &Settings, limits: LabelLimits, now_ms: i64) -> Result<Decoded> {
    let mut request = Request {
        settings,
        limits,
        now_ms,
        intake: Intake::default(),
        labels: LabelSet::default(),
        packed: Vec::new(),
        attributes: Vec::new(),
        collisions: HashSet::new(),
        targets: HashSet::new(),
    };
    match request.read(message) {
        Ok(()) => Ok(request.intake.out),
        Err(stop) => Err(stop.into_error("OTLP request")),
    }
}

/// A request that is being read.
struct Request<'a, 's> {
    settings: &'s Settings,
    limits: LabelLimits,
    now_ms: i64,
    intake: Intake,
    labels: LabelSet,
    packed: Vec<u8>,
    /// Those of the data point that is being read, in order of their names.
    attributes: Vec<Attribute<'a>>,
    /// Labels that were said to be made of several attributes.
    collisions: HashSet<String>,
    /// Samples of `target_info` that there are, by the hash of their labels and their time.
    targets: HashSet<(u64, i64)>,
}

/// Why a data point cannot be taken, or the request.
enum Bad {
    Point(Error),
    Request(Stop),
}

impl From<Error> for Bad {
    fn from(e: Error) -> Self {
        Self::Point(e)
    }
}

impl From<Stop> for Bad {
    fn from(stop: Stop) -> Self {
        Self::Request(stop)
    }
}

impl From<Malformed> for Bad {
    fn from(m: Malformed) -> Self {
        Self::Request(m.into())
    }
}

impl<'a> Request<'a, '_> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if number == 1 {
                self.resource_metrics(value.bytes()?)?;
            }
        }
        Ok(())
    }

    /// Refuses so many data points.
    fn refuse(&mut self, points: u64, why: Error) {
        self.intake.out.refused.points += points;
        self.intake.out.refused.note(why);
    }

    /// Takes what became of a data point.
    fn settle_point(&mut self, result: Result<(), Bad>) -> Result<(), Stop> {
        match result {
            Ok(()) => Ok(()),
            Err(Bad::Point(why)) => {
                self.refuse(1, why);
                Ok(())
            }
            Err(Bad::Request(stop)) => Err(stop),
        }
    }
}
