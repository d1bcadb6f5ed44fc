//! Names that older clients cannot read, written so that they can.

use std::borrow::Cow;
use std::fmt::Write;

use base::is_legacy_metric_name;

/// How a name with other characters than letters, digits, `_` and `:` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaping {
    /// As it is, in quotes.
    AllowUtf8,
    /// Each other character as `_`.
    Underscores,
    /// Dots as `_dot_`, `_` doubled, others as `__`.
    Dots,
    /// `U__`, then each other character as `_<hexadecimal>_`.
    Values,
}

impl Escaping {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "allow-utf-8" => Some(Self::AllowUtf8),
            "underscores" => Some(Self::Underscores),
            "dots" => Some(Self::Dots),
            "values" => Some(Self::Values),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    pub(super) fn apply(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::AllowUtf8 => Cow::Borrowed(name),
            Self::Dots if is_legacy_metric_name(name) && !name.contains('_') => Cow::Borrowed(name),
            Self::Dots => Cow::Owned(each(name, |c, fits, out| match c {
                '_' => out.push_str("__"),
                '.' => out.push_str("_dot_"),
                c if fits => out.push(c),
                _ => out.push_str("__"),
            })),
            _ if is_legacy_metric_name(name) => Cow::Borrowed(name),
            Self::Underscores => Cow::Owned(each(name, |c, fits, out| out.push(if fits { c } else { '_' }))),
            Self::Values => {
                let escaped = each(name, |c, fits, out| match c {
                    '_' => out.push_str("__"),
                    c if fits => out.push(c),
                    c => write!(out, "_{:x}_", u32::from(c)).expect("writing to a string cannot fail"),
                });
                Cow::Owned(format!("U__{escaped}"))
            }
        }
    }
}

/// Writes each character; the callback is told whether it fits where it stands.
fn each(name: &str, mut write: impl FnMut(char, bool, &mut String)) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (i, c) in name.chars().enumerate() {
        let fits = c.is_ascii_alphabetic() || c == '_' || c == ':' || (i > 0 && c.is_ascii_digit());
        write(c, fits, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_clients_expect() {
        let check = |escaping: Escaping, name: &str, want: &str| {
            assert_eq!(escaping.apply(name), want, "{escaping:?}");
            assert_eq!(Escaping::by_name(escaping.as_str()), Some(escaping));
        };
        check(Escaping::AllowUtf8, "http.status:sum ü", "http.status:sum ü");
        check(Escaping::Underscores, "http.status:sum ü", "http_status:sum__");
        check(Escaping::Underscores, "no:escaping_required", "no:escaping_required");
        check(Escaping::Underscores, "2x", "_x");
        check(Escaping::Dots, "mysystem.prod.west.cpu.load", "mysystem_dot_prod_dot_west_dot_cpu_dot_load");
        check(Escaping::Dots, "with_underscore", "with__underscore");
        check(Escaping::Dots, "label with 😱", "label__with____");
        check(Escaping::Values, "http.status", "U__http_2e_status");
        check(Escaping::Values, "a_b.c", "U__a__b_2e_c");
        check(Escaping::Values, "no:escaping_required", "no:escaping_required");
    }
}
