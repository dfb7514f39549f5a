//! What a schema says of values, as expressions see it
//! (k8s.io/apiserver `cel/common/schemas.go`, `cel/escaping.go`, v0.36).
//!
//! Owns the shapes of values and their bounds: the most items, entries or bytes a value can have, the least bytes it is
//! written in. What a schema does not describe has no shape, and expressions cannot name it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::escape;
use crate::schema::{Kind, View};

/// The most bytes a request may have.
pub(in crate::cel) const MAX_REQUEST: u64 = 3 * 1024 * 1024;
/// The longest text of a duration or of a point in time, and the length of a date, with quotation marks.
const MAX_TIME: u64 = 32;
const DATE: u64 = 12;
/// Nested deeper than this, a schema describes nothing.
const MAX_DEPTH: usize = 128;

#[derive(Debug)]
pub(in crate::cel) enum Shape {
    Dyn,
    Bool,
    Int,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    List(Rc<Declared>),
    Map(Rc<Declared>),
    /// By the names that expressions use.
    Object(BTreeMap<String, Rc<Declared>>),
}

/// A described value.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(in crate::cel) shape: Shape,
    /// The most items, entries, characters or bytes; zero of what has none.
    pub(in crate::cel) max_size: u64,
    /// The least bytes of its JSON.
    min_bytes: u64,
}

impl Declared {
    const fn new(shape: Shape, max_size: u64, min_bytes: u64) -> Self {
        Self {
            shape,
            max_size,
            min_bytes,
        }
    }

    /// A value of which nothing but its shape is known.
    pub(super) const fn unbounded(shape: Shape) -> Self {
        Self::new(shape, MAX_REQUEST, 0)
    }

    /// How often such a value fits into a request.
    pub(crate) const fn max_count(&self) -> u64 {
        MAX_REQUEST / (self.min_bytes + 1)
    }

    /// The value of a property, by its name in the schema.
    pub(crate) fn property(&self, name: &str) -> Option<&Rc<Self>> {
        match &self.shape {
            Shape::Object(fields) => fields.get(&escape::escaped(name)?),
            _ => None,
        }
    }

    /// The items of a list, the values of a map.
    pub(crate) const fn inner(&self) -> Option<&Rc<Self>> {
        match &self.shape {
            Shape::List(inner) | Shape::Map(inner) => Some(inner),
            _ => None,
        }
    }

    /// A key of a map.
    pub(super) fn key() -> Rc<Self> {
        Rc::new(Self::new(Shape::Text, 0, 2))
    }

    /// What `view` describes; a resource has apiVersion, kind and metadata even if it does not say so.
    pub(crate) fn of(view: View<'_>, resource: bool) -> Option<Rc<Self>> {
        build(view, resource, 0).map(Rc::new)
    }
}

fn text() -> Declared {
    Declared::new(Shape::Text, MAX_REQUEST - 2, 2)
}

fn build(view: View<'_>, resource: bool, depth: usize) -> Option<Declared> {
    if depth > MAX_DEPTH {
        return None;
    }
    let limits = view.constraints();
    let max_length = limits.and_then(|limits| limits.max_length);
    if view.int_or_string() {
        let max = max_length.map_or(MAX_REQUEST - 2, |length| length.saturating_mul(4));
        return Some(Declared::new(Shape::Dyn, max, 1));
    }
    let inside = |view: View<'_>| build(view, view.node.embedded_resource, depth + 1).map(Rc::new);
    match view.kind()? {
        Kind::Array => {
            let items = inside(view.items()?)?;
            let max = limits
                .and_then(|limits| limits.max_items)
                .unwrap_or((MAX_REQUEST - 2) / (items.min_bytes + 1));
            Some(Declared::new(Shape::List(items), max, 2))
        }
        Kind::Object => match view.additional_properties() {
            Some(values) => {
                let values = inside(values)?;
                let max = limits
                    .and_then(|limits| limits.max_properties)
                    .unwrap_or((MAX_REQUEST - 2) / (values.min_bytes + 6));
                Some(Declared::new(Shape::Map(values), max, 2))
            }
            None => Some(object(view, resource, depth)),
        },
        Kind::String => Some(string(view, max_length)),
        Kind::Boolean => Some(Declared::new(Shape::Bool, 0, 4)),
        Kind::Number => Some(Declared::new(Shape::Double, 0, 1)),
        Kind::Integer => Some(Declared::new(Shape::Int, 0, 1)),
    }
}

fn string(view: View<'_>, max_length: Option<u64>) -> Declared {
    match view.format() {
        Some("byte") => Declared::new(Shape::Bytes, max_length.unwrap_or(MAX_REQUEST - 2), 2),
        Some("duration") => Declared::new(Shape::Duration, MAX_TIME, 3),
        Some("date") => Declared::new(Shape::Timestamp, DATE, DATE),
        Some("date-time") => Declared::new(Shape::Timestamp, MAX_TIME, 21),
        _ => {
            // Lengths are in characters, of which each has up to four bytes.
            let longest = || {
                let values = view.constraints()?.enumeration.as_deref()?;
                let lengths = values
                    .iter()
                    .filter_map(|value| value.as_str())
                    .map(str::len);
                u64::try_from(lengths.max().unwrap_or(0)).ok()
            };
            let max = match max_length {
                Some(length) => length.saturating_mul(4),
                None => longest().unwrap_or(MAX_REQUEST - 2),
            };
            Declared::new(Shape::Text, max, 2)
        }
    }
}

fn object(view: View<'_>, resource: bool, depth: usize) -> Declared {
    let mut fields = BTreeMap::new();
    let mut bytes = 2;
    let implied = resource && !names_itself(view);
    for (name, property) in view.properties() {
        if implied && matches!(name, "apiVersion" | "kind" | "metadata") {
            continue;
        }
        let Some(field) = build(property, property.node.embedded_resource, depth + 1) else {
            continue;
        };
        if property.default_value().is_none() && view.required().any(|required| required == name) {
            bytes += u64::try_from(name.len()).unwrap_or(u64::MAX) + field.min_bytes + 4;
        }
        if let Some(name) = escape::escaped(name) {
            fields.insert(name, Rc::new(field));
        }
    }
    if implied {
        let names = ["name", "generateName"].map(|name| (name.to_owned(), Rc::new(text())));
        let metadata = Declared::new(Shape::Object(names.into()), 0, 2);
        for (name, field) in [
            ("apiVersion", text()),
            ("kind", text()),
            ("metadata", metadata),
        ] {
            if view.required().any(|required| required == name) {
                bytes += u64::try_from(name.len()).unwrap_or(u64::MAX) + field.min_bytes + 4;
            }
            fields.insert(name.to_owned(), Rc::new(field));
        }
    }
    Declared::new(Shape::Object(fields), 0, bytes)
}

/// Whether the schema of a resource itself says that it has what each resource has.
fn names_itself(view: View<'_>) -> bool {
    let is =
        |view: Option<View<'_>>, kind: Kind| view.is_some_and(|view| view.kind() == Some(kind));
    let metadata = view.property("metadata");
    let inside = |name: &str| metadata.and_then(|metadata| metadata.property(name));
    is(view.property("kind"), Kind::String)
        && is(view.property("apiVersion"), Kind::String)
        && is(metadata, Kind::Object)
        && is(inside("name"), Kind::String)
        && is(inside("generateName"), Kind::String)
}
