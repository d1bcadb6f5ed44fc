//! Which records of the log are done. Shards finish in any order; a record is done once all of its samples are, and all records
//! before it.

use std::collections::VecDeque;

/// Samples under way, by record.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// The number of the first record in `open`.
    first: u64,
    /// Samples under way of each record.
    open: VecDeque<usize>,
}

impl Acks {
    /// Notes the next record, with so many samples to be sent. Returns its number.
    pub(super) fn begin(&mut self, samples: usize) -> u64 {
        self.open.push_back(samples);
        self.first + self.open.len() as u64 - 1
    }

    /// Records that are not done, or come behind one that is not.
    pub(super) fn under_way(&self) -> usize {
        self.open.len()
    }

    /// Notes that samples of a record are sent, or given up.
    pub(super) fn finish(&mut self, record: u64, samples: usize) {
        let at = usize::try_from(record - self.first).expect("records under way fit into memory");
        self.open[at] -= samples;
    }

    /// The last record up to which all are done, if there are more of these than at the last call.
    pub(super) fn advance(&mut self) -> Option<u64> {
        let before = self.first;
        while self.open.front() == Some(&0) {
            self.open.pop_front();
            self.first += 1;
        }
        (self.first > before).then(|| self.first - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_done_after_those_before_it() {
        let mut acks = Acks::default();
        let records = [acks.begin(2), acks.begin(0), acks.begin(1)];
        assert_eq!((records, acks.advance()), ([0, 1, 2], None));
        acks.finish(2, 1);
        acks.finish(0, 1);
        assert_eq!(acks.advance(), None);
        acks.finish(0, 1);
        assert_eq!((acks.advance(), acks.advance()), (Some(2), None));
        assert_eq!((acks.begin(0), acks.advance()), (3, Some(3)));
    }
}
