//! HTTP dates (RFC 9110 section 5.6.7): one form is written, all three are read.

use crate::time::Time;
use jiff::civil::{Date, DateTime, Weekday};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes `at` as an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`. An instant outside the years 1-9999
/// (a file can claim one) is written as the epoch.
pub fn format(at: Time) -> String {
    let stamp = jiff::Timestamp::from_second(at.seconds()).unwrap_or_default();
    let local = jiff::tz::Offset::UTC.to_datetime(stamp);
    let local = if (1..=9999).contains(&local.year()) { local } else { DateTime::constant(1970, 1, 1, 0, 0, 0, 0) };
    let day = DAYS[usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0) % 7];
    let month = MONTHS[usize::try_from(local.month() - 1).unwrap_or(0) % 12];
    let (hour, minute, second) = (local.hour(), local.minute(), local.second());
    format!("{day}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", local.day(), local.year())
}

/// Reads any of the three forms. `now` settles the century of the two-digit years of RFC 850: more than
/// fifty years ahead means the past. Anything else, a wrong weekday included, is no date.
pub fn parse(text: &str, now: Time) -> Option<Time> {
    let parts: Vec<&str> = text.split(' ').collect();
    match parts.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [day, date, month, year, clock, "GMT"] => {
            build(day.strip_suffix(',')?, &DAYS, number(date, 2)?, month, number(year, 4)?, clock)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        [day, date, clock, "GMT"] => {
            let mut date = date.split('-');
            let (date, month, year, None) = (date.next()?, date.next()?, date.next()?, date.next()) else {
                return None;
            };
            let short = number(year, 2)?;
            let this_year =
                i32::from(jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(now.seconds()).ok()?).year());
            let mut year = this_year - this_year % 100 + short;
            if year > this_year + 50 {
                year -= 100;
            }
            build(day.strip_suffix(',')?, &LONG_DAYS, number(date, 2)?, month, year, clock)
        }
        // Sun Nov  6 08:49:37 1994
        [day, month, "", date, clock, year] => build(day, &DAYS, number(date, 1)?, month, number(year, 4)?, clock),
        [day, month, date, clock, year] => build(day, &DAYS, number(date, 2)?, month, number(year, 4)?, clock),
        _ => None,
    }
}

fn build(day: &str, days: &[&str; 7], date: i32, month: &str, year: i32, clock: &str) -> Option<Time> {
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(date).ok()?).ok()?;
    let weekday = days.iter().position(|name| *name == day)?;
    if date.weekday() != Weekday::from_monday_zero_offset(i8::try_from(weekday).ok()?).ok()? {
        return None;
    }
    let mut clock = clock.split(':');
    let (hour, minute, second, None) = (clock.next()?, clock.next()?, clock.next()?, clock.next()) else {
        return None;
    };
    // A leap second is a legal time that our clock does not have: it counts as the second before.
    let second = number(second, 2).filter(|second| *second <= 60)?.min(59);
    let (hour, minute) = (i8::try_from(number(hour, 2)?).ok()?, i8::try_from(number(minute, 2)?).ok()?);
    let time = jiff::civil::Time::new(hour, minute, i8::try_from(second).ok()?, 0).ok()?;
    let stamp = jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Time::from_seconds(stamp.as_second()))
}

fn number(text: &str, digits: usize) -> Option<i32> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Time = Time(1_795_000_000_000);
    const EXAMPLE: Time = Time(784_111_777_000);

    #[test]
    fn the_three_forms_of_the_rfc_are_one_instant() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text, NOW), Some(EXAMPLE), "{text}");
        }
        assert_eq!(format(EXAMPLE), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn what_is_nearly_a_date_is_none() {
        for text in [
            "",
            "yesterday",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Thu, 31 Feb 1994 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov -994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text, NOW), None, "{text:?}");
        }
    }

    #[test]
    fn an_instant_no_calendar_holds_is_the_epoch() {
        assert_eq!(format(Time(i64::MAX)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(Time(i64::MIN)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in -60_000_000_000_i64..250_000_000_000) {
            let at = Time::from_seconds(seconds);
            prop_assert_eq!(parse(&format(at), NOW), Some(at));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[SunModayGT0-9,: -]{0,40}") {
            let _ = parse(&text, NOW);
        }
    }
}
