//! Objects of Kubernetes as the fields of their types, and what of them would not be stored.
//!
//! Pure.

use std::borrow::Cow;

use drover_auth::web::ApiError;
use drover_types::names::CREATOR_ANNOTATION;
use serde_json::{Map, Value};

use crate::registry::Registry;
use crate::schema::{FieldType, Type};

/// Metadata that the server keeps, or that is judged by itself.
const KEPT_BY_SERVER: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Whose a new object is follows from who makes it, whatever it says.
const CREATOR: [&str; 2] = [CREATOR_ANNOTATION, "field.cattle.io/creator-principal-name"];

/// # Errors
/// 422 for an object of another kind.
pub(super) fn check_kind(sent: &Value, kind: &str) -> Result<(), ApiError> {
    match sent.get("kind").and_then(Value::as_str) {
        Some(other) if other != kind => Err(ApiError::invalid_body(format!(
            "{other} is not the kind {kind} that is written here"
        ))
        .with_field("kind")),
        Some(_) | None => Ok(()),
    }
}

fn lookup<'a>(object: &'a Value, path: &[Cow<'static, str>]) -> Option<&'a Value> {
    let found = path
        .iter()
        .try_fold(object, |value, step| value.get(step.as_ref()));
    found.filter(|value| !path.is_empty() && !value.is_null())
}

/// The fields of an object that is to be made.
pub(super) fn of_new(registry: &Registry, kind: &Type, sent: &Value) -> Map<String, Value> {
    let fields = kind.fields.iter().filter(|field| field.create);
    fields
        .filter_map(|field| {
            let value = given(registry, &field.kind, None, lookup(sent, &field.path)?);
            Some((field.name.to_owned(), value))
        })
        .collect()
}

/// The fields in which an object is to differ from what it is; null for those that go.
pub(super) fn of_changed(
    registry: &Registry,
    kind: &Type,
    current: &Value,
    sent: &Value,
) -> Map<String, Value> {
    let fields = kind.fields.iter().filter(|field| field.update);
    fields
        .filter_map(|field| {
            let (is, wanted) = (lookup(current, &field.path), lookup(sent, &field.path));
            let value = match (is, wanted) {
                (None, None) => return None,
                (Some(is), Some(wanted)) if is == wanted => return None,
                // Labels and annotations are maps that may be empty, not nothing.
                (_, None) if matches!(field.kind, FieldType::Map(_)) => Value::Object(Map::new()),
                (_, None) => Value::Null,
                (is, Some(wanted)) => given(registry, &field.kind, is, wanted),
            };
            Some((field.name.to_owned(), value))
        })
        .collect()
}

/// A stored value as clients of the type would send it; what a nested type has and loses is null.
fn given(registry: &Registry, kind: &FieldType, current: Option<&Value>, sent: &Value) -> Value {
    match (kind, sent) {
        (FieldType::Array(inner), Value::Array(items)) => items
            .iter()
            .map(|item| given(registry, inner, None, item))
            .collect(),
        (FieldType::Map(inner), Value::Object(entries)) => entries
            .iter()
            .map(|(key, entry)| (key.clone(), given(registry, inner, None, entry)))
            .collect(),
        (FieldType::Part(id), Value::Object(_)) => match registry.get(id) {
            None => sent.clone(),
            Some(part) => {
                let fields = part.fields.iter().filter_map(|field| {
                    let is = current.and_then(|current| lookup(current, &field.path));
                    let value = match (is, lookup(sent, &field.path)) {
                        (None, None) => return None,
                        (Some(_), None) => Value::Null,
                        (is, Some(wanted)) => given(registry, &field.kind, is, wanted),
                    };
                    Some((field.name.to_owned(), value))
                });
                fields.collect()
            }
        },
        _ => sent.clone(),
    }
}

/// # Errors
/// 422 naming the first thing that was sent and is not in what is to be made.
pub(super) fn check_kept(sent: &Value, made: &Value) -> Result<(), ApiError> {
    let mut sent = bare(sent);
    if let Some(annotations) = annotations(&mut sent) {
        for name in CREATOR {
            annotations.remove(name);
        }
    }
    refuse(lost(&sent, made, &mut Vec::new()))
}

/// # Errors
/// 422 naming the first thing in which what was sent is not what is to be stored.
pub(super) fn check_same(sent: &Value, stored: &Value) -> Result<(), ApiError> {
    let (sent, stored) = (bare(sent), bare(stored));
    refuse(lost(&sent, &stored, &mut Vec::new()).or_else(|| lost(&stored, &sent, &mut Vec::new())))
}

fn refuse(path: Option<String>) -> Result<(), ApiError> {
    match path {
        None => Ok(()),
        Some(path) => Err(ApiError::invalid(
            "InvalidFormat",
            format!("{path} cannot be written by you, or not in this way"),
        )
        .with_field(path)),
    }
}

fn annotations(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.get_mut("metadata")?;
    metadata.get_mut("annotations")?.as_object_mut()
}

/// An object without what the server keeps.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        for name in ["apiVersion", "kind", "status"] {
            fields.remove(name);
        }
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            for name in KEPT_BY_SERVER {
                metadata.remove(name);
            }
        }
    }
    object
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::Number(number) => number.as_f64() == Some(0.0),
    }
}

/// Where `of` says something that `there` does not.
fn lost<'a>(of: &'a Value, there: &Value, at: &mut Vec<&'a str>) -> Option<String> {
    if of == there || (is_nothing(of) && is_nothing(there)) {
        return None;
    }
    if let Value::Object(fields) = of {
        for (name, value) in fields {
            at.push(name);
            let found = lost(value, there.get(name).unwrap_or(&Value::Null), at);
            if found.is_some() {
                return found;
            }
            at.pop();
        }
        return None;
    }
    Some(at.join("."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_become_the_fields_of_their_type_and_back() {
        let registry = Registry::new();
        let kind = registry.get("project").unwrap();
        let is = json!({"metadata": {"labels": {"a": "1"}}, "spec": {
            "clusterName": "c-1", "displayName": "one",
            "resourceQuota": {"limit": {"pods": "4", "services": "2"}, "usedLimit": {"pods": "1"}},
        }});
        let mut sent = is.clone();
        assert_eq!(of_changed(&registry, kind, &is, &sent), Map::new());
        sent["spec"]["displayName"] = json!("two");
        sent["metadata"].as_object_mut().unwrap().remove("labels");
        let limit = &mut sent["spec"]["resourceQuota"]["limit"];
        limit.as_object_mut().unwrap().remove("services");
        let expected = json!({
            "name": "two", "labels": {},
            "resourceQuota": {"limit": {"pods": "4", "services": null}, "usedLimit": {"pods": "1"}},
        });
        assert_eq!(
            Value::Object(of_changed(&registry, kind, &is, &sent)),
            expected
        );
        let new = of_new(&registry, kind, &is);
        assert_eq!(
            (&new["clusterId"], &new["name"]),
            (&json!("c-1"), &json!("one"))
        );
    }

    #[test]
    fn what_would_be_lost_is_named() {
        let check = |sent: Value, made: Value| {
            check_kept(&sent, &made).map_err(|it| it.field_name.unwrap())
        };
        let body = json!({"metadata": {"annotations": {"field.cattle.io/creatorId": "me"}}, "spec": {"a": {"b": 1}}});
        assert_eq!(
            check(json!({"status": {"x": 1}, "spec": {"a": {}}}), body.clone()),
            Ok(())
        );
        assert_eq!(
            check(
                json!({"metadata": {"annotations": {"field.cattle.io/creatorId": "you"}}}),
                body.clone()
            ),
            Ok(())
        );
        assert_eq!(
            check(json!({"spec": {"a": {"b": 1, "c": true}}}), body.clone()),
            Err("spec.a.c".to_owned())
        );
        assert_eq!(
            check(json!({"metadata": {"finalizers": ["x"]}}), body.clone()),
            Err("metadata.finalizers".to_owned())
        );
        let same = |sent: Value| check_same(&sent, &body).map_err(|it| it.field_name.unwrap());
        assert_eq!(
            same(json!({"spec": {"a": {"b": 1}}})),
            Err("metadata.annotations.field.cattle.io/creatorId".to_owned())
        );
    }
}
