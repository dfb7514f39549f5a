//! What a Cluster object itself is completed with: finalizers, annotations, labels, defaults.

use serde_json::{Map, Value, json};

use super::{
    AGENT_FINALIZER, CREATOR_BINDINGS, HUB_FINALIZER, INITIAL_SYNC, Observed, PROVIDER_LABEL,
    annotation, provider,
};

pub(super) fn spec_defaults(is_local: bool) -> Map<String, Value> {
    let workspace = if is_local {
        "fleet-local"
    } else {
        "fleet-default"
    };
    let defaults = json!({
        "agentImageOverride": "",
        "clusterSecrets": {},
        "description": "",
        "desiredAgentImage": "",
        "desiredAuthImage": "",
        "dockerRootDir": "/var/lib/docker",
        "enableNetworkPolicy": if is_local { Value::Null } else { Value::Bool(false) },
        "fleetWorkspaceName": workspace,
        "localClusterAuthEndpoint": { "enabled": false },
        "windowsPreferedCluster": false,
    });
    match defaults {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

/// What the Cluster object itself lacks: finalizers, annotations, labels, defaults.
pub(super) fn object_patch(
    observed: &Observed<'_>,
    is_local: bool,
    has_creator: bool,
) -> Option<Value> {
    let cluster = observed.cluster;
    let meta = &cluster.metadata;
    let mut metadata = Map::new();
    let finalizers = meta.finalizers.clone().unwrap_or_default();
    let mut wanted = finalizers.clone();
    if !is_local {
        for finalizer in [AGENT_FINALIZER, HUB_FINALIZER] {
            if !wanted.iter().any(|found| found == finalizer) {
                wanted.push(finalizer.to_owned());
            }
        }
    }
    if wanted != finalizers {
        metadata.insert("finalizers".to_owned(), json!(wanted));
    }
    let required = if observed.creator_roles.is_empty() {
        json!(["cluster-owner"])
    } else {
        json!(observed.creator_roles)
    };
    let created = if has_creator {
        json!(observed.creator_roles)
    } else {
        json!([])
    };
    let bindings = json!({ "created": created, "required": required }).to_string();
    let mut annotations = Map::new();
    for (name, value) in [
        (CREATOR_BINDINGS, bindings.as_str()),
        (INITIAL_SYNC, "true"),
    ] {
        if annotation(meta, name).is_none() {
            annotations.insert(name.to_owned(), json!(value));
        }
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    let found = provider::of(observed.facts);
    let label = meta
        .labels
        .as_ref()
        .and_then(|labels| labels.get(PROVIDER_LABEL))
        .is_some_and(|label| !label.is_empty());
    if let Some(provider) = found.filter(|_| !label) {
        metadata.insert("labels".to_owned(), json!({ PROVIDER_LABEL: provider }));
    }
    let is_set = |name: &str| match name {
        "description" => !cluster.spec.description.is_empty(),
        "agentImageOverride" => !cluster.spec.agent_image_override.is_empty(),
        _ => false,
    };
    let mut spec: Map<String, Value> = spec_defaults(is_local);
    // Fields with a Rust type leave out their empty value, so they cannot be told from missing ones.
    spec.retain(|name, value| {
        !cluster.spec.other.contains_key(name)
            && !is_set(name)
            && !is_typed(name)
            && !value.is_null()
    });
    if metadata.is_empty() && spec.is_empty() {
        return None;
    }
    for name in ["description", "agentImageOverride"] {
        if !spec.is_empty() && !is_set(name) {
            spec.insert(name.to_owned(), json!(""));
        }
    }
    metadata.insert("resourceVersion".to_owned(), json!(meta.resource_version));
    let mut patch = json!({ "metadata": metadata });
    if !spec.is_empty() {
        patch["spec"] = Value::Object(spec);
    }
    Some(patch)
}

fn is_typed(name: &str) -> bool {
    matches!(name, "description" | "agentImageOverride")
}
