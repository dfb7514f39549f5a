//! Lists whose items have to be told apart.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::path::Path;
use crate::schema::{ListType, View};

/// Whether nothing below needs a look for sets and maps.
pub(super) fn check_lists(
    value: &Value,
    view: View<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if !(value.is_object() || value.is_array()) {
                    continue;
                }
                if let Some(property) = view.property(key) {
                    check_lists(value, property, &path.child(key), errors);
                } else if let Some(additional) = view.additional_properties() {
                    check_lists(value, additional, &path.key(key), errors);
                }
            }
        }
        Value::Array(items) => {
            match view.declared_list_type() {
                Some(ListType::Set) => {
                    for index in repeated(items.iter()) {
                        errors.push(FieldError::duplicate(
                            path.index(index),
                            items[index].clone(),
                        ));
                    }
                }
                Some(ListType::Map) => check_keyed(items, view, path, errors),
                Some(ListType::Atomic) | None => {}
            }
            let Some(item_view) = view.items() else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                if item.is_object() || item.is_array() {
                    check_lists(item, item_view, &path.index(index), errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_keyed(items: &[Value], view: View<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, item) in items.iter().enumerate() {
        if !item.is_object() && !item.is_null() {
            errors.push(FieldError::invalid(
                path.index(index),
                item.clone(),
                "must be an object for an array of list-type map",
            ));
            return;
        }
    }
    if items.len() <= 1 {
        return;
    }
    let keys: Vec<Value> = items
        .iter()
        .map(|item| {
            let keys: Map<String, Value> = view
                .list_keys()
                .filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())))
                .collect();
            Value::Object(keys)
        })
        .collect();
    for index in repeated(keys.iter()) {
        errors.push(FieldError::duplicate(
            path.index(index),
            keys[index].clone(),
        ));
    }
}

/// The places where a value occurs for the second time.
fn repeated<'a>(items: impl ExactSizeIterator<Item = &'a Value>) -> Vec<usize> {
    struct Ordered<'a>(&'a Value);
    impl Ord for Ordered<'_> {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            crate::field_set::value_order(self.0, other.0)
        }
    }
    impl PartialOrd for Ordered<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl PartialEq for Ordered<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }
    impl Eq for Ordered<'_> {}
    if items.len() <= 1 {
        return Vec::new();
    }
    let mut times: std::collections::BTreeMap<Ordered<'a>, usize> =
        std::collections::BTreeMap::new();
    let mut places = Vec::new();
    for (index, item) in items.enumerate() {
        let count = times.entry(Ordered(item)).or_default();
        *count += 1;
        if *count == 2 {
            places.push(index);
        }
    }
    places
}
