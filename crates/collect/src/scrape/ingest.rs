//! One body to samples.
//!
//! Owns the labels that scraped series end up with, the limits of a scrape and its staleness markers. Pure but for its
//! memory of the target: time is an argument and nothing waits.

use std::sync::Arc;

use base::{
    EXEMPLAR_LABEL_CHARS, Error, ErrorKind, Exemplar, Labels, LabelsBuilder, METRIC_NAME, Result, STALE_NAN,
    Sample, SeriesExemplar, SeriesSample,
};

use super::cache::{Lookup, SeriesCache, Slot};
use super::family::Family;
use super::metadata::MetadataCache;
use super::metrics::ScrapeMetrics;
use super::starts::{Starts, Zeros};
use super::transport::FetchedBody;
use crate::config::{NameValidation, ScrapeConfig, ScrapeLimits, ScrapeProtocol};
use crate::exposition::{self, Event, Format, Parser, Series};
use crate::limits::{AHEAD_MAX, SERIES_PER_SCRAPE_MAX};
use crate::relabel::{self, Rule};

const EXPORTED_PREFIX: &str = "exported_";

/// Numbers of one scrape, as its reports give them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Samples in the body, as far as it was read.
    pub(super) scraped: usize,
    /// Samples left after relabelling.
    pub(super) added: usize,
    /// Series that the target did not expose the time before.
    pub(super) series_added: usize,
}

/// Turns the bodies of one target into samples.
pub(super) struct Ingest {
    settings: Settings,
    metrics: ScrapeMetrics,
    metadata: Arc<MetadataCache>,
    cache: SeriesCache,
    exemplars: Vec<SeriesExemplar>,
    /// Only followed where series are labelled with it.
    family: Family,
    /// Only followed where starts are used.
    starts: Starts,
    zeros: Zeros,
    /// Where the key of a series is put together.
    key: Vec<u8>,
    round: u64,
}

struct Settings {
    target: Labels,
    honor_labels: bool,
    honor_timestamps: bool,
    track_timestamps: bool,
    rules: Vec<Rule>,
    limits: ScrapeLimits,
    validation: NameValidation,
    fallback: Option<Format>,
    type_and_unit_labels: bool,
    start_zeros: bool,
    store_starts: bool,
}

/// Where a body's samples go, and what was counted on the way.
struct Round<'o> {
    now_ms: i64,
    out: &'o mut Vec<SeriesSample>,
    counts: Counts,
    over_limit: bool,
}

impl Ingest {
    /// For a target with these labels. `inherited` are label sets that a loop before this one left live.
    pub(super) fn new(
        config: &ScrapeConfig,
        target: Labels,
        seed: u64,
        inherited: Vec<Labels>,
        metadata: Arc<MetadataCache>,
        metrics: ScrapeMetrics,
    ) -> Self {
        let fallback = config.fallback_scrape_protocol.map(|p| match p {
            ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0 => Format::Prometheus,
            ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0 => {
                Format::OpenMetrics
            }
        });
        let settings = Settings {
            target,
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps: config.track_timestamps_staleness,
            rules: config.metric_relabel_configs.clone(),
            limits: config.limits,
            validation: config.name_validation,
            fallback,
            type_and_unit_labels: config.type_and_unit_labels,
            start_zeros: config.start_zeros,
            store_starts: config.starts,
        };
        Self {
            settings,
            metrics,
            metadata,
            cache: SeriesCache::new(seed, inherited),
            exemplars: Vec::new(),
            family: Family::default(),
            starts: Starts::default(),
            zeros: Zeros::default(),
            key: Vec::new(),
            round: 0,
        }
    }

    /// Appends the samples of a body, and markers for series that it ends. On an error only markers are appended, for
    /// every series that was live.
    pub(super) fn take(
        &mut self,
        body: &FetchedBody,
        now_ms: i64,
        out: &mut Vec<SeriesSample>,
    ) -> (Counts, Result<()>) {
        let start = out.len();
        self.round += 1;
        self.exemplars.clear();
        self.zeros.clear();
        self.cache.begin();
        let mut round = Round { now_ms, out, counts: Counts::default(), over_limit: false };
        let result = self.read(body, &mut round);
        let counts = round.counts;
        match result {
            Ok(()) => {
                self.metadata.finish(self.round);
                self.use_starts(&mut out[start..]);
                let ended = self.cache.finish();
                mark_stale(&ended, now_ms, out);
            }
            Err(_) => {
                out.truncate(start);
                self.exemplars.clear();
                self.fail(now_ms, out);
            }
        }
        (counts, result)
    }

    /// Appends markers for every series that was live: there was no body, or nobody will scrape this target any more.
    pub(super) fn fail(&mut self, now_ms: i64, out: &mut Vec<SeriesSample>) {
        self.zeros.clear();
        let ended = self.cache.fail();
        mark_stale(&ended, now_ms, out);
    }

    /// Makes of the starts of samples what the configuration asks for.
    fn use_starts(&mut self, samples: &mut [SeriesSample]) {
        if self.settings.start_zeros {
            self.zeros.take(samples);
        }
        if !self.settings.store_starts {
            samples.iter_mut().for_each(|s| s.start_ms = 0);
        }
    }

    /// The zeros of the body that was taken last, which belong before its samples.
    pub(super) fn zeros(&mut self) -> &mut Zeros {
        &mut self.zeros
    }

    /// The exemplars of the body that was taken last.
    pub(super) fn exemplars(&mut self) -> &mut Vec<SeriesExemplar> {
        &mut self.exemplars
    }

    /// Label sets that are live, for the loop that takes over.
    pub(super) fn live(&self) -> Vec<Labels> {
        self.cache.live()
    }

    fn read(&mut self, body: &FetchedBody, round: &mut Round<'_>) -> Result<()> {
        if body.bytes.is_empty() {
            return Ok(());
        }
        let format = self.settings.format_of(&body.content_type)?;
        let mut parser = Parser::new(format, &body.bytes);
        self.family.clear();
        self.starts.clear();
        let with_starts = format == Format::OpenMetrics && self.settings.uses_starts();
        while let Some(event) = parser.next()? {
            match event {
                Event::Series(series) if with_starts => self.sample_or_start(&series, round)?,
                Event::Series(series) => self.sample(&series, round)?,
                Event::Type { metric, metric_type } => {
                    if self.settings.type_and_unit_labels {
                        self.family.set_type(metric, metric_type);
                    }
                    if with_starts {
                        self.starts.set_type(metric, metric_type);
                    }
                    self.metadata.set_type(metric, metric_type, self.round);
                }
                Event::Help { metric, text } => self.metadata.set_help(metric, text, self.round),
                Event::Unit { metric, unit } => {
                    if self.settings.type_and_unit_labels {
                        self.family.set_unit(metric, unit);
                    }
                    self.metadata.set_unit(metric, unit, self.round);
                }
                Event::Comment(_) => {}
            }
        }
        if round.over_limit {
            self.metrics.exceeded_sample_limit.inc();
            return Err(Error::limit("sample limit exceeded"));
        }
        Ok(())
    }

    /// Takes a sample, or gives those that it is about their start.
    fn sample_or_start(&mut self, series: &Series<'_>, round: &mut Round<'_>) -> Result<()> {
        if let Some(start_ms) = self.starts.read(series) {
            for at in self.starts.resolve(series) {
                round.out[at].start_ms = start_ms;
            }
            return Ok(());
        }
        let at = round.out.len();
        self.sample(series, round)?;
        if round.out.len() > at {
            self.starts.note(series, at);
        }
        Ok(())
    }

    fn sample(&mut self, series: &Series<'_>, round: &mut Round<'_>) -> Result<()> {
        round.counts.scraped += 1;
        if round.counts.scraped > SERIES_PER_SCRAPE_MAX {
            return Err(Error::limit(format!(
                "cannot scrape: the target exposes more than {SERIES_PER_SCRAPE_MAX} samples"
            )));
        }
        let key = if self.settings.type_and_unit_labels {
            self.family.key(series, &mut self.key);
            &self.key
        } else {
            series.bytes()
        };
        let (slot, repeated, known) = match self.cache.look_up(key) {
            Lookup::Known { slot, repeated } => (slot, repeated, true),
            Lookup::Unknown => (self.learn(series)?, false, false),
        };
        let Some(labels) = self.cache.labels(slot) else { return Ok(()) };
        let own_timestamp = series.timestamp_ms.filter(|_| self.settings.honor_timestamps);
        if repeated && own_timestamp.is_none() {
            self.metrics.duplicate_timestamp.inc();
            round.counts.added += 1;
            return Ok(());
        }
        let t_ms = own_timestamp.unwrap_or(round.now_ms);
        if t_ms.saturating_sub(round.now_ms) > AHEAD_MAX.as_millis() as i64 {
            self.metrics.out_of_bounds.inc();
            round.counts.added += 1;
            return Ok(());
        }
        round.counts.added += 1;
        let limit = self.settings.limits.sample_limit;
        if limit > 0 && round.counts.added > limit {
            // Reading goes on, so that the report gives the whole number.
            round.over_limit = true;
            return Ok(());
        }
        round.counts.series_added += usize::from(!known);
        round.out.push(SeriesSample {
            labels: labels.clone(),
            sample: Sample { t_ms, value: series.value },
            start_ms: 0,
        });
        // With more labels than characters it could not be stored.
        let few = |e: &&exposition::Exemplar<'_>| e.labels().nth(EXEMPLAR_LABEL_CHARS).is_none();
        if let Some(exemplar) = series.exemplar.as_ref().filter(few) {
            let labels = labels.clone();
            self.exemplars.push(SeriesExemplar { labels, exemplar: taken(exemplar, t_ms) });
        }
        self.track(slot, own_timestamp, repeated);
        Ok(())
    }

    fn track(&mut self, slot: Slot, own_timestamp: Option<i64>, repeated: bool) {
        if !repeated && (own_timestamp.is_none() || self.settings.track_timestamps) {
            self.cache.track(slot);
        }
    }

    /// Gives a series that was not known its final label set.
    fn learn(&mut self, series: &Series<'_>) -> Result<Slot> {
        let labels = self.settings.final_labels(series, &self.family);
        if let Some(labels) = &labels
            && let Err(e) = self.settings.check(labels)
        {
            if e.kind() == ErrorKind::Limit {
                self.metrics.exceeded_label_limits.inc();
            }
            return Err(e);
        }
        let key = if self.settings.type_and_unit_labels { &self.key } else { series.bytes() };
        Ok(self.cache.insert(key, labels))
    }
}

impl Settings {
    fn uses_starts(&self) -> bool {
        self.start_zeros || self.store_starts
    }

    fn format_of(&self, content_type: &str) -> Result<Format> {
        if let Some(format) = Format::from_content_type(content_type).or(self.fallback) {
            return Ok(format);
        }
        Err(Error::invalid(if content_type.is_empty() {
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
                .into()
        } else {
            format!(
                "received unsupported Content-Type {content_type:?} and no fallback_scrape_protocol specified for target"
            )
        }))
    }

    /// Labels of the series and of the target, relabelled; `None` where that drops the series.
    fn final_labels(&self, series: &Series<'_>, family: &Family) -> Option<Labels> {
        let mut labels = series.to_builder();
        if self.type_and_unit_labels {
            family.label(series, &mut labels);
        }
        if self.honor_labels {
            // A label exposed with an empty value wins too: it removes the target's.
            let empty: Vec<String> =
                series.labels().filter(|(_, v)| v.raw().is_empty()).map(|(n, _)| n.to_text()).collect();
            for (name, value) in &self.target {
                if labels.get(name).is_empty() && !empty.iter().any(|e| e == name) {
                    labels.set(name, value);
                }
            }
        } else {
            self.override_labels(&mut labels);
        }
        if !relabel::apply(&self.rules, &mut labels) {
            return None;
        }
        let labels = labels.build();
        if labels.is_empty() { None } else { Some(labels) }
    }

    /// The target's labels win; what the series had under the same name gets a prefix.
    fn override_labels(&self, labels: &mut LabelsBuilder) {
        let mut displaced = Vec::new();
        for (name, value) in &self.target {
            let exposed = labels.get(name);
            if !exposed.is_empty() {
                displaced.push((name, exposed.to_owned()));
            }
            labels.set(name, value);
        }
        displaced.sort_by_key(|(name, _)| name.len());
        for (name, value) in displaced {
            let mut renamed = format!("{EXPORTED_PREFIX}{name}");
            while !labels.get(&renamed).is_empty() {
                renamed.insert_str(0, EXPORTED_PREFIX);
            }
            labels.set(&renamed, &value);
        }
    }

    fn check(&self, labels: &Labels) -> Result<()> {
        let metric = labels.metric();
        if metric.is_empty() {
            return Err(Error::invalid(format!("missing metric name ({METRIC_NAME} label)")));
        }
        if self.validation == NameValidation::Legacy {
            let ok = base::is_legacy_metric_name(metric)
                && labels.iter().all(|(n, _)| base::is_legacy_label_name(n));
            if !ok {
                return Err(Error::invalid(format!("invalid metric name or label names: {labels}")));
            }
        }
        self.check_limits(labels, metric)
    }

    fn check_limits(&self, labels: &Labels, metric: &str) -> Result<()> {
        let (limits, metric) = (self.limits, head(metric));
        let over = |length: usize, limit: usize| limit > 0 && length > limit;
        if over(labels.len(), limits.label_limit) {
            return Err(Error::limit(format!(
                "label_limit exceeded (metric: {metric}, number of labels: {}, limit: {})",
                labels.len(),
                limits.label_limit
            )));
        }
        for (name, value) in labels {
            if over(name.len(), limits.label_name_length_limit) {
                return Err(Error::limit(format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {}, length: {}, limit: {})",
                    head(name),
                    name.len(),
                    limits.label_name_length_limit
                )));
            }
            if over(value.len(), limits.label_value_length_limit) {
                return Err(Error::limit(format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {}, value: {:?}, length: {}, limit: {})",
                    head(name),
                    head(value),
                    value.len(),
                    limits.label_value_length_limit
                )));
            }
        }
        Ok(())
    }
}

/// An exemplar as it is stored; one without a time has that of its sample.
fn taken(exemplar: &exposition::Exemplar<'_>, t_ms: i64) -> Exemplar {
    let mut labels = LabelsBuilder::default();
    for (name, value) in exemplar.labels() {
        labels.set(&name.to_text(), &value.to_text());
    }
    Exemplar { labels: labels.build(), value: exemplar.value, t_ms: exemplar.timestamp_ms.unwrap_or(t_ms) }
}

/// As much of a name as a message shows.
fn head(text: &str) -> &str {
    text.char_indices().nth(50).map_or(text, |(at, _)| &text[..at])
}

fn mark_stale(ended: &[Labels], now_ms: i64, out: &mut Vec<SeriesSample>) {
    let sample = Sample { t_ms: now_ms, value: f64::from_bits(STALE_NAN) };
    out.extend(ended.iter().map(|labels| SeriesSample { labels: labels.clone(), sample, start_ms: 0 }));
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
