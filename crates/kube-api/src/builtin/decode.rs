//! Whether a document can be read into a typed object at all.

mod times;

use std::sync::LazyLock;

use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_structural::Schema;
use drover_structural::quantity::Quantity;
use drover_structural::schema::{Kind, View};
use serde_json::Value;

use self::times::Layout;
use super::data;

/// Why a document cannot be decoded into the typed object, as Go's decoder says it: the first member of a wrong type.
pub(crate) fn decode_problem(schema: &Schema, value: &Value, kind: &str) -> Option<String> {
    problem(schema.view(), value, &mut vec![kind])
}

/// As [`decode_problem`], for the metadata of objects whose kind is not built in.
pub(crate) fn metadata_problem(metadata: &Value) -> Option<String> {
    static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
        data::schema_document().component("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    });
    let schema = SCHEMA.as_ref()?;
    problem(schema.view(), metadata, &mut vec!["ObjectMeta"])
}

/// As [`decode_problem`], for options of a deletion.
pub(crate) fn delete_options_problem(options: &Value) -> Option<String> {
    static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
        data::schema_document().component("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
    });
    let schema = SCHEMA.as_ref()?;
    problem(schema.view(), options, &mut vec!["DeleteOptions"])
}

/// Members that are times with microseconds, of the kinds that have such (kubernetes `staging/src/k8s.io/api`, v1.36).
const WITH_MICROSECONDS: [(&str, &[&str]); 3] = [
    ("Lease", &["acquireTime", "renewTime"]),
    ("LeaseCandidate", &["pingTime", "renewTime"]),
    ("Event", &["eventTime", "lastObservedTime"]),
];

fn layout(path: &[&str]) -> Layout {
    let (kind, member) = (path.first(), path.last());
    let is_micro = WITH_MICROSECONDS.iter().any(|(of, members)| {
        kind == Some(of) && member.is_some_and(|member| members.contains(member))
    });
    if is_micro {
        Layout::Micro
    } else {
        Layout::Seconds
    }
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
    if let (Some("date-time"), Value::String(text)) = (view.format(), value) {
        return times::problem(text, layout(path));
    }
    if let (true, Value::String(text)) = (view.is_quantity(), value) {
        return text
            .parse::<Quantity>()
            .err()
            .map(|error| error.to_string());
    }
    if view.int_or_string() {
        return match value {
            Value::String(_) | Value::Null => None,
            Value::Number(number) if number.is_i64() => None,
            Value::Number(number) => Some(format!(
                "json: cannot unmarshal number {number} into Go struct field {} of type int32",
                path.join(".")
            )),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => mismatch("int32"),
        };
    }
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
        (Some(Kind::String), Value::String(text)) if view.is_quantity() => text
            .parse::<Quantity>()
            .err()
            .map(|error| error.to_string()),
        (Some(Kind::String), Value::String(_)) => None,
        (Some(Kind::Integer), Value::Number(number)) if number.is_i64() || number.is_u64() => None,
        // Quantities are text that may be written as a number.
        (Some(Kind::String), Value::Number(_)) if view.is_quantity() => None,
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

    use super::*;

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
