//! Bodies in protobuf, as Go clients send those of built-in kinds.
//!
//! Owns reading them into the JSON that the same client would have sent. Answers are never protobuf: clients that send
//! it accept JSON. The types are those of [`crate::go_types`].
//!
//! The envelope is that of apimachinery `pkg/runtime/serializer/protobuf`, v0.36: four bytes, then `runtime.Unknown`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_structural::wire::{Wire, WireError, fields};
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use crate::go_types::{EXTENSIONS, Field, INTSTR, Kind, META, RESOURCE, types};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";
/// Objects are nested no deeper; a schema in a definition may be.
const MAX_DEPTH: usize = 96;

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("provided data does not appear to be a protobuf message, expected prefix k8s")]
    Magic,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the protobuf message is nested too deeply")]
    Depth,
    #[error("no kind {0:?} is registered for protobuf")]
    Kind(String),
    #[error("text in the protobuf message is not UTF-8")]
    Text,
    #[error("JSON in the protobuf message cannot be read: {0}")]
    Json(String),
}

fn text(bytes: &[u8]) -> Result<&str, ProtobufError> {
    std::str::from_utf8(bytes).map_err(|_| ProtobufError::Text)
}

/// Reads a body: the object with its apiVersion and kind.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let message = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut api_version, mut kind, mut raw) = ("", "", &[][..]);
    for (number, value) in fields(message)? {
        match number {
            1 => {
                for (number, value) in fields(value.bytes())? {
                    match number {
                        1 => api_version = text(value.bytes())?,
                        2 => kind = text(value.bytes())?,
                        _ => {}
                    }
                }
            }
            2 => raw = value.bytes(),
            _ => {}
        }
    }
    let name = if kind == "DeleteOptions" {
        format!("{META}.DeleteOptions")
    } else {
        types()
            .of_kind(api_version, kind)
            .map(str::to_owned)
            .ok_or_else(|| ProtobufError::Kind(format!("{api_version}/{kind}")))?
    };
    let mut object = message_of(&name, raw, 0)?;
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!(api_version));
        members.insert("kind".to_owned(), json!(kind));
    }
    Ok(object)
}

fn message_of(name: &str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Depth);
    }
    if let Some(special) = special(name, bytes, depth)? {
        return Ok(special);
    }
    let mut members = Map::new();
    let Some(known) = types().get(name) else {
        return Ok(Value::Object(members));
    };
    for (number, wire) in fields(bytes)? {
        let Some(field) = known.by_number.get(&number) else {
            continue;
        };
        if field.map {
            entry(field, wire.bytes(), &mut members, depth)?;
            continue;
        }
        let value = scalar(&field.kind, &wire, depth)?;
        if field.repeated {
            // A named list is a message of one field without a name, and is the list itself.
            match members
                .entry(field.name.clone())
                .or_insert_with(|| json!([]))
            {
                Value::Array(items) => items.push(value),
                other => *other = json!([value]),
            }
        } else if field.inline {
            if let Value::Object(inner) = value {
                members.extend(inner);
            }
        } else if field.pointer || !field.omit_empty || !is_zero(&value) {
            members.insert(field.name.clone(), value);
        }
    }
    if known.items().is_some() {
        return Ok(members.remove("").unwrap_or_else(|| json!([])));
    }
    Ok(Value::Object(members))
}

/// Whether Go would leave out a value that is no pointer.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// One entry of a map: key and value as fields 1 and 2.
fn entry(
    field: &Field,
    bytes: &[u8],
    members: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    let (mut key, mut value) = (String::new(), None);
    for (number, wire) in fields(bytes)? {
        match number {
            1 => text(wire.bytes())?.clone_into(&mut key),
            2 => value = Some(scalar(&field.kind, &wire, depth)?),
            _ => {}
        }
    }
    let value = match value {
        Some(value) => value,
        None => scalar(&field.kind, &Wire::Bytes(&[]), depth)?,
    };
    match members
        .entry(field.name.clone())
        .or_insert_with(|| json!({}))
    {
        Value::Object(map) => {
            map.insert(key, value);
        }
        other => *other = json!({key: value}),
    }
    Ok(())
}

fn scalar(kind: &Kind, wire: &Wire<'_>, depth: usize) -> Result<Value, ProtobufError> {
    Ok(match kind {
        Kind::Text => json!(text(wire.bytes())?),
        Kind::Bytes => json!(STANDARD.encode(wire.bytes())),
        // Negative numbers are written in two's complement over all 64 bits.
        Kind::Integer => json!(wire.number().cast_signed()),
        Kind::Boolean => json!(wire.number() != 0),
        Kind::Float => {
            Number::from_f64(f64::from_bits(wire.number())).map_or(Value::Null, Value::Number)
        }
        Kind::Message(name) => message_of(name, wire.bytes(), depth + 1)?,
    })
}

/// Types that have a form of their own in JSON.
fn special(name: &str, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    let (package, name) = name.rsplit_once('.').unwrap_or(("", name));
    let value = match (package, name) {
        (RESOURCE, "Quantity") => {
            let found = fields(bytes)?.into_iter().find(|(number, _)| *number == 1);
            let quantity = found
                .map_or(Ok(""), |(_, wire)| text(wire.bytes()))?
                .to_owned();
            json!(if quantity.is_empty() {
                "0".to_owned()
            } else {
                quantity
            })
        }
        (INTSTR, "IntOrString") => {
            let (mut is_text, mut number, mut words) = (false, 0, "");
            for (position, wire) in fields(bytes)? {
                match position {
                    1 => is_text = wire.number() == 1,
                    2 => number = wire.number().cast_signed(),
                    3 => words = text(wire.bytes())?,
                    _ => {}
                }
            }
            if is_text { json!(words) } else { json!(number) }
        }
        (META, "Time" | "MicroTime") => {
            let (mut seconds, mut nanos) = (0_i64, 0_i64);
            for (position, wire) in fields(bytes)? {
                match position {
                    1 => seconds = wire.number().cast_signed(),
                    2 => nanos = wire.number().cast_signed(),
                    _ => {}
                }
            }
            time(seconds, nanos, name == "MicroTime")
        }
        (META, "FieldsV1")
        | ("apimachinery/pkg/runtime", "RawExtension")
        | (EXTENSIONS, "JSON") => raw(bytes, depth)?,
        (
            EXTENSIONS,
            "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray",
        ) => either(name, bytes, depth)?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// The zero time is none at all.
fn time(seconds: i64, nanos: i64, micro: bool) -> Value {
    if seconds == 0 && nanos == 0 {
        return Value::Null;
    }
    let at = i32::try_from(nanos)
        .ok()
        .and_then(|nanos| Timestamp::new(seconds, nanos).ok());
    let form = if micro {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    at.map_or(Value::Null, |at| json!(at.strftime(form).to_string()))
}

/// JSON, or another object, inside a message.
fn raw(bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let found = fields(bytes)?.into_iter().find(|(number, _)| *number == 1);
    let Some((_, wire)) = found else {
        return Ok(Value::Null);
    };
    let inner = wire.bytes();
    if inner.is_empty() {
        return Ok(Value::Null);
    }
    if inner.starts_with(MAGIC) {
        if depth > MAX_DEPTH {
            return Err(ProtobufError::Depth);
        }
        return decode(inner);
    }
    serde_json::from_slice(inner).map_err(|error| ProtobufError::Json(error.to_string()))
}

/// A schema, or what may stand in its place.
fn either(name: &str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let schema = format!("{EXTENSIONS}.JSONSchemaProps");
    let (mut one, mut list, mut allowed) = (None, Vec::new(), false);
    for (number, wire) in fields(bytes)? {
        match (name, number) {
            ("JSONSchemaPropsOrBool", 1) => allowed = wire.number() != 0,
            ("JSONSchemaPropsOrBool", 2)
            | ("JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray", 1) => {
                one = Some(message_of(&schema, wire.bytes(), depth + 1)?);
            }
            ("JSONSchemaPropsOrArray", 2) => {
                list.push(message_of(&schema, wire.bytes(), depth + 1)?)
            }
            ("JSONSchemaPropsOrStringArray", 2) => list.push(json!(text(wire.bytes())?)),
            _ => {}
        }
    }
    Ok(match one {
        Some(schema) => schema,
        None if name == "JSONSchemaPropsOrBool" => json!(allowed),
        None => Value::Array(list),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![(number << 3) | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [part(1, api_version.as_bytes()), part(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), part(1, &meta), part(2, raw)].concat()
    }

    #[test]
    fn objects_are_read() {
        let metadata = [
            part(1, b"c"),
            part(3, b"default"),
            part(11, &[part(1, b"k"), part(2, b"v")].concat()),
        ]
        .concat();
        let map = [
            part(1, &metadata),
            part(2, &[part(1, b"a"), part(2, b"b")].concat()),
        ]
        .concat();
        assert_eq!(
            decode(&envelope("v1", "ConfigMap", &map)),
            Ok(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
                "metadata": {"name": "c", "namespace": "default", "labels": {"k": "v"}},
            }))
        );
        let port = [vec![3 << 3, 80], part(4, &[2 << 3, 1])].concat();
        let spec = part(1, &port);
        let service = part(2, &spec);
        assert_eq!(
            decode(&envelope("v1", "Service", &service)).unwrap()["spec"],
            json!({"ports": [{"port": 80, "targetPort": 1}]})
        );
    }

    #[test]
    fn broken_messages_are_refused() {
        assert_eq!(decode(b"{}"), Err(ProtobufError::Magic));
        assert_eq!(decode(b"k8s\0\x0a\xff"), Err(WireError::Short.into()));
        assert_eq!(
            decode(&envelope("v1", "Nothing", &[])),
            Err(ProtobufError::Kind("v1/Nothing".to_owned()))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = decode(&envelope("v1", "Pod", &bytes[..bytes.len().min(100)]));
            let _ = decode(&[MAGIC, &bytes].concat());
        }
    }
}
