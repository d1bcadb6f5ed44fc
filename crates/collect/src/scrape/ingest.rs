//! One body to samples.
//!
//! Owns the labels that scraped series end up with, the limits of a scrape and its staleness markers. Pure but for its
//! memory of the target: time is an argument and nothing waits.

use std::sync::Arc;

use base::{
    EXEMPLAR_LABEL_CHARS, Error, ErrorKind, Exemplar, Histogram, Labels, LabelsBuilder, METRIC_NAME, Result,
    STALE_NAN, Sample, SeriesExemplar, SeriesHistogram, SeriesSample,
};

use super::buckets::BucketLimits;
use super::cache::{LiveSeries, Lookup, SeriesCache, Slot};
use super::family::Family;
use super::metadata::MetadataCache;
use super::metrics::ScrapeMetrics;
use super::starts::{Starts, Zeros};
use super::transport::FetchedBody;
use crate::config::{NameValidation, ScrapeConfig, ScrapeLimits, ScrapeProtocol};
use crate::exposition::{self, Collector, Event, Format, Histograms, Native, Parser, Series};
use crate::limits::{AHEAD_MAX, NATIVE_BUCKETS_PER_SCRAPE_MAX, SERIES_PER_SCRAPE_MAX};
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
    histograms: Vec<SeriesHistogram>,
    exemplars: Vec<SeriesExemplar>,
    /// Only followed where series are labelled with it.
    family: Family,
    /// Only used where classic histograms of text become native ones.
    collector: Collector,
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
    histograms: Histograms,
    buckets: BucketLimits,
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
    /// Buckets of native histograms.
    buckets: usize,
    over_bucket_limit: bool,
}

/// A sample that may be kept.
struct Admitted {
    labels: Labels,
    t_ms: i64,
}

impl Ingest {
    /// For a target with these labels. `inherited` are label sets that a loop before this one left live.
    pub(super) fn new(
        config: &ScrapeConfig,
        target: Labels,
        seed: u64,
        inherited: Vec<LiveSeries>,
        metadata: Arc<MetadataCache>,
        metrics: ScrapeMetrics,
    ) -> Self {
        let fallback = config.fallback_scrape_protocol.map(|p| match p {
            ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0 => Format::Prometheus,
            ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0 => {
                Format::OpenMetrics
            }
            ScrapeProtocol::PrometheusProto => Format::Protobuf,
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
            histograms: config.histograms,
            buckets: BucketLimits::of(config),
            type_and_unit_labels: config.type_and_unit_labels,
            start_zeros: config.start_zeros,
            store_starts: config.starts,
        };
        Self {
            settings,
            metrics,
            metadata,
            cache: SeriesCache::new(seed, inherited),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            family: Family::default(),
            collector: Collector::default(),
            starts: Starts::default(),
            zeros: Zeros::default(),
            key: Vec::new(),
            round: 0,
        }
    }

    /// With this said of the target's histograms, in place of what the configuration says of all.
    pub(super) fn with_histograms(mut self, histograms: Histograms) -> Self {
        self.settings.histograms = histograms;
        self
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
        self.histograms.clear();
        self.exemplars.clear();
        self.zeros.clear();
        self.cache.begin();
        let mut round = Round {
            now_ms,
            out,
            counts: Counts::default(),
            over_limit: false,
            buckets: 0,
            over_bucket_limit: false,
        };
        let result = self.read(body, &mut round);
        let counts = round.counts;
        match result {
            Ok(()) => {
                self.metadata.finish(self.round);
                self.use_starts(&mut out[start..]);
                let ended = self.cache.finish();
                self.mark_stale(ended, now_ms, out);
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
        self.histograms.clear();
        let ended = self.cache.fail();
        self.mark_stale(ended, now_ms, out);
    }

    fn mark_stale(&mut self, ended: Vec<LiveSeries>, now_ms: i64, out: &mut Vec<SeriesSample>) {
        for LiveSeries { labels, histogram } in ended {
            if histogram {
                let histogram = Histogram::stale();
                self.histograms.push(SeriesHistogram { labels, t_ms: now_ms, histogram, start_ms: 0 });
            } else {
                let sample = Sample { t_ms: now_ms, value: f64::from_bits(STALE_NAN) };
                out.push(SeriesSample { labels, sample, start_ms: 0 });
            }
        }
    }

    /// Makes of the starts of samples what the configuration asks for.
    fn use_starts(&mut self, samples: &mut [SeriesSample]) {
        if self.settings.start_zeros {
            self.zeros.take(samples);
            self.zeros.take_histograms(&self.histograms);
        }
        if !self.settings.store_starts {
            samples.iter_mut().for_each(|s| s.start_ms = 0);
            self.histograms.iter_mut().for_each(|h| h.start_ms = 0);
        }
    }

    /// The zeros of the body that was taken last, which belong before its samples.
    pub(super) fn zeros(&mut self) -> &mut Zeros {
        &mut self.zeros
    }

    /// The native histograms of the body that was taken last, and markers of those that it ended.
    pub(super) fn histograms(&mut self) -> &mut Vec<SeriesHistogram> {
        &mut self.histograms
    }

    /// The exemplars of the body that was taken last.
    pub(super) fn exemplars(&mut self) -> &mut Vec<SeriesExemplar> {
        &mut self.exemplars
    }

    /// Label sets that are live, for the loop that takes over.
    pub(super) fn live(&self) -> Vec<LiveSeries> {
        self.cache.live()
    }

    fn read(&mut self, body: &FetchedBody, round: &mut Round<'_>) -> Result<()> {
        if body.bytes.is_empty() {
            return Ok(());
        }
        let format = self.settings.format_of(&body.content_type)?;
        let mut parser = Parser::with_histograms(format, &body.bytes, self.settings.histograms);
        self.family.clear();
        self.starts.clear();
        self.collector.clear();
        let text = format != Format::Protobuf;
        let with_starts = format == Format::OpenMetrics && self.settings.uses_starts();
        let collecting = text && self.settings.histograms.to_custom_buckets;
        while let Some(event) = parser.next()? {
            match event {
                Event::Series(series) => {
                    if with_starts && self.is_start(&series, round) {
                        continue;
                    }
                    if collecting && self.collect(&series, round)? {
                        continue;
                    }
                    self.sample(&series, with_starts, round)?;
                }
                Event::Histogram(series, native) => self.histogram(&series, native, round)?,
                Event::Type { metric, metric_type } => {
                    if collecting {
                        self.finish_collected(round)?;
                        self.collector.set_type(metric, metric_type);
                    }
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
        self.finish_collected(round)?;
        self.check_limits(round)
    }

    fn check_limits(&self, round: &Round<'_>) -> Result<()> {
        if round.over_bucket_limit {
            self.metrics.exceeded_bucket_limit.inc();
        }
        if round.over_limit {
            self.metrics.exceeded_sample_limit.inc();
            return Err(Error::limit("sample limit exceeded"));
        }
        if round.over_bucket_limit {
            return Err(Error::limit("histogram bucket limit exceeded"));
        }
        Ok(())
    }

    /// Whether a sample is a start; gives those that it is about theirs.
    fn is_start(&mut self, series: &Series<'_>, round: &mut Round<'_>) -> bool {
        let Some(start_ms) = self.starts.read(series) else { return false };
        for at in self.starts.resolve(series) {
            round.out[at].start_ms = start_ms;
        }
        self.collector.set_start(series, start_ms);
        true
    }

    /// Takes a sample of a classic histogram that becomes a native one. Returns whether it is none of its own.
    fn collect(&mut self, series: &Series<'_>, round: &mut Round<'_>) -> Result<bool> {
        if self.collector.ends_before(series) {
            self.finish_collected(round)?;
        }
        Ok(self.collector.take(series) && !self.settings.histograms.always_classic)
    }

    fn finish_collected(&mut self, round: &mut Round<'_>) -> Result<()> {
        let mut collector = std::mem::take(&mut self.collector);
        let result = match collector.finish() {
            None => Ok(()),
            Some(Ok((series, native))) => self.histogram(&series, native, round),
            // As in Prometheus, one that contradicts itself is left out.
            Some(Err(_)) => {
                self.metrics.not_converted.inc();
                Ok(())
            }
        };
        self.collector = collector;
        result
    }

    fn sample(&mut self, series: &Series<'_>, with_starts: bool, round: &mut Round<'_>) -> Result<()> {
        let Some(Admitted { labels, t_ms }) = self.admit(series, false, round)? else { return Ok(()) };
        // With more labels than characters it could not be stored.
        let few = |e: &&exposition::Exemplar<'_>| e.labels().nth(EXEMPLAR_LABEL_CHARS).is_none();
        if let Some(exemplar) = series.exemplar.as_ref().filter(few) {
            let labels = labels.clone();
            self.exemplars.push(SeriesExemplar { labels, exemplar: taken(exemplar, t_ms) });
        }
        if with_starts {
            self.starts.note(series, round.out.len());
        }
        let sample = Sample { t_ms, value: series.value };
        round.out.push(SeriesSample { labels, sample, start_ms: series.start_ms });
        Ok(())
    }

    fn histogram(&mut self, series: &Series<'_>, native: &mut Native, round: &mut Round<'_>) -> Result<()> {
        let Some(Admitted { labels, t_ms }) = self.admit(series, true, round)? else { return Ok(()) };
        let mut histogram = std::mem::take(&mut native.histogram);
        if !self.settings.buckets.fit(&mut histogram) {
            // Reading goes on, so that the report gives the whole number.
            round.over_bucket_limit = true;
            return Ok(());
        }
        round.buckets += histogram.positive.len() + histogram.negative.len() + histogram.custom_bounds.len();
        if round.buckets > NATIVE_BUCKETS_PER_SCRAPE_MAX {
            return Err(Error::limit(format!(
                "cannot scrape: the target exposes more than {NATIVE_BUCKETS_PER_SCRAPE_MAX} buckets of native histograms"
            )));
        }
        let few = |e: &exposition::Exemplar<'_>| e.labels().nth(EXEMPLAR_LABEL_CHARS).is_none();
        for exemplar in series.exemplars_of(native).filter(few) {
            let labels = labels.clone();
            self.exemplars.push(SeriesExemplar { labels, exemplar: taken(&exemplar, t_ms) });
        }
        self.histograms.push(SeriesHistogram { labels, t_ms, histogram, start_ms: series.start_ms });
        Ok(())
    }

    /// Counts a sample and gives it its labels and its time, unless it is dropped or left out.
    #[inline]
    fn admit(
        &mut self,
        series: &Series<'_>,
        histogram: bool,
        round: &mut Round<'_>,
    ) -> Result<Option<Admitted>> {
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
            Lookup::Unknown => (self.learn(series, histogram)?, false, false),
        };
        let Some(labels) = self.cache.labels(slot) else { return Ok(None) };
        let own_timestamp = series.timestamp_ms.filter(|_| self.settings.honor_timestamps);
        if repeated && own_timestamp.is_none() {
            self.metrics.duplicate_timestamp.inc();
            round.counts.added += 1;
            return Ok(None);
        }
        let t_ms = own_timestamp.unwrap_or(round.now_ms);
        if t_ms.saturating_sub(round.now_ms) > AHEAD_MAX.as_millis() as i64 {
            self.metrics.out_of_bounds.inc();
            round.counts.added += 1;
            return Ok(None);
        }
        round.counts.added += 1;
        let limit = self.settings.limits.sample_limit;
        if limit > 0 && round.counts.added > limit {
            // Reading goes on, so that the report gives the whole number.
            round.over_limit = true;
            return Ok(None);
        }
        round.counts.series_added += usize::from(!known);
        let admitted = Admitted { labels: labels.clone(), t_ms };
        self.track(slot, own_timestamp, repeated);
        Ok(Some(admitted))
    }

    fn track(&mut self, slot: Slot, own_timestamp: Option<i64>, repeated: bool) {
        if !repeated && (own_timestamp.is_none() || self.settings.track_timestamps) {
            self.cache.track(slot);
        }
    }

    /// Gives a series that was not known its final label set.
    fn learn(&mut self, series: &Series<'_>, histogram: bool) -> Result<Slot> {
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
        Ok(self.cache.insert(key, labels, histogram))
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
        self.check_label_limits(labels, metric)
    }

    fn check_label_limits(&self, labels: &Labels, metric: &str) -> Result<()> {
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

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod histogram_tests;
