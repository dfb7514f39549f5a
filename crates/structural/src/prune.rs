//! Removal of fields that a schema does not specify.
//!
//! Owns pruning and the paths of what it removes (which strict field validation reports). The `apiVersion`, `kind` and
//! `metadata` of resources, at the root and embedded, are never touched here; see [`crate::object_meta`].
//!
//! Invariant: pruning a pruned value changes nothing.

use serde_json::Value;

use crate::schema::{Additional, Schema, View};

/// What receives the paths of unknown fields.
trait Record {
    /// Whether the field is to be removed.
    const REMOVES: bool;
    fn enter_field(&mut self, name: &str);
    fn enter_index(&mut self, index: usize);
    fn leave(&mut self);
    fn unknown(&mut self, name: &str);
}

struct Silent;

impl Record for Silent {
    const REMOVES: bool = true;
    fn enter_field(&mut self, _name: &str) {}
    fn enter_index(&mut self, _index: usize) {}
    fn leave(&mut self) {}
    fn unknown(&mut self, _name: &str) {}
}

#[derive(Default)]
struct Recorder<const REMOVES: bool> {
    path: String,
    lengths: Vec<usize>,
    found: Vec<String>,
}

impl<const REMOVES: bool> Record for Recorder<REMOVES> {
    const REMOVES: bool = REMOVES;

    fn enter_field(&mut self, name: &str) {
        self.lengths.push(self.path.len());
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    fn enter_index(&mut self, index: usize) {
        self.lengths.push(self.path.len());
        self.path.push_str(&format!("[{index}]"));
    }

    fn leave(&mut self) {
        if let Some(length) = self.lengths.pop() {
            self.path.truncate(length);
        }
    }

    fn unknown(&mut self, name: &str) {
        // The root's own type and metadata are known even where nothing specifies them
        // (apiextensions-apiserver `schema/pruning/algorithm.go`).
        if self.path.is_empty() && is_meta(name) {
            return;
        }
        let separator = if self.path.is_empty() { "" } else { "." };
        self.found.push(format!("{}{separator}{name}", self.path));
    }
}

pub(crate) fn is_meta(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

/// Removes the fields of `value` that `schema` does not specify.
pub fn prune(value: &mut Value, schema: &Schema) {
    walk(value, Some(schema.view()), &mut Silent);
}

/// As [`prune`], and returns the paths of the removed fields, sorted: `spec.containers[0].nme`.
pub fn prune_recording(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut recorder = Recorder::<true>::default();
    walk(value, Some(schema.view()), &mut recorder);
    recorder.found.sort();
    recorder.found
}

/// The paths of the fields of `value` that `schema` does not specify, sorted. An unknown field is named once, whatever
/// is inside it.
#[must_use]
pub fn unknown_fields(value: &Value, schema: &Schema) -> Vec<String> {
    let mut recorder = Recorder::<false>::default();
    inspect(value, Some(schema.view()), &mut recorder);
    recorder.found.sort();
    recorder.found
}

/// What a schema has to say about one property.
enum Property<'a> {
    Known(Option<View<'a>>),
    Meta,
    Unknown,
}

fn property<'a>(view: View<'a>, name: &str) -> Property<'a> {
    if view.is_resource() && is_meta(name) {
        return Property::Meta;
    }
    if let Some(view) = view.property(name) {
        return Property::Known(Some(view));
    }
    match &view.node.additional {
        Additional::Schema(_) => Property::Known(view.additional_properties()),
        // Whatever is inside such a property is unknown again.
        Additional::Allowed | Additional::Refused => Property::Known(None),
        Additional::Unset => Property::Unknown,
    }
}

fn walk<R: Record>(value: &mut Value, view: Option<View<'_>>, record: &mut R) {
    match value {
        Value::Object(object) => {
            let Some(view) = view else {
                for name in object.keys() {
                    record.unknown(name);
                }
                if R::REMOVES {
                    object.clear();
                }
                return;
            };
            let preserve = view.preserves_unknown_fields();
            let mut surplus = false;
            for (name, value) in object.iter_mut() {
                match property(view, name) {
                    Property::Meta => {}
                    Property::Known(child) => {
                        if value.is_object() || value.is_array() {
                            record.enter_field(name);
                            walk(value, child, record);
                            record.leave();
                        }
                    }
                    Property::Unknown if preserve => {}
                    Property::Unknown => {
                        record.unknown(name);
                        surplus = true;
                    }
                }
            }
            if surplus && R::REMOVES {
                object.retain(|name, _| !matches!(property(view, name), Property::Unknown));
            }
        }
        Value::Array(items) => {
            let preserve = view.is_some_and(View::preserves_unknown_fields);
            let child = view.and_then(View::items);
            if preserve && child.is_none() {
                return;
            }
            for (index, item) in items.iter_mut().enumerate() {
                if item.is_object() || item.is_array() {
                    record.enter_index(index);
                    walk(item, child, record);
                    record.leave();
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn inspect<R: Record>(value: &Value, view: Option<View<'_>>, record: &mut R) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let Some(view) = view else {
                    record.unknown(name);
                    continue;
                };
                match property(view, name) {
                    Property::Meta => {}
                    Property::Known(child) => {
                        record.enter_field(name);
                        inspect(value, child, record);
                        record.leave();
                    }
                    Property::Unknown if view.preserves_unknown_fields() => {}
                    Property::Unknown => record.unknown(name),
                }
            }
        }
        Value::Array(items) => {
            let child = view.and_then(View::items);
            if child.is_none() && view.is_some_and(View::preserves_unknown_fields) {
                return;
            }
            for (index, item) in items.iter().enumerate() {
                record.enter_index(index);
                inspect(item, child, record);
                record.leave();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "cases read better without references"
    )]
    fn check(schema: Value, value: Value, expected: Value, unknown: &[&str]) {
        let schema = Schema::from_crd(&schema).unwrap();
        assert_eq!(unknown_fields(&value, &schema), unknown);
        let mut pruned = value;
        assert_eq!(prune_recording(&mut pruned, &schema), unknown);
        assert_eq!(pruned, expected);
        prune(&mut pruned, &schema);
        assert_eq!(pruned, expected);
    }

    #[test]
    fn unspecified_fields_go() {
        check(
            json!({"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                             "properties": {"strict": {"type": "object"}}},
                    "any": {"type": "object", "additionalProperties": true}
                }}
            }}),
            json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"x": 1}, "top": 1,
                "spec": {"list": [{"a": "1", "b": 2}], "map": {"k": {"a": "1", "c": {"d": 1}}},
                         "free": {"u": {"v": 1}, "strict": {"gone": 1}}, "any": {"s": 1, "m": {"n": 1}}}}),
            json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"x": 1},
                "spec": {"list": [{"a": "1"}], "map": {"k": {"a": "1"}},
                         "free": {"u": {"v": 1}, "strict": {}}, "any": {"s": 1, "m": {}}}}),
            &[
                "spec.any.m.n",
                "spec.free.strict.gone",
                "spec.list[0].b",
                "spec.map.k.c",
                "top",
            ],
        );
    }

    #[test]
    fn embedded_resources_keep_their_type_and_metadata() {
        check(
            json!({"type": "object", "properties": {"t": {"type": "object", "x-kubernetes-embedded-resource": true,
                "properties": {"spec": {"type": "object"}}}}}),
            json!({"t": {"apiVersion": "v1", "kind": "P", "metadata": {"name": "n"}, "spec": {"a": 1}, "b": 1}}),
            json!({"t": {"apiVersion": "v1", "kind": "P", "metadata": {"name": "n"}, "spec": {}}}),
            &["t.b", "t.spec.a"],
        );
    }
}
