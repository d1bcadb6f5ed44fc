//! When series began, as far as senders said so, so that a zero is stored there once and not with every request.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::STARTS_KNOWN;

/// The last known start of each series. Which zeros are stored is decided by the store; this only spares it most that it has.
#[derive(Debug, Default)]
pub struct Starts(Mutex<HashMap<u64, i64>>);

/// The starts of series for which one request implies zeros. They are known once these are stored and not before: a request that
/// comes in meanwhile brings its own zero along, since its samples may be stored first.
#[derive(Debug, Default)]
pub struct ImpliedStarts {
    known: Option<Arc<Starts>>,
    of: HashMap<u64, i64>,
}

impl Starts {
    fn knows(&self, series: u64, start_ms: i64) -> bool {
        self.0.lock().get(&series) == Some(&start_ms)
    }

    fn learn(&self, starts: impl Iterator<Item = (u64, i64)>) {
        let mut known = self.0.lock();
        for (series, start_ms) in starts {
            // Zeros that are sent to the store once more do no harm, so that forgetting everything is cheap.
            if known.len() >= STARTS_KNOWN && !known.contains_key(&series) {
                known.clear();
            }
            known.insert(series, start_ms);
        }
    }
}

impl ImpliedStarts {
    /// Whether a series, given by its packed labels, is not known to begin there, neither by earlier requests nor by this one.
    pub(crate) fn is_new(&mut self, known: &Arc<Starts>, packed: &[u8], start_ms: i64) -> bool {
        let series = xxh3_64(packed);
        if known.knows(series, start_ms) {
            return false;
        }
        self.known.get_or_insert_with(|| Arc::clone(known));
        self.of.insert(series, start_ms) != Some(start_ms)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Says that the store has taken or refused the zeros: later requests need not bring them.
    pub fn stored(&mut self) {
        if let Some(known) = &self.known {
            known.learn(self.of.drain());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_new_until_it_is_stored() {
        let known = Arc::new(Starts::default());
        let (mut first, mut second) = (ImpliedStarts::default(), ImpliedStarts::default());
        assert!(first.is_new(&known, b"a", 1) && first.is_new(&known, b"b", 2));
        assert!(!first.is_new(&known, b"a", 1), "one zero is enough for a request");
        assert!(second.is_new(&known, b"a", 1), "the first one may fail yet");
        first.stored();
        assert!(first.is_empty() && !second.is_new(&known, b"b", 2));
        assert!(second.is_new(&known, b"a", 3));
        // One that fails is dropped.
        drop(second);
        assert!(ImpliedStarts::default().is_new(&known, b"a", 3));
    }
}
