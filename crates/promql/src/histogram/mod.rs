//! Native histograms as values: arithmetic, resets, statistics and text.
//!
//! Owns what a histogram is to the language; knows neither series nor steps. A histogram itself is [`base::Histogram`], and those
//! that are computed count in fractions.

mod arithmetic;
mod bounds;
mod bucket;
mod layout;
mod reset;
mod statistics;
mod sum;
mod text;
mod trim;
mod zero;

use base::Histogram;

pub(crate) use arithmetic::{
    Incompatible, Noted, add, divide, in_schema, is_equal, multiply, same_bounds, subtract,
};
pub use bucket::{Bucket, buckets};
pub(crate) use layout::compact;
pub(crate) use reset::is_reset;
pub(crate) use statistics::{NanNote, fraction, quantile, variance};
pub(crate) use sum::{Mean, Sum};
pub use text::{describe, literal};
pub(crate) use trim::{Side, trim};

/// How many samples a histogram counts as, by its size: of 16 bytes each.
pub(crate) fn size_in_samples(h: &Histogram) -> u64 {
    let counts = h.positive.len() + h.negative.len() + h.custom_bounds.len();
    let spans = h.positive_spans.len() + h.negative_spans.len();
    (176 + 8 * (counts + spans) as u64) / 16
}
