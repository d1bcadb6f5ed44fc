//! Text in quotes, both ways: string literals of the language, and quoted text as Prometheus' messages and printed
//! queries have it.

/// The value of a string literal, quotes included in `literal`.
///
/// Escapes may name single bytes (`\xff`), and what they spell need not be UTF-8; labels and matchers are UTF-8, so
/// that each broken sequence becomes U+FFFD. `None` if the literal is malformed, which the lexer rules out.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    let quote = literal.chars().next()?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' || !inner.contains('\\') {
        return Some(inner.to_string());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = unescape(&rest[at + 1..], quote, &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    Some(match String::from_utf8(out) {
        Ok(s) => s,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}

/// Reads one escape sequence after its backslash; returns what follows it.
fn unescape<'a>(text: &'a str, quote: char, out: &mut Vec<u8>) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if c == quote => quote as u8,
        '0'..='7' => {
            out.push(u8::try_from(u32::from_str_radix(text.get(..3)?, 8).ok()?).ok()?);
            return text.get(3..);
        }
        'x' => {
            out.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            return rest.get(2..);
        }
        'u' | 'U' => {
            let digits = if c == 'u' { 4 } else { 8 };
            let code = char::from_u32(u32::from_str_radix(rest.get(..digits)?, 16).ok()?)?;
            out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(digits..);
        }
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

/// `text` in double quotes, escaped as Go's `%q` does it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    text.chars().for_each(|c| push_escaped(&mut out, c, '"'));
    out.push('"');
    out
}

/// `c` in single quotes, escaped as Go's `%q` does it for a character.
pub(crate) fn quote_char(c: char) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'');
    out.push('\'');
    out
}

/// A character as Go's `%#U` writes it: `U+002E '.'`.
pub(crate) fn code_point(c: char) -> String {
    let code = format!("U+{:04X}", u32::from(c));
    if is_printable(c) { format!("{code} '{c}'") } else { code }
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        _ if c == quote => {
            out.push('\\');
            out.push(c);
        }
        // A query that has it bare is refused as broken.
        char::REPLACEMENT_CHARACTER => out.push_str("\\ufffd"),
        _ if is_printable(c) => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ => out.push_str(&match u32::from(c) {
            code @ (..0x20 | 0x7f) => format!("\\x{code:02x}"),
            code @ ..0x1_0000 => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        }),
    }
}

/// Whether Go prints the character as it is: letters, marks, numbers, punctuation, symbols and the ASCII space, which
/// is also what the standard library leaves alone, outside the first place of a string.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || {
        let mut pair = [b'a', 0, 0, 0, 0];
        let len = c.encode_utf8(&mut pair[1..]).len();
        std::str::from_utf8(&pair[..=len]).is_ok_and(|s| s.escape_debug().count() == 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquotes_every_kind_of_literal() {
        let check = |literal: &str, want: Option<&str>| {
            assert_eq!(unquote(literal).as_deref(), want, "{literal}");
        };
        check(r#""""#, Some(""));
        check("`a\\n`", Some("a\\n"));
        check(r#"'\'"\a\b\f\n\r\t\v\\'"#, Some("'\"\x07\x08\x0c\n\r\t\x0b\\"));
        check(r#""\x41\101\u263a\U0001F600""#, Some("AA☺😀"));
        check(r#""\xff""#, Some("\u{fffd}"));
        check(r#""\xe2\x98\xba""#, Some("☺"));
        for broken in [r#""\'""#, r#""\x4""#, r#""\9""#, r#""\ud800""#, "\"", ""] {
            check(broken, None);
        }
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(
            quote("a\"\\\n\x00\x7fü☺'\u{ad}\u{301}\u{e0001}"),
            r#""a\"\\\n\x00\x7fü☺'\u00ad"#.to_string() + "\u{301}\\U000e0001\""
        );
        assert_eq!(quote("\u{fffd}"), r#""\ufffd""#);
        assert_eq!((quote_char('\''), quote_char('"')), (r"'\''".into(), "'\"'".into()));
        assert_eq!((code_point('.'), code_point('\n')), ("U+002E '.'".into(), "U+000A".into()));
    }
}
