//! How well a value fits what is searched for: Prometheus' filters and scores, so that lists come in the same order.
//!
//! Scores lie between 0 and 1. Terms and values are compared character by character, of long values only the beginning.

use crate::limits::SEARCHED_VALUE_CHARS;

/// Search terms, any of which is enough; the best score counts.
pub(super) struct Filter {
    terms: Vec<Term>,
    case_sensitive: bool,
    algorithm: Algorithm,
    /// Between 0 and 1.
    threshold: f64,
}

/// How values that do not contain a term may still fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Its characters come in order, others between them.
    Subsequence,
    /// Contained, or similar after Jaro and Winkler.
    JaroWinkler,
}

struct Term {
    text: String,
    chars: Vec<char>,
}

impl Filter {
    /// `None` if there is no term that is not empty: everything fits.
    pub(super) fn new<'a>(
        terms: impl Iterator<Item = &'a str>,
        case_sensitive: bool,
        algorithm: Algorithm,
        threshold: f64,
    ) -> Option<Self> {
        let fold = |t: &str| if case_sensitive { t.to_owned() } else { t.to_lowercase() };
        let term = |text: String| Term { chars: text.chars().collect(), text };
        let terms: Vec<Term> = terms.filter(|t| !t.is_empty()).map(fold).map(term).collect();
        (!terms.is_empty()).then_some(Self { terms, case_sensitive, algorithm, threshold })
    }

    /// The score of a value that fits.
    pub(super) fn score(&self, value: &str) -> Option<f64> {
        let folded;
        let value = match self.case_sensitive {
            true => value,
            false => {
                folded = value.to_lowercase();
                &folded
            }
        };
        self.terms.iter().filter_map(|term| self.score_of(term, value)).reduce(f64::max)
    }

    fn score_of(&self, term: &Term, value: &str) -> Option<f64> {
        match self.algorithm {
            Algorithm::Subsequence if value.starts_with(&term.text) => Some(1.0),
            Algorithm::Subsequence => {
                let score = subsequence(&term.chars, &beginning(value));
                (score > 0.0 && score >= self.threshold).then_some(score)
            }
            Algorithm::JaroWinkler => contained(&term.text, value).or_else(|| {
                let score = jaro_winkler(&term.chars, &beginning(value));
                (self.threshold > 0.0 && score >= self.threshold).then_some(score)
            }),
        }
    }
}

fn beginning(value: &str) -> Vec<char> {
    value.chars().take(SEARCHED_VALUE_CHARS).collect()
}

/// 1 for a prefix, down to 0.1 for a suffix.
fn contained(term: &str, value: &str) -> Option<f64> {
    let at = value.find(term)?;
    let before = value[..at].chars().count();
    let longest = value.chars().count().saturating_sub(term.chars().count());
    if before == 0 || longest == 0 {
        return Some(1.0);
    }
    Some(1.0 - 0.9 * before as f64 / longest as f64)
}

/// What a fit that is not exact is multiplied with, so that it stays below one that is.
const NOT_EXACT: f64 = 0.999;

/// The best over all beginnings of: squares of the lengths of runs that fit, less what lies before and between them, less half of what
/// follows, in parts of the value. Zero if the pattern's characters do not come in order.
fn subsequence(pattern: &[char], text: &[char]) -> f64 {
    if pattern == text {
        return 1.0;
    }
    if pattern.is_empty() || pattern.len() > text.len() {
        return 0.0;
    }
    let mut best: f64 = -1.0;
    for start in 0..=text.len() - pattern.len() {
        if text[start] != pattern[0] {
            continue;
        }
        // What does not fit from here fits from nowhere after.
        let Some(score) = runs(pattern, text, start) else { break };
        best = best.max(score);
    }
    if best < 0.0 {
        return 0.0;
    }
    best / (pattern.len() * pattern.len()) as f64 * NOT_EXACT
}

fn runs(pattern: &[char], text: &[char], start: usize) -> Option<f64> {
    let part = 1.0 / text.len() as f64;
    let (mut at, mut fitted, mut end, mut score) = (start, 0, 0, 0.0);
    while fitted < pattern.len() {
        at += text[at..].iter().position(|c| *c == pattern[fitted])?;
        let gap = at - end;
        let length = text[at..].iter().zip(&pattern[fitted..]).take_while(|(a, b)| a == b).count();
        score += (length * length) as f64 - gap as f64 * part;
        at += length;
        fitted += length;
        end = at;
    }
    Some(score - (text.len() - end) as f64 * part * 0.5)
}

/// The similarity of Jaro, raised by that of the first four characters after Winkler.
fn jaro_winkler(a: &[char], b: &[char]) -> f64 {
    if a == b {
        return 1.0;
    }
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return 0.0;
    }
    let reach = (long.len() / 2).saturating_sub(1);
    let (mut in_short, mut in_long) = (vec![false; short.len()], vec![false; long.len()]);
    for (i, c) in short.iter().enumerate() {
        let window = i.saturating_sub(reach)..(i + reach + 1).min(long.len());
        if let Some(j) = window.into_iter().find(|j| !in_long[*j] && long[*j] == *c) {
            (in_short[i], in_long[j]) = (true, true);
        }
    }
    let fitted = |of: &[char], marks: &[bool]| -> Vec<char> {
        of.iter().zip(marks).filter(|(_, m)| **m).map(|(c, _)| *c).collect()
    };
    let (from_short, from_long) = (fitted(short, &in_short), fitted(long, &in_long));
    if from_short.is_empty() {
        return 0.0;
    }
    let matches = from_short.len() as f64;
    let moved = from_short.iter().zip(&from_long).filter(|(x, y)| x != y).count() as f64;
    let jaro =
        (matches / short.len() as f64 + matches / long.len() as f64 + (matches - moved * 0.5) / matches)
            / 3.0;
    let prefix = short.iter().zip(long).take(4).take_while(|(x, y)| x == y).count();
    jaro + prefix as f64 * 0.1 * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(algorithm: Algorithm, threshold: f64, term: &str, value: &str) -> Option<f64> {
        let filter = Filter::new([term].into_iter(), true, algorithm, threshold).unwrap();
        filter.score(value).map(|s| (s * 1e4).round() / 1e4)
    }

    #[test]
    fn subsequences_score_by_runs_and_gaps() {
        let check = |term, value, want| {
            assert_eq!(score(Algorithm::Subsequence, 0.0, term, value), want, "{term} {value}");
        };
        check("abc", "abc", Some(1.0));
        check("abc", "abcd", Some(1.0));
        check("abc", "acb", None);
        check("xyz", "abc", None);
        // One run of two after one character and before one: (4 - 1/4 - 1/8) / 4 * 0.999.
        check("bc", "abcd", Some(0.9053));
        // Two runs of one with one between: (2 - 1/4 - 1/4 - 0) / 4 * 0.999 from the second character on.
        check("bd", "abcd", Some(0.3746));
        check("ñ", "año", Some(0.4995));
    }

    #[test]
    fn similar_values_fit_above_a_threshold() {
        let check = |threshold, term, value, want| {
            assert_eq!(score(Algorithm::JaroWinkler, threshold, term, value), want, "{term} {value}");
        };
        check(0.0, "MARTHA", "MARHTA", None);
        check(0.5, "MARTHA", "MARHTA", Some(0.9611));
        check(0.5, "DWAYNE", "DUANE", Some(0.84));
        check(0.9, "DWAYNE", "DUANE", None);
        check(0.0, "up", "up", Some(1.0));
        check(0.0, "b", "ab", Some(0.1));
        check(0.0, "b", "abc", Some(0.55));
    }

    #[test]
    fn long_values_take_no_longer_than_their_beginning() {
        // Every character begins a search to the end: of the whole value that would be a million million steps.
        let value = "ab".repeat(1_000_000);
        assert_eq!(score(Algorithm::Subsequence, 0.0, "bax", &format!("{value}x")), None);
        assert!(score(Algorithm::Subsequence, 0.0, "bb", &value).is_some());
        assert_eq!(score(Algorithm::JaroWinkler, 0.9, "xy", &value), None);
    }

    #[test]
    fn any_term_is_enough_and_the_best_counts() {
        let filter = Filter::new(["zzz", "", "UP"].into_iter(), false, Algorithm::Subsequence, 0.0).unwrap();
        assert_eq!(filter.score("Up"), Some(1.0));
        assert_eq!(filter.score("down"), None);
        assert!(Filter::new([""].into_iter(), true, Algorithm::Subsequence, 0.0).is_none());
    }
}
