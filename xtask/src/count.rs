//! Counts tests in what test runners print.
//!
//! A test that could not run says `SKIPPED <name>: <reason>` and returns, which its runner takes for a pass; here it
//! counts as skipped.

/// How many tests came out how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// The last line of a run.
    pub(crate) fn summary(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Whether a line says that a test did not run.
pub(crate) fn is_skip(line: &str) -> bool {
    line.starts_with("SKIPPED ")
}

/// Counts the output of `cargo test -- --show-output`.
pub(crate) fn cargo(output: &str) -> Count {
    let mut count = Count::default();
    // Under `---- name stdout ----` stands what one test printed; it counts as skipped once, however much it says.
    let mut block_skipped = false;
    let mut skipped = 0;
    for line in output.lines() {
        if line.starts_with("---- ") || line.starts_with("test result: ") {
            block_skipped = false;
        }
        if is_skip(line) && !block_skipped {
            block_skipped = true;
            skipped += 1;
        }
        if let Some(rest) = line.strip_prefix("test result: ") {
            count.passed += number_before(rest, " passed");
            count.failed += number_before(rest, " failed");
            count.skipped += number_before(rest, " ignored");
        }
    }
    count.passed = count.passed.saturating_sub(skipped);
    count.skipped += skipped;
    count
}

fn number_before(text: &str, word: &str) -> usize {
    let Some(at) = text.find(word) else { return 0 };
    text[..at].rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Counts a report of `vitest --reporter=json`; `None` if it is none.
pub(crate) fn vitest(report: &str) -> Option<Count> {
    let report: serde_json::Value = serde_json::from_str(report).ok()?;
    let number = |key: &str| report[key].as_u64().and_then(|n| usize::try_from(n).ok());
    Some(Count {
        passed: number("numPassedTests")?,
        failed: number("numFailedTests")?,
        skipped: number("numPendingTests")? + number("numTodoTests").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let output = "\
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- a stdout ----
SKIPPED a: no conformance data
SKIPPED a too: no conformance data

---- b stdout ----
said SKIPPED in passing

successes:
    a
    b

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s

running 1 test
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out
";
        assert_eq!(cargo(output), Count { passed: 2, failed: 1, skipped: 2 });
        assert_eq!(cargo("error: could not compile"), Count::default());
    }

    #[test]
    fn reads_a_report_of_vitest() {
        let report = r#"{"numTotalTests":5,"numPassedTests":3,"numFailedTests":1,"numPendingTests":1,"numTodoTests":0}"#;
        assert_eq!(vitest(report), Some(Count { passed: 3, failed: 1, skipped: 1 }));
        assert_eq!(vitest("{}"), None);
    }

    #[test]
    fn the_summary_has_its_form() {
        assert_eq!(Count { passed: 1, failed: 2, skipped: 3 }.summary(), "1 passed, 2 failed, 3 skipped");
    }
}
