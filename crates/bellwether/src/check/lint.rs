//! What `--lint` asks for.

use std::time::Duration;

use crate::report::Report;

/// What to look for besides errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lint {
    pub(super) duplicate_rules: bool,
    /// A scrape interval of this length is too long.
    pub(super) lookback: Option<Duration>,
}

impl Lint {
    /// Reads a list; words that are not known are told of. Only a check of configurations has a look-back.
    pub(super) fn read(text: &str, lookback: Option<Duration>, report: &mut Report) -> Self {
        let mut lint = Self::default();
        for word in text.split(',') {
            match word {
                "all" => lint = Self { duplicate_rules: true, lookback },
                "duplicate-rules" => lint.duplicate_rules = true,
                "too-long-scrape-interval" if lookback.is_some() => lint.lookback = lookback,
                "none" => return Self::default(),
                "" => {}
                word => report.out(format_args!("WARNING: unknown lint option: {word:?}")),
            }
        }
        lint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_unknown_words_told_of() {
        let mut report = Report::default();
        let mut read = |text: &str| Lint::read(text, Some(Duration::from_secs(300)), &mut report);
        let all = Lint { duplicate_rules: true, lookback: Some(Duration::from_secs(300)) };
        assert_eq!(read("all"), all);
        assert_eq!(read("duplicate-rules,too-long-scrape-interval"), all);
        assert_eq!(read("all,none"), Lint::default());
        assert_eq!(read("colour"), Lint::default());
        assert_eq!(report.out_text(), "WARNING: unknown lint option: \"colour\"\n");
    }
}
