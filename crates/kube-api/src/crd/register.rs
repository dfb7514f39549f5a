//! From a stored definition to the resources of the registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_structural::Schema;
use drover_structural::rules::Rules;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::names;
use crate::registry::{
    Column, Plain, Resource, ScalePaths, StatusOnly, Subresource, version_priority,
};
use crate::rest::Api;
use crate::rest::object::{self, strings};
use crate::table::JsonPath;

fn text<'o>(object: &'o Value, member: &str) -> &'o str {
    object[member].as_str().unwrap_or_default()
}

fn list<'o>(object: &'o Value, member: &str) -> impl Iterator<Item = &'o Value> {
    object[member].as_array().into_iter().flatten()
}

/// Serves an established definition as it is stored; one that is not established is not served.
pub(super) fn register(api: &Arc<Api>, definition: &Value) {
    let (group, plural) = accepted(definition);
    if names::condition(definition, "Established") != Some("True") || plural.is_empty() {
        return;
    }
    let mut versions = list(&definition["spec"], "versions")
        .map(|version| resource(definition, group, version))
        .collect::<Vec<_>>();
    share_schemas(&mut versions);
    let served = |resource: &Resource| {
        list(&definition["spec"], "versions")
            .any(|version| version["served"] == true && version["name"] == *resource.version)
    };
    versions.retain(served);
    api.registry.update(|table| {
        table.remove(group, plural);
        for version in versions {
            table.insert(version);
        }
    });
}

/// Tells each version of the schemas of the others, if they are not alike.
fn share_schemas(versions: &mut [Resource]) {
    let mut documents = versions.iter().map(|resource| &resource.openapi);
    let first = documents.next();
    if documents.all(|document| Some(document) == first) {
        return;
    }
    let schemas = versions
        .iter()
        .filter_map(|resource| Some((resource.api_version(), resource.schema.clone()?)))
        .collect::<BTreeMap<_, _>>();
    let schemas = Arc::new(schemas);
    for resource in versions {
        resource.schemas = Some(Arc::clone(&schemas));
    }
}

/// The group and the accepted plural of a definition, empty as long as it has none.
pub(super) fn accepted(definition: &Value) -> (&str, &str) {
    (
        names::text(definition, "/spec/group"),
        names::text(definition, "/status/acceptedNames/plural"),
    )
}

/// Ends the service of a definition that is gone.
pub(super) fn unregister(api: &Arc<Api>, definition: &Value) {
    let (group, plural) = accepted(definition);
    // A built-in of the same name stays.
    if api
        .registry
        .table()
        .preferred(group, plural)
        .is_some_and(|resource| resource.custom)
    {
        api.registry.update(|table| table.remove(group, plural));
    }
}

fn resource(definition: &Value, group: &str, version: &Value) -> Resource {
    let accepted = &definition["status"]["acceptedNames"];
    let namespaced = definition["spec"]["scope"] == "Namespaced";
    let name = text(version, "name");
    let kind = text(accepted, "kind");
    let mut resource = Resource::new(
        group,
        name,
        text(accepted, "plural"),
        kind,
        namespaced,
        Arc::new(Plain),
    );
    resource.custom = true;
    resource.singular = text(accepted, "singular").into();
    resource.list_kind = text(accepted, "listKind").into();
    resource.short_names = strings(accepted, "shortNames");
    resource.categories = strings(accepted, "categories");
    resource.terminating = object::is_deleting(definition);
    if version["deprecated"] == true {
        resource.deprecation = Some(match version["deprecationWarning"].as_str() {
            Some(given) => given.to_owned(),
            None => deprecation(&definition["spec"], group, name, kind),
        });
    }
    let storage = list(&definition["spec"], "versions").find(|version| version["storage"] == true);
    resource.storage_api_version = format!(
        "{group}/{}",
        storage.map_or(name, |storage| text(storage, "name"))
    )
    .into();

    let schema = version
        .pointer("/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_else(|| json!({"type": "object"}));
    let stored = storage.map_or(&schema, |storage| &storage["schema"]["openAPIV3Schema"]);
    resource.schema_mark = mark(stored);
    resource.schema = match Schema::from_crd(&schema) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(error) => {
            // Validation refuses these; what an older server let in is served as any object.
            tracing::warn!(kind, %error, "schema of a stored definition cannot be read");
            Some(Arc::new(Schema::any()))
        }
    };
    resource.rules = Arc::new(
        resource
            .schema
            .as_deref()
            .map(Rules::compile)
            .unwrap_or_default(),
    );
    resource.openapi = Some(Arc::new(schema));

    if version.pointer("/subresources/status").is_some() {
        resource
            .subresources
            .insert("status".to_owned(), Subresource::Part(Arc::new(StatusOnly)));
    }
    if let Some(scale) = version.pointer("/subresources/scale") {
        let paths = ScalePaths {
            spec_replicas: text(scale, "specReplicasPath").to_owned(),
            status_replicas: text(scale, "statusReplicasPath").to_owned(),
            label_selector: scale["labelSelectorPath"]
                .as_str()
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
        };
        resource
            .subresources
            .insert("scale".to_owned(), Subresource::Scale(paths));
    }
    resource.columns = columns(version);
    resource.selectable_fields = list(version, "selectableFields")
        .map(|field| text(field, "jsonPath").trim_start_matches('.').to_owned())
        .collect();
    resource
}

/// What a schema is told by.
fn mark(schema: &Value) -> u64 {
    let digest = Sha256::digest(schema.to_string().as_bytes());
    let mark = digest
        .iter()
        .take(8)
        .fold(0, |mark, byte| (mark << 8) | u64::from(*byte));
    mark.max(1) >> 1
}

/// What is said of a deprecated version that says nothing itself.
fn deprecation(spec: &Value, group: &str, version: &str, kind: &str) -> String {
    let newer = list(spec, "versions")
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(|other| text(other, "name"))
        .filter(|name| version_priority(name) > version_priority(version))
        .max_by_key(|name| version_priority(name));
    match newer {
        None => format!("{group}/{version} {kind} is deprecated"),
        Some(newer) => {
            format!("{group}/{version} {kind} is deprecated; use {group}/{newer} {kind}")
        }
    }
}

/// The printer columns of a version; the age if it declares none.
fn columns(version: &Value) -> Vec<Column> {
    let declared = list(version, "additionalPrinterColumns")
        .map(|column| {
            let path = text(column, "jsonPath");
            let description = match text(column, "description") {
                "" => format!("Custom resource definition column (in JSONPath format): {path}"),
                given => given.to_owned(),
            };
            Column {
                name: text(column, "name").to_owned(),
                kind: text(column, "type").to_owned(),
                format: text(column, "format").to_owned(),
                description,
                priority: column["priority"]
                    .as_i64()
                    .and_then(|priority| i32::try_from(priority).ok())
                    .unwrap_or(0),
                path: path.to_owned(),
            }
        })
        .collect::<Vec<_>>();
    // The real server falls back to the age if it cannot read one of the paths.
    let readable = |column: &Column| JsonPath::parse(&column.path).is_ok();
    if !declared.is_empty() && declared.iter().all(readable) {
        return declared;
    }
    vec![Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        path: ".metadata.creationTimestamp".to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_becomes_a_resource() {
        let version = json!({
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
            "selectableFields": [{"jsonPath": ".spec.color"}],
        });
        let definition = json!({
            "metadata": {"name": "things.g.io"},
            "spec": {"group": "g.io", "scope": "Namespaced", "versions": [version]},
            "status": {"acceptedNames": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}},
        });
        let resource = resource(&definition, "g.io", &version);
        assert!(resource.custom && resource.namespaced && resource.has_status());
        assert_eq!(resource.subresources.len(), 2);
        assert_eq!(resource.selectable_fields, ["spec.color"]);
        assert_eq!(resource.columns[0].name, "Age");
        assert_ne!(resource.schema_mark, 0);
    }
}
