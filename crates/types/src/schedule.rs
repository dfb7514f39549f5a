//! Schedules as settings have them: five fields, or a word such as `@daily`.
//!
//! The language is that of the peer's parser (robfig/cron 1.2, `ParseStandard`), so that what is a schedule there is one
//! here and means the same times. Rust's libraries count days of the week otherwise, want seconds or a zone, or bring a
//! second library for dates.
//!
//! Times are UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::duration;

/// Days looked through for the next time; a 29th of February comes within eight years.
const HORIZON_DAYS: usize = 8 * 366;

/// When something happens, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Every(SignedDuration),
    Fields([Field; 5]),
}

/// The numbers of a field, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    numbers: u64,
    /// Whether it says `*`, which for days means that the other field of days decides.
    any: bool,
}

impl Field {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.numbers >> number & 1 == 1)
    }
}

/// What a field may say.
struct Bounds {
    least: u32,
    most: u32,
    /// Names of the numbers from `least` on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds {
    least: 0,
    most: 59,
    names: &[],
};
const HOURS: Bounds = Bounds {
    least: 0,
    most: 23,
    names: &[],
};
const DAYS: Bounds = Bounds {
    least: 1,
    most: 31,
    names: &[],
};
const MONTHS: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAYS: Bounds = Bounds {
    least: 0,
    most: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty schedule".to_owned());
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ => text,
        };
        if let Some(every) = text.strip_prefix("@every ") {
            let every = duration::parse(every)
                .map_err(|error| format!("failed to parse duration {text}: {error}"))?;
            let every = SignedDuration::from_secs(every.as_secs().max(1));
            return Ok(Self(Kind::Every(every)));
        }
        if text.starts_with('@') {
            return Err(format!("unrecognized descriptor: {text}"));
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(format!(
                "expected exactly 5 fields, found {}: {text}",
                parts.len()
            ));
        };
        Ok(Self(Kind::Fields([
            field(minutes, &MINUTES)?,
            field(hours, &HOURS)?,
            field(days, &DAYS)?,
            field(months, &MONTHS)?,
            field(weekdays, &WEEKDAYS)?,
        ])))
    }

    /// The first time after `now`; `None` if there is none, as for a 30th of February.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Every(every) => {
                let next = now.checked_add(*every).ok()?;
                Timestamp::from_second(next.as_second()).ok()
            }
            Kind::Fields(fields) => next(fields, now),
        }
    }
}

fn next(fields: &[Field; 5], now: Timestamp) -> Option<Timestamp> {
    let [minutes, hours, ..] = fields;
    let from = now
        .checked_add(SignedDuration::from_mins(1))
        .ok()
        .map(|from| TimeZone::UTC.to_datetime(from))?;
    let mut day = from.date();
    let (mut hour, mut minute) = (from.hour(), from.minute());
    for _ in 0..HORIZON_DAYS {
        if is_on(fields, day) {
            while hour < 24 {
                let found = (minute..60).find(|minute| minutes.has(*minute));
                if let (true, Some(minute)) = (hours.has(hour), found) {
                    let at = day.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).ok()?;
                    return Some(at.timestamp());
                }
                (hour, minute) = (hour + 1, 0);
            }
        }
        day = day.tomorrow().ok()?;
        (hour, minute) = (0, 0);
    }
    None
}

/// Either day may fit if both fields name some.
fn is_on([_, _, days, months, weekdays]: &[Field; 5], day: Date) -> bool {
    let of_month = days.has(day.day());
    let of_week = weekdays.has(day.weekday().to_sunday_zero_offset());
    let fits = if days.any || weekdays.any {
        of_month && of_week
    } else {
        of_month || of_week
    };
    months.has(day.month()) && fits
}

/// Ranges separated by commas.
fn field(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut field = Field::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        add(&mut field, part, bounds)?;
    }
    Ok(field)
}

/// `*`, `1`, `1-5`, each perhaps with a step.
fn add(field: &mut Field, text: &str, bounds: &Bounds) -> Result<(), String> {
    let (span, step) = match text.split_once('/') {
        Some((_, step)) if step.contains('/') => return Err(format!("too many slashes: {text}")),
        Some((span, step)) => (span, Some(integer(step)?)),
        None => (text, None),
    };
    let (first, last) = match span.split_once('-') {
        Some((_, last)) if last.contains('-') => return Err(format!("too many hyphens: {text}")),
        Some((first, last)) => (first, Some(last)),
        None => (span, None),
    };
    let is_any = matches!(first, "*" | "?");
    let (start, end) = if is_any {
        (bounds.least, bounds.most)
    } else {
        let start = number(first, bounds)?;
        let end = match last {
            Some(last) => number(last, bounds)?,
            None if step.is_some() => bounds.most,
            None => start,
        };
        (start, end)
    };
    let (least, most) = (bounds.least, bounds.most);
    if start < least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {text}"
        ));
    }
    if end > most {
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {text}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    field.any |= is_any;
    let mut number = start;
    while number <= end {
        field.numbers |= 1 << number;
        number = number.saturating_add(step);
    }
    Ok(())
}

fn number(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_lowercase();
    match (bounds.least..)
        .zip(bounds.names)
        .find(|(_, name)| **name == lower)
    {
        Some((number, _)) => Ok(number),
        None => integer(text),
    }
}

fn integer(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("failed to parse a number from {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &str, now: &str, expected: Option<&str>) {
        let next = Schedule::parse(schedule)
            .unwrap()
            .next(now.parse().unwrap());
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(next, expected, "{schedule} after {now}");
    }

    #[test]
    fn the_next_time_is_after_now_and_the_first_that_fits() {
        let now = "2026-11-30T10:15:30Z"; // a Monday
        check("* * * * *", now, Some("2026-11-30T10:16:00Z"));
        check("15 10 * * *", now, Some("2026-12-01T10:15:00Z"));
        check("*/20 * * * *", now, Some("2026-11-30T10:20:00Z"));
        check("5/20 * * * *", now, Some("2026-11-30T10:25:00Z"));
        check("0 0 * * 0", now, Some("2026-12-06T00:00:00Z"));
        check("0 9-17/4 * * mon-FRI", now, Some("2026-11-30T13:00:00Z"));
        check("0 0 1 Jan *", now, Some("2027-01-01T00:00:00Z"));
        check("0 0 29 2 *", now, Some("2028-02-29T00:00:00Z"));
        check("0 0 30 2 *", now, None);
        check("0 0 31 * ?", now, Some("2026-12-31T00:00:00Z"));
        check(
            "59 23 31 12 *",
            "2026-12-31T23:59:00Z",
            Some("2027-12-31T23:59:00Z"),
        );
        check("@daily", now, Some("2026-12-01T00:00:00Z"));
        check("@weekly", now, Some("2026-12-06T00:00:00Z"));
        check("@every 1h30m", now, Some("2026-11-30T11:45:30Z"));
        check("@every 1ms", now, Some("2026-11-30T10:15:31Z"));
    }

    #[test]
    fn days_of_month_and_week_add_up_unless_one_is_any() {
        let now = "2026-11-30T10:15:30Z";
        check("0 0 10 * 5", now, Some("2026-12-04T00:00:00Z"));
        check("0 0 3 * 5", now, Some("2026-12-03T00:00:00Z"));
        check("0 0 * * 5", now, Some("2026-12-04T00:00:00Z"));
        // In the peer's version of the parser a step does not take `*` away.
        check("0 0 */2 * 5", now, Some("2026-12-11T00:00:00Z"));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "often",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "1-2-3 * * * *",
            "*/0 * * * *",
            "*/2/2 * * * *",
            "-1 * * * *",
            "x * * * *",
            "@never",
            "@every often",
            "@every 5",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Schedule::parse("60 * * * *").unwrap_err(),
            "end of range (60) above maximum (59): 60"
        );
    }
}
