//! String literals: where they end, and whether their escapes are sound. [`crate::quote::unquote`] reads them.

use super::{Lexed, Lexer, TokenKind};
use crate::quote::code_point;

impl<'a> Lexer<'a> {
    /// A string in single or double quotes, the first of which has been read.
    pub(super) fn quoted_string(&mut self, quote: char) -> Lexed<'a> {
        loop {
            match self.next() {
                None | Some('\n') => return self.fail("unterminated quoted string"),
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                Some('\\') => {
                    if let Err(message) = self.escape(quote) {
                        return self.fail(message);
                    }
                }
                Some(c) if c == quote => return self.emit(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// A string in backquotes, the first of which has been read.
    pub(super) fn raw_string(&mut self) -> Lexed<'a> {
        loop {
            match self.next() {
                None => return self.fail("unterminated raw string"),
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                Some('`') => return self.emit(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape sequence after its backslash.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        let first = self.next();
        let (digits, radix, max) = match first {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('0'..='7') => {
                self.backup();
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, u32::from(char::MAX)),
            Some('U') => (8, 16, u32::from(char::MAX)),
            None => return Err("escape sequence not terminated".into()),
            Some(c) => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        let mut code: u32 = 0;
        for _ in 0..digits {
            let c = self.next().ok_or("escape sequence not terminated")?;
            let Some(digit) = c.to_digit(radix) else {
                return Err(format!("illegal character {} in escape sequence", code_point(c)));
            };
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        if code > max || (0xd800..0xe000).contains(&code) {
            return Err("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }
}
