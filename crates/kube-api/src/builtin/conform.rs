//! What decoding into a typed object and encoding again does to a document.
//!
//! A kube-apiserver reads built-in kinds into Go structures. Writing them out drops unknown members, nulls, empty
//! collections and zeros that are marked so, adds members that are always written, and gives quantities and times one
//! form. The types are those of [`crate::go_types`].

use drover_structural::quantity::Quantity;
use drover_structural::schema::View;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::go_types::{EXTENSIONS, Field, INTSTR, Kind, META, RESOURCE, types};

/// Rewrites `object` as if it had been decoded and encoded. Idempotent. What has the wrong type stays: reading it was
/// refused before.
pub(crate) fn conform(api_version: &str, kind: &str, object: &mut Value) {
    let Some(name) = types().of_kind(api_version, kind) else {
        return;
    };
    // No owners at all is not the same as nothing said of owners, until it was looked at.
    let forgotten = object.pointer("/metadata/managedFields") == Some(&json!([]));
    message(name, object);
    let Some(members) = object.as_object_mut() else {
        return;
    };
    if let (true, Some(Value::Object(metadata))) = (forgotten, members.get_mut("metadata")) {
        metadata.insert("managedFields".to_owned(), json!([]));
    }
    members.insert("apiVersion".to_owned(), json!(api_version));
    members.insert("kind".to_owned(), json!(kind));
}

/// Makes the empty collections of `object` none: stored in protobuf, that is how they come back.
pub(super) fn forget_empty(api_version: &str, kind: &str, object: &mut Value) {
    if let Some(name) = types().of_kind(api_version, kind) {
        forget_in(name, object);
    }
}

fn forget_in(name: &str, value: &mut Value) {
    let (Some(known), Some(members)) = (types().get(name), value.as_object_mut()) else {
        return;
    };
    if name.starts_with(EXTENSIONS) {
        return;
    }
    for field in &known.fields {
        let Some(member) = members.get_mut(&field.name) else {
            continue;
        };
        if (field.repeated && *member == json!([])) || (field.map && *member == json!({})) {
            *member = Value::Null;
        } else if let Kind::Message(inner) = &field.kind {
            match member {
                Value::Array(items) if field.repeated => {
                    items.iter_mut().for_each(|item| forget_in(inner, item));
                }
                Value::Object(items) if field.map => {
                    items.values_mut().for_each(|item| forget_in(inner, item));
                }
                member => forget_in(inner, member),
            }
        }
    }
}

/// Writes what published schemas default to, where that is more than the zero of a type.
pub(super) fn fill(view: View<'_>, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, property) in view.properties() {
                let is_zero = |value: &Value| {
                    value == &json!({}) || value == &json!("") || value.as_i64() == Some(0)
                };
                match members.get_mut(name) {
                    Some(member) => fill(property, member),
                    None => {
                        if let Some(default) = property.default_value()
                            && !is_zero(default)
                        {
                            members.insert(name.to_owned(), default.clone());
                        }
                    }
                }
            }
            if let Some(additional) = view.additional_properties() {
                for member in members.values_mut() {
                    fill(additional, member);
                }
            }
        }
        Value::Array(items) => {
            if let Some(view) = view.items() {
                for item in items {
                    fill(view, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn message(name: &str, value: &mut Value) {
    if special(name, value) {
        return;
    }
    let Some(known) = types().get(name) else {
        return;
    };
    if let Some(items) = known.items() {
        each(items, value);
        return;
    }
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let Some(members) = value.as_object_mut() else {
        return;
    };
    let mut written = Map::new();
    structure(name, members, &mut written);
    *members = written;
}

/// Moves the members of the structure `name` to `written`, as Go writes them.
fn structure(name: &str, members: &mut Map<String, Value>, written: &mut Map<String, Value>) {
    let fields = types().get(name).map_or(&[][..], |known| &known.fields);
    for field in fields {
        if let (true, Kind::Message(inner)) = (field.inline, &field.kind) {
            structure(inner, members, written);
            continue;
        }
        let member = members.remove(&field.name);
        if let Some(value) = member_of(field, member) {
            written.insert(field.name.clone(), value);
        }
    }
}

/// The value of a field as Go writes it; `None` if it writes none.
fn member_of(field: &Field, member: Option<Value>) -> Option<Value> {
    let mut value = member.unwrap_or(Value::Null);
    if field.map || field.repeated || matches!(field.kind, Kind::Bytes) {
        let empty = match &value {
            Value::Null => true,
            Value::Object(members) => members.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if empty && field.omit_empty {
            return None;
        }
        if field.map || field.repeated {
            each(field, &mut value);
        }
        return Some(value);
    }
    if value.is_null() && field.pointer {
        return (!field.omit_empty).then_some(value);
    }
    single(&field.kind, &mut value);
    let zero = match &field.kind {
        Kind::Text => value == json!(""),
        Kind::Integer | Kind::Float => value.as_f64() == Some(0.0),
        Kind::Boolean => value == json!(false),
        Kind::Message(name) => field.omit_zero && is_zero(name, &value),
        Kind::Bytes => false,
    };
    let omits = field.omit_zero || (field.omit_empty && !matches!(field.kind, Kind::Message(_)));
    (field.pointer || !(zero && omits)).then_some(value)
}

/// Each value of a map or list.
fn each(field: &Field, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for member in members.values_mut() {
                single(&field.kind, member);
            }
        }
        Value::Array(items) => {
            for item in items {
                single(&field.kind, item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A value that is there: null is the zero of its type.
fn single(kind: &Kind, value: &mut Value) {
    match kind {
        Kind::Message(name) => message(name, value),
        Kind::Text | Kind::Bytes if value.is_null() => *value = json!(""),
        Kind::Integer | Kind::Float if value.is_null() => *value = json!(0),
        Kind::Boolean if value.is_null() => *value = json!(false),
        Kind::Text | Kind::Integer | Kind::Float | Kind::Boolean | Kind::Bytes => {}
    }
}

fn is_zero(name: &str, value: &Value) -> bool {
    let mut zero = Value::Null;
    message(name, &mut zero);
    *value == zero
}

/// Types that write themselves.
fn special(name: &str, value: &mut Value) -> bool {
    let (package, name) = name.rsplit_once('.').unwrap_or(("", name));
    match (package, name) {
        (RESOURCE, "Quantity") => quantity(value),
        (INTSTR, "IntOrString") => {
            if value.is_null() {
                *value = json!(0);
            }
        }
        (META, "Time") => time(value, "%Y-%m-%dT%H:%M:%SZ"),
        (META, "MicroTime") => time(value, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        (META, "FieldsV1")
        | ("apimachinery/pkg/runtime", "RawExtension")
        | (EXTENSIONS, "JSON") => {}
        (
            EXTENSIONS,
            "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray",
        ) => {
            let schema = format!("{EXTENSIONS}.JSONSchemaProps");
            match value {
                Value::Object(_) => message(&schema, value),
                Value::Array(items) => items
                    .iter_mut()
                    .filter(|item| item.is_object())
                    .for_each(|item| message(&schema, item)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        _ => return false,
    }
    true
}

/// A quantity in its one form: `0.1` is `100m`.
fn quantity(value: &mut Value) {
    let read = match &*value {
        Value::Null => "0".parse::<Quantity>(),
        Value::String(text) => text.parse(),
        Value::Number(number) => number.to_string().parse(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return,
    };
    if let Ok(quantity) = read {
        *value = json!(quantity.to_string());
    }
}

/// A time in UTC, with as many digits as its type writes.
fn time(value: &mut Value, form: &str) {
    if let Some(time) = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
    {
        *value = json!(time.strftime(form).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(api_version: &str, kind: &str, mut object: Value, expected: &Value) {
        conform(api_version, kind, &mut object);
        let mut expected = expected.clone();
        expected["apiVersion"] = json!(api_version);
        expected["kind"] = json!(kind);
        assert_eq!(object, expected);
        let once = object.clone();
        conform(api_version, kind, &mut object);
        assert_eq!(object, once, "idempotent");
    }

    #[test]
    fn documents_look_as_if_typed() {
        check(
            "v1",
            "ConfigMap",
            json!({"metadata": {"name": "c", "labels": {}, "creationTimestamp": null}, "data": {}, "extra": 1}),
            &json!({"metadata": {"name": "c"}}),
        );
        check(
            "v1",
            "ConfigMap",
            json!({"data": {"k": null}, "immutable": false}),
            &json!({"metadata": {}, "data": {"k": ""}, "immutable": false}),
        );
        check(
            "v1",
            "Pod",
            json!({"spec": {"containers": [{"name": "c", "env": [], "tty": false, "ports": [{"containerPort": 80, "hostPort": 0}]}]}}),
            &json!({"metadata": {}, "status": {}, "spec": {"containers": [
                {"name": "c", "ports": [{"containerPort": 80}], "resources": {}},
            ]}}),
        );
        check(
            "v1",
            "ResourceQuota",
            json!({"spec": {"hard": {"cpu": 0.1, "memory": "1024Mi"}}}),
            &json!({"metadata": {}, "status": {}, "spec": {"hard": {"cpu": "100m", "memory": "1Gi"}}}),
        );
    }

    #[test]
    fn empty_collections_come_back_as_none() {
        let mut role = json!({"rules": []});
        forget_empty("rbac.authorization.k8s.io/v1", "Role", &mut role);
        assert_eq!(role, json!({"rules": null}));
        let mut pod = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
        let same = pod.clone();
        forget_empty("v1", "Pod", &mut pod);
        assert_eq!(pod, same);
    }

    #[test]
    fn times_have_the_digits_of_their_type() {
        check(
            "coordination.k8s.io/v1",
            "Lease",
            json!({"spec": {"renewTime": "2026-01-01T01:00:00+01:00", "holderIdentity": ""}}),
            &json!({"metadata": {}, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z", "holderIdentity": ""}}),
        );
    }
}
