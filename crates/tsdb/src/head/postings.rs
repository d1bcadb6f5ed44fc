//! Which series have which label: the index behind matchers.

use base::{Labels, Matcher};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

/// Series by label name and value.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    names: FxHashMap<Box<str>, FxHashMap<Box<str>, Ids>>,
    all: RoaringBitmap,
}

/// A label that all series from one on have, so far.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    name: &'a str,
    value: &'a str,
    start: u32,
}

/// A set of series. Many labels have values that only one series has, and a bitmap would take a hundred bytes for each.
#[derive(Debug)]
enum Ids {
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Ids {
    fn insert(&mut self, id: u32) {
        match self {
            Self::One(one) => *self = Self::Many(Box::new(RoaringBitmap::from_iter([*one, id]))),
            Self::Many(many) => drop(many.insert(id)),
        }
    }

    /// Adds the series from `start` to `last`.
    fn insert_run(&mut self, start: u32, last: u32) {
        match self {
            _ if start == last => self.insert(start),
            Self::One(one) => {
                let mut many = RoaringBitmap::from_iter([*one]);
                many.insert_range(start..=last);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => drop(many.insert_range(start..=last)),
        }
    }

    /// Removes a series; returns whether the set is empty now.
    fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(many) => {
                many.remove(id);
                many.is_empty()
            }
        }
    }

    fn add_to(&self, set: &mut RoaringBitmap) {
        match self {
            Self::One(one) => drop(set.insert(*one)),
            Self::Many(many) => *set |= many.as_ref(),
        }
    }

    /// Whether it has in common with another set one of which `counts` holds.
    fn has_any(&self, set: &RoaringBitmap, counts: impl Fn(u32) -> bool) -> bool {
        match self {
            Self::One(one) => set.contains(*one) && counts(*one),
            Self::Many(many) => {
                !many.is_disjoint(set) && many.iter().any(|id| set.contains(id) && counts(id))
            }
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }
}

impl Postings {
    pub(crate) fn insert(&mut self, id: u32, labels: &Labels) {
        self.all.insert(id);
        for (name, value) in labels {
            // Names and values are looked up before they are copied: nearly always they are there.
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(ids) => ids.insert(id),
                None => drop(values.insert(value.into(), Ids::One(id))),
            }
        }
    }

    /// Adds many series, whose ids ascend. Neighbours have most labels in common, and a run of them is one entry.
    pub(crate) fn fill<'a>(&mut self, series: impl Iterator<Item = (u32, &'a Labels)>) {
        let (mut runs, mut next): (Vec<Run<'a>>, Vec<Run<'a>>) = (Vec::new(), Vec::new());
        let mut last = None;
        let mut all_from = 0;
        for (id, labels) in series {
            if let Some(last) = last
                && last + 1 != id
            {
                self.all.insert_range(all_from..=last);
                runs.drain(..).for_each(|run| self.insert_run(run, last));
                all_from = id;
            } else if last.is_none() {
                all_from = id;
            }
            // Both are in order of names.
            let mut before = runs.drain(..).peekable();
            for (name, value) in labels {
                let mut start = id;
                while let Some(run) = before.next_if(|run| run.name <= name) {
                    if run.name == name && run.value == value {
                        start = run.start;
                    } else {
                        self.insert_run(run, id - 1);
                    }
                }
                next.push(Run { name, value, start });
            }
            before.for_each(|run| self.insert_run(run, id - 1));
            std::mem::swap(&mut runs, &mut next);
            last = Some(id);
        }
        if let Some(last) = last {
            self.all.insert_range(all_from..=last);
            runs.into_iter().for_each(|run| self.insert_run(run, last));
        }
    }

    fn insert_run(&mut self, run: Run<'_>, last: u32) {
        let values = match self.names.get_mut(run.name) {
            Some(values) => values,
            None => self.names.entry(run.name.into()).or_default(),
        };
        match values.get_mut(run.value) {
            Some(ids) => ids.insert_run(run.start, last),
            None if run.start == last => drop(values.insert(run.value.into(), Ids::One(last))),
            None => {
                let mut many = RoaringBitmap::new();
                many.insert_range(run.start..=last);
                values.insert(run.value.into(), Ids::Many(Box::new(many)));
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        self.all.remove(id);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|ids| ids.remove(id)) {
                values.remove(value);
                if values.is_empty() {
                    self.names.remove(name);
                }
            }
        }
    }

    /// The series that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut selected: Option<RoaringBitmap> = None;
        // Matchers that want a value make the set small; only then those are subtracted that allow its absence.
        for matcher in matchers.iter().filter(|m| !m.matches_empty()) {
            let set = self.with_value(matcher.name(), matcher, true);
            selected = Some(match selected {
                Some(so_far) => so_far & set,
                None => set,
            });
        }
        let mut selected = selected.unwrap_or_else(|| self.all.clone());
        for matcher in matchers.iter().filter(|m| m.matches_empty()) {
            selected -= self.with_value(matcher.name(), matcher, false);
        }
        selected
    }

    /// The series that have the label with a value that the matcher accepts, or with one that it does not.
    fn with_value(&self, name: &str, matcher: &Matcher, accepted: bool) -> RoaringBitmap {
        let mut set = RoaringBitmap::new();
        let Some(values) = self.names.get(name) else { return set };
        if accepted && matcher.op() == base::MatchOp::Equal {
            if let Some(ids) = values.get(matcher.value()) {
                ids.add_to(&mut set);
            }
            return set;
        }
        for (value, ids) in values {
            if matcher.matches(value) == accepted {
                ids.add_to(&mut set);
            }
        }
        set
    }

    /// Number of series that have a label with a value.
    pub(crate) fn count(&self, name: &str, value: &str) -> u64 {
        self.names.get(name).and_then(|values| values.get(value)).map_or(0, Ids::len)
    }

    /// Number of values of a label.
    pub(crate) fn value_count(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, FxHashMap::len)
    }

    /// The values that a label has in any of these series of which `counts` holds. One is enough, so few are asked about.
    pub(crate) fn values_in(
        &self,
        name: &str,
        series: &RoaringBitmap,
        counts: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = &str> {
        let values = self.names.get(name).into_iter().flatten();
        values.filter(move |(_, ids)| ids.has_any(series, &counts)).map(|(value, _)| value.as_ref())
    }

    /// Label names, with their values and the number of series of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, u64)>)> {
        self.names.iter().map(|(name, values)| {
            (name.as_ref(), values.iter().map(|(value, ids)| (value.as_ref(), ids.len())))
        })
    }

    /// The values of a label.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = (&str, u64)> {
        self.names.get(name).into_iter().flatten().map(|(value, ids)| (value.as_ref(), ids.len()))
    }
}

#[cfg(test)]
mod tests {
    use base::MatchOp::{self, Equal, NotEqual, NotRegex, Regex};

    use super::*;

    #[test]
    fn selects_what_a_scan_would_and_forgets_what_is_removed() {
        let sets: Vec<Labels> = [
            &[("__name__", "up"), ("job", "a")][..],
            &[("__name__", "up"), ("job", "b")],
            &[("__name__", "up")],
            &[("__name__", "down"), ("job", "a")],
        ]
        .iter()
        .map(|pairs| Labels::from_pairs(pairs.iter().copied()))
        .collect();
        let mut postings = Postings::default();
        for (id, labels) in (0..).zip(&sets) {
            postings.insert(id, labels);
        }
        let all_matchers: Vec<Matcher> = [Equal, NotEqual, Regex, NotRegex]
            .iter()
            .flat_map(|op: &MatchOp| {
                [("job", "a"), ("job", ""), ("job", "a|b"), ("job", ".*"), ("none", "x"), ("__name__", "up")]
                    .map(|(n, v)| Matcher::new(n, *op, v).unwrap())
            })
            .collect();
        for a in &all_matchers {
            for b in &all_matchers {
                let want: Vec<u32> = (0..4u32)
                    .filter(|id| [a, b].iter().all(|m| m.matches_labels(&sets[*id as usize])))
                    .collect();
                let got: Vec<u32> = postings.select(&[a.clone(), b.clone()]).into_iter().collect();
                assert_eq!(got, want, "{a} {b}");
            }
        }
        for (id, labels) in (0..).zip(&sets) {
            postings.remove(id, labels);
        }
        assert!(postings.names.is_empty() && postings.all.is_empty());
    }

    #[test]
    fn filled_at_once_it_is_the_same_as_series_by_series() {
        // Runs of all lengths, labels that come and go within them, and numbers left out.
        let labels = |id: u32| {
            let mut pairs = vec![("__name__".to_owned(), format!("m{}", id / 7)), ("job".into(), "a".into())];
            if (id / 3).is_multiple_of(2) {
                pairs.push(("device".into(), format!("d{}", id % 5)));
            }
            if id % 11 > 4 {
                pairs.push(("zone".into(), format!("z{}", id / 40)));
                pairs.push((format!("only_{id}"), "x".into()));
            }
            Labels::from_pairs(pairs)
        };
        let series: Vec<(u32, Labels)> =
            (3..2000).filter(|id| id % 97 != 0).map(|id| (id, labels(id))).collect();
        let (mut one_by_one, mut at_once) = (Postings::default(), Postings::default());
        series.iter().for_each(|(id, labels)| one_by_one.insert(*id, labels));
        at_once.fill(series.iter().map(|(id, labels)| (*id, labels)));
        let all = |postings: &Postings| {
            let mut all: Vec<(String, String, Vec<u32>)> = Vec::new();
            for (name, values) in &postings.names {
                for (value, ids) in values {
                    let mut set = RoaringBitmap::new();
                    ids.add_to(&mut set);
                    all.push((name.to_string(), value.to_string(), set.into_iter().collect()));
                }
            }
            all.sort();
            (all, postings.all.clone())
        };
        assert_eq!(all(&at_once), all(&one_by_one));
    }
}
