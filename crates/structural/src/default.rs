//! Defaults of a schema, written into an object.
//!
//! Invariant: defaulting a defaulted value changes nothing.

use serde_json::Value;

use crate::prune::is_meta;
use crate::schema::{Schema, View};

/// Removes nulls that are neither allowed nor replaced by a default. To be called before [`default`] on objects that
/// come from clients or from storage.
pub fn drop_nulls(value: &mut Value, schema: &Schema) {
    drop_nulls_at(value, schema.view());
}

fn drop_nulls_at(value: &mut Value, view: View<'_>) {
    match value {
        Value::Object(object) => {
            let mut surplus = false;
            for (name, value) in object.iter_mut() {
                let Some(child) = child(view, name) else {
                    continue;
                };
                match value {
                    Value::Null => surplus |= is_surplus_null(child),
                    Value::Object(_) | Value::Array(_) => drop_nulls_at(value, child),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                }
            }
            if surplus {
                object.retain(|name, value| {
                    !(value.is_null() && child(view, name).is_some_and(is_surplus_null))
                });
            }
        }
        Value::Array(items) => {
            let Some(child) = view.items() else { return };
            for item in items {
                drop_nulls_at(item, child);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_surplus_null(view: View<'_>) -> bool {
    !view.nullable() && view.default_value().is_none()
}

fn child<'a>(view: View<'a>, name: &str) -> Option<View<'a>> {
    view.property(name).or_else(|| view.additional_properties())
}

/// Writes the defaults of `schema` into `value`, where fields are absent or hold a null that is not allowed.
pub fn default(value: &mut Value, schema: &Schema) {
    let view = schema.view();
    default_at(value, view, view.node.resource);
}

fn default_at(value: &mut Value, view: View<'_>, root: bool) {
    if !view.may_default() {
        return;
    }
    match value {
        Value::Object(object) => {
            for (name, property) in view.properties() {
                if root && is_meta(name) {
                    continue;
                }
                let Some(default) = property.default_value() else {
                    continue;
                };
                match object.get_mut(name) {
                    None => {
                        object.insert(name.to_owned(), default.clone());
                    }
                    Some(value @ Value::Null) if !property.nullable() => *value = default.clone(),
                    Some(_) => {}
                }
            }
            for (name, value) in object.iter_mut() {
                if root && is_meta(name) {
                    continue;
                }
                if let Some(property) = view.property(name) {
                    default_at(value, property, false);
                } else if let Some(additional) = view.additional_properties() {
                    default_null(value, additional);
                    default_at(value, additional, false);
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = view.items() else { return };
            for item in items {
                default_null(item, child);
                default_at(item, child, false);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn default_null(value: &mut Value, view: View<'_>) {
    if value.is_null()
        && !view.nullable()
        && let Some(default) = view.default_value()
    {
        *value = default.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_and_null_fields_are_defaulted() {
        let schema = Schema::from_crd(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "default": {}, "properties": {
                "size": {"type": "integer", "default": 3},
                "mode": {"type": "string", "nullable": true, "default": "a"},
                "plain": {"type": "string"},
                "items": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "boolean", "default": true}}}},
                "map": {"type": "object", "additionalProperties": {"type": "integer", "default": 7}}
            }}
        }}))
        .unwrap();
        for (value, expected) in [
            (json!({}), json!({"spec": {"size": 3, "mode": "a"}})),
            (
                json!({"spec": {"size": null, "mode": null, "plain": null}}),
                json!({"spec": {"size": 3, "mode": null}}),
            ),
            (
                json!({"spec": {"size": 1, "items": [{}, {"x": false}], "map": {"k": null}}}),
                json!({"spec": {"size": 1, "mode": "a", "items": [{"x": true}, {"x": false}], "map": {"k": 7}}}),
            ),
        ] {
            let mut actual = value;
            for _ in 0..2 {
                drop_nulls(&mut actual, &schema);
                default(&mut actual, &schema);
                assert_eq!(actual, expected);
            }
        }
    }
}
