//! The limits of what a request's conditions may cost.

/// Bytes that one regular expression may take once compiled.
pub(crate) const REGEX_BYTES: usize = 10 << 20;

/// What an expression counts as, in bytes: the least of these that it fits into. A word with a few dots takes some kilobytes, a list of
/// a thousand names some hundred; the largest is [`REGEX_BYTES`].
pub(crate) const REGEX_SIZES_BYTES: [usize; 3] = [64 << 10, 1 << 20, REGEX_BYTES];

/// Bytes that the different expressions of one request may take once compiled: a thousand usual ones. Each counts as at least 64 KiB, as
/// a few characters may stand for megabytes, and a request has room for a million of them.
pub(crate) const REGEXES_BYTES: usize = 64 << 20;
