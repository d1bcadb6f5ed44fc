//! The payload of a WAL frame: samples with references to series whose labels an earlier entry of the same file gave.
//! `docs/format/wal.md` is the specification.

use base::{Error, Labels, Result};
use lake::Origin;
use rustc_hash::FxHashMap;

use crate::chunk::{put_varint, take_varint, unzigzag, zigzag};
use crate::head::{Admission, Head, SeriesId};

const VERSION: u8 = 1;

/// Writes the entries of one frame.
pub(crate) struct RecordWriter<'a> {
    out: &'a mut Vec<u8>,
    last_ms: i64,
}

impl<'a> RecordWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(VERSION);
        Self { out, last_ms: 0 }
    }

    /// Bytes written to the buffer so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Adds a sample, with the labels of its series if the file does not have them.
    pub(crate) fn push(&mut self, id: SeriesId, define: Option<&Labels>, t_ms: i64, value: f64) {
        put_varint(self.out, u64::from(id) << 1 | u64::from(define.is_some()));
        if let Some(labels) = define {
            put_varint(self.out, labels.size_bytes() as u64);
            self.out.extend_from_slice(labels.as_packed());
        }
        put_varint(self.out, zigzag(t_ms.wrapping_sub(self.last_ms)));
        // The low bytes of most values are zero: swapped, they are the ones that a varint leaves out.
        put_varint(self.out, value.to_bits().swap_bytes());
        self.last_ms = t_ms;
    }
}

/// Reads frames in the order in which they were written, into a head from which nothing is dropped meanwhile.
#[derive(Default)]
pub(crate) struct RecordReader {
    origin: Option<Origin>,
    series: FxHashMap<u64, SeriesId>,
    /// Samples that refer to labels which were lost with a damaged frame.
    pub(crate) orphans: u64,
}

impl RecordReader {
    /// Adds the samples of a frame from `min_valid_ms` on to the head.
    pub(crate) fn read(
        &mut self,
        origin: Origin,
        payload: &[u8],
        min_valid_ms: i64,
        head: &mut Head,
    ) -> Result<()> {
        // References are those of one file: another process numbered its series anew.
        if self.origin.replace(origin) != Some(origin) {
            self.series.clear();
        }
        let (version, mut rest) = payload.split_first().ok_or_else(|| bad("it is empty"))?;
        if *version != VERSION {
            return Err(bad(&format!("its version is {version}, this program reads version {VERSION}")));
        }
        let mut t_ms = 0i64;
        while !rest.is_empty() {
            let first = take_varint(&mut rest)?;
            if first & 1 == 1 {
                let len = usize::try_from(take_varint(&mut rest)?).unwrap_or(usize::MAX);
                let (packed, tail) = rest.split_at_checked(len).ok_or_else(|| bad("labels are cut off"))?;
                self.series.insert(first >> 1, head.get_or_insert(&Labels::from_packed(packed)?).0);
                rest = tail;
            }
            t_ms = t_ms.wrapping_add(unzigzag(take_varint(&mut rest)?));
            let value = f64::from_bits(take_varint(&mut rest)?.swap_bytes());
            match self.series.get(&(first >> 1)) {
                None => self.orphans += 1,
                // A window that was sealed may share a file with one that was not, if the block's duration has changed.
                Some(_) if t_ms < min_valid_ms => {}
                Some(id) => {
                    if head.series_mut(*id).admit(t_ms, value) == Admission::Accepted {
                        head.push(*id, t_ms, value);
                    }
                }
            }
        }
        Ok(())
    }
}

fn bad(what: &str) -> Error {
    Error::corrupt(format!("cannot replay WAL record of metrics: {what}"))
}
