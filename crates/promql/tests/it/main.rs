//! Integration tests of the language.

mod parse;
mod scripts;
