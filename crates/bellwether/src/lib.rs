//! The parts of the binary that tests use too: the command line, the configuration and its check.

pub mod check;
pub mod cli;
pub mod config;
