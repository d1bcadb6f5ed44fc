//! Series by number, in blocks that never move: a million of them grow without a copy, and neighbours in number are
//! neighbours in memory.

use super::SeriesId;
use super::series::Series;

/// Series in one block.
const BLOCK: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Slab {
    blocks: Vec<Box<[Option<Series>]>>,
    /// Numbers below `len` that are free.
    free: Vec<SeriesId>,
    len: usize,
}

impl Slab {
    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        let id = id as usize;
        self.blocks.get(id / BLOCK)?[id % BLOCK].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        let id = id as usize;
        self.blocks.get_mut(id / BLOCK)?[id % BLOCK].as_mut()
    }

    /// Gives a series a number.
    pub(super) fn insert(&mut self, series: Series) -> SeriesId {
        let id = self
            .free
            .pop()
            .unwrap_or_else(|| SeriesId::try_from(self.len).expect("memory ends before 2^32 series"));
        self.put(id, series);
        id
    }

    /// Gives a series the number that it had before; the numbers left out are free once [`Slab::find_free`] has looked.
    pub(super) fn put(&mut self, id: SeriesId, series: Series) {
        let at = id as usize;
        while self.blocks.len() <= at / BLOCK {
            self.blocks.push((0..BLOCK).map(|_| None).collect());
        }
        self.len = self.len.max(at + 1);
        self.blocks[at / BLOCK][at % BLOCK] = Some(series);
    }

    pub(super) fn remove(&mut self, id: SeriesId) {
        let at = id as usize;
        if self.blocks[at / BLOCK][at % BLOCK].take().is_some() {
            self.free.push(id);
        }
    }

    /// Finds the numbers that [`Slab::put`] left out.
    pub(super) fn find_free(&mut self) {
        let free = self.slots().filter(|(_, s)| s.is_none()).map(|(id, _)| id).collect();
        self.free = free;
    }

    /// One more than the highest number so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SeriesId, &Series)> {
        self.slots().filter_map(|(id, s)| s.as_ref().map(|s| (id, s)))
    }

    fn slots(&self) -> impl Iterator<Item = (SeriesId, &Option<Series>)> {
        (0..).zip(self.blocks.iter().flat_map(|b| b.iter())).take(self.len)
    }
}
