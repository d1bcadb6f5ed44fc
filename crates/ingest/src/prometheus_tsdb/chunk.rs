//! Chunks: encoded samples of one series.

use base::{Histogram, Sample};

use super::histogram::{Header, decode_fractional, decode_whole};
use super::xor::{decode_xor, decode_xor2};

/// Samples of one series: floats and histograms, each ascending in time.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct SeriesSamples {
    /// Floats.
    pub floats: Vec<Sample>,
    /// Histograms with their times in milliseconds.
    pub histograms: Vec<(i64, Histogram)>,
}

impl SeriesSamples {
    /// Number of samples of both kinds.
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the samples and keeps the memory.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    /// Keeps the samples whose time `keep` accepts.
    pub(super) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        self.floats.retain(|s| keep(s.t_ms));
        self.histograms.retain(|(t_ms, _)| keep(*t_ms));
    }

    /// Puts the samples in order of time; of several of one time the first stays.
    pub(super) fn sort_and_dedup(&mut self) {
        if !self.floats.is_sorted_by(|a, b| a.t_ms < b.t_ms) {
            self.floats.sort_by_key(|s| s.t_ms);
            self.floats.dedup_by_key(|s| s.t_ms);
        }
        if !self.histograms.is_sorted_by(|(a, _), (b, _)| a < b) {
            self.histograms.sort_by_key(|(t_ms, _)| *t_ms);
            self.histograms.dedup_by_key(|(t_ms, _)| *t_ms);
        }
    }
}

/// Appends the samples of a chunk. The error says what is wrong with it.
pub(crate) fn decode(encoding: u8, data: &[u8], out: &mut SeriesSamples) -> Result<(), String> {
    let (name, decoded) = match encoding {
        1 => ("XOR", decode_xor(data, &mut out.floats)),
        2 => ("histogram", decode_whole(data, Header::Plain, &mut out.histograms)),
        3 => ("float histogram", decode_fractional(data, Header::Plain, &mut out.histograms)),
        4 => ("XOR2", decode_xor2(data, &mut out.floats)),
        5 => ("histogram", decode_whole(data, Header::WithStartTimes, &mut out.histograms)),
        6 => ("float histogram", decode_fractional(data, Header::WithStartTimes, &mut out.histograms)),
        other => return Err(format!("chunks of encoding {other} are not known")),
    };
    decoded.ok_or_else(|| format!("the {name} chunk of {} bytes does not decode", data.len()))
}
