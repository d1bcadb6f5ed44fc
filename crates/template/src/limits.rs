//! The bounds that every template keeps, each with its reason. A template comes from a rule file or a notification
//! configuration: its author is trusted to mean well, not to count.

/// Bytes of a template's text. The largest published notification templates have some 30 kB.
pub(crate) const MAX_TEXT_BYTES: usize = 1 << 20;

/// Blocks and parentheses within each other while parsing; an `else if` is one more. Bounds the parser's stack.
pub(crate) const MAX_NESTING: usize = 100;

/// Blocks, pipelines and called templates within each other while expanding. Bounds the stack: a level takes some
/// kilobytes in a debug build, and a worker thread has 2 MiB.
pub(crate) const MAX_DEPTH: usize = 150;

/// Turns of all `range` actions of one expansion together: a hundred times the alerts of a large notification.
pub(crate) const MAX_ITERATIONS: usize = 1_000_000;

/// Bytes of the output, and of any one text made on the way to it. An annotation has a few hundred; a console page some
/// hundred kilobytes.
pub(crate) const MAX_OUTPUT_BYTES: usize = 8 << 20;

/// Lists and maps within each other. Bounds the stack of printing and dropping them.
pub(crate) const MAX_VALUE_DEPTH: usize = 32;

/// Width and precision of a verb of `printf`, as Go has it.
pub(crate) const MAX_WIDTH: usize = 1_000_000;

/// Compiled size of a regular expression, in bytes.
pub(crate) const MAX_PATTERN_BYTES: usize = 1 << 20;
