//! Whatever a logical combination restricts must be specified outside of it.

use serde_json::Value;

use super::{MAX_DEPTH, given, list_of, object_of};
use crate::error::FieldError;
use crate::path::Path;

/// Whatever a logical combination restricts must be specified outside of it: `validation` against `structure`.
pub(super) fn completeness(
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
