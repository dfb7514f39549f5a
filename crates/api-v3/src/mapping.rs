//! Kubernetes objects to API resources, and back.
//!
//! Pure. Owns the shape of a resource's fields: what is lifted out of `spec`
//! and `status`, what a reference is called, what an absent field shows, the
//! `...TS` beside dates. Links, actions and rights are added by `resource`.
//!
//! Invariant: nothing leaves that is not declared, so an object's unknown
//! fields (and its resourceVersion, finalizers, managed fields) never do.

use std::borrow::Cow;

use drover_types::names::CREATOR_ANNOTATION;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::registry::Registry;
use crate::schema::{Base, Field, FieldType, Type};

/// Whether fields that are shown once, in answers to POST, are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reveal {
    No,
    Once,
}

/// Name of an object.
pub(crate) fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Namespace of an object.
pub(crate) fn namespace(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .filter(|namespace| !namespace.is_empty())
}

/// The identifier a client sees: the name, with the namespace before it where there is one.
pub(crate) fn id(kind: &Type, object: &Value) -> String {
    match namespace(object) {
        Some(namespace) if kind.has_compound_id() => format!("{namespace}:{}", name(object)),
        _ => name(object).to_owned(),
    }
}

/// The fields of a resource.
pub(crate) fn to_resource(
    registry: &Registry,
    kind: &Type,
    object: &Value,
    reveal: Reveal,
) -> Map<String, Value> {
    let mut resource = Map::new();
    resource.insert("id".to_owned(), json!(id(kind, object)));
    resource.insert("type".to_owned(), json!(kind.id));
    resource.insert("baseType".to_owned(), json!(kind.id));
    for field in &kind.fields {
        if field.name == "id" {
            continue;
        }
        let found = lookup(object, &field.path);
        show(registry, kind.base, &mut resource, field, found, reveal);
    }
    if let Some(creator) = object
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(CREATOR_ANNOTATION))
    {
        resource.insert("creatorId".to_owned(), creator.clone());
        if let Some(annotations) = resource
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(CREATOR_ANNOTATION);
        }
    }
    resource
}

/// Puts one field into a resource: its value, or what an absent one shows.
fn show(
    registry: &Registry,
    base: Base,
    into: &mut Map<String, Value>,
    field: &Field,
    found: Option<&Value>,
    reveal: Reveal,
) {
    if field.kind == FieldType::Password || (field.write_only && reveal == Reveal::No) {
        return;
    }
    match found {
        Some(value) => {
            if field.kind == FieldType::Date
                && let Some(stamp) = value
                    .as_str()
                    .and_then(|text| text.parse::<Timestamp>().ok())
            {
                into.insert(format!("{}TS", field.name), json!(stamp.as_millisecond()));
            }
            into.insert(
                field.name.to_owned(),
                nested(registry, &field.kind, value, Some(base)),
            );
        }
        None => match (&field.kind, &field.default) {
            (FieldType::Reference(_), _) => {
                into.insert(field.name.to_owned(), Value::Null);
            }
            (_, Some(default)) => {
                into.insert(field.name.to_owned(), default.clone());
            }
            _ => {}
        },
    }
}

fn lookup<'a>(object: &'a Value, path: &[Cow<'static, str>]) -> Option<&'a Value> {
    if path.is_empty() {
        return None;
    }
    path.iter()
        .try_fold(object, |value, step| value.get(step.as_ref()))
}

/// `base` is the part of the API that marks of nested types name; none: they carry no marks.
fn nested(registry: &Registry, kind: &FieldType, value: &Value, base: Option<Base>) -> Value {
    match (kind, value) {
        (FieldType::Array(inner), Value::Array(items)) => Value::Array(
            items
                .iter()
                .map(|item| nested(registry, inner, item, base))
                .collect(),
        ),
        (FieldType::Map(inner), Value::Object(entries)) => Value::Object(
            entries
                .iter()
                .map(|(key, entry)| (key.clone(), nested(registry, inner, entry, None)))
                .collect(),
        ),
        (FieldType::Part(id), Value::Object(_)) => match registry.get(id) {
            None => value.clone(),
            Some(part) => {
                let mut shown = Map::new();
                for field in &part.fields {
                    show(
                        registry,
                        base.unwrap_or(part.base),
                        &mut shown,
                        field,
                        lookup(value, &field.path),
                        Reveal::No,
                    );
                }
                if let Some(base) = base
                    && part.marked
                    && !shown.contains_key("type")
                {
                    let mark = format!("{}/schemas/{}", base.path(), part.id);
                    shown.insert("type".to_owned(), json!(mark));
                }
                Value::Object(shown)
            }
        },
        _ => value.clone(),
    }
}

/// How values that are already there are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Fields not sent stay.
    Keep,
    /// Updatable fields not sent are cleared (`_replace=true`).
    Clear,
}

/// Writes validated fields into an object.
pub(crate) fn apply(
    registry: &Registry,
    kind: &Type,
    object: &mut Value,
    fields: &Map<String, Value>,
    merge: Merge,
) {
    for field in &kind.fields {
        if field.path.is_empty() || matches!(field.name, "annotations" | "labels" | "id") {
            continue;
        }
        match fields.get(field.name) {
            Some(value) => {
                let current = lookup(object, &field.path);
                let value = stored(registry, &field.kind, current, value);
                place(object, &field.path, value);
            }
            None if merge == Merge::Clear && field.update => {
                place(object, &field.path, Value::Null)
            }
            None => {}
        }
    }
    for name in ["annotations", "labels"] {
        let Some(field) = kind.field(name) else {
            continue;
        };
        match fields.get(name) {
            Some(sent) => {
                let current = lookup(object, &field.path)
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                let merged = merge_metadata(&current, sent.as_object());
                place(object, &field.path, Value::Object(merged));
            }
            None if merge == Merge::Clear => {
                let current = lookup(object, &field.path)
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                place(
                    object,
                    &field.path,
                    Value::Object(merge_metadata(&current, None)),
                );
            }
            None => {}
        }
    }
}

/// Annotations `field.cattle.io/...` that resources show as fields (reference section 2.3). Clients do not see them among
/// the annotations, or not what they hold, so that leaving them out there says nothing about them.
const AS_FIELDS: [&str; 13] = [
    "creatorId",
    "ports",
    "description",
    "projectId",
    "resourceQuota",
    "containerDefaultResourceLimit",
    "publicEndpoints",
    "workloadMetrics",
    "targetWorkloadIds",
    "targetDnsRecordIds",
    "ipAddresses",
    "displayName",
    "ingressState",
];

/// A sent map of labels or annotations replaces the old one, but entries of the system stay as they are
/// (reference section 1.6).
pub(crate) fn merge_metadata(
    current: &Map<String, Value>,
    sent: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let protected = |key: &str| match key.strip_prefix("field.cattle.io/") {
        Some(field) => AS_FIELDS.contains(&field),
        None => key.contains("cattle.io/"),
    };
    let kept = current.iter().filter(|(key, _)| protected(key));
    let new = sent
        .into_iter()
        .flatten()
        .filter(|(key, value)| !protected(key) && !value.is_null());
    kept.chain(new)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A resource's value as it is stored: nested types lose their mark, references get their stored names; what a nested
/// type holds and the client did not send stays.
fn stored(registry: &Registry, kind: &FieldType, current: Option<&Value>, value: &Value) -> Value {
    match (kind, value) {
        (FieldType::Array(inner), Value::Array(items)) => Value::Array(
            items
                .iter()
                .map(|item| stored(registry, inner, None, item))
                .collect(),
        ),
        (FieldType::Map(inner), Value::Object(entries)) => Value::Object(
            entries
                .iter()
                .map(|(key, entry)| (key.clone(), stored(registry, inner, None, entry)))
                .collect(),
        ),
        (FieldType::Part(id), Value::Object(entries)) => match registry.get(id) {
            None => value.clone(),
            Some(part) => {
                let mut object = current
                    .filter(|current| current.is_object())
                    .cloned()
                    .unwrap_or_else(|| json!({}));
                for field in &part.fields {
                    if let Some(entry) = entries.get(field.name) {
                        let entry =
                            stored(registry, &field.kind, lookup(&object, &field.path), entry);
                        place(&mut object, &field.path, entry);
                    }
                }
                object
            }
        },
        _ => value.clone(),
    }
}

/// Sets the value at `path`, making objects on the way; null removes.
pub(crate) fn place(object: &mut Value, path: &[Cow<'static, str>], value: Value) {
    let Some((last, steps)) = path.split_last() else {
        return;
    };
    let mut at = object;
    for step in steps {
        if !at.is_object() {
            if value.is_null() {
                return;
            }
            *at = json!({});
        }
        let Value::Object(entries) = at else { return };
        if value.is_null() && !entries.contains_key(step.as_ref()) {
            return;
        }
        at = entries.entry(step.as_ref()).or_insert_with(|| json!({}));
    }
    if !at.is_object() {
        *at = json!({});
    }
    if let Value::Object(entries) = at {
        if value.is_null() {
            entries.remove(last.as_ref());
        } else {
            entries.insert(last.as_ref().to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: &str, object: &Value) -> Map<String, Value> {
        let registry = Registry::new();
        to_resource(&registry, registry.get(kind).unwrap(), object, Reveal::No)
    }

    #[test]
    fn spec_and_status_are_lifted_and_references_renamed() {
        let shown = resource(
            "clusterRegistrationToken",
            &json!({
                "metadata": {"name": "default-token", "namespace": "c-1", "uid": "u", "creationTimestamp": "2026-11-20T21:21:58Z", "resourceVersion": "7", "finalizers": ["x"]},
                "spec": {"clusterName": "c-1"},
                "status": {"tokenSecretName": "crt-token-default-token", "unknown": 1},
            }),
        );
        assert_eq!(
            Value::Object(shown),
            json!({
                "id": "c-1:default-token", "type": "clusterRegistrationToken", "baseType": "clusterRegistrationToken",
                "name": "default-token", "namespaceId": null, "clusterId": "c-1", "creatorId": null, "uuid": "u",
                "created": "2026-11-20T21:21:58Z", "createdTS": 1_795_209_718_000_i64,
                "tokenSecretName": "crt-token-default-token",
            })
        );
    }

    #[test]
    fn nested_types_say_what_they_are_and_show_their_defaults() {
        let shown = resource(
            "cluster",
            &json!({
                "metadata": {"name": "c-1", "annotations": {"field.cattle.io/creatorId": "user-1"}},
                "spec": {"displayName": "one"},
                "status": {
                    "capabilities": {"loadBalancerCapabilities": {}},
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }),
        );
        assert_eq!(shown["name"], json!("one"));
        assert_eq!(shown["creatorId"], json!("user-1"));
        assert_eq!(shown["annotations"], json!({}));
        assert_eq!(shown["dockerRootDir"], json!("/var/lib/docker"));
        assert_eq!(
            shown["capabilities"],
            json!({
                "loadBalancerCapabilities": {"healthCheckSupported": false, "type": "/v3/schemas/loadBalancerCapabilities"},
                "nodePoolScalingSupported": false,
                "type": "/v3/schemas/capabilities",
            })
        );
        assert_eq!(
            shown["conditions"],
            json!([{"type": "Ready", "status": "True"}])
        );
    }

    #[test]
    fn system_labels_survive_whatever_is_sent() {
        let registry = Registry::new();
        let kind = registry.get("cluster").unwrap();
        let mut object = json!({"metadata": {
            "labels": {"cattle.io/creator": "norman", "team": "a"},
            "annotations": {
                "field.cattle.io/creatorId": "user-1", "field.cattle.io/projectId": "c-1:p-1", "field.cattle.io/other": "x", "mine": "1",
            },
        }, "spec": {"displayName": "one", "localClusterAuthEndpoint": {"enabled": true, "fqdn": "f"}}});
        let sent = json!({
            "labels": {"team": "b", "authz.management.cattle.io/x": "no"},
            "annotations": {
                "field.cattle.io/creatorId": "user-2", "field.cattle.io/projectId": "c-1:p-2", "field.cattle.io/mine": "yes",
            },
            "localClusterAuthEndpoint": {"enabled": false},
        });
        apply(
            &registry,
            kind,
            &mut object,
            sent.as_object().unwrap(),
            Merge::Keep,
        );
        assert_eq!(
            object["metadata"]["labels"],
            json!({"cattle.io/creator": "norman", "team": "b"})
        );
        assert_eq!(
            object["metadata"]["annotations"],
            json!({
                "field.cattle.io/creatorId": "user-1", "field.cattle.io/projectId": "c-1:p-1",
                "field.cattle.io/mine": "yes",
            })
        );
        assert_eq!(
            object["spec"]["localClusterAuthEndpoint"],
            json!({"enabled": false, "fqdn": "f"})
        );
        assert_eq!(object["spec"]["displayName"], json!("one"));
        apply(
            &registry,
            kind,
            &mut object,
            sent.as_object().unwrap(),
            Merge::Clear,
        );
        assert_eq!(object["spec"]["displayName"], Value::Null);
    }
}
