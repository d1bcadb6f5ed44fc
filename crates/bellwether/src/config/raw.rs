//! The document as it is written: a tree of scalars, lists and mappings, each with its line.
//!
//! Owns the YAML dialect: aliases are expanded within a bound, merge keys (`<<`) are resolved, a key given twice is an
//! error, `!!binary` is decoded. Does not know any key's meaning.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::limits;

/// What is wrong with a document, and in which line. Texts never carry the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) text: String,
}

/// `Result` with a [`Problem`].
pub(super) type Outcome<T> = Result<T, Problem>;

impl Problem {
    pub(super) fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }

    pub(super) fn into_error(self) -> base::Error {
        base::Error::invalid(format!("line {}: {}", self.line, self.text))
    }
}

/// A value with the line and the column it starts in, both from 1.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar's text. Which type it has is up to the key it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes and without a tag, so that it may be read as a number or a boolean.
    pub(super) plain: bool,
    /// Decoded from `!!binary` and not UTF-8; `text` then has the bytes escaped.
    pub(super) not_utf8: bool,
}

/// One key of a mapping and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: Scalar,
    pub(super) value: Node,
}

impl Node {
    /// How a message calls this value's kind.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    fn count(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|e| 1 + e.value.count()).sum::<usize>(),
        }
    }
}

/// Reads one YAML document. An empty one is [`Value::Null`].
pub(super) fn parse(text: &str) -> Outcome<Node> {
    let (root, second) = parse_first(text)?;
    match second {
        None => Ok(root),
        Some(line) => {
            Err(Problem::new(line, "a second YAML document starts here; a configuration is one document"))
        }
    }
}

/// Reads the first YAML document, and gives the line where a second one starts, which is not read.
pub(super) fn parse_first(text: &str) -> Outcome<(Node, Option<usize>)> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    let (mut documents, mut second) = (0, None);
    while let Some(event) = parser.next_event() {
        let (event, span) =
            event.map_err(|e| Problem::new(e.marker().line(), format!("{} (YAML)", e.info())))?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                second = Some(span.start.line());
                break;
            }
        }
        builder.event(event, span)?;
    }
    Ok((builder.root.unwrap_or(Node { line: 1, column: 1, value: Value::Null }), second))
}

/// A list or mapping whose end has not come yet.
enum Open {
    List { line: usize, column: usize, anchor: usize, items: Vec<Node> },
    Map(OpenMap),
}

struct OpenMap {
    line: usize,
    column: usize,
    anchor: usize,
    entries: Vec<Entry>,
    /// The line of each key so far.
    lines: HashMap<String, usize>,
    /// A key whose value has not come yet.
    key: Option<(usize, Scalar)>,
}

impl OpenMap {
    /// Takes what comes next: a key, or the value of the last one.
    fn add(&mut self, node: Node) -> Outcome<()> {
        let Some((line, key)) = self.key.take() else {
            self.key = Some((node.line, key_of(node)?));
            return Ok(());
        };
        if let Some(first) = self.lines.insert(key.text.clone(), line).filter(|_| key.text != "<<") {
            return Err(Problem::new(line, format!("key {:?} is already set in line {first}", key.text)));
        }
        // A value that is left out has the position of whatever comes next.
        let value = if node.is_null() { Node { line, ..node } } else { node };
        self.entries.push(Entry { line, key, value });
        Ok(())
    }
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// Finished anchored nodes and their sizes. An anchor that is still open is not here, so no node contains itself.
    anchors: HashMap<usize, (Node, usize)>,
    /// Nodes copied so far for anchors and aliases.
    copied: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Outcome<()> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), line)?;
                self.add(Node { line, column, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                self.push(Open::List { line, column, anchor, items: Vec::new() }, line)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, lines) = (Vec::new(), HashMap::new());
                let map = OpenMap { line, column, anchor, entries, lines, key: None };
                self.push(Open::Map(map), line)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { line, column, anchor, items }) => {
                    self.add(Node { line, column, value: Value::List(items) }, anchor)
                }
                Some(Open::Map(map)) => {
                    let value = Value::Map(merged(map.entries)?);
                    self.add(Node { line: map.line, column: map.column, value }, map.anchor)
                }
                None => Err(Problem::new(line, "a list or mapping ends that never started")),
            },
            Event::Alias(anchor) => {
                let (node, size) = self
                    .anchors
                    .get(&anchor)
                    .ok_or_else(|| Problem::new(line, "an alias stands inside the value it names"))?;
                let (node, size) = (node.value.clone(), *size);
                self.charge(size, line)?;
                self.add(Node { line, column, value: node }, 0)
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: Open, line: usize) -> Outcome<()> {
        if self.open.len() >= limits::MAX_DEPTH {
            return Err(Problem::new(line, format!("nested deeper than {} levels", limits::MAX_DEPTH)));
        }
        self.open.push(open);
        Ok(())
    }

    fn charge(&mut self, nodes: usize, line: usize) -> Outcome<()> {
        self.copied += nodes;
        if self.copied > limits::MAX_ALIASED_NODES {
            return Err(Problem::new(
                line,
                format!("aliases expand to more than {} values", limits::MAX_ALIASED_NODES),
            ));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Outcome<()> {
        if anchor != 0 {
            let size = node.count();
            self.charge(size, node.line)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map(map)) => map.add(node)?,
        }
        Ok(())
    }
}

fn key_of(node: Node) -> Outcome<Scalar> {
    match node.value {
        Value::Scalar(scalar) => Ok(scalar),
        Value::Null => Ok(Scalar { text: "null".into(), plain: true, not_utf8: false }),
        _ => Err(Problem::new(node.line, format!("a key must be a single value, not {}", node.kind()))),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Outcome<Value> {
    let plain = style == ScalarStyle::Plain && tag.is_none();
    let make = |text: String, not_utf8| Ok(Value::Scalar(Scalar { text, plain, not_utf8 }));
    let Some(tag) = tag else {
        let null = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        return if null { Ok(Value::Null) } else { make(text.into(), false) };
    };
    let core = if tag.is_yaml_core_schema() || tag.handle == "!!" { tag.suffix.as_str() } else { "" };
    match core {
        "null" => Ok(Value::Null),
        "binary" => {
            let packed: String = text.split_ascii_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(packed)
                .map_err(|_| Problem::new(line, "!!binary value contains invalid base64 data"))?;
            match String::from_utf8(bytes) {
                Ok(text) => make(text, false),
                Err(e) => make(e.as_bytes().escape_ascii().to_string(), true),
            }
        }
        "int" | "float" | "bool" => {
            Ok(Value::Scalar(Scalar { text: text.into(), plain: true, not_utf8: false }))
        }
        "str" | "timestamp" => make(text.into(), false),
        _ if tag.handle.is_empty() || tag.suffix.is_empty() => make(text.into(), false),
        _ => Err(Problem::new(line, format!("unknown YAML tag {tag}"))),
    }
}

/// Puts in what merge keys bring: a key of the mapping itself counts first, then the earlier of the merged mappings.
fn merged(entries: Vec<Entry>) -> Outcome<Vec<Entry>> {
    if !entries.iter().any(is_merge) {
        return Ok(entries);
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut seen: HashSet<String> = own.iter().map(|e| e.key.text.clone()).collect();
    for merge in merges {
        let sources = match merge.value.value {
            Value::List(items) => items,
            _ => vec![merge.value],
        };
        for source in sources {
            let Value::Map(entries) = source.value else {
                return Err(Problem::new(merge.line, "a merge key needs a mapping or a list of mappings"));
            };
            for entry in entries {
                if seen.insert(entry.key.text.clone()) {
                    own.push(entry);
                }
            }
        }
    }
    Ok(own)
}

fn is_merge(entry: &Entry) -> bool {
    entry.key.text == "<<" && entry.key.plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar(s) => s.text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(",")),
            Value::Map(entries) => {
                let pairs: Vec<_> = entries
                    .iter()
                    .map(|e| format!("{}@{}:{}", e.key.text, e.line, text_of(&e.value)))
                    .collect();
                format!("{{{}}}", pairs.join(","))
            }
        }
    }

    #[test]
    fn keeps_lines_and_resolves_anchors_and_merges() {
        let check = |text: &str, want: &str| assert_eq!(text_of(&parse(text).unwrap()), want, "{text}");
        check("", "null");
        check("# only a comment\n", "null");
        check("a: 1\nb:\n  - x\n  - ~\n", "{a@1:1,b@2:[x,null]}");
        check("a: &x {k: v}\nb: *x\n", "{a@1:{k@1:v},b@2:{k@1:v}}");
        check(
            "base: &b\n  k: 1\n  l: 2\nuse:\n  <<: *b\n  k: 3\n",
            "{base@1:{k@2:1,l@3:2},use@4:{k@6:3,l@3:2}}",
        );
        check("a:\nb: 1\n", "{a@1:null,b@2:1}");
        check("a: !!binary aGk=\n", "{a@1:hi}");
    }

    #[test]
    fn refuses_with_a_line() {
        let check = |text: &str, line: usize, part: &str| {
            let p = parse(text).unwrap_err();
            assert_eq!(p.line, line, "{text}: {p:?}");
            assert!(p.text.contains(part), "{text}: {p:?}");
        };
        check("a: 1\na: 2\n", 2, "already set in line 1");
        check("a: &x [*x]\n", 1, "inside the value it names");
        check("a: *nope\n", 1, "unknown anchor");
        check("? [a]\n: b\n", 1, "a key must be a single value");
        check("a: 1\n---\nb: 2\n", 2, "second YAML document");
        check("a: !!binary '*'\n", 1, "invalid base64");
        check("<<: 3\n", 1, "merge key");
    }

    #[test]
    fn refuses_a_billion_laughs_and_a_deep_nest() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 9].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(parse(&text).unwrap_err().text.contains("aliases expand to more than"));
        let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
        assert!(parse(&deep).is_err());
        let block: String = (0..200).map(|i| format!("{}k:\n", " ".repeat(i))).collect();
        assert!(parse(&block).unwrap_err().text.contains("nested deeper"));
    }
}
