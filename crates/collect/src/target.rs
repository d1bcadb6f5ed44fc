//! Targets.

/// The label that holds a target's `host:port`.
pub const ADDRESS_LABEL: &str = "__address__";
