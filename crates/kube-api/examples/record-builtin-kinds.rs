//! Records the facts of the built-in kinds from a running kube-apiserver into `data/`.
//!
//! usage: `cargo run -p drover-kube-api --example record-builtin-kinds -- KUBECONFIG`
//!
//! Writes three files, which `builtin` reads:
//! - `kinds.jsonl`: what discovery says, one group version a line, in the server's order;
//! - `schemas.json.gz`: the component schemas of all OpenAPI v3 documents, without descriptions;
//! - `bootstrap.json.gz`: the roles, bindings, priority classes and flow rules that a fresh server makes.
//!
//! The server should be fresh and run without a controller manager, so that nothing else is recorded.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let kubeconfig = std::env::args()
        .nth(1)
        .ok_or("usage: record-builtin-kinds KUBECONFIG")?;
    let server = Server { kubeconfig };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("kinds.jsonl"), kinds(&server)?)?;
    std::fs::write(
        folder.join("schemas.json.gz"),
        compress(&schemas(&server)?)?,
    )?;
    std::fs::write(
        folder.join("bootstrap.json.gz"),
        compress(&bootstrap(&server)?)?,
    )?;
    Ok(())
}

struct Server {
    kubeconfig: String,
}

impl Server {
    fn get(&self, path: &str) -> Result<Value, Failure> {
        let output = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig, "get", "--raw", path])
            .output()?;
        if !output.status.success() {
            return Err(format!("GET {path}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn kinds(server: &Server) -> Result<String, Failure> {
    let mut versions = vec![(String::new(), "v1".to_owned(), "/api/v1".to_owned())];
    let groups = server.get("/apis")?;
    for group in list(&groups, "groups") {
        for version in list(group, "versions") {
            let path = format!("/apis/{}", text(version, "groupVersion"));
            versions.push((
                text(group, "name").to_owned(),
                text(version, "version").to_owned(),
                path,
            ));
        }
    }
    let mut lines = String::new();
    for (group, version, path) in versions {
        let answer = server.get(&path)?;
        let mut resources = Vec::new();
        let mut subresources: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for resource in list(&answer, "resources") {
            let mut facts = resource
                .as_object()
                .cloned()
                .ok_or("a resource is no object")?;
            if let Some((parent, name)) = text(resource, "name").split_once('/') {
                facts.insert("name".to_owned(), json!(name));
                facts.remove("namespaced");
                facts.remove("singularName");
                subresources
                    .entry(parent.to_owned())
                    .or_default()
                    .push(Value::Object(facts));
            } else {
                resources.push(facts);
            }
        }
        for resource in &mut resources {
            let name = resource["name"].as_str().unwrap_or_default().to_owned();
            if let Some(parts) = subresources.remove(&name) {
                resource.insert("subresources".to_owned(), Value::Array(parts));
            }
        }
        // What has no resource of its own, as `namespaces/finalize` would without namespaces.
        for (name, parts) in subresources {
            resources.push(Map::from_iter([
                ("name".to_owned(), json!(name)),
                ("subresources".to_owned(), Value::Array(parts)),
            ]));
        }
        lines.push_str(
            &json!({"group": group, "version": version, "resources": resources}).to_string(),
        );
        lines.push('\n');
    }
    Ok(lines)
}

fn schemas(server: &Server) -> Result<Value, Failure> {
    let mut all = Map::new();
    let root = server.get("/openapi/v3")?;
    // The core document first: where documents differ (the lists of kinds of DeleteOptions), it is the fullest.
    let mut paths = root["paths"]
        .as_object()
        .ok_or("/openapi/v3 has no paths")?
        .keys()
        .collect::<Vec<_>>();
    paths.sort_by_key(|path| *path != "api/v1");
    for path in paths {
        let document = server.get(&format!("/openapi/v3/{path}"))?;
        for (name, schema) in document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
        {
            all.entry(name)
                .or_insert_with(|| without_descriptions(schema));
        }
    }
    Ok(Value::Object(all))
}

/// The schema without its sentences. A property that is called `description` is an object and stays.
fn without_descriptions(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => members
            .iter()
            .filter(|(name, value)| !(*name == "description" && value.is_string()))
            .map(|(name, value)| (name.clone(), without_descriptions(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_descriptions).collect(),
        other => other.clone(),
    }
}

fn bootstrap(server: &Server) -> Result<Value, Failure> {
    let mut objects = Vec::new();
    for path in [
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/apis/rbac.authorization.k8s.io/v1/roles",
        "/apis/rbac.authorization.k8s.io/v1/rolebindings",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
    ] {
        let answer = server.get(path)?;
        let kind = text(&answer, "kind").trim_end_matches("List").to_owned();
        for item in list(&answer, "items") {
            let mut object = item.as_object().cloned().ok_or("an item is no object")?;
            object.insert("apiVersion".to_owned(), answer["apiVersion"].clone());
            object.insert("kind".to_owned(), json!(kind));
            object.remove("status");
            object.remove("description");
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|name, _| {
                    ["name", "namespace", "labels", "annotations"].contains(&name.as_str())
                });
            }
            objects.push(Value::Object(object));
        }
    }
    Ok(Value::Array(objects))
}

fn compress(value: &Value) -> Result<Vec<u8>, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(serde_json::to_string(value)?.as_bytes())?;
    Ok(encoder.finish()?)
}
