//! Exemplars that wait for a sample of their series.
//!
//! Receivers of version 2 take no series without a sample, and exemplars come from a log of their own, a moment after their sample. Mostly
//! both are in one batch. An exemplar whose sample is not waits for the next one of its series, and goes alone if none comes in time. The
//! log is told meanwhile that it is done, since that waits for all that was read before: a crash costs those that wait.

use std::collections::HashMap;
use std::time::Duration;

use base::Labels;

use super::batch::{Item, ItemValue};
use crate::limits::{REMOTE_WRITE_EXEMPLAR_WAIT, REMOTE_WRITE_WAITING_EXEMPLARS};

/// How often it is looked whose time is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Exemplars by series, each series with when its first began to wait.
#[derive(Default)]
pub(super) struct Waiting {
    series: HashMap<Labels, (Duration, Vec<Item>)>,
    count: usize,
    looked: Duration,
}

impl Waiting {
    /// Takes a batch and returns what can go: exemplars behind samples of their series. `begins` is called for each that begins to wait.
    pub(super) fn place(
        &mut self,
        batch: Vec<Item>,
        now: Duration,
        mut begins: impl FnMut(&mut Item),
    ) -> Vec<Item> {
        let is_exemplar = |item: &Item| matches!(item.value, ItemValue::Exemplar(_));
        if self.count == 0 && !batch.iter().any(is_exemplar) {
            return batch;
        }
        let (exemplars, samples): (Vec<Item>, Vec<Item>) = batch.into_iter().partition(is_exemplar);
        let mut new_from: HashMap<Labels, usize> = HashMap::new();
        for item in exemplars {
            self.count += 1;
            let of_series =
                &mut self.series.entry(item.labels.clone()).or_insert_with(|| (now, Vec::new())).1;
            new_from.entry(item.labels.clone()).or_insert(of_series.len());
            of_series.push(item);
        }
        let mut out = Vec::with_capacity(samples.len() + self.count);
        // From the end: the last sample of a series is the nearest.
        for sample in samples.into_iter().rev() {
            if let Some((_, mut exemplars)) = self.series.remove(&sample.labels) {
                self.count -= exemplars.len();
                // What may have been sent before stands first in a request, with all that belongs to it.
                exemplars.iter_mut().for_each(|e| e.again = sample.again);
                out.extend(exemplars.into_iter().rev());
            }
            out.push(sample);
        }
        out.reverse();
        for (labels, from) in new_from {
            if let Some((_, exemplars)) = self.series.get_mut(&labels) {
                exemplars[from..].iter_mut().for_each(&mut begins);
            }
        }
        out.extend(self.over(now));
        out
    }

    /// Those that waited long enough, or all if there are too many.
    fn over(&mut self, now: Duration) -> Vec<Item> {
        if self.count > REMOTE_WRITE_WAITING_EXEMPLARS {
            return self.give_up();
        }
        if now.saturating_sub(self.looked) < LOOK_INTERVAL {
            return Vec::new();
        }
        self.looked = now;
        let over = |since: &Duration| now.saturating_sub(*since) >= REMOTE_WRITE_EXEMPLAR_WAIT;
        let mut over: Vec<Item> = self
            .series
            .extract_if(|_, (since, _)| over(since))
            .flat_map(|(_, (_, exemplars))| exemplars)
            .collect();
        // They stand behind samples that were not sent before.
        over.iter_mut().for_each(|e| e.again = false);
        self.count -= over.len();
        over
    }

    /// All that wait, to go alone.
    pub(super) fn give_up(&mut self) -> Vec<Item> {
        self.count = 0;
        self.series.drain().flat_map(|(_, (_, exemplars))| exemplars).collect()
    }
}

#[cfg(test)]
mod tests {
    use base::Exemplar;

    use super::*;

    fn item(series: &str, t_ms: i64, exemplar: bool) -> Item {
        let value = match exemplar {
            true => ItemValue::Exemplar(Box::new(Exemplar { labels: Labels::empty(), value: 1.0, t_ms })),
            false => ItemValue::Float(1.0),
        };
        Item {
            labels: Labels::from_pairs([("__name__", series)]),
            t_ms,
            start_ms: 0,
            value,
            record: 0,
            again: false,
        }
    }

    fn shown(items: &[Item]) -> Vec<String> {
        let kind = |item: &Item| if matches!(item.value, ItemValue::Exemplar(_)) { "e" } else { "s" };
        items.iter().map(|i| format!("{}{}{}", i.labels.metric(), kind(i), i.t_ms)).collect()
    }

    #[test]
    fn exemplars_stand_behind_the_nearest_sample_or_wait_for_one() {
        let mut waiting = Waiting::default();
        let second = Duration::from_secs;
        let (s, e) = (|series, t| item(series, t, false), |series, t| item(series, t, true));
        let mut began = Vec::new();
        let mut place = |items, now| shown(&waiting.place(items, now, |item| began.push(item.t_ms)));
        let batch = vec![s("a", 1), s("b", 1), s("a", 2), e("a", 2), e("c", 2), e("a", 3)];
        assert_eq!(place(batch, second(1)), ["as1", "bs1", "as2", "ae2", "ae3"]);
        assert_eq!(place(vec![e("c", 3), s("b", 2)], second(2)), ["bs2"]);
        assert_eq!(place(vec![s("b", 3), s("c", 4)], second(2)), ["bs3", "cs4", "ce2", "ce3"]);
        assert!(place(vec![e("d", 5)], second(3)).is_empty());
        let late = second(3) + REMOTE_WRITE_EXEMPLAR_WAIT;
        assert_eq!(place(vec![s("b", 6)], late), ["bs6", "de5"], "alone in the end");
        assert!(place(vec![e("d", 7)], late).is_empty());
        let many = (0..REMOTE_WRITE_WAITING_EXEMPLARS).map(|t| e("d", t as i64)).collect();
        assert_eq!(place(many, late).len(), REMOTE_WRITE_WAITING_EXEMPLARS + 1);
        assert_eq!(began[..4], [2, 3, 5, 7], "each once");
        assert!(waiting.give_up().is_empty());
    }
}
