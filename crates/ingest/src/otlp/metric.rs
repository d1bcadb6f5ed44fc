//! Metrics: names, descriptions, and which data points there are.

use base::{Error, METRIC_NAME, Metadata, MetricType};
use xxhash_rust::xxh3::Xxh3;

use super::labels::Origin;
use super::names::{self, Kind};
use super::resource::{Context, hash_part};
use super::{Deltas, Request};
use crate::decoded::Stop;
use crate::limits::QUOTED_CHARS;
use crate::protobuf::{Malformed, Reader};

/// Which kind of data a metric has, by the field that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

/// A metric as it is on the wire.
pub(super) struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    data: Option<(Data, &'a [u8])>,
}

impl<'a> Metric<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut metric = Metric { name: &[], description: &[], unit: &[], data: None };
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => metric.name = value.bytes()?,
                2 => metric.description = value.bytes()?,
                3 => metric.unit = value.bytes()?,
                5 => metric.data = Some((Data::Gauge, value.bytes()?)),
                7 => metric.data = Some((Data::Sum, value.bytes()?)),
                9 => metric.data = Some((Data::Histogram, value.bytes()?)),
                10 => metric.data = Some((Data::Exponential, value.bytes()?)),
                11 => metric.data = Some((Data::Summary, value.bytes()?)),
                _ => {}
            }
        }
        Ok(metric)
    }
}

/// What the data of a metric say of all their data points.
#[derive(Default)]
struct Nature {
    points: u64,
    temporality: u64,
    monotonic: bool,
}

impl Nature {
    fn read(data: &[u8]) -> Result<Self, Malformed> {
        let mut nature = Self::default();
        let mut reader = Reader::new(data);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => nature.points += 1,
                2 => nature.temporality = value.varint()?,
                3 => nature.monotonic = value.varint()? != 0,
                _ => {}
            }
        }
        Ok(nature)
    }
}

/// Sums and histograms that say what was added, or what there is in all.
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// A metric as its data points need it.
pub(super) struct Described {
    pub(super) data: Data,
    /// The name in Prometheus.
    pub(super) name: String,
    /// Whether data points say what was added since the last time.
    pub(super) delta: bool,
    pub(super) monotonic: bool,
    /// Hash of what tells it from other metrics.
    identity: Vec<u8>,
}

impl Described {
    pub(super) fn hash(&self, hash: &mut Xxh3) {
        hash_part(hash, &self.identity);
    }

    /// Whether deltas are stored as they are.
    pub(super) fn stored_deltas(&self, deltas: &Deltas) -> bool {
        self.delta && matches!(deltas, Deltas::Store)
    }
}

impl<'a> Request<'a, '_> {
    pub(super) fn metric(&mut self, metric: &Metric<'a>, context: &mut Context) -> Result<(), Stop> {
        let Some((data, bytes)) = metric.data else {
            self.refuse(0, Error::invalid(format!("metric {} has no data", quoted(metric.name))));
            return Ok(());
        };
        let nature = Nature::read(bytes)?;
        if nature.points == 0 {
            let warnings = &mut self.intake.out.warnings;
            warnings.empty_data_points += 1;
            warnings.note(|| format!("empty data points. {} is dropped", quoted(metric.name)));
            return Ok(());
        }
        let start = self.labels.mark();
        match self.describe(metric, data, &nature) {
            Err(why) => self.refuse(nature.points, why),
            Ok(described) => {
                let mut reader = Reader::new(bytes);
                let points = self.labels.mark();
                while let Some((number, value)) = reader.field()? {
                    if number == 1 {
                        let message = value.bytes()?;
                        context.note(time_ns(message)?);
                        let result = match data {
                            Data::Gauge | Data::Sum => self.number(message, &described, context),
                            Data::Histogram => self.histogram(message, &described, context),
                            Data::Exponential => self.exponential(message, &described, context),
                            Data::Summary => self.summary(message, &described),
                        };
                        self.settle_point(result)?;
                        self.labels.back_to(points);
                    }
                }
            }
        }
        self.labels.back_to(start);
        Ok(())
    }

    /// Checks that a metric can be taken, names it, and says what it is.
    fn describe(&mut self, metric: &Metric<'a>, data: Data, nature: &Nature) -> base::Result<Described> {
        let text = |bytes: &'a [u8]| {
            let bad =
                || Error::invalid(format!("cannot take metric {}: it is not UTF-8", quoted(metric.name)));
            std::str::from_utf8(bytes).map_err(|_| bad())
        };
        let (name, help, unit) = (text(metric.name)?, text(metric.description)?, text(metric.unit)?);
        let takes_deltas = !matches!(self.settings.deltas, Deltas::Refuse);
        let has_temporality = matches!(data, Data::Sum | Data::Histogram | Data::Exponential);
        let known = match nature.temporality {
            CUMULATIVE => true,
            DELTA => takes_deltas,
            _ => false,
        };
        if has_temporality && !known {
            return Err(Error::invalid(format!(
                "invalid temporality and type combination for metric {}",
                quoted(metric.name)
            )));
        }
        let kind = match data {
            Data::Gauge => Kind::Gauge,
            Data::Sum if nature.monotonic => Kind::Counter,
            _ => Kind::Other,
        };
        let full = names::metric(name, unit, kind, self.settings.translation).map_err(Error::invalid)?;
        let mut identity = Vec::new();
        for part in [metric.name, metric.unit, &[data as u8, u8::from(nature.monotonic)]] {
            identity.extend_from_slice(&part.len().to_le_bytes());
            identity.extend_from_slice(part);
        }
        let delta = has_temporality && nature.temporality == DELTA;
        let described = Described { data, name: full, delta, monotonic: nature.monotonic, identity };
        let metric_type = match data {
            _ if described.stored_deltas(&self.settings.deltas) => MetricType::Unknown,
            Data::Gauge => MetricType::Gauge,
            Data::Sum if nature.monotonic => MetricType::Counter,
            Data::Sum => MetricType::Gauge,
            Data::Histogram | Data::Exponential => MetricType::Histogram,
            Data::Summary => MetricType::Summary,
        };
        if self.settings.type_and_unit_labels {
            if metric_type != MetricType::Unknown {
                self.labels.push("__type__", metric_type.as_str(), Origin::Typed);
            }
            let unit = names::unit(&names::unit(unit, false), !self.settings.translation.escapes());
            if !unit.is_empty() {
                self.labels.push("__unit__", &unit, Origin::Typed);
            }
        }
        let metadata = Metadata { metric_type, help: help.into(), unit: names::unit(unit, false).into() };
        self.intake.describe(&described.name, metadata);
        Ok(described)
    }

    /// The labels beside those of a data point: the name of the metric.
    pub(super) fn named(described: &Described) -> [(&'static str, &str); 1] {
        [(METRIC_NAME, &described.name)]
    }
}

/// The time of a data point of any kind.
fn time_ns(message: &[u8]) -> Result<u64, Malformed> {
    let mut time_ns = 0;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == 3 {
            time_ns = value.fixed64()?;
        }
    }
    Ok(time_ns)
}

fn quoted(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&name[..name.len().min(QUOTED_CHARS)]).into_owned();
    format!("{text:?}")
}
