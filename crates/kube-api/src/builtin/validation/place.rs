//! A place in an object: what stands there, and the path by which errors name it.

use drover_structural::{FieldError, names};
use serde_json::Value;

static NOTHING: Value = Value::Null;

/// A value, or the lack of one, with its path.
#[derive(Debug, Clone)]
pub(in crate::builtin) struct Place<'o> {
    value: &'o Value,
    path: String,
}

impl<'o> Place<'o> {
    /// The member `name` of a whole object.
    pub(in crate::builtin) fn of(object: &'o Value, name: &str) -> Self {
        Self {
            value: object.get(name).unwrap_or(&NOTHING),
            path: name.to_owned(),
        }
    }

    pub(in crate::builtin) fn child(&self, name: &str) -> Self {
        Self {
            value: self.value.get(name).unwrap_or(&NOTHING),
            path: format!("{}.{name}", self.path),
        }
    }

    /// The same value under another path, where the real server's path is not the value's.
    pub(in crate::builtin) fn called(&self, path: String) -> Self {
        Self {
            value: self.value,
            path,
        }
    }

    pub(in crate::builtin) fn path(&self) -> &str {
        &self.path
    }

    pub(in crate::builtin) const fn value(&self) -> &'o Value {
        self.value
    }

    pub(in crate::builtin) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, value)| Self {
                value,
                path: format!("{}[{index}]", self.path),
            })
            .collect()
    }

    /// The members of a map, each with its key.
    pub(in crate::builtin) fn members(&self) -> Vec<(&'o str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members
            .map(|(key, value)| {
                let place = Self {
                    value,
                    path: format!("{}[{key}]", self.path),
                };
                (key.as_str(), place)
            })
            .collect()
    }

    pub(in crate::builtin) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether nothing is there, or an empty text, list or map.
    pub(in crate::builtin) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    pub(in crate::builtin) fn text(&self) -> &'o str {
        self.value.as_str().unwrap_or_default()
    }

    pub(in crate::builtin) fn number(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(in crate::builtin) fn is_true(&self) -> bool {
        self.value == &Value::Bool(true)
    }

    pub(in crate::builtin) fn invalid(&self, detail: impl Into<String>) -> FieldError {
        FieldError::invalid(&self.path, self.value.clone(), detail)
    }

    /// As [`Self::invalid`], for what the real server does not show.
    pub(in crate::builtin) fn invalid_unshown(&self, detail: impl Into<String>) -> FieldError {
        FieldError::invalid_unshown(&self.path, detail)
    }

    pub(in crate::builtin) fn forbidden(&self, detail: impl Into<String>) -> FieldError {
        FieldError::forbidden(&self.path, detail)
    }

    pub(in crate::builtin) fn missing(&self, detail: impl Into<String>) -> FieldError {
        FieldError::required(&self.path, detail)
    }

    pub(in crate::builtin) fn unsupported(&self, allowed: &[&str]) -> FieldError {
        FieldError::not_supported(&self.path, self.value.clone(), allowed)
    }

    pub(in crate::builtin) fn duplicate(&self) -> FieldError {
        FieldError::duplicate(&self.path, self.value.clone())
    }
}

/// Something must be there.
pub(super) fn required(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if place.is_empty() {
        errors.push(place.missing(""));
    }
}

/// One of a few words must be there; the list is in the order in which the real server names it.
pub(super) fn one_of(place: &Place<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if place.is_empty() {
        errors.push(place.missing(""));
    } else if !allowed.contains(&place.text()) {
        errors.push(place.unsupported(allowed));
    }
}

/// As [`one_of`], for what may be left out.
pub(super) fn perhaps_one_of(place: &Place<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if place.is_set() && !allowed.contains(&place.text()) {
        errors.push(place.unsupported(allowed));
    }
}

pub(super) fn not_negative(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if place.number().is_some_and(|number| number < 0) {
        errors.push(place.invalid("must be greater than or equal to 0"));
    }
}

/// One error for each problem that a check of names found.
pub(super) fn problems(place: &Place<'_>, found: Vec<String>, errors: &mut Vec<FieldError>) {
    errors.extend(found.into_iter().map(|problem| place.invalid(problem)));
}

/// The number or the name of a port.
pub(super) fn port(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    match place.value() {
        Value::String(name) => problems(place, names::port_name(name), errors),
        Value::Null => {
            let zero = names::port_number(0).into_iter();
            errors.extend(zero.map(|problem| FieldError::invalid(place.path(), 0, problem)));
        }
        number => problems(
            place,
            names::port_number(number.as_i64().unwrap_or(0)),
            errors,
        ),
    }
}

/// A number that is not negative, or a percentage; at most 100 of the latter if `at_most_all`.
pub(super) fn share(place: &Place<'_>, at_most_all: bool, errors: &mut Vec<FieldError>) {
    match place.value() {
        Value::String(text) => match percent(text) {
            None => errors.push(place.invalid("a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")),
            Some(percent) if at_most_all && percent > 100 => {
                errors.push(place.invalid("must not be greater than 100%"));
            }
            Some(_) => {}
        },
        _ => not_negative(place, errors),
    }
}

/// The number of a percentage.
pub(super) fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number holds are more than 100 in any case.
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Whether a number or percentage is zero.
pub(super) fn is_zero_share(place: &Place<'_>) -> bool {
    match place.value() {
        Value::String(text) => percent(text).unwrap_or(0) == 0,
        value => value.as_i64().unwrap_or(0) == 0,
    }
}

/// Keys and values of labels.
pub(super) fn labels(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (key, member) in place.members() {
        let named = names::qualified_name(key).into_iter();
        errors.extend(named.map(|problem| FieldError::invalid(place.path(), key, problem)));
        let value = names::label_value(member.text()).into_iter();
        errors
            .extend(value.map(|problem| FieldError::invalid(place.path(), member.text(), problem)));
    }
}

/// A label selector with `matchLabels` and `matchExpressions`.
pub(super) fn label_selector(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    labels(&place.child("matchLabels"), errors);
    for expression in place.child("matchExpressions").items() {
        let values = expression.child("values");
        let operator = expression.child("operator");
        match operator.text() {
            "In" | "NotIn" => {
                if values.is_empty() {
                    errors.push(
                        values.missing("must be specified when `operator` is 'In' or 'NotIn'"),
                    );
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    errors.push(values.forbidden(
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    ));
                }
            }
            _ => errors.push(FieldError::invalid(
                operator.path(),
                operator.text(),
                "not a valid selector operator",
            )),
        }
        let key = expression.child("key");
        let found = names::qualified_name(key.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(key.path(), key.text(), problem)));
        for value in values.items() {
            problems(&value, names::label_value(value.text()), errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_name_themselves() {
        let object = json!({"spec": {"ports": [{"port": 1}, {"port": 0}], "map": {"a": 1}}});
        let spec = Place::of(&object, "spec");
        let ports = spec.child("ports").items();
        assert_eq!(ports[1].child("port").path(), "spec.ports[1].port");
        assert_eq!(spec.child("map").members()[0].1.path(), "spec.map[a]");
        assert!(!spec.child("none").child("below").is_set());
    }

    #[test]
    fn shares_are_numbers_or_percentages() {
        let check = |value: Value, wrong: bool| {
            let object = json!({ "share": value });
            let mut errors = Vec::new();
            share(&Place::of(&object, "share"), true, &mut errors);
            assert_eq!(!errors.is_empty(), wrong, "{object}");
        };
        check(json!(3), false);
        check(json!("25%"), false);
        check(json!(-1), true);
        check(json!("101%"), true);
        check(json!("many"), true);
    }
}
