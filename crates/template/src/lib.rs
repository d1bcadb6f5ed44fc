//! Go's text/template language as alerts, notifications and console pages write it, with the functions that Prometheus
//! gives them.
//!
//! Owns the lexer, the parser, evaluation over a dynamic [`Value`], Go's text forms of values, and the functions. Owns no
//! clock, no query engine and no file: what a template asks of the outside goes through [`Functions`]. Whatever a
//! template does ends within the bounds of `limits.rs`.

mod error;
mod exec;
mod format;
mod function;
mod html;
mod library;
mod limits;
mod net;
mod parse;
mod time;
mod value;

use std::collections::HashMap;

pub use error::{Stage, TemplateError};
pub use library::Sample;
pub use time::{GoDuration, GoTime};
pub use value::{List, Map, Struct, Value};

use parse::ast::Block;

/// What a template asks of the outside while it is expanded. All answers belong to one moment: that of the evaluation.
pub trait Functions {
    /// Evaluates a PromQL expression at the moment of the expansion. The error's text ends up in the template's error.
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String>;
    /// The moment of the expansion, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
    /// The URL under which the server is reachable from outside, or an empty text.
    fn external_url(&self) -> &str;
}

/// What becomes of a key that a map does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// `missingkey=default`: no value, which prints as `<no value>`.
    Invalid,
    /// `missingkey=zero`: the zero of the map's elements, which is how Prometheus expands.
    #[default]
    Zero,
    /// `missingkey=error`: the expansion fails.
    Error,
}

/// What a template is expanded with.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The value of `.` and `$` at the start.
    pub data: Value,
    /// What becomes of a key that a map does not have.
    pub missing_key: MissingKey,
}

impl Context {
    /// Prometheus' way with missing keys, and this data.
    pub fn new(data: Value) -> Self {
        Self { data, missing_key: MissingKey::default() }
    }
}

/// How values get into the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Text,
    Html,
}

/// A parsed template, ready to be expanded any number of times.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    flavour: Flavour,
    blocks: HashMap<String, Block>,
}

impl Template {
    /// Parses `text` as text/template does; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        Self::parse_as(name, text, Flavour::Text)
    }

    /// Parses `text` as a template whose values are escaped where they stand in HTML, and which knows the function `tmpl`.
    pub fn parse_html(name: &str, text: &str) -> Result<Self, TemplateError> {
        Self::parse_as(name, text, Flavour::Html)
    }

    fn parse_as(name: &str, text: &str, flavour: Flavour) -> Result<Self, TemplateError> {
        match parse::parse(name, text, flavour) {
            Ok(blocks) => Ok(Self { name: name.into(), text: text.into(), flavour, blocks }),
            Err(cause) => Err(TemplateError::new(Stage::Parsing, name, cause)),
        }
    }

    /// The output of the template for this data.
    pub fn expand(&self, context: &Context, functions: &dyn Functions) -> Result<String, TemplateError> {
        exec::execute(self, context, functions)
            .map_err(|cause| TemplateError::new(Stage::Executing, &self.name, cause))
    }
}
