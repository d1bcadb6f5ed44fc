//! What a write consists of: samples of many series in a few flat buffers.

use crate::label::{check_packed, hash_packed};
use crate::{Exemplar, Histogram, Labels, Result, Sample, SeriesExemplar, SeriesSample};

/// Samples on their way to a store. A series is begun, then gets its samples; it may be begun several times.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct WriteBatch {
    /// Packed label sets, back to back.
    labels: Vec<u8>,
    entries: Vec<Entry>,
    samples: Vec<Sample>,
    /// Start timestamps of the first of these; those of the others are unknown.
    starts: Vec<i64>,
    histograms: Vec<(i64, Histogram)>,
    /// As `starts`, of histograms.
    histogram_starts: Vec<i64>,
    exemplars: Vec<Exemplar>,
}

/// Where the parts of a series end; they begin where those of the one before end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    hash: u64,
    labels_end: usize,
    samples_end: usize,
    histograms_end: usize,
    exemplars_end: usize,
}

/// A series of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchSeries<'a> {
    /// [`Labels::stable_hash`] of the labels.
    pub hash: u64,
    /// The labels as [`Labels::as_packed`] gives them.
    pub labels: &'a [u8],
    /// Samples, in the order in which they were added.
    pub samples: &'a [Sample],
    /// When the counting of each of these began, in milliseconds since the epoch; 0 is unknown, as are those behind the last.
    pub starts: &'a [i64],
    /// Histograms with their times in milliseconds, likewise.
    pub histograms: &'a [(i64, Histogram)],
    /// As [`BatchSeries::starts`], of histograms.
    pub histogram_starts: &'a [i64],
    /// Exemplars, likewise.
    pub exemplars: &'a [Exemplar],
}

impl BatchSeries<'_> {
    /// When the counting of a sample or, at the positions behind these, a histogram began; 0 if that is unknown.
    pub fn start_ms(&self, at: usize) -> i64 {
        let start = match at.checked_sub(self.samples.len()) {
            None => self.starts.get(at),
            Some(at) => self.histogram_starts.get(at),
        };
        start.copied().unwrap_or(0)
    }

    /// The labels, copied into a set of their own.
    pub fn to_labels(&self) -> Labels {
        Labels::from_checked(self.labels, self.hash)
    }
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a series.
    pub fn begin(&mut self, labels: &Labels) {
        self.push(labels.as_packed(), labels.stable_hash());
    }

    /// Begins a series whose labels are packed as [`Labels::as_packed`] does; checks that they are, in order and UTF-8.
    pub fn begin_packed(&mut self, packed: &[u8]) -> Result<()> {
        check_packed(packed)?;
        self.push(packed, hash_packed(packed));
        Ok(())
    }

    fn push(&mut self, packed: &[u8], hash: u64) {
        self.labels.extend_from_slice(packed);
        self.entries.push(Entry {
            hash,
            labels_end: self.labels.len(),
            samples_end: self.samples.len(),
            histograms_end: self.histograms.len(),
            exemplars_end: self.exemplars.len(),
        });
    }

    /// Adds a sample to the series begun last.
    pub fn sample(&mut self, t_ms: i64, value: f64) {
        self.samples.push(Sample { t_ms, value });
        self.last().samples_end += 1;
    }

    /// The same for a sample whose counting is known to have begun at a time; 0 if it is not.
    pub fn sample_since(&mut self, t_ms: i64, value: f64, start_ms: i64) {
        note_start(&mut self.starts, self.samples.len(), start_ms);
        self.sample(t_ms, value);
    }

    /// Adds a native histogram to the series begun last.
    pub fn histogram(&mut self, t_ms: i64, histogram: Histogram) {
        self.histograms.push((t_ms, histogram));
        self.last().histograms_end += 1;
    }

    /// The same for a histogram whose counting is known to have begun at a time; 0 if it is not.
    pub fn histogram_since(&mut self, t_ms: i64, histogram: Histogram, start_ms: i64) {
        note_start(&mut self.histogram_starts, self.histograms.len(), start_ms);
        self.histogram(t_ms, histogram);
    }

    /// Whether any start is known.
    pub fn has_starts(&self) -> bool {
        !self.starts.is_empty() || !self.histogram_starts.is_empty()
    }

    /// Adds an exemplar to the series begun last.
    pub fn exemplar(&mut self, exemplar: Exemplar) {
        self.exemplars.push(exemplar);
        self.last().exemplars_end += 1;
    }

    /// Takes the exemplars out, with the labels of their series: they are kept apart from samples.
    pub fn take_exemplars(&mut self) -> Vec<SeriesExemplar> {
        if self.exemplars.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::with_capacity(self.exemplars.len());
        for series in self.series().filter(|s| !s.exemplars.is_empty()) {
            let labels = series.to_labels();
            let with = |e: &Exemplar| SeriesExemplar { labels: labels.clone(), exemplar: e.clone() };
            taken.extend(series.exemplars.iter().map(with));
        }
        self.exemplars.clear();
        self.entries.iter_mut().for_each(|e| e.exemplars_end = 0);
        taken
    }

    fn last(&mut self) -> &mut Entry {
        self.entries.last_mut().expect("a series is begun before it gets samples")
    }

    /// The series, in the order in which they were begun.
    pub fn series(&self) -> impl ExactSizeIterator<Item = BatchSeries<'_>> {
        let (mut labels, mut samples, mut histograms, mut exemplars) = (0, 0, 0, 0);
        self.entries.iter().map(move |e| {
            let series = BatchSeries {
                hash: e.hash,
                labels: &self.labels[labels..e.labels_end],
                samples: &self.samples[samples..e.samples_end],
                starts: part(&self.starts, samples, e.samples_end),
                histograms: &self.histograms[histograms..e.histograms_end],
                histogram_starts: part(&self.histogram_starts, histograms, e.histograms_end),
                exemplars: &self.exemplars[exemplars..e.exemplars_end],
            };
            (labels, samples, histograms) = (e.labels_end, e.samples_end, e.histograms_end);
            exemplars = e.exemplars_end;
            series
        })
    }

    /// The histogram at a position, counted over all series.
    pub fn histogram_at(&self, at: usize) -> &Histogram {
        &self.histograms[at].1
    }

    /// Number of exemplars, which [`WriteBatch::len`] does not count.
    pub fn exemplars_len(&self) -> usize {
        self.exemplars.len()
    }

    /// Number of samples and histograms.
    pub fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let histograms: usize = self
            .histograms
            .iter()
            .map(|(_, h)| size_of::<(i64, Histogram)>() + 8 * (h.positive.len() + h.negative.len()))
            .sum();
        let exemplars: usize =
            self.exemplars.iter().map(|e| size_of::<Exemplar>() + e.labels.size_bytes()).sum();
        let starts = size_of_val(&*self.starts) + size_of_val(&*self.histogram_starts);
        let samples = size_of_val(&*self.samples) + starts;
        self.labels.len() + size_of_val(&*self.entries) + samples + histograms + exemplars
    }

    /// Forgets the content and keeps the memory.
    pub fn clear(&mut self) {
        self.labels.clear();
        self.entries.clear();
        self.samples.clear();
        self.starts.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
        self.exemplars.clear();
    }
}

/// Notes the start of what is about to be added at a position. Nothing is kept as long as nothing is known.
fn note_start(starts: &mut Vec<i64>, at: usize, start_ms: i64) {
    if start_ms != 0 {
        starts.resize(at, 0);
        starts.push(start_ms);
    }
}

/// The part of a column that may end early.
fn part(starts: &[i64], from: usize, to: usize) -> &[i64] {
    &starts[from.min(starts.len())..to.min(starts.len())]
}

impl From<&[SeriesSample]> for WriteBatch {
    fn from(samples: &[SeriesSample]) -> Self {
        let mut batch = Self::new();
        for SeriesSample { labels, sample, start_ms } in samples {
            batch.begin(labels);
            batch.sample_since(sample.t_ms, sample.value, *start_ms);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_added_by_series() {
        let (a, b) = (Labels::from_pairs([("__name__", "a")]), Labels::from_pairs([("x", "1")]));
        let mut batch = WriteBatch::new();
        batch.begin(&a);
        batch.sample(1, 0.5);
        batch.sample(2, 1.5);
        batch.begin_packed(b.as_packed()).unwrap();
        batch.histogram(3, Histogram::stale());
        batch.begin(&a);
        assert_eq!(batch.len(), 3);
        let got: Vec<_> =
            batch.series().map(|s| (s.to_labels(), s.hash, s.samples.len(), s.histograms.len())).collect();
        let want = [
            (a.clone(), a.stable_hash(), 2, 0),
            (b.clone(), b.stable_hash(), 0, 1),
            (a.clone(), a.stable_hash(), 0, 0),
        ];
        assert_eq!(got, want);
        batch.clear();
        assert!(batch.is_empty() && batch.series().len() == 0);
    }

    #[test]
    fn starts_are_those_of_their_samples() {
        let (a, b) = (Labels::from_pairs([("__name__", "a")]), Labels::from_pairs([("__name__", "b")]));
        let mut batch = WriteBatch::new();
        batch.begin(&a);
        batch.sample(1, 0.5);
        assert!(!batch.has_starts());
        batch.sample_since(2, 1.5, 0);
        assert!(!batch.has_starts());
        batch.sample_since(3, 2.5, 2);
        batch.sample(4, 2.5);
        batch.begin(&b);
        batch.sample(5, 0.5);
        batch.histogram_since(6, Histogram::stale(), 5);
        assert!(batch.has_starts());
        let got: Vec<_> = batch.series().map(|s| (s.starts.to_vec(), s.histogram_starts.to_vec())).collect();
        assert_eq!(got, [(vec![0, 0, 2], vec![]), (vec![], vec![5])]);
        let got: Vec<Vec<i64>> = batch.series().map(|s| (0..4).map(|at| s.start_ms(at)).collect()).collect();
        assert_eq!(got, [[0, 0, 2, 0], [0, 5, 0, 0]]);
        batch.clear();
        assert!(!batch.has_starts());
    }

    #[test]
    fn exemplars_are_taken_out_with_their_series() {
        let (a, b) = (Labels::from_pairs([("__name__", "a")]), Labels::from_pairs([("__name__", "b")]));
        let exemplar = |t_ms| Exemplar { labels: Labels::from_pairs([("trace_id", "1")]), value: 0.5, t_ms };
        let mut batch = WriteBatch::new();
        batch.begin(&a);
        batch.sample(1, 0.5);
        batch.exemplar(exemplar(1));
        batch.begin(&b);
        batch.exemplar(exemplar(2));
        batch.exemplar(exemplar(3));
        assert_eq!((batch.len(), batch.exemplars_len()), (1, 3));
        let taken = batch.take_exemplars();
        let got: Vec<_> = taken.iter().map(|e| (e.labels.metric(), e.exemplar.t_ms)).collect();
        assert_eq!(got, [("a", 1), ("b", 2), ("b", 3)]);
        assert_eq!((batch.len(), batch.exemplars_len()), (1, 0));
        assert!(batch.series().all(|s| s.exemplars.is_empty()));
        batch.begin(&a);
        batch.exemplar(exemplar(4));
        assert_eq!(batch.take_exemplars().len(), 1);
    }

    #[test]
    fn refuses_labels_that_are_not_packed_and_stays_as_it_was() {
        let mut batch = WriteBatch::new();
        assert!(batch.begin_packed(b"\x01b\x011\x01a\x011").is_err());
        assert!(batch.begin_packed(b"\x05ab").is_err());
        assert_eq!(batch.series().len(), 0);
    }
}
