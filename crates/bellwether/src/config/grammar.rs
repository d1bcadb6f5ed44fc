//! Which keys a section may have, what shape their values take, and whether this program acts on them.
//!
//! A section is data: one table per section, next to the code that reads it. Checking a document against the tables
//! finds unknown keys and wrong shapes with their lines, collects a notice for each key that has no effect here, and
//! tells which values are secret. Rules between keys are each section's `check`.

use std::time::Duration;

use super::raw::{Entry, Node, Outcome, Problem, Value};
use super::scalar;

/// A mapping with a fixed set of keys.
pub(super) struct Section {
    /// The section's name in messages; empty for the top level.
    pub(super) name: &'static str,
    /// Its keys, in groups so that sections can share some.
    pub(super) keys: &'static [&'static [Key]],
    /// Rules between keys, checked after the shapes of all values below.
    pub(super) check: fn(&Map<'_>) -> Outcome<()>,
}

/// A section without rules between its keys.
pub(super) fn no_rules(_: &Map<'_>) -> Outcome<()> {
    Ok(())
}

/// One key of a section.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    effect: Effect,
}

#[derive(Clone, Copy)]
enum Effect {
    /// The program does what the key says.
    Honoured,
    /// The key is well-formed and has no effect, for the reason given.
    None(&'static str),
    /// The same, but one value asks for what the program does anyway.
    NoneUnless(&'static str, &'static str),
}

/// The shape of a value.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// Text that is never shown.
    Secret,
    /// Text whose password part is never shown.
    Url,
    Bool,
    /// A whole number.
    Integer,
    /// A whole number that is not negative.
    Count,
    Float,
    Duration,
    /// Bytes with a unit.
    Size,
    /// A list of texts.
    Texts,
    /// A list of texts that are never shown.
    Secrets,
    /// A mapping from text to text.
    TextMap,
    /// The same, never shown.
    SecretMap,
    /// Label names and values.
    Labels,
    /// A mapping from text to a list of texts.
    TextsMap,
    /// The same, never shown.
    SecretsMap,
    /// Whatever YAML can say.
    Any,
    Section(&'static Section),
    /// A list of sections, with the message for an entry that is empty where it is a special one.
    Sections(&'static Section, Option<&'static str>),
    /// A mapping from a free name to a section.
    NamedSections(&'static Section),
}

impl Key {
    /// A key that the program acts on.
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, effect: Effect::Honoured }
    }

    /// The key has no effect.
    pub(super) const fn without_effect(self, why: &'static str) -> Self {
        Self { name: self.name, shape: self.shape, effect: Effect::None(why) }
    }

    /// The key has no effect, which matters only if its value is another than `harmless`.
    pub(super) const fn without_effect_unless(self, harmless: &'static str, why: &'static str) -> Self {
        Self { name: self.name, shape: self.shape, effect: Effect::NoneUnless(harmless, why) }
    }

    /// Whether the program acts on the key.
    pub(super) fn is_honoured(&self) -> bool {
        matches!(self.effect, Effect::Honoured)
    }

    fn missed(&self, value: &Node) -> Option<&'static str> {
        let empty = match &value.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Scalar(_) => false,
        };
        match self.effect {
            _ if empty => None,
            Effect::Honoured => None,
            Effect::None(why) => Some(why),
            Effect::NoneUnless(harmless, why) => {
                let same = matches!(&value.value, Value::Scalar(s) if s.text == harmless);
                if same { None } else { Some(why) }
            }
        }
    }
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().flat_map(|group| group.iter()).find(|k| k.name == name)
    }
}

/// Something in the file that is well-formed but does not do here what it does in Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Line of the key, counted from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is not done.
    pub text: String,
}

/// Checks a value against a section and all that lies below it.
pub(super) fn check(section: &'static Section, node: &Node, notices: &mut Vec<Notice>) -> Outcome<()> {
    Checker { notices, quiet: false }.section(section, node)
}

struct Checker<'n> {
    notices: &'n mut Vec<Notice>,
    /// Below a key without effect: one notice says it all.
    quiet: bool,
}

impl Checker<'_> {
    fn section(&mut self, section: &'static Section, node: &Node) -> Outcome<()> {
        let entries = match &node.value {
            Value::Null => return Ok(()),
            Value::Map(entries) => entries,
            _ => {
                let what = if section.name.is_empty() { "the configuration" } else { section.name };
                return Err(Problem::new(
                    node.line,
                    format!("{what} must be a mapping, not {}", node.kind()),
                ));
            }
        };
        for entry in entries {
            let key = section.key(&entry.key.text).ok_or_else(|| unknown_key(section, entry))?;
            let missed = key.missed(&entry.value);
            let was_quiet = self.quiet;
            if let (Some(why), false) = (missed, was_quiet) {
                self.notices.push(Notice { line: entry.line, key: key.name.into(), text: why.into() });
                self.quiet = true;
            }
            self.value(key, &entry.value)?;
            self.quiet = was_quiet;
        }
        (section.check)(&Map { line: node.line, entries })
    }

    fn value(&mut self, key: &Key, node: &Node) -> Outcome<()> {
        let name = key.name;
        match key.shape {
            Shape::Text | Shape::Url => scalar::text(name, node).map(drop),
            Shape::Secret => secret(name, node),
            Shape::Bool => scalar::boolean(name, node).map(drop),
            Shape::Integer => scalar::integer(name, node).map(drop),
            Shape::Count => scalar::count(name, node).map(drop),
            Shape::Float => scalar::float(name, node).map(drop),
            Shape::Duration => scalar::duration(name, node).map(drop),
            Shape::Size => scalar::size(name, node).map(drop),
            Shape::Texts => items(name, node)?.iter().try_for_each(|n| scalar::text(name, n).map(drop)),
            Shape::Secrets => items(name, node)?.iter().try_for_each(|n| secret(name, n)),
            Shape::TextMap => {
                pairs(name, node)?.iter().try_for_each(|e| scalar::text(name, &e.value).map(drop))
            }
            Shape::SecretMap => pairs(name, node)?.iter().try_for_each(|e| secret(name, &e.value)),
            Shape::Labels => pairs(name, node)?.iter().try_for_each(label),
            Shape::TextsMap | Shape::SecretsMap => pairs(name, node)?
                .iter()
                .try_for_each(|e| items(name, &e.value)?.iter().try_for_each(|n| secret(name, n))),
            Shape::Any => Ok(()),
            Shape::Section(section) => self.section(section, node),
            Shape::Sections(section, empty) => items(name, node)?.iter().try_for_each(|n| match empty {
                _ if !n.is_null() => self.section(section, n),
                Some(message) => Err(Problem::new(n.line, message)),
                None => Err(Problem::new(n.line, format!("empty or null section in {name}"))),
            }),
            Shape::NamedSections(section) => {
                pairs(name, node)?.iter().try_for_each(|e| self.section(section, &e.value))
            }
        }
    }
}

fn unknown_key(section: &Section, entry: &Entry) -> Problem {
    let known = section.keys.iter().flat_map(|group| group.iter()).map(|k| k.name);
    let place =
        if section.name.is_empty() { "at the top level".into() } else { format!("in {}", section.name) };
    let hint = match base::nearest(&entry.key.text, known) {
        Some(near) => format!(", did you mean {near:?}?"),
        None => String::new(),
    };
    Problem::new(entry.line, format!("unknown key {:?} {place}{hint}", entry.key.text))
}

/// A single value; its text stays out of the message.
fn secret(key: &str, node: &Node) -> Outcome<()> {
    match &node.value {
        Value::Null => Ok(()),
        Value::Scalar(s) if !s.not_utf8 => Ok(()),
        Value::Scalar(_) => Err(Problem::new(node.line, format!("{key} is not valid UTF-8"))),
        _ => Err(Problem::new(node.line, format!("{key} must be a single value, not {}", node.kind()))),
    }
}

fn label(entry: &Entry) -> Outcome<()> {
    let name = &entry.key;
    if name.not_utf8 || name.text.is_empty() {
        return Err(Problem::new(entry.line, format!("\"{}\" is not a valid label name", name.text)));
    }
    match &entry.value.value {
        Value::Scalar(s) if s.not_utf8 => {
            Err(Problem::new(entry.line, format!("\"{}\" is not a valid label value", s.text)))
        }
        _ => scalar::text(&name.text, &entry.value).map(drop),
    }
}

fn items<'a>(key: &str, node: &'a Node) -> Outcome<&'a [Node]> {
    match &node.value {
        Value::Null => Ok(&[]),
        Value::List(items) => Ok(items),
        _ => Err(Problem::new(node.line, format!("{key} must be a list, not {}", node.kind()))),
    }
}

fn pairs<'a>(key: &str, node: &'a Node) -> Outcome<&'a [Entry]> {
    match &node.value {
        Value::Null => Ok(&[]),
        Value::Map(entries) => Ok(entries),
        _ => Err(Problem::new(node.line, format!("{key} must be a mapping, not {}", node.kind()))),
    }
}

/// A mapping that is being read. A key that is absent and one without a value differ, as they do in Prometheus: the
/// first leaves the default, the second sets zero.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    pub(super) line: usize,
    pub(super) entries: &'a [Entry],
}

impl<'a> Map<'a> {
    /// The mapping in a node; one without entries for anything else.
    pub(super) fn of(node: &'a Node) -> Self {
        let entries = if let Value::Map(entries) = &node.value { entries.as_slice() } else { &[] };
        Self { line: node.line, entries }
    }

    /// The value of a key, if it is given, even as nothing.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.key.text == key).map(|e| &e.value)
    }

    /// Whether a key has a value that is not nothing.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|n| !n.is_null())
    }

    /// Line of a key, or of the mapping where it is absent.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.entries.iter().find(|e| e.key.text == key).map_or(self.line, |e| e.line)
    }

    /// An error at a key.
    pub(super) fn problem<T>(&self, key: &str, text: impl Into<String>) -> Outcome<T> {
        Err(Problem::new(self.line_of(key), text))
    }

    /// An error at a key unless a condition holds.
    pub(super) fn require(&self, holds: bool, key: &str, text: &str) -> Outcome<()> {
        if holds { Ok(()) } else { self.problem(key, text) }
    }

    /// A text; empty where absent.
    pub(super) fn text(&self, key: &str) -> Outcome<&'a str> {
        self.text_or(key, "")
    }

    /// A text with its default.
    pub(super) fn text_or(&self, key: &str, default: &'a str) -> Outcome<&'a str> {
        self.get(key).map_or(Ok(default), |n| scalar::text(key, n))
    }

    /// Whether a text is given and not empty.
    pub(super) fn filled(&self, key: &str) -> bool {
        self.get(key).is_some_and(|n| matches!(&n.value, Value::Scalar(s) if !s.text.is_empty()))
    }

    /// A boolean with its default.
    pub(super) fn flag(&self, key: &str, default: bool) -> Outcome<bool> {
        self.get(key).map_or(Ok(default), |n| scalar::boolean(key, n))
    }

    /// A whole number with its default.
    pub(super) fn integer(&self, key: &str, default: i64) -> Outcome<i64> {
        self.get(key).map_or(Ok(default), |n| scalar::integer(key, n))
    }

    /// A number that is not negative; 0 where absent.
    pub(super) fn count(&self, key: &str) -> Outcome<u64> {
        self.get(key).map_or(Ok(0), |n| scalar::count(key, n))
    }

    /// A number; 0 where absent.
    pub(super) fn float(&self, key: &str) -> Outcome<f64> {
        self.get(key).map_or(Ok(0.0), |n| scalar::float(key, n))
    }

    /// A duration; zero where absent.
    pub(super) fn duration(&self, key: &str) -> Outcome<Duration> {
        self.get(key).map_or(Ok(Duration::ZERO), |n| scalar::duration(key, n))
    }

    /// Bytes; 0 where absent.
    pub(super) fn size(&self, key: &str) -> Outcome<i64> {
        self.get(key).map_or(Ok(0), |n| scalar::size(key, n))
    }

    /// A list of texts; empty where absent.
    pub(super) fn texts(&self, key: &str) -> Outcome<Vec<&'a str>> {
        self.nodes(key)?.iter().map(|n| scalar::text(key, n)).collect()
    }

    /// A list's items; none where absent.
    pub(super) fn nodes(&self, key: &str) -> Outcome<&'a [Node]> {
        self.get(key).map_or(Ok(&[]), |n| items(key, n))
    }

    /// A list of sections; none where absent.
    pub(super) fn maps(&self, key: &str) -> Outcome<Vec<Map<'a>>> {
        Ok(self.nodes(key)?.iter().map(Map::of).collect())
    }

    /// A mapping; one without entries where absent.
    pub(super) fn map(&self, key: &str) -> Map<'a> {
        self.get(key).map_or(Map { line: self.line, entries: &[] }, Map::of)
    }
}
