//! Escaping of values where they stand in a page of HTML: in text, and in quoted attributes that hold no URL, style or
//! script. Anywhere else a value is refused, since what is safe there depends on another language.

use std::fmt::Write as _;

use crate::format::Bounded;

/// Where the page is after what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between tags.
    #[default]
    Text,
    /// In a tag outside a quoted value; holds what was read of it.
    Tag(String),
    /// In a quoted value of the attribute with this name; then the tag's name and the quote.
    Attribute { name: String, tag: String, mark: char },
    /// In an element whose text is no HTML, up to its end tag.
    Raw { element: &'static str, seen: String },
    /// In a comment; holds the last characters.
    Comment(String),
}

impl Place {
    /// Follows a piece of the page that the template's author wrote.
    pub(crate) fn follow(&mut self, text: &str) {
        for c in text.chars() {
            let place = std::mem::take(self);
            *self = place.after(c);
        }
    }

    fn after(self, c: char) -> Self {
        match self {
            Self::Text if c == '<' => Self::Tag(String::new()),
            Self::Text => Self::Text,
            Self::Tag(read) => Self::in_tag(read, c),
            Self::Attribute { tag, mark, .. } if c == mark => Self::Tag(format!("{tag} ")),
            attribute @ Self::Attribute { .. } => attribute,
            Self::Raw { element, mut seen } => {
                seen.push(c.to_ascii_lowercase());
                let end = format!("</{element}>");
                if seen.ends_with(&end) {
                    return Self::Text;
                }
                if seen.len() > 64 {
                    seen = seen.chars().rev().take(end.len()).collect::<Vec<_>>().into_iter().rev().collect();
                }
                Self::Raw { element, seen }
            }
            Self::Comment(mut last) => {
                last.push(c);
                if last.ends_with("-->") {
                    return Self::Text;
                }
                if last.chars().count() > 3 {
                    last = last.chars().skip(1).collect();
                }
                Self::Comment(last)
            }
        }
    }

    fn in_tag(mut read: String, c: char) -> Self {
        if read.is_empty() && !(c.is_ascii_alphabetic() || matches!(c, '/' | '!')) {
            return if c == '<' { Self::Tag(read) } else { Self::Text };
        }
        let tag =
            || read.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("").to_ascii_lowercase();
        match c {
            '>' => match tag().as_str() {
                "script" => Self::Raw { element: "script", seen: String::new() },
                "style" => Self::Raw { element: "style", seen: String::new() },
                _ => Self::Text,
            },
            '"' | '\'' if read.trim_end().ends_with('=') => {
                let name = read.trim_end().trim_end_matches('=').trim_end();
                let name = name.rsplit(char::is_whitespace).next().unwrap_or("").to_ascii_lowercase();
                Self::Attribute { name, tag: tag(), mark: c }
            }
            c => {
                read.push(c);
                if read == "!--" { Self::Comment(String::new()) } else { Self::Tag(read) }
            }
        }
    }

    /// Why no value may stand here, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        let (what, name) = match self {
            Self::Text | Self::Comment(_) => return None,
            Self::Tag(_) => ("tag outside of quotes", ""),
            Self::Raw { element, .. } => ("element", *element),
            Self::Attribute { name, .. } => {
                let is_url = matches!(
                    name.as_str(),
                    "href" | "src" | "action" | "formaction" | "data" | "poster" | "cite" | "srcset"
                );
                if !(is_url || name == "style" || name == "srcdoc" || name.starts_with("on")) {
                    return None;
                }
                ("attribute", name.as_str())
            }
        };
        Some(format!("cannot escape a value in {what} {name}").trim_end().to_owned())
    }

    /// Writes the printed form of a value, escaped for this place.
    pub(crate) fn write(&self, text: &str, out: &mut Bounded) -> std::fmt::Result {
        if matches!(self, Self::Comment(_)) {
            // Comments are for the author; values do not go out in them.
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '\0' => out.write_char('\u{fffd}')?,
                '"' => out.write_str("&#34;")?,
                '&' => out.write_str("&amp;")?,
                '\'' => out.write_str("&#39;")?,
                '+' => out.write_str("&#43;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                c => out.write_char(c)?,
            }
        }
        Ok(())
    }
}
