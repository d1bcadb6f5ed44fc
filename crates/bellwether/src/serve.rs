//! `bellwether serve`: start-up from top to bottom, and its reverse.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, MatchOp, Matcher, Result};
use collect::exporters::node::{NodeCollector, NodeOptions};
use collect::http::HttpTransport;
use collect::scrape::{ScrapeManager, Transports};
use engine::Engine;
use lake::{Lake, MemoryBudget, Pool};
use prometheus::Registry;
use server::process::Process;
use server::{AdminApi, Front, HttpMetrics, HttpServer, PushedMetadata, Readiness, RemoteRead, ServerState};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tsdb::{ExemplarOptions, ExemplarStore, Maintenance, MetricStore, StoreOptions};

use crate::alerts::{Alerts, RuleStore, external_url};
use crate::assets::EmbeddedAssets;
use crate::cli::Serve;
use crate::clock::SystemClock;
use crate::config::{self, Checked, NODE_SOURCE, SELF_SOURCE};
use crate::features::Features;
use crate::place::Place;
use crate::process_metrics::ProcessMetrics;
use crate::push;
use crate::query_log::QueryLogMetrics;
use crate::remote_write::StoreFeed;
use crate::running::{Current, EngineSink, NodeSource, ReloadMetrics, Running, SelfSource};
use crate::settings::Settings;

/// How often the store looks for what to seal and what to drop. Blocks last hours, so a minute late is on time.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Reads the environment: for `${NAME}` in external labels, for proxies, and for keys of AWS.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Serves until SIGTERM or SIGINT. `features` are those of the command line.
pub fn run(options: Serve, features: Features) -> Result<()> {
    crate::logging::init(options.log_format, options.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    runtime.block_on(serve(options, features))
}

async fn serve(options: Serve, features: Features) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let start_ms = clock.now_ms();
    let hostname = hostname();
    let cors_origin = cors_origin(&options)?;
    // Its port is known later, and what was given is read before anything is made.
    external_url(options.web_external_url.as_deref(), &hostname, 0)?;
    let foreign = options.prometheus.check(options.web_external_url.as_deref())?;
    let checked = load(&options)?;
    let settings = Settings::new(&options, &checked, crate::machine::default_memory_bytes());
    let place = Place::new(&settings.path, settings.wal_path.as_deref())?;
    let asked = features;
    let features = asked.clone().and(checked.features.iter().map(String::as_str))?;
    let rules = config::load_rules(&checked, features.language())?;
    warn_of_unsupported(&checked);
    foreign.iter().chain(features.notices()).for_each(|text| tracing::warn!("{text}"));
    let http = bind(&options, &options.web_listen_address).await?;
    let grpc = match &options.otlp_grpc_listen_address {
        Some(address) => Some(bind(&options, address).await?),
        None => None,
    };
    let address = http.address();
    let mut signals = Signals::install()?;

    let registry = Registry::new();
    let reload_metrics = register_process_metrics(&registry)
        .map_err(|e| Error::internal(format!("cannot register process metrics: {e}")))?;
    let front = Arc::new(Front::new(registry.clone()));
    let (stop_http, http_stops) = oneshot::channel::<()>();
    let serving = tokio::spawn(http.serve(Arc::clone(&front), async move {
        // A dropped sender means the same as a signal.
        let _ = http_stops.await;
    }));
    tracing::info!("listening on http://{address}/, opening the store");
    let memory = MemoryBudget::new(settings.memory_bytes);
    let lake = open_lake(&place, &memory, &clock, &registry).await?;
    let (store, exemplars) = open_stores(&settings, &lake, &memory, &clock, &registry).await?;
    let engine = Engine::new(
        Arc::clone(&store),
        options.queries.within(&features.engine()),
        Arc::clone(&clock),
        &registry,
    )?;
    let engine = Arc::new(engine.with_exemplars(Arc::clone(&exemplars)).with_query_file(&lake));

    let node = Arc::new(NodeCollector::new(NodeOptions::new(Arc::clone(&clock))));
    let network = Arc::new(HttpTransport::new(Arc::clone(&clock), environment));
    let own = SelfSource { registry: registry.clone(), engine: Arc::clone(&engine) };
    let transports = Transports::new(Arc::clone(&network) as _)
        .with_local(NODE_SOURCE, Arc::new(NodeSource(Arc::clone(&node))))
        .with_local(SELF_SOURCE, Arc::new(own));
    let sink = Arc::new(EngineSink(Arc::clone(&engine)));
    let manager = Arc::new(ScrapeManager::new(sink, Arc::clone(&clock), &registry, Arc::new(transports))?);

    let alerts = Alerts::new(
        &options,
        &external_url(options.web_external_url.as_deref(), &hostname, address.port())?,
        RuleStore { engine: Arc::clone(&engine), store: Arc::clone(&store) },
        Arc::clone(&network),
        manager.discovery_metrics(),
        &clock,
        &registry,
    )?;
    let alerts = Arc::new(alerts);
    let remote_write =
        StoreFeed::new(&store, &exemplars, &manager).remote_write(network, &clock, &registry)?;
    let room_bytes = memory.pool_limit_bytes(Pool::Requests);
    let receivers = push::receivers(&options, &checked, &features, settings.labels, room_bytes, &registry)?;
    let admin = options.web_enable_admin_api.then(AdminApi::default);
    let queries = options.queries.clone();
    let flush_deadline = options.storage_remote_flush_deadline;
    let running = Arc::new(Running {
        options,
        asked_features: asked,
        features,
        receivers: receivers.clone(),
        lake,
        store: Arc::clone(&store),
        exemplars: Arc::clone(&exemplars),
        alerts: Arc::clone(&alerts),
        hostname,
        manager: Arc::clone(&manager),
        remote_write: Arc::clone(&remote_write),
        node: NodeSource(node),
        clock: Arc::clone(&clock),
        start_ms,
        listen_port: address.port(),
        reload_metrics,
        engine: Arc::clone(&engine),
        query_log_metrics: QueryLogMetrics::register(&registry)?,
        reloading: tokio::sync::Mutex::new(()),
        current: parking_lot::Mutex::new(Current::new(settings, start_ms)),
    });
    running.apply(&checked, rules).await?;

    let readiness = Arc::new(Readiness::default());
    let state = Arc::new(ServerState {
        engine,
        write_receiver: receivers.write,
        otlp_receiver: receivers.otlp,
        pushed_metadata: Arc::new(PushedMetadata::register(&registry)?),
        remote_read: RemoteRead::register(
            queries.read_sample_limit,
            queries.read_concurrent_limit,
            &registry,
        )?,
        admin,
        targets: Arc::clone(&running) as _,
        rules: Arc::clone(&alerts.rules),
        notifier: Arc::clone(&alerts.notifier),
        process: Arc::clone(&running) as _,
        assets: Arc::new(EmbeddedAssets),
        http_metrics: HttpMetrics::register(&registry)?,
        registry,
        readiness: Arc::clone(&readiness),
        cors_origin,
        notification_places: Arc::new(Semaphore::new(queries.max_notifications_subscribers)),
        clock,
        version: crate::VERSION,
        revision: crate::REVISION,
    });
    front.open(server::router(Arc::clone(&state)));
    let grpc = grpc.map(|grpc| push::serve_grpc(grpc, state));
    let (stop_maintenance, maintenance_stops) = oneshot::channel();
    let maintaining = tokio::spawn(maintain(Arc::clone(&store), Arc::clone(&exemplars), maintenance_stops));
    readiness.set(true);
    EmbeddedAssets::warn_if_missing();
    tracing::info!(version = crate::version_line(), "ready at http://{address}/");

    signals.wait(&running).await;

    readiness.set(false);
    alerts.stop().await;
    manager.stop().await;
    drop(stop_http);
    let mut served = joined("the HTTP server", serving.await);
    if let Some((stop, serving)) = grpc {
        drop(stop);
        served = served.and(joined("the gRPC server", serving.await));
    }
    remote_write.stop(flush_deadline).await;
    drop(stop_maintenance);
    store.stop_maintenance();
    let maintained = joined("maintenance", maintaining.await.map(Ok));
    let closed = store.close().await.and(exemplars.close().await);
    tracing::info!("stopped");
    served.and(maintained).and(closed)
}

/// The stores of samples and of exemplars.
async fn open_stores(
    settings: &Settings,
    lake: &Arc<Lake>,
    memory: &MemoryBudget,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
) -> Result<(Arc<MetricStore>, Arc<ExemplarStore>)> {
    let (retention, tunable) = (settings.retention.clone(), settings.tunable_within(memory));
    let rollups = settings.rollups.clone();
    let options = StoreOptions { retention, tunable, rollups, ..StoreOptions::default() };
    let exemplars = exemplar_options(settings, &options.tenant);
    let exemplars = Box::pin(ExemplarStore::open(Arc::clone(lake), exemplars, registry)).await?;
    let store = MetricStore::open(Arc::clone(lake), options, Arc::clone(clock), registry).await?;
    Ok((Arc::new(store), Arc::new(exemplars)))
}

/// What other origins' names have to match.
fn cors_origin(options: &Serve) -> Result<Matcher> {
    Matcher::new("origin", MatchOp::Regex, &options.web_cors_origin)
        .map_err(|e| e.context("cannot read --web.cors.origin"))
}

async fn open_lake(
    place: &Place,
    memory: &Arc<MemoryBudget>,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
) -> Result<Arc<Lake>> {
    memory.register(registry)?;
    let lake = place.open(Arc::clone(clock)).await?.with_memory(Arc::clone(memory));
    lake.reserve().metrics().register(registry)?;
    if let Some(metrics) = lake.remote_metrics() {
        metrics.register(registry)?;
    }
    Ok(Arc::new(lake))
}

fn exemplar_options(settings: &Settings, tenant: &str) -> ExemplarOptions {
    ExemplarOptions {
        in_memory: settings.max_exemplars,
        out_of_order: settings.tunable.out_of_order,
        retention: settings.retention.longest(),
        tenant: tenant.to_owned(),
    }
}

fn load(options: &Serve) -> Result<Checked> {
    match &options.config {
        Some(file) => config::load(file, &environment),
        None => Ok(Checked::default_host()),
    }
}

/// Says what the configuration asks for that is not done.
pub(crate) fn warn_of_unsupported(checked: &Checked) {
    for notice in &checked.unsupported {
        tracing::warn!(line = notice.line, key = %notice.key, "configuration: {}", notice.text);
    }
}

async fn bind(options: &Serve, address: &str) -> Result<HttpServer> {
    let resolved: Vec<_> = tokio::net::lookup_host(address)
        .await
        .map_err(|e| Error::invalid(format!("cannot listen on {address}: {e}; write it as 127.0.0.1:9090")))?
        .collect();
    options.check_exposure(&resolved)?;
    HttpServer::bind(address).await
}

fn register_process_metrics(registry: &Registry) -> prometheus::Result<ReloadMetrics> {
    registry.register(Box::new(ProcessMetrics::new()?))?;
    let build = prometheus::IntGaugeVec::new(
        prometheus::Opts::new(
            "bellwether_build_info",
            "A constant 1, labelled by version and source revision.",
        ),
        &["version", "revision"],
    )?;
    build.with_label_values(&[crate::VERSION, crate::REVISION]).set(1);
    registry.register(Box::new(build))?;
    ReloadMetrics::register(registry)
}

/// The host's name, as `uname -n` tells it.
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

async fn maintain(store: Arc<MetricStore>, exemplars: Arc<ExemplarStore>, mut stops: oneshot::Receiver<()>) {
    let mut ticks = tokio::time::interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut caught_up = true;
    loop {
        let result = tokio::select! {
            _ = &mut stops => return,
            // What failed, on a full disk say, is due again at once: it waits for the next round.
            () = store.catch_up_due(), if caught_up => {
                let result = store.catch_up().await;
                caught_up = result.is_ok();
                result
            }
            _ = ticks.tick() => {
                caught_up = true;
                let exemplars = exemplars.maintain().await;
                let done = store.maintain().await;
                if done.as_ref().is_ok_and(|done| *done != Maintenance::default()) {
                    // Not on a thread that others wait for. Whether it has succeeded changes nothing.
                    drop(tokio::task::spawn_blocking(crate::machine::give_memory_back).await);
                }
                done.map(drop).and(exemplars)
            }
            () = exemplars.wait_until_large() => exemplars.maintain().await,
        };
        if let Err(error) = result {
            tracing::error!(%error, "cannot maintain the store, trying again within a minute");
        }
    }
}

fn joined(what: &str, result: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    result.map_err(|e| Error::internal(format!("cannot end {what}: {e}")))?
}

/// The signals that the process answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn install() -> Result<Self> {
        let of = |kind| signal(kind).map_err(|e| Error::internal(format!("cannot listen for signals: {e}")));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    /// Reloads on SIGHUP; returns on SIGTERM and SIGINT.
    async fn wait(&mut self, running: &Running) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    // The outcome is logged where it is known.
                    let _ = running.reload().await;
                    continue;
                }
            };
            tracing::info!(signal = name, "stopping");
            return;
        }
    }
}
