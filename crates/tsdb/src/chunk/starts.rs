//! Start timestamps of the samples of a chunk: when the counting of each began, 0 where nobody said.
//!
//! A counter's start stays as long as its process, so they are written as runs of equal ones. `docs/format/chunk.md` is the
//! specification.

use base::Result;

use super::{corrupt, put_varint, take_varint, unzigzag, zigzag};

/// Appends starts to a chunk.
#[derive(Debug, Clone, Default)]
pub struct StartRuns {
    /// The runs that are over.
    bytes: Vec<u8>,
    /// The start of the last of those.
    before_ms: i64,
    /// The run that goes on.
    start_ms: i64,
    length: u64,
}

impl StartRuns {
    /// Adds the start of one more sample.
    pub fn push(&mut self, start_ms: i64) {
        if start_ms != self.start_ms && self.length > 0 {
            put_run(&mut self.bytes, self.length, self.start_ms.wrapping_sub(self.before_ms));
            self.before_ms = self.start_ms;
            self.length = 0;
        }
        self.start_ms = start_ms;
        self.length += 1;
    }

    /// All runs.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if self.length > 0 {
            put_run(&mut bytes, self.length, self.start_ms.wrapping_sub(self.before_ms));
        }
        bytes
    }
}

impl FromIterator<i64> for StartRuns {
    fn from_iter<I: IntoIterator<Item = i64>>(starts: I) -> Self {
        let mut runs = Self::default();
        starts.into_iter().for_each(|start_ms| runs.push(start_ms));
        runs
    }
}

fn put_run(out: &mut Vec<u8>, length: u64, change: i64) {
    put_varint(out, length);
    put_varint(out, zigzag(change));
}

/// Appends the starts of `count` samples to `out`.
pub fn decode(mut bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
    let (mut left, mut start_ms) = (count as u64, 0i64);
    while left > 0 {
        let length = take_varint(&mut bytes)?;
        if length == 0 || length > left {
            return Err(corrupt("the number of starts does not fit"));
        }
        start_ms = start_ms.wrapping_add(unzigzag(take_varint(&mut bytes)?));
        // At most `count` in all.
        out.extend(std::iter::repeat_n(start_ms, length as usize));
        left -= length;
    }
    if bytes.is_empty() { Ok(()) } else { Err(corrupt("there are more starts than samples")) }
}

/// Writes starts before what they belong to.
pub(crate) fn put_before(starts: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    put_varint(out, starts.len() as u64);
    out.extend_from_slice(starts);
    out.extend_from_slice(rest);
}

/// Divides what [`put_before`] wrote.
pub(crate) fn split(mut bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let len = usize::try_from(take_varint(&mut bytes)?).unwrap_or(usize::MAX);
    bytes.split_at_checked(len).ok_or_else(|| corrupt("its starts are cut off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_give_back_what_was_pushed() {
        for starts in [
            vec![],
            vec![0],
            vec![1_700_000_000_000; 240],
            vec![0, 0, 5, 5, 0, i64::MIN, i64::MAX, i64::MAX],
            (0..500).map(|i| 1_700_000_000_000 + i * 60_000).collect(),
        ] {
            let bytes = starts.iter().copied().collect::<StartRuns>().to_bytes();
            let mut out = vec![7];
            decode(&bytes, starts.len(), &mut out).unwrap();
            assert_eq!((out[0], &out[1..]), (7, &starts[..]));
        }
        let one = std::iter::repeat_n(1_700_000_000_000, 8192).collect::<StartRuns>();
        assert!(one.to_bytes().len() <= 9, "{:?}", one.to_bytes());
    }

    #[test]
    fn no_bytes_decode_to_more_than_was_asked_for() {
        let runs = [3i64, 3, 4].into_iter().collect::<StartRuns>().to_bytes();
        for count in [0, 2, 4] {
            assert!(decode(&runs, count, &mut Vec::new()).is_err(), "{count}");
        }
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0];
        assert!(decode(&huge, 8192, &mut Vec::new()).is_err());
        assert!(decode(&[0, 0], 1, &mut Vec::new()).is_err());
        for len in 0..runs.len() {
            assert!(decode(&runs[..len], 3, &mut Vec::new()).is_err(), "{len}");
        }
    }
}
