//! Samples of several chunks of a series, together with when the counting of each began.
//!
//! Most series have no starts, and are gathered without this.

use std::ops::Range;

use base::Result;

/// Samples of a series in columns. The starts are empty if none is known.
pub(crate) struct Gathered<T> {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) values: Vec<T>,
    pub(crate) starts: Vec<i64>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self { timestamps: Vec::new(), values: Vec::new(), starts: Vec::new() }
    }
}

impl<T> Gathered<T> {
    /// Removes the samples, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.starts.clear();
    }

    /// Some of the samples: times, values, and starts if any is known.
    pub(crate) fn part(&self, range: Range<usize>) -> (&[i64], &[T], &[i64]) {
        let starts = self.starts.get(range.clone()).unwrap_or_default();
        (&self.timestamps[range.clone()], &self.values[range], starts)
    }
}

/// Decodes chunks by `decode` and, of those that gave samples, their starts by `decode_starts`; `settle` orders them, and
/// drops what is not wanted.
pub(crate) fn gather<C, T>(
    chunks: impl IntoIterator<Item = C>,
    decode: impl Fn(&C, &mut Vec<i64>, &mut Vec<T>) -> Result<()>,
    decode_starts: impl Fn(&C, &mut Vec<i64>) -> Result<()>,
    settle: impl FnOnce(&mut Vec<i64>, &mut Vec<(T, i64)>),
) -> Result<Gathered<T>> {
    let (mut timestamps, mut samples) = (Vec::new(), Vec::new());
    let (mut values, mut starts) = (Vec::new(), Vec::new());
    for chunk in chunks {
        decode(&chunk, &mut timestamps, &mut values)?;
        if !values.is_empty() {
            decode_starts(&chunk, &mut starts)?;
        }
        samples.extend(values.drain(..).zip(starts.drain(..)));
    }
    settle(&mut timestamps, &mut samples);
    (values, starts) = samples.into_iter().unzip();
    if starts.iter().all(|start_ms| *start_ms == 0) {
        starts.clear();
    }
    Ok(Gathered { timestamps, values, starts })
}
