//! What decoding into a typed object and encoding again does to a document.
//!
//! A kube-apiserver reads built-in kinds into typed structures. Writing them out drops unknown members, nulls and empty
//! collections, and adds members that are always written; the published schemas tell the latter by their defaults
//! (k8s.io/kube-openapi `generators/openapi.go` derives these from the types).

use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_structural::Schema;
use drover_structural::schema::{Kind, View};
use serde_json::Value;

/// Rewrites `value` as if it had been decoded and encoded. Idempotent.
pub(super) fn conform(view: View<'_>, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let known = view.properties().next().is_some();
            if known && view.additional_properties().is_none() && !view.preserves_unknown_fields() {
                members.retain(|name, member| {
                    view.property(name)
                        .is_some_and(|property| written(view, name, property, member))
                });
            }
            for (name, property) in view.properties() {
                match members.get_mut(name) {
                    Some(member) => conform(property, member),
                    None => {
                        if let Some(default) = property.default_value() {
                            let mut default = default.clone();
                            conform(property, &mut default);
                            members.insert(name.to_owned(), default);
                        }
                    }
                }
            }
            if let Some(additional) = view.additional_properties() {
                for member in members.values_mut() {
                    conform(additional, member);
                }
            }
        }
        Value::Array(items) => {
            if let Some(view) = view.items() {
                for item in items {
                    conform(view, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a known member would be written.
fn written(parent: View<'_>, name: &str, property: View<'_>, member: &Value) -> bool {
    let required = || parent.required().any(|required| required == name);
    match member {
        // A schema without a type is any JSON, where null is a value.
        Value::Null => {
            property.kind().is_none() && property.properties().next().is_none() && required()
        }
        Value::Array(items) => !items.is_empty() || property.items().is_none() || required(),
        Value::Object(members) => {
            !members.is_empty() || property.additional_properties().is_none() || required()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Why a document cannot be decoded into the typed object, as Go's decoder says it: the first member of a wrong type.
pub(crate) fn decode_problem(schema: &Schema, value: &Value, kind: &str) -> Option<String> {
    problem(schema.view(), value, &mut vec![kind])
}

fn problem<'a>(view: View<'a>, value: &'a Value, path: &mut Vec<&'a str>) -> Option<String> {
    let mismatch = |wanted: &str| {
        let (found, number) = match value {
            Value::Number(number) if view.kind() == Some(Kind::Integer) => {
                ("number", format!(" {number}"))
            }
            Value::Number(_) => ("number", String::new()),
            Value::String(_) => ("string", String::new()),
            Value::Array(_) => ("array", String::new()),
            Value::Bool(_) => ("bool", String::new()),
            Value::Object(_) | Value::Null => ("object", String::new()),
        };
        Some(format!(
            "json: cannot unmarshal {found}{number} into Go struct field {} of type {wanted}",
            path.join(".")
        ))
    };
    match (view.kind(), value) {
        (None, _)
        | (_, Value::Null)
        | (Some(Kind::Boolean), Value::Bool(_))
        | (Some(Kind::Number), Value::Number(_)) => None,
        (Some(Kind::Object), Value::Object(members)) => {
            members.iter().find_map(|(name, member)| {
                if let Some(property) = view.property(name) {
                    path.push(name);
                    let found = problem(property, member, path);
                    path.pop();
                    found
                } else {
                    // The keys of a map are no part of the path.
                    view.additional_properties()
                        .and_then(|property| problem(property, member, path))
                }
            })
        }
        (Some(Kind::Array), Value::Array(items)) => {
            let view = view.items()?;
            items.iter().find_map(|item| problem(view, item, path))
        }
        (Some(Kind::String), Value::String(text)) if view.format() == Some("byte") => {
            match STANDARD.decode(text) {
                Err(DecodeError::InvalidByte(place, _)) => {
                    Some(format!("illegal base64 data at input byte {place}"))
                }
                Err(DecodeError::InvalidLength(length)) => {
                    Some(format!("illegal base64 data at input byte {length}"))
                }
                Err(_) => Some(format!(
                    "illegal base64 data at input byte {}",
                    text.len().saturating_sub(1)
                )),
                Ok(_) => None,
            }
        }
        (Some(Kind::String), Value::String(_)) => None,
        (Some(Kind::Integer), Value::Number(number)) if number.is_i64() || number.is_u64() => None,
        // Ports and the like are numbers or text; quantities are text that may be written as a number.
        (Some(Kind::String), Value::Number(_)) if view.int_or_string() || view.is_quantity() => {
            None
        }
        _ if view.int_or_string() => None,
        (Some(Kind::Boolean), _) => mismatch("bool"),
        (Some(Kind::Integer), _) => mismatch(if view.format() == Some("int64") {
            "int64"
        } else {
            "int32"
        }),
        (Some(kind), _) => match view.additional_properties().and_then(View::kind) {
            Some(Kind::String) => mismatch("map[string]string"),
            _ => mismatch(kind.name()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::data;
    use super::*;

    fn check(component: &str, mut object: Value, expected: &Value) {
        let schema = data::schema_document().component(component).unwrap();
        conform(schema.view(), &mut object);
        assert_eq!(object, *expected);
        let once = object.clone();
        conform(schema.view(), &mut object);
        assert_eq!(object, once, "idempotent");
    }

    #[test]
    fn documents_look_as_if_typed() {
        check(
            "io.k8s.api.core.v1.ConfigMap",
            json!({"metadata": {"name": "c", "labels": {}, "creationTimestamp": null}, "data": {}, "extra": 1}),
            &json!({"metadata": {"name": "c"}}),
        );
        check(
            "io.k8s.api.core.v1.Container",
            json!({"name": "c", "env": [], "ports": [{"containerPort": 80}]}),
            &json!({"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}),
        );
        check(
            "io.k8s.api.core.v1.Volume",
            json!({"name": "v", "emptyDir": {}}),
            &json!({"name": "v", "emptyDir": {}}),
        );
    }

    #[test]
    fn wrong_types_are_named() {
        let check = |component: &str, object: Value, expected: &str| {
            let schema = data::schema_document().component(component).unwrap();
            let kind = component.rsplit('.').next().unwrap();
            assert_eq!(
                decode_problem(&schema, &object, kind).as_deref(),
                Some(expected)
            );
        };
        check(
            "io.k8s.api.apps.v1.Deployment",
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field Deployment.spec.replicas of type int32",
        );
        check(
            "io.k8s.api.core.v1.ConfigMap",
            json!({"data": {"k": 1}}),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        );
        check(
            "io.k8s.api.core.v1.Secret",
            json!({"data": {"k": "?"}}),
            "illegal base64 data at input byte 0",
        );
    }
}
