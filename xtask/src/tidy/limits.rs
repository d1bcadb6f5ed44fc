//! How large things may grow before they are two things.

/// Lines in a source file. Most are below 300.
pub(super) const FILE_LINES_MAX: usize = 1_000;

/// Lines in ARCHITECTURE.md, which should be read in one sitting.
pub(super) const ARCHITECTURE_LINES_MAX: usize = 400;

/// Lines of a function that fits a screen.
pub(super) const FUNCTION_LINES_GOOD: usize = 70;

/// Lines that no function exceeds.
pub(super) const FUNCTION_LINES_MAX: usize = 150;

/// Share of functions, in percent, that may exceed [`FUNCTION_LINES_GOOD`].
pub(super) const LONG_FUNCTIONS_PERCENT_MAX: usize = 2;

/// Crates of the workspace that a library crate may import.
pub(super) const LOCAL_IMPORTS_MAX: usize = 3;

/// Crates on the longest chain of imports.
pub(super) const IMPORT_DEPTH_MAX: usize = 6;

/// Crates under `crates/`.
pub(super) const CRATES_MAX: usize = 16;
