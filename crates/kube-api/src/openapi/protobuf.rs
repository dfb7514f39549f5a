//! The document of OpenAPI 2.0 as a protobuf message, which kubectl up to 1.27 and client-go's `OpenAPISchema` ask for and
//! take in no other form.
//!
//! Pure. The numbers are those of the published message definitions (github.com/google/gnostic-models v0.7.1,
//! `openapiv2/OpenAPIv2.proto`). Only what our documents hold is known here; extensions and defaults are kept as text, which
//! is where readers look (k8s.io/kube-openapi v0.36 `util/proto/document.go`).

use serde_json::{Map, Value};

/// How a member of a JSON object is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Texts,
    Flag,
    Whole,
    Real,
    /// Any JSON, as the text of it.
    Any,
    /// A list of the same.
    Anys,
    Part(&'static Message),
    Parts(&'static Message),
    /// A map: a message that repeats name and value under this number.
    Named(u32, &'static Message),
    /// A value that is one of several things.
    OneOf(fn(&Value) -> Vec<u8>),
    /// A list of such.
    OneOfs(fn(&Value) -> Vec<u8>),
    /// A map of such.
    NamedOneOf(u32, fn(&Value) -> Vec<u8>),
}

/// What members an object has: name, number, form.
struct Message {
    members: &'static [(&'static str, u32, Form)],
    /// Under which number members `x-...` are.
    extensions: Option<u32>,
}

static DOCUMENT: Message = Message {
    members: &[
        ("swagger", 1, Form::Text),
        ("info", 2, Form::Part(&INFO)),
        ("paths", 8, Form::Named(2, &PATH)),
        ("definitions", 9, Form::Named(1, &SCHEMA)),
        ("security", 12, Form::OneOfs(requirement)),
        ("securityDefinitions", 13, Form::NamedOneOf(1, scheme)),
    ],
    extensions: Some(16),
};
static INFO: Message = Message {
    members: &[
        ("title", 1, Form::Text),
        ("version", 2, Form::Text),
        ("description", 3, Form::Text),
    ],
    extensions: Some(7),
};
static PATH: Message = Message {
    members: &[
        ("get", 2, Form::Part(&OPERATION)),
        ("put", 3, Form::Part(&OPERATION)),
        ("post", 4, Form::Part(&OPERATION)),
        ("delete", 5, Form::Part(&OPERATION)),
        ("options", 6, Form::Part(&OPERATION)),
        ("head", 7, Form::Part(&OPERATION)),
        ("patch", 8, Form::Part(&OPERATION)),
        ("parameters", 9, Form::OneOfs(parameter)),
    ],
    extensions: Some(10),
};
static OPERATION: Message = Message {
    members: &[
        ("tags", 1, Form::Texts),
        ("summary", 2, Form::Text),
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Texts),
        ("consumes", 7, Form::Texts),
        ("parameters", 8, Form::OneOfs(parameter)),
        ("responses", 9, Form::NamedOneOf(1, response)),
        ("schemes", 10, Form::Texts),
        ("deprecated", 11, Form::Flag),
    ],
    extensions: Some(13),
};
static RESPONSE: Message = Message {
    members: &[
        ("description", 1, Form::Text),
        ("schema", 2, Form::OneOf(answered)),
    ],
    extensions: Some(5),
};
static BODY: Message = Message {
    members: &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Flag),
        ("schema", 5, Form::Part(&SCHEMA)),
    ],
    extensions: Some(6),
};
static IN_QUERY: Message = Message {
    members: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("allowEmptyValue", 5, Form::Flag),
        ("type", 6, Form::Text),
        ("format", 7, Form::Text),
        ("uniqueItems", 20, Form::Flag),
    ],
    extensions: Some(23),
};
/// In paths and headers.
static ELSEWHERE: Message = Message {
    members: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("format", 6, Form::Text),
        ("uniqueItems", 19, Form::Flag),
    ],
    extensions: Some(22),
};
static REFERENCE: Message = Message {
    members: &[("$ref", 1, Form::Text), ("description", 2, Form::Text)],
    extensions: None,
};
static API_KEY: Message = Message {
    members: &[
        ("type", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("description", 4, Form::Text),
    ],
    extensions: Some(5),
};
static SCHEMA: Message = Message {
    members: &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("title", 3, Form::Text),
        ("description", 4, Form::Text),
        ("default", 5, Form::Any),
        ("multipleOf", 6, Form::Real),
        ("maximum", 7, Form::Real),
        ("exclusiveMaximum", 8, Form::Flag),
        ("minimum", 9, Form::Real),
        ("exclusiveMinimum", 10, Form::Flag),
        ("maxLength", 11, Form::Whole),
        ("minLength", 12, Form::Whole),
        ("pattern", 13, Form::Text),
        ("maxItems", 14, Form::Whole),
        ("minItems", 15, Form::Whole),
        ("uniqueItems", 16, Form::Flag),
        ("maxProperties", 17, Form::Whole),
        ("minProperties", 18, Form::Whole),
        ("required", 19, Form::Texts),
        ("enum", 20, Form::Anys),
        ("additionalProperties", 21, Form::OneOf(additional)),
        ("type", 22, Form::OneOf(types)),
        ("items", 23, Form::OneOf(items)),
        ("allOf", 24, Form::Parts(&SCHEMA)),
        ("properties", 25, Form::Named(1, &SCHEMA)),
        ("readOnly", 27, Form::Flag),
        ("example", 30, Form::Any),
    ],
    extensions: Some(31),
};

/// The document as its message.
pub(super) fn document(document: &Value) -> Vec<u8> {
    part(&DOCUMENT, document)
}

fn message(of: &Message, object: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, number, form) in of.members {
        if let Some(value) = object.get(*name) {
            member(&mut out, *number, *form, value);
        }
    }
    if let Some(number) = of.extensions {
        for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
            bytes(&mut out, number, &named(name, &any(value)));
        }
    }
    out
}

fn part(of: &Message, value: &Value) -> Vec<u8> {
    value
        .as_object()
        .map(|object| message(of, object))
        .unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn member(out: &mut Vec<u8>, number: u32, form: Form, value: &Value) {
    match form {
        Form::Text => text(out, number, value.as_str().unwrap_or_default()),
        Form::Texts => {
            for value in list(value) {
                bytes(out, number, value.as_str().unwrap_or_default().as_bytes());
            }
        }
        Form::Flag => {
            if value == &Value::Bool(true) {
                key(out, number, 0);
                out.push(1);
            }
        }
        Form::Whole => {
            if let Some(value) = value.as_u64().filter(|value| *value > 0) {
                key(out, number, 0);
                varint(out, value);
            }
        }
        Form::Real => {
            if let Some(value) = value.as_f64().filter(|value| *value != 0.0) {
                key(out, number, 1);
                out.extend(value.to_le_bytes());
            }
        }
        Form::Any => bytes(out, number, &any(value)),
        Form::Anys => {
            for value in list(value) {
                bytes(out, number, &any(value));
            }
        }
        Form::Part(of) => bytes(out, number, &part(of, value)),
        Form::Parts(of) => {
            for value in list(value) {
                bytes(out, number, &part(of, value));
            }
        }
        Form::Named(within, of) => {
            let mut map = Vec::new();
            for (name, value) in entries(value) {
                bytes(&mut map, within, &named(name, &part(of, value)));
            }
            bytes(out, number, &map);
        }
        Form::OneOf(one) => bytes(out, number, &one(value)),
        Form::OneOfs(one) => {
            for value in list(value) {
                bytes(out, number, &one(value));
            }
        }
        Form::NamedOneOf(within, one) => {
            let mut map = Vec::new();
            for (name, value) in entries(value) {
                bytes(&mut map, within, &named(name, &one(value)));
            }
            bytes(out, number, &map);
        }
    }
}

/// A message with one member.
fn only(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, number, content);
    out
}

fn named(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = only(1, name.as_bytes());
    bytes(&mut out, 2, value);
    out
}

/// JSON is YAML, in which readers parse it.
fn any(value: &Value) -> Vec<u8> {
    only(2, format!("{value}\n").as_bytes())
}

fn parameter(value: &Value) -> Vec<u8> {
    if value.get("$ref").is_some() {
        return only(2, &part(&REFERENCE, value));
    }
    let other = |number, of| only(2, &only(number, &part(of, value)));
    only(
        1,
        &match value.get("in").and_then(Value::as_str) {
            Some("body") => only(1, &part(&BODY, value)),
            Some("header") => other(1, &ELSEWHERE),
            Some("path") => other(4, &ELSEWHERE),
            _ => other(3, &IN_QUERY),
        },
    )
}

fn response(value: &Value) -> Vec<u8> {
    if value.get("$ref").is_some() {
        return only(2, &part(&REFERENCE, value));
    }
    only(1, &part(&RESPONSE, value))
}

fn answered(value: &Value) -> Vec<u8> {
    only(1, &part(&SCHEMA, value))
}

fn additional(value: &Value) -> Vec<u8> {
    match value {
        Value::Bool(allowed) => {
            let mut out = Vec::new();
            key(&mut out, 2, 0);
            out.push(u8::from(*allowed));
            out
        }
        schema => only(1, &part(&SCHEMA, schema)),
    }
}

fn types(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for value in value
        .as_array()
        .map_or(std::slice::from_ref(value), |all| all)
    {
        bytes(&mut out, 1, value.as_str().unwrap_or_default().as_bytes());
    }
    out
}

fn items(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for value in value
        .as_array()
        .map_or(std::slice::from_ref(value), |all| all)
    {
        bytes(&mut out, 1, &part(&SCHEMA, value));
    }
    out
}

fn requirement(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, scopes) in entries(value) {
        bytes(&mut out, 1, &named(name, &types(scopes)));
    }
    out
}

fn scheme(value: &Value) -> Vec<u8> {
    only(2, &part(&API_KEY, value))
}

fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        bytes(out, number, text.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    key(out, number, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn key(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits at a time are what is written"
)]
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: &Value, expected: &[u8]) {
        assert_eq!(super::document(document), expected);
    }

    #[test]
    fn messages_are_those_of_the_definition() {
        check(&json!({"swagger": "2.0"}), b"\x0a\x032.0");
        // Definitions (9) of one name (1) and its schema (2): type (22), additional properties (21, boolean 2),
        // minimum (9, eight bytes), an extension (31) whose value is text (2).
        check(
            &json!({"definitions": {"a": {
                "type": "object", "additionalProperties": false, "minimum": 1, "x-b": [1],
            }}}),
            b"\x4a\x30\x0a\x2e\x0a\x01a\x12\x29\
              \x49\0\0\0\0\0\0\xf0\x3f\
              \xaa\x01\x02\x10\0\
              \xb2\x01\x08\x0a\x06object\
              \xfa\x01\x0d\x0a\x03x-b\x12\x06\x12\x04[1]\n",
        );
    }
}
