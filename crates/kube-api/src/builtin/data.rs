//! The recorded facts in `data/`, unpacked when they are needed.
//!
//! Owns the format of those files. Schemas are parsed once for the process, since they are constants; everything else is
//! read, used and dropped.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use drover_structural::schema::Document;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::go_types::{Field, types};

const KINDS: &str = include_str!("../../data/kinds.jsonl");
const SCHEMAS: &[u8] = include_bytes!("../../data/schemas.json.gz");
const BOOTSTRAP: &[u8] = include_bytes!("../../data/bootstrap.json.gz");

/// One line of `kinds.jsonl`.
#[derive(Debug, Deserialize)]
pub(super) struct VersionFacts {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) resources: Vec<KindFacts>,
}

/// What discovery says of one resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KindFacts {
    pub(super) name: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) singular_name: String,
    #[serde(default)]
    pub(super) namespaced: bool,
    #[serde(default)]
    pub(super) short_names: Vec<String>,
    #[serde(default)]
    pub(super) categories: Vec<String>,
    #[serde(default)]
    pub(super) verbs: Vec<String>,
    #[serde(default)]
    pub(super) subresources: Vec<SubresourceFacts>,
}

/// What discovery says of one subresource.
#[derive(Debug, Deserialize)]
pub(super) struct SubresourceFacts {
    pub(super) name: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) verbs: Vec<String>,
}

/// All group versions in the order of the recorded server.
pub(super) fn kinds() -> Vec<VersionFacts> {
    KINDS
        .lines()
        .map(|line| serde_json::from_str(line).expect("the recorded kinds are JSON lines"))
        .collect()
}

/// The objects a fresh server makes.
pub(super) fn bootstrap_objects() -> Vec<Value> {
    serde_json::from_slice(&unpack(BOOTSTRAP)).expect("the recorded objects are JSON")
}

/// The component schemas of all built-in kinds, as JSON.
pub(crate) fn schema_bytes() -> Vec<u8> {
    unpack(SCHEMAS)
}

/// The component schemas of all built-in kinds, parsed.
pub(crate) fn schema_document() -> &'static Arc<Document> {
    static DOCUMENT: OnceLock<Arc<Document>> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut components: Map<String, Value> =
            serde_json::from_slice(&schema_bytes()).expect("the recorded schemas are JSON");
        for (name, schema) in &mut components {
            require_what_is_written(name, schema);
        }
        Document::from_components(&components)
            .expect("the recorded schemas refer to each other only")
    })
}

/// What is always written is what a published schema requires, but for fields that Go leaves out if they are empty.
fn require_what_is_written(name: &str, schema: &mut Value) {
    let go_name = name.strip_prefix("io.k8s.api.").and_then(|name| {
        let (group, name) = name.split_once('.')?;
        Some(format!("api/{group}/{name}"))
    });
    let known = go_name.and_then(|name| types().get(&name));
    let required = schema.get_mut("required").and_then(Value::as_array_mut);
    if let (Some(known), Some(required)) = (known, required) {
        required.retain(|required| {
            let left_out = |field: &Arc<Field>| field.omit_empty && *required == field.name;
            !known.fields.iter().any(left_out)
        });
    }
}

/// The component of a kind, as `io.k8s.api.apps.v1.Deployment`.
pub(crate) fn component_name(group: &str, version: &str, kind: &str) -> Option<String> {
    let package = match group {
        "" => "io.k8s.api.core".to_owned(),
        "apiextensions.k8s.io" => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned()
        }
        "apiregistration.k8s.io" => "io.k8s.kube-aggregator.pkg.apis.apiregistration".to_owned(),
        other => format!("io.k8s.api.{}", other.split('.').next().unwrap_or(other)),
    };
    let name = format!("{package}.{version}.{kind}");
    schema_document().component(&name).map(|_| name)
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed)
        .read_to_end(&mut bytes)
        .expect("the recorded data is gzip");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_kind_has_a_schema() {
        for version in kinds() {
            for resource in version.resources {
                assert!(
                    component_name(&version.group, &version.version, &resource.kind).is_some(),
                    "{}/{} {}",
                    version.group,
                    version.version,
                    resource.kind
                );
            }
        }
    }
}
