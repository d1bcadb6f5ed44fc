//! Rules about source files: their length, their functions' length, ignored tests, undocumented limits.

use super::limits::{FILE_LINES_MAX, FUNCTION_LINES_GOOD, FUNCTION_LINES_MAX, LONG_FUNCTIONS_PERCENT_MAX};
use super::{Complaint, File};

/// Rules that look at one file.
pub(super) fn check_file(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let is_source = [".rs", ".ts", ".tsx", ".mjs", ".css", ".sh"].iter().any(|e| file.path.ends_with(e));
    let lines = file.text.lines().count();
    if is_source && lines > FILE_LINES_MAX {
        complaints.push(Complaint::new(&file.path, 0, format!("{lines} lines: more than {FILE_LINES_MAX}")));
    }
    if !file.path.ends_with(".rs") {
        return complaints;
    }
    for f in functions(&file.text).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
        let text = format!("function {} has {} lines: more than {FUNCTION_LINES_MAX}", f.name, f.lines);
        complaints.push(Complaint::new(&file.path, f.line, text));
    }
    for (i, line) in file.text.lines().enumerate() {
        let attribute = line.trim_start();
        if attribute.starts_with(concat!("#[", "ignore]")) || attribute.starts_with(concat!("#[", "ignore ="))
        {
            let text = "an ignored test is forgotten: make it say SKIPPED with its reason, or remove it";
            complaints.push(Complaint::new(&file.path, i + 1, text));
        }
    }
    if file.path.ends_with("/limits.rs") {
        complaints.extend(undocumented_limits(file));
    }
    complaints
}

/// The rule that looks at all functions together.
pub(super) fn check_share_of_long_functions(files: &[File]) -> Vec<Complaint> {
    let mut total = 0;
    let mut long = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with(".rs")) {
        for f in functions(&file.text) {
            total += 1;
            if f.lines > FUNCTION_LINES_GOOD {
                long.push((f.lines, format!("{}:{} {}", file.path, f.line, f.name)));
            }
        }
    }
    if long.len() * 100 <= total * LONG_FUNCTIONS_PERCENT_MAX {
        return Vec::new();
    }
    long.sort();
    let worst: Vec<String> = long.iter().rev().map(|(n, name)| format!("  {name} ({n} lines)")).collect();
    let text = format!(
        "{} of {total} functions are longer than {FUNCTION_LINES_GOOD} lines, more than {LONG_FUNCTIONS_PERCENT_MAX} %:\n{}",
        long.len(),
        worst.join("\n")
    );
    vec![Complaint::new("crates", 0, text)]
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Finds functions by indentation, which `cargo fmt` makes certain: a function ends at the first line that is a closing
/// brace in the column of its first line. A declaration without a body has no length.
fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else { continue };
        let indent = &line[..line.len() - code.len()];
        let same_column =
            |l: &&str| l.strip_prefix(indent).is_some_and(|c| !c.starts_with([' ', '\t']) && !c.is_empty());
        let ends = |l: &str| l.ends_with(';') || l.strip_prefix(indent) == Some("}");
        let length = match code.ends_with(['}', ';']) {
            true => 1,
            false => match lines[i + 1..].iter().position(|l| same_column(l) && ends(l)) {
                Some(n) => n + 2,
                None => continue,
            },
        };
        if lines[i + length - 1].ends_with('}') {
            found.push(Function { name: name.into(), line: i + 1, lines: length });
        }
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let mut rest = code;
    loop {
        let word_end = rest.find([' ', '(']).unwrap_or(rest.len());
        match &rest[..word_end] {
            "pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"" => {
                rest = rest[word_end..].trim_start();
                // `pub(crate)` and its like.
                if let Some(tail) = rest.strip_prefix('(') {
                    rest = tail.split_once(')')?.1.trim_start();
                }
            }
            "fn" => break,
            _ => return None,
        }
    }
    let name = rest.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

fn undocumented_limits(file: &File) -> Vec<Complaint> {
    let lines: Vec<&str> = file.text.lines().map(str::trim_start).collect();
    let mut complaints = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let after_visibility = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let code = after_visibility.trim_start_matches("pub ");
        let Some(rest) = code.strip_prefix("const ") else { continue };
        let Some((name, _)) = rest.split_once(':') else { continue };
        let above = lines[..i].iter().rev().find(|l| !l.starts_with("#["));
        if !above.is_some_and(|l| l.starts_with("///")) {
            let text = format!("limit {name} does not say its reason, unit and source");
            complaints.push(Complaint::new(&file.path, i + 1, text));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    let _ = 1;\n".repeat(lines - 2))
    }

    #[test]
    fn measures_functions() {
        let text = "\
impl X {
    pub(crate) async fn a<T>(
        &self,
    ) -> T {
        if x {
        }
    }

    fn one(&self) -> u8 { 1 }
}
trait T {
    fn declared(&self);
    fn long_declared(
        &self,
    );
}
const fn c() {
}
fnord();
";
        let seen: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(seen, [("a".into(), 2, 6), ("one".into(), 9, 1), ("c".into(), 17, 2)]);
    }

    #[test]
    fn complains_of_long_files_and_functions() {
        let check = |text: &str| check_file(&file("crates/x/src/a.rs", text)).len();
        assert_eq!(check(&function("f", FUNCTION_LINES_MAX)), 0);
        assert_eq!(check(&function("f", FUNCTION_LINES_MAX + 1)), 1);
        assert_eq!(check(&"// a\n".repeat(FILE_LINES_MAX)), 0);
        assert_eq!(check(&"// a\n".repeat(FILE_LINES_MAX + 1)), 1);
        assert!(check_file(&file("data.json", &"1\n".repeat(5000))).is_empty());
    }

    #[test]
    fn complains_when_too_many_functions_are_long() {
        let with = |long: usize| {
            let mut text = String::new();
            for i in 0..100 {
                text.push_str(&function("f", if i < long { FUNCTION_LINES_GOOD + 1 } else { 3 }));
            }
            check_share_of_long_functions(&[file("a.rs", &text)]).len()
        };
        assert_eq!((with(2), with(3)), (0, 1));
    }

    #[test]
    fn complains_of_ignored_tests_and_bare_limits() {
        let ignored = concat!("    #[", "ignore = \"slow\"]\n    fn t() {}\n");
        assert_eq!(check_file(&file("a.rs", ignored))[0].line, 1);
        let limits = "//! x\n\n/// Why.\npub const A: usize = 1;\npub(crate) const B: usize = 2;\n";
        let complaints = check_file(&file("crates/x/src/limits.rs", limits));
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].text.contains("limit B") && complaints[0].line == 5);
        assert!(check_file(&file("crates/x/src/other.rs", limits)).is_empty());
    }
}
