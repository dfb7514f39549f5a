//! The fields of an object as a set, and an object without some of its fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Form, Type};
use crate::field_set::{FieldSet, PathElement};
use crate::schema::{ListType, Schema};

/// The fields of `value` that somebody who says `value` owns.
#[must_use]
pub fn field_set(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::new();
    field_set_at(value, Type::root(schema), &mut set);
    set
}

/// Fills `out` with the fields below `value`; returns whether `value` itself is one.
fn field_set_at(value: &Value, ty: Type<'_>, out: &mut FieldSet) -> bool {
    match ty.form(Some(value)) {
        Form::Scalar => true,
        Form::List => {
            if ty.list_type() == ListType::Atomic {
                return true;
            }
            let Some(items) = value.as_array() else {
                return false;
            };
            let mut elements: BTreeMap<PathElement, Vec<&Value>> = BTreeMap::new();
            for item in items {
                if let Ok(element) = ty.item_element(item) {
                    elements.entry(element).or_default().push(item);
                }
            }
            let item_type = ty.items();
            for (element, items) in elements {
                let mut children = FieldSet::new();
                // Of repeated items only their presence is owned.
                if let [only] = items.as_slice() {
                    field_set_at(only, item_type, &mut children);
                }
                out.push(element, true, children);
            }
            false
        }
        Form::Map => {
            if ty.is_atomic_map() {
                return true;
            }
            let Some(object) = value.as_object() else {
                return false;
            };
            for (name, value) in object {
                let (field, named) = ty.field(name);
                let mut children = FieldSet::new();
                let own = field_set_at(value, field, &mut children);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                out.push(
                    PathElement::field(name.as_str()),
                    own || empty || !named,
                    children,
                );
            }
            false
        }
    }
}

/// `value` without the fields in `fields`.
#[must_use]
pub fn remove(value: &Value, fields: &FieldSet, schema: &Schema) -> Value {
    remove_at(value, fields, Type::root(schema)).unwrap_or(Value::Null)
}

fn remove_at(value: &Value, fields: &FieldSet, ty: Type<'_>) -> Option<Value> {
    match ty.form(Some(value)) {
        Form::Scalar => Some(value.clone()),
        Form::List => {
            let items = value.as_array()?;
            if items.is_empty() || ty.list_type() == ListType::Atomic {
                return None;
            }
            let item_type = ty.items();
            let kept: Vec<Value> = items
                .iter()
                .filter_map(|item| {
                    let Ok(element) = ty.item_element(item) else {
                        return Some(item.clone());
                    };
                    let Some(node) = fields.node(&element) else {
                        return Some(item.clone());
                    };
                    if node.member {
                        None
                    } else {
                        Some(remove_at(item, &node.children, item_type).unwrap_or(Value::Null))
                    }
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Form::Map => {
            let object = value.as_object()?;
            if object.is_empty() || ty.is_atomic_map() {
                return None;
            }
            let mut kept = Map::new();
            for (name, value) in object {
                let value = match fields.node(&PathElement::field(name.as_str())) {
                    None => value.clone(),
                    Some(node) if node.member => continue,
                    Some(node) => {
                        remove_at(value, &node.children, ty.field(name).0).unwrap_or(Value::Null)
                    }
                };
                kept.insert(name.clone(), value);
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
    }
}

/// The set with those fields added that contain members and are specified by name (which are not members themselves as
/// long as anything is below them).
pub(crate) fn named_fields(set: &FieldSet, schema: &Schema) -> FieldSet {
    named_fields_at(set, Type::root(schema))
}

fn named_fields_at(set: &FieldSet, ty: Type<'_>) -> FieldSet {
    let mut out = FieldSet::new();
    for node in &set.nodes {
        let (child, member) = match &node.element {
            PathElement::Field(name) => {
                let (field, named) = ty.field(name);
                (
                    field,
                    node.member
                        || (named && !node.children.is_empty() && ty.form(None) == Form::Map),
                )
            }
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => {
                (ty.items(), node.member)
            }
        };
        out.push(
            node.element.clone(),
            member,
            named_fields_at(&node.children, child),
        );
    }
    out
}

/// The set as the present schema sees it: what became atomic since is owned as a whole. `None` if nothing changes.
pub(crate) fn reconcile(set: &FieldSet, schema: &Schema) -> Option<FieldSet> {
    let mut changed = false;
    let out = reconcile_at(set, Type::root(schema), &mut changed);
    changed.then_some(out)
}

fn reconcile_at(set: &FieldSet, ty: Type<'_>, changed: &mut bool) -> FieldSet {
    let mut out = FieldSet::new();
    for node in &set.nodes {
        let child = match &node.element {
            PathElement::Field(name) => ty.field(name).0,
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => ty.items(),
        };
        let atomic = match child {
            Type::Schema(..) => match child.form(None) {
                Form::Map => child.is_atomic_map(),
                Form::List => child.list_type() == ListType::Atomic,
                Form::Scalar => false,
            },
            // Deduced types have no declared structure to reconcile with.
            Type::Deduced | Type::Atomic | Type::Undeclared => false,
        };
        if atomic && !node.children.is_empty() {
            *changed = true;
            out.push(node.element.clone(), true, FieldSet::new());
        } else if node.children.is_empty() {
            out.push(node.element.clone(), node.member, FieldSet::new());
        } else {
            out.push(
                node.element.clone(),
                node.member,
                reconcile_at(&node.children, child, changed),
            );
        }
    }
    out
}
