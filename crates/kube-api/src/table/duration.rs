//! Ages and durations in the short form that tables show.

use jiff::Timestamp;

/// The short form of a duration of `seconds`, with two or three significant figures.
///
/// The steps are those of k8s.io/apimachinery `pkg/util/duration` v0.36.
pub(crate) fn short(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let pair = |major: i64, major_unit: char, minor: i64, minor_unit: char| {
        if minor == 0 {
            format!("{major}{major_unit}")
        } else {
            format!("{major}{major_unit}{minor}{minor_unit}")
        }
    };
    match seconds {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(seconds / MINUTE, 'm', seconds % MINUTE, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => pair(seconds / HOUR, 'h', seconds % HOUR / MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => pair(seconds / DAY, 'd', seconds % DAY / HOUR, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => pair(seconds / YEAR, 'y', seconds % YEAR / DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// How long ago `time` (RFC 3339) was, or `<unknown>` without one.
pub(crate) fn since(time: Option<&str>, now: Timestamp) -> String {
    match time {
        None => "<unknown>".to_owned(),
        Some(time) => time.parse::<Timestamp>().map_or_else(
            |_| "<invalid>".to_owned(),
            |time| short(whole_seconds(time, now)),
        ),
    }
}

/// The whole seconds from `start` to `end`, towards zero.
pub(crate) fn whole_seconds(start: Timestamp, end: Timestamp) -> i64 {
    i64::try_from((end.as_nanosecond() - start.as_nanosecond()) / 1_000_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_500, "2d1h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_172_000, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(short(seconds), expected, "{seconds}");
        }
    }
}
