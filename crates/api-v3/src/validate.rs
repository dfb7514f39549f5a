//! What clients send, made fit to be stored, or refused.
//!
//! Pure. Unknown fields and those that may not be written are dropped, values
//! are converted as leniently as Norman does (`"5"` is a number where one is
//! due), limits are checked, defaults filled in, required fields looked for,
//! in this order (reference section 1.6). Of several errors the first by field
//! name is reported, always the same one.

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use crate::registry::Registry;
use crate::schema::{Field, FieldType, Type};

/// Bytes of the longest reference: a name in a namespace, both as long as they can be, with room to spare.
const LONGEST_REFERENCE: usize = 1024;

/// What the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
}

/// Checks the fields sent for a type.
pub(crate) fn fields(
    registry: &Registry,
    kind: &Type,
    sent: &Map<String, Value>,
    operation: Operation,
) -> Result<Map<String, Value>, ApiError> {
    let mut accepted = Map::new();
    for field in &kind.fields {
        let writable = match operation {
            Operation::Create => field.create,
            Operation::Update => field.update,
        };
        let Some(value) = sent.get(field.name).filter(|_| writable) else {
            continue;
        };
        if value.is_null() {
            if !field.nullable && field.default.is_none() {
                return Err(refuse("NotNullable", field, "it may not be null"));
            }
            // On create nothing is there to be cleared, and a default takes its place.
            if operation == Operation::Update && field.nullable {
                accepted.insert(field.name.to_owned(), Value::Null);
            }
            continue;
        }
        let value = convert(registry, field, &field.kind, value, operation)?;
        limits(field, &value)?;
        accepted.insert(field.name.to_owned(), value);
    }
    if operation == Operation::Create {
        for field in kind.fields.iter().filter(|field| field.create) {
            if let Some(default) = &field.default
                && !accepted.contains_key(field.name)
                && (field.required
                    || !matches!(default, Value::Bool(false)) && *default != json!(0))
            {
                accepted.insert(field.name.to_owned(), default.clone());
            }
        }
        for field in kind
            .fields
            .iter()
            .filter(|field| field.create && field.required)
        {
            if accepted.get(field.name).is_none_or(|value| value == "") {
                return Err(ApiError::invalid("MissingRequired", "").with_field(field.name));
            }
        }
    }
    Ok(accepted)
}

fn convert(
    registry: &Registry,
    field: &Field,
    kind: &FieldType,
    value: &Value,
    operation: Operation,
) -> Result<Value, ApiError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let wrong = |expected: &str| refuse("InvalidFormat", field, &format!("it must be {expected}"));
    match kind {
        FieldType::Array(inner) => match value {
            Value::Array(items) => items
                .iter()
                .map(|item| convert(registry, field, inner, item, operation))
                .collect(),
            // One value stands for a list of it.
            Value::String(_) | Value::Number(_) => {
                convert(registry, field, inner, value, operation).map(|item| json!([item]))
            }
            _ => Err(wrong("a list")),
        },
        FieldType::Map(inner) => {
            let entries = value.as_object().ok_or_else(|| wrong("a map"))?;
            let converted: Result<Map<String, Value>, ApiError> = entries
                .iter()
                .map(|(key, entry)| {
                    Ok((
                        key.clone(),
                        convert(registry, field, inner, entry, operation)?,
                    ))
                })
                .collect();
            converted.map(Value::Object)
        }
        FieldType::Part(id) => match registry.get(id) {
            None => Ok(value.clone()),
            Some(part) => {
                let entries = value.as_object().ok_or_else(|| wrong("an object"))?;
                fields(registry, part, entries, operation).map(Value::Object)
            }
        },
        FieldType::Boolean => match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(json!(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") || text.is_empty() => {
                Ok(json!(false))
            }
            _ => Err(wrong("true or false")),
        },
        FieldType::Int => match value {
            Value::Number(number) => whole(number)
                .map(Value::from)
                .ok_or_else(|| wrong("a whole number")),
            Value::String(text) => text
                .trim()
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| wrong("a whole number")),
            _ => Err(wrong("a whole number")),
        },
        FieldType::Float => match value {
            Value::Number(_) => Ok(value.clone()),
            Value::String(text) => text
                .trim()
                .parse::<f64>()
                .map(Value::from)
                .map_err(|_| wrong("a number")),
            _ => Err(wrong("a number")),
        },
        FieldType::IntOrString => match value {
            Value::Number(_) | Value::String(_) => Ok(value.clone()),
            _ => Err(wrong("a number or a text")),
        },
        FieldType::Json => Ok(value.clone()),
        FieldType::String | FieldType::Enum | FieldType::Password | FieldType::Base64 => {
            text(value).map(Value::from).ok_or_else(|| wrong("a text"))
        }
        FieldType::Reference(_) => {
            let text = text(value).ok_or_else(|| wrong("a text"))?;
            // It may become part of an address.
            if text.len() > LONGEST_REFERENCE {
                let message = format!("it may be {LONGEST_REFERENCE} bytes at most");
                return Err(refuse("MaxLengthExceeded", field, &message));
            }
            Ok(json!(text))
        }
        FieldType::Date => {
            let text = text(value).ok_or_else(|| wrong("a time"))?;
            if text.is_empty() || text.parse::<jiff::Timestamp>().is_ok() {
                Ok(json!(text))
            } else {
                Err(refuse(
                    "InvalidDateFormat",
                    field,
                    "it must be a time such as 2026-01-31T12:00:00Z",
                ))
            }
        }
        FieldType::DnsLabel | FieldType::DnsLabelRestricted | FieldType::Hostname => {
            let text = text(value).ok_or_else(|| wrong("a text"))?;
            let (fits, expected) = match kind {
                FieldType::DnsLabelRestricted => (
                    is_label(&text) && text.starts_with(|letter: char| letter.is_ascii_lowercase()),
                    "of lower-case letters, digits and dashes, beginning with a letter and not ending with a dash",
                ),
                FieldType::Hostname => (
                    text.len() <= 253 && text.split('.').all(is_label),
                    "a host name in lower case",
                ),
                _ => (
                    is_label(&text),
                    "of lower-case letters, digits and dashes, neither beginning nor ending with a dash, at most 63 long",
                ),
            };
            if fits || text.is_empty() {
                Ok(json!(text))
            } else {
                Err(refuse(
                    "InvalidFormat",
                    field,
                    &format!("{text} is not {expected}"),
                ))
            }
        }
    }
}

fn limits(field: &Field, value: &Value) -> Result<(), ApiError> {
    if let Some(number) = value.as_i64() {
        if field.min.is_some_and(|min| number < min) {
            return Err(refuse(
                "MinLimitExceeded",
                field,
                &format!("{number} is less than {}", field.min.unwrap_or(0)),
            ));
        }
        if field.max.is_some_and(|max| number > max) {
            return Err(refuse(
                "MaxLimitExceeded",
                field,
                &format!("{number} is more than {}", field.max.unwrap_or(0)),
            ));
        }
    }
    if let Some(text) = value.as_str()
        && !field.options.is_empty()
        && !field.options.contains(&text)
        && !(text.is_empty() && field.nullable)
    {
        return Err(refuse(
            "InvalidOption",
            field,
            &format!("it must be one of {}", field.options.join(", ")),
        ));
    }
    Ok(())
}

fn refuse(code: &'static str, field: &Field, message: &str) -> ApiError {
    ApiError::invalid(code, message).with_field(field.name)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number without a fraction that fits.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        // Clients in JavaScript may send 5.0; what does not print as a whole number is refused.
        number
            .as_f64()
            .filter(|float| float.fract() == 0.0)
            .and_then(|float| format!("{float:.0}").parse().ok())
    })
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(kind: &str, sent: &Value) -> Result<Value, (String, Option<String>)> {
        let registry = Registry::new();
        fields(
            &registry,
            registry.get(kind).unwrap(),
            sent.as_object().unwrap(),
            Operation::Create,
        )
        .map(Value::Object)
        .map_err(|error| (error.code.into_owned(), error.field_name))
    }

    fn refused(kind: &str, sent: &Value, code: &str, field: &str) {
        assert_eq!(
            create(kind, sent),
            Err((code.to_owned(), Some(field.to_owned()))),
            "{kind} {sent}"
        );
    }

    #[test]
    fn what_is_not_declared_or_not_writable_is_dropped() {
        assert_eq!(
            create(
                "cluster",
                &json!({"name": "a", "nope": 1, "driver": "x", "state": "y", "id": "c-1", "importedConfig": {"nope": 1, "privateRegistryURL": "r"}})
            ),
            Ok(
                json!({"name": "a", "dockerRootDir": "/var/lib/docker", "importedConfig": {"privateRegistryURL": "r"}})
            )
        );
    }

    #[test]
    fn the_recorded_refusals() {
        refused(
            "cluster",
            &json!({"name": "Bad_Name!"}),
            "InvalidFormat",
            "name",
        );
        refused(
            "project",
            &json!({"name": "x"}),
            "MissingRequired",
            "clusterId",
        );
        refused(
            "project",
            &json!({"name": "", "clusterId": "c"}),
            "MissingRequired",
            "name",
        );
        refused(
            "roleTemplate",
            &json!({"name": "x", "context": "foo"}),
            "InvalidOption",
            "context",
        );
        refused(
            "nodeDrainInput",
            &json!({"timeout": 0}),
            "MinLimitExceeded",
            "timeout",
        );
        refused(
            "nodeDrainInput",
            &json!({"timeout": 10801}),
            "MaxLimitExceeded",
            "timeout",
        );
        refused(
            "cluster",
            &json!({"name": "a", "labels": []}),
            "InvalidFormat",
            "labels",
        );
        refused(
            "globalRoleBinding",
            &json!({"globalRoleId": "x".repeat(1025), "userId": "u"}),
            "MaxLengthExceeded",
            "globalRoleId",
        );
        refused(
            "cluster",
            &json!({"name": {"a": 1}}),
            "InvalidFormat",
            "name",
        );
    }

    #[test]
    fn values_are_converted_leniently() {
        assert_eq!(
            create(
                "nodeDrainInput",
                &json!({"timeout": "60", "force": "true", "gracePeriod": 5.0})
            ),
            Ok(json!({"timeout": 60, "force": true, "gracePeriod": 5, "ignoreDaemonSets": true}))
        );
        refused(
            "nodeDrainInput",
            &json!({"gracePeriod": 5.5}),
            "InvalidFormat",
            "gracePeriod",
        );
        refused(
            "nodeDrainInput",
            &json!({"gracePeriod": 1e300}),
            "InvalidFormat",
            "gracePeriod",
        );
    }

    #[test]
    fn required_flags_without_a_value_are_false() {
        assert_eq!(
            create("globalRole", &json!({"name": "r"})),
            Ok(json!({"name": "r", "newUserDefault": false}))
        );
    }
}
