//! Durations as people read them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
