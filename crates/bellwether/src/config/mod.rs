//! The configuration file: what a Prometheus configuration file says, checked.
//!
//! A file goes through three forms: [`raw`], the document with its lines; the tables of [`grammar`], one per section,
//! which say what keys there are; and [`checked`], which the program runs from. Owns no reloading and no logging: what
//! has no effect here is handed back as [`Notice`]s.

mod alerting;
mod bounds;
mod checked;
mod cloud;
#[cfg(test)]
mod conformance;
mod discovery;
mod expand;
mod exporters;
mod global;
mod grammar;
mod http_client;
mod http_file;
mod limits;
mod otlp;
mod pattern;
mod protocols;
mod raw;
mod relabel;
mod remote;
mod render;
mod root;
mod rules;
#[cfg(test)]
mod rules_tests;
mod scalar;
mod scrape;
mod storage;
#[cfg(test)]
mod tests;
mod unit_test;
mod url;
mod web;

pub use alerting::{Alerting, AlertmanagerConfig};
pub use bounds::Limits;
pub use checked::{Checked, NODE_SOURCE, SELF_SOURCE, load, load_str};
pub(crate) use discovery::ways as ways_of_discovery;
pub use exporters::Exporters;
pub use global::Global;
pub use grammar::Notice;
pub use http_file::load_http_config;
pub use rules::{RuleFile, load_rules, parse_rule_file, read_rule_file};
pub(crate) use scalar::parse_size;
pub use storage::{Storage, TsdbRetention};
pub use unit_test::{AlertTest, ExpectedSample, ExprTest, TestGroup, UnitTests, load_unit_tests};
pub use web::check_web_config;
