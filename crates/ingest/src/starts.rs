//! When series began, as far as senders said so, so that a zero is stored there once and not with every request.

use std::collections::HashMap;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::STARTS_KNOWN;

/// The last known start of each series. Which zeros are stored is decided by the store; this only spares it most that it has.
#[derive(Debug, Default)]
pub struct Starts(Mutex<HashMap<u64, i64>>);

impl Starts {
    /// Whether a series, given by its packed labels, was not known to begin there; it is from now on.
    pub(crate) fn is_new(&self, packed: &[u8], start_ms: i64) -> bool {
        let mut known = self.0.lock();
        let series = xxh3_64(packed);
        // Zeros that are sent to the store once more do no harm, so that forgetting everything is cheap.
        if known.len() >= STARTS_KNOWN && !known.contains_key(&series) {
            known.clear();
        }
        known.insert(series, start_ms) != Some(start_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_new_once() {
        let starts = Starts::default();
        assert!(starts.is_new(b"a", 1));
        assert!(!starts.is_new(b"a", 1));
        assert!(starts.is_new(b"a", 2) && starts.is_new(b"b", 2));
    }
}
