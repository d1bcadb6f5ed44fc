//! `bellwether check metrics`: what is unwise about metrics, and how many series they have.

use collect::exposition::{Cardinality, Problem, cardinality, lint};
use serde_json::json;

use super::args::{Format, Metrics};
use crate::report::{FAILURE, LINT, Report, SUCCESS};

/// Checks metrics in Prometheus' text format.
pub(super) fn run(options: &Metrics, body: &[u8]) -> Report {
    let mut report = Report::with_code(FAILURE);
    let lints = options.lint != "none";
    if !lints && !options.extended {
        report.err("cannot check metrics: neither --extended nor linting is asked for");
        return report;
    }
    let problems = if lints { lint(body) } else { Ok(Vec::new()) };
    let counted = if options.extended { cardinality(body) } else { Ok(Vec::new()) };
    let (problems, counted) = match (problems, counted) {
        (Ok(problems), Ok(counted)) => (problems, counted),
        (Err(e), _) | (_, Err(e)) => {
            report.err(format_args!(
                "error while linting: text format parsing error in line {}: {}",
                e.line, e.message
            ));
            return report;
        }
    };
    match options.format {
        Format::Text => say(&problems, options.extended.then_some(&counted), &mut report),
        Format::Json => {
            report.out(format_args!("{:#}", as_json(&problems, options.extended.then_some(&counted))));
        }
    }
    report.code = if problems.is_empty() { SUCCESS } else { LINT };
    report
}

fn say(problems: &[Problem], counted: Option<&Vec<Cardinality>>, report: &mut Report) {
    for problem in problems {
        report.err(format_args!("{} {}", problem.metric, problem.text));
    }
    let Some(counted) = counted else { return };
    let total: usize = counted.iter().map(|c| c.series).sum();
    let mut rows = vec![["Metric".to_owned(), "Cardinality".to_owned(), "Percentage".to_owned()]];
    for metric in counted {
        let share = metric.series as f64 / total as f64 * 100.0;
        rows.push([metric.metric.clone(), metric.series.to_string(), format!("{share:.2}%")]);
    }
    rows.push(["Total".to_owned(), total.to_string(), "100%".to_owned()]);
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0) + 4;
    let [name, count, share] = [width(0), width(1), width(2)];
    for [a, b, c] in &rows {
        report.out(format!("{a:<name$}{b:<count$}{c:<share$}"));
    }
}

fn as_json(problems: &[Problem], counted: Option<&Vec<Cardinality>>) -> serde_json::Value {
    let found: Vec<_> = problems.iter().map(|p| json!({ "metric": p.metric, "text": p.text })).collect();
    let series = counted
        .map(|all| all.iter().map(|c| json!({ "metric": c.metric, "series": c.series })).collect::<Vec<_>>());
    json!({ "problems": found, "cardinality": series })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "# HELP testMetric_CamelCase A test metric with camelCase\n\
                        # TYPE testMetric_CamelCase gauge\ntestMetric_CamelCase{label=\"value1\"} 1\n";

    fn check(body: &str, extended: bool, lint: &str, format: Format) -> Report {
        run(&Metrics { extended, lint: lint.into(), format }, body.as_bytes())
    }

    #[test]
    fn unwise_names_are_told_of_and_series_counted() {
        let r = check(BODY, true, "all", Format::Text);
        assert_eq!(r.code, LINT);
        assert_eq!(
            r.err_text(),
            "testMetric_CamelCase metric names should be written in 'snake_case' not 'camelCase'\n"
        );
        assert_eq!(
            r.out_text(),
            "Metric                  Cardinality    Percentage    \n\
             testMetric_CamelCase    1              100.00%       \n\
             Total                   1              100%          \n"
        );
        assert_eq!(check(BODY, true, "none", Format::Text).code, SUCCESS);
        assert_eq!(check(BODY, false, "none", Format::Text).code, FAILURE);
        let json: serde_json::Value =
            serde_json::from_str(&check(BODY, true, "all", Format::Json).out_text()).unwrap();
        assert_eq!(json["cardinality"][0]["series"], 1);
    }

    #[test]
    fn what_is_no_exposition_is_an_error_with_its_line() {
        let r = check("a 1\nb{\n", false, "all", Format::Text);
        assert_eq!(r.code, FAILURE);
        assert!(
            r.err_text().starts_with("error while linting: text format parsing error in line 2: "),
            "{r:?}"
        );
    }
}
