//! Objects as `meta.k8s.io/v1` Table and PartialObjectMetadata.
//!
//! Owns columns, cells and row conditions of one object. The list around them,
//! with its revision and continue token, belongs to `rest` and `watch`.
//!
//! Invariant: a row has exactly as many cells as [`columns`] has entries.

mod builtin;
mod duration;
mod jsonpath;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use jsonpath::JsonPath;

use crate::registry::Resource;
use builtin::Printer;

/// A column of a built-in kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: i32,
}

/// What each row carries of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata, as `PartialObjectMetadata`.
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// The value of the query parameter `includeObject`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// Whether the kind prints columns of its own.
pub(crate) fn has_printer(resource: &Resource) -> bool {
    // These print columns, but begin as those that do not.
    let begins_bare = matches!(
        (&*resource.group, &*resource.plural),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles")
            | ("storage.k8s.io", "csistoragecapacities")
            | ("apiextensions.k8s.io", "customresourcedefinitions")
    );
    let prints = builtin::printer(&resource.group, &resource.plural).is_some();
    resource.custom || (prints && !begins_bare)
}

/// The `columnDefinitions` of a resource.
pub(crate) fn columns(resource: &Resource) -> Value {
    let definition = |name: &str, kind: &str, format: &str, description: &str, priority: i32| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    if resource.custom {
        let name = definition("Name", "string", "name", "", 0);
        let rest = resource.columns.iter().map(|column| {
            definition(
                &column.name,
                &column.kind,
                &column.format,
                &column.description,
                column.priority,
            )
        });
        return Value::Array(std::iter::once(name).chain(rest).collect());
    }
    match builtin::printer(&resource.group, &resource.plural) {
        Some(printer) => printer_columns(printer),
        None => json!([
            definition("Name", "string", "name", "", 0),
            definition("Created At", "date", "", "", 0),
        ]),
    }
}

fn printer_columns(printer: Printer) -> Value {
    printer
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "description": "",
                "priority": column.priority,
            })
        })
        .collect()
}

/// The `columnDefinitions` of a Scale; `None` for any other kind.
pub(crate) fn special_columns(object: &Value) -> Option<Value> {
    special(object).map(printer_columns)
}

fn special(object: &Value) -> Option<Printer> {
    (object["kind"] == "Scale").then_some(builtin::SCALE)
}

/// The row of one object.
pub(crate) fn row(
    resource: &Resource,
    object: Value,
    include: IncludeObject,
    now: Timestamp,
) -> Value {
    let cells = cells(
        resource,
        &Row {
            object: &object,
            now,
        },
    );
    let conditions = conditions(resource, &object);
    let mut row = json!({"cells": cells});
    if let Some(conditions) = conditions {
        row["conditions"] = conditions;
    }
    row["object"] = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial_metadata(object),
        IncludeObject::Object => object,
    };
    row
}

fn cells(resource: &Resource, row: &Row<'_>) -> Vec<Value> {
    if resource.custom {
        let rest = resource
            .columns
            .iter()
            .map(|column| custom_cell(&column.kind, &column.path, row));
        return std::iter::once(row.name()).chain(rest).collect();
    }
    let printer =
        special(row.object).or_else(|| builtin::printer(&resource.group, &resource.plural));
    match printer {
        Some(printer) => (printer.cells)(row),
        None => vec![row.name(), row.text("/metadata/creationTimestamp")],
    }
}

/// A cell of a custom resource (apiextensions-apiserver `tableconvertor.go`, v0.36): absent values are null, a
/// `string` column shows any value, the others only values of their type.
fn custom_cell(kind: &str, path: &str, row: &Row<'_>) -> Value {
    let Ok(path) = JsonPath::parse(path) else {
        return Value::Null;
    };
    let Some(value) = path.first(row.object) else {
        return Value::Null;
    };
    match (kind, value) {
        ("string", Value::String(_)) => value.clone(),
        ("string", Value::Null) => json!("<no value>"),
        ("string", other) => Value::String(other.to_string()),
        ("integer", Value::Number(number)) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64))
            .map_or(Value::Null, Value::from),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(time)) => Value::String(row.since(Some(time))),
        _ => Value::Null,
    }
}

/// Pods that are done say so, so that clients may leave them out.
fn conditions(resource: &Resource, object: &Value) -> Option<Value> {
    if !(resource.group.is_empty() && &*resource.plural == "pods") {
        return None;
    }
    let message = match object["status"]["phase"].as_str()? {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    let phase = &object["status"]["phase"];
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// The object's metadata alone, as `PartialObjectMetadata`.
pub(crate) fn partial_metadata(mut object: Value) -> Value {
    let mut metadata = object
        .get_mut("metadata")
        .map_or_else(|| json!({}), Value::take);
    // Tables are made of another form of DaemonSets, where this is no annotation.
    if object["kind"] == "DaemonSet"
        && let Some(members) = metadata.as_object_mut()
        && let Some(annotations) = members
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
    {
        annotations.remove(crate::builtin::TEMPLATE_GENERATION);
        if annotations.is_empty() {
            members.remove("annotations");
        }
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// One object on its way into a table, with the ways cells look into it.
#[derive(Debug)]
pub(crate) struct Row<'o> {
    object: &'o Value,
    now: Timestamp,
}

impl<'o> Row<'o> {
    /// The value at a JSON pointer, unless it is null.
    fn at(&self, path: &str) -> Option<&'o Value> {
        self.object.pointer(path).filter(|value| !value.is_null())
    }

    /// The text at a path, unless it is empty.
    fn string(&self, path: &str) -> Option<&'o str> {
        self.at(path)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    fn text_or(&self, path: &str, other: &str) -> String {
        self.string(path).unwrap_or(other).to_owned()
    }

    fn text(&self, path: &str) -> Value {
        json!(self.string(path).unwrap_or_default())
    }

    fn integer(&self, path: &str) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }

    fn number(&self, path: &str) -> Value {
        json!(self.integer(path).unwrap_or(0))
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path) == Some(&Value::Bool(true))
    }

    fn items(&self, path: &str) -> impl Iterator<Item = &'o Value> + use<'o> {
        self.at(path)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn members(&self, path: &str) -> impl Iterator<Item = (&'o String, &'o Value)> + use<'o> {
        self.at(path)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn strings(&self, path: &str) -> Vec<String> {
        self.items(path)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// How many members the object at a path has.
    fn size(&self, path: &str) -> usize {
        self.members(path).count()
    }

    /// The status of a condition.
    fn condition(&self, kind: &str) -> Option<&'o str> {
        self.items("/status/conditions")
            .find(|condition| condition["type"] == kind)
            .and_then(|condition| condition["status"].as_str())
    }

    fn name(&self) -> Value {
        self.text("/metadata/name")
    }

    fn since(&self, time: Option<&str>) -> String {
        duration::since(time, self.now)
    }

    fn age(&self) -> Value {
        json!(self.since(self.string("/metadata/creationTimestamp")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::{self, Plain};

    fn builtin(group: &str, plural: &str, kind: &str) -> Resource {
        Resource::new(group, "v1", plural, kind, true, Arc::new(Plain))
    }

    fn check(resource: &Resource, object: Value, expected: &Value) {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let row = row(resource, object, IncludeObject::None, now);
        assert_eq!(row["cells"], *expected);
        assert_eq!(
            row["cells"].as_array().unwrap().len(),
            columns(resource).as_array().unwrap().len()
        );
    }

    #[test]
    fn pods_show_the_state_of_their_containers() {
        let pods = builtin("", "pods", "Pod");
        let pod = |status: Value| {
            json!({
                "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"},
                "status": status,
            })
        };
        let expected = |ready: &str, reason: &str, restarts: &str| {
            json!([
                "p", ready, reason, restarts, "60m", "<none>", "n", "<none>", "<none>"
            ])
        };
        check(
            &pods,
            pod(json!({"phase": "Pending"})),
            &expected("0/2", "Pending", "0"),
        );
        let running = json!({"phase": "Running", "containerStatuses": [
            {"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}},
            {"name": "b", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
             "lastState": {"terminated": {"finishedAt": "2026-01-01T00:59:00Z", "exitCode": 1}}},
        ]});
        check(
            &pods,
            pod(running),
            &expected("1/2", "CrashLoopBackOff", "3 (60s ago)"),
        );
    }

    #[test]
    fn every_builtin_row_fits_its_columns() {
        for (group, plural) in [
            ("", "nodes"),
            ("", "events"),
            ("", "services"),
            ("", "endpoints"),
            ("", "persistentvolumes"),
            ("", "persistentvolumeclaims"),
            ("", "resourcequotas"),
            ("", "secrets"),
            ("", "limitranges"),
            ("apps", "deployments"),
            ("apps", "daemonsets"),
            ("apps", "statefulsets"),
            ("apps", "replicasets"),
            ("apps", "controllerrevisions"),
            ("batch", "jobs"),
            ("batch", "cronjobs"),
            ("autoscaling", "horizontalpodautoscalers"),
            ("policy", "poddisruptionbudgets"),
            ("networking.k8s.io", "ingresses"),
            ("networking.k8s.io", "ipaddresses"),
            ("discovery.k8s.io", "endpointslices"),
            ("storage.k8s.io", "storageclasses"),
            ("storage.k8s.io", "csidrivers"),
            ("storage.k8s.io", "volumeattachments"),
            ("certificates.k8s.io", "certificatesigningrequests"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            (
                "flowcontrol.apiserver.k8s.io",
                "prioritylevelconfigurations",
            ),
            (
                "admissionregistration.k8s.io",
                "validatingadmissionpolicybindings",
            ),
            ("apiregistration.k8s.io", "apiservices"),
        ] {
            let resource = builtin(group, plural, "Kind");
            let object =
                json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}});
            let row = row(
                &resource,
                object,
                IncludeObject::None,
                Timestamp::UNIX_EPOCH,
            );
            assert_eq!(
                row["cells"].as_array().unwrap().len(),
                columns(&resource).as_array().unwrap().len(),
                "{plural}"
            );
        }
    }

    #[test]
    fn columns_of_custom_resources_follow_their_paths() {
        let mut resource = builtin("g.io", "things", "Thing");
        resource.custom = true;
        let column = |kind: &str, path: &str| registry::Column {
            name: path.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            path: path.to_owned(),
        };
        resource.columns = vec![
            column("string", ".spec.size"),
            column("integer", ".spec.size"),
            column("boolean", ".spec.size"),
            column("date", ".metadata.creationTimestamp"),
            column("string", ".spec.nothing"),
        ];
        let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"size": 4}});
        check(&resource, object, &json!(["x", "4", 4, null, "60m", null]));
    }
}
