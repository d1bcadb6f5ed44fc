//! Following the log of metrics: every sample that is appended, once and in the order of its series, for who passes them on.
//!
//! Owns what references in the log mean: a file defines those of its own, and a checkpoint's names the others. A lagging
//! reader meets files of several checkpoints, so what the names say is kept for each of them. Labels are handed over once, with a
//! number by which samples then refer to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::{ErrorKind, Histogram, Labels, Result};
use lake::filenames::{CheckpointPart, checkpoint_file};
use lake::frames::read_frames;
use lake::fs::Fs;
use lake::{LogReader, Mark, Origin, ReaderHandle};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_128;

use crate::checkpoint::NamesPart;
use crate::head::save::read_names;
use crate::limits::TAIL_SPARE_SERIES;
use crate::record::{Entries, Point, Value, decode};
use crate::store::MetricStore;

/// Takes what a [`SampleTail`] reads. A series is given before its samples; a record after the samples that it brought.
pub trait TailSink {
    /// What a number means until it is forgotten.
    fn series(&mut self, series: u32, labels: Labels);

    /// A number that no sample will have again before it is given anew.
    fn forget(&mut self, series: u32);

    /// A sample. `start_ms` is when its counting began, 0 if that is unknown.
    fn float(&mut self, series: u32, t_ms: i64, value: f64, start_ms: i64);

    /// A sample that is a histogram.
    fn histogram(&mut self, series: u32, t_ms: i64, histogram: &Histogram, start_ms: i64);

    /// The end of a record, whose mark says how far the log is done once its samples are. With `again` an earlier tail of
    /// the same name may have given the same samples.
    fn record(&mut self, mark: Mark, again: bool);
}

/// What a look at the log gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TailLook {
    /// There is more to read at once.
    pub more: bool,
    /// Files that were dropped before they were read to their end.
    pub lost_files: usize,
    /// Damaged places.
    pub damaged: usize,
    /// Samples whose labels were lost with a damaged place.
    pub orphans: u64,
}

/// Reads what is appended to a store.
pub struct SampleTail {
    reader: LogReader,
    names: NamesFiles,
    /// What the names of a checkpoint say, by its number.
    bases: BTreeMap<u64, Arc<Vec<u32>>>,
    /// What each file has defined.
    files: FxHashMap<(i64, u64), Vec<u32>>,
    slots: Slots,
    /// What was not told yet of samples whose labels were lost, and of records that cannot be read.
    orphans: u64,
    damaged: usize,
}

/// A reference without a meaning.
const NONE: u32 = u32::MAX;

struct NamesFiles {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    parts: Arc<Mutex<Vec<NamesPart>>>,
}

impl MetricStore {
    /// Follows the log for somebody who has a name. A new one begins with what is appended from now on; a known one goes on behind
    /// what was [done](ReaderHandle::done), whatever happened meanwhile, as long as the log is held for it.
    pub fn tail(&self, name: &str) -> Result<SampleTail> {
        let parts = self.names_parts.clone();
        let names = NamesFiles { fs: self.lake.fs().clone(), dir: self.wal_dir(), parts };
        Ok(SampleTail {
            reader: self.wal.reader(name)?,
            names,
            bases: BTreeMap::new(),
            files: FxHashMap::default(),
            slots: Slots::default(),
            orphans: 0,
            damaged: 0,
        })
    }

    /// Names of those who follow the log, or did and are still expected back.
    pub fn tails(&self) -> Vec<String> {
        self.wal.readers()
    }

    /// Forgets who followed the log: nothing is held for it any more.
    pub fn forget_tail(&self, name: &str) -> Result<()> {
        self.wal.forget_reader(name)
    }

    /// What was appended since the store was opened, floats and histograms, and the newest time of all in milliseconds since 1970, or zero.
    pub fn appended(&self) -> (u64, u64, i64) {
        let of = |kind: &str| self.metrics.samples_appended.with_label_values(&[kind]).get();
        (of("float"), of("histogram"), self.state.read().head.max_ms().max(0))
    }
}

impl SampleTail {
    /// Tells when there is more, and notes how far all is done.
    pub fn handle(&self) -> ReaderHandle {
        self.reader.handle()
    }

    /// How far was read.
    pub fn position(&self) -> &lake::Position {
        self.reader.position()
    }

    /// Hands over records of about `max_bytes` of the log. Blocks on files.
    pub fn read(&mut self, max_bytes: usize, sink: &mut dyn TailSink) -> Result<TailLook> {
        self.forget_unused(sink);
        let Self { reader, names, bases, files, slots, orphans, damaged } = self;
        let mut current: Option<(Origin, Arc<Vec<u32>>)> = None;
        let look = reader.read(max_bytes, &mut |found| {
            let origin = found.origin;
            let base = match &current {
                Some((of, base)) if *of == origin => base.clone(),
                _ => {
                    let base = match names.base(bases, origin.file, slots, sink) {
                        // It will not get better: what it would have named counts as lost.
                        Err(error) if error.kind() == ErrorKind::Corrupt => {
                            tracing::error!("{error}");
                            Arc::default()
                        }
                        base => base?,
                    };
                    current = Some((origin, base.clone()));
                    base
                }
            };
            let file = files.entry((origin.epoch, origin.file)).or_default();
            let known = found.known;
            let mut entries = Following { file, base: &base, slots, sink, known, orphans: 0 };
            // A record that cannot be read costs its samples, not those behind it.
            if let Err(error) = decode(found.payload, &mut entries) {
                tracing::error!("{error}");
                *damaged += 1;
            }
            *orphans += entries.orphans;
            if !known {
                sink.record(found.mark, found.again);
            }
            Ok(())
        })?;
        for origin in &look.finished {
            self.files.remove(&(origin.epoch, origin.file));
        }
        let damaged = look.damaged + std::mem::take(&mut self.damaged);
        let orphans = std::mem::take(&mut self.orphans);
        Ok(TailLook { more: look.more, lost_files: look.lost, damaged, orphans })
    }

    /// Forgets series that no file and no names refer to any more, once there are many of them.
    fn forget_unused(&mut self, sink: &mut dyn TailSink) {
        let lowest = self.reader.position().lowest();
        // The base of the lowest file and those behind it are still looked at.
        if let Some((&needed, _)) = self.bases.range(..=lowest).next_back() {
            self.bases = self.bases.split_off(&needed);
        }
        if self.slots.by_hash.len() < 2 * self.slots.kept + TAIL_SPARE_SERIES {
            return;
        }
        let mut used = vec![false; self.slots.hashes.len()];
        let maps = self.bases.values().map(|base| &**base).chain(self.files.values());
        for slot in maps.flatten().filter(|slot| **slot != NONE) {
            used[*slot as usize] = true;
        }
        self.slots.keep(&used, sink);
    }
}

/// The entries of a record on their way to the sink.
struct Following<'a> {
    file: &'a mut Vec<u32>,
    base: &'a [u32],
    slots: &'a mut Slots,
    sink: &'a mut dyn TailSink,
    /// Only what it defines counts.
    known: bool,
    orphans: u64,
}

impl Entries for Following<'_> {
    fn define(&mut self, reference: usize, packed: &[u8]) -> Result<()> {
        let slot = self.slots.of(packed, self.sink)?;
        put(self.file, reference, slot);
        Ok(())
    }

    fn sample(&mut self, reference: usize, point: &Point<'_>) {
        if self.known {
            return;
        }
        let own = self.file.get(reference).copied().filter(|slot| *slot != NONE);
        let slot = own.or_else(|| self.base.get(reference).copied().filter(|slot| *slot != NONE));
        let &Point { t_ms, start_ms, value, .. } = point;
        match (slot, value) {
            (None, _) => self.orphans += 1,
            (Some(slot), Value::Float(value)) => self.sink.float(slot, t_ms, value, start_ms),
            (Some(slot), Value::Histogram(h)) => self.sink.histogram(slot, t_ms, h, start_ms),
        }
    }
}

fn put(map: &mut Vec<u32>, at: usize, slot: u32) {
    if map.len() <= at {
        map.resize(at + 1, NONE);
    }
    map[at] = slot;
}

impl NamesFiles {
    /// What references mean that a file of this number does not define.
    fn base(
        &self,
        bases: &mut BTreeMap<u64, Arc<Vec<u32>>>,
        sequence: u64,
        slots: &mut Slots,
        sink: &mut dyn TailSink,
    ) -> Result<Arc<Vec<u32>>> {
        let parts: Vec<NamesPart> =
            self.parts.lock().iter().filter(|part| part.sequence <= sequence).copied().collect();
        let Some(last) = parts.last() else { return Ok(Arc::default()) };
        if let Some(base) = bases.get(&last.sequence) {
            return Ok(base.clone());
        }
        let (from, mut base) = match bases.range(..last.sequence).next_back() {
            Some((from, base)) => (Some(*from), (**base).clone()),
            None => (None, Vec::new()),
        };
        for part in parts.iter().filter(|part| from.is_none_or(|from| part.sequence > from)) {
            if part.all {
                base.clear();
            }
            self.read(*part, &mut base, slots, sink)?;
        }
        let base = Arc::new(base);
        bases.insert(last.sequence, base.clone());
        Ok(base)
    }

    fn read(
        &self,
        part: NamesPart,
        base: &mut Vec<u32>,
        slots: &mut Slots,
        sink: &mut dyn TailSink,
    ) -> Result<()> {
        let name = checkpoint_file(part.sequence, CheckpointPart::Names);
        let there = self.fs.list(&self.dir).is_ok_and(|names| names.contains(&name));
        if !there {
            // A checkpoint without new names has no file of them.
            return Ok(());
        }
        let damage = read_frames(&self.fs, &self.dir.join(name), &mut |payload| {
            read_names(payload, &mut |id, packed| {
                put(base, id as usize, slots.of(packed, sink)?);
                Ok(())
            })
        })?;
        damage.iter().for_each(|error| tracing::error!("{error}"));
        Ok(())
    }
}

/// Numbers of label sets, which are told apart by a hash of 128 bits rather than kept.
#[derive(Default)]
struct Slots {
    by_hash: FxHashMap<u128, u32>,
    /// Zero where a number is free.
    hashes: Vec<u128>,
    free: Vec<u32>,
    /// How many there were when unused ones were last forgotten.
    kept: usize,
}

impl Slots {
    /// The number of a label set, which the sink learns if it is new.
    fn of(&mut self, packed: &[u8], sink: &mut dyn TailSink) -> Result<u32> {
        let hash = xxh3_128(packed).max(1);
        if let Some(slot) = self.by_hash.get(&hash) {
            return Ok(*slot);
        }
        let labels = Labels::from_packed(packed)?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.hashes.push(0);
            u32::try_from(self.hashes.len() - 1).expect("memory ends before 2^32 series")
        });
        self.hashes[slot as usize] = hash;
        self.by_hash.insert(hash, slot);
        sink.series(slot, labels);
        Ok(slot)
    }

    fn keep(&mut self, used: &[bool], sink: &mut dyn TailSink) {
        for (at, used) in used.iter().enumerate() {
            let hash = std::mem::take(&mut self.hashes[at]);
            if *used {
                self.hashes[at] = hash;
            } else if hash != 0 {
                let slot = u32::try_from(at).expect("it was made from one");
                self.by_hash.remove(&hash);
                self.free.push(slot);
                sink.forget(slot);
            }
        }
        self.kept = self.by_hash.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<(char, u32)>);

    impl TailSink for Log {
        fn series(&mut self, series: u32, _: Labels) {
            self.0.push(('+', series));
        }

        fn forget(&mut self, series: u32) {
            self.0.push(('-', series));
        }

        fn float(&mut self, _: u32, _: i64, _: f64, _: i64) {}

        fn histogram(&mut self, _: u32, _: i64, _: &Histogram, _: i64) {}

        fn record(&mut self, _: Mark, _: bool) {}
    }

    #[test]
    fn numbers_that_are_not_used_are_given_again() {
        let (mut slots, mut log) = (Slots::default(), Log::default());
        let packed = |n: &str| Labels::from_pairs([("a", n)]).as_packed().to_vec();
        for n in ["x", "y", "x", "z"] {
            slots.of(&packed(n), &mut log).unwrap();
        }
        slots.keep(&[true, false, true], &mut log);
        assert_eq!((slots.kept, slots.of(&packed("z"), &mut log)), (2, Ok(2)));
        slots.of(&packed("y"), &mut log).unwrap();
        assert_eq!(log.0, [('+', 0), ('+', 1), ('+', 2), ('-', 1), ('+', 1)]);
    }
}
