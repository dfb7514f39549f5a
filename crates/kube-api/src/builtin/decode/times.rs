//! Times as Go reads them, and what it says of others (Go `time.Parse`, 1.25; apimachinery `pkg/apis/meta/v1/{time,micro_time}.go`).

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `metav1.Time`: any digits of a second are read.
    Seconds,
    /// `metav1.MicroTime`: exactly six are.
    Micro,
}

impl Layout {
    const fn text(self) -> &'static str {
        match self {
            Self::Seconds => "2006-01-02T15:04:05Z07:00",
            Self::Micro => "2006-01-02T15:04:05.000000Z07:00",
        }
    }
}

/// What is left of a text that is being read.
struct Reader<'t> {
    rest: &'t str,
}

/// Why a part could not be read.
enum Failed<'t> {
    /// What stands there is not as this part of the layout.
    Part(&'t str, &'static str),
    Range(&'static str),
    Extra(&'t str),
}

impl<'t> Reader<'t> {
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), Failed<'t>> {
        match self.rest.strip_prefix(literal) {
            Some(rest) => self.rest = rest,
            None => return Err(Failed::Part(self.rest, literal)),
        }
        Ok(())
    }

    /// Digits at the start, at most `most`.
    fn n_digits(&self, most: usize) -> usize {
        let digits = self.rest.bytes().take(most);
        digits.take_while(u8::is_ascii_digit).count()
    }

    fn number(&mut self, least: usize, most: usize, part: &'static str) -> Result<u32, Failed<'t>> {
        let length = self.n_digits(most);
        if length < least {
            return Err(Failed::Part(self.rest, part));
        }
        // Four digits at most.
        Ok(self.take(length).parse().unwrap_or(0))
    }

    fn zone(&mut self) -> Result<(), Failed<'t>> {
        const PART: &str = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(());
        }
        let bytes = self.rest.as_bytes();
        let digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
        let shaped = matches!(bytes.first(), Some(b'+' | b'-'))
            && bytes.get(3) == Some(&b':')
            && [1, 2, 4, 5].into_iter().all(digit);
        if !shaped {
            return Err(Failed::Part(self.rest, PART));
        }
        let (hours, minutes) = (&self.rest[1..3], &self.rest[4..6]);
        if hours > "24" {
            return Err(Failed::Range("time zone offset hour"));
        }
        if minutes > "60" {
            return Err(Failed::Range("time zone offset minute"));
        }
        self.take(6);
        Ok(())
    }
}

fn read(text: &str, layout: Layout) -> Result<(), Failed<'_>> {
    let mut reader = Reader { rest: text };
    let year = reader.number(4, 4, "2006")?;
    reader.literal("-")?;
    let month = reader.number(2, 2, "01")?;
    if !(1..=12).contains(&month) {
        return Err(Failed::Range("month"));
    }
    reader.literal("-")?;
    let day = reader.number(2, 2, "02")?;
    reader.literal("T")?;
    if reader.number(1, 2, "15")? > 23 {
        return Err(Failed::Range("hour"));
    }
    reader.literal(":")?;
    if reader.number(2, 2, "04")? > 59 {
        return Err(Failed::Range("minute"));
    }
    reader.literal(":")?;
    if reader.number(2, 2, "05")? > 59 {
        return Err(Failed::Range("second"));
    }
    let fraction = reader.rest.strip_prefix(['.', ',']).map(|rest| {
        let digits = Reader { rest };
        digits.n_digits(rest.len())
    });
    match (layout, fraction) {
        (Layout::Micro, Some(6..)) => {
            reader.take(7);
        }
        (Layout::Micro, _) => return Err(Failed::Part(reader.rest, ".000000")),
        (Layout::Seconds, Some(digits @ 1..)) => {
            reader.take(digits + 1);
        }
        (Layout::Seconds, _) => {}
    }
    reader.zone()?;
    if !reader.rest.is_empty() {
        return Err(Failed::Extra(reader.rest));
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days).contains(&day) {
        return Err(Failed::Range("day"));
    }
    Ok(())
}

/// Why a text is no time of this layout.
pub(super) fn problem(text: &str, layout: Layout) -> Option<String> {
    let whole = layout.text();
    Some(match read(text, layout).err()? {
        Failed::Part(found, part) => {
            format!("parsing time {text:?} as {whole:?}: cannot parse {found:?} as {part:?}")
        }
        Failed::Range(what) => format!("parsing time {text:?}: {what} out of range"),
        Failed::Extra(rest) => format!("parsing time {text:?}: extra text: {rest:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_refused_as_go_refuses_them() {
        let check = |text: &str, layout: Layout, expected: Option<&str>| {
            assert_eq!(problem(text, layout).as_deref(), expected, "{text}");
        };
        use Layout::{Micro, Seconds};
        check("2024-01-01T00:00:00Z", Seconds, None);
        check("2024-02-29T00:00:00.123456789+01:00", Seconds, None);
        check("2024-01-01T00:00:00.123456Z", Micro, None);
        check(
            "2024-01-01T00:00:00Z",
            Micro,
            Some(
                r#"parsing time "2024-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#,
            ),
        );
        check(
            "2024-01-01T00:00:00.1234567Z",
            Micro,
            Some(
                r#"parsing time "2024-01-01T00:00:00.1234567Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "7Z" as "Z07:00""#,
            ),
        );
        check(
            "now",
            Seconds,
            Some(
                r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#,
            ),
        );
        check(
            "2023-02-29T00:00:00Z",
            Seconds,
            Some(r#"parsing time "2023-02-29T00:00:00Z": day out of range"#),
        );
        check(
            "2024-01-01T00:00:00Zx",
            Seconds,
            Some(r#"parsing time "2024-01-01T00:00:00Zx": extra text: "x""#),
        );
    }
}
