//! Quoting as Go's `%q`, which Prometheus' messages use.

use std::fmt::Write as _;

/// Bytes of the body that one message quotes: what is unclosed would otherwise drag the rest of the body in.
const QUOTED_BYTES_MAX: usize = 512;

/// Quotes bytes: printable text as it is, the rest as escapes.
pub(super) fn quote(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(QUOTED_BYTES_MAX)];
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(c, &mut out);
        }
        for b in chunk.invalid() {
            write!(out, "\\x{b:02x}").expect("writing to a string cannot fail");
        }
    }
    out.push('"');
    if shown.len() < bytes.len() {
        out.push('…');
    }
    out
}

fn push_char(c: char, out: &mut String) {
    let escape = match c {
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        '\\' => "\\\\",
        '"' => "\\\"",
        _ => "",
    };
    if !escape.is_empty() {
        out.push_str(escape);
    } else if is_printable(c) {
        out.push(c);
    } else {
        let n = u32::from(c);
        let width = if n < 0x80 {
            ('x', 2)
        } else if n < 0x1_0000 {
            ('u', 4)
        } else {
            ('U', 8)
        };
        write!(out, "\\{}{n:0w$x}", width.0, w = width.1).expect("writing to a string cannot fail");
    }
}

fn is_printable(c: char) -> bool {
    // Behind another character a combining mark is not escaped, which is how Go sees it everywhere.
    c == '\'' || ['a', c].iter().collect::<String>().escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        let check = |bytes: &[u8], want: &str| assert_eq!(quote(bytes), want);
        check(b"a\"b\\c\n\t'", r#""a\"b\\c\n\t'""#);
        check(b"\x00\x07\x7f", r#""\x00\a\x7f""#);
        check(b"\xff\xc3", r#""\xff\xc3""#);
        check("äe\u{301}☃".as_bytes(), "\"äe\u{301}☃\"");
        check("\u{a0}\u{200b}\u{e0001}".as_bytes(), r#""\u00a0\u200b\U000e0001""#);
    }

    #[test]
    fn quotes_a_bounded_part() {
        assert!(quote(&[b'x'; 100_000]).len() < 600);
    }
}
