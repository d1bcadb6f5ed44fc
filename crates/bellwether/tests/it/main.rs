//! Starts the real binary, and real peers beside it.

mod api;
mod browser;
mod config;
mod crash;
mod harness;
mod lifecycle;
mod peers;
