//! Ingresses: where their paths lead to.
//!
//! A path to a workload leads to a Service made for it ([`services`]). Which workload is meant stands in an annotation,
//! by namespace, name, host, path and port, in the peer's form (rancher/rancher `managementagent/ingress`), so that
//! its agent and we understand each other.

mod joined;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use drover_auth::web::ApiError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{service, workload_id};
use crate::call::Item;
use crate::mapping;
use crate::paths::{at, copy, put};
use joined::joined;

/// Which workloads the paths lead to.
const STATE: &str = "field.cattle.io/ingressState";
/// Hosts below it are made up from addresses; they are told apart by it alone.
const IP_DOMAIN: &str = "sslip.io";

/// A Service that an ingress needs for a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Name of the Service.
    pub(crate) name: String,
    /// Identifiers of the workloads.
    pub(crate) workloads: Vec<String>,
    /// Its port, and the pods'.
    pub(crate) port: i64,
}

fn state(object: &Value) -> BTreeMap<String, String> {
    let text = object["metadata"]["annotations"][STATE]
        .as_str()
        .unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn key(object: &Value, host: &str, path: &str, port: &Value) -> String {
    let host = if host.ends_with(IP_DOMAIN) {
        IP_DOMAIN
    } else {
        host
    };
    let port = port
        .as_str()
        .map_or_else(|| port.to_string(), str::to_owned);
    let namespace = mapping::namespace(object).unwrap_or_default();
    URL_SAFE.encode(format!(
        "{}/{namespace}/{host}/{path}/{port}",
        mapping::name(object)
    ))
}

fn certificate_key(name: &str) -> String {
    URL_SAFE.encode(name)
}

/// Name of the Service for a workload, the same whenever it is worked out.
fn service_name(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    format!("ingress-{}", hex(&digest[..16]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn port_of(backend: &Value) -> Value {
    let port = &backend["service"]["port"];
    match (&port["number"], &port["name"]) {
        (Value::Number(number), _) if *number != 0.into() => json!(number),
        (_, Value::String(name)) => json!(name),
        _ => Value::Null,
    }
}

pub(super) fn view(view: &mut Value) {
    let object = view.clone();
    let known = state(&object);
    let namespace = mapping::namespace(&object).unwrap_or_default();
    if let Some(backend) = at(&object, "spec/defaultBackend") {
        view["spec"]["defaultBackend"] = shown(&object, &known, "", "/", backend);
    }
    let rules = view
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let host = rule["host"].as_str().unwrap_or_default().to_owned();
        let http = rule.get("http").cloned().unwrap_or_default();
        put(rule, "http", Value::Null);
        let Some(paths) = http["paths"].as_array() else {
            continue;
        };
        let paths = paths.iter().map(|path| {
            let at = path["path"].as_str().unwrap_or_default();
            let mut view = shown(&object, &known, &host, at, &path["backend"]);
            for name in ["path", "pathType"] {
                copy(path, name, &mut view, name);
            }
            view
        });
        rule["paths"] = paths.collect();
    }
    let tls = view.pointer_mut("/spec/tls").and_then(Value::as_array_mut);
    for entry in tls.into_iter().flatten() {
        if let Some(name) = entry["secretName"].as_str().map(str::to_owned) {
            put(entry, "secretName", Value::Null);
            let id = known
                .get(&certificate_key(&name))
                .cloned()
                .unwrap_or_else(|| format!("{namespace}:{name}"));
            entry["certificateId"] = json!(id);
        }
    }
    // Recorded: what it holds is shown as fields, and the annotation as an empty one.
    view["metadata"]["annotations"][STATE] = json!("{}");
    service::decode(view);
}

fn shown(
    object: &Value,
    known: &BTreeMap<String, String>,
    host: &str,
    path: &str,
    backend: &Value,
) -> Value {
    let mut view = json!({});
    copy(backend, "resource", &mut view, "resource");
    let port = port_of(backend);
    if !port.is_null() {
        view["service"] = json!({ "port": backend["service"]["port"] });
        view["targetPort"] = port.clone();
    }
    let workloads = known
        .get(&key(object, host, path, &port))
        .filter(|ids| !ids.is_empty());
    let name = at(backend, "service/name").and_then(Value::as_str);
    match (workloads, name) {
        (Some(ids), _) => view["workloadIds"] = json!(ids.split('/').collect::<Vec<_>>()),
        (None, Some(name)) => {
            let namespace = mapping::namespace(object).unwrap_or_default();
            view["serviceId"] = json!(format!("{namespace}:{name}"));
        }
        (None, None) => {}
    }
    view
}

pub(super) fn store(mut view: Value) -> Result<Value, ApiError> {
    service::encode(&mut view);
    let mut known = BTreeMap::new();
    let spec = view["spec"].clone();
    let default = ["defaultBackend", "backend"]
        .into_iter()
        .find_map(|name| spec.get(name).filter(|backend| backend.is_object()));
    let default = default
        .map(|backend| stored(&view, &mut known, "", "/", backend))
        .transpose()?;
    put(&mut view, "spec/backend", Value::Null);
    put(
        &mut view,
        "spec/defaultBackend",
        default.unwrap_or_default(),
    );
    if let Some(rules) = spec["rules"].as_array() {
        let rules: Result<Vec<Value>, ApiError> = joined(rules)
            .iter()
            .map(|rule| rule_stored(&view, &mut known, rule))
            .collect();
        view["spec"]["rules"] = json!(rules?);
    }
    let tls = view.pointer_mut("/spec/tls").and_then(Value::as_array_mut);
    for entry in tls.into_iter().flatten() {
        if let Some(id) = entry["certificateId"].as_str().map(str::to_owned) {
            put(entry, "certificateId", Value::Null);
            let name = id.rsplit(':').next().unwrap_or_default();
            if name != id {
                known.insert(certificate_key(name), id.clone());
            }
            entry["secretName"] = json!(name);
        }
    }
    let text =
        serde_json::to_string(&known).map_err(|error| ApiError::server_error(error.to_string()))?;
    view["metadata"]["annotations"][STATE] = json!(text);
    Ok(view)
}

fn rule_stored(
    object: &Value,
    known: &mut BTreeMap<String, String>,
    rule: &Value,
) -> Result<Value, ApiError> {
    let mut kept = rule.clone();
    put(&mut kept, "paths", Value::Null);
    let Some(paths) = rule["paths"].as_array() else {
        return Ok(kept);
    };
    let host = rule["host"].as_str().unwrap_or_default();
    let paths: Result<Vec<Value>, ApiError> = paths
        .iter()
        .map(|path| {
            let at = path["path"].as_str().unwrap_or_default();
            let mut kept = json!({ "backend": stored(object, known, host, at, path)? });
            copy(path, "path", &mut kept, "path");
            kept["pathType"] = match path["pathType"].as_str() {
                Some(kind) if !kind.is_empty() => json!(kind),
                _ => json!("ImplementationSpecific"),
            };
            Ok(kept)
        })
        .collect();
    kept["http"] = json!({ "paths": paths? });
    Ok(kept)
}

fn stored(
    object: &Value,
    known: &mut BTreeMap<String, String>,
    host: &str,
    path: &str,
    backend: &Value,
) -> Result<Value, ApiError> {
    let refused = |message: String, field: &'static str| {
        ApiError::invalid("InvalidReference", message).with_field(field)
    };
    let namespace = mapping::namespace(object).unwrap_or_default();
    let port = match &backend["targetPort"] {
        Value::Null => port_of(backend),
        // Both forms are sent; Kubernetes keeps numbers as numbers.
        Value::String(text) => text.parse::<i64>().map_or(json!(text), |port| json!(port)),
        port => port.clone(),
    };
    let workloads: Vec<&str> = backend["workloadIds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let id = backend["serviceId"].as_str().unwrap_or_default();
    let name = match (id.split_once(':'), workloads.as_slice()) {
        (Some((place, name)), _) if place == namespace => name.to_owned(),
        (Some(_), _) => {
            let message = format!("{id} is not in the namespace {namespace}");
            return Err(refused(message, "serviceId"));
        }
        (None, _) if !id.is_empty() => id.to_owned(),
        (None, [_, ..]) => {
            for workload in &workloads {
                let (_, place, _) = workload_id(workload, "workloadIds")?;
                if place != namespace {
                    let message = format!("{workload} is not in the namespace {namespace}");
                    return Err(refused(message, "workloadIds"));
                }
            }
            if port.as_i64().is_none() {
                return Err(ApiError::invalid("MissingRequired", "").with_field("targetPort"));
            }
            let key = key(object, host, path, &port);
            let name = service_name(&key);
            known.insert(key, workloads.join("/"));
            name
        }
        (None, []) => {
            if backend["resource"].is_object() {
                return Ok(json!({ "resource": backend["resource"] }));
            }
            match at(backend, "service/name").and_then(Value::as_str) {
                Some(name) => name.to_owned(),
                None => {
                    return Err(ApiError::invalid("MissingRequired", "").with_field("serviceId"));
                }
            }
        }
    };
    let port = match port {
        Value::Number(number) => json!({ "number": number }),
        Value::String(name) => json!({ "name": name }),
        _ => return Err(ApiError::invalid("MissingRequired", "").with_field("targetPort")),
    };
    Ok(json!({"service": {"name": name, "port": port}}))
}

/// The Services that must be there for the paths that lead to workloads.
pub(crate) fn services(object: &Value) -> Vec<Needed> {
    let known = state(object);
    let mut needed: Vec<Needed> = Vec::new();
    let mut look = |host: &str, path: &str, backend: &Value| {
        let port = port_of(backend);
        let Some(workloads) = known
            .get(&key(object, host, path, &port))
            .filter(|ids| !ids.is_empty())
        else {
            return;
        };
        if let (Some(name), Some(port)) = (
            at(backend, "service/name").and_then(Value::as_str),
            port.as_i64(),
        ) && needed.iter().all(|other| other.name != name)
        {
            needed.push(Needed {
                name: name.to_owned(),
                workloads: workloads.split('/').map(str::to_owned).collect(),
                port,
            });
        }
    };
    if let Some(backend) = at(object, "spec/defaultBackend") {
        look("", "/", backend);
    }
    let rules = object["spec"]["rules"].as_array();
    for rule in rules.into_iter().flatten() {
        let host = rule["host"].as_str().unwrap_or_default();
        for path in rule["http"]["paths"].as_array().into_iter().flatten() {
            look(
                host,
                path["path"].as_str().unwrap_or_default(),
                &path["backend"],
            );
        }
    }
    needed
}

pub(super) fn amend(object: &Value, item: &mut Item) {
    let reachable = at(object, "status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    if !reachable && item.get("state").is_some_and(|state| state == "active") {
        item.insert("state".to_owned(), json!("initializing"));
    }
}
