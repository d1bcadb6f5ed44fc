//! Adds up what data points say was added: the sums since the start, which Prometheus stores, need memory of what came before.
//!
//! A delta begins where the one before ended, so a sum goes on whatever start its parts name, also after a gap and from a sender that was
//! restarted. A series that nobody adds to for a while is forgotten, and there is a bound on the memory of all of them. A restart of
//! this program begins anew, as a counter that is reset does.

use std::collections::HashMap;

use base::{Error, Result};
use parking_lot::Mutex;

use super::point::{Bounded, Exponential, Number, Times};
use crate::limits::{DELTA_BUCKETS, DELTA_STALE_MS, DELTA_STATE_BYTES, DELTA_SWEEP_MS};

/// What was added up so far.
#[derive(Debug, Default)]
pub struct Accumulator(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    series: HashMap<u128, Series>,
    bytes: usize,
    swept_ms: i64,
}

#[derive(Debug)]
struct Series {
    /// Since when it is added up.
    start_ns: u64,
    /// Those of the data point that was added last.
    last: Times,
    touched_ms: i64,
    total: Total,
}

/// A sum of data points of one kind.
#[derive(Debug, Clone)]
pub(super) enum Total {
    Number(Number),
    Bounded(Bounded),
    Exponential(Exponential),
}

impl Total {
    fn size_bytes(&self) -> usize {
        let own = match self {
            Self::Number(_) => 0,
            Self::Bounded(h) => size_of_val(&*h.counts) + size_of_val(&*h.bounds),
            Self::Exponential(h) => size_of_val(&*h.positive) + size_of_val(&*h.negative),
        };
        // An entry of the map, and what it leaves free.
        own + 2 * size_of::<(u128, Series)>()
    }
}

/// A kind of data points that can be added up.
pub(super) trait Addend: Clone + Default {
    fn total(self) -> Total;
    /// Nothing if the sum is one of another kind.
    fn of(total: &Total) -> Option<Self>;
    /// Adds another; `false` if they cannot be added, so that the sum begins anew with the other.
    fn add(&mut self, more: &Self) -> bool;
}

impl Accumulator {
    /// Adds a data point to the series that `id` names, and makes of it what there is in all, since the start of the sum.
    ///
    /// A data point that is there already gives the sum as it is: its sender saw no answer. An earlier one is refused.
    pub(super) fn add<T: Addend>(
        &self,
        id: u128,
        times: &mut Times,
        value: &mut T,
        now_ms: i64,
    ) -> Result<()> {
        let mut state = self.0.lock();
        state.sweep(now_ms);
        let bytes = state.bytes;
        let anew = |total| Series { start_ns: times.start_ns, last: *times, touched_ms: now_ms, total };
        let Some(series) = state.series.get_mut(&id) else {
            return state.begin(id, anew(value.clone().total()));
        };
        let mut next = anew(value.clone().total());
        if let Some(mut total) = T::of(&series.total) {
            let repeated = *times == series.last;
            if !repeated {
                series.takes(*times)?;
            }
            if repeated || total.add(value) {
                next.start_ns = series.start_ns;
                next.total = total.clone().total();
                *value = total;
            }
        }
        let bytes = (bytes + next.total.size_bytes()).saturating_sub(series.total.size_bytes());
        if bytes > DELTA_STATE_BYTES {
            return Err(full());
        }
        times.start_ns = next.start_ns;
        *series = next;
        state.bytes = bytes;
        Ok(())
    }

    /// Series that are added up.
    pub fn len(&self) -> usize {
        self.0.lock().series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Series {
    /// Checks that a data point comes after those that were added. A start that nobody said is none that could be too early.
    fn takes(&self, times: Times) -> Result<()> {
        if times.start_ns != 0 && times.start_ns < self.start_ns {
            return Err(Error::invalid(format!(
                "out of order: delta since t={} ns, but series is added up since t={} ns only; several senders may have the same series",
                times.start_ns, self.start_ns
            )));
        }
        if times.end_ns <= self.last.end_ns {
            return Err(Error::invalid(format!(
                "out of order: delta at t={} ns, but series already at t={} ns",
                times.end_ns, self.last.end_ns
            )));
        }
        Ok(())
    }
}

impl State {
    fn begin(&mut self, id: u128, series: Series) -> Result<()> {
        let bytes = self.bytes + series.total.size_bytes();
        if bytes > DELTA_STATE_BYTES {
            return Err(full());
        }
        self.bytes = bytes;
        self.series.insert(id, series);
        Ok(())
    }

    /// Forgets series that nobody adds to any more.
    fn sweep(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.swept_ms) < DELTA_SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.series.retain(|_, series| now_ms.saturating_sub(series.touched_ms) <= DELTA_STALE_MS);
        self.bytes = self.series.values().map(|series| series.total.size_bytes()).sum();
    }
}

fn full() -> Error {
    Error::limit(format!(
        "cannot add delta up: the sums of all series have {DELTA_STATE_BYTES} bytes (limit delta_state_bytes)"
    ))
}

impl Addend for Number {
    fn total(self) -> Total {
        Total::Number(self)
    }

    fn of(total: &Total) -> Option<Self> {
        if let Total::Number(n) = total { Some(*n) } else { None }
    }

    fn add(&mut self, more: &Self) -> bool {
        *self = match (*self, *more) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a.wrapping_add(b)),
            (a, b) => Self::Double(a.value() + b.value()),
        };
        true
    }
}

impl Addend for Bounded {
    fn total(self) -> Total {
        Total::Bounded(self)
    }

    fn of(total: &Total) -> Option<Self> {
        if let Total::Bounded(h) = total { Some(h.clone()) } else { None }
    }

    /// Histograms with other bounds cannot be added.
    fn add(&mut self, more: &Self) -> bool {
        let bits = |h: &Self| h.bounds.iter().map(|b| b.to_bits()).collect::<Vec<_>>();
        if bits(self) != bits(more) {
            return false;
        }
        for (count, added) in self.counts.iter_mut().zip(&more.counts) {
            *count = count.saturating_add(*added);
        }
        self.count = self.count.saturating_add(more.count);
        self.sum = self.sum.zip(more.sum).map(|(a, b)| a + b);
        true
    }
}

impl Addend for Exponential {
    fn total(self) -> Total {
        Total::Exponential(self)
    }

    fn of(total: &Total) -> Option<Self> {
        if let Total::Exponential(h) = total { Some(h.clone()) } else { None }
    }

    fn add(&mut self, more: &Self) -> bool {
        let mut more = more.clone();
        let coarser = self.scale.min(more.scale);
        self.rescale(coarser);
        more.rescale(coarser);
        let zero_threshold = self.zero_threshold.max(more.zero_threshold);
        self.widen_zero(zero_threshold);
        more.widen_zero(zero_threshold);
        self.positive = merged(&self.positive, &more.positive);
        self.negative = merged(&self.negative, &more.negative);
        while width(&self.positive).max(width(&self.negative)) > DELTA_BUCKETS && self.scale > i32::MIN {
            self.rescale(self.scale - 1);
        }
        self.zero_count = self.zero_count.saturating_add(more.zero_count);
        self.count = self.count.saturating_add(more.count);
        self.sum = self.sum.zip(more.sum).map(|(a, b)| a + b);
        true
    }
}

impl Exponential {
    /// Makes the buckets as wide as those of a coarser scale.
    fn rescale(&mut self, scale: i32) {
        let by = i64::from(self.scale) - i64::from(scale);
        if by <= 0 {
            return;
        }
        let by = by.min(32) as u32;
        for side in [&mut self.positive, &mut self.negative] {
            let wider: Vec<(i32, u64)> =
                side.iter().map(|(i, n)| ((i64::from(*i) >> by) as i32, *n)).collect();
            *side = merged(&wider, &[]);
        }
        self.scale = scale;
    }

    /// Moves what lies in buckets that a wider bucket around zero has a part of into that one, which ends where they do.
    fn widen_zero(&mut self, threshold: f64) {
        if !(threshold > self.zero_threshold && threshold.is_finite()) {
            return;
        }
        self.zero_threshold = threshold;
        let per_power = f64::from(self.scale).exp2();
        let last = (threshold.log2() * per_power).ceil() - 1.0;
        let mut moved = 0u64;
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|(index, count)| {
                let stays = f64::from(*index) > last;
                moved = moved.saturating_add(if stays { 0 } else { *count });
                stays
            });
        }
        if moved > 0 {
            self.zero_threshold = threshold.max(((last + 1.0) / per_power).exp2());
        }
        self.zero_count = self.zero_count.saturating_add(moved);
    }
}

/// Buckets from the first to the last, empty ones included.
fn width(buckets: &[(i32, u64)]) -> i64 {
    match (buckets.first(), buckets.last()) {
        (Some((first, _)), Some((last, _))) => i64::from(*last) - i64::from(*first) + 1,
        _ => 0,
    }
}

/// The buckets of both, each index once.
fn merged(a: &[(i32, u64)], b: &[(i32, u64)]) -> Vec<(i32, u64)> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut out: Vec<(i32, u64)> = Vec::with_capacity(a.len() + b.len());
    while let Some((index, count)) = match (a.peek(), b.peek()) {
        (Some((i, _)), Some((j, _))) if j < i => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    } {
        match out.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.saturating_add(count),
            _ => out.push((index, count)),
        }
    }
    out
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
