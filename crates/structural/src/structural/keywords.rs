//! Keywords that a schema may not have, or not here.

use serde_json::Value;

use super::{MAX_DEPTH, flag_of, given, is_zero, list_of, lists, object_of, rules, text_of};
use crate::error::FieldError;
use crate::path::Path;
use crate::prune;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Where in a resource a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Root,
    Body,
    /// `apiVersion`, `kind` or `metadata` of the root, where nothing may have defaults.
    RootMeta,
    /// The same of an embedded resource.
    Meta,
}

pub(super) fn keywords(
    schema: &Value,
    path: &Path<'_>,
    inside: Inside,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let kind = text_of(schema, "type");
    let in_meta = matches!(inside, Inside::RootMeta | Inside::Meta);
    if kind == "null" {
        errors.push(FieldError::forbidden(
            path.child("type"),
            "type cannot be set to null, use nullable as an alternative",
        ));
    } else if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(path.child("type"), kind, TYPES));
    }
    if inside == Inside::RootMeta && given(schema, "default").is_some() {
        errors.push(FieldError::forbidden(
            path.child("default"),
            "must not be set in top-level metadata",
        ));
    }
    for keyword in [
        "id",
        "additionalItems",
        "patternProperties",
        "definitions",
        "dependencies",
        "$ref",
    ] {
        if given(schema, keyword)
            .is_some_and(|value| !is_zero(value) || keyword == "additionalItems")
        {
            errors.push(FieldError::forbidden(
                path.child(keyword),
                format!("{keyword} is not supported"),
            ));
        }
    }
    if given(schema, "items").is_some_and(Value::is_array) {
        errors.push(FieldError::forbidden(
            path.child("items"),
            "items must be a schema object and not an array",
        ));
    }
    if in_meta && flag_of(schema, "x-kubernetes-embedded-resource") {
        errors.push(FieldError::forbidden(
            path.child("x-kubernetes-embedded-resource"),
            "must not be used inside of resource meta",
        ));
    }
    if flag_of(schema, "uniqueItems") {
        errors.push(FieldError::forbidden(
            path.child("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    if let Some(additional) = given(schema, "additionalProperties") {
        if object_of(schema, "properties").is_some() && *additional != Value::Bool(true) {
            errors.push(FieldError::forbidden(
                path.child("additionalProperties"),
                "additionalProperties and properties are mutual exclusive",
            ));
        }
        if additional.is_object() {
            let inside = if inside == Inside::Root {
                Inside::Body
            } else {
                inside
            };
            keywords(
                additional,
                &path.child("additionalProperties"),
                inside,
                errors,
                depth + 1,
            );
        }
    }
    let embedded = flag_of(schema, "x-kubernetes-embedded-resource");
    let place = path.child("properties");
    for (name, property) in object_of(schema, "properties").into_iter().flatten() {
        let inside = match inside {
            Inside::Root if prune::is_meta(name) => Inside::RootMeta,
            Inside::Root | Inside::Body if embedded && prune::is_meta(name) => Inside::Meta,
            Inside::Root => Inside::Body,
            other => other,
        };
        keywords(property, &place.key(name), inside, errors, depth + 1);
    }
    let inner = if inside == Inside::Root {
        Inside::Body
    } else {
        inside
    };
    if let Some(not) = given(schema, "not") {
        keywords(not, &path.child("not"), inner, errors, depth + 1);
    }
    for keyword in ["allOf", "oneOf", "anyOf"] {
        let place = path.child(keyword);
        for (index, branch) in list_of(schema, keyword).iter().enumerate() {
            keywords(branch, &place.index(index), inner, errors, depth + 1);
        }
    }
    if let Some(items) = given(schema, "items").filter(|items| items.is_object()) {
        keywords(items, &path.child("items"), inner, errors, depth + 1);
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        errors.push(FieldError::invalid(
            path.child("x-kubernetes-preserve-unknown-fields"),
            false,
            "must be true or undefined",
        ));
    }
    lists::list_and_map_types(schema, path, errors);
    rules::rules(schema, path, errors);
}
