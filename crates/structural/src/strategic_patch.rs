//! Strategic merge patch: merge patch that knows how lists merge.
//!
//! Lists whose schema has the strategy `merge` are merged item by item, by their merge key or as sets; directives in the
//! patch (`$patch`, `$retainKeys`, `$setElementOrder/...`, `$deleteFromPrimitiveList/...`) replace, delete, order. The
//! rules are those of k8s.io/apimachinery `util/strategicpatch` (v0.36).

use serde_json::{Map, Value};

use crate::schema::meta::resource_property;
use crate::schema::{Kind, Schema, View};
use crate::typed::go_text;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const MAX_DEPTH: usize = 256;

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StrategicPatchError {
    /// The patch is malformed: 400.
    #[error("{0}")]
    Malformed(&'static str),
    /// Lists of lists cannot be merged: 422.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// The patch does not fit the object: the server answers 500 without a reason.
    #[error("{0}")]
    Refused(String),
}

const BAD_PRIMITIVE_LIST: StrategicPatchError =
    StrategicPatchError::Malformed("invalid patch format of primitive list");
const BAD_RETAIN_KEYS: StrategicPatchError =
    StrategicPatchError::Malformed("invalid patch format of retainKeys");
const BAD_SET_ORDER: StrategicPatchError =
    StrategicPatchError::Malformed("invalid patch format of setElementOrder list");
const BAD_DOCUMENT: StrategicPatchError = StrategicPatchError::Malformed("invalid JSON document");

fn no_merge_key(item: &Value, key: &str) -> StrategicPatchError {
    StrategicPatchError::Refused(format!(
        "map: {} does not contain declared merge key: {key}",
        go_text(item)
    ))
}

fn bad_patch_type(directive: &Value, map: &Map<String, Value>) -> StrategicPatchError {
    // As Go prints what is no text as one.
    let directive = match directive.as_str() {
        Some(text) => text.to_owned(),
        None => format!("%!s({}={directive})", go_kind(directive)),
    };
    StrategicPatchError::Refused(format!(
        "unknown patch type: {directive} in map: {}",
        go_text(&Value::Object(map.clone()))
    ))
}

/// Applies `patch` to `target` in place. On error `target` may be partly changed.
///
/// # Errors
///
/// See [`StrategicPatchError`].
pub fn apply(
    target: &mut Value,
    patch: &Value,
    schema: &Schema,
) -> Result<(), StrategicPatchError> {
    let patch = patch.as_object().ok_or(BAD_DOCUMENT)?;
    if target.is_null() {
        *target = Value::Object(Map::new());
    }
    let original = target.as_object_mut().ok_or(BAD_DOCUMENT)?;
    merge_map(original, patch.clone(), Some(schema.view()), 0)
}

fn field_of<'a>(view: Option<View<'a>>, name: &str) -> Option<View<'a>> {
    let view = view?;
    if view.is_resource()
        && let Some(meta) = resource_property(name)
    {
        return Some(meta);
    }
    view.property(name).or_else(|| view.additional_properties())
}

fn merge_map(
    original: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    view: Option<View<'_>>,
    depth: usize,
) -> Result<(), StrategicPatchError> {
    if depth > MAX_DEPTH {
        return Err(StrategicPatchError::Refused(
            "patch is nested too deeply".to_owned(),
        ));
    }
    if let Some(directive) = patch.remove(PATCH) {
        match directive.as_str() {
            Some("replace") => *original = patch,
            Some("delete") => original.clear(),
            _ => {
                patch.insert(PATCH.to_owned(), directive.clone());
                return Err(bad_patch_type(&directive, &patch));
            }
        }
        return Ok(());
    }
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain_keys(original, &patch, &keys)?;
    }
    set_orders(original, &mut patch, view, depth)?;
    for (key, value) in patch {
        let deletion = match key.strip_prefix(DELETE_FROM) {
            None => None,
            Some(rest) => Some(rest.strip_prefix('/').ok_or(BAD_PRIMITIVE_LIST)?),
        };
        if let Some(name) = deletion {
            if let (Some(Value::Array(items)), Value::Array(gone)) =
                (original.get_mut(name), &value)
            {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        match (original.get_mut(&key), value) {
            (Some(Value::Object(existing)), Value::Object(value)) => {
                let child = field_of(view, &key);
                if child.is_some_and(|child| child.patch_strategy().replace) {
                    *existing = value;
                } else {
                    merge_map(existing, value, child, depth + 1)?;
                }
            }
            (Some(Value::Array(existing)), Value::Array(value)) => {
                let merged = merge_list(
                    std::mem::take(existing),
                    value,
                    field_of(view, &key),
                    depth + 1,
                )?;
                *existing = merged;
            }
            (_, mut value) => {
                discard_nulls(&mut value);
                if remove_directives(&mut value) {
                    original.insert(key, value);
                } else {
                    original.remove(&key);
                }
            }
        }
    }
    Ok(())
}

fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    keys: &Value,
) -> Result<(), StrategicPatchError> {
    let keys = keys.as_array().ok_or(BAD_RETAIN_KEYS)?;
    let keeps = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    for (name, value) in patch {
        if !value.is_null()
            && !name.starts_with(DELETE_FROM)
            && !name.starts_with(SET_ORDER)
            && !keeps(name)
        {
            return Err(BAD_RETAIN_KEYS);
        }
    }
    original.retain(|name, _| keeps(name));
    Ok(())
}

/// Merges the lists whose order the patch gives, and takes them out of the patch.
fn set_orders(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    view: Option<View<'_>>,
    depth: usize,
) -> Result<(), StrategicPatchError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let Some(order) = patch.remove(&directive) else {
            continue;
        };
        let name = directive
            .strip_prefix(SET_ORDER)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or(BAD_SET_ORDER)?;
        let order = match order {
            Value::Array(order) => order,
            other => return Err(wrong_kind("[]interface {}", &other)),
        };
        if field_of(view, name).is_some_and(|child| child.kind() == Some(Kind::Object)) {
            return Err(StrategicPatchError::Refused(
                "expected slice or array type, but got: struct".to_owned(),
            ));
        }
        let as_list = |value: Value| match value {
            Value::Array(items) => Ok(items),
            other => Err(wrong_kind("slice", &other)),
        };
        let before = original.get(name).cloned().map(as_list).transpose()?;
        let change = patch.remove(name).map(as_list).transpose()?;
        let child = field_of(view, name);
        let key = child.and_then(View::patch_merge_key);
        check_order(change.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (before.clone(), change) {
            (None, None) => continue,
            (Some(before), None) => before,
            (None, Some(mut change)) => {
                change.retain_mut(remove_directives);
                change
            }
            (Some(before), Some(change)) => merge_list(before, change, child, depth + 1)?,
        };
        let ordered = arrange(merged, &order, before.as_deref().unwrap_or_default(), key)?;
        original.insert(name.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

fn wrong_kind(expected: &str, actual: &Value) -> StrategicPatchError {
    let actual = go_kind(actual);
    StrategicPatchError::Refused(format!("expected a {expected}, but received a {actual}"))
}

/// What Go calls a value of JSON.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// The items of the patch must stand in the order that the patch itself gives.
fn check_order(
    change: &[Value],
    order: &[Value],
    key: Option<&str>,
) -> Result<(), StrategicPatchError> {
    if change.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    for item in change {
        if item.get(PATCH).is_some() {
            continue;
        }
        let mut found = false;
        for candidate in places.by_ref() {
            if same(item, candidate, key)? {
                found = true;
                break;
            }
        }
        if !found {
            return Err(StrategicPatchError::Refused(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                go_text(&Value::from(change.to_vec())),
                go_text(&Value::from(order.to_vec()))
            )));
        }
    }
    Ok(())
}

fn same(a: &Value, b: &Value, key: Option<&str>) -> Result<bool, StrategicPatchError> {
    let Some(key) = key else { return Ok(a == b) };
    Ok(key_of(a, key)? == key_of(b, key)?)
}

fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, StrategicPatchError> {
    match item {
        Value::Object(object) => object.get(key).ok_or_else(|| no_merge_key(item, key)),
        other => Err(wrong_kind("map", other)),
    }
}

fn merge_list(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    view: Option<View<'_>>,
    depth: usize,
) -> Result<Vec<Value>, StrategicPatchError> {
    if !view.is_some_and(|view| view.patch_strategy().merge) {
        return Ok(patch);
    }
    let maps = match original.first().or(patch.first()) {
        None => return Ok(original),
        Some(Value::Array(_)) => return Err(StrategicPatchError::ListOfLists),
        Some(first) => first.is_object(),
    };
    if let Some(odd) = original
        .iter()
        .chain(&patch)
        .find(|item| item.is_object() != maps)
    {
        if odd.is_array() {
            return Err(StrategicPatchError::ListOfLists);
        }
        return Err(StrategicPatchError::Refused(format!(
            "list element types are not identical: {}",
            go_text(&Value::from(vec![
                Value::from(original.clone()),
                Value::from(patch.clone())
            ]))
        )));
    }
    if !maps {
        let before = original.clone();
        let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
        for item in original.into_iter().chain(patch.iter().cloned()) {
            if !merged.contains(&item) {
                merged.push(item);
            }
        }
        return arrange(merged, &patch, &before, None);
    }
    let Some(key) = view.and_then(View::patch_merge_key) else {
        return Err(StrategicPatchError::Refused(
            "cannot merge lists without merge key".to_owned(),
        ));
    };
    let mut changes: Vec<Value> = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            changes.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = key_of(&item, key)?;
                for existing in &original {
                    key_of(existing, key)?;
                }
                original.retain(|existing| existing.get(key) != Some(gone));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(StrategicPatchError::Refused(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            _ => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(bad_patch_type(directive, &map));
            }
        }
    }
    if replace {
        return Ok(changes);
    }
    let before = original.clone();
    let item_view = view.and_then(View::items);
    for change in &changes {
        let value = key_of(change, key)?;
        let mut place = None;
        for (index, existing) in original.iter().enumerate() {
            if key_of(existing, key)? == value {
                place = Some(index);
                break;
            }
        }
        match (place, change) {
            (Some(place), Value::Object(change)) => {
                if let Some(existing) = original[place].as_object_mut() {
                    merge_map(existing, change.clone(), item_view, depth + 1)?;
                }
            }
            _ => {
                let mut fresh = change.clone();
                discard_nulls(&mut fresh);
                original.push(fresh);
            }
        }
    }
    arrange(original, &changes, &before, Some(key))
}

/// Puts items that `order` names in that order, and the others where they stood relative to them in `before`.
fn arrange(
    merged: Vec<Value>,
    order: &[Value],
    before: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, StrategicPatchError> {
    let place_in = |list: &[Value], item: &Value| -> Result<Option<usize>, StrategicPatchError> {
        for (index, candidate) in list.iter().enumerate() {
            if same(candidate, item, key)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    };
    let mut named: Vec<(usize, Value)> = Vec::new();
    let mut others: Vec<(Option<usize>, Value)> = Vec::new();
    for item in merged {
        match place_in(order, &item)? {
            Some(place) => named.push((place, item)),
            None => others.push((place_in(before, &item)?, item)),
        }
    }
    named.sort_by_key(|(place, _)| *place);
    others.sort_by_key(|(place, _)| *place);
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, item) in named {
        if let Some(stood) = place_in(before, &item)? {
            while let Some((_, other)) =
                others.next_if(|(place, _)| place.is_some_and(|place| place < stood))
            {
                out.push(other);
            }
        }
        out.push(item);
    }
    out.extend(others.map(|(_, item)| item));
    Ok(out)
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes objects that are directives; whether the value itself is none.
fn remove_directives(value: &mut Value) -> bool {
    match value {
        Value::Object(object) => {
            if object.contains_key(PATCH) {
                return false;
            }
            object.retain(|_, value| remove_directives(value));
        }
        Value::Array(items) => items.retain_mut(remove_directives),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::from_openapi(&json!({"type": "object", "properties": {
            "name": {"type": "string"},
            "items": {"type": "array", "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
                "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "value": {"type": "integer"},
                    "set": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "string"}}}}},
            "set": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "string"}},
            "atomic": {"type": "array", "items": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-patch-strategy": "replace", "additionalProperties": {"type": "string"}},
            "kept": {"type": "object", "x-kubernetes-patch-strategy": "retainKeys", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
        }}))
        .unwrap()
    }

    #[test]
    fn patches_do_what_the_servers_do() {
        let item = |name: &str, value: i64| json!({"name": name, "value": value});
        for (original, patch, expected) in [
            (
                json!({"name": "a"}),
                json!({"name": null, "atomic": ["x"]}),
                json!({"atomic": ["x"]}),
            ),
            (
                json!({"items": [item("a", 1), item("b", 2)]}),
                json!({"items": [item("b", 3), item("c", 4)]}),
                json!({"items": [item("a", 1), item("b", 3), item("c", 4)]}),
            ),
            // New items come first, as a real server has it.
            (
                json!({"items": [item("a", 1)]}),
                json!({"items": [item("b", 2)]}),
                json!({"items": [item("b", 2), item("a", 1)]}),
            ),
            (
                json!({"items": [item("a", 1), item("b", 2)]}),
                json!({"items": [{"name": "a", "$patch": "delete"}, {"name": "z", "value": null}]}),
                json!({"items": [{"name": "z"}, item("b", 2)]}),
            ),
            (
                json!({"items": [item("a", 1)]}),
                json!({"items": [{"$patch": "replace"}, item("b", 2)]}),
                json!({"items": [item("b", 2)]}),
            ),
            (
                json!({"items": [item("a", 1), item("b", 2), item("c", 3)]}),
                json!({"$setElementOrder/items": [{"name": "c"}, {"name": "a"}]}),
                json!({"items": [item("b", 2), item("c", 3), item("a", 1)]}),
            ),
            (
                json!({"set": ["a", "b", "c"]}),
                json!({"set": ["d", "a"], "$deleteFromPrimitiveList/set": ["b"]}),
                json!({"set": ["d", "a", "c"]}),
            ),
            (
                json!({"set": ["a"]}),
                json!({"$deleteFromPrimitiveList/set": ["a"]}),
                json!({"set": []}),
            ),
            (
                json!({"whole": {"a": "1"}}),
                json!({"whole": {"b": "2"}}),
                json!({"whole": {"b": "2"}}),
            ),
            (
                json!({"kept": {"a": "1"}}),
                json!({"kept": {"$retainKeys": ["b"], "b": "2"}}),
                json!({"kept": {"b": "2"}}),
            ),
            (
                json!({"kept": {"a": "1"}, "name": "x"}),
                json!({"kept": {"$patch": "delete"}}),
                json!({"kept": {}, "name": "x"}),
            ),
            (
                json!({"atomic": ["a"]}),
                json!({"atomic": ["b"]}),
                json!({"atomic": ["b"]}),
            ),
            (
                json!({}),
                json!({"items": [{"name": "a", "set": null}, {"name": "b", "$patch": "delete"}]}),
                json!({"items": [{"name": "a"}]}),
            ),
        ] {
            let mut actual = original;
            apply(&mut actual, &patch, &schema()).unwrap();
            assert_eq!(actual, expected, "{patch}");
        }
    }

    #[test]
    fn metadata_merges_as_for_every_kind() {
        let schema = Schema::from_crd(&json!({"type": "object"})).unwrap();
        let mut object = json!({"metadata": {"finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "x"}]}});
        let patch = json!({"metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "2"}]}});
        apply(&mut object, &patch, &schema).unwrap();
        assert_eq!(
            object,
            json!({"metadata": {"finalizers": ["b", "a"], "ownerReferences": [{"uid": "2"}, {"uid": "1", "name": "x"}]}})
        );
    }

    #[test]
    fn malformed_patches_are_refused() {
        let check = |patch: Value, expected: &str| {
            let mut original = json!({"items": [{"name": "a"}], "kept": {"a": "1"}});
            let error = apply(&mut original, &patch, &schema()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(json!([]), "invalid JSON document");
        check(
            json!({"items": [{"value": 1}]}),
            "does not contain declared merge key: name",
        );
        check(json!({"$patch": "x"}), "unknown patch type: x in map");
        check(
            json!({"items": [{"name": "a", "$patch": "merge"}]}),
            "merging lists cannot yet",
        );
        check(
            json!({"kept": {"$retainKeys": "a"}}),
            "invalid patch format of retainKeys",
        );
        check(
            json!({"kept": {"$retainKeys": ["b"], "a": "1"}}),
            "invalid patch format of retainKeys",
        );
        check(
            json!({"$setElementOrder/items": [{"name": "b"}], "items": [{"name": "a"}]}),
            "doesn't match $setElementOrder list",
        );
    }

    fn object() -> impl Strategy<Value = Value> {
        let items = prop::collection::btree_map("[a-d]", 0i64..3, 0..4);
        let set = prop::collection::btree_set("[a-d]", 0..4);
        (items, set).prop_map(|(items, set)| {
            let items: Vec<_> = items
                .into_iter()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            json!({"items": items, "set": set})
        })
    }

    proptest! {
        #[test]
        fn patching_twice_is_patching_once(original in object(), patch in object()) {
            let schema = schema();
            let mut once = original;
            apply(&mut once, &patch, &schema).unwrap();
            let mut twice = once.clone();
            apply(&mut twice, &patch, &schema).unwrap();
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn the_patch_is_found_in_the_result(original in object(), patch in object()) {
            let mut actual = original;
            apply(&mut actual, &patch, &schema()).unwrap();
            for item in patch["items"].as_array().unwrap() {
                prop_assert!(actual["items"].as_array().unwrap().contains(item));
            }
            for item in patch["set"].as_array().unwrap() {
                prop_assert!(actual["set"].as_array().unwrap().contains(item));
            }
        }
    }
}
