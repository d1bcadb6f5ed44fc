//! From a template's text to its blocks, with Go's errors. Owns no values and no functions but their names.

pub(crate) mod ast;
mod constant;
mod lexer;
mod pipeline;

use std::collections::HashMap;

use crate::Flavour;
use crate::function;
use crate::limits::{MAX_NESTING, MAX_TEXT_BYTES};
use ast::{Block, Branch, Node, Nodes, Pipe};
use lexer::{Kind, Token};

/// The blocks of a template by name; the text as a whole has the template's name.
pub(crate) fn parse(name: &str, text: &str, flavour: Flavour) -> Result<HashMap<String, Block>, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!(
            "template: {name}:1: text of {} bytes exceeds MAX_TEXT_BYTES ({MAX_TEXT_BYTES})",
            text.len()
        ));
    }
    let mut parser = Parser {
        name,
        flavour,
        tokens: lexer::lex(text),
        next: 0,
        furthest: 0,
        vars: vec!["$".into()],
        range_depth: 0,
        nesting: 0,
        action_line: 0,
        blocks: HashMap::new(),
    };
    let root = parser.template()?;
    parser.add(name, root)?;
    // A text of nothing but definitions still is a template, of nothing.
    Ok(parser.blocks)
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Close {
    End,
    Else,
}

impl Close {
    fn describe(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or what ends a list of them.
enum Piece {
    Node(Node),
    Close(Close),
}

struct Parser<'a> {
    name: &'a str,
    flavour: Flavour,
    tokens: Vec<Token>,
    next: usize,
    /// The last token looked at, whose line is that of an error.
    furthest: usize,
    vars: Vec<String>,
    range_depth: usize,
    nesting: usize,
    /// The line where the action began, or 0 outside.
    action_line: usize,
    blocks: HashMap<String, Block>,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn fail<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        let line = self.tokens.get(self.furthest).map_or(1, |t| t.line);
        Err(format!("template: {}:{line}: {message}", self.name))
    }

    /// The last token is the end or an error, and repeats.
    fn take(&mut self) -> Token {
        let at = self.next.min(self.tokens.len() - 1);
        self.next = at + 1;
        self.furthest = self.furthest.max(at);
        self.tokens[at].clone()
    }

    fn back_up(&mut self) {
        self.next -= 1;
    }

    fn peek(&mut self) -> &Token {
        let at = self.next.min(self.tokens.len() - 1);
        self.furthest = self.furthest.max(at);
        &self.tokens[at]
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn take_non_space(&mut self) -> Token {
        self.skip_space();
        self.take()
    }

    fn peek_non_space(&mut self) -> &Token {
        self.skip_space();
        self.peek()
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.take_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.fail(format_args!("unexpected {} in {context}", token.describe()));
        }
        let mut extra = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            // "action in action" would read oddly.
            let start = if token.text.ends_with(" action") { " started" } else { " in action started" };
            extra = format!("{start} at {}:{}", self.name, self.action_line);
        }
        self.fail(format_args!("{}{extra}", token.text))
    }

    /// Counts one level of blocks or parentheses for the time that `f` takes.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return self.fail(format_args!("blocks and parentheses exceed MAX_NESTING ({MAX_NESTING})"));
        }
        self.nesting += 1;
        let result = f(self);
        self.nesting -= 1;
        result
    }

    fn add(&mut self, name: &str, root: Nodes) -> Parsed<()> {
        match self.blocks.get(name) {
            Some(block) if !block.root.is_empty() => {
                if !root.is_empty() {
                    return self.fail(format_args!(
                        "template: multiple definition of template {}",
                        crate::format::quote(name)
                    ));
                }
            }
            _ => {
                self.blocks.insert(name.to_owned(), Block { root });
            }
        }
        Ok(())
    }

    /// The whole text; only here does `define` define.
    fn template(&mut self) -> Parsed<Nodes> {
        let mut root = Nodes::default();
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let at = self.next;
                self.take();
                if self.take_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.next = at;
            }
            match self.text_or_action()? {
                Piece::Node(node) => root.nodes.push(node),
                Piece::Close(close) => return self.fail(format_args!("unexpected {}", close.describe())),
            }
        }
        Ok(root)
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let token = self.take_non_space();
        let name = self.template_name(&token, context)?;
        self.expect(Kind::RightDelim, context)?;
        let root = self.body(context)?;
        self.add(&name, root)
    }

    /// What a definition contains, which sees no variables and no loop of what is around it.
    fn body(&mut self, context: &str) -> Parsed<Nodes> {
        let vars = std::mem::replace(&mut self.vars, vec!["$".into()]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let (root, close) = self.nested(Self::list)?;
        self.vars = vars;
        self.range_depth = range_depth;
        if close != Close::End {
            return self.fail(format_args!("unexpected {} in {context}", close.describe()));
        }
        Ok(root)
    }

    fn list(&mut self) -> Parsed<(Nodes, Close)> {
        let mut list = Nodes::default();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Piece::Node(node) => list.nodes.push(node),
                Piece::Close(close) => return Ok((list, close)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Piece> {
        let token = self.take_non_space();
        match token.kind {
            Kind::Text => Ok(Piece::Node(Node::Text { pos: token.pos, text: token.text })),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let piece = self.action()?;
                self.action_line = 0;
                Ok(piece)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Piece> {
        let token = self.take_non_space();
        let pos = token.pos;
        let node = match token.kind {
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Piece::Close(Close::End));
            }
            Kind::Else => {
                // `else if` and `else with` go on as if the second keyword stood in an action of its own.
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Piece::Close(Close::Else));
            }
            Kind::Block => self.block()?,
            Kind::If => Node::If(self.nested(|p| p.control("if"))?),
            Kind::With => Node::With(self.nested(|p| p.control("with"))?),
            Kind::Range => Node::Range(self.nested(|p| p.control("range"))?),
            Kind::Template => self.invocation()?,
            Kind::Break | Kind::Continue => self.loop_control(&token)?,
            _ => {
                self.back_up();
                Node::Action { pos, pipe: self.pipeline("command", Kind::RightDelim)? }
            }
        };
        Ok(Piece::Node(node))
    }

    fn loop_control(&mut self, token: &Token) -> Parsed<Node> {
        let keyword = format!("{{{{{}}}}}", token.text);
        let next = self.take_non_space();
        if next.kind != Kind::RightDelim {
            return self.unexpected(&next, &keyword);
        }
        if self.range_depth == 0 {
            return self.fail(format_args!("{keyword} outside {{{{range}}}}"));
        }
        let pos = token.pos;
        Ok(if token.kind == Kind::Break { Node::Break { pos } } else { Node::Continue { pos } })
    }

    fn control(&mut self, context: &'static str) -> Parsed<Branch> {
        let vars = self.vars.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let is_range = usize::from(context == "range");
        self.range_depth += is_range;
        let (list, close) = self.list()?;
        self.range_depth -= is_range;
        let otherwise = if close == Close::Else { Some(self.otherwise(context)?) } else { None };
        self.vars.truncate(vars);
        Ok(Branch { pos: pipe.pos, pipe, list, otherwise })
    }

    fn otherwise(&mut self, context: &str) -> Parsed<Nodes> {
        let again = match (context, self.peek().kind) {
            ("if", Kind::If) => Some(Node::If as fn(Branch) -> Node),
            ("with", Kind::With) => Some(Node::With as fn(Branch) -> Node),
            _ => None,
        };
        if let Some(node) = again {
            self.take();
            let context = if context == "if" { "if" } else { "with" };
            // The one `end` of the chain ends this branch too.
            let branch = self.nested(|p| p.control(context))?;
            return Ok(Nodes { nodes: vec![node(branch)] });
        }
        let (list, close) = self.list()?;
        if close != Close::End {
            return self.fail(format_args!("expected end; found {}", close.describe()));
        }
        Ok(list)
    }

    /// A definition in the place of its first use.
    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let token = self.take_non_space();
        let name = self.template_name(&token, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let root = self.body(context)?;
        self.add(&name, root)?;
        Ok(Node::Template { pos: token.pos, name, pipe: Some(pipe) })
    }

    fn invocation(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let token = self.take_non_space();
        let name = self.template_name(&token, context)?;
        let mut pipe: Option<Pipe> = None;
        if self.take_non_space().kind != Kind::RightDelim {
            self.back_up();
            pipe = Some(self.pipeline(context, Kind::RightDelim)?);
        }
        Ok(Node::Template { pos: token.pos, name, pipe })
    }

    fn template_name(&self, token: &Token, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::String | Kind::RawString => match constant::unquote(&token.text) {
                Some(name) => Ok(name),
                None => self.fail("invalid syntax"),
            },
            _ => self.unexpected(token, context),
        }
    }

    fn has_function(&self, name: &str) -> bool {
        function::find(name, self.flavour).is_some()
    }
}
