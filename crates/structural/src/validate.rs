//! Validation of an object by a schema.
//!
//! Owns the checks of types, bounds, formats, enumerations, logical combinations and of lists that are sets or maps, with
//! the errors of the API server (k8s.io/kube-openapi `validation/validate`, k8s.io/apiextensions-apiserver
//! `apiserver/validation`, v0.36). Rules in CEL and object metadata are checked elsewhere.
//!
//! On update a value that did not change is not held against the writer: its errors are dropped as long as old and new
//! can be told to be the same place ([`update`]).

mod formats;
mod lists;
mod scalars;

use serde_json::{Map, Value};

use self::lists::check_lists;
use self::scalars::{check_enumeration, check_number, check_size, check_string};
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

#[cfg(test)]
mod tests;
