//! Whether the schema of a CRD is structural.
//!
//! Owns the conditions that make pruning, defaulting and server-side apply possible, and the other things a CRD's schema
//! may not say, with the errors of the API server (k8s.io/apiextensions-apiserver `apiserver/schema/validation.go`,
//! `complete.go`, `apis/apiextensions/validation/validation.go`, v0.36). Works on the JSON, since much of what is
//! forbidden is not kept by [`crate::schema`].

mod complete;
mod defaults;
mod field_path;
mod form;
mod keywords;
mod lists;
mod rules;

use serde_json::{Map, Value};

pub use self::field_path::field_path;
use self::form::Level;
use self::keywords::Inside;
use crate::error::FieldError;
use crate::path::Path;

const MAX_DEPTH: usize = 128;

/// The errors of `schema`, an `openAPIV3Schema`, that stands at `path`. Empty if the schema may be used.
///
/// Rules in CEL are only checked for their form.
#[must_use]
pub fn check(schema: &Value, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    form::invariants(schema, Level::Root, path, &mut errors, 0);
    complete::completeness(schema, Some(schema), path, path, &mut errors, 0);
    errors.sort_by_key(ToString::to_string);
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(
            format!("{path}.nullable"),
            "nullable cannot be true at the root",
        ));
    }
    let structural = errors.is_empty();
    keywords::keywords(schema, path, Inside::Root, &mut errors, 0);
    if structural && errors.is_empty() {
        defaults::defaults(schema, path, &mut errors, 0);
    }
    errors
}

fn object_of<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Map<String, Value>> {
    schema
        .get(keyword)?
        .as_object()
        .filter(|object| !object.is_empty())
}

fn text_of<'a>(schema: &'a Value, keyword: &str) -> &'a str {
    schema
        .get(keyword)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn flag_of(schema: &Value, keyword: &str) -> bool {
    schema
        .get(keyword)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn list_of<'a>(schema: &'a Value, keyword: &str) -> &'a [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn given<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Value> {
    schema.get(keyword).filter(|value| !value.is_null())
}

/// The schema of additional properties, if it is one.
fn additional_schema(schema: &Value) -> Option<&Value> {
    given(schema, "additionalProperties").filter(|value| value.is_object())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
