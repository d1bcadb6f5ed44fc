//! The tree of a template. Its forms as text are what errors quote.

use std::fmt::{self, Display as _, Write as _};

/// A template with a name of its own: the whole text, or what `define` and `block` contain.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) root: Nodes,
}

/// Nodes in order.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Node>,
}

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Node {
    Text { pos: usize, text: String },
    Action { pos: usize, pipe: Pipe },
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break { pos: usize },
    Continue { pos: usize },
}

/// A condition or a sequence, and what follows from it.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pos: usize,
    pub(crate) pipe: Pipe,
    pub(crate) list: Nodes,
    pub(crate) otherwise: Option<Nodes>,
}

/// Commands, each of which gets the value of the one before, and the variables that the last value goes to.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) is_assign: bool,
    pub(crate) decl: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// An operand with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Operand>,
}

/// A term with its position.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) pos: usize,
    pub(crate) term: Term,
}

/// What stands in a command.
#[derive(Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String { quoted: String, text: String },
    Identifier(String),
    Field(Vec<String>),
    Variable(Vec<String>),
    Chain { node: Box<Operand>, fields: Vec<String> },
    Pipe(Pipe),
}

/// A constant under every type that can hold it.
#[derive(Debug, Default)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
}

impl Nodes {
    /// Whether there is nothing but space.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|n| matches!(n, Node::Text { text, .. } if text.trim().is_empty()))
    }
}

impl Node {
    pub(crate) fn pos(&self) -> usize {
        match self {
            Self::Text { pos, .. }
            | Self::Action { pos, .. }
            | Self::Template { pos, .. }
            | Self::Break { pos }
            | Self::Continue { pos } => *pos,
            Self::If(b) | Self::With(b) | Self::Range(b) => b.pos,
        }
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|n| n.fmt(f))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => f.write_str(text),
            Self::Action { pipe, .. } => write!(f, "{{{{{pipe}}}}}"),
            Self::If(branch) => branch.write("if", f),
            Self::With(branch) => branch.write("with", f),
            Self::Range(branch) => branch.write("range", f),
            Self::Template { name, pipe, .. } => {
                write!(f, "{{{{template {}", crate::format::quote(name))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
            Self::Break { .. } => f.write_str("{{break}}"),
            Self::Continue { .. } => f.write_str("{{continue}}"),
        }
    }
}

impl Branch {
    fn write(&self, keyword: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{keyword} {}}}}}{}", self.pipe, self.list)?;
        if let Some(otherwise) = &self.otherwise {
            write!(f, "{{{{else}}}}{otherwise}")?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.decl.is_empty() {
            write!(f, "{} {} ", self.decl.join(", "), if self.is_assign { "=" } else { ":=" })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_char(' ')?;
            }
            arg.write_in_parentheses(f)?;
        }
        Ok(())
    }
}

impl Operand {
    fn write_in_parentheses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Term::Pipe(pipe) = &self.term { write!(f, "({pipe})") } else { self.fmt(f) }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Dot => f.write_char('.'),
            Term::Nil => f.write_str("nil"),
            Term::Bool(b) => b.fmt(f),
            Term::Number(n) => f.write_str(&n.text),
            Term::String { quoted, .. } => f.write_str(quoted),
            Term::Identifier(name) => f.write_str(name),
            Term::Field(names) => write_fields(names, f),
            Term::Variable(names) => f.write_str(&names.join(".")),
            Term::Chain { node, fields } => {
                node.write_in_parentheses(f)?;
                write_fields(fields, f)
            }
            Term::Pipe(pipe) => pipe.fmt(f),
        }
    }
}

fn write_fields(names: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}
