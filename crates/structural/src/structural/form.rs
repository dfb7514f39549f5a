//! The conditions of structural schemas: each value has a type, and logical combinations only restrict values.

use serde_json::{Map, Value};

use super::{MAX_DEPTH, additional_schema, flag_of, given, is_zero, list_of, object_of, text_of};
use crate::error::FieldError;
use crate::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Root,
    Item,
    Field,
}

pub(super) fn invariants(
    schema: &Value,
    level: Level,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        errors.push(FieldError::forbidden(path, "is nested too deeply"));
        return;
    }
    let kind = text_of(schema, "type");
    let items = given(schema, "items").filter(|items| items.is_object());
    if kind == "array" && items.is_none() {
        errors.push(FieldError::required(
            path.child("items"),
            "must be specified",
        ));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, &path.child("items"), errors, depth + 1);
    }
    let properties = object_of(schema, "properties");
    let place = path.child("properties");
    for (name, property) in properties.into_iter().flatten() {
        invariants(property, Level::Field, &place.key(name), errors, depth + 1);
    }
    let embedded = flag_of(schema, "x-kubernetes-embedded-resource");
    let preserve = flag_of(schema, "x-kubernetes-preserve-unknown-fields");
    let int_or_string = flag_of(schema, "x-kubernetes-int-or-string");
    let has_additional = given(schema, "additionalProperties").is_some();
    if has_additional {
        if level == Level::Root {
            errors.push(FieldError::forbidden(
                path.child("additionalProperties"),
                "must not be used at the root",
            ));
        }
        if let Some(additional) = additional_schema(schema) {
            invariants(
                additional,
                Level::Field,
                &path.child("additionalProperties"),
                errors,
                depth + 1,
            );
        }
    }
    if int_or_string && preserve {
        errors.push(FieldError::invalid(
            path.child("x-kubernetes-preserve-unknown-fields"),
            true,
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    if int_or_string && embedded {
        errors.push(FieldError::invalid(
            path.child("x-kubernetes-embedded-resource"),
            true,
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    let skip_any_of = is_int_or_string(list_of(schema, "anyOf"));
    let skip_all_of = list_of(schema, "allOf")
        .first()
        .is_some_and(|first| is_int_or_string(list_of(first, "anyOf")));
    value_validation(schema, skip_any_of, skip_all_of, path, errors, depth);
    let place = path.child("type");
    if embedded && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if kind.is_empty() {
            FieldError::required(place, detail)
        } else {
            FieldError::invalid(place, kind, detail)
        });
    } else if kind.is_empty() && !int_or_string && !preserve {
        errors.push(FieldError::required(
            place,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        ));
    }
    if embedded && has_additional {
        errors.push(FieldError::forbidden(
            path.child("additionalProperties"),
            "must not be used if x-kubernetes-embedded-resource is set",
        ));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(
            place,
            kind,
            "must be object at the root",
        ));
    }
    meta_invariants(properties, level, embedded, path, errors);
    if embedded && !preserve && properties.is_none() {
        errors.push(FieldError::required(
            path.child("properties"),
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ));
    }
}

fn meta_invariants(
    properties: Option<&Map<String, Value>>,
    level: Level,
    embedded: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(properties) = properties else { return };
    let check = level == Level::Root || embedded;
    let place = path.child("properties");
    for name in ["kind", "apiVersion"] {
        if let Some(property) = properties.get(name)
            && check
            && text_of(property, "type") != "string"
        {
            errors.push(FieldError::invalid(
                place.key(name).child("type"),
                text_of(property, "type"),
                "must be string",
            ));
        }
    }
    let Some(metadata) = properties.get("metadata") else {
        return;
    };
    let place = place.key("metadata");
    if check && text_of(metadata, "type") != "object" {
        errors.push(FieldError::invalid(
            place.child("type"),
            text_of(metadata, "type"),
            "must be object",
        ));
    }
    if level == Level::Root {
        let only_names = object_of(metadata, "properties").is_none_or(|properties| {
            properties
                .keys()
                .all(|name| name == "name" || name == "generateName")
        });
        let nothing_else = metadata.as_object().is_none_or(|metadata| {
            metadata.iter().all(|(keyword, value)| {
                matches!(keyword.as_str(), "type" | "properties" | "default") || is_zero(value)
            })
        });
        if !only_names || !nothing_else {
            errors.push(FieldError::forbidden(
                place,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            ));
        }
    }
}

/// `[{type: integer}, {type: string}]`, and nothing else.
fn is_int_or_string(branches: &[Value]) -> bool {
    let is = |branch: &Value, kind: &str| {
        text_of(branch, "type") == kind
            && branch.as_object().is_some_and(|branch| {
                branch
                    .iter()
                    .all(|(keyword, value)| keyword == "type" || is_zero(value))
            })
    };
    matches!(branches, [a, b] if is(a, "integer") && is(b, "string"))
}

fn value_validation(
    schema: &Value,
    skip_any_of: bool,
    skip_first_all_of: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if !skip_any_of {
        let place = path.child("anyOf");
        for (index, branch) in list_of(schema, "anyOf").iter().enumerate() {
            nested(branch, false, &place.index(index), errors, depth + 1);
        }
    }
    let place = path.child("allOf");
    for (index, branch) in list_of(schema, "allOf").iter().enumerate() {
        nested(
            branch,
            skip_first_all_of && index == 0,
            &place.index(index),
            errors,
            depth + 1,
        );
    }
    let place = path.child("oneOf");
    for (index, branch) in list_of(schema, "oneOf").iter().enumerate() {
        nested(branch, false, &place.index(index), errors, depth + 1);
    }
    if let Some(not) = given(schema, "not") {
        nested(not, false, &path.child("not"), errors, depth + 1);
    }
    let pattern = text_of(schema, "pattern");
    if let Err(error) = regex::Regex::new(pattern) {
        errors.push(FieldError::invalid(
            path.child("pattern"),
            pattern,
            format!("must be a valid regular expression, but isn't: {error}"),
        ));
    }
}

/// A schema inside a logical combination may only restrict values.
fn nested(
    schema: &Value,
    skip_any_of: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        errors.push(FieldError::forbidden(path, "is nested too deeply"));
        return;
    }
    value_validation(schema, skip_any_of, false, path, errors, depth);
    if let Some(items) = given(schema, "items") {
        nested(items, false, &path.child("items"), errors, depth + 1);
    }
    let place = path.child("properties");
    for (name, property) in object_of(schema, "properties").into_iter().flatten() {
        nested(property, false, &place.key(name), errors, depth + 1);
    }
    let mut forbid = |keyword: &str, detail: &str| {
        errors.push(FieldError::forbidden(path.child(keyword), detail))
    };
    if !text_of(schema, "type").is_empty() {
        forbid("type", "must be empty to be structural");
    }
    if given(schema, "additionalProperties").is_some_and(|value| *value != Value::Bool(false)) {
        forbid("additionalProperties", "must be undefined to be structural");
    }
    if given(schema, "default").is_some() {
        forbid("default", "must be undefined to be structural");
    }
    for keyword in ["title", "description"] {
        if !text_of(schema, keyword).is_empty() {
            forbid(keyword, "must be empty to be structural");
        }
    }
    for keyword in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        if flag_of(schema, keyword) {
            forbid(keyword, "must be false to be structural");
        }
    }
    if !list_of(schema, "x-kubernetes-list-map-keys").is_empty() {
        forbid(
            "x-kubernetes-list-map-keys",
            "must be empty to be structural",
        );
    }
    for keyword in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if given(schema, keyword).is_some() {
            forbid(keyword, "must be undefined to be structural");
        }
    }
    if !list_of(schema, "x-kubernetes-validations").is_empty() {
        forbid("x-kubernetes-validations", "must be empty to be structural");
    }
    if object_of(schema, "properties").is_some_and(|properties| properties.contains_key("metadata"))
    {
        errors.push(FieldError::forbidden(
            place.key("metadata"),
            "must not be specified in a nested context",
        ));
    }
}
