//! The loop of one target.
//!
//! Owns when the target is scraped and what is reported of each scrape. A loop ends only between scrapes: what a sink
//! has begun to take it takes whole.

use std::sync::Arc;
use std::time::Duration;

use base::{
    Clock, Error, ErrorKind, Labels, METRIC_NAME, Result, STALE_NAN, Sample, SeriesSample, format_duration,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use super::Sink;
use super::cache::LiveSeries;
use super::ingest::{Counts, Ingest};
use super::metadata::MetadataCache;
use super::metrics::ScrapeMetrics;
use super::snapshot::Health;
use super::transport::{FetchRequest, FetchedBody, Transport};
use crate::config::{Scheme, ScrapeConfig};
use crate::limits::{ALIGN_TOLERANCE, ERROR_BYTES_MAX, IN_PROCESS_WAIT};
use crate::target::Target;

/// What every loop works with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) metrics: ScrapeMetrics,
    /// Keeps targets from choosing series that collide in a cache.
    pub(super) cache_seed: u64,
}

/// How the last scrape of a target went.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    pub(super) last_error: String,
    pub(super) last_scrape_ms: Option<i64>,
    pub(super) last_duration: Duration,
    pub(super) health: Health,
}

/// What a loop leaves to the one that takes its target over.
#[derive(Default)]
pub(super) struct Handover {
    /// Series that are live.
    pub(super) live: Vec<LiveSeries>,
    pub(super) status: Arc<Mutex<Status>>,
    pub(super) metadata: Arc<MetadataCache>,
    last_ms: Option<i64>,
}

/// The loop's own state.
pub(super) struct Runner {
    context: Context,
    target: Arc<Target>,
    request: FetchRequest,
    ingest: Ingest,
    reports: Reports,
    handover: Handover,
    /// Why the target must not be scraped; set by the pool.
    forced_error: watch::Receiver<Option<Error>>,
    stop: watch::Receiver<bool>,
    samples: Vec<SeriesSample>,
    interval_name: String,
    last_start: Option<Duration>,
    aligned_ms: i64,
}

/// Label sets of the reports about a scrape.
struct Reports {
    up: Labels,
    duration: Labels,
    scraped: Labels,
    added: Labels,
    series_added: Labels,
}

impl Reports {
    fn new(target: &Labels) -> Self {
        let named = |name: &str| {
            let mut labels = target.to_builder();
            labels.set(METRIC_NAME, name);
            labels.build()
        };
        Self {
            up: named("up"),
            duration: named("scrape_duration_seconds"),
            scraped: named("scrape_samples_scraped"),
            added: named("scrape_samples_post_metric_relabeling"),
            series_added: named("scrape_series_added"),
        }
    }
}

impl Runner {
    pub(super) fn new(
        context: Context,
        config: &ScrapeConfig,
        target: Arc<Target>,
        mut handover: Handover,
        forced_error: watch::Receiver<Option<Error>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let ingest = Ingest::new(
            config,
            target.labels.clone(),
            context.cache_seed,
            std::mem::take(&mut handover.live),
            handover.metadata.clone(),
            context.metrics.clone(),
        )
        .with_histograms(target.histograms);
        Self {
            request: FetchRequest::new(&target, config),
            reports: Reports::new(&target.labels),
            interval_name: format_duration(target.interval),
            context,
            target,
            ingest,
            handover,
            forced_error,
            stop,
            samples: Vec::new(),
            last_start: None,
            aligned_ms: 0,
        }
    }

    /// Scrapes until told to stop. Returns itself, so that the pool decides what becomes of its series.
    pub(super) async fn run(mut self) -> Self {
        let wait = self.phase_wait();
        let first = Instant::now() + wait;
        if self.target.scheme == Scheme::InProcess
            && wait > IN_PROCESS_WAIT
            && self.handover.last_ms.is_none()
        {
            let now_ms = self.context.clock.now_ms();
            self.scrape(now_ms).await;
        }
        let mut ticks = tokio::time::interval_at(first, self.target.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let stopped = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => true,
                _ = ticks.tick() => false,
            };
            if stopped {
                return self;
            }
            let now_ms = self.scheduled_ms();
            self.scrape(now_ms).await;
        }
    }

    /// Time until the target's phase: a point in its interval that depends on the target alone, so that targets are
    /// spread over the interval and keep their place over restarts.
    fn phase_wait(&self) -> Duration {
        let interval_ms = self.target.interval.as_millis().max(1) as u64;
        let now_ms = self.context.clock.now_ms().rem_euclid(interval_ms as i64) as u64;
        let phase_ms = self.target.identity.stable_hash() % interval_ms;
        Duration::from_millis((phase_ms + interval_ms - now_ms) % interval_ms)
    }

    /// The time to stamp samples with: the schedule's where the clock shows nearly that.
    fn scheduled_ms(&mut self) -> i64 {
        let now_ms = self.context.clock.now_ms();
        let interval_ms = self.target.interval.as_millis().max(1) as i64;
        let tolerance_ms = (interval_ms / 100).min(ALIGN_TOLERANCE.as_millis() as i64);
        let late_ms = now_ms - self.aligned_ms;
        if self.aligned_ms == 0 || late_ms < -tolerance_ms {
            // The first tick, or the clock went back: this is the schedule from now on.
            self.aligned_ms = now_ms;
            return now_ms;
        }
        self.aligned_ms += late_ms.max(0) / interval_ms * interval_ms;
        if late_ms >= 0 && now_ms - self.aligned_ms > tolerance_ms {
            // A tick may also come just before the next point of the schedule.
            let next_ms = self.aligned_ms + interval_ms;
            return if next_ms - now_ms <= tolerance_ms {
                self.aligned_ms = next_ms;
                next_ms
            } else {
                now_ms
            };
        }
        self.aligned_ms
    }

    async fn scrape(&mut self, now_ms: i64) {
        let start = self.context.clock.monotonic();
        if let Some(last) = self.last_start.replace(start) {
            let length = start.saturating_sub(last).as_secs_f64();
            self.context.metrics.interval_length.observe(&self.interval_name, length);
        }
        self.samples.clear();
        let Some(fetched) = self.fetch().await else { return };
        let (counts, result) = match fetched {
            Ok(body) => self.ingest.take(&body, now_ms, &mut self.samples),
            Err(e) => {
                self.ingest.fail(now_ms, &mut self.samples);
                (Counts::default(), Err(e))
            }
        };
        let duration = self.context.clock.monotonic().saturating_sub(start);
        self.report(now_ms, duration, counts, &result);
        self.append().await;
        self.handover.last_ms = Some(now_ms);
    }

    /// Gets the body; `None` means that the loop was told to stop meanwhile.
    async fn fetch(&mut self) -> Option<Result<FetchedBody>> {
        if let Some(e) = self.forced_error.borrow().clone() {
            return Some(Err(e));
        }
        let fetch = tokio::time::timeout(self.target.timeout, self.context.transport.fetch(&self.request));
        let result = tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => return None,
            result = fetch => result,
        };
        let result = result.unwrap_or_else(|_| {
            let timeout = format_duration(self.target.timeout);
            Err(Error::unavailable(format!("cannot scrape {}: no answer within {timeout}", self.target.url)))
        });
        if result.as_ref().is_err_and(|e| e.kind() == ErrorKind::Limit) {
            self.context.metrics.exceeded_body_size_limit.inc();
        }
        Some(result)
    }

    fn report(&mut self, now_ms: i64, duration: Duration, counts: Counts, result: &Result<()>) {
        let up = if result.is_ok() { 1.0 } else { 0.0 };
        let r = &self.reports;
        let reports = [
            (&r.up, up),
            (&r.duration, duration.as_secs_f64()),
            (&r.scraped, counts.scraped as f64),
            (&r.added, counts.added as f64),
            (&r.series_added, counts.series_added as f64),
        ];
        push_reports(&reports, now_ms, &mut self.samples);
        let mut status = self.handover.status.lock();
        status.last_scrape_ms = Some(now_ms);
        status.last_duration = duration;
        status.last_error.clear();
        status.health = Health::Up;
        if let Err(e) = result {
            debug!(target = %self.target.url, error = %e, "scrape failed");
            status.health = Health::Down;
            status.last_error.push_str(shortened(e.message()));
        }
    }

    async fn append(&mut self) {
        if self.samples.is_empty() {
            return;
        }
        self.append_zeros().await;
        let histograms = std::mem::take(self.ingest.histograms());
        let taken = self.context.sink.append(&self.samples, histograms, self.ingest.exemplars()).await;
        self.ingest.exemplars().clear();
        if let Err(e) = taken {
            self.context.metrics.append_failed.inc();
            warn!(target = %self.target.url, samples = self.samples.len(), error = %e, "cannot store a scrape");
        }
        // One unusually large scrape should not hold its memory for good.
        if self.samples.capacity() > 4 * self.samples.len() + 64 {
            self.samples.shrink_to(2 * self.samples.len());
        }
        self.samples.clear();
    }

    /// Stores zeros where counters began: before the samples, behind which they would come too late.
    async fn append_zeros(&mut self) {
        let zeros = self.ingest.zeros();
        if zeros.is_empty() {
            return;
        }
        match self.context.sink.append(zeros.samples(), zeros.histograms().to_vec(), &[]).await {
            Ok(()) => zeros.stored(),
            // The next scrape brings them again.
            Err(e) => warn!(target = %self.target.url, error = %e, "cannot store zeros where counters began"),
        }
    }

    /// Labels that the target's series get.
    pub(super) fn target_labels(&self) -> &Labels {
        &self.target.labels
    }

    /// Leaves what is live to another loop.
    pub(super) fn hand_over(mut self) -> Handover {
        self.handover.live = self.ingest.live();
        self.handover
    }

    /// Ends all series: nobody scrapes this target any more.
    pub(super) async fn end(mut self) {
        let Some(last_ms) = self.handover.last_ms else { return };
        // A marker at the time of a sample would be refused as a second value.
        let now_ms = self.context.clock.now_ms().max(last_ms + 1);
        self.samples.clear();
        self.ingest.fail(now_ms, &mut self.samples);
        let stale = f64::from_bits(STALE_NAN);
        let r = &self.reports;
        let reports =
            [&r.up, &r.duration, &r.scraped, &r.added, &r.series_added].map(|labels| (labels, stale));
        push_reports(&reports, now_ms, &mut self.samples);
        self.append().await;
    }
}

fn push_reports(reports: &[(&Labels, f64)], t_ms: i64, out: &mut Vec<SeriesSample>) {
    out.extend(reports.iter().map(|(labels, value)| SeriesSample {
        labels: (*labels).clone(),
        sample: Sample { t_ms, value: *value },
        start_ms: 0,
    }));
}

fn shortened(message: &str) -> &str {
    let mut end = message.len().min(ERROR_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
