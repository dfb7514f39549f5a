//! Objects within custom resources (`x-kubernetes-embedded-resource`): their type and metadata.
//!
//! Owns what decoding does to them and what is wrong with their metadata. That they name their type is checked with the
//! rest of the schema.
//!
//! Source: apiextensions-apiserver `pkg/apiserver/schema/objectmeta`, v0.36.

use drover_structural::schema::View;
use serde_json::{Map, Value, json};

use super::object::{self, validate_metadata};
use crate::builtin;
use crate::registry::NameRule;
use crate::status::FieldError;

/// Reads embedded objects as they are read: unknown members of their metadata go, and their paths are returned, sorted.
/// What cannot be read is the error.
pub(crate) fn coerce(value: &mut Value, view: View<'_>) -> Result<Vec<String>, FieldError> {
    let mut unknown = Vec::new();
    visit(value, view, "", &mut |object, path| {
        read(object, path, &mut unknown)
    })?;
    unknown.sort();
    Ok(unknown)
}

/// What is wrong with the metadata of embedded objects.
pub(crate) fn problems(value: &mut Value, view: View<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let visited: Result<(), FieldError> = visit(value, view, "", &mut |object, path| {
        errors.extend(metadata_problems(object, path));
        Ok(())
    });
    debug_assert!(visited.is_ok(), "looking refuses nothing");
    errors
}

/// Shows `see` every embedded object with its path.
fn visit(
    value: &mut Value,
    view: View<'_>,
    path: &str,
    see: &mut impl FnMut(&mut Map<String, Value>, &str) -> Result<(), FieldError>,
) -> Result<(), FieldError> {
    match value {
        Value::Object(members) => {
            if view.is_resource() && !path.is_empty() {
                see(members, path)?;
            }
            for (name, member) in members {
                if let Some(view) = view.property(name) {
                    visit(member, view, &joined(path, name), see)?;
                } else if let Some(view) = view.additional_properties() {
                    visit(member, view, &format!("{path}[{name}]"), see)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(view) = view.items() {
                for (index, item) in items.iter_mut().enumerate() {
                    visit(item, view, &format!("{path}[{index}]"), see)?;
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn read(
    object: &mut Map<String, Value>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<(), FieldError> {
    for name in ["apiVersion", "kind"] {
        if let Some(value) = object.get(name).filter(|value| !value.is_string()) {
            let field = format!("{path}.{name}");
            return Err(FieldError::invalid(
                field,
                value.clone(),
                "must be a string",
            ));
        }
    }
    let Some(metadata) = object.get_mut("metadata") else {
        return Ok(());
    };
    let field = format!("{path}.metadata");
    if let Some(why) = builtin::metadata_problem(metadata) {
        return Err(FieldError::invalid(field, metadata.clone(), why));
    }
    if let Some(members) = metadata.as_object_mut() {
        for name in object::drop_unknown_metadata(members) {
            unknown.push(format!("{field}.{name}"));
        }
        object::fill_nulls(members);
        object::drop_empty(members);
    }
    Ok(())
}

fn metadata_problems(embedded: &Map<String, Value>, path: &str) -> Vec<FieldError> {
    let Some(mut metadata) = embedded.get("metadata").cloned() else {
        return Vec::new();
    };
    let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
    let namespaced = !text("namespace").is_empty();
    if text("name").is_empty() {
        // Something has to be there.
        metadata["name"] = json!("fakename");
    }
    let whole = json!({"metadata": metadata});
    let mut errors = validate_metadata(&whole, namespaced, NameRule::PathSegment);
    for error in &mut errors {
        error.field = format!("{path}.{}", error.field);
    }
    errors
}
