//! Moments and spans as Go's package time has them: layouts, text forms, and the methods that templates call. Everything
//! is in UTC.

use std::fmt;

use crate::function::Param;
use crate::value::Value;

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Seconds from the year 1, Go's zero time, to 1970.
const YEAR_ONE: i64 = -62_135_596_800;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A span of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

/// A moment, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoTime(pub i128);

/// The parts of a moment on the calendar.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    year_day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
}

impl GoTime {
    /// A moment in milliseconds since 1970.
    pub fn from_ms(ms: i64) -> Self {
        Self(i128::from(ms) * 1_000_000)
    }

    /// Go's zero time, the first moment of the year 1.
    pub fn zero() -> Self {
        Self(i128::from(YEAR_ONE) * i128::from(SECOND))
    }

    fn seconds(self) -> i64 {
        self.0.div_euclid(i128::from(SECOND)) as i64
    }

    fn civil(self) -> Civil {
        let seconds = self.seconds();
        let days = seconds.div_euclid(DAY_SECONDS);
        let rest = seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month: month as usize,
            day,
            year_day: days - days_from_civil(year, 1, 1) + 1,
            weekday: (days + 4).rem_euclid(7) as usize,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            nanosecond: self.0.rem_euclid(i128::from(SECOND)) as i64,
        }
    }

    /// The moment in a layout, which shows how `Mon Jan 2 15:04:05 MST 2006` would be written.
    pub fn format(self, layout: &str) -> String {
        let civil = self.civil();
        let mut out = String::with_capacity(layout.len() + 8);
        let mut rest = layout;
        while !rest.is_empty() {
            let length = write_element(rest, &civil, &mut out);
            let step = if length > 0 {
                length
            } else {
                let c = rest.chars().next().expect("the rest is not empty");
                out.push(c);
                c.len_utf8()
            };
            rest = &rest[step..];
        }
        out
    }

    /// The moment `years`, `months` and `days` later, days over the end of a month running into the next.
    fn add_date(self, years: i64, months: i64, days: i64) -> Option<Self> {
        let civil = self.civil();
        let months = i64::try_from(civil.month).ok()?.checked_sub(1)?.checked_add(months)?;
        let year = civil.year.checked_add(years)?.checked_add(months.div_euclid(12))?;
        if !(-100_000..100_000).contains(&year) || days.abs() > 100_000_000 {
            return None;
        }
        let day = days_from_civil(year, months.rem_euclid(12) + 1, 1) + civil.day - 1 + days;
        let within = self.0.rem_euclid(i128::from(DAY_SECONDS * SECOND));
        Some(Self(i128::from(day) * i128::from(DAY_SECONDS * SECOND) + within))
    }

    /// Down to a multiple of `d` since the zero time.
    fn truncate(self, d: GoDuration) -> Self {
        if d.0 <= 0 { self } else { Self(self.0 - (self.0 - Self::zero().0).rem_euclid(i128::from(d.0))) }
    }

    fn round(self, d: GoDuration) -> Self {
        if d.0 <= 0 { self } else { Self(self.0 + i128::from(d.0) / 2).truncate(d) }
    }
}

impl fmt::Display for GoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

/// Writes the element of a layout that `rest` starts with and returns its length, or 0.
fn write_element(rest: &str, c: &Civil, out: &mut String) -> usize {
    // Longer spellings stand before those that they begin with.
    const ELEMENTS: [&str; 34] = [
        "January",
        "Jan",
        "Monday",
        "Mon",
        "MST",
        "2006",
        "__2",
        "_2006",
        "_2",
        "002",
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "15",
        "Z07:00:00",
        "Z070000",
        "Z07:00",
        "Z0700",
        "Z07",
        "-07:00:00",
        "-070000",
        "-07:00",
        "-0700",
        "-07",
        "PM",
        "pm",
        "1",
        "2",
        "3",
        "4",
        "5",
    ];
    if rest.starts_with(['.', ',']) {
        return write_fraction(rest, c.nanosecond, out);
    }
    let Some(element) = ELEMENTS.into_iter().find(|e| rest.starts_with(e)) else { return 0 };
    let twelve = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
    let month = MONTHS[c.month - 1];
    // "Jan" and "Mon" only stand for themselves where no other word goes on.
    let word_goes_on = rest[element.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    let text = match element {
        "January" => month.into(),
        "Jan" | "Mon" if word_goes_on => return 0,
        "Jan" => month[..3].into(),
        "Monday" => DAYS[c.weekday].into(),
        "Mon" => DAYS[c.weekday][..3].into(),
        "MST" => "UTC".into(),
        "2006" => format!("{:04}", c.year),
        "_2006" => format!("_{:04}", c.year),
        "__2" => format!("{:>3}", c.year_day),
        "002" => format!("{:03}", c.year_day),
        "_2" => format!("{:>2}", c.day),
        "01" => format!("{:02}", c.month),
        "02" => format!("{:02}", c.day),
        "03" => format!("{twelve:02}"),
        "04" => format!("{:02}", c.minute),
        "05" => format!("{:02}", c.second),
        "06" => format!("{:02}", c.year.rem_euclid(100)),
        "15" => format!("{:02}", c.hour),
        "PM" => if c.hour >= 12 { "PM" } else { "AM" }.into(),
        "pm" => if c.hour >= 12 { "pm" } else { "am" }.into(),
        "1" => c.month.to_string(),
        "2" => c.day.to_string(),
        "3" => twelve.to_string(),
        "4" => c.minute.to_string(),
        "5" => c.second.to_string(),
        "-07:00:00" => "+00:00:00".into(),
        "-070000" => "+000000".into(),
        "-07:00" => "+00:00".into(),
        "-0700" => "+0000".into(),
        "-07" => "+00".into(),
        // UTC is all that is left.
        _ => "Z".into(),
    };
    out.push_str(&text);
    element.len()
}

/// `.000` writes the digits, `.999` leaves out zeros at the end.
fn write_fraction(rest: &str, nanosecond: i64, out: &mut String) -> usize {
    let digit = rest[1..].chars().next();
    let Some(kind @ ('0' | '9')) = digit else { return 0 };
    let count = rest[1..].bytes().take_while(|b| *b == kind as u8).count();
    if count > 9 || rest[1 + count..].starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    let digits = format!("{nanosecond:09}");
    let mut fraction = &digits[..count];
    if kind == '9' {
        fraction = fraction.trim_end_matches('0');
    }
    if !fraction.is_empty() {
        out.push_str(&rest[..1]);
        out.push_str(fraction);
    }
    1 + count
}

/// Days since 1970 of a day on the Gregorian calendar, by Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl fmt::Display for GoDuration {
    /// `1h2m3.5s`; below a second the unit that leaves a digit before the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ns = self.0.unsigned_abs();
        let fraction = |value: u64, unit: u64| {
            let digits = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
            let digits = digits.trim_end_matches('0');
            let point = if digits.is_empty() { "" } else { "." };
            format!("{}{point}{digits}", value / unit)
        };
        match ns {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{sign}{ns}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", fraction(ns, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", fraction(ns, 1_000_000)),
            _ => {
                let minutes = ns / 60_000_000_000;
                f.write_str(sign)?;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", fraction(ns % 60_000_000_000, 1_000_000_000))
            }
        }
    }
}

/// The parameters of a method of a moment.
pub(crate) fn time_method(name: &str) -> Option<&'static [Param]> {
    Some(match name {
        "Format" => &[Param::String],
        "Add" | "Truncate" | "Round" => &[Param::Duration],
        "Sub" | "Before" | "After" | "Equal" | "Compare" => &[Param::Time],
        "AddDate" => &[Param::Int, Param::Int, Param::Int],
        "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Hour" | "Minute"
        | "Second" | "Nanosecond" | "Weekday" | "YearDay" | "UTC" | "IsZero" | "String" => &[],
        _ => return None,
    })
}

/// Calls a method that [`time_method`] knows, with arguments of its parameters' types.
pub(crate) fn call_time(t: GoTime, name: &str, args: &[Value]) -> Result<Value, String> {
    let civil = t.civil();
    let number = |v: i64| Ok(Value::Int(v));
    let unix = |unit: i64| number(t.0.div_euclid(i128::from(unit)) as i64);
    match (name, args) {
        ("Format", [Value::String(layout)]) => Ok(Value::string(t.format(layout))),
        ("Add", [Value::Duration(d)]) => Ok(Value::Time(GoTime(t.0 + i128::from(d.0)))),
        ("Truncate", [Value::Duration(d)]) => Ok(Value::Time(t.truncate(*d))),
        ("Round", [Value::Duration(d)]) => Ok(Value::Time(t.round(*d))),
        ("Sub", [Value::Time(other)]) => {
            let ns = (t.0 - other.0).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Ok(Value::Duration(GoDuration(ns as i64)))
        }
        ("Before", [Value::Time(other)]) => Ok(Value::Bool(t < *other)),
        ("After", [Value::Time(other)]) => Ok(Value::Bool(t > *other)),
        ("Equal", [Value::Time(other)]) => Ok(Value::Bool(t == *other)),
        ("Compare", [Value::Time(other)]) => number(t.cmp(other) as i64),
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
            t.add_date(*years, *months, *days).map(Value::Time).ok_or_else(|| "time out of range".to_owned())
        }
        ("Unix", _) => unix(SECOND),
        ("UnixMilli", _) => unix(1_000_000),
        ("UnixMicro", _) => unix(1_000),
        ("UnixNano", _) => unix(1),
        ("Year", _) => number(civil.year),
        ("Month", _) => Ok(Value::string(MONTHS[civil.month - 1])),
        ("Day", _) => number(civil.day),
        ("Hour", _) => number(civil.hour),
        ("Minute", _) => number(civil.minute),
        ("Second", _) => number(civil.second),
        ("Nanosecond", _) => number(civil.nanosecond),
        ("Weekday", _) => Ok(Value::string(DAYS[civil.weekday])),
        ("YearDay", _) => number(civil.year_day),
        ("UTC", _) => Ok(Value::Time(t)),
        ("IsZero", _) => Ok(Value::Bool(t == GoTime::zero())),
        _ => Ok(Value::string(t.to_string())),
    }
}

/// The parameters of a method of a span.
pub(crate) fn duration_method(name: &str) -> Option<&'static [Param]> {
    Some(match name {
        "Truncate" | "Round" => &[Param::Duration],
        "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "Abs"
        | "String" => &[],
        _ => return None,
    })
}

/// Calls a method that [`duration_method`] knows, with arguments of its parameters' types.
pub(crate) fn call_duration(d: GoDuration, name: &str, args: &[Value]) -> Value {
    let unit = match args {
        [Value::Duration(unit)] if unit.0 > 0 => unit.0,
        _ => 1,
    };
    let truncated = d.0 - d.0 % unit;
    match name {
        "Truncate" => Value::Duration(GoDuration(truncated)),
        "Round" => {
            // Halves go away from zero.
            let up = (d.0 % unit).unsigned_abs() >= unit.unsigned_abs().div_ceil(2) && d.0 % unit != 0;
            let rounded = if up { truncated.saturating_add(unit * d.0.signum()) } else { truncated };
            Value::Duration(GoDuration(rounded))
        }
        "Hours" => Value::Float(d.0 as f64 / 3600e9),
        "Minutes" => Value::Float(d.0 as f64 / 60e9),
        "Seconds" => Value::Float(d.0 as f64 / 1e9),
        "Milliseconds" => Value::Int(d.0 / 1_000_000),
        "Microseconds" => Value::Int(d.0 / 1_000),
        "Nanoseconds" => Value::Int(d.0),
        "Abs" => Value::Duration(GoDuration(d.0.saturating_abs())),
        _ => Value::string(d.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_gos_form() {
        let t = GoTime::from_ms(1_435_065_584_128);
        assert_eq!(t.to_string(), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(
            t.format("Mon, 02 Jan 06 3:04PM Z07:00 .000 __2 January Monday"),
            "Tue, 23 Jun 15 1:19PM Z .128 174 June Tuesday"
        );
        assert_eq!(GoTime::zero().to_string(), "0001-01-01 00:00:00 +0000 UTC");
        assert_eq!(GoTime(-1).to_string(), "1969-12-31 23:59:59.999999999 +0000 UTC");
    }

    #[test]
    fn the_calendar_agrees_with_its_inverse() {
        for day in (-800_000..800_000).step_by(17) {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day, "{y}-{m}-{d}");
        }
        let leap = GoTime::from_ms(951_782_400_000);
        assert_eq!(leap.format("2006-01-02"), "2000-02-29");
        assert_eq!(leap.add_date(1, 0, 0).map(|t| t.format("2006-01-02")), Some("2001-03-01".into()));
    }

    #[test]
    fn spans_have_gos_form() {
        for (ns, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (-2_000_000, "-2ms"),
            (1_800_000_000_000, "30m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
            (86_400_000_000_000, "24h0m0s"),
        ] {
            assert_eq!(GoDuration(ns).to_string(), text);
        }
        assert!(matches!(
            call_duration(GoDuration(1_499_999_999), "Round", &[Value::Duration(GoDuration(SECOND))]),
            Value::Duration(GoDuration(SECOND))
        ));
    }
}
