//! Integration tests of `collect`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, helpers included, and says what it skips on standard output"
)]

mod conformance;
mod exposition;
mod http_transport;
mod node;
mod outgoing;
mod scrape;
mod socks;
mod tokens;
