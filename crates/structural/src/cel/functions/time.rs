//! Functions of times and spans.

use jiff::tz::TimeZone;

use super::Outcome;
use crate::cel::eval::{failed, no_overload};
use crate::cel::value::Value;

/// `UTC` or an offset such as `+02:00`; names of places need a database, which is not there.
fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Z" | "") {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match name.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, name.strip_prefix('+').unwrap_or(name)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60);
    Some(TimeZone::fixed(
        jiff::tz::Offset::from_seconds(seconds).ok()?,
    ))
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
                [] => Some(TimeZone::UTC),
                [Value::Text(name)] => zone(name),
                _ => None,
            };
            let Some(zone) = zone else {
                return Some(Err(failed("unknown time zone")));
            };
            let time = time.to_zoned(zone);
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
