//! Kubernetes quantities: reading, adding, writing.
//!
//! Owns the canonical form (apimachinery `resource.Quantity`): the largest
//! suffix that leaves a whole number, binary or decimal as the first operand.

/// An amount in billionths, with the family of suffixes it is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity {
    nanos: i128,
    binary: bool,
}

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [(&str, u32); 6] = [
    ("Ki", 1),
    ("Mi", 2),
    ("Gi", 3),
    ("Ti", 4),
    ("Pi", 5),
    ("Ei", 6),
];

impl Quantity {
    /// Reads a quantity; `None` if it is none or too large.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|character: char| !matches!(character, '0'..='9' | '.' | '+' | '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let mantissa = decimal(number)?;
        if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            return Some(Self {
                nanos: mantissa.checked_mul(1024i128.checked_pow(*power)?)?,
                binary: true,
            });
        }
        let exponent = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
            Some((_, exponent)) => *exponent,
            None => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
        };
        let nanos = if exponent >= 0 {
            mantissa.checked_mul(10i128.checked_pow(u32::try_from(exponent).ok()?)?)?
        } else {
            let divisor = 10i128.checked_pow(exponent.unsigned_abs())?;
            // Less than a billionth counts as one.
            mantissa / divisor + i128::from(mantissa % divisor > 0)
        };
        Some(Self {
            nanos,
            binary: false,
        })
    }

    /// The sum, in the form of the first operand that is not zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.nanos == 0 {
            other.binary
        } else {
            self.binary
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            binary,
        }
    }

    /// The larger of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.nanos > self.nanos {
            other
        } else {
            self
        }
    }

    /// Whether this is more than another, in whatever form.
    #[must_use]
    pub fn exceeds(self, other: Self) -> bool {
        self.nanos > other.nanos
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whole units, rounded up.
    #[must_use]
    pub fn units(self) -> i128 {
        self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) > 0)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos == 0 {
            return formatter.write_str("0");
        }
        if self.binary && self.nanos.abs() >= 1024 * NANO {
            let mut number = self.units();
            let mut suffix = "";
            for (name, _) in BINARY {
                if number % 1024 != 0 {
                    break;
                }
                number /= 1024;
                suffix = name;
            }
            return write!(formatter, "{number}{suffix}");
        }
        let mut number = self.nanos;
        let mut suffix = DECIMAL[0].0;
        for (name, _) in &DECIMAL[1..] {
            if number % 1000 != 0 {
                break;
            }
            number /= 1000;
            suffix = name;
        }
        write!(formatter, "{number}{suffix}")
    }
}

/// A decimal number in billionths.
fn decimal(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u64>().ok().map(i128::from)
        }
    };
    let fraction: String = fraction.chars().take(9).collect();
    let scale = 10i128.checked_pow(9 - u32::try_from(fraction.len()).ok()?)?;
    Some(sign * (digits(whole)?.checked_mul(NANO)? + digits(&fraction)? * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[&str]) -> String {
        values
            .iter()
            .map(|text| Quantity::parse(text).unwrap())
            .fold(Quantity::default(), Quantity::plus)
            .to_string()
    }

    #[test]
    fn sums_have_kubernetes_canonical_form() {
        assert_eq!(sum(&["32", "32", "32"]), "96");
        assert_eq!(sum(&["256Gi", "256Gi", "256Gi"]), "768Gi");
        assert_eq!(sum(&["100m", "900m"]), "1");
        assert_eq!(sum(&["250m", "1.5"]), "1750m");
        assert_eq!(sum(&["8052084Ki"]), "8052084Ki");
        assert_eq!(sum(&["1048576Ki"]), "1Gi");
        assert_eq!(sum(&["1e3"]), "1k");
        assert_eq!(sum(&["0", "0"]), "0");
        assert_eq!(sum(&["512", "1Ki"]), "1536");
        assert_eq!(sum(&["1Ki", "512"]), "1536");
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "x", "1Zi", "--1", ".", "1e99", "99999999999999999999"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
