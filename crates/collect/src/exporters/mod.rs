//! The exporters that run inside this process, one per folder or file.
//!
//! An exporter yields [`crate::family::Family`]s when it is asked; who asks, how often, and what becomes of the samples
//! is the scrape's business.

pub mod node;
