//! Schedules of CronJobs: five fields, or a word such as `@daily`.
//!
//! Only whether a text is a schedule matters here, and how the real server says why not (robfig/cron v3, `parser.go`).

/// A field: its bounds and the names of its numbers.
struct Field {
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        least: 0,
        most: 23,
        names: &[],
    },
    Field {
        least: 1,
        most: 31,
        names: &[],
    },
    Field {
        least: 1,
        most: 12,
        names: &[
            "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        least: 0,
        most: 6,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// What is wrong with a schedule.
pub(super) fn parse(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    let mut rest = text;
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        let (zone, after) = text.split_once(' ').unwrap_or((text, ""));
        let zone = zone.split_once('=').map_or("", |(_, zone)| zone);
        if jiff::tz::TimeZone::get(zone).is_err() {
            return Err(format!(
                "provided bad location {zone}: unknown time zone {zone}"
            ));
        }
        rest = after.trim();
    }
    if rest.starts_with('@') {
        return descriptor(rest);
    }
    let parts: Vec<&str> = rest.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!(
            "expected exactly {} fields, found {}: [{}]",
            FIELDS.len(),
            parts.len(),
            parts.join(" ")
        ));
    }
    for (part, bounds) in parts.iter().zip(&FIELDS) {
        for range in part.split(',') {
            self::range(range, bounds)?;
        }
    }
    Ok(())
}

fn descriptor(text: &str) -> Result<(), String> {
    match text {
        "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly" => {
            Ok(())
        }
        _ => match text.strip_prefix("@every ") {
            Some(every) if is_duration(every) => Ok(()),
            Some(every) => Err(format!(
                "failed to parse duration {text}: time: invalid duration {every:?}"
            )),
            None => Err(format!("unrecognized descriptor: {text}")),
        },
    }
}

/// A duration as Go writes it: `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let Some(digits @ 1..) = digits else {
            return false;
        };
        rest = &rest[digits..];
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let Some(unit) = units
            .iter()
            .filter(|unit| rest.starts_with(**unit))
            .max_by_key(|unit| unit.len())
        else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    true
}

/// `*`, `1`, `1-5`, each perhaps with a step.
fn range(text: &str, bounds: &Field) -> Result<(), String> {
    let mut by_step = text.split('/');
    let span = by_step.next().unwrap_or_default();
    let mut ends = span.split('-');
    let first = ends.next().unwrap_or_default();
    let last = ends.next();
    let (start, mut end) = if matches!(first, "*" | "?") {
        (bounds.least, bounds.most)
    } else {
        let start = number(first, bounds)?;
        let end = match (last, ends.next()) {
            (None, _) => start,
            (Some(last), None) => number(last, bounds)?,
            (Some(_), Some(_)) => return Err(format!("too many hyphens: {text}")),
        };
        (start, end)
    };
    let step = match (by_step.next(), by_step.next()) {
        (None, _) => 1,
        (Some(step), None) => {
            let step = integer(step)?;
            if last.is_none() && !matches!(first, "*" | "?") {
                end = bounds.most;
            }
            step
        }
        (Some(_), Some(_)) => return Err(format!("too many slashes: {text}")),
    };
    if start < bounds.least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({}): {text}",
            bounds.least
        ));
    }
    if end > bounds.most {
        return Err(format!(
            "end of range ({end}) above maximum ({}): {text}",
            bounds.most
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number(text: &str, bounds: &Field) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let named = bounds
        .names
        .iter()
        .position(|name| !name.is_empty() && *name == lower);
    match named {
        Some(number) => Ok(number as u64),
        None => integer(text),
    }
}

fn integer(text: &str) -> Result<u64, String> {
    let number: i64 = text.parse().map_err(|_| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_told_from_other_texts() {
        let check = |text: &str, expected: Result<(), &str>| {
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        };
        check("*/5 * * * *", Ok(()));
        check("0 9-17/2 1,15 jan-mar MON", Ok(()));
        check("@daily", Ok(()));
        check("@every 1h30m", Ok(()));
        check("often", Err("expected exactly 5 fields, found 1: [often]"));
        check(
            "60 * * * *",
            Err("end of range (60) above maximum (59): 60"),
        );
        check(
            "5-1 * * * *",
            Err("beginning of range (5) beyond end of range (1): 5-1"),
        );
        check("@never", Err("unrecognized descriptor: @never"));
        check(
            "x * * * *",
            Err("failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        );
    }
}
