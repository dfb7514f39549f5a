//! Values that are an integer or a string: ports, and counts given as percentage.

use serde_json::Value;

/// An integer or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrString<'a> {
    /// An integer.
    Int(i64),
    /// A string.
    String(&'a str),
}

impl<'a> IntOrString<'a> {
    /// `value`, if it is an integer or a string.
    #[must_use]
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::String(text)),
            Value::Number(number) => number.as_i64().map(Self::Int),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The count that is meant: the integer, or the percentage of `total`.
    ///
    /// `None` if the string is no percentage.
    #[must_use]
    pub fn scaled(self, total: i64, round_up: bool) -> Option<i64> {
        match self {
            Self::Int(count) => Some(count),
            Self::String(text) => {
                let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
                let product = i128::from(percent) * i128::from(total);
                let rounded = if round_up {
                    product.div_euclid(100) + i128::from(product.rem_euclid(100) != 0)
                } else {
                    product.div_euclid(100)
                };
                i64::try_from(rounded).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_scale() {
        let scaled = |value: Value, total, up| {
            IntOrString::of(&value).and_then(|value| value.scaled(total, up))
        };
        assert_eq!(scaled(json!(3), 10, true), Some(3));
        assert_eq!(scaled(json!("25%"), 10, true), Some(3));
        assert_eq!(scaled(json!("25%"), 10, false), Some(2));
        assert_eq!(scaled(json!("x"), 10, false), None);
        assert_eq!(scaled(json!(true), 10, false), None);
    }
}
