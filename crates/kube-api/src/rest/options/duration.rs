//! Durations as Go writes them: `1h30m`, `1.5s` (Go `time.ParseDuration`).

use std::time::Duration;

/// The duration; `None` if it is negative.
///
/// # Errors
///
/// What is wrong with the text, in Go's words.
pub(super) fn parse(text: &str) -> Result<Option<Duration>, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut rest = unsigned;
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() && unsigned != "0" {
        let end = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let end = after.find(is_digit).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            other => {
                return Err(format!("time: unknown unit {other:?} in duration {text:?}"));
            }
        };
        seconds += number * scale;
        rest = after;
    }
    if text.starts_with('-') {
        return Ok(None);
    }
    Duration::try_from_secs_f64(seconds)
        .map(Some)
        .map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let check = |text: &str, expected: Result<Option<f64>, &str>| {
            let found = parse(text).map(|found| found.map(|found| found.as_secs_f64()));
            let found = found.as_ref().map_err(String::as_str);
            assert_eq!(found, expected.as_ref().map_err(|text| *text), "{text}");
        };
        check("5s", Ok(Some(5.0)));
        check("1h1.5m", Ok(Some(3690.0)));
        check("0", Ok(Some(0.0)));
        check("-1s", Ok(None));
        check("abc", Err("time: invalid duration \"abc\""));
        check("100", Err("time: missing unit in duration \"100\""));
        check("1d", Err("time: unknown unit \"d\" in duration \"1d\""));
    }
}
