//! UTC dates, as the partition column writes them. After Howard Hinnant's algorithms for the proleptic Gregorian calendar.

use std::ops::Range;

const DAY_MS: i64 = 86_400_000;

/// The milliseconds that have a date: those of the years 1 to 9999. No engine reads a Delta log that names another year, so that a
/// single segment of one would hide all of its table.
pub const DATED_MS: Range<i64> = -62_135_596_800_000..253_402_300_800_000;

/// The UTC date of a time, `yyyy-mm-dd`.
pub fn date(t_ms: i64) -> String {
    let days = t_ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whether a text is a date as [`date`] writes it, of [`DATED_MS`].
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == "yyyy-mm-dd".len() && date_end_ms(text).is_some_and(|end_ms| DATED_MS.start < end_ms)
}

/// The first millisecond after a date; `None` if it is none.
pub(crate) fn date_end_ms(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    if parts.next().is_some()
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || !(0..=9999).contains(&year)
    {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468 + 1) * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar_and_end_where_it_says() {
        for (t_ms, want) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_709_251_199_999, "2024-02-29"),
            (1_709_251_200_000, "2024-03-01"),
            (1_767_225_600_000, "2026-01-01"),
            (4_102_444_800_000, "2100-01-01"),
        ] {
            assert_eq!(date(t_ms), want);
            assert_eq!(date_end_ms(want), Some((t_ms.div_euclid(DAY_MS) + 1) * DAY_MS));
            assert!(is_date(want));
        }
        for bad in ["", "2026-01", "2026-13-01", "2026-01-01-01", "x-y-z", "__HIVE_DEFAULT_PARTITION__"] {
            assert_eq!(date_end_ms(bad), None, "{bad}");
            assert!(!is_date(bad), "{bad}");
        }
        for t_ms in [DATED_MS.start, DATED_MS.end - 1] {
            assert!(is_date(&date(t_ms)), "{}", date(t_ms));
        }
        for t_ms in [DATED_MS.start - 1, DATED_MS.end, i64::MIN, i64::MAX] {
            assert!(!is_date(&date(t_ms)), "{}", date(t_ms));
        }
    }
}
