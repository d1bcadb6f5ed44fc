//! The running process as the other crates see it: the sink of scrapes, the sources within this process, and what the
//! HTTP server asks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use alerting::GroupConfig;
use async_trait::async_trait;
use base::{
    Clock, Error, Labels, Metadata, Result, SeriesExemplar, SeriesHistogram, SeriesSample, WriteBatch,
    format_duration,
};
use collect::config::{ScrapeConfig, ScrapeProtocol};
use collect::exporters::node::NodeCollector;
use collect::family::encode_text;
use collect::relabel::{self, RuleFields};
use collect::remote_write::{EndpointView, RemoteWrite};
use collect::scrape::{Health, LocalSource, ScrapeManager, Sink};
use engine::Engine;
use lake::Lake;
use parking_lot::Mutex;
use prometheus::{Encoder, Gauge, Registry, TextEncoder};
use server::process::{self, LakeReply, LakeRequest, LakeTask, Process, Targets, TargetsView};
use tsdb::{ExemplarStore, MetricStore};

use crate::alerts::Alerts;
use crate::cli::Serve;
use crate::config::{self, Checked};
use crate::features::Features;
use crate::lake_commands;
use crate::push::Receivers;
use crate::query_log::{QueryLogFile, QueryLogMetrics};
use crate::settings::Settings;

/// What the notifications say when a configuration could not be loaded, in Prometheus' words.
const RELOAD_FAILED: &str = "Configuration reload has failed.";

/// Hands scraped samples to the engine.
pub(crate) struct EngineSink(pub(crate) Arc<Engine>);

#[async_trait]
impl Sink for EngineSink {
    async fn append(
        &self,
        samples: &[SeriesSample],
        histograms: Vec<SeriesHistogram>,
        exemplars: &[SeriesExemplar],
    ) -> Result<()> {
        let mut batch = WriteBatch::from(samples);
        for SeriesHistogram { labels, t_ms, histogram, start_ms } in histograms {
            batch.begin(&labels);
            batch.histogram_since(t_ms, histogram, start_ms);
        }
        for SeriesExemplar { labels, exemplar } in exemplars {
            batch.begin(labels);
            batch.exemplar(exemplar.clone());
        }
        self.0.append(batch).await.map(|_| ())
    }
}

/// The host's metrics, without a network hop.
pub(crate) struct NodeSource(pub(crate) Arc<NodeCollector>);

#[async_trait]
impl LocalSource for NodeSource {
    async fn gather(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        encode_text(&self.0.collect().await, &mut text);
        Ok(text)
    }
}

/// The program's own metrics, likewise.
pub(crate) struct SelfSource {
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<Engine>,
}

#[async_trait]
impl LocalSource for SelfSource {
    async fn gather(&self) -> Result<Vec<u8>> {
        self.engine.update_gauges();
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|e| Error::internal(format!("cannot encode own metrics: {e}")))?;
        Ok(text)
    }
}

/// Everything that a reload changes, and what the server wants to know.
pub(crate) struct Running {
    pub(crate) options: Serve,
    /// Those that the command line asked for.
    pub(crate) asked_features: Features,
    /// With those of the configuration that was there at start.
    pub(crate) features: Features,
    pub(crate) hostname: String,
    pub(crate) manager: Arc<ScrapeManager>,
    pub(crate) remote_write: Arc<RemoteWrite>,
    pub(crate) node: NodeSource,
    pub(crate) receivers: Receivers,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) lake: Arc<Lake>,
    pub(crate) store: Arc<MetricStore>,
    pub(crate) exemplars: Arc<ExemplarStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) start_ms: i64,
    pub(crate) listen_port: u16,
    pub(crate) reload_metrics: ReloadMetrics,
    pub(crate) engine: Arc<Engine>,
    pub(crate) query_log_metrics: QueryLogMetrics,
    /// Held while a reload runs, so that two cannot mix.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    pub(crate) current: Mutex<Current>,
}

/// The configuration in force.
pub(crate) struct Current {
    /// Those of the stores; what needs a restart stands as it was at start.
    pub(crate) settings: Settings,
    pub(crate) yaml: String,
    pub(crate) applied_ms: i64,
    pub(crate) last_reload_succeeded: bool,
    /// When reloading failed, if the last one did.
    pub(crate) reload_failed_ms: Option<i64>,
    pub(crate) external_labels: Labels,
    pub(crate) pools: Vec<ScrapeConfig>,
    pub(crate) pool_texts: BTreeMap<String, String>,
}

impl Current {
    /// What there is before a configuration has been applied.
    pub(crate) fn new(settings: Settings, start_ms: i64) -> Self {
        Self {
            settings,
            yaml: String::new(),
            applied_ms: start_ms,
            last_reload_succeeded: true,
            external_labels: Labels::empty(),
            pools: Vec::new(),
            pool_texts: BTreeMap::new(),
            reload_failed_ms: None,
        }
    }
}

/// Prometheus' gauges for reloads.
pub(crate) struct ReloadMetrics {
    succeeded: Gauge,
    succeeded_at_seconds: Gauge,
}

impl ReloadMetrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            succeeded: Gauge::new(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            )?,
            succeeded_at_seconds: Gauge::new(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            )?,
        };
        registry.register(Box::new(metrics.succeeded.clone()))?;
        registry.register(Box::new(metrics.succeeded_at_seconds.clone()))?;
        Ok(metrics)
    }
}

impl Running {
    /// Makes a configuration and its rules the ones in force.
    pub(crate) async fn apply(&self, checked: &Checked, rules: Vec<GroupConfig>) -> Result<()> {
        self.open_query_log(checked)?;
        // Before scraping, so that an endpoint gets all from the first scrape on.
        Box::pin(self.remote_write.apply(checked.remote_write.clone(), &checked.external_labels)).await?;
        let mut pools = checked.pools(&self.hostname);
        for pool in &mut pools {
            pool.type_and_unit_labels = self.features.has("type-and-unit-labels");
            pool.start_zeros = self.features.has("created-timestamp-zero-ingestion");
            pool.starts = self.features.has("st-storage");
            // Of the formats, it is the one in which clients say when counting began.
            if pool.default_protocols && (pool.start_zeros || pool.starts) {
                pool.scrape_protocols = ScrapeProtocol::PROTO_FIRST.to_vec();
            }
        }
        self.manager.apply(pools.clone()).await?;
        self.alerts.apply(checked, rules).await;
        let now_ms = self.clock.now_ms();
        let yaml = checked.original_text_without_secrets.clone();
        let settings = self.apply_settings(checked);
        *self.current.lock() = Current {
            settings,
            yaml,
            applied_ms: now_ms,
            last_reload_succeeded: true,
            reload_failed_ms: None,
            external_labels: checked.external_labels.clone(),
            pools,
            pool_texts: checked.scrape_config_texts.clone(),
        };
        self.reload_metrics.succeeded.set(1.0);
        self.reload_metrics.succeeded_at_seconds.set(now_ms as f64 / 1000.0);
        Ok(())
    }

    /// Opens the query log, also one that is open: somebody may have moved it away.
    fn open_query_log(&self, checked: &Checked) -> Result<()> {
        let open = |path: &PathBuf| QueryLogFile::open(path, self.query_log_metrics.clone());
        let log = checked.global.query_log_file.as_ref().map(open).transpose()?;
        self.engine.set_query_log(log.map(|log| Arc::new(log) as _));
        Ok(())
    }

    /// Changes what can change while running, and says what cannot.
    fn apply_settings(&self, checked: &Checked) -> Settings {
        let before = self.current.lock().settings.clone();
        let mut settings = Settings::new(&self.options, checked, crate::machine::default_memory_bytes());
        for key in settings.needs_restart(&before) {
            tracing::warn!(key, "configuration: the change takes effect when the program is started again");
        }
        self.receivers.apply(checked, settings.labels);
        self.store.tune(settings.tunable_within(self.store.memory()));
        self.store.retain(settings.retention.clone());
        self.exemplars.tune(settings.max_exemplars, settings.tunable.out_of_order);
        (settings.path, settings.wal_path, settings.memory_bytes) =
            (before.path, before.wal_path, before.memory_bytes);
        settings
    }

    async fn try_reload(&self) -> Result<()> {
        let Some(file) = &self.options.config else {
            return Err(Error::invalid("cannot reload: the program was started without --config FILE"));
        };
        let checked = config::load(file, &crate::serve::environment)?;
        if self.asked_features.clone().and(checked.features.iter().map(String::as_str))? != self.features {
            let key = "enable_features";
            tracing::warn!(key, "configuration: the change takes effect when the program is started again");
        }
        let rules = config::load_rules(&checked, self.features.language())?;
        crate::serve::warn_of_unsupported(&checked);
        self.apply(&checked, rules).await
    }
}

#[async_trait]
impl Process for Running {
    async fn reload(&self) -> Result<()> {
        let _alone = self.reloading.lock().await;
        let result = self.try_reload().await;
        match &result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(error) => {
                tracing::error!(%error, "configuration not reloaded, the old one stays in force");
                let mut current = self.current.lock();
                current.last_reload_succeeded = false;
                current.reload_failed_ms = Some(self.clock.now_ms());
                self.reload_metrics.succeeded.set(0.0);
            }
        }
        result
    }

    fn config_yaml(&self) -> String {
        self.current.lock().yaml.clone()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        let o = &self.options;
        let settings = &self.current.lock().settings;
        let config = o.config.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        BTreeMap::from([
            ("config".into(), config),
            ("storage.path".into(), settings.path.clone()),
            (
                "storage.wal-path".into(),
                settings.wal_path.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
            ),
            ("storage.retention".into(), settings.retention_text()),
            ("storage.remote.flush-deadline".into(), format_duration(o.storage_remote_flush_deadline)),
            ("limits.memory".into(), settings.memory_bytes.to_string()),
            ("web.listen-address".into(), o.web_listen_address.clone()),
            ("web.enable-remote-write-receiver".into(), o.web_enable_remote_write_receiver.to_string()),
            ("web.enable-otlp-receiver".into(), o.web_enable_otlp_receiver.to_string()),
            ("otlp.grpc-listen-address".into(), o.otlp_grpc_listen_address.clone().unwrap_or_default()),
            ("enable-feature".into(), self.features.text()),
            ("web.cors.origin".into(), o.web_cors_origin.clone()),
            ("web.enable-admin-api".into(), o.web_enable_admin_api.to_string()),
            ("web.allow-unauthenticated".into(), o.web_allow_unauthenticated.to_string()),
            ("web.external-url".into(), self.alerts.external_url.clone()),
            (
                "rules.alert.for-outage-tolerance".into(),
                format_duration(o.rules.rules_alert_for_outage_tolerance),
            ),
            ("rules.alert.for-grace-period".into(), format_duration(o.rules.rules_alert_for_grace_period)),
            ("rules.alert.resend-delay".into(), format_duration(o.rules.rules_alert_resend_delay)),
            ("rules.max-concurrent-evals".into(), o.rules.rules_max_concurrent_evals.to_string()),
            (
                "alertmanager.notification-queue-capacity".into(),
                o.rules.alertmanager_notification_queue_capacity.to_string(),
            ),
            (
                "alertmanager.notification-batch-size".into(),
                o.rules.alertmanager_notification_batch_size.to_string(),
            ),
            (
                "alertmanager.drain-notification-queue-on-shutdown".into(),
                o.rules.drains_notifications().to_string(),
            ),
            ("query.timeout".into(), format_duration(o.queries.query_timeout)),
            ("query.max-concurrency".into(), o.queries.query_max_concurrency.to_string()),
            ("query.max-samples".into(), o.queries.query_max_samples.to_string()),
            ("query.lookback-delta".into(), format_duration(o.queries.query_lookback_delta)),
            ("storage.remote.read-sample-limit".into(), o.queries.read_sample_limit.to_string()),
            ("storage.remote.read-concurrent-limit".into(), o.queries.read_concurrent_limit.to_string()),
            ("web.max-notifications-subscribers".into(), o.queries.max_notifications_subscribers.to_string()),
            ("log.format".into(), format!("{:?}", o.log_format).to_lowercase()),
            ("log.level".into(), format!("{:?}", o.log_level).to_lowercase()),
        ])
    }

    fn runtime(&self) -> process::RuntimeInfo {
        let current = self.current.lock();
        process::RuntimeInfo {
            start_ms: self.start_ms,
            working_directory: std::env::current_dir().map(|p| p.display().to_string()).unwrap_or_default(),
            hostname: self.hostname.clone(),
            reload_succeeded: current.last_reload_succeeded,
            last_config_ms: current.applied_ms,
            worker_threads: tokio::runtime::Handle::current().metrics().num_workers(),
            storage_retention: current.settings.retention_text(),
        }
    }

    fn external_labels(&self) -> Labels {
        self.current.lock().external_labels.clone()
    }

    fn notifications(&self) -> Vec<process::Notification> {
        let failed = self.current.lock().reload_failed_ms;
        let of = |since_ms| process::Notification { text: RELOAD_FAILED.into(), since_ms };
        failed.map(of).into_iter().collect()
    }

    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>> {
        crate::abilities::abilities(&self.features)
    }

    fn remote_write(&self) -> Vec<process::RemoteWriteEndpoint> {
        let shown = |e: EndpointView| process::RemoteWriteEndpoint {
            name: e.name,
            url: e.url,
            shards: e.shards,
            pending: e.pending,
            failed: e.failed,
            behind_seconds: e.behind_seconds,
            last_error: e.last_error,
        };
        self.remote_write.endpoints().into_iter().map(shown).collect()
    }

    async fn node_exposition(&self) -> Result<Vec<u8>> {
        self.node.gather().await
    }

    async fn look_after_lake(&self, request: &LakeRequest) -> Result<LakeReply> {
        let place = self.current.lock().settings.path.clone();
        let done = Box::pin(lake_commands::beside(&self.lake, &place, &request.into())).await;
        if request.task == LakeTask::Compact {
            // What was merged is to be read merged, whatever became of the rest.
            self.store.refresh().await?;
            self.exemplars.refresh().await?;
        }
        done.map(|(in_order, report)| LakeReply { in_order, report })
    }
}

impl Targets for Running {
    fn pool_yaml(&self, pool: &str) -> Option<String> {
        let current = self.current.lock();
        let own = || current.pools.iter().any(|p| p.job_name == pool);
        // A built-in pool has no configuration of its own to show.
        current.pool_texts.get(pool).cloned().or_else(|| own().then(|| format!("job_name: {pool}\n")))
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<process::RelabelStep>> {
        let rules = {
            let current = self.current.lock();
            current.pools.iter().find(|p| p.job_name == pool)?.relabel_configs.clone()
        };
        let (mut builder, mut keep) = (labels.to_builder(), true);
        let step = |rule: &relabel::Rule| {
            keep = keep && relabel::apply(std::slice::from_ref(rule), &mut builder);
            let output = if keep { builder.clone().build() } else { Labels::empty() };
            process::RelabelStep { rule: shown(rule.fields()), output, keep }
        };
        Some(rules.iter().map(step).collect())
    }

    fn targets(&self) -> TargetsView {
        let snapshot = self.manager.targets();
        let port = self.listen_port.to_string();
        let external = format!("{}:{port}", self.hostname);
        TargetsView {
            active: snapshot
                .active
                .into_iter()
                .map(|t| process::ActiveTarget {
                    global_url: collect::target::global_url(&t.scrape_url, &port, "http", &external),
                    discovered_labels: t.discovered_labels,
                    labels: t.labels,
                    scrape_pool: t.scrape_pool,
                    scrape_url: t.scrape_url.to_string(),
                    last_error: t.last_error,
                    last_scrape_ms: t.last_scrape_ms,
                    last_scrape_duration_seconds: t.last_scrape_duration.as_secs_f64(),
                    health: match t.health {
                        Health::Unknown => process::TargetHealth::Unknown,
                        Health::Up => process::TargetHealth::Up,
                        Health::Down => process::TargetHealth::Down,
                    },
                    scrape_interval: format_duration(t.scrape_interval),
                    scrape_timeout: format_duration(t.scrape_timeout),
                })
                .collect(),
            dropped: snapshot
                .dropped
                .into_iter()
                .map(|t| process::DroppedTarget {
                    discovered_labels: t.discovered_labels,
                    scrape_pool: t.scrape_pool,
                })
                .collect(),
            dropped_counts: snapshot.pools.into_iter().map(|p| (p.scrape_pool, p.dropped)).collect(),
        }
    }

    fn metadata(&self) -> Vec<(Labels, Arc<str>, Metadata)> {
        self.manager.metadata().into_iter().map(|m| (m.target, m.metric, m.metadata)).collect()
    }
}

fn shown(f: &RuleFields) -> process::RelabelRule {
    process::RelabelRule {
        source_labels: f.source_labels.clone(),
        separator: f.separator.clone(),
        regex: f.regex.clone(),
        modulus: f.modulus,
        target_label: f.target_label.clone(),
        replacement: f.replacement.clone(),
        action: f.action.as_str(),
    }
}
