//! The names of a definition: defaults, conflicts, conditions.
//!
//! Source: apiextensions-apiserver `pkg/controller/status/naming_controller.go`, v0.36.

use serde_json::{Value, json};

use crate::rest::Api;
use crate::rest::object::{self, strings};
use crate::store::Range;

pub(super) fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Names and conversion that are left out.
pub(super) fn default(object: &mut Value) {
    let stored = object.pointer("/status/storedVersions");
    if stored.is_some_and(|stored| stored.is_null() || stored == &json!([])) {
        remember_storage(object);
    }
    let kind = text(object, "/spec/names/kind").to_owned();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    spec.entry("conversion")
        .or_insert_with(|| json!({"strategy": "None"}));
    // The old way to say it is refused when true and nothing when false.
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut)
        && !kind.is_empty()
    {
        for (member, value) in [
            ("singular", kind.to_lowercase()),
            ("listKind", format!("{kind}List")),
        ] {
            if names
                .get(member)
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
            {
                names.insert(member.to_owned(), json!(value));
            }
        }
    }
}

/// Adds the storage version to `status.storedVersions`.
pub(super) fn remember_storage(object: &mut Value) {
    let storage = object
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let storage = storage
        .filter(|version| version["storage"] == true)
        .find_map(|version| version["name"].as_str())
        .map(str::to_owned);
    let (Some(storage), Some(status)) = (
        storage,
        object.get_mut("status").and_then(Value::as_object_mut),
    ) else {
        return;
    };
    match status.entry("storedVersions").or_insert_with(|| json!([])) {
        Value::Array(versions) => {
            if !versions
                .iter()
                .any(|version| version.as_str() == Some(&storage))
            {
                versions.push(json!(storage));
            }
        }
        other => *other = json!([storage]),
    }
}

/// What the names of other resources of a group occupy.
#[derive(Default)]
struct Taken {
    resources: Vec<String>,
    kinds: Vec<String>,
}

fn taken(api: &Api, group: &str, except: &str) -> Taken {
    let mut taken = Taken::default();
    for resource in api
        .registry
        .table()
        .all()
        .filter(|resource| *resource.group == *group && !resource.custom)
    {
        taken.resources.push(resource.plural.to_string());
        taken.resources.push(resource.singular.to_string());
        taken.resources.extend(resource.short_names.iter().cloned());
        taken.kinds.push(resource.kind.to_string());
        taken.kinds.push(resource.list_kind.to_string());
    }
    let Ok(page) = api.store.list(super::TABLE, &Range::default()) else {
        return taken;
    };
    for (key, stored) in page.items {
        if key.name() == except || !key.name().ends_with(&format!(".{group}")) {
            continue;
        }
        let other = stored.value();
        if text(&other, "/spec/group") != group {
            continue;
        }
        let names = other
            .pointer("/status/acceptedNames")
            .cloned()
            .unwrap_or(Value::Null);
        for member in ["plural", "singular"] {
            taken
                .resources
                .extend(names[member].as_str().map(str::to_owned));
        }
        taken.resources.extend(strings(&names, "shortNames"));
        for member in ["kind", "listKind"] {
            taken
                .kinds
                .extend(names[member].as_str().map(str::to_owned));
        }
    }
    taken.resources.retain(|name| !name.is_empty());
    taken.kinds.retain(|name| !name.is_empty());
    taken
}

/// Sets `acceptedNames` and the conditions about names of a definition.
pub(super) fn judge(api: &Api, definition: &mut Value, now: &str) {
    if object::is_deleting(definition) {
        return;
    }
    let taken = taken(
        api,
        text(definition, "/spec/group"),
        object::meta(definition, "name"),
    );
    let wanted = definition
        .pointer("/spec/names")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let mut accepted = definition
        .pointer("/status/acceptedNames")
        .cloned()
        .unwrap_or_else(|| json!({}));
    if !accepted.is_object() {
        accepted = json!({});
    }
    let mut problem: Option<(&str, String)> = None;
    for (member, reason, list) in [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ] {
        let Some(name) = wanted[member].as_str() else {
            continue;
        };
        if list.iter().any(|held| held == name) {
            problem = Some((reason, format!("{name:?} is already in use")));
        } else {
            accepted[member] = json!(name);
        }
    }
    let short = wanted["shortNames"].as_array().cloned().unwrap_or_default();
    let conflicts = short
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| taken.resources.iter().any(|held| held == name));
    let conflicts = conflicts
        .map(|name| format!("{name:?} is already in use"))
        .collect::<Vec<_>>();
    if conflicts.is_empty() {
        set_or_remove(&mut accepted, "shortNames", short);
    } else if !matches!(problem, Some(("KindConflict" | "ListKindConflict", _))) {
        // Kinds are looked at last, and the last problem is told.
        problem = Some(("ShortNamesConflict", conflicts.join(", ")));
    }
    set_or_remove(
        &mut accepted,
        "categories",
        wanted["categories"].as_array().cloned().unwrap_or_default(),
    );
    for member in ["plural", "kind"] {
        if accepted.get(member).is_none() {
            accepted[member] = json!("");
        }
    }
    if !definition["status"].is_object() {
        definition["status"] = json!({});
    }
    definition["status"]["acceptedNames"] = accepted;
    match problem {
        Some((reason, message)) => {
            set_condition(definition, "NamesAccepted", "False", reason, &message, now);
            // What was established once stays so under the names it has.
            if condition(definition, "Established") != Some("True") {
                set_condition(
                    definition,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    now,
                );
            }
        }
        None => {
            set_condition(
                definition,
                "NamesAccepted",
                "True",
                "NoConflicts",
                "no conflicts found",
                now,
            );
            if condition(definition, "Established") != Some("True") {
                let message = "the initial names have been accepted";
                set_condition(
                    definition,
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    message,
                    now,
                );
            }
        }
    }
}

fn set_or_remove(members: &mut Value, member: &str, list: Vec<Value>) {
    let Some(members) = members.as_object_mut() else {
        return;
    };
    if list.is_empty() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), Value::Array(list));
    }
}

/// The status of a condition.
pub(super) fn condition<'o>(definition: &'o Value, kind: &str) -> Option<&'o str> {
    let conditions = definition
        .pointer("/status/conditions")
        .and_then(Value::as_array)?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)?["status"]
        .as_str()
}

/// Sets a condition; the time moves only with its status.
pub(super) fn set_condition(
    definition: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let mut new = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    if !definition["status"].is_object() {
        definition["status"] = json!({});
    }
    let conditions = &mut definition["status"]["conditions"];
    match conditions.as_array_mut() {
        None => *conditions = json!([new]),
        Some(list) => match list.iter_mut().find(|held| held["type"] == kind) {
            None => list.push(new),
            Some(held) => {
                if held["status"] == status {
                    new["lastTransitionTime"] = held["lastTransitionTime"].take();
                }
                *held = new;
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let mut definition = json!({});
        set_condition(&mut definition, "Established", "True", "a", "", "t1");
        set_condition(&mut definition, "Established", "True", "b", "", "t2");
        assert_eq!(
            definition["status"]["conditions"][0]["lastTransitionTime"],
            "t1"
        );
        assert_eq!(definition["status"]["conditions"][0]["reason"], "b");
        set_condition(&mut definition, "Established", "False", "c", "", "t3");
        assert_eq!(
            definition["status"]["conditions"][0]["lastTransitionTime"],
            "t3"
        );
    }
}
