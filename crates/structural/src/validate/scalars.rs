//! Texts, numbers, counts and enumerations.

use serde_json::Value;

use super::{formats, is_integral, name, unplaced};
use crate::error::{FieldError, quote};
use crate::path::Path;
use crate::schema::{Constraints, Kind};

pub(super) fn check_string(
    text: &str,
    constraints: &Constraints,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let length = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let too_long = constraints.max_length.filter(|&max| length() > max);
    let too_short = constraints.min_length.filter(|&min| length() < min);
    if let Some(max) = too_long {
        errors.push(FieldError::too_long(
            path,
            usize::try_from(max).unwrap_or(usize::MAX),
        ));
    } else if let Some(min) = too_short {
        errors.push(FieldError::invalid(
            path,
            text,
            format!("{} in body should be at least {min} chars long", name(path)),
        ));
    } else if let Some(pattern) = &constraints.pattern {
        match pattern.matches(text) {
            Some(true) => {}
            Some(false) => errors.push(FieldError::invalid(
                path,
                text,
                format!("{} in body should match '{}'", name(path), pattern.source),
            )),
            None => errors.push(FieldError::invalid(
                path,
                text,
                format!(
                    "{} in body should match '{}, but pattern is invalid'",
                    name(path),
                    pattern.source
                ),
            )),
        }
    }
    if let Some(format) = &constraints.format
        && formats::matches(format, text) == Some(false)
    {
        errors.push(FieldError::type_invalid(
            path,
            text,
            format!(
                "{} in body must be of type {format}: {}",
                name(path),
                quote(text)
            ),
        ));
    }
}

/// A number as Go prints it.
fn number_text(number: f64) -> String {
    if number != 0.0 && !(1e-4..1e21).contains(&number.abs()) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    number.to_string()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bounds of integers are compared as integers, as the server does"
)]
pub(super) fn check_number(
    number: &serde_json::Number,
    constraints: &Constraints,
    kind: Option<Kind>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let integer = number.as_i64();
    let float = number.as_f64().unwrap_or_default();
    let limits = match (kind, constraints.format.as_deref()) {
        (Some(Kind::Integer), Some("int32")) => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        (Some(Kind::Integer), _) => {
            Some((-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0))
        }
        (_, Some("float")) => Some((f64::from(f32::MIN), f64::from(f32::MAX))),
        _ => None,
    };
    let broken = kind == Some(Kind::Integer) && !is_integral(number);
    if broken || limits.is_some_and(|(low, high)| !(low..=high).contains(&float)) {
        let kind = kind.map_or("", Kind::name);
        errors.push(unplaced(match constraints.format.as_deref() {
            Some(format) => format!(
                "Checked value must be of type {kind} with format {format} in {}",
                name(path)
            ),
            None => format!(
                "Checked value must be of type {kind} (default format) in {}",
                name(path)
            ),
        }));
    }
    if let Some(factor) = constraints.multiple_of {
        if factor <= 0.0 {
            errors.push(FieldError::invalid(
                path,
                number_text(factor),
                format!(
                    "factor MultipleOf declared for {} must be positive: {}",
                    name(path),
                    number_text(factor)
                ),
            ));
        } else {
            let fits = match integer {
                Some(integer) if factor >= 1.0 => integer % (factor as i64) == 0,
                _ if factor < 1.0 => (1.0 / factor * float).fract() == 0.0,
                _ => (float / factor).fract() == 0.0,
            };
            if !fits {
                errors.push(FieldError::invalid(
                    path,
                    Value::Number(number.clone()),
                    format!(
                        "{} in body should be a multiple of {}",
                        name(path),
                        number_text(factor)
                    ),
                ));
            }
        }
    }
    let mut bound = |limit: f64, exclusive: bool, upper: bool| {
        let order = match integer {
            Some(integer) => integer.cmp(&(limit as i64)),
            None => float.total_cmp(&limit),
        };
        let breaks = if upper {
            order.is_gt() || (exclusive && order.is_eq())
        } else {
            order.is_lt() || (exclusive && order.is_eq())
        };
        if breaks {
            let limit = match integer {
                Some(_) => (limit as i64).to_string(),
                None => number_text(limit),
            };
            let relation = match (upper, exclusive) {
                (true, false) => "less than or equal to",
                (true, true) => "less than",
                (false, false) => "greater than or equal to",
                (false, true) => "greater than",
            };
            errors.push(FieldError::invalid(
                path,
                Value::Number(number.clone()),
                format!("{} in body should be {relation} {limit}", name(path)),
            ));
        }
    };
    if let Some(minimum) = constraints.minimum {
        bound(minimum, constraints.exclusive_minimum, false);
    }
    if let Some(maximum) = constraints.maximum {
        bound(maximum, constraints.exclusive_maximum, true);
    }
}

pub(super) fn check_size(
    items: &[Value],
    constraints: &Constraints,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let size = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if let Some(min) = constraints.min_items
        && size < min
    {
        errors.push(FieldError::invalid(
            path,
            size,
            format!("{} in body should have at least {min} items", name(path)),
        ));
    }
    if let Some(max) = constraints.max_items
        && size > max
    {
        errors.push(FieldError::too_many(
            path,
            items.len(),
            usize::try_from(max).unwrap_or(usize::MAX),
        ));
    }
    if constraints.unique_items
        && items
            .iter()
            .enumerate()
            .any(|(index, item)| items[..index].contains(item))
    {
        errors.push(FieldError::invalid(
            path,
            "",
            format!("{} in body shouldn't contain duplicates", name(path)),
        ));
    }
}

pub(super) fn check_enumeration(
    value: &Value,
    constraints: &Constraints,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(values) = &constraints.enumeration else {
        return;
    };
    let equal = |allowed: &Value| match (allowed, value) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    };
    if values.is_empty() || values.iter().any(equal) {
        return;
    }
    let texts = values.iter().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    errors.push(FieldError::not_supported(path, value.clone(), texts));
}
