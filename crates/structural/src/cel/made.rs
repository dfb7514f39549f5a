//! What expressions of mutating admission policies make: parts of an object (`Object.spec{replicas: 3}`) and operations
//! of JSON patches (`JSONPatch{op: "remove", path: "/a"}`).
//!
//! Owns their fields, their form as JSON, and whether parts of an object stand where their names say. Expressions may
//! make them if the names in [`PATCH_TYPES`] are among the names they see
//! (k8s.io/apiserver `cel/mutation`, `cel/library/jsonpatch.go`, v0.36).

use std::borrow::Cow;

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use super::EvalError;
use super::eval::failed;
use super::value::Value;

/// The names by which expressions make patches.
pub const PATCH_TYPES: [&str; 2] = [OBJECT, OPERATION];
const OBJECT: &str = "Object";
const OPERATION: &str = "JSONPatch";
/// The library that goes with them.
pub(super) const LIBRARY: &str = "jsonpatch";

/// An object with some fields.
#[derive(Clone, Debug)]
pub struct Made<'a> {
    name: String,
    /// In the order in which they were set; names are unique.
    fields: Vec<(String, Value<'a>)>,
}

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Anything,
}

/// Which of the types in [`PATCH_TYPES`] a name is of.
pub(super) fn root(name: &str) -> Option<&'static str> {
    let first = name.split('.').next().unwrap_or_default();
    match name {
        OPERATION => Some(OPERATION),
        _ => (first == OBJECT).then_some(OBJECT),
    }
}

/// A field of the type `name`, which is one of these.
pub(super) fn field(name: &str, field: &str) -> Option<Takes> {
    match (root(name)?, field) {
        (OPERATION, "op" | "path" | "from") => Some(Takes::Text),
        (OPERATION, "value") | (OBJECT, _) => Some(Takes::Anything),
        _ => None,
    }
}

/// An object of the type `name`, which is one of these.
pub(super) fn make<'a>(name: &str, set: Vec<(&str, Value<'a>)>) -> Result<Value<'a>, EvalError> {
    let mut fields: Vec<(String, Value<'a>)> = Vec::with_capacity(set.len());
    for (member, value) in set {
        match (field(name, member), &value) {
            (Some(Takes::Anything), _) | (Some(Takes::Text), Value::Text(_)) => {}
            (Some(Takes::Text), other) => {
                return Err(failed(format!(
                    "unexpected type {} for JSONPatchType '{member}' field",
                    other.type_name()
                )));
            }
            (None, _) => {
                return Err(failed(format!("unexpected JSONPatchType field: {member}")));
            }
        }
        fields.retain(|(other, _)| other != member);
        fields.push((member.to_owned(), value));
    }
    Ok(Value::Made(
        Made {
            name: name.to_owned(),
            fields,
        }
        .into(),
    ))
}

/// The functions of the library.
pub(super) fn call<'a>(name: &str, all: &[Value<'a>]) -> Option<Result<Value<'a>, EvalError>> {
    match (name, all) {
        ("jsonpatch.escapeKey", [Value::Text(text)]) => {
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                match c {
                    '/' => out.push_str("~1"),
                    '~' => out.push_str("~0"),
                    other => out.push(other),
                }
            }
            Some(Ok(Value::Text(out.into())))
        }
        _ => None,
    }
}

impl<'a> Made<'a> {
    pub(super) fn type_name(&self) -> &'static str {
        root(&self.name).unwrap_or(OBJECT)
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get(&self, field: &str) -> Option<&Value<'a>> {
        let found = self.fields.iter().find(|(name, _)| name == field);
        found.map(|(_, value)| value)
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        self.name == other.name
            && self.fields.len() == other.fields.len()
            && self
                .fields
                .iter()
                .all(|(name, value)| other.get(name).is_some_and(|other| value.equals(other)))
    }

    /// Parts whose names do not say where they stand, if any.
    fn misplaced(&self) -> Option<String> {
        let mut found = Vec::new();
        self.look(self.type_name(), &mut found);
        (!found.is_empty()).then(|| format!("type mismatch: {}", found.join("\n")))
    }

    fn look(&self, expected: &str, found: &mut Vec<String>) {
        if self.name != expected {
            found.push(format!(
                "unexpected type name {:?}, expected {expected:?}, which matches field name path from root Object type",
                self.name
            ));
        }
        for (field, value) in &self.fields {
            look(value, &format!("{expected}.{field}"), found);
        }
    }

    fn to_json(&self) -> Result<Json, String> {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| Ok((name.clone(), to_json(value)?)));
        Ok(Json::Object(fields.collect::<Result<_, String>>()?))
    }

    fn operation(&self) -> Result<Json, String> {
        let text = |field: &str| match self.get(field) {
            Some(Value::Text(text)) => text.to_string(),
            _ => String::new(),
        };
        let mut operation = json!({"op": text("op"), "path": text("path")});
        let from = text("from");
        if !from.is_empty() {
            operation["from"] = from.into();
        }
        if let Some(value) = self.get("value") {
            if let Value::Made(made) = value
                && let Some(problem) = made.misplaced()
            {
                return Err(problem);
            }
            operation["value"] = to_json(value).map_err(|problem| {
                format!("JSONPath valueExpression evaluated to a type that could not marshal to JSON: {problem}")
            })?;
        }
        Ok(operation)
    }
}

fn look(value: &Value<'_>, expected: &str, found: &mut Vec<String>) {
    match value {
        Value::Made(made) => made.look(expected, found),
        Value::List(items) => {
            for item in items.iter() {
                look(item, expected, found);
            }
        }
        Value::Map(entries) => {
            for (_, value) in entries.iter() {
                look(value, expected, found);
            }
        }
        _ => {}
    }
}

impl Value<'_> {
    /// The configuration that an expression made with `Object{...}`.
    ///
    /// # Errors
    ///
    /// What was made is no such object, or its parts stand elsewhere than their names say.
    pub fn configuration(&self) -> Result<Json, String> {
        match self {
            Self::Made(made) if made.type_name() == OBJECT => match made.misplaced() {
                Some(problem) => Err(problem),
                None => made.to_json(),
            },
            other => Err(format!(
                "unsupported return type from ApplyConfiguration expression: {}",
                other.type_name()
            )),
        }
    }

    /// The JSON patch that an expression made with a list of `JSONPatch{...}`.
    ///
    /// # Errors
    ///
    /// What was made is no such list, or holds what is no JSON.
    pub fn operations(&self) -> Result<Json, String> {
        let items = self.items().ok_or_else(|| {
            "type mismatch: JSONPatchType.expression should evaluate to array".to_owned()
        })?;
        let operations = items.iter().map(|item| match item {
            Self::Made(made) if made.type_name() == OPERATION => made.operation(),
            other => Err(format!(
                "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of {}",
                other.type_name()
            )),
        });
        Ok(Json::Array(operations.collect::<Result<_, String>>()?))
    }
}

/// A value as JSON: bytes and times are texts, whole doubles are written as whole numbers.
fn to_json(value: &Value<'_>) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Double(number) => double(*number),
        Value::Text(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into(),
        Value::Timestamp(_) | Value::Duration(_) => value.to_string().into(),
        Value::Made(made) => made.to_json()?,
        Value::JsonMap(object, _) => Json::Object((*object).clone()),
        Value::JsonList(items, _) => Json::Array(items.to_vec()),
        Value::Empty => json!({}),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(entries) => {
            let mut object = Map::new();
            for (key, value) in entries.iter() {
                let Value::Text(key) = key else {
                    return Err(format!(
                        "map key \"{key}\" is of type {}, not string",
                        key.type_name()
                    ));
                };
                object.insert(Cow::into_owned(key.clone()), to_json(value)?);
            }
            Json::Object(object)
        }
        other => {
            return Err(format!(
                "unsupported type conversion from '{}'",
                other.type_name()
            ));
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only whole numbers that fit are cast"
)]
fn double(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        (number as i64).into()
    } else {
        json!(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Program, Scope};
    use super::*;

    fn made(source: &str) -> Value<'static> {
        // Leaked, so that what is made may outlive the program in a test.
        let program: &'static Program =
            Box::leak(Box::new(Program::parse(source, &PATCH_TYPES).unwrap()));
        program
            .evaluate(&Scope::new(Vec::new()), &mut Budget::new(10_000))
            .unwrap()
    }

    #[test]
    fn configurations_are_json() {
        let value = made(
            "Object{spec: Object.spec{replicas: 3, ?none: optional.none(), items: [Object.spec.items{name: 'a'}]}, metadata: Object.metadata{labels: {'a': 'b'}}}",
        );
        assert_eq!(
            value.configuration(),
            Ok(json!({
                "spec": {"replicas": 3, "items": [{"name": "a"}]},
                "metadata": {"labels": {"a": "b"}}
            }))
        );
    }

    #[test]
    fn parts_stand_where_their_names_say() {
        let problem = made("Object{spec: Object.other{}}")
            .configuration()
            .unwrap_err();
        assert!(
            problem.contains("\"Object.other\", expected \"Object.spec\""),
            "{problem}"
        );
    }

    #[test]
    fn operations_are_a_json_patch() {
        let value = made(
            "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b~c'), value: 2.0}, JSONPatch{op: 'move', from: '/a', path: '/b'}]",
        );
        assert_eq!(
            value.operations(),
            Ok(json!([
                {"op": "add", "path": "/metadata/labels/a~1b~0c", "value": 2},
                {"op": "move", "path": "/b", "from": "/a"}
            ]))
        );
    }

    #[test]
    fn only_those_who_may_make_patches_know_their_types() {
        for source in [
            "Object{}",
            "[JSONPatch{op: 'a'}]",
            "jsonpatch.escapeKey('a')",
        ] {
            assert!(Program::parse(source, &["object"]).is_err(), "{source}");
        }
    }
}
