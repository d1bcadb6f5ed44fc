//! The error of a template, in the words of Prometheus and of Go.

use std::fmt;

/// When a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The text is no template.
    Parsing,
    /// The template and its data do not go together, or a function failed.
    Executing,
}

/// Why a template has no output. Displays as Prometheus reports it: `error executing template NAME: template: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    stage: Stage,
    name: String,
    cause: String,
}

impl TemplateError {
    pub(crate) fn new(stage: Stage, name: &str, cause: String) -> Self {
        Self { stage, name: name.into(), cause }
    }

    /// When it failed.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Go's own words: `template: NAME:LINE:COLUMN: executing …`.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Parsing => "parsing",
            Stage::Executing => "executing",
        };
        write!(f, "error {stage} template {}: {}", self.name, self.cause)
    }
}

impl std::error::Error for TemplateError {}
