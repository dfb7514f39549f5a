//! Lists and maps with a type of their own.

use serde_json::Value;

use super::{flag_of, given, list_of, object_of, text_of};
use crate::error::FieldError;
use crate::path::Path;

pub(super) fn list_and_map_types(schema: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
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
