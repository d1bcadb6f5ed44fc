//! Functions of dates: `hour`, `day_of_week` and their kind, all in UTC.

use base::{Error, Labels, Result};

use super::elementwise;
use crate::Function;
use crate::eval::column::{Column, Frame};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;

/// Evaluates a function of a date: of the values of its argument, or without one of the time of the step.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
) -> Result<Frame> {
    let part: fn(i64) -> i64 = match function {
        Function::DaysInMonth => |s| days_in_month(civil(s)),
        Function::DayOfMonth => |s| civil(s).day,
        Function::DayOfWeek => |s| (s.div_euclid(DAY) + 4).rem_euclid(7),
        Function::DayOfYear => |s| s.div_euclid(DAY) - days_from_civil(civil(s).year, 1, 1) + 1,
        Function::Hour => |s| s.rem_euclid(DAY) / 3600,
        Function::Minute => |s| s.rem_euclid(3600) / 60,
        Function::Month => |s| civil(s).month,
        Function::Year => |s| civil(s).year,
        other => return Err(Error::internal(format!("cannot evaluate {}()", other.name()))),
    };
    let Some(arg) = args.first() else {
        let values = node.steps.times().map(|t| part(t / 1000) as f64).collect();
        return Ok(vec![Column::floats(Labels::empty(), false, values)]);
    };
    let mut frame = Frame::new();
    elementwise::stream(
        ev,
        arg,
        &mut |_, column| {
            frame.push(column);
            Ok(())
        },
        &mut |_, column| {
            column.map(|v| part((v as i64).clamp(-MAX_SECONDS, MAX_SECONDS)) as f64);
            Ok(())
        },
    )?;
    Ok(frame)
}

const DAY: i64 = 86_400;

/// Beyond some 292 thousand million years there is no calendar to speak of, and days no longer fit.
const MAX_SECONDS: i64 = i64::MAX / 16;

/// A date of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

/// The date of a time in seconds since the epoch, after Howard Hinnant's `civil_from_days`: years begin in March, in
/// eras of 400 years.
fn civil(seconds: i64) -> Civil {
    let z = seconds.div_euclid(DAY) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day: day_of_year - (153 * shifted_month + 2) / 5 + 1 }
}

/// Days from the epoch to a date; the inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(date: Civil) -> i64 {
    match date.month {
        4 | 6 | 9 | 11 => 30,
        2 if date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A time in seconds since the epoch as RFC 3339 writes it.
pub fn rfc3339(seconds: i64) -> String {
    let Civil { year, month, day } = civil(seconds);
    let of_day = seconds.rem_euclid(DAY);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_136_239_445, "2006-01-02T22:04:05Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            let c = civil(seconds);
            assert_eq!(days_from_civil(c.year, c.month, c.day), i64::div_euclid(seconds, DAY));
        }
        assert_eq!(days_in_month(civil(951_782_400)), 29);
    }
}
