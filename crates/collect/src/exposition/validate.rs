//! What OpenMetrics 1.0 forbids beyond what the parser refuses.
//!
//! The parser takes what Prometheus takes, which is laxer than the specification. This is the strict reading, for
//! whoever writes an exposition and wants to know whether it is right: metadata before samples and once, families in one
//! piece, the suffixes, labels and values that a type allows, timestamps in order, exemplars where they belong.

use std::collections::{HashMap, HashSet};

use base::{Labels, METRIC_NAME, MetricType};

use super::{Event, Exemplar, Format, ParseError, Parser, Series, number};

/// Characters that names and values of an exemplar's labels may have together, after the specification.
const EXEMPLAR_LABEL_CHARS_MAX: usize = 128;

/// Suffixes that the samples of each type may have; the empty one is the family's own name.
fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricType::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricType::Summary => &["", "_count", "_sum", "_created"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::Stateset | MetricType::Unknown => &[""],
    }
}

/// Checks a whole body. The line of an error is that of the event which shows it.
pub fn openmetrics(body: &[u8]) -> Result<(), ParseError> {
    let mut parser = Parser::new(Format::OpenMetrics, body);
    let mut check = Check::default();
    while let Some(event) = parser.next()? {
        check.line += 1;
        check.event(&event).map_err(|message| ParseError { line: check.line, message })?;
    }
    check.end_family().map_err(|message| ParseError { line: check.line, message })
}

type Checked = Result<(), String>;

#[derive(Default)]
struct Check {
    /// Events seen: in OpenMetrics every line but the last is one, unless quotes hold newlines.
    line: usize,
    family: Option<Family>,
    /// Names that a finished family or its samples have taken.
    taken: HashSet<String>,
}

/// The family that is being read.
struct Family {
    name: String,
    metric_type: MetricType,
    has_type: bool,
    has_help: bool,
    has_unit: bool,
    has_samples: bool,
    /// Label sets of finished groups, without the labels that tell samples of one group apart.
    groups: HashSet<Labels>,
    group: Option<Group>,
}

/// Samples that differ only in `le`, `quantile`, the state, or the suffix.
struct Group {
    labels: Labels,
    /// The last timestamp of the group; `None` before the first sample, `Some(None)` for samples without one.
    timestamp_ms: Option<Option<i64>>,
    /// Label set and timestamp of each sample, to find the same twice.
    seen: HashMap<Labels, Option<i64>>,
    buckets: Buckets,
}

#[derive(Default)]
struct Buckets {
    /// Bound and count of the last bucket.
    last: Option<(f64, f64)>,
    has_negative: bool,
    has_infinite: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Check {
    fn event(&mut self, event: &Event<'_>) -> Checked {
        match event {
            Event::Type { metric, metric_type } => {
                let family = self.family_for_metadata(metric.to_text())?;
                once(&mut family.has_type, "TYPE", &family.name)?;
                family.metric_type = *metric_type;
                self.claim_names()
            }
            Event::Help { metric, .. } => {
                let family = self.family_for_metadata(metric.to_text())?;
                once(&mut family.has_help, "HELP", &family.name)
            }
            Event::Unit { metric, unit } => {
                let family = self.family_for_metadata(metric.to_text())?;
                once(&mut family.has_unit, "UNIT", &family.name)?;
                let unitless = matches!(family.metric_type, MetricType::Info | MetricType::Stateset);
                if unitless && !unit.raw().is_empty() {
                    return Err(format!("{} of type {} cannot have a unit", family.name, family.metric_type));
                }
                Ok(())
            }
            Event::Comment(_) | Event::Histogram(..) => Ok(()),
            Event::Series(series) => self.series(series),
        }
    }

    fn family_for_metadata(&mut self, name: String) -> Result<&mut Family, String> {
        if self.family.as_ref().is_none_or(|f| f.name != name) {
            self.begin_family(name)?;
        }
        let family = self.family.as_mut().ok_or("a family is begun")?;
        if family.has_samples {
            return Err(format!("metadata of {} comes after its samples", family.name));
        }
        Ok(family)
    }

    fn begin_family(&mut self, name: String) -> Checked {
        self.end_family()?;
        if self.taken.contains(&name) {
            return Err(format!("{name} clashes with another family, or is not in one piece"));
        }
        self.family = Some(Family {
            name,
            metric_type: MetricType::Unknown,
            has_type: false,
            has_help: false,
            has_unit: false,
            has_samples: false,
            groups: HashSet::new(),
            group: None,
        });
        Ok(())
    }

    /// Finds names of the present family's samples that an earlier family has.
    fn claim_names(&self) -> Checked {
        let Some(family) = &self.family else { return Ok(()) };
        for suffix in suffixes(family.metric_type) {
            let name = format!("{}{suffix}", family.name);
            if self.taken.contains(&name) {
                return Err(format!("{name} clashes with another family"));
            }
        }
        Ok(())
    }

    fn end_family(&mut self) -> Checked {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.end_group()?;
        self.taken.extend(suffixes(family.metric_type).iter().map(|s| format!("{}{s}", family.name)));
        self.taken.insert(family.name);
        Ok(())
    }

    fn series(&mut self, series: &Series<'_>) -> Checked {
        let name = series.name().to_text();
        let suffix_of = |f: &Family| {
            suffixes(f.metric_type)
                .iter()
                .copied()
                .find(|s| name.strip_suffix(s).is_some_and(|rest| rest == f.name))
        };
        let suffix = match self.family.as_ref().and_then(suffix_of) {
            Some(suffix) => suffix,
            None => {
                // A sample without metadata is a family of unknown type.
                self.begin_family(name)?;
                ""
            }
        };
        let family = self.family.as_mut().ok_or("a family is begun")?;
        family.has_samples = true;
        family.sample(series, suffix)
    }
}

fn once(seen: &mut bool, what: &str, name: &str) -> Checked {
    if std::mem::replace(seen, true) { Err(format!("{what} of {name} comes twice")) } else { Ok(()) }
}

impl Family {
    fn sample(&mut self, series: &Series<'_>, suffix: &str) -> Checked {
        let labels = series.to_builder().build();
        self.check_value(series.value, suffix, &labels)?;
        self.check_labels(suffix, &labels)?;
        if let Some(exemplar) = series.exemplar {
            self.check_exemplar(&exemplar, suffix)?;
        }
        let key = match self.metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => "le",
            MetricType::Summary => "quantile",
            MetricType::Stateset => self.name.as_str(),
            _ => "",
        };
        let of_group = labels.filtered(|n| n != key && n != METRIC_NAME);
        if self.group.as_ref().is_none_or(|g| g.labels != of_group) {
            self.end_group()?;
            if self.groups.contains(&of_group) {
                return Err(format!("samples of {} with {of_group} are not in one piece", self.name));
            }
            self.group = Some(Group {
                labels: of_group,
                timestamp_ms: None,
                seen: HashMap::new(),
                buckets: Buckets::default(),
            });
        }
        let Some(group) = &mut self.group else { return Ok(()) };
        let next_point = group.add(labels.clone(), series.timestamp_ms, &self.name)?;
        if matches!(self.metric_type, MetricType::Histogram | MetricType::GaugeHistogram) {
            if next_point {
                std::mem::take(&mut group.buckets).check(self.metric_type, &self.name)?;
            }
            group.buckets.add(&labels, suffix, series.value, &self.name)?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Checked {
        let Some(group) = self.group.take() else { return Ok(()) };
        if matches!(self.metric_type, MetricType::Histogram | MetricType::GaugeHistogram) {
            group.buckets.check(self.metric_type, &self.name)?;
        }
        self.groups.insert(group.labels);
        Ok(())
    }

    fn check_value(&self, value: f64, suffix: &str, labels: &Labels) -> Checked {
        use MetricType as T;
        let counts = match self.metric_type {
            T::Counter => suffix == "_total",
            T::Histogram => matches!(suffix, "_bucket" | "_count" | "_sum"),
            T::GaugeHistogram => matches!(suffix, "_bucket" | "_gcount"),
            T::Summary => matches!(suffix, "_count" | "_sum"),
            _ => false,
        };
        let bad = match self.metric_type {
            T::GaugeHistogram if suffix == "_gsum" => value.is_nan(),
            // A quantile may be unknown, which NaN says.
            T::Summary if suffix.is_empty() => value < 0.0,
            T::Info => value != 1.0,
            T::Stateset => value != 0.0 && value != 1.0,
            _ => counts && (value.is_nan() || value < 0.0),
        };
        if bad {
            Err(format!("{labels} of type {} cannot have the value {value}", self.metric_type))
        } else {
            Ok(())
        }
    }

    fn check_labels(&self, suffix: &str, labels: &Labels) -> Checked {
        use MetricType as T;
        let missing =
            |label: &str| Err(format!("{labels} of type {} needs the label {label}", self.metric_type));
        match self.metric_type {
            T::Histogram | T::GaugeHistogram if suffix == "_bucket" => match float_label(labels, "le") {
                Some(bound) if !bound.is_nan() => Ok(()),
                _ => missing("le, a number"),
            },
            T::Summary if suffix.is_empty() => match float_label(labels, "quantile") {
                Some(quantile) if (0.0..=1.0).contains(&quantile) => Ok(()),
                _ => missing("quantile, from 0 to 1"),
            },
            T::Stateset if labels.get(&self.name).is_none() => missing(&self.name),
            _ => Ok(()),
        }
    }

    fn check_exemplar(&self, exemplar: &Exemplar<'_>, suffix: &str) -> Checked {
        let allowed = match self.metric_type {
            MetricType::Counter => suffix == "_total",
            MetricType::Histogram | MetricType::GaugeHistogram => suffix == "_bucket",
            _ => false,
        };
        if !allowed {
            return Err(format!(
                "{}{suffix} of type {} cannot have an exemplar",
                self.name, self.metric_type
            ));
        }
        let chars: usize =
            exemplar.labels().map(|(n, v)| n.to_text().chars().count() + v.to_text().chars().count()).sum();
        if chars > EXEMPLAR_LABEL_CHARS_MAX {
            return Err(format!(
                "labels of an exemplar have {chars} characters, the limit is {EXEMPLAR_LABEL_CHARS_MAX}"
            ));
        }
        Ok(())
    }
}

impl Group {
    /// Adds a sample; returns whether a new point of the group begins.
    fn add(&mut self, labels: Labels, timestamp_ms: Option<i64>, family: &str) -> Result<bool, String> {
        let next_point = match (self.timestamp_ms, timestamp_ms) {
            (None, _) => false,
            (Some(Some(last)), Some(now)) if now < last => {
                return Err(format!("timestamps of {family} go back"));
            }
            (Some(Some(last)), Some(now)) => now > last,
            (Some(None), None) => false,
            _ => return Err(format!("samples of {family} have timestamps and have none")),
        };
        self.timestamp_ms = Some(timestamp_ms);
        let before = self.seen.insert(labels, timestamp_ms);
        if before.is_some() && timestamp_ms.is_none() {
            return Err(format!("a sample of {family} comes twice"));
        }
        Ok(next_point)
    }
}

impl Buckets {
    fn add(&mut self, labels: &Labels, suffix: &str, value: f64, family: &str) -> Checked {
        match suffix {
            "_bucket" => {
                let bound = float_label(labels, "le").unwrap_or(f64::NAN);
                if let Some((last_bound, last_count)) = self.last {
                    if bound <= last_bound {
                        return Err(format!("buckets of {family} are not in order"));
                    }
                    if value < last_count {
                        return Err(format!("buckets of {family} do not grow"));
                    }
                }
                self.last = Some((bound, value));
                self.has_negative |= bound < 0.0;
                self.has_infinite |= bound == f64::INFINITY;
            }
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" | "_gsum" => self.sum = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn check(self, metric_type: MetricType, family: &str) -> Checked {
        let gauge = metric_type == MetricType::GaugeHistogram;
        let fail = |what: &str| Err(format!("{family} of type {metric_type} {what}"));
        if !self.has_infinite {
            return fail("has no bucket with le=\"+Inf\"");
        }
        if let (Some((_, last)), Some(count)) = (self.last, self.count)
            && last != count
        {
            return fail("has another count than its last bucket");
        }
        if self.has_negative && !gauge && self.sum.is_some() {
            return fail("has buckets below zero and a sum");
        }
        if !self.has_negative && gauge && self.sum.is_some_and(|s| s < 0.0) {
            return fail("has no buckets below zero and a sum below zero");
        }
        if self.sum.is_some() != self.count.is_some() && (gauge || self.sum.is_none()) {
            return fail("has a sum without a count, or a count without a sum");
        }
        Ok(())
    }
}

fn float_label(labels: &Labels, name: &str) -> Option<f64> {
    number::parse_go_float(labels.get(name)?.as_bytes())
}
