//! Integration tests of the language.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, helpers included, and says what it skips on standard output"
)]

mod evaluate;
mod explain;
mod histograms;
mod parse;
mod scripts;
mod statistics;
