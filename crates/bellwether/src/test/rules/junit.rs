//! Results of tests as JUnit XML, which systems that run tests read.

use std::fmt::Write as _;

/// The tests of a file.
#[derive(Debug, Default)]
pub(super) struct Suite {
    pub(super) name: String,
    /// Why nothing could be tested.
    pub(super) error: Option<String>,
    pub(super) cases: Vec<Case>,
}

/// A group of tests.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) failures: Vec<String>,
}

impl Suite {
    /// Everything that is wrong.
    pub(super) fn failures(&self) -> impl Iterator<Item = &String> {
        self.error.iter().chain(self.cases.iter().flat_map(|c| &c.failures))
    }
}

/// The document.
pub(super) fn xml(suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>");
    for suite in suites {
        let failures = suite.cases.iter().filter(|c| !c.failures.is_empty()).count();
        let errors = usize::from(suite.error.is_some());
        let (name, tests) = (escaped(&suite.name), suite.cases.len() + errors);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">"
        );
        if let Some(error) = &suite.error {
            let _ =
                write!(out, "\n    <testcase name=\"{name}\"><error>{}</error></testcase>", escaped(error));
        }
        for case in &suite.cases {
            let _ = write!(out, "\n    <testcase name=\"{}\">", escaped(&case.name));
            for failure in &case.failures {
                let _ = write!(out, "<failure>{}</failure>", escaped(failure));
            }
            out.push_str("</testcase>");
        }
        out.push_str("\n  </testsuite>");
    }
    out.push_str("\n</testsuites>\n");
    out
}

/// A text as XML can hold it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_errors_are_told_apart() {
        let case = |name: &str, failures: &[&str]| Case {
            name: name.into(),
            failures: failures.iter().map(|f| (*f).to_owned()).collect(),
        };
        let suites = [
            Suite {
                name: "a.yml".into(),
                error: None,
                cases: vec![case("x", &[]), case("y", &["a <b> & \"c\"\n"])],
            },
            Suite { name: "b.yml".into(), error: Some("gone".into()), cases: vec![] },
        ];
        assert_eq!(
            xml(&suites),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
             <testsuite name=\"a.yml\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">\n    \
             <testcase name=\"x\"></testcase>\n    \
             <testcase name=\"y\"><failure>a &lt;b&gt; &amp; &#34;c&#34;&#xA;</failure></testcase>\n  </testsuite>\n  \
             <testsuite name=\"b.yml\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    \
             <testcase name=\"b.yml\"><error>gone</error></testcase>\n  </testsuite>\n</testsuites>\n"
        );
    }
}
