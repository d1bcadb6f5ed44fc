//! `$NAME` and `${NAME}` in a text, by the rules of Go's `os.Expand`, which Prometheus uses for external labels.

/// Replaces each variable by what `value_of` gives. `$$` is a dollar sign.
pub(super) fn expand(text: &str, mut value_of: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, used) = variable(rest);
        match name {
            "$" => out.push('$'),
            // `${` without an end and `${}` are dropped; a dollar sign before anything else stays.
            "" if used > 0 => {}
            "" => out.push('$'),
            name => out.push_str(&value_of(name)),
        }
        rest = &rest[used..];
    }
    out + rest
}

/// The variable's name at the start of `text`, and how many bytes it takes.
fn variable(text: &str) -> (&str, usize) {
    let special = |b: u8| matches!(b, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9');
    match text.as_bytes() {
        [b'{', ..] => match text.find('}') {
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        },
        [b, ..] if special(*b) => (&text[..1], 1),
        bytes => {
            let len = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            (&text[..len], len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_go_does() {
        let check = |text: &str, want: &str| assert_eq!(expand(text, |n| format!("<{n}>")), want, "{text}");
        check("foo${TEST}bar", "foo<TEST>bar");
        check("$TEST_1-x", "<TEST_1>-x");
        check("$$x", "$x");
        check("a$", "a$");
        check("$ b", "$ b");
        check("${}x", "x");
        check("${unclosed", "unclosed");
        check("$1st", "<1>st");
        check("ä$ä", "ä$ä");
    }
}
