//! Reads scripts. One command per line, its details on the lines after it up to an empty one.

use base::{Error, Labels, Result, parse_duration};
use regex::Regex;

use super::sequence::{SeriesLine, parse_metric, parse_number, parse_series, parse_starts};
use crate::Grid;
use crate::quote::unquote;

/// A script.
#[derive(Debug)]
pub struct Script {
    /// The commands in order.
    pub commands: Vec<Command>,
}

/// A command of a script.
#[derive(Debug)]
pub enum Command {
    /// `load <step>` and its series.
    Load(Load),
    /// `clear`
    Clear,
    /// `eval …` and what is expected of it.
    Eval(Box<Eval>),
}

/// Data to add.
#[derive(Debug)]
pub struct Load {
    /// Distance of the points.
    pub step_ms: i64,
    /// Whether classic histograms are loaded as native ones, too.
    pub with_nhcb: bool,
    /// The series, and the start timestamps of their points as milliseconds from the points' times. These are as many as points, or
    /// none at all.
    pub series: Vec<(SeriesLine, Vec<Option<i64>>)>,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// At one time.
    Instant(i64),
    /// At the steps of a grid.
    Range(Grid),
}

/// A text that a message has to be, or an expression that it has to match.
#[derive(Debug)]
pub enum Expectation {
    /// Whatever it says.
    Any,
    /// Exactly this.
    Text(String),
    /// Matching this.
    Regex(Regex),
}

impl Expectation {
    /// Whether a message is as expected.
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(text) => text == message,
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

/// A query and what is expected of it.
#[derive(Debug)]
pub struct Eval {
    /// Line of the script, counted from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub when: When,
    /// That it fails, with this message.
    pub fail: Option<Expectation>,
    /// That there are these warnings and no others.
    pub warnings: Vec<Expectation>,
    /// That there are these infos and no others.
    pub infos: Vec<Expectation>,
    /// That there is a warning of any kind (`eval_warn`).
    pub some_warning: bool,
    /// That there is an info of any kind (`eval_info`).
    pub some_info: bool,
    /// That there is no warning.
    pub no_warning: bool,
    /// That there is no info.
    pub no_info: bool,
    /// That the series come in the order of the lines.
    pub ordered: bool,
    /// A number as the result.
    pub scalar: Option<f64>,
    /// A text as the result.
    pub string: Option<String>,
    /// The series of the result.
    pub series: Vec<SeriesLine>,
    /// The times of an instant query's range vector.
    pub range_vector: Option<Grid>,
}

impl Script {
    /// Reads a script; an error names its line.
    pub fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
        let mut commands = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            if lines[at].is_empty() {
                at += 1;
                continue;
            }
            let end = lines[at..].iter().position(|l| l.is_empty()).map_or(lines.len(), |n| at + n);
            let taken = Self::command(&lines[at..end], at + 1, &mut commands)?;
            at += taken;
        }
        Ok(Self { commands })
    }

    /// Reads the command on the first line; gives the number of lines that it takes.
    fn command(block: &[&str], line: usize, commands: &mut Vec<Command>) -> Result<usize> {
        let word = block[0].split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if word == "clear" {
            commands.push(Command::Clear);
            return Ok(1);
        }
        if word.starts_with("load") {
            commands.push(Command::Load(parse_load(block, line)?));
            return Ok(block.len());
        }
        if word.starts_with("eval") {
            commands.push(Command::Eval(Box::new(parse_eval(block, line)?)));
            return Ok(block.len());
        }
        Err(at_line(line, Error::invalid(format!("cannot read command {:?}: no such command", block[0]))))
    }
}

fn at_line(line: usize, e: Error) -> Error {
    e.context(format!("line {line}"))
}

fn parse_load(block: &[&str], line: usize) -> Result<Load> {
    let bad = || at_line(line, Error::invalid(format!("cannot read {:?}: want load <step>", block[0])));
    let (command, step) = block[0].split_once(char::is_whitespace).ok_or_else(bad)?;
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(bad()),
    };
    let step_ms = milliseconds(step.trim()).map_err(|e| at_line(line, e))?;
    let mut series = Vec::new();
    let mut pending: Option<(&str, Labels, Vec<Option<i64>>)> = None;
    for (i, text) in block.iter().enumerate().skip(1) {
        // `metric{…}@st <offsets>` gives the start timestamps of the series on the next line.
        let of_starts = text.split_once(char::is_whitespace).filter(|(m, _)| m.ends_with("@st"));
        if let Some((metric, offsets)) = of_starts {
            if let Some((metric, ..)) = pending {
                return Err(no_samples(line, metric));
            }
            let metric = metric.trim_end_matches("@st");
            let labels = parse_metric(metric).map_err(|e| at_line(line + i, e))?.0;
            let starts = parse_starts(offsets).map_err(|e| at_line(line + i, e))?;
            pending = Some((metric, labels, starts));
            continue;
        }
        let parsed = parse_series(text).map_err(|e| at_line(line + i, e))?;
        let mut of_points = Vec::new();
        if let Some((metric, labels, starts)) = pending.take() {
            if labels != parsed.labels || starts.len() != parsed.points.len() {
                let what =
                    format!("cannot load {metric}: its start timestamps are not those of the next line");
                return Err(at_line(line + i, Error::invalid(what)));
            }
            of_points = starts;
        }
        series.push((parsed, of_points));
    }
    match pending {
        Some((metric, ..)) => Err(no_samples(line, metric)),
        None => Ok(Load { step_ms, with_nhcb, series }),
    }
}

fn no_samples(line: usize, metric: &str) -> Error {
    at_line(line, Error::invalid(format!("cannot load {metric}: no samples follow @st")))
}

fn milliseconds(text: &str) -> Result<i64> {
    let d = parse_duration(text)?;
    i64::try_from(d.as_millis()).map_err(|_| Error::invalid(format!("duration out of range: {text:?}")))
}

fn parse_eval(block: &[&str], line: usize) -> Result<Eval> {
    let mut words = Words { rest: block[0] };
    let command = words.next();
    let modifier = command.strip_prefix("eval").unwrap_or_default().trim_start_matches('_');
    let (when, query) = parse_when(&mut words).map_err(|e| at_line(line, e))?;
    let mut eval = Eval {
        line,
        query: query.to_owned(),
        when,
        fail: (modifier == "fail").then_some(Expectation::Any),
        warnings: Vec::new(),
        infos: Vec::new(),
        some_warning: modifier == "warn",
        some_info: modifier == "info",
        no_warning: false,
        no_info: false,
        ordered: modifier == "ordered",
        scalar: None,
        string: None,
        series: Vec::new(),
        range_vector: None,
    };
    for (i, text) in block.iter().enumerate().skip(1) {
        eval.detail(text).map_err(|e| at_line(line + i, e))?;
    }
    Ok(eval)
}

fn parse_when<'t>(words: &mut Words<'t>) -> Result<(When, &'t str)> {
    let want = |words: &mut Words<'t>, word: &str| {
        let found = words.next();
        if found == word {
            Ok(())
        } else {
            Err(Error::invalid(format!("cannot read eval: want {word:?}, got {found:?}")))
        }
    };
    match words.next() {
        "instant" => {
            let t_ms = match words.peek() {
                "at" => {
                    want(words, "at")?;
                    milliseconds(words.next())?
                }
                _ => 0,
            };
            Ok((When::Instant(t_ms), words.rest))
        }
        "range" => Ok((When::Range(parse_grid(words)?), words.rest)),
        other => Err(Error::invalid(format!("cannot read eval: want instant or range, got {other:?}"))),
    }
}

/// `from <start> to <end> step <step>`
fn parse_grid(words: &mut Words<'_>) -> Result<Grid> {
    let mut number = |word: &str| {
        let found = words.next();
        if found != word {
            return Err(Error::invalid(format!("cannot read eval: want {word:?}, got {found:?}")));
        }
        milliseconds(words.next())
    };
    let (start_ms, end_ms, step_ms) = (number("from")?, number("to")?, number("step")?);
    if end_ms < start_ms {
        return Err(Error::invalid("cannot evaluate: the end is before the start"));
    }
    Ok(Grid { start_ms, end_ms, step_ms })
}

impl Eval {
    /// Reads a line after that of the command.
    fn detail(&mut self, text: &str) -> Result<()> {
        if let Some(message) = text.strip_prefix("expected_fail_message") {
            self.fail = Some(Expectation::Text(message.trim().to_owned()));
            return Ok(());
        }
        if let Some(pattern) = text.strip_prefix("expected_fail_regexp") {
            self.fail = Some(Expectation::Regex(compile(pattern.trim())?));
            return Ok(());
        }
        if let Some(expectation) = text.strip_prefix("expect ") {
            return self.expect(expectation.trim());
        }
        if let Some(v) = parse_number(text) {
            self.scalar = Some(v);
            return Ok(());
        }
        let series = parse_series(text)?;
        if series.points.len() > 1 && matches!(self.when, When::Instant(_)) && self.range_vector.is_none() {
            return Err(Error::invalid(
                "cannot expect several values of an instant query that is no range vector",
            ));
        }
        self.series.push(series);
        Ok(())
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if let Some(range) = text.strip_prefix("range vector") {
            self.range_vector = Some(parse_grid(&mut Words { rest: range.trim() })?);
            return Ok(());
        }
        if let Some(literal) = text.strip_prefix("string") {
            let value = unquote(literal.trim()).filter(|_| !literal.trim().is_empty());
            let bad = || Error::invalid(format!("cannot expect string {literal:?}: it is not quoted"));
            self.string = Some(value.ok_or_else(bad)?);
            return Ok(());
        }
        let (kind, message) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let message = message.trim();
        let expectation = match message.split_once(':') {
            Some(("msg", text)) => Expectation::Text(text.trim().to_owned()),
            Some(("regex", pattern)) => Expectation::Regex(compile(pattern.trim())?),
            None if message.is_empty() => Expectation::Any,
            _ => return Err(Error::invalid(format!("cannot expect {text:?}: want msg: or regex:"))),
        };
        match kind {
            "ordered" => self.ordered = true,
            "fail" => self.fail = Some(expectation),
            "warn" => self.warnings.push(expectation),
            "info" => self.infos.push(expectation),
            "no_warn" => self.no_warning = true,
            "no_info" => self.no_info = true,
            _ => return Err(Error::invalid(format!("cannot expect {kind:?}: no such expectation"))),
        }
        Ok(())
    }
}

fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| Error::invalid(format!("cannot compile {pattern:?}: {e}")))
}

/// Words of a line, one after the other.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    fn peek(&self) -> &'t str {
        self.rest.split_whitespace().next().unwrap_or_default()
    }

    fn next(&mut self) -> &'t str {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_their_details() {
        let script = Script::parse(
            "# a comment\nload 5m\n  x 1 2\n  y@st -1m\n  y 3\n\nclear\neval instant at 10m sum(x)\n  expect no_warn\n  \
             {} 1\neval range from 0 to 10m step 5m x\n\neval_fail instant at 0 y\n  expected_fail_message no",
        );
        // Details end at an empty line, so that the second query is taken for a series.
        assert!(script.is_err());
        let script = Script::parse(
            "load 5m\n  x 1 2\n  y@st -1m\n  y 3\n\nclear\n\neval instant at 10m sum(x)\n  expect no_warn\n  {} 1\n\n\
             eval range from 0 to 10m step 5m x\n  expect warn msg: a: b\n\neval_fail instant at 0 y\n  \
             expected_fail_message no\n",
        )
        .unwrap();
        let [Command::Load(load), Command::Clear, Command::Eval(a), Command::Eval(b), Command::Eval(c)] =
            &script.commands[..]
        else {
            panic!("{script:?}")
        };
        assert_eq!(load.step_ms, 300_000);
        assert_eq!((&load.series[0].1, &load.series[1].1), (&vec![], &vec![Some(-60_000)]));
        assert_eq!((a.query.as_str(), a.no_warning, a.series.len(), a.line), ("sum(x)", true, 1, 8));
        assert!(matches!(b.when, When::Range(Grid { step_ms: 300_000, .. })));
        assert!(b.warnings[0].matches("a: b"));
        assert!(c.fail.as_ref().is_some_and(|f| f.matches("no") && !f.matches("yes")));
    }

    #[test]
    fn errors_name_their_line() {
        let e = Script::parse("\nload 5m\n  x 1y\n").unwrap_err();
        assert!(e.message().starts_with("line 3: "), "{e}");
        assert!(Script::parse("lode 5m").is_err());
        assert!(Script::parse("eval instant at x y").is_err());
    }
}
