//! The node collector: on a frozen tree of our own, on node_exporter's fixtures, and live beside node_exporter.

#![allow(clippy::disallowed_macros, reason = "tests say what they compared and what they skipped")]

mod exposition_text;
mod fixtures;
mod frozen;
mod golden;
mod hang;
mod live;
mod peer;
mod ttar;
