//! `bench/RESULTS.md`: the newest full run of each benchmark.

const HEAD: &str = "\
# Results

The newest full run of each benchmark, written by `cargo xtask bench`. Figures are medians over the runs; a column `÷`
is Bellwether's figure divided by the peer's, so less is better wherever less of the figure is.
";

/// The document with the section of one benchmark put in place of the one before it, or at its end.
pub(crate) fn update(document: &str, name: &str, body: &str) -> String {
    let mut sections = split(document);
    let section = (name.to_owned(), format!("## {name}\n\n{}\n", body.trim_end()));
    match sections.iter_mut().find(|(n, _)| n == name) {
        Some(old) => *old = section,
        None => sections.push(section),
    }
    sections.sort();
    let mut text = HEAD.to_owned();
    for (_, section) in sections {
        text.push('\n');
        text.push_str(&section);
    }
    text
}

/// Names and texts of the sections. What stands above the first one is replaced.
fn split(document: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in document.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            sections.push((name.trim().to_owned(), String::new()));
        }
        if let Some((_, text)) = sections.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    for (_, text) in &mut sections {
        *text = format!("{}\n", text.trim_end());
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before_it() {
        let first = update("", "restart", "old\n### a\n");
        assert_eq!(first, format!("{HEAD}\n## restart\n\nold\n### a\n"));
        let second = update(&first, "disk", "disk\n");
        let third = update(&second, "restart", "new");
        assert_eq!(third, format!("{HEAD}\n## disk\n\ndisk\n\n## restart\n\nnew\n"));
        assert_eq!(update(&third, "restart", "new"), third);
    }
}
