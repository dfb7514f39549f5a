//! Functions of times and spans.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::Outcome;
use crate::cel::eval::{failed, no_overload};
use crate::cel::value::Value;

/// A time as it is called at a place (`Europe/Berlin`) or at an offset (`+02:00`); cel-go `common/types/timestamp.go`.
fn at(time: Timestamp, zone: &str) -> Result<Zoned, String> {
    let Some((hours, minutes)) = zone.split_once(':') else {
        return Ok(time.to_zoned(place(zone)?));
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minutes = if zone.starts_with('-') {
        hours * 60 - minutes
    } else {
        hours * 60 + minutes
    };
    let moved = SignedDuration::from_secs(minutes * 60);
    let time = time
        .checked_add(moved)
        .map_err(|_| "timestamp overflow".to_owned())?;
    Ok(time.to_zoned(TimeZone::UTC))
}

/// A place in the machine's database of zones, where case counts as it does in Go (`time.LoadLocation`).
fn place(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => return Ok(TimeZone::UTC),
        "Local" => return Ok(TimeZone::system()),
        _ => {}
    }
    if name.contains("..") || name.starts_with(['/', '\\']) {
        return Err("time: invalid location name".to_owned());
    }
    TimeZone::get(name)
        .ok()
        .filter(|zone| zone.iana_name() == Some(name))
        .ok_or_else(|| format!("unknown time zone {name}"))
}

/// A number as Go's `strconv.Atoi` takes it, small enough to count minutes with.
fn number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
    }
    match text.parse::<i64>() {
        Ok(number) if number.abs() < i64::from(i32::MAX) => Ok(number),
        _ => Err(format!(
            "strconv.Atoi: parsing {text:?}: value out of range"
        )),
    }
}

pub(super) fn call<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    if !name.starts_with("get") {
        return None;
    }
    match all {
        [Value::Duration(span)] => {
            let nanos = span.as_nanos();
            let count = match name {
                "getHours" => nanos / 3_600_000_000_000,
                "getMinutes" => nanos / 60_000_000_000,
                "getSeconds" => nanos / 1_000_000_000,
                "getMilliseconds" => nanos / 1_000_000 % 1000,
                _ => return Some(Err(no_overload())),
            };
            Some(Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX))))
        }
        [Value::Timestamp(time), rest @ ..] => {
            let zone = match rest {
                [] => "UTC",
                [Value::Text(name)] => name,
                _ => return Some(Err(no_overload())),
            };
            let time = match at(*time, zone) {
                Ok(time) => time,
                Err(problem) => return Some(Err(failed(problem))),
            };
            let count = match name {
                "getFullYear" => i64::from(time.year()),
                "getMonth" => i64::from(time.month()) - 1,
                "getDate" => i64::from(time.day()),
                "getDayOfMonth" => i64::from(time.day()) - 1,
                "getDayOfWeek" => i64::from(time.weekday().to_sunday_zero_offset()),
                "getDayOfYear" => i64::from(time.day_of_year()) - 1,
                "getHours" => i64::from(time.hour()),
                "getMinutes" => i64::from(time.minute()),
                "getSeconds" => i64::from(time.second()),
                "getMilliseconds" => i64::from(time.millisecond()),
                _ => return Some(Err(no_overload())),
            };
            Some(Ok(Value::Int(count)))
        }
        _ => None,
    }
}
