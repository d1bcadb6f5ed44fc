//! The values of pipelines, commands and operands, and calls with Go's checks of argument types.

use super::{At, Eval, State};
use crate::function::{self, Param, Signature};
use crate::library;
use crate::parse::ast::{Command, Number, Operand, Pipe, Term};
use crate::time;
use crate::value::{QUERY_RESULT, SAMPLE, Value};
use crate::{MissingKey, format};

/// What is called: a function, or a method of a value.
enum Callee<'v> {
    Function(&'static Signature),
    Method { receiver: &'v Value, name: &'v str, params: &'static [Param] },
}

impl<'v> Callee<'v> {
    fn name(&self) -> &'v str {
        match self {
            Self::Function(f) => f.name,
            Self::Method { name, .. } => name,
        }
    }

    fn params(&self) -> &'static [Param] {
        match self {
            Self::Function(f) => f.params,
            Self::Method { params, .. } => params,
        }
    }

    fn rest(&self) -> Option<Param> {
        match self {
            Self::Function(f) => f.rest,
            Self::Method { .. } => None,
        }
    }
}

/// The arguments of a command after its first word, and the value that came through the pipe.
#[derive(Clone, Copy)]
struct Arguments<'a, 'v> {
    operands: &'a [Operand],
    last: Option<&'v Value>,
}

impl Arguments<'_, '_> {
    const NONE: Self = Self { operands: &[], last: None };

    fn is_empty(&self) -> bool {
        self.operands.is_empty() && self.last.is_none()
    }
}

impl<'a> State<'a> {
    /// The value of the last command; variables that the pipeline declares stay for the caller to drop.
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'a Pipe) -> Eval<Value> {
        self.at = Some(At::Pipe(pipe));
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.deeper(|s| s.command(dot, command, value.as_ref()))?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.decl {
            if pipe.is_assign {
                self.assign(name, value.clone())?;
            } else {
                self.vars.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'a Command, last: Option<&Value>) -> Eval<Value> {
        let first = &command.args[0];
        let args = Arguments { operands: &command.args[1..], last };
        match &first.term {
            Term::Field(_) | Term::Chain { .. } | Term::Variable(_) => self.access(dot, first, args),
            Term::Identifier(name) => self.function(dot, first, At::Command(command), name, args),
            Term::Pipe(pipe) => {
                self.check_no_arguments(first, args)?;
                self.pipeline(dot, pipe)
            }
            term => {
                self.at = Some(At::Operand(first));
                self.check_no_arguments(first, args)?;
                match term {
                    Term::Dot => Ok(dot.clone()),
                    Term::Nil => self.fail("nil is not a command"),
                    _ => self.constant(first),
                }
            }
        }
    }

    fn check_no_arguments(&self, first: &Operand, args: Arguments<'_, '_>) -> Eval<()> {
        if args.is_empty() {
            Ok(())
        } else {
            self.fail(format_args!("can't give argument to non-function {first}"))
        }
    }

    /// A constant where nothing says which type it should have.
    fn constant(&mut self, operand: &'a Operand) -> Eval<Value> {
        self.at = Some(At::Operand(operand));
        match &operand.term {
            Term::Bool(b) => Ok(Value::Bool(*b)),
            Term::String { text, .. } => Ok(Value::string(text.as_str())),
            Term::Number(number) => match untyped(number) {
                Some(value) => Ok(value),
                None => self.fail(format_args!("{} overflows int", number.text)),
            },
            _ => self.fail(format_args!("can't evaluate command {}", format::quote(&operand.to_string()))),
        }
    }

    /// Fields, one after the other; a method at the end gets the arguments.
    fn access(&mut self, dot: &Value, operand: &'a Operand, args: Arguments<'a, '_>) -> Eval<Value> {
        self.at = Some(At::Operand(operand));
        let (mut receiver, names): (Value, &'a [String]) = match &operand.term {
            Term::Field(names) => (dot.clone(), names),
            Term::Variable(names) => {
                let Some((_, value)) = self.vars.iter().rev().find(|(n, _)| *n == names[0]) else {
                    return self.fail(format_args!("undefined variable: {}", names[0]));
                };
                let value = value.clone();
                if names.len() == 1 {
                    self.check_no_arguments(operand, args)?;
                    return Ok(value);
                }
                (value, &names[1..])
            }
            Term::Chain { node, fields } => {
                if matches!(node.term, Term::Nil) {
                    return self.fail(format_args!("indirection through explicit nil in {operand}"));
                }
                (self.deeper(|s| s.argument(dot, Param::Any, node))?, fields)
            }
            _ => return self.fail("no fields to access"),
        };
        for (i, name) in names.iter().enumerate() {
            let args = if i + 1 == names.len() { args } else { Arguments::NONE };
            receiver = self.field(dot, operand, name, &receiver, args)?;
        }
        Ok(receiver)
    }

    fn field(
        &mut self,
        dot: &Value,
        operand: &'a Operand,
        name: &str,
        receiver: &Value,
        args: Arguments<'a, '_>,
    ) -> Eval<Value> {
        let method = match receiver {
            Value::Time(_) => time::time_method(name),
            Value::Duration(_) => time::duration_method(name),
            _ => None,
        };
        if let Some(params) = method {
            let callee = Callee::Method { receiver, name, params };
            return self.call(dot, &callee, At::Operand(operand), args);
        }
        match receiver {
            Value::Nil if self.missing_key == MissingKey::Error => {
                return self.fail(format_args!("nil data; no entry for key {}", format::quote(name)));
            }
            Value::Nil => return Ok(Value::Nil),
            Value::Struct(s) => {
                if let Some(value) = s.get(name) {
                    if !args.is_empty() {
                        return self
                            .fail(format_args!("{name} has arguments but cannot be invoked as function"));
                    }
                    return Ok(value.clone());
                }
            }
            Value::Map(map) => {
                if !args.is_empty() {
                    return self.fail(format_args!("{name} is not a method but has arguments"));
                }
                return match (map.get(name), self.missing_key) {
                    (Some(value), _) => Ok(value.clone()),
                    (None, MissingKey::Invalid) => Ok(Value::Nil),
                    (None, MissingKey::Zero) => Ok(map.zero()),
                    (None, MissingKey::Error) => {
                        self.fail(format_args!("map has no entry for key {}", format::quote(name)))
                    }
                };
            }
            _ => {}
        }
        self.fail(format_args!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    fn function(
        &mut self,
        dot: &Value,
        operand: &'a Operand,
        at: At<'a>,
        name: &str,
        args: Arguments<'a, '_>,
    ) -> Eval<Value> {
        self.at = Some(At::Operand(operand));
        match function::find(name, self.template.flavour) {
            Some(signature) => self.call(dot, &Callee::Function(signature), at, args),
            None => self.fail(format_args!("{} is not a defined function", format::quote(name))),
        }
    }

    fn call(&mut self, dot: &Value, callee: &Callee<'_>, at: At<'a>, args: Arguments<'a, '_>) -> Eval<Value> {
        let (name, params, rest) = (callee.name(), callee.params(), callee.rest());
        let given = args.operands.len() + usize::from(args.last.is_some());
        match rest {
            Some(_) if given < params.len() => {
                let (want, got) = (params.len(), args.operands.len());
                return self
                    .fail(format_args!("wrong number of args for {name}: want at least {want} got {got}"));
            }
            None if given != params.len() => {
                let want = params.len();
                return self.fail(format_args!("wrong number of args for {name}: want {want} got {given}"));
            }
            _ => {}
        }
        if matches!(callee, Callee::Function(f) if f.name == "and" || f.name == "or") {
            return self.and_or(dot, name == "or", args);
        }
        let param = |i: usize| params.get(i).copied().or(rest).unwrap_or(Param::Any);
        let mut values = Vec::with_capacity(given);
        for (i, operand) in args.operands.iter().enumerate() {
            values.push(self.deeper(|s| s.argument(dot, param(i), operand))?);
        }
        if let Some(last) = args.last {
            values.push(self.check_type(last.clone(), param(args.operands.len()))?);
        }
        let result = match callee {
            Callee::Function(f) if f.name == "tmpl" => match &values[..] {
                [Value::String(name), data] => self.call_template(name, data),
                _ => Err("no template named".into()),
            },
            Callee::Function(f) => library::call(f.name, &values, self.functions),
            Callee::Method { receiver: Value::Time(t), .. } => time::call_time(*t, name, &values),
            Callee::Method { receiver: Value::Duration(d), .. } => Ok(time::call_duration(*d, name, &values)),
            Callee::Method { .. } => Err("no such method".into()),
        };
        match result {
            Ok(value) => Ok(value),
            Err(message) => {
                self.at = Some(at);
                self.fail(format_args!("error calling {name}: {message}"))
            }
        }
    }

    /// Evaluates arguments until one decides.
    fn and_or(&mut self, dot: &Value, is_or: bool, args: Arguments<'a, '_>) -> Eval<Value> {
        let mut value = Value::Nil;
        for operand in args.operands {
            value = self.deeper(|s| s.argument(dot, Param::Any, operand))?;
            if value.is_true() == is_or {
                return Ok(value);
            }
        }
        Ok(args.last.cloned().unwrap_or(value))
    }

    /// The value of an operand as an argument of this type.
    fn argument(&mut self, dot: &Value, param: Param, operand: &'a Operand) -> Eval<Value> {
        self.at = Some(At::Operand(operand));
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil if param.takes_nil() => return Ok(Value::Nil),
            Term::Nil => return self.fail(format_args!("cannot assign nil to {}", param.type_name())),
            Term::Field(_) | Term::Variable(_) | Term::Chain { .. } => {
                self.access(dot, operand, Arguments::NONE)?
            }
            Term::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Term::Identifier(name) => {
                self.function(dot, operand, At::Operand(operand), name, Arguments::NONE)?
            }
            Term::Bool(_) | Term::Number(_) | Term::String { .. } => {
                return self.typed_constant(param, operand);
            }
        };
        self.check_type(value, param)
    }

    fn typed_constant(&mut self, param: Param, operand: &'a Operand) -> Eval<Value> {
        let found = match (param, &operand.term) {
            (Param::Any, _) => return self.constant(operand),
            (Param::String, Term::String { text, .. }) => return Ok(Value::string(text.as_str())),
            (Param::Int, Term::Number(Number { int: Some(i), .. })) => return Ok(Value::Int(*i)),
            (Param::Duration, Term::Number(Number { int: Some(i), .. })) => {
                return Ok(Value::Duration(time::GoDuration(*i)));
            }
            (Param::String, _) => "string",
            (Param::Int | Param::Duration, _) => "integer",
            _ => {
                return self
                    .fail(format_args!("can't handle {operand} for arg of type {}", param.type_name()));
            }
        };
        self.fail(format_args!("expected {found}; found {operand}"))
    }

    /// The value if it can be passed as this type.
    fn check_type(&self, value: Value, param: Param) -> Eval<Value> {
        let fits = match (param, &value) {
            (Param::Any, _) => true,
            (_, Value::Nil) if param.takes_nil() => true,
            (_, Value::Nil) => {
                return self.fail(format_args!("invalid value; expected {}", param.type_name()));
            }
            (Param::String, Value::String(_))
            | (Param::Int, Value::Int(_))
            | (Param::Time, Value::Time(_))
            | (Param::Duration, Value::Duration(_)) => true,
            (Param::QueryResult, value) => value.type_name() == QUERY_RESULT,
            (Param::Sample, value) => value.type_name() == SAMPLE,
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let (want, got) = (param.type_name(), value.type_name());
        self.fail(format_args!("wrong type for value; expected {want}; got {got}"))
    }
}

/// The type that the notation of a number suggests: a float with a point or an exponent, an int otherwise.
fn untyped(number: &Number) -> Option<Value> {
    let text = &number.text;
    let lower = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let is_hex_int = lower.starts_with("0x") && !lower.contains('p');
    let looks_like_float = !is_hex_int && !text.starts_with('\'') && text.contains(['.', 'e', 'E', 'p', 'P']);
    match (number.float, number.int) {
        (Some(float), _) if looks_like_float => Some(Value::Float(float)),
        (_, int) => int.map(Value::Int),
    }
}
