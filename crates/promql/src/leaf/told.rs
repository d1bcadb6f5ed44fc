//! What computing a block has to tell besides its rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Columns;
use crate::eval::annotation::AnnotationSet;
use crate::eval::steps::Steps;
use crate::eval::tally::Tally;
use crate::limits::{MAX_TOLD_ANNOTATIONS, MAX_TOLD_NUMBER};

/// What computing a block has to tell besides its rows.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Told {
    pub(crate) annotations: AnnotationSet,
    /// Samples that steps used.
    pub(crate) tally: Tally,
    /// The most samples that a step used.
    pub(crate) widest: u64,
    /// Series that were read, and their samples, or buckets in their place.
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// Rows before they were filtered and brought together, and their values.
    pub(crate) rows: u64,
    pub(crate) points: u64,
    /// What filters left of them.
    pub(crate) kept_rows: u64,
    pub(crate) kept_points: u64,
    /// Time that reading, computing and grouping took, if it was measured.
    pub(crate) read_time: Duration,
    pub(crate) compute_time: Duration,
    pub(crate) group_time: Duration,
}

impl Told {
    /// Nothing yet, counted for each step if that is wanted.
    pub(crate) fn counting(counts_steps: bool, steps: Steps) -> Self {
        Self { tally: Tally::of_steps(if counts_steps { steps.count } else { 0 }), ..Self::default() }
    }

    /// What no leaf of so many steps tells, if there is any such thing: what comes from elsewhere is added up with what others tell.
    pub(super) fn oddity(&self, steps: usize) -> Option<&'static str> {
        let counted = &self.tally.steps;
        if !counted.is_empty() && counted.len() != steps {
            return Some("it counts other steps than those of the leaf");
        }
        if self.annotations.len() > MAX_TOLD_ANNOTATIONS.saturating_add(steps.saturating_mul(2)) {
            return Some("it has too many annotations (limit max_told_annotations)");
        }
        let times = [self.read_time, self.compute_time, self.group_time].map(|time| time.as_secs());
        let own = [
            self.tally.used,
            self.tally.read,
            self.widest,
            self.series,
            self.samples,
            self.rows,
            self.points,
            self.kept_rows,
            self.kept_points,
            self.annotations.most_occurrences(),
        ];
        let of_steps = counted.iter().flat_map(|step| [step.used, step.read]);
        let is_odd = own.into_iter().chain(times).chain(of_steps).any(|n| n > MAX_TOLD_NUMBER);
        is_odd.then_some("its numbers are not those of samples (limit max_told_number)")
    }

    /// Counts a series that was read.
    pub(crate) fn read(&mut self, columns: &Columns, took: Duration) {
        self.series += 1;
        self.samples += columns.size_in_samples();
        self.read_time += took;
    }

    /// Counts a row.
    pub(crate) fn gave(&mut self, points: u64) {
        self.rows += 1;
        self.points += points;
    }

    /// Counts a row that filters left, or a part of it.
    pub(crate) fn kept(&mut self, points: u64) {
        self.kept_rows += 1;
        self.kept_points += points;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Span;
    use crate::eval::tally::StepTally;
    use crate::limits::MAX_TOLD_BYTES;

    #[test]
    fn what_no_leaf_tells_is_refused() {
        let whole = Told {
            tally: Tally { used: 3, read: 2, steps: vec![StepTally { used: 3, read: 2 }; 2] },
            series: MAX_TOLD_NUMBER,
            ..Told::default()
        };
        let read = |told: &Told| Told::from_bytes(&told.to_bytes().unwrap(), 2);
        assert_eq!(read(&whole).unwrap().tally, whole.tally);
        assert!(
            Told::from_bytes(&Told::default().to_bytes().unwrap(), 2).is_ok(),
            "steps need not be counted"
        );
        assert!(Told::from_bytes(&whole.to_bytes().unwrap(), 3).is_err(), "other steps");
        let huge = MAX_TOLD_NUMBER + 1;
        let used = Tally { used: huge, ..whole.tally.clone() };
        let of_step = Tally { steps: vec![StepTally { used: 0, read: huge }; 2], ..whole.tally };
        for odd in [
            Told { tally: used, ..whole.clone() },
            Told { tally: of_step, ..whole.clone() },
            Told { widest: huge, ..whole.clone() },
            Told { kept_points: huge, ..whole.clone() },
            Told { group_time: Duration::MAX, ..whole.clone() },
        ] {
            let error = read(&odd).unwrap_err();
            assert!(error.message().contains("max_told_number"), "{error}");
        }
        let mut many = whole;
        for n in 0..MAX_TOLD_ANNOTATIONS + 4 {
            many.annotations.mixed_range(&n.to_string(), Span::default());
        }
        assert!(read(&many).is_ok(), "as many as there may be");
        many.annotations.mixed_group(Span::default());
        let error = read(&many).unwrap_err();
        assert!(error.message().contains("max_told_annotations"), "{error}");
        let error = Told::from_bytes(&vec![b' '; MAX_TOLD_BYTES + 129], 2).unwrap_err();
        assert!(error.message().contains("max_told_bytes"), "{error}");
    }
}
