//! Integration tests of `collect`.

mod conformance;
mod exposition;
mod http_transport;
mod node;
mod scrape;
