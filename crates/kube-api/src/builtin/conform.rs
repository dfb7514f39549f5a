//! What decoding into a typed object and encoding again does to a document.
//!
//! A kube-apiserver reads built-in kinds into typed structures. Writing them out drops unknown members, nulls and empty
//! collections, and adds members that are always written; the published schemas tell the latter by their defaults
//! (k8s.io/kube-openapi `generators/openapi.go` derives these from the types).

use drover_structural::schema::{Kind, View};
use drover_structural::FieldError;
use serde_json::Value;

/// Rewrites `value` as if it had been decoded and encoded. Idempotent.
pub(super) fn conform(view: View<'_>, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let known = view.properties().next().is_some();
            if known && view.additional_properties().is_none() && !view.preserves_unknown_fields() {
                members.retain(|name, member| view.property(name).is_some_and(|property| written(view, name, property, member)));
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
        Value::Null => property.kind().is_none() && property.properties().next().is_none() && required(),
        Value::Array(items) => !items.is_empty() || property.items().is_none() || required(),
        Value::Object(members) => !members.is_empty() || property.additional_properties().is_none() || required(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Members whose JSON type is not the schema's.
pub(super) fn mismatches(view: View<'_>, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let fits = match (view.kind(), value) {
        (None, _) | (_, Value::Null) => true,
        (Some(Kind::Object), Value::Object(_))
        | (Some(Kind::Array), Value::Array(_))
        | (Some(Kind::String), Value::String(_))
        | (Some(Kind::Boolean), Value::Bool(_))
        | (Some(Kind::Number), Value::Number(_)) => true,
        (Some(Kind::Integer), Value::Number(number)) => number.is_i64() || number.is_u64(),
        // Ports and the like are numbers or text; quantities are text that may be written as a number.
        (Some(Kind::String), Value::Number(_)) => view.int_or_string() || view.is_quantity(),
        _ => view.int_or_string(),
    };
    if !fits {
        let wanted = view.kind().map_or("any", Kind::name);
        errors.push(FieldError::type_invalid(path, value.clone(), format!("must be of type {wanted}")));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let Some(view) = view.property(name).or_else(|| view.additional_properties()) else { continue };
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                mismatches(view, member, &path, errors);
            }
        }
        Value::Array(items) => {
            let Some(view) = view.items() else { return };
            for (index, item) in items.iter().enumerate() {
                mismatches(view, item, &format!("{path}[{index}]"), errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
        check("io.k8s.api.core.v1.Volume", json!({"name": "v", "emptyDir": {}}), &json!({"name": "v", "emptyDir": {}}));
    }

    #[test]
    fn wrong_types_are_named() {
        let schema = data::schema_document().component("io.k8s.api.apps.v1.Deployment").unwrap();
        let mut errors = Vec::new();
        mismatches(schema.view(), &json!({"spec": {"replicas": "3"}}), "", &mut errors);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].field, "spec.replicas");
    }
}
