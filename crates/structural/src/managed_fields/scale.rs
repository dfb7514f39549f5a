//! Ownership of replicas, seen from an object and from its Scale.
//!
//! A write to `scale` is tracked on the Scale and carried over to the object. The rules, oddities included, are those of
//! apimachinery `util/managedfields/scalehandler.go` (v0.36): an updater whose replicas pass through a Scale loses its
//! time, and may stand in the list twice until the next write.

use serde_json::Value;

use super::entries::{Entries, Entry, Operation};
use crate::field_set::{FieldSet, PathElement};

/// The version of a Scale.
pub const API_VERSION: &str = "autoscaling/v1";
const REPLICAS: &[&str] = &["spec", "replicas"];

fn path_of(names: &[&str]) -> Vec<PathElement> {
    names.iter().copied().map(PathElement::field).collect()
}

/// `managedFields` of the Scale of an object, whose replicas stand at `replicas`.
///
/// # Errors
///
/// When those of the object cannot be read.
pub fn of_parent(
    parent: Option<&Value>,
    api_version: &str,
    replicas: &[&str],
) -> Result<Option<Value>, String> {
    let path = path_of(replicas);
    let entries = Entries::parse(parent.unwrap_or(&Value::Null))?;
    let owners = entries
        .0
        .into_iter()
        .filter(|entry| entry.api_version == api_version && entry.fields.contains(&path));
    let owners = owners.map(|entry| Entry {
        api_version: API_VERSION.to_owned(),
        fields: FieldSet::of_fields(&[REPLICAS]),
        ..entry
    });
    Ok(Entries(owners.collect()).to_value())
}

/// `managedFields` of the object after a write to its Scale, which has those of `scale` now.
///
/// # Errors
///
/// When one of them cannot be read.
pub fn to_parent(
    parent: Option<&Value>,
    scale: Option<&Value>,
    api_version: &str,
    replicas: &[&str],
) -> Result<Option<Value>, String> {
    let path = path_of(replicas);
    let only = FieldSet::of_fields(&[replicas]);
    let parent = Entries::parse(parent.unwrap_or(&Value::Null))?;
    let mut scale = Entries::parse(scale.unwrap_or(&Value::Null))?.0;
    let mut merged = Vec::new();
    for mut entry in parent.0 {
        if entry.api_version != api_version || !entry.fields.contains(&path) {
            merged.push(entry);
            continue;
        }
        // Only an applier is the same one in both versions.
        let same = scale.iter().position(|other| {
            entry.operation == Operation::Apply
                && other.operation == Operation::Apply
                && other.manager == entry.manager
                && other.subresource == entry.subresource
        });
        match same {
            Some(place) => {
                scale.remove(place);
                merged.push(entry);
            }
            None => {
                entry.fields = entry.fields.difference(&only);
                if !entry.fields.is_empty() {
                    merged.push(entry);
                }
            }
        }
    }
    let owners = scale
        .into_iter()
        .filter(|entry| entry.fields.contains(&path_of(REPLICAS)));
    merged.extend(owners.map(|entry| Entry {
        api_version: api_version.to_owned(),
        time: None,
        fields: only.clone(),
        ..entry
    }));
    Ok(Entries(merged).to_value())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, version: &str, fields: &Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": fields, "time": "2026-01-01T00:00:00Z",
        })
    }

    #[test]
    fn a_stolen_field_leaves_the_rest() {
        let both = json!({"f:spec": {"f:paused": {}, "f:replicas": {}}});
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let parent = json!([
            entry("a", "Apply", "apps/v1", &both),
            entry("b", "Update", "apps/v1", &both)
        ]);
        let path = ["spec", "replicas"];
        let scale = of_parent(Some(&parent), "apps/v1", &path).unwrap();
        assert_eq!(
            scale,
            Some(json!([
                entry("a", "Apply", API_VERSION, &replicas),
                entry("b", "Update", API_VERSION, &replicas),
            ]))
        );
        let taken = json!([entry("c", "Update", API_VERSION, &replicas)]);
        let after = to_parent(Some(&parent), Some(&taken), "apps/v1", &path).unwrap();
        let mut without_time = entry("c", "Update", "apps/v1", &replicas);
        without_time.as_object_mut().unwrap().remove("time");
        let rest = json!({"f:spec": {"f:paused": {}}});
        assert_eq!(
            after,
            Some(json!([
                entry("a", "Apply", "apps/v1", &rest),
                without_time,
                entry("b", "Update", "apps/v1", &rest),
            ]))
        );
    }
}
