//! Starts the real binary, and real peers beside it.
#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a test waits for real programs in real time, and says what it skips on standard output"
)]

mod admin;
mod alerts;
mod api;
mod browser;
mod bucket;
mod config;
mod crash;
mod differential;
mod disk;
mod exemplars;
mod export;
mod features;
mod federation;
mod fuzz;
mod harness;
mod hostile;
mod import;
mod import_live;
mod import_rules;
mod lake;
mod lake_live;
mod lifecycle;
mod otlp;
mod outgoing;
mod peers;
mod promtool;
mod protobuf;
mod random_numbers;
mod read_api;
mod remote_write;
mod remote_write_send;
mod remote_write_v2;
mod schema;
mod shapes;
mod starts;
