//! What an object says about values that are only replaced as a whole.

use serde_json::Value;

use super::{Form, Type};
use crate::field_set::{FieldPath, PathElement};
use crate::schema::{ListType, Schema};

/// Where `value` has lists and objects that are atomic by the schema, as far as that names their fields
/// (k8s.io/apiserver `admission/plugin/policy/mutating/patch/smd.go`, v0.36).
#[must_use]
pub fn atomics(value: &Value, schema: &Schema) -> Vec<FieldPath> {
    let mut found = Vec::new();
    look(value, Type::root(schema), &mut Vec::new(), &mut found);
    found
}

fn look(value: &Value, ty: Type<'_>, path: &mut Vec<PathElement>, found: &mut Vec<FieldPath>) {
    match (ty.form(Some(value)), value) {
        (Form::Map, Value::Object(fields)) => {
            if ty.is_atomic_map() {
                found.push(FieldPath(path.clone()));
            }
            for (name, value) in fields {
                if let Some(field) = ty.named(name) {
                    path.push(PathElement::field(name.as_str()));
                    look(value, field, path, found);
                    path.pop();
                }
            }
        }
        (Form::List, Value::Array(items)) => {
            if ty.list_type() == ListType::Atomic {
                found.push(FieldPath(path.clone()));
            }
            for (index, item) in items.iter().enumerate() {
                path.push(PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX)));
                look(item, ty.items(), path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
