//! Integration tests of `collect`.

mod conformance;
mod exposition;
