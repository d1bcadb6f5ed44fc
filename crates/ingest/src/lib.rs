//! Push protocols: the bytes that a sender brings become a [`base::WriteBatch`], checked and within limits. The way back:
//! [`remote_read`]. And data folders of other programs: [`prometheus_tsdb`].
//!
//! Owns foreign formats and their bounds. Knows no HTTP, no store and no clock: it is handed a body or a folder and hands back what is
//! in it.

mod decoded;
pub mod limits;
mod messages;
pub mod native;
pub mod otlp;
pub mod prometheus_tsdb;
pub mod protobuf;
pub mod put;
pub mod remote_read;
pub mod remote_write;
pub mod send;
mod snappy;
mod starts;
pub mod testing;

pub use decoded::{Decoded, Refused, Warnings};
pub use starts::{ImpliedStarts, Starts};

/// Bounds that an operator may set; the others are fixed in [`limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// Labels of one series, its name included.
    pub labels: usize,
    /// Bytes of one label's name.
    pub name_bytes: usize,
    /// Bytes of one label's value.
    pub value_bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self {
            labels: limits::LABELS_PER_SERIES,
            name_bytes: limits::LABEL_NAME_BYTES,
            value_bytes: limits::LABEL_VALUE_BYTES,
        }
    }
}
