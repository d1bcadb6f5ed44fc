//! The head in a checkpoint: what its frames say, written slice by slice and read back whole.
//!
//! `docs/format/checkpoint.md` is the specification. Owns no file: [`crate::checkpoint`] does.

use std::collections::BTreeMap;

use base::{Error, Histogram, Labels, Result, TimeRange};
use roaring::RoaringBitmap;

use super::chunk::{ChunkKind, HeadChunk, LateSample, Open, OpenHistograms, OpenStarted, split_histograms};
use super::series::Series;
use super::{Head, SeriesId};
use crate::chunk::head::OpenChunk;
use crate::chunk::starts::{self, StartRuns};
use crate::chunk::{histogram, put_varint, sealed, take_varint, unzigzag, zigzag};
use crate::limits::CHECKPOINT_SLICE;

/// Opens every frame.
pub(crate) const VERSION: u8 = 1;

const HISTOGRAM: u8 = 1;
const LATE: u8 = 2;
const STARTS: u8 = 4;

const OPEN_FLOAT: u8 = 1;
const OPEN_HISTOGRAM: u8 = 2;
const HAS_LATE: u8 = 4;
/// The starts of the open chunk's samples follow it.
const OPEN_STARTS: u8 = 8;
/// Each late sample is followed by its start.
const LATE_STARTS: u8 = 16;

/// Frames that grow until somebody takes them.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Full ones.
    pub(crate) ready: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Frames {
    /// Adds an entry that `write` writes; it is not divided.
    fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.current.is_empty() {
            self.current.push(VERSION);
        }
        write(&mut self.current);
        if self.current.len() >= lake::limits::TARGET_FRAME_BYTES {
            self.ready.push(std::mem::take(&mut self.current));
        }
    }

    /// Makes what there is of the last frame ready too.
    pub(crate) fn flush(&mut self) {
        if !self.current.is_empty() {
            self.ready.push(std::mem::take(&mut self.current));
        }
    }
}

/// What a checkpoint takes of the head.
#[derive(Debug, Default)]
pub(crate) struct SavedParts {
    /// Labels.
    pub(crate) names: Frames,
    /// Closed chunks by epoch.
    pub(crate) epochs: BTreeMap<i64, Frames>,
    /// Open chunks and late samples.
    pub(crate) state: Frames,
    /// Number of labels in `names`.
    pub(crate) name_count: u64,
    /// The series, with how many of their chunks are in a checkpoint with this one.
    series: Vec<(SeriesId, u32)>,
}

impl Head {
    /// Adds the series of a slice, which begins at `from`, to the parts; `all_names` also those labels that an earlier
    /// checkpoint has. Returns where the next slice begins, if there is one.
    pub(crate) fn save_slice(&self, from: usize, all_names: bool, parts: &mut SavedParts) -> Option<usize> {
        let end = self.slab.len().min(from + CHECKPOINT_SLICE);
        for id in from..end {
            let id = SeriesId::try_from(id).expect("ids are 32 bits");
            let Some(series) = self.slab.get(id) else { continue };
            // A series whose samples are all on their way through the log is the log's, which gives its labels; unless an
            // earlier checkpoint has these, and the log relies on it.
            let is_empty = series.closed.is_empty() && series.open.is_none() && series.late.is_none();
            if is_empty && !series.recorded {
                continue;
            }
            if all_names || !series.recorded {
                parts.name_count += 1;
                parts.names.entry(|out| {
                    put_varint(out, u64::from(id));
                    put_varint(out, series.labels().size_bytes() as u64);
                    out.extend_from_slice(series.labels().as_packed());
                });
            }
            for chunk in series.closed.iter().filter(|c| !c.saved) {
                parts.epochs.entry(chunk.epoch_ms).or_default().entry(|out| put_chunk(out, id, chunk));
            }
            parts.state.entry(|out| put_state(out, id, series));
            let closed = u32::try_from(series.closed.len()).expect("a series has few chunks");
            parts.series.push((id, closed));
        }
        (end < self.slab.len()).then_some(end)
    }

    /// Notes that a checkpoint has these parts; `from` and the result are positions among its series.
    pub(crate) fn note_saved(&mut self, parts: &SavedParts, from: usize) -> Option<usize> {
        let end = parts.series.len().min(from + CHECKPOINT_SLICE);
        for (id, closed) in &parts.series[from..end] {
            let Some(series) = self.slab.get_mut(*id) else { continue };
            series.recorded = true;
            series.closed.iter_mut().take(*closed as usize).for_each(|c| c.saved = true);
        }
        (end < parts.series.len()).then_some(end)
    }
}

fn put_chunk(out: &mut Vec<u8>, id: SeriesId, chunk: &HeadChunk) {
    put_varint(out, u64::from(id));
    let histogram = if chunk.kind == ChunkKind::Histogram { HISTOGRAM } else { 0 };
    let starts = if chunk.has_starts { STARTS } else { 0 };
    out.push(histogram | starts | if chunk.late { LATE } else { 0 });
    put_varint(out, u64::from(chunk.count));
    put_varint(out, zigzag(chunk.time.start_ms));
    put_varint(out, zigzag(chunk.time.end_ms.wrapping_sub(chunk.time.start_ms)));
    put_varint(out, chunk.bytes.len() as u64);
    out.extend_from_slice(&chunk.bytes);
}

fn put_state(out: &mut Vec<u8>, id: SeriesId, series: &Series) {
    put_varint(out, u64::from(id));
    let open = match &series.open {
        None => 0,
        Some((_, Open::Float(_) | Open::Started(_))) => OPEN_FLOAT,
        Some((_, Open::Histogram(_))) => OPEN_HISTOGRAM,
    };
    let starts = series.open.as_ref().and_then(|(_, open)| open.starts());
    let late_starts = series.late.iter().flat_map(|late| late.iter()).any(|s| s.start_ms != 0);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        open | flag(series.late.is_some(), HAS_LATE)
            | flag(starts.is_some(), OPEN_STARTS)
            | flag(late_starts, LATE_STARTS),
    );
    match &series.open {
        None => {}
        Some((epoch_ms, Open::Float(chunk))) => {
            put_varint(out, zigzag(*epoch_ms));
            chunk.save(out);
        }
        Some((epoch_ms, Open::Started(open))) => {
            put_varint(out, zigzag(*epoch_ms));
            open.chunk.save(out);
        }
        Some((epoch_ms, Open::Histogram(chunk))) => {
            put_varint(out, zigzag(*epoch_ms));
            put_varint(out, chunk.times.len() as u64);
            let bytes = chunk.to_bytes();
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
    }
    if let Some(starts) = starts {
        starts::put_before(&starts.to_bytes(), &[], out);
    }
    if let Some(late) = &series.late {
        put_varint(out, late.len() as u64);
        for s in late.iter() {
            put_varint(out, zigzag(s.epoch_ms));
            put_varint(out, zigzag(s.t_ms));
            out.extend_from_slice(&s.value.to_le_bytes());
            if late_starts {
                put_varint(out, zigzag(s.start_ms));
            }
        }
    }
}

/// A head on its way back from a checkpoint.
#[derive(Debug)]
pub(crate) struct Restored {
    head: Head,
    sealed_until: i64,
    /// Chunks of series that the state does not name.
    pub(crate) orphans: u64,
}

impl CheckpointSink for Restored {
    fn state(&mut self, payload: &[u8]) -> Result<()> {
        self.read_state(payload)
    }

    fn epoch(&mut self, epoch_ms: i64, payload: &[u8]) -> Result<()> {
        self.read_epoch(epoch_ms, payload)
    }
}

/// Labels by id; of several with one id the last counts.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Option<Labels>>);

impl NamesSink for Names {
    fn names(&mut self, payload: &[u8]) -> Result<()> {
        read_names(payload, &mut |id, packed| {
            let id = id as usize;
            if id >= self.0.len() {
                self.0.resize(id + 1, None);
            }
            self.0[id] = Some(Labels::from_packed(packed)?);
            Ok(())
        })
    }
}

/// Hands over the numbers of series and their packed labels that a frame of names has.
pub(crate) fn read_names(payload: &[u8], sink: &mut dyn FnMut(SeriesId, &[u8]) -> Result<()>) -> Result<()> {
    let mut rest = body(payload)?;
    while !rest.is_empty() {
        let id = take_id(&mut rest)?;
        sink(id, take_bytes(&mut rest)?)?;
    }
    Ok(())
}

/// An open chunk and its epoch.
type OpenOf = Option<(i64, Open)>;

/// Hands over what a frame of the state has of each series: its number, its open chunk, and its late samples.
fn read_states(payload: &[u8], sink: &mut dyn FnMut(SeriesId, OpenOf, Vec<LateSample>)) -> Result<()> {
    let mut rest = body(payload)?;
    while !rest.is_empty() {
        let id = take_id(&mut rest)?;
        let flags = take_byte(&mut rest)?;
        let mut open = match flags & !(HAS_LATE | OPEN_STARTS | LATE_STARTS) {
            0 => None,
            OPEN_FLOAT => {
                let epoch_ms = unzigzag(take_varint(&mut rest)?);
                Some((epoch_ms, Open::Float(OpenChunk::restore(&mut rest)?)))
            }
            OPEN_HISTOGRAM => Some(take_open_histograms(&mut rest)?),
            _ => return Err(bad("unknown flags of a series")),
        };
        if flags & OPEN_STARTS != 0 {
            open = take_starts(&mut rest, open)?;
        }
        let mut late = Vec::new();
        if flags & HAS_LATE != 0 {
            for _ in 0..take_varint(&mut rest)? {
                late.push(take_late(&mut rest, flags & LATE_STARTS != 0)?);
            }
        }
        sink(id, open, late);
    }
    Ok(())
}

/// A closed chunk in a frame.
struct SavedChunk<'a> {
    bytes: &'a [u8],
    time: TimeRange,
    count: u16,
    kind: ChunkKind,
    late: bool,
    has_starts: bool,
}

/// Hands over the chunks that a frame of an epoch has, with the numbers of their series.
fn read_chunks(payload: &[u8], sink: &mut dyn FnMut(SeriesId, SavedChunk<'_>)) -> Result<()> {
    let mut rest = body(payload)?;
    while !rest.is_empty() {
        let id = take_id(&mut rest)?;
        let flags = take_byte(&mut rest)?;
        let count = u16::try_from(take_varint(&mut rest)?).map_err(|_| bad("a chunk is too long"))?;
        let start_ms = unzigzag(take_varint(&mut rest)?);
        let end_ms = start_ms.wrapping_add(unzigzag(take_varint(&mut rest)?));
        let bytes = take_bytes(&mut rest)?;
        if end_ms < start_ms || flags & !(HISTOGRAM | LATE | STARTS) != 0 {
            return Err(bad("a chunk cannot be"));
        }
        let kind = if flags & HISTOGRAM != 0 { ChunkKind::Histogram } else { ChunkKind::Float };
        let time = TimeRange::new(start_ms, end_ms);
        let (late, has_starts) = (flags & LATE != 0, flags & STARTS != 0);
        sink(id, SavedChunk { bytes, time, count, kind, late, has_starts });
    }
    Ok(())
}

/// What takes the frames of a checkpoint but for names, its state first, then epochs.
pub(crate) trait CheckpointSink {
    /// A frame of open chunks.
    fn state(&mut self, payload: &[u8]) -> Result<()>;
    /// A frame of closed chunks of an epoch.
    fn epoch(&mut self, epoch_ms: i64, payload: &[u8]) -> Result<()>;
}

/// What takes the frames of names of a checkpoint, in order, while the others are read.
pub(crate) trait NamesSink: Default + Send {
    /// A frame of labels.
    fn names(&mut self, payload: &[u8]) -> Result<()>;
}

/// Looks at a checkpoint and remembers only which series it has.
#[derive(Debug, Default)]
pub(crate) struct Known {
    in_state: RoaringBitmap,
    /// Those that have labels.
    pub(crate) named: Named,
    /// Chunks of series that the state does not name.
    orphans: u64,
}

/// The series that a checkpoint has labels of.
#[derive(Debug, Default)]
pub(crate) struct Named(RoaringBitmap);

impl NamesSink for Named {
    fn names(&mut self, payload: &[u8]) -> Result<()> {
        read_names(payload, &mut |id, packed| {
            Labels::from_packed(packed)?;
            self.0.insert(id);
            Ok(())
        })
    }
}

impl Known {
    /// Chunks and series whose labels are lost.
    pub(crate) fn lost(&self) -> u64 {
        self.orphans + (&self.in_state - &self.named.0).len()
    }

    /// Whether the head that this becomes has a series.
    pub(crate) fn contains(&self, id: SeriesId) -> bool {
        self.in_state.contains(id) && self.named.0.contains(id)
    }
}

impl CheckpointSink for Known {
    fn state(&mut self, payload: &[u8]) -> Result<()> {
        read_states(payload, &mut |id, _, _| {
            self.in_state.insert(id);
        })
    }

    fn epoch(&mut self, _: i64, payload: &[u8]) -> Result<()> {
        read_chunks(payload, &mut |id, _| self.orphans += u64::from(!self.in_state.contains(id)))
    }
}

impl Restored {
    /// Nothing yet. What is sealed is left out.
    pub(crate) fn new(block_ms: i64, sealed_until: i64) -> Self {
        Self { head: Head::new(block_ms), sealed_until, orphans: 0 }
    }

    /// Reads a frame of open chunks.
    fn read_state(&mut self, payload: &[u8]) -> Result<()> {
        read_states(payload, &mut |id, mut open, mut late| {
            open.take_if(|(epoch_ms, _)| *epoch_ms <= self.sealed_until);
            late.retain(|s| s.epoch_ms > self.sealed_until);
            let mut series = Series::new(Labels::empty());
            for (epoch_ms, time) in open
                .iter()
                .map(|(epoch_ms, open)| (*epoch_ms, open.time()))
                .chain(late.iter().map(|s| (s.epoch_ms, TimeRange::new(s.t_ms, s.t_ms))))
            {
                self.head.note(epoch_ms, time, super::Growth::default());
            }
            series.restore(open, late);
            self.head.chunks += series.size().0;
            self.head.slab.put(id, series);
        })
    }

    /// Reads a frame of closed chunks of an epoch, whose series [`Restored::read_state`] gave.
    fn read_epoch(&mut self, epoch_ms: i64, payload: &[u8]) -> Result<()> {
        read_chunks(payload, &mut |id, chunk| {
            let Some(series) = self.head.slab.get_mut(id) else {
                self.orphans += 1;
                return;
            };
            series.closed.push(HeadChunk {
                bytes: chunk.bytes.into(),
                time: chunk.time,
                epoch_ms,
                count: chunk.count,
                kind: chunk.kind,
                late: chunk.late,
                saved: true,
                has_starts: chunk.has_starts,
            });
            let growth = super::Growth { chunks: 1, closed_bytes: chunk.bytes.len() };
            self.head.note(epoch_ms, chunk.time, growth);
        })
    }

    /// The head, with the index of its series. Those without labels are left out, as damage has taken these; returns how many.
    /// Series without samples stay: the log may have some, and no labels.
    pub(crate) fn finish(mut self, mut names: Names) -> (Head, u64) {
        let mut lost = 0;
        for id in 0..self.head.slab.len() {
            let id = SeriesId::try_from(id).expect("ids are 32 bits");
            let Some(series) = self.head.slab.get_mut(id) else { continue };
            match names.0.get_mut(id as usize).and_then(Option::take) {
                Some(labels) => series.set_labels(labels),
                None => {
                    lost += 1;
                    let (chunks, bytes) = series.size();
                    self.head.chunks -= chunks;
                    self.head.closed_bytes -= bytes;
                    self.head.slab.remove(id);
                }
            }
        }
        drop(names);
        self.head.slab.find_free();
        self.head.index.fill(&self.head.slab);
        (self.head, lost)
    }
}

fn take_open_histograms(rest: &mut &[u8]) -> Result<(i64, Open)> {
    let epoch_ms = unzigzag(take_varint(rest)?);
    let count = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    let (times, encoded) = split_histograms(take_bytes(rest)?)?;
    let mut open = Box::<OpenHistograms>::default();
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut timestamps = Vec::new();
    sealed::decode_timestamps(times, count, &mut timestamps)?;
    histogram::decode(encoded, count, &mut histograms)?;
    for (t_ms, h) in timestamps.into_iter().zip(&histograms) {
        open.push(t_ms, h, 0);
    }
    Ok((epoch_ms, Open::Histogram(open)))
}

/// An open chunk with the starts of its samples, which follow it.
fn take_starts(rest: &mut &[u8], open: OpenOf) -> Result<OpenOf> {
    let (encoded, tail) = starts::split(rest)?;
    *rest = tail;
    let Some((epoch_ms, open)) = open else { return Err(bad("there are starts of no samples")) };
    let mut all = Vec::new();
    starts::decode(encoded, usize::from(open.count()), &mut all)?;
    let starts: StartRuns = all.into_iter().collect();
    let open = match open {
        Open::Float(chunk) => Open::Started(Box::new(OpenStarted { chunk, starts })),
        Open::Histogram(mut open) => {
            open.starts = Some(Box::new(starts));
            Open::Histogram(open)
        }
        Open::Started(open) => Open::Started(open),
    };
    Ok(Some((epoch_ms, open)))
}

fn take_late(rest: &mut &[u8], with_start: bool) -> Result<LateSample> {
    let epoch_ms = unzigzag(take_varint(rest)?);
    let t_ms = unzigzag(take_varint(rest)?);
    let (value, tail) = rest.split_first_chunk().ok_or_else(|| bad("a late sample is cut off"))?;
    let value = f64::from_le_bytes(*value);
    *rest = tail;
    let start_ms = if with_start { unzigzag(take_varint(rest)?) } else { 0 };
    Ok(LateSample { epoch_ms, t_ms, value, start_ms })
}

/// What follows the version.
pub(crate) fn body(payload: &[u8]) -> Result<&[u8]> {
    match payload.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((other, _)) => {
            Err(bad(&format!("its version is {other}, this program reads version {VERSION}")))
        }
        None => Err(bad("a frame is empty")),
    }
}

fn take_id(rest: &mut &[u8]) -> Result<SeriesId> {
    /// Ids are dense: one beyond this would ask for memory that no head has.
    const MAX_ID: u32 = 1 << 30;
    match SeriesId::try_from(take_varint(rest)?) {
        Ok(id) if id < MAX_ID => Ok(id),
        _ => Err(bad("the number of a series is out of range")),
    }
}

fn take_byte(rest: &mut &[u8]) -> Result<u8> {
    let (&byte, tail) = rest.split_first().ok_or_else(|| bad("an entry is cut off"))?;
    *rest = tail;
    Ok(byte)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    let (bytes, tail) = rest.split_at_checked(len).ok_or_else(|| bad("an entry is cut off"))?;
    *rest = tail;
    Ok(bytes)
}

pub(crate) fn bad(what: &str) -> Error {
    Error::corrupt(format!("cannot read checkpoint: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_without_starts_have_the_bytes_that_they_had() {
        let chunk = Open::float(1, 0.5, 0).to_chunk(10);
        let mut out = Vec::new();
        put_chunk(&mut out, 3, &chunk);
        // Number, flags, count, times and length take a byte each.
        assert_eq!((out[1], out.len()), (0, 6 + chunk.bytes().len()));
        let mut series = Series::new(Labels::empty());
        series.push(10, 1, 0.5, 0);
        series.push_late(10, 0, 0.5, 0);
        let mut open = Vec::new();
        let Some((_, Open::Float(of_series))) = &series.open else { panic!("{series:?}") };
        of_series.save(&mut open);
        out.clear();
        put_state(&mut out, 3, &series);
        // The number, flags and epoch; of late samples how many there are, and epoch, time and value.
        assert_eq!((out[1], out.len()), (OPEN_FLOAT | HAS_LATE, 3 + open.len() + 1 + 2 + 8));
        series.push_late(10, -1, 0.5, 7);
        out.clear();
        put_state(&mut out, 3, &series);
        assert_eq!(out[1], OPEN_FLOAT | HAS_LATE | LATE_STARTS);
    }
}
