//! The inside of actions: pipelines, commands and operands.

use super::ast::{Command, Operand, Pipe, Term};
use super::lexer::{Kind, Token};
use super::{Parsed, Parser, constant};
use crate::format::quote;

impl Parser<'_> {
    /// Declarations, then commands with `|` between them, up to and with a token of the kind `end`.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, is_assign: false, decl: Vec::new(), commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.take_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back_up();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// Reads `$x :=`, `$x =` or the `$x,` of a range; true if another variable is to follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        if self.peek_non_space().kind != Kind::Variable {
            return Ok(false);
        }
        let start = self.next;
        let variable = self.take().text;
        let next = self.peek_non_space();
        let is_comma = next.kind == Kind::Char && next.text == ",";
        match next.kind {
            Kind::Assign | Kind::Declare => pipe.is_assign = next.kind == Kind::Assign,
            _ if is_comma => {}
            _ => {
                self.next = start;
                return Ok(false);
            }
        }
        self.take();
        pipe.decl.push(variable.clone());
        self.vars.push(variable);
        if !is_comma {
            return Ok(false);
        }
        if context != "range" || pipe.decl.len() >= 2 {
            return self.fail(format_args!("too many declarations in {context}"));
        }
        if !matches!(self.peek_non_space().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
            return self.fail("range can only initialize variables");
        }
        Ok(true)
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.fail(format_args!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            if let Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String { .. } =
                command.args[0].term
            {
                return self.fail(format_args!("non executable command in pipeline stage {}", i + 1));
            }
        }
        Ok(())
    }

    /// Operands with spaces between them. Takes the `|` after it and leaves the end of the pipeline.
    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos, args: Vec::new() };
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.take();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.back_up();
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if command.args.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    /// A term and the fields after it, or nothing where no operand stands.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.take().text[1..].to_owned());
        }
        match &mut operand.term {
            Term::Field(names) | Term::Variable(names) => {
                names.append(&mut fields);
                operand.pos = pos;
            }
            Term::Bool(_) | Term::String { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                return self.fail(format_args!("unexpected . after term {}", quote(&operand.to_string())));
            }
            _ => operand = Operand { pos, term: Term::Chain { node: Box::new(operand), fields } },
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.take_non_space();
        let term = match token.kind {
            Kind::Error => return self.unexpected(&token, "operand"),
            Kind::Identifier if !self.has_function(&token.text) => {
                return self.fail(format_args!("function {} not defined", quote(&token.text)));
            }
            Kind::Identifier => Term::Identifier(token.text),
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.vars.contains(&token.text) {
                    return self.fail(format_args!("undefined variable {}", quote(&token.text)));
                }
                Term::Variable(vec![token.text])
            }
            Kind::Field => Term::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => self.number(&token)?,
            Kind::LeftParen => {
                Term::Pipe(self.nested(|p| p.pipeline("parenthesized pipeline", Kind::RightParen))?)
            }
            Kind::String | Kind::RawString => match constant::unquote(&token.text) {
                Some(text) => Term::String { quoted: token.text, text },
                None => return self.fail("invalid syntax"),
            },
            _ => {
                self.back_up();
                return Ok(None);
            }
        };
        // The position of a parenthesized pipeline is that of what it contains.
        let pos = if let Term::Pipe(pipe) = &term { pipe.pos } else { token.pos };
        Ok(Some(Operand { pos, term }))
    }

    fn number(&self, token: &Token) -> Parsed<Term> {
        match constant::number(&token.text, token.kind) {
            Ok(number) => Ok(Term::Number(number)),
            Err(message) => self.fail(message),
        }
    }
}
