//! Validation of an object by a schema.
//!
//! Owns the checks of types, bounds, formats, enumerations, logical combinations and of lists that are sets or maps, with
//! the errors of the API server (k8s.io/kube-openapi `validation/validate`, k8s.io/apiextensions-apiserver
//! `apiserver/validation`, v0.36). Rules in CEL and object metadata are checked elsewhere.
//!
//! On update a value that did not change is not held against the writer: its errors are dropped as long as old and new
//! can be told to be the same place ([`update`]).

mod formats;

use serde_json::{Map, Value};

use crate::error::{FieldError, quote};
use crate::path::Path;
use crate::schema::{Additional, Constraints, Kind, ListType, Node, Schema, View};

/// Branches of logical combinations deeper than this are not followed.
const MAX_DEPTH: usize = 512;

/// The errors of `value`, which is created.
#[must_use]
pub fn create(value: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let view = schema.view();
    check(value, None, view, &Path::ROOT, &mut errors, 0);
    check_lists(value, view, &Path::ROOT, &mut errors);
    errors
}

/// The errors of `value`, which replaces `old`; those of unchanged parts do not count.
#[must_use]
pub fn update(value: &Value, old: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let view = schema.view();
    check(value, Some(old), view, &Path::ROOT, &mut errors, 0);
    changed_lists(value, old, view, &mut errors);
    errors
}

/// The errors of `value`, of which only the status is to be replaced: the status is looked at as if it were an object of
/// its own, and lists everywhere.
#[must_use]
pub fn update_status(value: &Value, old: &Value, schema: &Schema) -> Vec<FieldError> {
    let view = schema.view();
    let mut errors = Vec::new();
    if let (Some(status), Some(view)) = (value.get("status"), view.property("status")) {
        check(status, old.get("status"), view, &Path::ROOT, &mut errors, 0);
        place(&mut errors, &Path::ROOT.child("status"));
    }
    changed_lists(value, old, view, &mut errors);
    errors
}

/// The errors of sets and maps, if those of `old` have none.
fn changed_lists(value: &Value, old: &Value, view: View<'_>, errors: &mut Vec<FieldError>) {
    let mut found = Vec::new();
    check_lists(value, view, &Path::ROOT, &mut found);
    if !found.is_empty() {
        let mut old_errors = Vec::new();
        check_lists(old, view, &Path::ROOT, &mut old_errors);
        if old_errors.is_empty() {
            errors.extend(found);
        }
    }
}

/// The errors of a value that is no resource, such as a default, at `path`. Inside messages it has no name.
pub(crate) fn part(value: &Value, view: View<'_>, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(value, None, view, &Path::ROOT, &mut errors, 0);
    place(&mut errors, path);
    check_lists(value, view, path, &mut errors);
    errors
}

/// Puts errors of a value that was looked at by itself where the value is.
fn place(errors: &mut [FieldError], path: &Path<'_>) {
    let root = Path::ROOT.to_string();
    for error in errors {
        error.field = if error.field == root {
            path.to_string()
        } else {
            format!("{path}.{}", error.field)
        };
    }
}

/// Whether values of a type can be checked for a format; of no type, as texts.
#[must_use]
pub fn knows_format(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => formats::matches(format, "").is_some(),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Whether `text` has the named format; `None` if there is no such format.
pub(crate) fn has_format(format: &str, text: &str) -> Option<bool> {
    formats::matches(format, text)
}

/// How a place is named inside messages.
fn name(path: &Path<'_>) -> String {
    if path.is_root() {
        String::new()
    } else {
        path.to_string()
    }
}

/// An error that the server ties to no field.
fn unplaced(detail: String) -> FieldError {
    FieldError::invalid(Path::ROOT, "", detail)
}

const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_integral(number: &serde_json::Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn check(
    value: &Value,
    old: Option<&Value>,
    view: View<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        errors.push(unplaced(format!(
            "{} is nested too deeply",
            quote(&name(path))
        )));
        return;
    }
    let before = errors.len();
    check_type(value, view, path, errors);
    let constraints = view.constraints();
    if let Some(constraints) = constraints {
        if !value.is_null() {
            check_branches(value, constraints, view, path, errors, depth);
        }
        match value {
            Value::String(text) => check_string(text, constraints, path, errors),
            Value::Number(number) => check_number(number, constraints, view.kind(), path, errors),
            Value::Array(items) => check_size(items, constraints, path, errors),
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
        check_enumeration(value, constraints, path, errors);
    }
    match value {
        Value::Object(object) if view.node.embedded_resource => {
            check_embedded(object, path, errors);
            check_object(
                object,
                old.and_then(Value::as_object),
                view,
                path,
                errors,
                depth,
            );
        }
        Value::Object(object) => check_object(
            object,
            old.and_then(Value::as_object),
            view,
            path,
            errors,
            depth,
        ),
        Value::Array(items) => check_items(items, old, view, path, errors, depth),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if errors.len() > before && old == Some(value) {
        errors.truncate(before);
    }
}

/// An embedded object says what it is (apiextensions-apiserver `schema/objectmeta/validation.go`, v0.36).
fn check_embedded(object: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["apiVersion", "kind"] {
        let place = path.child(field);
        match object.get(field) {
            None => errors.push(FieldError::required(place, "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(FieldError::invalid(place, "", "must not be empty"));
            }
            Some(Value::String(text)) if field == "kind" => {
                let found = crate::names::dns_1035_label(&text.to_lowercase());
                if !found.is_empty() {
                    let detail = format!(
                        "may have mixed case, but should otherwise match: {}",
                        found.join(",")
                    );
                    errors.push(FieldError::invalid(place, text.as_str(), detail));
                }
            }
            Some(Value::String(_)) => {}
            Some(other) => {
                errors.push(FieldError::invalid(
                    place,
                    other.clone(),
                    "must be a string",
                ));
            }
        }
    }
}

fn check_type(value: &Value, view: View<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (expected, fits) = if view.int_or_string() {
        let fits = match value {
            Value::String(_) => true,
            Value::Number(number) => is_integral(number),
            Value::Null => view.nullable(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        ("integer,string", fits)
    } else {
        let Some(kind) = view.kind() else { return };
        let fits = match (kind, value) {
            (_, Value::Null) => view.nullable(),
            (Kind::Object, Value::Object(_))
            | (Kind::Array, Value::Array(_))
            | (Kind::String, Value::String(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Integer, Value::Number(number)) => is_integral(number),
            _ => false,
        };
        (kind.name(), fits)
    };
    if fits {
        return;
    }
    let mut expected = expected;
    let mut actual = match value {
        Value::Number(number) if !number.is_f64() => "integer",
        other => type_name(other),
    };
    // Where a number has a format, it is the format that is named.
    if let (Some(Kind::Integer | Kind::Number), Some(format)) = (view.kind(), view.format())
        && matches!(value, Value::Number(_) | Value::Bool(_) | Value::Object(_))
        && matches!(format, "int32" | "int64" | "float" | "double")
    {
        expected = format;
        actual = if value.is_number() { "float64" } else { "" };
    }
    errors.push(FieldError::type_invalid(
        path,
        actual,
        format!(
            "{} in body must be of type {expected}: {}",
            name(path),
            quote(actual)
        ),
    ));
}

fn check_string(
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
fn check_number(
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

fn check_size(
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

fn check_enumeration(
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

fn check_object(
    object: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    view: View<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if let Some(constraints) = view.constraints() {
        let size = u64::try_from(object.len()).unwrap_or(u64::MAX);
        if let Some(min) = constraints.min_properties
            && size < min
        {
            errors.push(FieldError::invalid(
                path,
                size,
                format!(
                    "{} in body should have at least {min} properties",
                    name(path)
                ),
            ));
        }
        if let Some(max) = constraints.max_properties
            && size > max
        {
            errors.push(FieldError::too_many(
                path,
                object.len(),
                usize::try_from(max).unwrap_or(usize::MAX),
            ));
        }
    }
    let refused = matches!(view.node.additional, Additional::Refused);
    for (key, value) in object {
        let place = path.child(key);
        if let Some(property) = view.property(key) {
            // What the server itself rewrites cannot be told to be unchanged.
            let old = old
                .and_then(|old| old.get(key))
                .filter(|_| !(path.is_root() && crate::prune::is_meta(key)));
            check(value, old, property, &place, errors, depth + 1);
        } else if let Some(additional) = view.additional_properties() {
            let old = old.and_then(|old| old.get(key));
            check(value, old, additional, &place, errors, depth + 1);
        } else if refused {
            errors.push(FieldError::invalid(
                path,
                key.as_str(),
                format!("{}.{key} in body is a forbidden property", name(path)),
            ));
        }
    }
    for required in view.required() {
        if !object.contains_key(required) {
            errors.push(FieldError::required(path.child(required), ""));
        }
    }
}

fn check_items(
    items: &[Value],
    old: Option<&Value>,
    view: View<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    let Some(item_view) = view.items() else {
        return;
    };
    let old_items = match (old, view.list_type()) {
        (Some(Value::Array(old)), ListType::Map) => old.as_slice(),
        _ => &[],
    };
    for (index, item) in items.iter().enumerate() {
        let old = if old_items.is_empty() {
            None
        } else {
            let same = |old: &&Value| view.list_keys().all(|key| old.get(key) == item.get(key));
            old_items.iter().find(same)
        };
        check(item, old, item_view, &path.index(index), errors, depth + 1);
    }
}

fn check_branches(
    value: &Value,
    constraints: &Constraints,
    view: View<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    let run = |node: &Node| {
        let mut found = Vec::new();
        check(value, None, view.branch(node), path, &mut found, depth + 1);
        found
    };
    if !constraints.any_of.is_empty() {
        let mut best: Option<Vec<FieldError>> = None;
        let mut valid = false;
        for branch in &constraints.any_of {
            let found = run(branch);
            if found.is_empty() {
                valid = true;
                break;
            }
            best.get_or_insert(found);
        }
        if !valid {
            errors.push(unplaced(format!(
                "{} must validate at least one schema (anyOf)",
                quote(&name(path))
            )));
            errors.extend(best.unwrap_or_default());
        }
    }
    if !constraints.one_of.is_empty() {
        let mut best: Option<Vec<FieldError>> = None;
        let mut valid = 0;
        for branch in &constraints.one_of {
            let found = run(branch);
            if found.is_empty() {
                valid += 1;
            } else {
                best.get_or_insert(found);
            }
        }
        if valid != 1 {
            let count = match valid {
                0 => "Found none valid".to_owned(),
                n => format!("Found {n} valid alternatives"),
            };
            errors.push(unplaced(format!(
                "{} must validate one and only one schema (oneOf). {count}",
                quote(&name(path))
            )));
            if valid == 0 {
                errors.extend(best.unwrap_or_default());
            }
        }
    }
    if !constraints.all_of.is_empty() {
        let mut valid = 0;
        for branch in &constraints.all_of {
            let found = run(branch);
            if found.is_empty() {
                valid += 1;
            }
            errors.extend(found);
        }
        if valid != constraints.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            errors.push(unplaced(format!(
                "{} must validate all the schemas (allOf){none}",
                quote(&name(path))
            )));
        }
    }
    if let Some(not) = &constraints.not
        && run(not).is_empty()
    {
        errors.push(unplaced(format!(
            "{} must not validate the schema (not)",
            quote(&name(path))
        )));
    }
}

/// Whether nothing below needs a look for sets and maps.
fn check_lists(value: &Value, view: View<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if !(value.is_object() || value.is_array()) {
                    continue;
                }
                if let Some(property) = view.property(key) {
                    check_lists(value, property, &path.child(key), errors);
                } else if let Some(additional) = view.additional_properties() {
                    check_lists(value, additional, &path.key(key), errors);
                }
            }
        }
        Value::Array(items) => {
            match view.declared_list_type() {
                Some(ListType::Set) => {
                    for index in repeated(items.iter()) {
                        errors.push(FieldError::duplicate(
                            path.index(index),
                            items[index].clone(),
                        ));
                    }
                }
                Some(ListType::Map) => check_keyed(items, view, path, errors),
                Some(ListType::Atomic) | None => {}
            }
            let Some(item_view) = view.items() else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                if item.is_object() || item.is_array() {
                    check_lists(item, item_view, &path.index(index), errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_keyed(items: &[Value], view: View<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, item) in items.iter().enumerate() {
        if !item.is_object() && !item.is_null() {
            errors.push(FieldError::invalid(
                path.index(index),
                item.clone(),
                "must be an object for an array of list-type map",
            ));
            return;
        }
    }
    if items.len() <= 1 {
        return;
    }
    let keys: Vec<Value> = items
        .iter()
        .map(|item| {
            let keys: Map<String, Value> = view
                .list_keys()
                .filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())))
                .collect();
            Value::Object(keys)
        })
        .collect();
    for index in repeated(keys.iter()) {
        errors.push(FieldError::duplicate(
            path.index(index),
            keys[index].clone(),
        ));
    }
}

/// The places where a value occurs for the second time.
fn repeated<'a>(items: impl ExactSizeIterator<Item = &'a Value>) -> Vec<usize> {
    struct Ordered<'a>(&'a Value);
    impl Ord for Ordered<'_> {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            crate::field_set::value_order(self.0, other.0)
        }
    }
    impl PartialOrd for Ordered<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl PartialEq for Ordered<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }
    impl Eq for Ordered<'_> {}
    if items.len() <= 1 {
        return Vec::new();
    }
    let mut times: std::collections::BTreeMap<Ordered<'a>, usize> =
        std::collections::BTreeMap::new();
    let mut places = Vec::new();
    for (index, item) in items.enumerate() {
        let count = times.entry(Ordered(item)).or_default();
        *count += 1;
        if *count == 2 {
            places.push(index);
        }
    }
    places
}

#[cfg(test)]
mod tests;
