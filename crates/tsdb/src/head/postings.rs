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
}
