//! Paths to fields, and their form on the wire.
//!
//! Owns path elements, their order, and their text in `FieldsV1` and in messages.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use super::FieldSetError;
use crate::error::quote_into;

/// One step of a path to a field.
#[derive(Clone, Debug)]
pub enum PathElement {
    /// A field of an object.
    Field(Box<str>),
    /// An item of a list, by its keys, sorted by name.
    Key(Box<[(Box<str>, Value)]>),
    /// An item of a set, by its value.
    Value(Value),
    /// An item of a list, by its place.
    Index(i64),
}

impl PathElement {
    /// A field of an object.
    pub fn field(name: impl Into<Box<str>>) -> Self {
        Self::Field(name.into())
    }

    /// An item of a list, by its keys.
    #[must_use]
    pub fn key(mut keys: Vec<(Box<str>, Value)>) -> Self {
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(keys.into())
    }

    pub(super) fn parse(text: &str) -> Result<Option<Self>, FieldSetError> {
        let bytes = text.as_bytes();
        if bytes.len() < 2 {
            return Err(FieldSetError::Element(text.to_owned()));
        }
        if bytes[1] != b':' {
            return Err(FieldSetError::Element(text.to_owned()));
        }
        let wrong = || FieldSetError::Element(text.to_owned());
        let rest = &text[2..];
        Ok(Some(match bytes[0] {
            b'f' => Self::Field(rest.into()),
            b'v' => Self::Value(serde_json::from_str(rest).map_err(|_| wrong())?),
            b'i' => Self::Index(rest.parse().map_err(|_| wrong())?),
            b'k' => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|_| wrong())?;
                Self::key(
                    keys.into_iter()
                        .map(|(name, value)| (name.into(), value))
                        .collect(),
                )
            }
            // A later version may know what this is; it is dropped, as the server drops it.
            _ => return Ok(None),
        }))
    }

    pub(super) fn print(&self) -> String {
        let mut out = String::new();
        // Writing into a String does not fail.
        let _ = match self {
            Self::Field(name) => write!(out, "f:{name}"),
            Self::Value(value) => write!(out, "v:{}", Canonical(value)),
            Self::Index(index) => write!(out, "i:{index}"),
            Self::Key(keys) => {
                out.push_str("k:{");
                for (position, (name, value)) in keys.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    let _ = write!(
                        out,
                        "{}:{}",
                        Canonical(&Value::from(name.as_ref())),
                        Canonical(value)
                    );
                }
                out.write_char('}')
            }
        };
        out
    }
}

/// JSON as Go's encoder writes it inside path elements: `<`, `>`, `&` and the line separators escaped.
struct Canonical<'a>(&'a Value);

impl fmt::Display for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            return f.write_str(&text);
        }
        for c in text.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The text of a path, as error messages name it: `.spec.ports[port=80,protocol="TCP"].name`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Value(value) => write!(f, "[={}]", Shown(value)),
            Self::Key(keys) => {
                f.write_char('[')?;
                for (position, (name, value)) in keys.iter().enumerate() {
                    if position > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{name}={}", Shown(value))?;
                }
                f.write_char(']')
            }
        }
    }
}

struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => {
                let mut quoted = String::new();
                quote_into(&mut quoted, text);
                f.write_str(&quoted)
            }
            Value::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{}", Self(item))?;
                }
                f.write_char(']')
            }
            Value::Object(object) => {
                for (name, value) in object {
                    write!(f, "{name}={}", Self(value))?;
                }
                Ok(())
            }
            scalar @ (Value::Null | Value::Bool(_) | Value::Number(_)) => write!(f, "{scalar}"),
        }
    }
}

fn number_order(a: &serde_json::Number, b: &serde_json::Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a
            .as_f64()
            .unwrap_or_default()
            .total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

/// The order of values in sets: numbers, strings, booleans, lists, objects, null.
pub(crate) fn value_order(a: &Value, b: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => number_order(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| value_order(a, b))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => a
            .iter()
            .zip(b)
            .map(|((name, a), (other, b))| name.cmp(other).then_with(|| value_order(a, b)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        fn rank(element: &PathElement) -> u8 {
            match element {
                PathElement::Field(_) => 0,
                PathElement::Key(_) => 1,
                PathElement::Value(_) => 2,
                PathElement::Index(_) => 3,
            }
        }
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => a
                .iter()
                .zip(b.iter())
                .map(|((name, a), (other, b))| name.cmp(other).then_with(|| value_order(a, b)))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len())),
            (Self::Value(a), Self::Value(b)) => value_order(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}

/// A path from the root of an object to a field; prints as error messages name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<PathElement>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for element in &self.0 {
            write!(f, "{element}")?;
        }
        Ok(())
    }
}
