//! What quotas are about: scopes, and which pods and claims are in them.

use drover_structural::quantity::Quantity;
use serde_json::{Value, json};

use super::super::limits::amounts;
use super::usage::ends;
use crate::rbac::selects;

/// What a quota is about, each as a requirement.
pub(super) fn scopes(quota: &Value) -> impl Iterator<Item = Value> {
    let spec = &quota["spec"];
    let plain = spec["scopes"].as_array().into_iter().flatten();
    let plain = plain.map(|name| json!({"scopeName": name, "operator": "Exists"}));
    let stated = spec["scopeSelector"]["matchExpressions"].as_array();
    plain.chain(stated.into_iter().flatten().cloned())
}

/// Whether a scope is about a pod.
pub(super) fn pod_in_scope(pod: &Value, scope: &Value) -> bool {
    match scope["scopeName"].as_str() {
        Some("Terminating") => ends(pod),
        Some("NotTerminating") => !ends(pod),
        Some("BestEffort") => is_best_effort(pod),
        Some("NotBestEffort") => !is_best_effort(pod),
        Some("PriorityClass") => {
            let class = pod["spec"]["priorityClassName"].as_str();
            named(scope, class.filter(|class| !class.is_empty()))
        }
        Some("CrossNamespacePodAffinity") => looks_elsewhere(pod),
        _ => false,
    }
}

fn is_best_effort(pod: &Value) -> bool {
    let zero = Quantity::from_int(0);
    let of_pod = &pod["spec"]["resources"];
    let containers = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array());
    let containers = containers.into_iter().flatten().flatten();
    let resources = containers.map(|container| &container["resources"]);
    resources.chain([of_pod]).all(|resources| {
        ["requests", "limits"].iter().all(|member| {
            amounts(&resources[*member])
                .iter()
                .all(|(name, amount)| !matches!(name.as_str(), "cpu" | "memory") || *amount == zero)
        })
    })
}

/// Whether a class, or the lack of one, is what a scope asks for.
fn named(scope: &Value, class: Option<&str>) -> bool {
    if scope["operator"] == "Exists" {
        return class.is_some();
    }
    let labels = class.map_or_else(|| json!({}), |class| json!({"class": class}));
    let wanted = json!({"matchExpressions": [{
        "key": "class", "operator": scope["operator"], "values": scope["values"],
    }]});
    selects(&wanted, &labels)
}

fn looks_elsewhere(pod: &Value) -> bool {
    let affinity = &pod["spec"]["affinity"];
    let elsewhere = |term: &Value| {
        let listed = term["namespaces"].as_array();
        listed.is_some_and(|listed| !listed.is_empty()) || !term["namespaceSelector"].is_null()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = |name: &str| affinity[*kind][name].as_array().into_iter().flatten();
        terms("requiredDuringSchedulingIgnoredDuringExecution").any(elsewhere)
            || terms("preferredDuringSchedulingIgnoredDuringExecution")
                .any(|term| elsewhere(&term["podAffinityTerm"]))
    })
}

/// Whether a scope is about a claim.
pub(super) fn claim_in_scope(claim: &Value, scope: &Value) -> bool {
    if scope["scopeName"] != "VolumeAttributesClass" {
        return false;
    }
    let classes: Vec<&str> = [
        &claim["spec"]["volumeAttributesClassName"],
        &claim["status"]["currentVolumeAttributesClassName"],
        &claim["status"]["modifyVolumeStatus"]["targetVolumeAttributesClassName"],
    ]
    .into_iter()
    .filter_map(Value::as_str)
    .filter(|class| !class.is_empty())
    .collect();
    if classes.is_empty() {
        return named(scope, None);
    }
    classes.into_iter().any(|class| named(scope, Some(class)))
}
