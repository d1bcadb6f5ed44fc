//! Discovery, relabelling, scraping and the built-in exporters.
//!
//! Owns how samples get in by pulling: which targets there are, when each is scraped, how its answer is parsed, and
//! which label sets come out; and how they are sent on to other servers ([`remote_write`]). Does not store anything: samples go to a
//! [`scrape::Sink`] that the caller brings, and come from a log that the caller opens. Does not
//! read configuration files: the binary turns YAML into [`config`].

pub mod config;
pub mod discovery;
pub mod endpoint;
pub mod exporters;
pub mod exposition;
pub mod family;
pub mod http;
pub mod limits;
pub mod post;
pub mod relabel;
pub mod remote_write;
pub mod scrape;
pub mod target;
