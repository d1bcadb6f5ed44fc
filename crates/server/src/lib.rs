//! HTTP: the API of Prometheus and our own, the pages' assets, and the process' life cycle.
//!
//! The only crate that knows HTTP and JSON shapes. It decides nothing: what it answers comes from the engine and from
//! the traits in [`process`], which the binary implements.

mod assets;
mod client;
mod connection;
mod cors;
mod error;
mod exposition;
mod federate;
mod http;
mod lake;
mod lifecycle;
mod limits;
mod metrics;
mod otlp;
mod params;
pub mod process;
mod prometheus;
mod push;
mod refusal;
mod request_line;
mod state;

pub use self::otlp::OtlpReceiver;
pub use self::otlp::grpc::grpc_router;
pub use self::prometheus::{AdminApi, RemoteRead, WriteOptions, WriteReceiver};
pub use self::push::{PushedMetadata, Room};
pub use assets::{Asset, Assets};
pub use http::{Front, HttpServer, route_paths, router};
pub use limits::{NOTIFICATION_PLACES, READ_CONCURRENCY, READ_SAMPLES};
pub use metrics::HttpMetrics;
pub use state::{Readiness, ServerState};
