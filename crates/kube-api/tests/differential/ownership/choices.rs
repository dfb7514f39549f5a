//! Random documents: which fields an object may have and what they may hold, as `kinds.yaml` says it.

use drover_testkit::chance::Chance;
use serde_json::{Map, Value};

/// A document that the pattern allows.
pub(super) fn document(pattern: &Value, chance: &mut Chance) -> Value {
    match pattern {
        Value::Object(members) => {
            let mut chosen = Map::new();
            for (name, member) in members {
                let plain = name.trim_end_matches('~');
                let kept = match name.len() - plain.len() {
                    0 => true,
                    1 => chance.one_in(2),
                    _ => chance.one_in(5),
                };
                if kept {
                    chosen.insert(plain.to_owned(), document(member, chance));
                }
            }
            Value::Object(chosen)
        }
        Value::Array(items) => {
            let mut chosen = Vec::new();
            for item in items {
                match item.get("always") {
                    Some(item) => chosen.push(document(item, chance)),
                    None if chance.one_in(2) => chosen.push(document(item, chance)),
                    None => {}
                }
            }
            if chance.one_in(3) {
                chance.shuffle(&mut chosen);
            }
            Value::Array(chosen)
        }
        Value::String(text) => match text.strip_prefix('=') {
            Some(alternatives) => {
                let alternatives = alternatives.split('|').collect::<Vec<_>>();
                let text = chance.pick(&alternatives);
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
            }
            None => pattern.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => pattern.clone(),
    }
}

/// A merge patch of `document`: some of its fields, some to be removed. With `directives`, some items of lists and some
/// maps are to be deleted or replaced as strategic merge patches say it.
pub(super) fn patch(document: &Value, directives: bool, chance: &mut Chance) -> Value {
    match document {
        Value::Object(members) => {
            let mut patch = Map::new();
            for (name, member) in members {
                if chance.one_in(3) {
                    continue;
                }
                let member = if chance.one_in(8) {
                    Value::Null
                } else {
                    self::patch(member, directives, chance)
                };
                patch.insert(name.clone(), member);
            }
            if directives && chance.one_in(25) {
                let directive = chance.pick(&["replace", "merge", "delete"]);
                patch.insert("$patch".to_owned(), directive.into());
            }
            Value::Object(patch)
        }
        Value::Array(items) => {
            let mut items = items.clone();
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                if directives && chance.one_in(5) {
                    item.insert("$patch".to_owned(), "delete".into());
                }
            }
            Value::Array(items)
        }
        leaf => leaf.clone(),
    }
}

/// One to three operations of a JSON patch on `live`, with values out of `wanted`.
pub(super) fn json_patch(live: &Value, wanted: &Value, chance: &mut Chance) -> Value {
    let mut old = Vec::new();
    places(live, "", &mut old);
    let mut new = Vec::new();
    places(wanted, "", &mut new);
    let operations = (0..=chance.below(3)).map(|_| {
        let from = old[chance.below(old.len())].clone();
        let to = new[chance.below(new.len())].clone();
        let value = wanted.pointer(&to).cloned().unwrap_or_default();
        let held = live.pointer(&from).cloned().unwrap_or_default();
        match chance.below(7) {
            0 | 1 => serde_json::json!({"op": "add", "path": to, "value": value}),
            2 => serde_json::json!({"op": "replace", "path": to, "value": value}),
            3 => serde_json::json!({"op": "test", "path": from, "value": held}),
            4 => serde_json::json!({"op": "copy", "from": from, "path": to}),
            _ => serde_json::json!({"op": "remove", "path": from}),
        }
    });
    operations.collect()
}

/// Where something stands that writers may change, as JSON pointers.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    const SERVERS: [&str; 7] = [
        "/metadata/uid",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/creationTimestamp",
        "/metadata/resourceVersion",
        "/metadata/generation",
        "/metadata/managedFields",
    ];
    if SERVERS.contains(&place) {
        return;
    }
    if place.matches('/').count() > 1 {
        found.push(place.to_owned());
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(member, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{place}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if found.is_empty() {
        found.push("/metadata/labels".to_owned());
    }
}
