//! Discovery, relabelling, scraping and the built-in exporters.
//!
//! Owns how samples get in by pulling: which targets there are, when each is scraped, how its answer is parsed, and
//! which label sets come out. Does not store anything: samples go to a [`scrape::Sink`] that the caller brings. Does not
//! read configuration files: the binary turns YAML into [`config`].

pub mod config;
pub mod discovery;
pub mod endpoint;
pub mod exporters;
pub mod exposition;
pub mod family;
pub mod limits;
pub mod relabel;
pub mod scrape;
pub mod target;
