//! Quantities: numbers with a unit, such as `500m`, `1.5Gi`, `1e3`.
//!
//! Owns parsing, the canonical text, order and addition (k8s.io/apimachinery `api/resource/quantity.go`, v0.36). Values
//! are kept in billionths, to which smaller ones are rounded up; the range is that of the API server's integers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Billionths in one.
const ONE: i128 = 1_000_000_000;
/// Largest value, as the server caps it.
const MAX: i128 = (i64::MAX as i128) * ONE;

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// Why a text is no quantity. The texts are the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the general form.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The number is malformed.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// The unit is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// A quantity. Compares by value, whatever the unit it was written in.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    billionths: i128,
    format: Format,
}

impl Quantity {
    /// A whole number.
    #[must_use]
    pub fn from_int(value: i64) -> Self {
        Self {
            billionths: i128::from(value) * ONE,
            format: Format::Decimal,
        }
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.billionths == 0
    }

    /// The value in whole units, rounded up (away from zero).
    #[must_use]
    pub fn value(self) -> i64 {
        self.scaled(ONE)
    }

    /// The value in thousandths, rounded up (away from zero).
    #[must_use]
    pub fn millis(self) -> i64 {
        self.scaled(ONE / 1000)
    }

    fn scaled(self, unit: i128) -> i64 {
        let rounded = divide_away(self.billionths, unit);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }

    /// The sum, written like this one (like the other, if this one is zero).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            billionths: self
                .billionths
                .saturating_add(other.billionths)
                .clamp(-MAX, MAX),
            format: if self.is_zero() {
                other.format
            } else {
                self.format
            },
        }
    }

    /// The difference, written like this one.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            billionths: self
                .billionths
                .saturating_sub(other.billionths)
                .clamp(-MAX, MAX),
            format: if self.is_zero() {
                other.format
            } else {
                self.format
            },
        }
    }
}

fn divide_away(value: i128, unit: i128) -> i128 {
    let quotient = value / unit;
    if value % unit == 0 {
        quotient
    } else {
        quotient + value.signum()
    }
}

/// `mantissa * base^exponent` in billionths, rounded away from zero and capped.
fn scale(mantissa: i128, exponent: i32) -> i128 {
    let mut value = mantissa;
    let mut exponent = exponent + 9;
    while exponent > 0 {
        value = value.saturating_mul(10);
        exponent -= 1;
        if value > MAX {
            return MAX;
        }
    }
    let mut inexact = false;
    while exponent < 0 && value != 0 {
        inexact |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    value + i128::from(inexact)
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let (negative, rest) = match text.as_bytes()[0] {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let split = |text: &'_ str| {
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len())
        };
        let whole_end = split(rest);
        let (whole, rest) = rest.split_at(whole_end);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(split(rest)),
            None => ("", rest),
        };
        let unit_end = suffix
            .find(|c: char| !"eEinumkKMGTP".contains(c))
            .unwrap_or(suffix.len());
        let tail = suffix[unit_end..]
            .strip_prefix(['-', '+'])
            .unwrap_or(&suffix[unit_end..]);
        if !tail.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuantityError::Format);
        }
        if whole.is_empty() && fraction.is_empty() && !suffix.is_empty() {
            // The server reads a missing number before a unit as zero only after a sign or point; it is an error here.
            return Err(if rest.is_empty() {
                QuantityError::Format
            } else {
                QuantityError::Number
            });
        }
        let (exponent, binary, format) = unit(suffix).ok_or(QuantityError::Suffix)?;
        let digits: String = whole.chars().chain(fraction.chars()).collect();
        let trimmed = digits.trim_start_matches('0');
        // Beyond what can be held, only the size matters: the value is capped.
        let significant = &trimmed[..trimmed.len().min(36)];
        let dropped = i32::try_from(trimmed.len() - significant.len()).unwrap_or(i32::MAX / 2);
        let mantissa: i128 = if significant.is_empty() {
            0
        } else {
            significant.parse().map_err(|_| QuantityError::Number)?
        };
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX / 2);
        let mut billionths = scale(
            mantissa,
            exponent
                .saturating_add(dropped)
                .saturating_sub(places)
                .clamp(-4096, 4096),
        );
        if binary > 0 {
            billionths = billionths.saturating_mul(1i128 << binary);
        }
        billionths = billionths.min(MAX);
        let format = if format == Format::Binary && billionths > 0 && billionths < ONE {
            Format::Decimal
        } else {
            format
        };
        Ok(Self {
            billionths: if negative { -billionths } else { billionths },
            format,
        })
    }
}

/// Power of ten, power of two and format of a unit.
fn unit(suffix: &str) -> Option<(i32, u32, Format)> {
    Some(match suffix {
        "" => (0, 0, Format::Decimal),
        "n" => (-9, 0, Format::Decimal),
        "u" => (-6, 0, Format::Decimal),
        "m" => (-3, 0, Format::Decimal),
        "k" => (3, 0, Format::Decimal),
        "M" => (6, 0, Format::Decimal),
        "G" => (9, 0, Format::Decimal),
        "T" => (12, 0, Format::Decimal),
        "P" => (15, 0, Format::Decimal),
        "E" => (18, 0, Format::Decimal),
        "Ki" => (0, 10, Format::Binary),
        "Mi" => (0, 20, Format::Binary),
        "Gi" => (0, 30, Format::Binary),
        "Ti" => (0, 40, Format::Binary),
        "Pi" => (0, 50, Format::Binary),
        "Ei" => (0, 60, Format::Binary),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            (exponent.parse().ok()?, 0, Format::Exponent)
        }
    })
}

/// The canonical text: no fraction, the largest unit that needs none.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let small = self.billionths > -1024 * ONE && self.billionths < 1024 * ONE;
        if self.format == Format::Binary && !small {
            let mut value = divide_away(self.billionths, ONE);
            let mut units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
            let mut unit = units.next().unwrap_or_default();
            while value % 1024 == 0 {
                let Some(larger) = units.next() else { break };
                value /= 1024;
                unit = larger;
            }
            return write!(f, "{value}{unit}");
        }
        let mut value = self.billionths;
        let mut exponent = -9;
        while value % 1000 == 0 && exponent < 18 {
            value /= 1000;
            exponent += 3;
        }
        if self.format == Format::Exponent {
            return if exponent == 0 {
                write!(f, "{value}")
            } else {
                write!(f, "{value}e{exponent}")
            };
        }
        let unit = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            0 => "",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            _ => "E",
        };
        write!(f, "{value}{unit}")
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>()
            .map_or_else(|error| error.to_string(), |quantity| quantity.to_string())
    }

    #[test]
    fn texts_become_canonical() {
        for (text, expected) in [
            ("0", "0"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5", "1500m"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("2048Ki", "2Mi"),
            ("512", "512"),
            ("1024", "1024"),
            ("1000Ki", "1000Ki"),
            ("12345678", "12345678"),
            ("1000000", "1M"),
            ("1e3", "1e3"),
            ("12e2", "1200"),
            ("1E3", "1e3"),
            ("-5", "-5"),
            ("+5", "5"),
            ("0.0000000001", "1n"),
            ("1E", "1E"),
            ("1Ei", "1Ei"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
        for text in ["", "x", "1x", "1Kib", "1 ", "1.2.3", "--1", "1e"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_and_order_are_by_value() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(quantity("1"), quantity("1000m"));
        assert!(quantity("1Ki") > quantity("1k"));
        assert_eq!(
            quantity("1Gi").plus(quantity("512Mi")).to_string(),
            "1536Mi"
        );
        assert_eq!(quantity("100m").plus(quantity("0.9")).to_string(), "1");
        assert_eq!(quantity("1").minus(quantity("100m")).to_string(), "900m");
        assert_eq!(quantity("1001m").value(), 2);
        assert_eq!(quantity("1.5").millis(), 1500);
    }

    proptest! {
        #[test]
        fn the_canonical_text_is_a_fixpoint(value in -1_000_000i64..1_000_000, unit in prop::sample::select(vec!["", "m", "u", "k", "Ki", "Mi", "Gi", "e3", "E-3"])) {
            let once = canonical(&format!("{value}{unit}"));
            prop_assert_eq!(canonical(&once), once);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.+eEinumkKMGTPi-]{0,12}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
