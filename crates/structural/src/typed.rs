//! Objects seen through a schema: which fields they have, how two of them differ, what their merge is.
//!
//! Owns the rules of server-side apply for single values: granular and atomic objects, lists that are atomic, sets or
//! maps by key, and types deduced from the value where the schema says nothing
//! (sigs.k8s.io/structured-merge-diff `typed/`, v6; the conversion of OpenAPI is k8s.io/kube-openapi `schemaconv`).
//! Who owns what is decided in [`crate::managed_fields`].

mod atomic;
mod compare;
mod merge;
mod part;

use std::fmt::Write as _;

use serde_json::Value;

pub use self::atomic::atomics;
pub use self::compare::{Comparison, compare};
pub use self::merge::merge;
pub use self::part::{field_set, remove};
pub(crate) use self::part::{named_fields, reconcile};
use crate::error::quote;
use crate::field_set::PathElement;
use crate::schema::meta::resource_property;
use crate::schema::{Additional, Kind, ListType, MapType, Schema, Special, View};

/// A value that does not fit its schema, or cannot be merged by it. `Display` is the text in the server's messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct TypedError {
    /// Path and problem of each place.
    pub places: Vec<(String, String)>,
}

impl TypedError {
    fn text(&self) -> String {
        let show = |(path, problem): &(String, String)| match path.as_str() {
            "" => problem.clone(),
            path => format!("{path}: {problem}"),
        };
        match self.places.as_slice() {
            [one] => show(one),
            several => {
                let mut text = "errors:".to_owned();
                for place in several {
                    let _ = write!(text, "\n  {}", show(place));
                }
                text
            }
        }
    }
}

/// Problems found so far, each with a path that is completed on the way up.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<(String, String)>);

impl Problems {
    fn one(problem: impl Into<String>) -> Self {
        Self(vec![(String::new(), problem.into())])
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn within(mut self, element: &PathElement) -> Self {
        for (path, _) in &mut self.0 {
            path.insert_str(0, &element.to_string());
        }
        self
    }

    fn into_result<T>(self, value: T) -> Result<T, TypedError> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(TypedError { places: self.0 })
        }
    }
}

/// What is known of the type at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type<'a> {
    /// A schema; the flag says that an enclosing one preserves unknown fields.
    Schema(View<'a>, bool),
    /// Whatever the value is: objects granular, lists atomic.
    Deduced,
    /// Whatever the value is, as one.
    Atomic,
    /// Nothing is allowed here.
    Undeclared,
}

/// How a value is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Map,
    Scalar,
    List,
}

impl<'a> Type<'a> {
    pub(crate) fn root(schema: &'a Schema) -> Self {
        Self::of(schema.view(), false)
    }

    fn of(view: View<'a>, preserve: bool) -> Self {
        if view.special() == Special::RawExtension {
            return Self::Atomic;
        }
        Self::Schema(view, preserve || view.preserves_unknown_fields())
    }

    /// The form of `value` here; without a value the one that the type prefers.
    fn form(self, value: Option<&Value>) -> Form {
        let (scalar, list, map) = match self {
            Self::Deduced | Self::Atomic | Self::Undeclared => (true, true, true),
            Self::Schema(view, _) if view.special() == Special::Quantity => (true, false, false),
            Self::Schema(view, _) => match view.kind() {
                None => (true, true, true),
                Some(Kind::Object) => (false, false, true),
                Some(Kind::Array) => (false, true, false),
                Some(Kind::String | Kind::Integer | Kind::Number | Kind::Boolean) => {
                    (true, false, false)
                }
            },
        };
        match value {
            Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) if scalar => Form::Scalar,
            Some(Value::Array(_)) if list => Form::List,
            Some(Value::Object(_)) if map => Form::Map,
            _ if map => Form::Map,
            _ if scalar => Form::Scalar,
            _ => Form::List,
        }
    }

    fn is_atomic_map(self) -> bool {
        match self {
            Self::Schema(view, _) => view.map_type() == Some(MapType::Atomic),
            Self::Atomic => true,
            Self::Deduced | Self::Undeclared => false,
        }
    }

    fn list_type(self) -> ListType {
        match self {
            Self::Schema(view, _) => view.list_type(),
            Self::Deduced | Self::Atomic | Self::Undeclared => ListType::Atomic,
        }
    }

    /// The type of the field `name`, and whether it is specified by name.
    fn field(self, name: &str) -> (Self, bool) {
        match self {
            Self::Schema(view, preserve) => {
                if view.is_resource()
                    && let Some(meta) = resource_property(name)
                {
                    return (Self::of(meta, false), true);
                }
                if let Some(property) = view.property(name) {
                    return (Self::of(property, preserve), true);
                }
                (self.other_fields(), false)
            }
            Self::Deduced => (Self::Deduced, false),
            Self::Atomic => (Self::Atomic, false),
            Self::Undeclared => (Self::Undeclared, false),
        }
    }

    /// The type of the field `name`, if the schema names it.
    fn named(self, name: &str) -> Option<Self> {
        let Self::Schema(view, preserve) = self else {
            return None;
        };
        let meta = view
            .is_resource()
            .then(|| resource_property(name))
            .flatten();
        meta.map(|meta| Self::of(meta, false))
            .or_else(|| Some(Self::of(view.property(name)?, preserve)))
    }

    /// The type of fields that are not specified by name.
    fn other_fields(self) -> Self {
        let Self::Schema(view, preserve) = self else {
            return self;
        };
        match &view.node.additional {
            Additional::Schema(_) => view
                .additional_properties()
                .map_or(Self::Undeclared, |view| Self::of(view, preserve)),
            Additional::Allowed => Self::Deduced,
            Additional::Refused => Self::Undeclared,
            Additional::Unset if preserve || view.node.properties.is_empty() => Self::Deduced,
            Additional::Unset => Self::Undeclared,
        }
    }

    /// Whether an object of this type stands in every object that has it as a field: the API server's own kinds print
    /// such fields even if empty, and published documents mark them by an empty object as default.
    fn is_always_present(self) -> bool {
        match self {
            Self::Schema(view, _) => view.is_published_struct(),
            Self::Deduced | Self::Atomic | Self::Undeclared => false,
        }
    }

    /// Whether the field `name` stands in every object of this type, as null if it has no value.
    fn always_prints(self, name: &str) -> bool {
        match self {
            Self::Schema(view, _) => view.always_prints(name),
            Self::Deduced | Self::Atomic | Self::Undeclared => false,
        }
    }

    fn items(self) -> Self {
        match self {
            Self::Schema(view, preserve) => view
                .items()
                .map_or(Self::Atomic, |view| Self::of(view, preserve)),
            Self::Deduced | Self::Atomic => Self::Atomic,
            Self::Undeclared => Self::Undeclared,
        }
    }

    /// How the item `child` of this list is told from others.
    fn item_element(self, child: &Value) -> Result<PathElement, String> {
        let Self::Schema(view, _) = self else {
            return Err("invalid indexing of non-associative list".to_owned());
        };
        match view.list_type() {
            ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            ListType::Map => {
                let object = match child {
                    Value::Object(object) => object,
                    Value::Null => {
                        return Err(
                            "associative list with keys may not have a null element".to_owned()
                        );
                    }
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                        return Err(
                            "associative list with keys may not have non-map elements".to_owned()
                        );
                    }
                };
                let mut keys = Vec::new();
                for name in view.list_keys() {
                    if let Some(value) = object.get(name) {
                        keys.push((Box::from(name), value.clone()));
                    } else if let Some(default) = view
                        .items()
                        .and_then(|items| items.property(name))
                        .and_then(View::default_value)
                    {
                        keys.push((Box::from(name), default.clone()));
                    }
                }
                if keys.is_empty() {
                    let names: Vec<_> = view.list_keys().map(quote).collect();
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                        names.join(" ")
                    ));
                }
                Ok(PathElement::key(keys))
            }
            ListType::Set => match child {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => {
                    Err("not supported: associative list with lists as elements".to_owned())
                }
                Value::Null => Err(
                    "associative list without keys has an element that's an explicit null"
                        .to_owned(),
                ),
                scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                    Ok(PathElement::Value(scalar.clone()))
                }
            },
        }
    }

    /// What is wrong with a scalar value here.
    fn scalar_problem(self, value: Option<&Value>, prefix: &str) -> Problems {
        let Some(value) = value else {
            return Problems::default();
        };
        if value.is_null() {
            return Problems::default();
        }
        let kind = match self {
            Self::Schema(view, _) if view.special() == Special::None => match view.kind() {
                Some(Kind::String) if !matches!(view.format(), None | Some("byte")) => None,
                kind => kind,
            },
            Self::Schema(..) | Self::Deduced | Self::Atomic | Self::Undeclared => None,
        };
        match (kind, value) {
            (Some(Kind::Integer | Kind::Number), Value::Number(_))
            | (Some(Kind::String), Value::String(_))
            | (Some(Kind::Boolean), Value::Bool(_))
            | (
                None | Some(Kind::Object | Kind::Array),
                Value::Number(_) | Value::String(_) | Value::Bool(_),
            ) => Problems::default(),
            (Some(Kind::Integer | Kind::Number), _) => Problems::one(format!(
                "{prefix}expected numeric (int or float), got {}",
                go_type(value)
            )),
            (Some(Kind::String), _) => Problems::one(format!(
                "{prefix}expected string, got &value.valueUnstructured{{Value:{}}}",
                go_syntax(value)
            )),
            (Some(Kind::Boolean), _) => Problems::one(format!(
                "{prefix}expected boolean, got &{{{}}}",
                go_text(value)
            )),
            (None | Some(Kind::Object | Kind::Array), _) => Problems::one(format!(
                "{prefix}expected any scalar, got &{{{}}}",
                go_text(value)
            )),
        }
    }
}

/// The name of a value's type in the server's messages.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as the server's messages print it with type syntax.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(object) => {
            let fields: Vec<_> = object
                .iter()
                .map(|(name, value)| format!("{}:{}", quote(name), go_syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
    }
}

/// A value as the server's messages print it plainly.
pub(crate) fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(object) => {
            let fields: Vec<_> = object
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_text(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

fn expected_list(value: &Value) -> Problems {
    Problems::one(format!("expected list, got &{{{}}}", go_text(value)))
}

fn expected_map(value: &Value) -> Problems {
    Problems::one(format!("expected map, got &{{{}}}", go_text(value)))
}

/// Checks that `value` can be treated by `schema`: declared fields, types, keys of list items. Repeated items of sets
/// and keyed lists are refused unless `allow_duplicates`.
///
/// # Errors
///
/// All places that do not fit.
pub fn check(value: &Value, schema: &Schema, allow_duplicates: bool) -> Result<(), TypedError> {
    check_at(value, Type::root(schema), allow_duplicates).into_result(())
}

pub(crate) fn check_at(value: &Value, ty: Type<'_>, allow_duplicates: bool) -> Problems {
    let mut problems = Problems::default();
    match ty.form(Some(value)) {
        Form::Scalar => return ty.scalar_problem(Some(value), ""),
        Form::List => {
            let items = match value {
                Value::Null => return problems,
                Value::Array(items) => items,
                other => return expected_list(other),
            };
            let atomic = ty.list_type() == ListType::Atomic;
            let item_type = ty.items();
            let mut seen: Vec<PathElement> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let element = if atomic {
                    PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))
                } else {
                    match ty.item_element(item) {
                        Ok(element) => element,
                        Err(problem) => {
                            problems.extend(Problems::one(format!("element {index}: {problem}")));
                            return problems;
                        }
                    }
                };
                let found = check_at(item, item_type, allow_duplicates);
                if !atomic && !allow_duplicates {
                    match seen.binary_search(&element) {
                        Ok(_) => problems.extend(Problems::one(format!(
                            "duplicate entries for key {element}"
                        ))),
                        Err(place) => seen.insert(place, element.clone()),
                    }
                }
                if !found.is_empty() {
                    problems.extend(found.within(&element));
                }
            }
        }
        Form::Map => {
            let object = match value {
                Value::Null => return problems,
                Value::Object(object) => object,
                other => return expected_map(other),
            };
            for (name, value) in object {
                let (field, _) = ty.field(name);
                if matches!(field, Type::Undeclared) {
                    problems.extend(
                        Problems::one("field not declared in schema")
                            .within(&PathElement::field(name.as_str())),
                    );
                    return problems;
                }
                let found = check_at(value, field, allow_duplicates);
                if !found.is_empty() {
                    problems.extend(found.within(&PathElement::field(name.as_str())));
                }
            }
        }
    }
    problems
}
