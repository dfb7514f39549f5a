//! Default values.

use serde_json::Value;

use super::{MAX_DEPTH, additional_schema, given, object_of};
use crate::default;
use crate::error::FieldError;
use crate::path::Path;
use crate::prune;
use crate::schema::Schema;
use crate::validate;

/// Defaults must be values of their own schema, without unknown fields.
pub(super) fn defaults(
    schema: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    depth: usize,
) {
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
