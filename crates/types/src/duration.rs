//! Durations as people read them and programs write them.

use jiff::SignedDuration;

/// A minute, in seconds.
pub const MINUTE: i64 = 60;
/// An hour, in seconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day, in seconds.
pub const DAY: i64 = 24 * HOUR;
/// A year, in seconds.
pub const YEAR: i64 = 365 * DAY;

/// Whole seconds in the way of `kubectl` (k8s.io/apimachinery `util/duration`): one or two units, fewer the longer it is.
#[must_use]
pub fn short(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let two = |large: (i64, &str), small: (i64, &str)| {
        let rest = seconds % large.0 / small.0;
        let whole = seconds / large.0;
        if rest == 0 {
            format!("{whole}{}", large.1)
        } else {
            format!("{whole}{}{rest}{}", large.1, small.1)
        }
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two((MINUTE, "m"), (1, "s")),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two((HOUR, "h"), (MINUTE, "m")),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two((DAY, "d"), (HOUR, "h")),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two((YEAR, "y"), (DAY, "d")),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Reads a duration as Go's programs write it: `1h30m`, `-1.5s`, `0`.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_i64;
    while !rest.is_empty() && rest != "0" {
        let (whole, after) = split_number(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), split_number);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let scale = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => MINUTE * 1_000_000_000,
            "h" => HOUR * 1_000_000_000,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let part = nanoseconds(whole, fraction, scale).and_then(|part| total.checked_add(part));
        total = part.ok_or_else(invalid)?;
        rest = after;
        if rest == "0" {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
    }
    Ok(SignedDuration::from_nanos(if is_negative {
        -total
    } else {
        total
    }))
}

/// Digits, and what follows.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// `None` if it does not fit into 64 bits.
fn nanoseconds(whole: &str, fraction: &str, scale: i64) -> Option<i64> {
    let mut part: i64 = match whole {
        "" => 0,
        whole => whole.parse().ok()?,
    };
    part = part.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        part = part.checked_add(i64::from(digit - b'0') * place)?;
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let check = |text: &str, expected: Result<i64, &str>| {
            let read = parse(text).map(|read| i64::try_from(read.as_nanos()).unwrap());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        };
        check("0", Ok(0));
        check("-0", Ok(0));
        check("0s", Ok(0));
        check("336h", Ok(336 * HOUR * 1_000_000_000));
        check("336h0m0s", Ok(336 * HOUR * 1_000_000_000));
        check("1h30m", Ok(90 * MINUTE * 1_000_000_000));
        check("-1.5s", Ok(-1_500_000_000));
        check(".5ms", Ok(500_000));
        check("1\u{b5}s", Ok(1_000));
        check("2540400h", Ok(2_540_400 * HOUR * 1_000_000_000));
        check("", Err("time: invalid duration \"\""));
        check("-", Err("time: invalid duration \"-\""));
        check(".s", Err("time: invalid duration \".s\""));
        check("10", Err("time: missing unit in duration \"10\""));
        check("1h0", Err("time: missing unit in duration \"1h0\""));
        check("14d", Err("time: unknown unit \"d\" in duration \"14d\""));
        check("1 h", Err("time: unknown unit \" h\" in duration \"1 h\""));
        check("25404000h", Err("time: invalid duration \"25404000h\""));
        check(
            "99999999999999999999s",
            Err("time: invalid duration \"99999999999999999999s\""),
        );
    }

    #[test]
    fn durations_are_written_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (3_600, "60m"),
            (10_800, "3h"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (172_800, "2d"),
            (2_592_000, "30d"),
        ] {
            assert_eq!(short(seconds), text, "{seconds}");
        }
    }
}
