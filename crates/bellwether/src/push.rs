//! What the receivers of pushed samples are told by the command line, the features and the configuration.

use std::sync::Arc;

use base::Result;
use engine::EngineOptions;
use ingest::{LabelLimits, otlp, remote_write};
use prometheus::Registry;
use server::{Front, HttpServer, OtlpReceiver, Room, ServerState, WriteOptions, WriteReceiver};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::Serve;
use crate::config::Checked;
use crate::features::Features;

/// The receivers that were asked for.
#[derive(Clone)]
pub(crate) struct Receivers {
    pub(crate) write: Option<Arc<WriteReceiver>>,
    pub(crate) otlp: Option<Arc<OtlpReceiver>>,
    /// What OTLP does by features, which stay as they are.
    otlp_features: otlp::Settings,
}

/// Registers them. Requests in memory share `room_bytes`.
pub(crate) fn receivers(
    options: &Serve,
    checked: &Checked,
    features: &Features,
    labels: LabelLimits,
    room_bytes: usize,
    registry: &Registry,
) -> Result<Receivers> {
    let room = Arc::new(Room::register(room_bytes, registry)?);
    let write = options.web_enable_remote_write_receiver.then(|| {
        WriteReceiver::register(write_options(options, features), labels, Arc::clone(&room), registry)
    });
    let otlp_features = otlp_features(features, &EngineOptions::default());
    let over_http = options.web_enable_otlp_receiver;
    let otlp = (over_http || options.otlp_grpc_listen_address.is_some()).then(|| {
        let settings = otlp_settings(&checked.otlp, &otlp_features);
        OtlpReceiver::register(settings, labels, Arc::clone(&room), over_http, registry)
    });
    let (write, otlp) = (write.transpose()?.map(Arc::new), otlp.transpose()?.map(Arc::new));
    Ok(Receivers { write, otlp, otlp_features })
}

impl Receivers {
    /// Makes a configuration's settings those of the requests to come.
    pub(crate) fn apply(&self, checked: &Checked, labels: LabelLimits) {
        if let Some(receiver) = &self.write {
            receiver.set_limits(labels);
        }
        if let Some(receiver) = &self.otlp {
            receiver.set(otlp_settings(&checked.otlp, &self.otlp_features), labels);
        }
    }
}

/// Answers gRPC until the sender is dropped.
pub(crate) fn serve_grpc(
    grpc: HttpServer,
    state: Arc<ServerState>,
) -> (oneshot::Sender<()>, JoinHandle<Result<()>>) {
    tracing::info!("OTLP over gRPC at {}", grpc.address());
    let front = Arc::new(Front::new(state.registry.clone()));
    front.open(server::grpc_router(state));
    let (stop, stops) = oneshot::channel::<()>();
    let serving = tokio::spawn(grpc.serve(front, async move {
        // A dropped sender means the same as a signal.
        let _ = stops.await;
    }));
    (stop, serving)
}

/// What remote write takes, and what is made of it.
fn write_options(options: &Serve, features: &Features) -> WriteOptions {
    let mut write = WriteOptions {
        features: remote_write::Features {
            start_zeros: features.has("created-timestamp-zero-ingestion").then(Arc::default),
            starts: features.has("st-storage"),
            type_and_unit_labels: features.has("type-and-unit-labels"),
        },
        ..WriteOptions::default()
    };
    if !options.web_accepted_messages.is_empty() {
        write.accepted.clone_from(&options.web_accepted_messages);
    }
    write
}

/// What OTLP does by features; the section `otlp` of the configuration has the rest.
fn otlp_features(features: &Features, engine: &EngineOptions) -> otlp::Settings {
    let deltas = if features.has("otlp-deltatocumulative") {
        otlp::Deltas::AddUp(Arc::default())
    } else if features.has("otlp-native-delta-ingestion") {
        otlp::Deltas::Store
    } else {
        otlp::Deltas::Refuse
    };
    otlp::Settings {
        deltas,
        type_and_unit_labels: features.has("type-and-unit-labels"),
        start_zeros: features.has("created-timestamp-zero-ingestion").then(Arc::default),
        starts: features.has("st-storage"),
        lookback: engine.lookback,
        ..otlp::Settings::default()
    }
}

/// The settings of a configuration, with what features add.
fn otlp_settings(configured: &otlp::Settings, features: &otlp::Settings) -> otlp::Settings {
    otlp::Settings {
        deltas: features.deltas.clone(),
        type_and_unit_labels: features.type_and_unit_labels,
        start_zeros: features.start_zeros.clone(),
        starts: features.starts,
        lookback: features.lookback,
        ..configured.clone()
    }
}
