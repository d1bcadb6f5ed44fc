//! The payload of a WAL frame: samples with references to series whose labels an earlier entry of the same file gave, or a
//! checkpoint. `docs/format/wal.md` is the specification.

use base::{Error, Histogram, Labels, Result};
use lake::Origin;

use crate::chunk::{histogram, put_varint, take_varint, unzigzag, zigzag};
use crate::head::save::Known;
use crate::head::{Admission, Head, Series, SeriesId, fingerprint};

const VERSION: u8 = 2;
/// That of frames of which a sample has a start: one more flag, which costs the others nothing.
const VERSION_WITH_STARTS: u8 = 3;

/// The entry gives the labels of its series.
const DEFINES: u64 = 1;
/// The sample came after later ones of its series.
const LATE: u64 = 2;
/// The value is a histogram.
const HISTOGRAM: u64 = 4;
const FLAG_BITS: u32 = 3;
/// It is known when the counting of the value began.
const STARTED: u64 = 8;

/// A value to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

/// A sample to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) t_ms: i64,
    /// When its counting began; 0 if that is unknown.
    pub(crate) start_ms: i64,
    pub(crate) value: Value<'a>,
    /// It came after later ones of its series.
    pub(crate) late: bool,
}

/// Writes the entries of one frame.
pub(crate) struct RecordWriter<'a> {
    out: &'a mut Vec<u8>,
    flag_bits: u32,
    last_start_ms: i64,
    last_ms: i64,
    last_id: SeriesId,
}

impl<'a> RecordWriter<'a> {
    /// Of samples none of which has a start, unless it is said that some have.
    pub(crate) fn new(out: &'a mut Vec<u8>, with_starts: bool) -> Self {
        out.push(if with_starts { VERSION_WITH_STARTS } else { VERSION });
        let flag_bits = FLAG_BITS + u32::from(with_starts);
        Self { out, flag_bits, last_start_ms: 0, last_ms: 0, last_id: 0 }
    }

    /// Bytes written to the buffer so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Adds a sample, with the labels of its series if the file does not have them.
    pub(crate) fn push(&mut self, id: SeriesId, define: Option<&Labels>, point: &Point<'_>) {
        let &Point { t_ms, start_ms, value, late } = point;
        let started = start_ms != 0 && self.flag_bits > FLAG_BITS;
        let mut flags = 0;
        flags |= if started { STARTED } else { 0 };
        flags |= if define.is_some() { DEFINES } else { 0 };
        flags |= if late { LATE } else { 0 };
        flags |= if matches!(value, Value::Histogram(_)) { HISTOGRAM } else { 0 };
        // Most samples are those of the series behind the one before.
        let step = zigzag(i64::from(id) - i64::from(self.last_id));
        put_varint(self.out, step << self.flag_bits | flags);
        if let Some(labels) = define {
            put_varint(self.out, labels.size_bytes() as u64);
            self.out.extend_from_slice(labels.as_packed());
        }
        put_varint(self.out, zigzag(t_ms.wrapping_sub(self.last_ms)));
        if started {
            put_varint(self.out, zigzag(start_ms.wrapping_sub(self.last_start_ms)));
            self.last_start_ms = start_ms;
        }
        match value {
            // The low bytes of most values are zero: swapped, they are the ones that a varint leaves out.
            Value::Float(value) => put_varint(self.out, value.to_bits().swap_bytes()),
            Value::Histogram(h) => {
                let bytes = histogram::encode([h]);
                put_varint(self.out, bytes.len() as u64);
                self.out.extend_from_slice(&bytes);
            }
        }
        self.last_ms = t_ms;
        self.last_id = id;
    }
}

/// What is done with the entries of a frame, in their order.
pub(crate) trait Entries {
    /// What a reference means from here on: packed labels.
    fn define(&mut self, reference: usize, packed: &[u8]) -> Result<()>;

    /// A sample.
    fn sample(&mut self, reference: usize, point: &Point<'_>);
}

/// Reads the entries of a frame.
pub(crate) fn decode(payload: &[u8], entries: &mut dyn Entries) -> Result<()> {
    let (version, mut rest) = payload.split_first().ok_or_else(|| bad("it is empty"))?;
    // Version 1 had references themselves rather than steps, and one flag.
    let (flag_bits, steps) = match *version {
        1 => (1, false),
        VERSION => (FLAG_BITS, true),
        VERSION_WITH_STARTS => (FLAG_BITS + 1, true),
        other => {
            return Err(bad(&format!(
                "its version is {other}, this program reads up to {VERSION_WITH_STARTS}"
            )));
        }
    };
    let (mut t_ms, mut reference, mut last_start_ms) = (0i64, 0i64, 0i64);
    let mut scratch = Vec::new();
    while !rest.is_empty() {
        let first = take_varint(&mut rest)?;
        let flags = first & ((1 << flag_bits) - 1);
        let number = first >> flag_bits;
        reference = if steps { reference.wrapping_add(unzigzag(number)) } else { number as i64 };
        if !(0..MAX_REFERENCE).contains(&reference) {
            return Err(bad("a reference is out of range"));
        }
        if flags & DEFINES != 0 {
            entries.define(reference as usize, take_bytes(&mut rest)?)?;
        }
        t_ms = t_ms.wrapping_add(unzigzag(take_varint(&mut rest)?));
        let mut start_ms = 0;
        if flags & STARTED != 0 {
            last_start_ms = last_start_ms.wrapping_add(unzigzag(take_varint(&mut rest)?));
            start_ms = last_start_ms;
        }
        let value = if flags & HISTOGRAM == 0 {
            Value::Float(f64::from_bits(take_varint(&mut rest)?.swap_bytes()))
        } else {
            scratch.clear();
            histogram::decode(take_bytes(&mut rest)?, 1, &mut scratch)?;
            Value::Histogram(&scratch[0])
        };
        entries.sample(reference as usize, &Point { t_ms, start_ms, value, late: flags & LATE != 0 });
    }
    Ok(())
}

/// Reads frames in the order in which they were written, into a head from which nothing is dropped meanwhile.
pub(crate) struct RecordReader {
    origin: Option<Origin>,
    /// What the file's references mean; `NONE` where it has not said.
    series: Vec<SeriesId>,
    /// Samples before this are sealed.
    min_valid_ms: i64,
    /// Samples that refer to labels which were lost with a damaged frame.
    pub(crate) orphans: u64,
}

const NONE: SeriesId = SeriesId::MAX;

/// One more than the highest reference: beyond it no head goes.
const MAX_REFERENCE: i64 = 1 << 30;

/// The entries of a frame on their way into a head.
struct Replay<'a> {
    reader: &'a mut RecordReader,
    origin: Origin,
    head: &'a mut Head,
}

impl Entries for Replay<'_> {
    fn define(&mut self, reference: usize, packed: &[u8]) -> Result<()> {
        let labels = Labels::from_packed(packed)?;
        self.reader.define(reference, self.head.find_or_insert(&labels));
        Ok(())
    }

    fn sample(&mut self, reference: usize, point: &Point<'_>) {
        if let Some(id) = self.reader.resolve(self.origin, reference, point.t_ms, point.late, self.head) {
            replay(self.head, id, self.origin.epoch, point);
        }
    }
}

/// The entries of a frame that is only looked at.
struct Look<'a> {
    reader: &'a mut RecordReader,
    known: &'a Known,
}

impl Entries for Look<'_> {
    fn define(&mut self, reference: usize, packed: &[u8]) -> Result<()> {
        Labels::from_packed(packed)?;
        // Which one it is does not matter, for nothing is kept.
        self.reader.define(reference, 0);
        Ok(())
    }

    fn sample(&mut self, reference: usize, _: &Point<'_>) {
        self.reader.series_of(reference, |id| self.known.contains(id));
    }
}

impl RecordReader {
    pub(crate) fn new(min_valid_ms: i64) -> Self {
        Self { origin: None, series: Vec::new(), min_valid_ms, orphans: 0 }
    }

    /// Adds the samples of a frame to the head.
    pub(crate) fn read(&mut self, origin: Origin, payload: &[u8], head: &mut Head) -> Result<()> {
        self.begin(origin);
        decode(payload, &mut Replay { reader: self, origin, head })
    }

    /// Looks whether the samples of a frame have their series, from its file or from a checkpoint.
    pub(crate) fn look(&mut self, origin: Origin, payload: &[u8], known: &Known) -> Result<()> {
        self.begin(origin);
        decode(payload, &mut Look { reader: self, known })
    }

    fn begin(&mut self, origin: Origin) {
        // References are those of one file: another process numbered its series anew.
        if self.origin.replace(origin) != Some(origin) {
            self.series.clear();
        }
    }

    fn define(&mut self, reference: usize, id: SeriesId) {
        if self.series.len() <= reference {
            self.series.resize(reference + 1, NONE);
        }
        self.series[reference] = id;
    }

    /// The series that a reference means; one that nobody knows is counted. A series without labels in the file is one of the checkpoint,
    /// which kept its number.
    fn series_of(
        &mut self,
        reference: usize,
        is_of_checkpoint: impl Fn(SeriesId) -> bool,
    ) -> Option<SeriesId> {
        match self.series.get(reference) {
            Some(id) if *id != NONE => Some(*id),
            _ => {
                let id = SeriesId::try_from(reference).expect("checked to be in range");
                let known = is_of_checkpoint(id);
                self.orphans += u64::from(!known);
                known.then_some(id)
            }
        }
    }

    /// The series of a sample that is wanted.
    fn resolve(
        &mut self,
        origin: Origin,
        reference: usize,
        t_ms: i64,
        late: bool,
        head: &Head,
    ) -> Option<SeriesId> {
        let id = self.series_of(reference, |id| head.series(id).is_some_and(Series::is_recorded))?;
        // A window that was sealed may share a file with one that was not, if the block's duration has changed. A late
        // sample may be of a sealed window: it is the epoch that counts.
        let sealed = if late { origin.epoch <= self.min_valid_ms } else { t_ms < self.min_valid_ms };
        (!sealed).then_some(id)
    }
}

/// Adds a sample that an earlier process had admitted, if the head does not have it from a checkpoint.
fn replay(head: &mut Head, id: SeriesId, epoch_ms: i64, point: &Point<'_>) {
    let &Point { t_ms, value, late, .. } = point;
    // Files are read by epoch, so a sample may go to another epoch than its window's only if it came late.
    let epoch_ms = if late { epoch_ms } else { head.epoch(t_ms, i64::MIN) };
    let series = head.series_mut(id);
    let admission = match value {
        _ if late => series.admit_late(t_ms, Some(i64::MIN)),
        Value::Float(v) => series.admit(t_ms, v.to_bits(), None),
        Value::Histogram(h) => series.admit(t_ms, fingerprint(h), None),
    };
    if !matches!(admission, Admission::Accepted | Admission::Late) {
        return;
    }
    head.push(id, epoch_ms, point);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    let (bytes, tail) = rest.split_at_checked(len).ok_or_else(|| bad("labels or histogram are cut off"))?;
    *rest = tail;
    Ok(bytes)
}

fn bad(what: &str) -> Error {
    Error::corrupt(format!("cannot replay WAL record of metrics: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(usize, i64, i64, bool)>);

    impl Entries for Seen {
        fn define(&mut self, _: usize, packed: &[u8]) -> Result<()> {
            Labels::from_packed(packed).map(|_| ())
        }

        fn sample(&mut self, reference: usize, point: &Point<'_>) {
            self.0.push((reference, point.t_ms, point.start_ms, point.late));
        }
    }

    fn point(t_ms: i64, start_ms: i64) -> Point<'static> {
        Point { t_ms, start_ms, value: Value::Float(0.5), late: t_ms == 7 }
    }

    #[test]
    fn starts_come_back_and_cost_nothing_where_there_are_none() {
        let labels = Labels::from_pairs([("a", "1")]);
        let samples = [(3, 5, 2), (4, 6, 0), (2, 7, 2), (9, 8, i64::MAX), (9, 9, i64::MIN)];
        let mut out = Vec::new();
        let mut writer = RecordWriter::new(&mut out, true);
        for (id, t_ms, start_ms) in samples {
            writer.push(id, (id == 3).then_some(&labels), &point(t_ms, start_ms));
        }
        let mut seen = Seen::default();
        decode(&out, &mut seen).unwrap();
        assert_eq!(seen.0, samples.map(|(id, t_ms, start_ms)| (id as usize, t_ms, start_ms, t_ms == 7)));
        for len in 1..out.len() {
            // Not every cut is within an entry; none may panic.
            decode(&out[..len], &mut Seen::default()).ok();
        }
        let mut plain = Vec::new();
        RecordWriter::new(&mut plain, false).push(1, None, &point(5, 0));
        // The version, the step of the reference, the time, and the value in as few bytes as it needs.
        assert_eq!((plain[0], plain.len()), (2, 6));
    }
}
