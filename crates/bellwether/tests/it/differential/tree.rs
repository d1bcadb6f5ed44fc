//! A query as a tree of texts, which can be made smaller while it stays well typed.

/// What a part of a query evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    Vector,
    /// Samples of a counter, or of anything, over a range.
    Matrix,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) parts: Vec<Part>,
}

/// A piece of an expression's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What has to be there.
    Text(String),
    /// What may be left out.
    Optional(String),
    Child(Node),
}

impl Node {
    /// An expression in which each `$` stands for a child, in order.
    pub(crate) fn of(kind: Kind, template: &str, children: impl IntoIterator<Item = Node>) -> Self {
        let mut children = children.into_iter();
        let mut parts = Vec::new();
        for (i, text) in template.split('$').enumerate() {
            if i > 0 {
                parts.push(Part::Child(children.next().expect("as many children as the template has")));
            }
            parts.push(Part::Text(text.to_owned()));
        }
        assert!(children.next().is_none(), "{template} has more children than that");
        Self { kind, parts }
    }

    pub(crate) fn leaf(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, parts: vec![Part::Text(text.into())] }
    }

    /// The same with something behind it that may be left out.
    pub(crate) fn maybe(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Optional(text.into()));
        self
    }

    /// The query.
    pub(crate) fn text(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) | Part::Optional(text) => text.clone(),
            Part::Child(node) => node.text(),
        };
        self.parts.iter().map(text).collect()
    }

    /// Expressions of the same type with something less, the shortest first.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut found = self.reductions();
        let length = self.text().len();
        found.retain(|n| n.text().len() < length);
        found.sort_by_key(|n| n.text().len());
        found.dedup();
        found
    }

    fn reductions(&self) -> Vec<Node> {
        let mut found = Vec::new();
        self.inner(self.kind, &mut found);
        found.push(match self.kind {
            Kind::Scalar => Self::leaf(Kind::Scalar, "1"),
            Kind::Vector => Self::leaf(Kind::Vector, "demo_num_cpus"),
            Kind::Matrix => Self::leaf(Kind::Matrix, "demo_num_cpus[1m]"),
        });
        for (i, part) in self.parts.iter().enumerate() {
            let with = |part: Part| {
                let mut node = self.clone();
                node.parts[i] = part;
                node
            };
            match part {
                Part::Text(_) => {}
                Part::Optional(_) => found.push(with(Part::Text(String::new()))),
                Part::Child(node) => {
                    found.extend(node.reductions().into_iter().map(|smaller| with(Part::Child(smaller))));
                }
            }
        }
        found
    }

    /// Expressions inside this one that are of a type.
    fn inner(&self, kind: Kind, found: &mut Vec<Node>) {
        for part in &self.parts {
            if let Part::Child(node) = part {
                if node.kind == kind {
                    found.push(node.clone());
                }
                node.inner(kind, found);
            }
        }
    }
}

/// The smallest query that is still of interest, found by taking away what is of none.
pub(crate) fn minimise(query: &Node, interesting: &mut dyn FnMut(&Node) -> bool) -> Node {
    /// A bound on what is tried: each try asks two servers.
    const TRIES: usize = 400;
    let (mut best, mut tries) = (query.clone(), 0);
    'next: loop {
        for candidate in best.smaller() {
            tries += 1;
            if tries > TRIES {
                return best;
            }
            if interesting(&candidate) {
                best = candidate;
                continue 'next;
            }
        }
        return best;
    }
}

#[test]
fn a_query_shrinks_to_what_matters() {
    let selector = Node::leaf(Kind::Vector, "x").maybe("{a=\"b\"}").maybe(" offset 5m");
    let range = Node::leaf(Kind::Matrix, "y[5m]").maybe(" @ 7");
    let sum = Node::of(Kind::Vector, "(sum by (a) ($) + rate($))", [selector, range]);
    let query = Node::of(Kind::Vector, "clamp_min($, $)", [sum, Node::leaf(Kind::Scalar, "2")]);
    assert_eq!(query.text(), "clamp_min((sum by (a) (x{a=\"b\"} offset 5m) + rate(y[5m] @ 7)), 2)");
    assert_eq!(minimise(&query, &mut |n| n.text().contains("offset 5m")).text(), "x offset 5m");
    assert_eq!(
        minimise(&query, &mut |n| n.text().contains("@ 7")).text(),
        "(sum by (a) (x) + rate(y[5m] @ 7))"
    );
}
