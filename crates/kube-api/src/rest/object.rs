//! Metadata of an object: reading it, setting what only the server sets, checking what clients set.

use drover_structural::names;
use serde_json::{Map, Value, json};

use crate::registry::NameRule;
use crate::status::FieldError;

/// `metadata`, made if it is missing or not an object.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it was made an object above")
        }
    }
}

/// A text field of `metadata`, empty if unset.
pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The texts of a list, empty if unset.
pub(crate) fn strings(object: &Value, member: &str) -> Vec<String> {
    object[member]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("finalizers"))
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[&str]) {
    let metadata = metadata_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

/// Sets or removes a field of `metadata` so that it is as in `from`.
pub(crate) fn carry(object: &mut Value, from: &Value, field: &str) {
    let value = from
        .get("metadata")
        .and_then(|metadata| metadata.get(field))
        .cloned();
    let metadata = metadata_mut(object);
    match value {
        Some(value) => metadata.insert(field.to_owned(), value),
        None => metadata.remove(field),
    };
}

/// A name made from `generateName`: the base cut so that the whole fits a label, and five characters without vowels
/// (apiserver `pkg/storage/names/generate.go`).
pub(crate) fn generate_name(base: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut end = base.len().min(58);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    for _ in 0..5 {
        name.push(char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    }
    name
}

/// What is wrong with a name under a rule.
pub(crate) fn name_problems(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => names::dns_1123_subdomain(name),
        NameRule::Label => names::dns_1123_label(name),
        NameRule::Label1035 => names::dns_1035_label(name),
        NameRule::PathSegment => names::path_segment(name),
    }
}

/// Checks what clients may set in `metadata` (apimachinery `pkg/api/validation/objectmeta.go`).
pub(crate) fn validate_metadata(
    object: &Value,
    namespaced: bool,
    rule: NameRule,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let empty = Map::new();
    let metadata = object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let base = meta(object, "generateName");
    if !base.is_empty() {
        // A trailing dash is fine, since something follows (apimachinery `pkg/api/validation/generic.go`).
        let masked = match base.strip_suffix('-') {
            Some(rest) if !rest.is_empty() && rule != NameRule::PathSegment => {
                let end = rest.char_indices().next_back().map_or(0, |(end, _)| end);
                format!("{}a", &rest[..end])
            }
            _ => base.to_owned(),
        };
        for problem in name_problems(rule, &masked) {
            errors.push(FieldError::invalid("metadata.generateName", base, problem));
        }
    }
    let name = meta(object, "name");
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for problem in name_problems(rule, name) {
            errors.push(FieldError::invalid("metadata.name", name, problem));
        }
    }
    let namespace = meta(object, "namespace");
    if namespaced {
        if namespace.is_empty() {
            errors.push(FieldError::required("metadata.namespace", ""));
        } else {
            for problem in name_problems(NameRule::Label, namespace) {
                errors.push(FieldError::invalid(
                    "metadata.namespace",
                    namespace,
                    problem,
                ));
            }
        }
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    errors.extend(labels_and_annotations(metadata));
    errors.extend(owner_problems(metadata));
    errors.extend(malformed_finalizers(object));
    let held = finalizers(object);
    if held.contains(&"orphan") && held.contains(&"foregroundDeletion") {
        errors.push(FieldError::invalid(
            "metadata.finalizers",
            json!(held),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    errors
}

fn labels_and_annotations(metadata: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(labels) = metadata.get("labels").and_then(Value::as_object) {
        for (key, value) in labels {
            for problem in names::qualified_name(key) {
                errors.push(FieldError::invalid(
                    "metadata.labels",
                    key.as_str(),
                    problem,
                ));
            }
            let value = value.as_str().unwrap_or_default();
            for problem in names::label_value(value) {
                errors.push(FieldError::invalid("metadata.labels", value, problem));
            }
        }
    }
    if let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) {
        let mut total = 0;
        for (key, value) in annotations {
            for problem in names::qualified_name(&key.to_lowercase()) {
                errors.push(FieldError::invalid(
                    "metadata.annotations",
                    key.as_str(),
                    problem,
                ));
            }
            total += key.len() + value.as_str().map_or(0, str::len);
        }
        if total > 256 * 1024 {
            errors.push(FieldError::too_long("metadata.annotations", 256 * 1024));
        }
    }
    errors
}

/// Finalizers that are no names.
pub(crate) fn malformed_finalizers(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for finalizer in finalizers(object) {
        for problem in names::qualified_name(finalizer) {
            errors.push(FieldError::invalid(
                "metadata.finalizers",
                finalizer,
                problem,
            ));
        }
    }
    errors
}

/// What is wrong with owners; no place in the list is named (apimachinery `validateOwnerReference`).
fn owner_problems(metadata: &Map<String, Value>) -> Vec<FieldError> {
    const FIELD: &str = "metadata.ownerReferences";
    let mut errors = Vec::new();
    let Some(owners) = metadata.get("ownerReferences").and_then(Value::as_array) else {
        return errors;
    };
    let mut controller: Option<String> = None;
    for owner in owners {
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        for (field, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(field).is_empty() {
                errors.push(FieldError::invalid(format!("{FIELD}.{field}"), "", detail));
            }
        }
        if (text("apiVersion"), text("kind")) == ("v1", "Event") {
            errors.push(FieldError::invalid_printed(
                FIELD,
                &printed_owner(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(name),
                Some(first) => {
                    let all = owners.iter().map(printed_owner).collect::<Vec<_>>();
                    errors.push(FieldError::invalid_printed(
                        FIELD,
                        &format!("[{}]", all.join(",")),
                        format!(
                            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                        ),
                    ));
                }
            }
        }
    }
    errors
}

/// An owner with its members in the order of the real server's structure.
fn printed_owner(owner: &Value) -> String {
    let members = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let members = members
        .iter()
        .filter_map(|member| Some(format!("{member:?}:{}", owner.get(*member)?)))
        .collect::<Vec<_>>();
    format!("{{{}}}", members.join(","))
}

/// Checks that `metadata` of an update keeps what may not change, after [`inherit`].
pub(crate) fn validate_metadata_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if is_deleting(old) {
        let before = finalizers(old);
        let added: Vec<&str> = finalizers(new)
            .into_iter()
            .filter(|finalizer| !before.contains(finalizer))
            .collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
            errors.push(FieldError::forbidden(
                "metadata.finalizers",
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            ));
        }
    }
    for field in ["uid", "creationTimestamp", "deletionTimestamp"] {
        let value = meta(new, field);
        if value != meta(old, field) {
            errors.push(FieldError::invalid(
                format!("metadata.{field}"),
                value,
                "field is immutable",
            ));
        }
    }
    if let Some(metadata) = new.get("metadata").and_then(Value::as_object) {
        errors.extend(labels_and_annotations(metadata));
        errors.extend(owner_problems(metadata));
    }
    errors
}

/// Whether a finalizer is neither the system's nor somebody's.
pub(crate) fn is_unqualified(finalizer: &str) -> bool {
    !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
}

/// Finalizers that are neither the system's nor somebody's (kubernetes `pkg/apis/core/validation`).
pub(crate) fn unqualified_finalizers(object: &Value) -> Vec<FieldError> {
    finalizers(object)
        .into_iter()
        .enumerate()
        .filter(|(_, name)| is_unqualified(name))
        .map(|(index, name)| {
            FieldError::invalid(
                format!("metadata.finalizers[{index}]"),
                name,
                "name is neither a standard finalizer name nor is it fully qualified",
            )
        })
        .collect()
}

/// The members of `metadata`.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Members of `metadata` that no object has.
pub(crate) fn unknown_metadata(object: &Value) -> impl Iterator<Item = &str> {
    let metadata = object.get("metadata").and_then(Value::as_object);
    metadata
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .filter(|name| !METADATA.contains(name))
}

/// Removes members of `metadata` that no object has, and returns their names.
pub(crate) fn drop_unknown_metadata(metadata: &mut Map<String, Value>) -> Vec<String> {
    let unknown = metadata
        .keys()
        .filter(|name| !METADATA.contains(&name.as_str()))
        .cloned()
        .collect::<Vec<_>>();
    for name in &unknown {
        metadata.remove(name);
    }
    unknown
}

/// Makes of nulls among labels and annotations what Go reads in them.
pub(crate) fn fill_nulls(metadata: &mut Map<String, Value>) {
    for part in ["labels", "annotations"] {
        let texts = metadata.get_mut(part).and_then(Value::as_object_mut);
        for value in texts.into_iter().flat_map(Map::values_mut) {
            if value.is_null() {
                *value = json!("");
            }
        }
    }
}

/// Fills in what an update may leave out, and resets what a client cannot set.
pub(crate) fn inherit(new: &mut Value, old: &Value) {
    for field in ["uid", "deletionTimestamp"] {
        if meta(new, field).is_empty() {
            carry(new, old, field);
        }
    }
    for field in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ] {
        carry(new, old, field);
    }
    let metadata = metadata_mut(new);
    metadata.remove("selfLink");
    drop_empty(metadata);
}

/// Removes empty collections and nulls, which typed clients send and the real server does not keep.
pub(crate) fn drop_empty(metadata: &mut Map<String, Value>) {
    metadata.retain(|key, value| match value {
        Value::Null => false,
        // No managers at all is a wish: to forget them.
        Value::Array(list) => !list.is_empty() || key == "managedFields",
        Value::Object(map) => !(map.is_empty() && matches!(key.as_str(), "labels" | "annotations")),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_and_differ() {
        let long = "a".repeat(100);
        assert_eq!(generate_name(&long).len(), 63);
        assert_ne!(generate_name("x-"), generate_name("x-"));
        assert!(generate_name("x-").starts_with("x-"));
        let _ = generate_name(&"é".repeat(60));
    }

    #[test]
    fn metadata_is_checked() {
        let check = |metadata: Value, expected: &[&str]| {
            let errors =
                validate_metadata(&json!({"metadata": metadata}), true, NameRule::Subdomain);
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, expected, "{errors:?}");
        };
        check(json!({"name": "a.b-c", "namespace": "n"}), &[]);
        check(json!({"namespace": "n"}), &["metadata.name"]);
        check(json!({"name": "A", "namespace": "n"}), &["metadata.name"]);
        check(json!({"name": "a"}), &["metadata.namespace"]);
        check(
            json!({"name": "a", "namespace": "n", "labels": {"a b": "c"}}),
            &["metadata.labels"],
        );
        check(
            json!({"name": "a", "namespace": "n", "labels": {"a": "c/d"}}),
            &["metadata.labels"],
        );
        check(
            json!({"name": "a", "namespace": "n", "annotations": {"A/b": "any thing"}}),
            &[],
        );
        check(
            json!({"name": "a", "namespace": "n", "finalizers": ["a/b/c"]}),
            &["metadata.finalizers"],
        );
    }
}
