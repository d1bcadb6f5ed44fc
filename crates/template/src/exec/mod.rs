//! Expansion: walks the tree and writes the output. Owns the variables and the bounds of one expansion.
//!
//! `at` follows the node under evaluation exactly as Go's does, since errors quote it.

mod eval;

use std::fmt;

use crate::format::{Bounded, print_value, quote, too_long};
use crate::html::Place;
use crate::limits::{MAX_DEPTH, MAX_ITERATIONS};
use crate::parse::ast::{Branch, Command, Node, Nodes, Operand, Pipe};
use crate::value::Value;
use crate::{Context, Flavour, Functions, MissingKey, Template};

/// Expands the template of the template's own name.
pub(crate) fn execute(
    template: &Template,
    context: &Context,
    functions: &dyn Functions,
) -> Result<String, String> {
    let mut state = State {
        template,
        functions,
        missing_key: context.missing_key,
        name: &template.name,
        at: None,
        vars: vec![("$", context.data.clone())],
        depth: 0,
        iterations: 0,
        out: Bounded::default(),
        place: Place::default(),
    };
    let Some(block) = template.blocks.get(&template.name) else {
        return Err(format!(
            "template: {0}: {1} is an incomplete or empty template",
            template.name,
            quote(&template.name)
        ));
    };
    state.walk_list(&context.data, &block.root)?;
    Ok(state.out.into_text())
}

/// What is being evaluated, for errors.
#[derive(Clone, Copy)]
enum At<'a> {
    Node(&'a Node),
    Pipe(&'a Pipe),
    Command(&'a Command),
    Operand(&'a Operand),
}

impl At<'_> {
    fn pos(self) -> usize {
        match self {
            Self::Node(n) => n.pos(),
            Self::Pipe(p) => p.pos,
            Self::Command(c) => c.pos,
            Self::Operand(o) => o.pos,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(n) => n.fmt(f),
            Self::Pipe(p) => p.fmt(f),
            Self::Command(c) => c.fmt(f),
            Self::Operand(o) => o.fmt(f),
        }
    }
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The error is Go's text, location included.
type Eval<T> = Result<T, String>;

struct State<'a> {
    template: &'a Template,
    functions: &'a dyn Functions,
    missing_key: MissingKey,
    /// The name of the template that runs, which may be a defined one.
    name: &'a str,
    at: Option<At<'a>>,
    vars: Vec<(&'a str, Value)>,
    depth: usize,
    iterations: usize,
    out: Bounded,
    place: Place,
}

impl<'a> State<'a> {
    fn fail<T>(&self, message: impl fmt::Display) -> Eval<T> {
        let Some(at) = self.at else { return Err(format!("template: {}: {message}", self.name)) };
        let before = &self.template.text[..at.pos()];
        let line = 1 + before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let (file, name) = (&self.template.name, quote(self.name));
        Err(format!("template: {file}:{line}:{column}: executing {name} at <{at}>: {message}"))
    }

    /// One level deeper for the time that `f` takes.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        if self.depth == MAX_DEPTH {
            return self.fail(format_args!("exceeded maximum template depth (MAX_DEPTH, {MAX_DEPTH})"));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn walk_list(&mut self, dot: &Value, list: &'a Nodes) -> Eval<Flow> {
        for node in &list.nodes {
            let flow = self.walk(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn walk(&mut self, dot: &Value, node: &'a Node) -> Eval<Flow> {
        self.at = Some(At::Node(node));
        match node {
            Node::Text { text, .. } => self.write_text(text)?,
            Node::Action { pipe, .. } => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.at = Some(At::Node(node));
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.deeper(|s| s.walk_branch(dot, branch, false)),
            Node::With(branch) => return self.deeper(|s| s.walk_branch(dot, branch, true)),
            Node::Range(branch) => self.deeper(|s| s.walk_range(dot, branch))?,
            Node::Template { name, pipe, .. } => {
                self.deeper(|s| s.walk_template(dot, name, pipe.as_ref()))?;
            }
            Node::Break { .. } => return Ok(Flow::Break),
            Node::Continue { .. } => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write_text(&mut self, text: &str) -> Eval<()> {
        if self.template.flavour == Flavour::Html {
            self.place.follow(text);
        }
        match fmt::Write::write_str(&mut self.out, text) {
            Ok(()) => Ok(()),
            Err(fmt::Error) => self.fail(too_long()),
        }
    }

    fn print(&mut self, value: &Value) -> Eval<()> {
        let written = match (self.template.flavour, value) {
            (Flavour::Text, value) => print_value(value, &mut self.out),
            (Flavour::Html, Value::Html(text)) if self.place == Place::Text => {
                self.place.follow(text);
                fmt::Write::write_str(&mut self.out, text)
            }
            (Flavour::Html, Value::Nil) => Ok(()),
            (Flavour::Html, value) => {
                if let Some(refusal) = self.place.refusal() {
                    return self.fail(refusal);
                }
                let mut text = Bounded::default();
                let place = std::mem::take(&mut self.place);
                let written = print_value(value, &mut text)
                    .and_then(|()| place.write(&text.into_text(), &mut self.out));
                self.place = place;
                written
            }
        };
        match written {
            Ok(()) => Ok(()),
            Err(fmt::Error) => self.fail(too_long()),
        }
    }

    fn walk_branch(&mut self, dot: &Value, branch: &'a Branch, sets_dot: bool) -> Eval<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.is_true() {
            self.walk_list(if sets_dot { &value } else { dot }, &branch.list)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.walk_list(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn walk_range(&mut self, dot: &Value, branch: &'a Branch) -> Eval<()> {
        let start = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let mark = self.vars.len();
        let mut turns = 0;
        match &value {
            Value::List(list) => {
                for (i, item) in list.items().iter().enumerate() {
                    turns += 1;
                    if self.turn(branch, mark, Value::Int(i as i64), item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map.iter() {
                    turns += 1;
                    if self.turn(branch, mark, Value::String(key.clone()), item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(count) => {
                for i in 0..*count {
                    turns += 1;
                    if self.turn(branch, mark, Value::Int(i), &Value::Int(i))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Nil => {}
            other => {
                let shown = crate::format::sprint(std::slice::from_ref(other))?;
                return self.fail(format_args!("range can't iterate over {shown}"));
            }
        }
        if let (0, Some(otherwise)) = (turns, &branch.otherwise) {
            self.walk_list(dot, otherwise)?;
        }
        self.vars.truncate(start);
        Ok(())
    }

    /// One turn of a loop: the last variables are the index and the element, as far as there are any.
    fn turn(&mut self, branch: &'a Branch, mark: usize, index: Value, item: &Value) -> Eval<Flow> {
        if self.iterations == MAX_ITERATIONS {
            return self.fail(format_args!("range exceeds MAX_ITERATIONS ({MAX_ITERATIONS})"));
        }
        self.iterations += 1;
        let decl = &branch.pipe.decl;
        if branch.pipe.is_assign {
            if let Some(name) = decl.last() {
                self.assign(name, item.clone())?;
            }
            if decl.len() > 1 {
                self.assign(&decl[0], index)?;
            }
        } else {
            if !decl.is_empty() {
                self.vars[mark - 1].1 = item.clone();
            }
            if decl.len() > 1 {
                self.vars[mark - 2].1 = index;
            }
        }
        let flow = self.walk_list(item, &branch.list)?;
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn walk_template(&mut self, dot: &Value, name: &str, pipe: Option<&'a Pipe>) -> Eval<()> {
        let template = self.template;
        let Some((name, block)) = template.blocks.get_key_value(name) else {
            return self.fail(format_args!("template {} not defined", quote(name)));
        };
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        // A template sees no variables but its own data.
        let vars = std::mem::replace(&mut self.vars, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.walk_list(&dot, &block.root)?;
        self.vars = vars;
        self.name = caller;
        Ok(())
    }

    /// Expands a template into a text of its own, which is how the function `tmpl` calls one.
    fn call_template(&mut self, name: &str, dot: &Value) -> Eval<Value> {
        let template = self.template;
        let Some((name, block)) = template.blocks.get_key_value(name) else {
            return Err(format!("html/template: {} is undefined", quote(name)));
        };
        let vars = std::mem::replace(&mut self.vars, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        let out = std::mem::take(&mut self.out);
        let place = std::mem::take(&mut self.place);
        self.deeper(|s| s.walk_list(dot, &block.root))?;
        self.vars = vars;
        self.name = caller;
        self.place = place;
        let text = std::mem::replace(&mut self.out, out).into_text();
        Ok(Value::Html(text.into()))
    }

    fn assign(&mut self, name: &str, value: Value) -> Eval<()> {
        match self.vars.iter_mut().rev().find(|(n, _)| *n == name) {
            Some(var) => {
                var.1 = value;
                Ok(())
            }
            None => self.fail(format_args!("undefined variable: {name}")),
        }
    }
}
