//! Whether the schema of a CRD is structural.
//!
//! Owns the conditions that make pruning, defaulting and server-side apply possible, and the other things a CRD's schema
//! may not say, with the errors of the API server (k8s.io/apiextensions-apiserver `apiserver/schema/validation.go`,
//! `complete.go`, `apis/apiextensions/validation/validation.go`, v0.36). Works on the JSON, since much of what is
//! forbidden is not kept by [`crate::schema`].

use serde_json::{Map, Value};

use crate::default;
use crate::error::FieldError;
use crate::path::Path;
use crate::prune;
use crate::schema::Schema;
use crate::validate;

const MAX_DEPTH: usize = 128;
const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The errors of `schema`, an `openAPIV3Schema`, that stands at `path`. Empty if the schema may be used.
///
/// Rules in CEL are only checked for their form.
#[must_use]
pub fn check(schema: &Value, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors, 0);
    completeness(schema, Some(schema), path, path, &mut errors, 0);
    errors.sort_by_key(ToString::to_string);
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(
            format!("{path}.nullable"),
            "nullable cannot be true at the root",
        ));
    }
    let structural = errors.is_empty();
    keywords(schema, path, Inside::Root, &mut errors, 0);
    if structural && errors.is_empty() {
        defaults(schema, path, &mut errors, 0);
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

fn invariants(
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

/// Whatever a logical combination restricts must be specified outside of it: `validation` against `structure`.
fn completeness(
    validation: &Value,
    structure: Option<&Value>,
    structure_path: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let Some(structure) = structure else {
        errors.push(FieldError::required(
            structure_path,
            format!("because it is defined in {path}"),
        ));
        return;
    };
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let place = path.child(keyword);
        for (index, branch) in list_of(validation, keyword).iter().enumerate() {
            nested_completeness(
                branch,
                structure,
                structure_path,
                &place.index(index),
                errors,
                depth + 1,
            );
        }
    }
    if let Some(not) = given(validation, "not") {
        nested_completeness(
            not,
            structure,
            structure_path,
            &path.child("not"),
            errors,
            depth + 1,
        );
    }
}

fn nested_completeness(
    validation: &Value,
    structure: &Value,
    structure_path: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
    completeness(
        validation,
        Some(structure),
        structure_path,
        path,
        errors,
        depth,
    );
    if let Some(items) = given(validation, "items") {
        let structure_place = structure_path.child("items");
        let place = path.child("items");
        match given(structure, "items") {
            Some(structure) => nested_completeness(
                items,
                structure,
                &structure_place,
                &place,
                errors,
                depth + 1,
            ),
            None => errors.push(FieldError::required(
                structure_place,
                format!("because it is defined in {place}"),
            )),
        }
    }
    let structure_place = structure_path.child("properties");
    let place = path.child("properties");
    for (name, property) in object_of(validation, "properties").into_iter().flatten() {
        let structure_place = structure_place.key(name);
        let place = place.key(name);
        match object_of(structure, "properties").and_then(|properties| properties.get(name)) {
            Some(structure) => nested_completeness(
                property,
                structure,
                &structure_place,
                &place,
                errors,
                depth + 1,
            ),
            None => errors.push(FieldError::required(
                structure_place,
                format!("because it is defined in {place}"),
            )),
        }
    }
}

/// Where in a resource a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Root,
    Body,
    /// `apiVersion`, `kind` or `metadata` of the root, where nothing may have defaults.
    RootMeta,
    /// The same of an embedded resource.
    Meta,
}

fn keywords(
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
    list_and_map_types(schema, path, errors);
    rules(schema, path, errors);
}

fn list_and_map_types(schema: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = text_of(schema, "type");
    let wrong_type = |detail: &str| {
        if kind.is_empty() {
            FieldError::required(path.child("type"), detail)
        } else {
            FieldError::invalid(path.child("type"), kind, detail)
        }
    };
    if let Some(map_type) = given(schema, "x-kubernetes-map-type") {
        if kind != "object" {
            errors.push(wrong_type(
                "must be object if x-kubernetes-map-type is specified",
            ));
        }
        if !matches!(map_type.as_str(), Some("atomic" | "granular")) {
            errors.push(FieldError::not_supported(
                path.child("x-kubernetes-map-type"),
                map_type.clone(),
                ["atomic", "granular"],
            ));
        }
    }
    let list_type = given(schema, "x-kubernetes-list-type");
    let items = given(schema, "items").filter(|items| items.is_object());
    let is = |name: &str| list_type.and_then(Value::as_str) == Some(name);
    if list_type.is_some() && kind != "array" {
        errors.push(wrong_type(
            "must be array if x-kubernetes-list-type is specified",
        ));
    } else if is("set")
        && let Some(items) = items
    {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let (keyword, wrong) = match text_of(items, "type") {
            "array" => (
                "x-kubernetes-list-type",
                given(items, "x-kubernetes-list-type").is_some_and(|value| value != "atomic"),
            ),
            "object" => (
                "x-kubernetes-map-type",
                given(items, "x-kubernetes-map-type").is_none_or(|value| value != "atomic"),
            ),
            _ => ("", false),
        };
        if wrong {
            errors.push(FieldError::invalid(
                path.child("items").child(keyword),
                given(items, "x-kubernetes-list-type")
                    .cloned()
                    .unwrap_or_default(),
                detail,
            ));
        }
    }
    if let Some(list_type) = list_type
        && !matches!(list_type.as_str(), Some("atomic" | "set" | "map"))
    {
        errors.push(FieldError::not_supported(
            path.child("x-kubernetes-list-type"),
            list_type.clone(),
            ["atomic", "set", "map"],
        ));
    }
    let keys = list_of(schema, "x-kubernetes-list-map-keys");
    if !keys.is_empty() && !is("map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        let place = path.child("x-kubernetes-list-type");
        errors.push(match list_type {
            None => FieldError::required(place, detail),
            Some(list_type) => FieldError::invalid(place, list_type.clone(), detail),
        });
    }
    if is("map") {
        keyed_list(keys, items, path, errors);
    }
    if (is("map") || is("set"))
        && let Some(items) = items
    {
        let item_path = path.child("items");
        if flag_of(items, "nullable") {
            let list_type = list_type.and_then(Value::as_str).unwrap_or_default();
            errors.push(FieldError::forbidden(
                item_path.child("nullable"),
                format!("cannot be nullable when x-kubernetes-list-type is {list_type}"),
            ));
        }
        if is("map") {
            let required = list_of(items, "required");
            let place = item_path.child("properties");
            for key in keys.iter().filter_map(Value::as_str) {
                let Some(property) =
                    object_of(items, "properties").and_then(|properties| properties.get(key))
                else {
                    continue;
                };
                if !required.iter().any(|name| name == key) && given(property, "default").is_none()
                {
                    errors.push(FieldError::required(
                        place.key(key).child("default"),
                        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                    ));
                }
                if flag_of(property, "nullable") {
                    errors.push(FieldError::forbidden(
                        place.key(key).child("nullable"),
                        "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
                    ));
                }
            }
        }
    }
}

fn keyed_list(
    keys: &[Value],
    items: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if keys.is_empty() {
        errors.push(FieldError::required(
            path.child("x-kubernetes-list-map-keys"),
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
    let item_path = path.child("items");
    let Some(items) = items else {
        errors.push(FieldError::required(
            item_path,
            "must have a schema if x-kubernetes-list-type is map",
        ));
        return;
    };
    if text_of(items, "type") != "object" {
        errors.push(FieldError::invalid(
            item_path.child("type"),
            text_of(items, "type"),
            "must be object if parent array's x-kubernetes-list-type is map",
        ));
        return;
    }
    let place = item_path.child("properties");
    for (index, key) in keys.iter().enumerate() {
        let name = key.as_str().unwrap_or_default();
        match object_of(items, "properties").and_then(|properties| properties.get(name)) {
            Some(property) => {
                if matches!(text_of(property, "type"), "array" | "object") {
                    errors.push(FieldError::invalid(
                        place.key(name).child("type"),
                        text_of(items, "type"),
                        "must be a scalar type if parent array's x-kubernetes-list-type is map",
                    ));
                }
            }
            None => errors.push(FieldError::invalid(
                path.child("x-kubernetes-list-map-keys"),
                keys.to_vec(),
                "entries must all be names of item properties",
            )),
        }
        if keys[..index].contains(key) {
            errors.push(FieldError::invalid(
                path.child("x-kubernetes-list-map-keys"),
                keys.to_vec(),
                "must not contain duplicate entries",
            ));
        }
    }
}

/// The form of rules; their expressions are compiled elsewhere.
fn rules(schema: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = path.child("x-kubernetes-validations");
    for (index, rule) in list_of(schema, "x-kubernetes-validations")
        .iter()
        .enumerate()
    {
        let place = place.index(index);
        let (text, message) = (text_of(rule, "rule").trim(), text_of(rule, "message"));
        let breaks = |text: &str| text.contains(['\n', '\r']);
        if text.is_empty() {
            errors.push(FieldError::required(
                place.child("rule"),
                "rule is not specified",
            ));
        } else if !message.is_empty() && message.trim().is_empty() {
            errors.push(FieldError::invalid(
                place.child("message"),
                message,
                "must be non-empty if specified",
            ));
        } else if breaks(message.trim()) {
            errors.push(FieldError::invalid(
                place.child("message"),
                message,
                "must not contain line breaks",
            ));
        } else if breaks(text) && message.trim().is_empty() {
            errors.push(FieldError::required(
                place.child("message"),
                "message must be specified if rule contains line breaks",
            ));
        }
        let expression = text_of(rule, "messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            errors.push(FieldError::required(
                place.child("messageExpression"),
                "messageExpression must be non-empty if specified",
            ));
        }
        if let Some(reason) = given(rule, "reason").and_then(Value::as_str)
            && !REASONS.contains(&reason)
        {
            errors.push(FieldError::not_supported(
                place.child("reason"),
                reason,
                REASONS,
            ));
        }
        let field = text_of(rule, "fieldPath");
        if !field.is_empty() && field.trim().is_empty() {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must be non-empty if specified",
            ));
        }
        if breaks(field) {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must not contain line breaks",
            ));
        }
        if !field.is_empty() && field_path(field, schema, true).is_err() {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must be a valid path",
            ));
        }
    }
}

/// The members that a path such as `.spec['a.b'].c` leads through, and the schema of the last one, or why it leads
/// nowhere (apiextensions-apiserver `apiserver/schema/cel/validation.go`, `ValidFieldPath`).
pub fn field_path<'s>(
    path: &str,
    schema: &'s Value,
    brackets: bool,
) -> Result<(Vec<String>, &'s Value), String> {
    const NOWHERE: &str = "does not refer to a valid field";
    const END: &str = "unexpected end of JSON path";
    let mut names = Vec::new();
    let mut found = schema;
    let mut rest = path;
    while !rest.is_empty() {
        let name = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[', ']']).unwrap_or(after.len());
            // A delimiter is a token too.
            let end = if end == 0 && !after.is_empty() {
                1
            } else {
                end
            };
            let (name, after) = after.split_at(end);
            rest = after;
            name.to_owned()
        } else if let Some(after) = rest.strip_prefix('[') {
            if !brackets {
                return Err("array notation is not allowed".to_owned());
            }
            let (name, after) = quoted(after)?;
            rest = match after.strip_prefix(']') {
                Some(after) => after,
                None if after.is_empty() => return Err(END.to_owned()),
                None => return Err(format!("expected ] but got {after}")),
            };
            name
        } else {
            let end = rest.find(['.', '[', ']']).unwrap_or(rest.len()).max(1);
            return Err(format!(
                "expected [ or . but got: {}",
                rest.get(..end).unwrap_or(rest)
            ));
        };
        if name.is_empty() {
            return Err(END.to_owned());
        }
        found = match (object_of(found, "properties"), additional_schema(found)) {
            (Some(properties), _) => properties.get(&name).ok_or(NOWHERE)?,
            (None, Some(additional)) => additional,
            (None, None) => return Err(NOWHERE.to_owned()),
        };
        names.push(name);
    }
    Ok((names, found))
}

/// The text in single quotes that `rest` begins with, and what follows it.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let Some(inner) = rest.strip_prefix('\'') else {
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        return Err(if rest.is_empty() {
            "unexpected end of JSON path".to_owned()
        } else {
            format!(
                "expected single quoted string but got {}",
                rest.get(..end.max(1)).unwrap_or(rest)
            )
        });
    };
    let mut text = String::new();
    let mut characters = inner.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\'' => return Ok((text, &inner[index + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('\'' | '\\'))) => text.push(escaped),
                _ => return Err("invalid string literal: invalid syntax".to_owned()),
            },
            other => text.push(other),
        }
    }
    Err(format!("expected single quoted string but got {rest}"))
}

/// Defaults must be values of their own schema, without unknown fields.
fn defaults(schema: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(value) = given(schema, "default") {
        let place = path.child("default");
        match Schema::from_openapi(schema) {
            Err(error) => errors.push(FieldError::invalid(place, value.clone(), error.to_string())),
            Ok(parsed) => {
                let mut pruned = value.clone();
                prune::prune(&mut pruned, &parsed);
                if pruned == *value {
                    let mut defaulted = value.clone();
                    default::drop_nulls(&mut defaulted, &parsed);
                    default::default(&mut defaulted, &parsed);
                    errors.extend(validate::part(&defaulted, parsed.view(), &place));
                } else {
                    errors.push(FieldError::invalid(
                        place,
                        value.clone(),
                        "must not have unknown fields",
                    ));
                }
            }
        }
    }
    let place = path.child("properties");
    for (name, property) in object_of(schema, "properties").into_iter().flatten() {
        defaults(property, &place.key(name), errors, depth + 1);
    }
    if let Some(additional) = additional_schema(schema) {
        defaults(
            additional,
            &path.child("additionalProperties"),
            errors,
            depth + 1,
        );
    }
    if let Some(items) = given(schema, "items").filter(|items| items.is_object()) {
        defaults(items, &path.child("items"), errors, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_where_the_server_sees_them() {
        for (schema, expected) in [
            (json!({"type": "object"}), &[][..]),
            (
                json!({}),
                &["s.type: Required value: must not be empty at the root"],
            ),
            (
                json!({"type": "array"}),
                &[
                    "s.items: Required value: must be specified",
                    r#"s.type: Invalid value: "array": must be object at the root"#,
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"properties": {"b": {"type": "string"}}}}}),
                &[
                    "s.properties[a].type: Required value: must not be empty for specified object fields",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
                &[
                    "s.properties[a].items.type: Required value: must not be empty for specified array items",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "object"}}, "anyOf": [{"properties": {"b": {"type": "string"}}}]}),
                &[
                    "s.anyOf[0].properties[b].type: Forbidden: must be empty to be structural",
                    "s.properties[b]: Required value: because it is defined in s.anyOf[0].properties[b]",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}}}),
                &[],
            ),
            (
                json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
                &[
                    "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}),
                &[
                    r#"s.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#,
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "object", "default": {"x": 1}, "properties": {"b": {"type": "string"}}}}}),
                &[
                    r#"s.properties[a].default: Invalid value: {"x":1}: must not have unknown fields"#,
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
                &[
                    "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": ""}]}}}),
                &[
                    "s.properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string", "$ref": "x", "uniqueItems": true}}}),
                &[
                    "s.properties[a].$ref: Forbidden: $ref is not supported",
                    "s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
                ],
            ),
        ] {
            let errors: Vec<_> = check(&schema, &Path::field("s"))
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(errors, expected, "{schema}");
        }
    }
}
