//! What a target exposed last time: from the bytes of a series to its final label set.
//!
//! Owns the memory of one target between scrapes, so that a steady target costs neither parsing of labels nor
//! relabelling nor, as series come in the same order every time, hashing. It also knows which series were live, and so
//! which have ended. Does not know values.

use std::collections::HashSet;

use base::Labels;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Index of a series in the cache.
pub(super) type Slot = u32;

/// A series that is exposed, or was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LiveSeries {
    pub(super) labels: Labels,
    /// Whether its samples are native histograms.
    pub(super) histogram: bool,
}

/// A series as exposed.
struct Entry {
    key: Box<[u8]>,
    hash: u64,
    /// The final label set; `None` where relabelling drops the series.
    labels: Option<Labels>,
    /// Whether its samples are native histograms.
    histogram: bool,
    /// The round in which the series was last exposed.
    round: u64,
    /// Position at which it was exposed in that round.
    position: u32,
}

/// Series of one target.
pub(super) struct SeriesCache {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    table: HashTable<Slot>,
    /// Keeps a target from choosing names that collide.
    seed: u64,
    round: u64,
    /// Slots in the order of this round, and of the one before.
    order: Vec<Slot>,
    previous_order: Vec<Slot>,
    /// Where in `previous_order` the next series is expected.
    cursor: usize,
    /// Slots that had a sample without a timestamp of its own in this round, and in the last that counted.
    tracked: Vec<Slot>,
    live: Vec<Slot>,
    /// Label sets that another loop of the same target left live.
    inherited: Vec<LiveSeries>,
    good_len: usize,
}

/// What the cache knows of a series.
pub(super) enum Lookup {
    /// Not seen before, or forgotten.
    Unknown,
    /// Known, and exposed already in this round, if `repeated`.
    Known { slot: Slot, repeated: bool },
}

impl SeriesCache {
    /// An empty cache. The seed should differ between targets.
    pub(super) fn new(seed: u64, inherited: Vec<LiveSeries>) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            seed,
            round: 0,
            order: Vec::new(),
            previous_order: Vec::new(),
            cursor: 0,
            tracked: Vec::new(),
            live: Vec::new(),
            inherited,
            good_len: 0,
        }
    }

    /// Starts a round: one body.
    pub(super) fn begin(&mut self) {
        self.round += 1;
        std::mem::swap(&mut self.order, &mut self.previous_order);
        self.order.clear();
        self.tracked.clear();
        self.cursor = 0;
    }

    /// Finds a series by its bytes and notes that it is exposed in this round.
    #[inline]
    pub(super) fn look_up(&mut self, key: &[u8]) -> Lookup {
        let expected = self.previous_order.get(self.cursor).copied();
        if let Some(slot) = expected
            && let Some(entry) = &self.entries[slot as usize]
            && *entry.key == *key
        {
            self.cursor += 1;
            return self.seen(slot);
        }
        let hash = xxh3_64_with_seed(key, self.seed);
        let entries = &self.entries;
        let found = self.table.find(hash, |slot| {
            entries[*slot as usize].as_ref().is_some_and(|e| e.hash == hash && *e.key == *key)
        });
        match found.copied() {
            None => Lookup::Unknown,
            Some(slot) => {
                if let Some(entry) = &self.entries[slot as usize]
                    && entry.round + 1 == self.round
                {
                    self.cursor = entry.position as usize + 1;
                }
                self.seen(slot)
            }
        }
    }

    #[inline]
    fn seen(&mut self, slot: Slot) -> Lookup {
        let entry = self.entries[slot as usize].as_mut().expect("slots in use have an entry");
        let repeated = entry.round == self.round;
        if !repeated {
            entry.round = self.round;
            entry.position = self.order.len() as u32;
            self.order.push(slot);
        }
        Lookup::Known { slot, repeated }
    }

    /// Adds a series that [`Self::look_up`] did not know.
    pub(super) fn insert(&mut self, key: &[u8], labels: Option<Labels>, histogram: bool) -> Slot {
        let hash = xxh3_64_with_seed(key, self.seed);
        let (round, position) = (self.round, self.order.len() as u32);
        let entry = Entry { key: key.into(), hash, labels, histogram, round, position };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = Some(entry);
                slot
            }
            None => {
                self.entries.push(Some(entry));
                (self.entries.len() - 1) as Slot
            }
        };
        let entries = &self.entries;
        let hash_of = |slot: &Slot| entries[*slot as usize].as_ref().map_or(0, |e| e.hash);
        self.table.insert_unique(hash, slot, hash_of);
        self.order.push(slot);
        slot
    }

    /// The final label set of a series; `None` where it is dropped.
    #[inline]
    pub(super) fn labels(&self, slot: Slot) -> Option<&Labels> {
        self.entries[slot as usize].as_ref().and_then(|e| e.labels.as_ref())
    }

    /// Notes that a series got a sample in this round, and so ends when it is exposed no longer.
    #[inline]
    pub(super) fn track(&mut self, slot: Slot) {
        self.tracked.push(slot);
    }

    /// Number of series known, dropped ones included.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Ends a round whose samples count. Returns the label sets that were live before and are not now, and forgets what
    /// was not exposed.
    pub(super) fn finish(&mut self) -> Vec<LiveSeries> {
        let ended = self.ended();
        std::mem::swap(&mut self.live, &mut self.tracked);
        self.forget_unseen();
        self.good_len = self.len();
        ended
    }

    /// Ends a round that failed, or one without a body: nothing is live any more. Returns what was. What is known is
    /// kept for when the target is back.
    pub(super) fn fail(&mut self) -> Vec<LiveSeries> {
        self.tracked.clear();
        let ended = self.ended();
        self.live.clear();
        if self.len() > self.good_len * 2 + crate::limits::CACHE_SLACK_SERIES {
            self.forget_unseen();
        }
        ended
    }

    /// The label sets that are live, for the loop that takes over.
    pub(super) fn live(&self) -> Vec<LiveSeries> {
        self.own_live().chain(self.inherited.iter().cloned()).collect()
    }

    fn own_live(&self) -> impl Iterator<Item = LiveSeries> {
        let entry = |slot: &Slot| self.entries[*slot as usize].as_ref();
        self.live.iter().filter_map(entry).filter_map(|e| {
            let labels = e.labels.clone()?;
            Some(LiveSeries { labels, histogram: e.histogram })
        })
    }

    fn ended(&mut self) -> Vec<LiveSeries> {
        let inherited = std::mem::take(&mut self.inherited);
        if inherited.is_empty() && self.live == self.tracked {
            return Vec::new();
        }
        // By label set, not by bytes: a target may write one series in another way without ending it.
        let now: HashSet<&Labels> = self.tracked.iter().filter_map(|slot| self.labels(*slot)).collect();
        let mut before: HashSet<Labels> = HashSet::new();
        let candidates = self.own_live().chain(inherited);
        candidates.filter(|s| !now.contains(&s.labels) && before.insert(s.labels.clone())).collect()
    }

    fn forget_unseen(&mut self) {
        if self.len() == self.order.len() {
            return;
        }
        let round = self.round;
        for (slot, place) in self.entries.iter_mut().enumerate() {
            let Some(entry) = place.take_if(|e| e.round != round) else { continue };
            let slot = slot as Slot;
            if let Ok(found) = self.table.find_entry(entry.hash, |s| *s == slot) {
                found.remove();
            }
            self.free.push(slot);
        }
        // What is not live was not exposed in this round, or its round failed.
        self.live.retain(|slot| self.entries[*slot as usize].is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One scrape that exposes `keys`; returns how many were unknown and what ended.
    fn scrape(cache: &mut SeriesCache, keys: &[&str]) -> (usize, Vec<String>) {
        cache.begin();
        let mut unknown = 0;
        for key in keys {
            let slot = match cache.look_up(key.as_bytes()) {
                Lookup::Known { slot, repeated } => {
                    assert!(!repeated);
                    slot
                }
                Lookup::Unknown => {
                    unknown += 1;
                    // Blanks do not count, so that two ways of writing give one label set.
                    cache.insert(key.as_bytes(), Some(Labels::from_pairs([("k", key.trim())])), false)
                }
            };
            assert_eq!(cache.labels(slot).unwrap().get("k"), Some(key.trim()));
            cache.track(slot);
        }
        let mut ended: Vec<_> =
            cache.finish().iter().map(|s| s.labels.get_or_empty("k").to_owned()).collect();
        ended.sort();
        (unknown, ended)
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn knows_series_in_any_order_and_says_which_ended() {
        let mut c = SeriesCache::new(1, Vec::new());
        assert_eq!(scrape(&mut c, &["a", "b", "c"]), (3, none()));
        assert_eq!(scrape(&mut c, &["a", "b", "c"]), (0, none()));
        assert_eq!(scrape(&mut c, &["c", "x", "a", "b"]), (1, none()));
        assert_eq!(scrape(&mut c, &["c", "b"]), (0, vec!["a".into(), "x".into()]));
        assert_eq!(c.len(), 2);
        assert_eq!(scrape(&mut c, &["a", "b"]), (1, vec!["c".into()]));
    }

    #[test]
    fn a_series_written_in_another_way_does_not_end() {
        let mut c = SeriesCache::new(1, Vec::new());
        scrape(&mut c, &["a", "b"]);
        assert_eq!(scrape(&mut c, &["a ", "b"]), (1, none()));
    }

    #[test]
    fn a_failure_ends_all_once_and_keeps_what_is_known() {
        let mut c = SeriesCache::new(1, Vec::new());
        scrape(&mut c, &["a", "b"]);
        assert_eq!(c.fail().len(), 2);
        assert_eq!(c.fail().len(), 0);
        assert_eq!(scrape(&mut c, &["a", "b"]), (0, none()));
        assert_eq!(c.live().len(), 2);
    }

    #[test]
    fn failures_with_ever_new_series_do_not_grow_it() {
        let mut c = SeriesCache::new(1, Vec::new());
        for i in 0..20_000 {
            c.begin();
            let key = format!("k{i}");
            assert!(matches!(c.look_up(key.as_bytes()), Lookup::Unknown));
            c.insert(key.as_bytes(), None, false);
            c.fail();
        }
        assert!(c.len() <= 1_001, "{}", c.len());
    }

    #[test]
    fn inherited_series_end_unless_they_are_exposed() {
        let l = |k: &str| LiveSeries { labels: Labels::from_pairs([("k", k)]), histogram: false };
        let mut c = SeriesCache::new(1, vec![l("a"), l("b")]);
        assert_eq!(scrape(&mut c, &["a"]), (1, vec!["b".into()]));
        assert_eq!(scrape(&mut c, &["a"]), (0, none()));
    }
}
