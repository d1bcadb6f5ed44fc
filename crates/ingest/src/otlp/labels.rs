//! The labels of a data point, put together from its attributes, its resource and its scope.
//!
//! Texts lie in one buffer: what is the same for all data points of a metric in front, those of a data point behind it.

use std::ops::Range;

use base::{Error, METRIC_NAME, Result};

use super::value::{self, Attribute, BadValue};
use super::{Request, Settings, names};
use crate::LabelLimits;
use crate::limits::{COLLISIONS_SAID, LABEL_SET_BYTES, QUOTED_CHARS};

/// Where a label comes from; of several with one name the last kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A resource's attribute that is promoted.
    Promoted,
    /// A data point's attribute.
    Attribute,
    /// `job` and `instance`.
    Identity,
    /// A scope's attribute.
    ScopeAttribute,
    /// What the scope is.
    Scope,
    /// `__type__` and `__unit__`.
    Typed,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
    origin: Origin,
}

/// Labels that are being put together.
#[derive(Debug, Default)]
pub(super) struct LabelSet {
    text: String,
    entries: Vec<Entry>,
    /// Positions of the labels in order of their names, each name once.
    order: Vec<Entry>,
}

/// How far a [`LabelSet`] was filled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    text: usize,
    entries: usize,
}

impl LabelSet {
    /// Remembers what is there.
    pub(super) fn mark(&self) -> Mark {
        Mark { text: self.text.len(), entries: self.entries.len() }
    }

    /// Forgets what came after.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.entries.truncate(mark.entries);
    }

    /// Adds a label whose name stays as it is.
    pub(super) fn push(&mut self, name: &str, value: &str, origin: Origin) {
        let start = self.text.len();
        self.text.push_str(name);
        self.end(start, origin, |text| {
            text.push_str(value);
            Ok(())
        })
        .expect("a text can be written");
    }

    /// Adds a label for an attribute, whose name is escaped if names are; `prefix` comes in front of it before.
    pub(super) fn push_attribute(
        &mut self,
        prefix: &str,
        (name, value): Attribute<'_>,
        settings: &Settings,
        origin: Origin,
    ) -> Result<()> {
        let start = self.text.len();
        // Names of data points' attributes are taken as they come where none are escaped.
        let named = if !settings.translation.escapes() && origin == Origin::Attribute {
            self.text.push_str(name);
            Ok(())
        } else if prefix.is_empty() {
            names::label(name, settings, &mut self.text)
        } else {
            names::label(&format!("{prefix}{name}"), settings, &mut self.text)
        };
        named.map_err(|why| Error::invalid(format!("cannot take attribute {name:?}: {why}")))?;
        self.end(start, origin, |text| value::write(value, text)).map_err(|why| bad_value(name, why))
    }

    fn end(
        &mut self,
        start: usize,
        origin: Origin,
        value: impl FnOnce(&mut String) -> Result<(), BadValue>,
    ) -> Result<(), BadValue> {
        let middle = self.text.len();
        value(&mut self.text)?;
        self.entries.push(Entry { name: start..middle, value: middle..self.text.len(), origin });
        Ok(())
    }

    /// Decides which labels there are. Calls `collided` with a label that several attributes became, whose values it has.
    pub(super) fn settle(&mut self, mut collided: impl FnMut(&str)) {
        let Self { text, entries, order } = self;
        order.clear();
        order.extend(entries.iter().cloned());
        // Stable, so that attributes of one name stay in order of the names they had before.
        order.sort_by(|a, b| text[a.name.clone()].cmp(&text[b.name.clone()]).then(a.origin.cmp(&b.origin)));
        let mut kept = 0;
        let mut i = 0;
        while i < order.len() {
            let name = order[i].name.clone();
            let same = order[i..].iter().take_while(|e| text[e.name.clone()] == text[name.clone()]).count();
            let run = &order[i..i + same];
            let end = run.partition_point(|e| e.origin <= Origin::Attribute);
            let has_value = |e: &Entry| e.origin == Origin::Attribute && !e.value.is_empty();
            let attributes = &run[run[..end].iter().position(has_value).unwrap_or(end)..end];
            if attributes.len() > 1 {
                collided(&text[name]);
            }
            let chosen = match (run[end..].last(), attributes) {
                (Some(last), _) => Some(last.clone()),
                // Attributes without a value leave what is promoted.
                (None, []) => run.iter().rfind(|e| e.origin == Origin::Promoted).cloned(),
                (None, [one]) => Some(one.clone()),
                (None, several) => Some(joined(text, several)),
            };
            if let Some(chosen) = chosen.filter(|e| !e.value.is_empty()) {
                order[kept] = chosen;
                kept += 1;
            }
            i += same;
        }
        order.truncate(kept);
    }

    /// The value of a label that was settled.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.order.iter().find(|e| &self.text[e.name.clone()] == name).map(|e| &self.text[e.value.clone()])
    }

    /// Packs the settled labels with others, in order of their names, which take their places. An error says why they cannot be taken.
    pub(super) fn pack(
        &self,
        others: &[(&str, &str)],
        limits: LabelLimits,
        packed: &mut Vec<u8>,
    ) -> Result<()> {
        packed.clear();
        let mut own =
            self.order.iter().map(|e| (&self.text[e.name.clone()], &self.text[e.value.clone()])).peekable();
        let mut count = 0;
        let mut put_label = |name: &str, value: &str, packed: &mut Vec<u8>| {
            count += 1;
            put(packed, name);
            put(packed, value);
            let over = [
                ("labels", count, "label_limit", limits.labels),
                ("bytes in a label's name", name.len(), "label_name_length_limit", limits.name_bytes),
                ("bytes in a label's value", value.len(), "label_value_length_limit", limits.value_bytes),
                ("bytes of labels", packed.len(), "label_set_bytes", LABEL_SET_BYTES),
            ];
            over.into_iter().find(|(_, got, _, limit)| got > limit)
        };
        let refuse = |(what, got, name, limit): (&str, usize, &str, usize)| {
            let metric = others.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value);
            let metric: String = metric.chars().take(QUOTED_CHARS).collect();
            Err(Error::limit(format!(
                "cannot take series of {metric}: it has {got} {what} or more (limit {name} is {limit})"
            )))
        };
        for (name, value) in others {
            while let Some((own_name, own_value)) = own.next_if(|(own_name, _)| own_name < name) {
                if let Some(over) = put_label(own_name, own_value, packed) {
                    return refuse(over);
                }
            }
            own.next_if(|(own_name, _)| own_name == name);
            if let Some(over) = put_label(name, value, packed) {
                return refuse(over);
            }
        }
        for (name, value) in own {
            if let Some(over) = put_label(name, value, packed) {
                return refuse(over);
            }
        }
        Ok(())
    }
}

impl<'a> Request<'a, '_> {
    /// Decides which labels there are, made of attributes of a data point or a resource, and says which of these became one.
    pub(super) fn settle(&mut self, attributes: &[Attribute<'a>], source: &str) {
        let Self { labels, collisions, intake, settings, .. } = self;
        labels.settle(|label| {
            if collisions.contains(label) || collisions.len() >= COLLISIONS_SAID {
                return;
            }
            collisions.insert(label.to_owned());
            let became = |name: &&str| {
                let mut out = String::new();
                names::label(name, settings, &mut out).is_ok() && out == label
            };
            let warnings = &mut intake.out.warnings;
            warnings.label_name_collision += 1;
            warnings.note(|| {
                let names = attributes.iter().map(|(name, _)| *name).filter(became);
                let names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
                format!(
                    "OTLP {source} attributes {} collide as label {label:?} after name sanitization, values are concatenated with ';'",
                    names.join(", ")
                )
            });
        });
    }
}

/// The error of an attribute that cannot be taken.
pub(super) fn bad_value(name: &str, why: BadValue) -> Error {
    let name: String = name.chars().take(QUOTED_CHARS).collect();
    match why {
        BadValue::Malformed(m) => Error::invalid(format!("cannot take attribute {name:?}: {}", m.cause())),
        BadValue::NotUtf8 => Error::invalid(format!("cannot take attribute {name:?}: it is not UTF-8")),
        BadValue::TooDeep => Error::limit(format!(
            "cannot take attribute {name:?}: lists and maps lie too deep in each other (limit attribute_depth is {})",
            crate::limits::ATTRIBUTE_DEPTH
        )),
    }
}

/// A label with the values of several, divided by semicolons. They are written once, as there may be many.
fn joined(text: &mut String, several: &[Entry]) -> Entry {
    let start = text.len();
    for (i, entry) in several.iter().enumerate() {
        if i > 0 {
            text.push(';');
        }
        text.extend_from_within(entry.value.clone());
    }
    Entry { value: start..text.len(), ..several[0].clone() }
}

/// A length as LEB128, then the text.
fn put(out: &mut Vec<u8>, text: &str) {
    let mut n = text.len();
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_become_one_take_no_more_room_than_they_have() {
        let mut set = LabelSet::default();
        let value = "x".repeat(1000);
        set.push("a", "promoted", Origin::Promoted);
        set.push("a", "", Origin::Attribute);
        (0..1000).for_each(|_| set.push("a", &value, Origin::Attribute));
        let (before, mut collisions) = (set.text.len(), 0);
        set.settle(|_| collisions += 1);
        assert_eq!(set.get("a"), Some(vec![value.as_str(); 1000].join(";").as_str()));
        assert_eq!((set.text.len() - before, collisions), (1_000_999, 1));
    }

    #[test]
    fn of_several_origins_the_last_counts() {
        let of = |entries: &[(&str, Origin)]| {
            let mut set = LabelSet::default();
            entries.iter().for_each(|(value, origin)| set.push("a", value, *origin));
            set.settle(|_| {});
            set.get("a").map(str::to_owned)
        };
        use Origin::{Attribute, Identity, Promoted};
        let check = |entries: &[(&str, Origin)], want: Option<&str>| assert_eq!(of(entries).as_deref(), want);
        check(&[("p", Promoted), ("", Attribute)], Some("p"));
        check(&[("p", Promoted), ("x", Attribute)], Some("x"));
        check(&[("", Attribute), ("x", Attribute), ("", Attribute)], Some("x;"));
        check(&[("p", Promoted), ("x", Attribute), ("y", Attribute), ("i", Identity)], Some("i"));
        check(&[("", Attribute)], None);
        check(&[("p", Promoted), ("", Promoted)], None);
    }
}
